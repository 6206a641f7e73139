"""Without PyTorch, Numba and llvmlite everything works but networks, and those are refused in one line."""

import json
import os
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from nextday.data import random_walk
from nextday.engine import needs, plan
from nextday.errors import MissingError
from nextday.models import MODELS
from nextday.study import Study

ROOT = Path(__file__).parents[1]
NEXTDAY = [str(Path(sys.executable).parent / "nextday")]
HIDDEN = """
from importlib import metadata
from importlib.machinery import PathFinder

HIDDEN, find, version = {"torch", "numba", "llvmlite"}, PathFinder.find_spec, metadata.version

def find_spec(cls, name, path=None, target=None):
    return None if name.partition(".")[0] in HIDDEN else find(name, path, target)

def version_of(name):
    if name in HIDDEN:
        raise metadata.PackageNotFoundError(name)
    return version(name)

PathFinder.find_spec, metadata.version = classmethod(find_spec), version_of
"""  # of sitecustomize, which Python imports at its start: of workers, too
PLUGIN = """
import numpy as np
import nextday

@nextday.model("drift")
class Drift(nextday.Forecaster):
    def fit_predict(self, train, valid, test, *, key):
        return nextday.Fitted(np.full(len(test), train.y.mean()))
"""
LINE = (
    "need PyTorch, which is not installed: pip install 'nextday[torch]' --extra-index-url https://download.pytorch.org"
)


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Run ``nextday`` in a folder with bars, and a Python that finds no PyTorch."""
    folder = tmp_path_factory.mktemp("bare")
    (folder / "hidden").mkdir()
    (folder / "hidden" / "sitecustomize.py").write_text(HIDDEN)
    random_walk(tickers=("AAA", "BBB", "MKT"), sessions=120, seed=4).frame.write_parquet(folder / "bars.parquet")
    paths = [str(folder / "hidden"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}

    def nextday(*arguments, status=0, program=NEXTDAY):
        done = subprocess.run(
            [*program, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == status, done.stderr
        return done

    nextday.folder = folder
    return nextday


QUICK = ("--data", "bars.parquet", "--market", "MKT", "--set", "lookback=5", "--workers", "1")


@pytest.fixture(scope="module")
def first(bare):
    """Stage 1, run there."""
    return bare("run", "stage1", *QUICK, "--set", "variants.ARIMA.options.max_order=1").stdout


def test_it_is_hidden_indeed(bare):
    assert "No module named 'torch'" in bare("-c", "import torch", status=1, program=[sys.executable]).stderr


def test_stage_1_is_run_reported_and_judged(bare, first):
    assert "ARIMA" in first
    folder = bare.folder / "results" / "stage1"
    assert {"numpy", "polars"} < json.loads((folder / "manifest.json").read_text())["versions"].keys()
    assert not {"torch", "numba"} & json.loads((folder / "manifest.json").read_text())["versions"].keys()
    (folder / "report.html").unlink()
    assert bare("report", "results/stage1").stdout == first
    assert (folder / "report.html").is_file()
    said = bare("verdict", "results/stage1/stage1_all_predictions.csv", "--ask", "HistGB - LinearReg")
    assert "HistGB" in said.stdout


def test_what_fits_nothing_works(bare):
    bars = bare("data", "check", "bars.parquet", "--market", "MKT")
    assert "they can be used" in bars.stdout
    assert "lstm" in bare("list").stdout
    (bare.folder / "drift.py").write_text(PLUGIN)
    assert bare("check", "drift.py").stdout == "model drift: passes\n"


REFUSED = [
    (("run", "stage2", *QUICK), "variants.LSTM-Raw: networks"),
    (("run", "stage2", "--data", "yahoo"), "variants.LSTM-Raw: networks"),  # before anything is fetched
    (("plan", "stage3", "--data", "bars.parquet", "--market", "MKT"), "variants.Transformer-Raw: networks"),
    (("run", "stage1", *QUICK, "--device", "cuda"), "device cuda: networks"),
    (("bench",), "variants.raw: networks"),
]
EACH = """
import contextlib, io, json, sys
from nextday.cli.main import main

for arguments in json.loads(sys.argv[1]):
    sys.argv, error, status = ["nextday", *arguments], io.StringIO(), 0
    with contextlib.redirect_stderr(error):
        try:
            main()
        except SystemExit as ended:
            status = ended.code
    print(json.dumps([status, error.getvalue()]))
"""  # in one process, as its start takes longer than all that it is asked


@pytest.fixture(scope="module")
def refusals(bare):
    asked = json.dumps([arguments for arguments, _ in REFUSED])
    lines = bare("-c", EACH, asked, program=[sys.executable]).stdout.splitlines()
    return dict(zip((arguments for arguments, _ in REFUSED), map(json.loads, lines), strict=True))


@pytest.mark.parametrize(("arguments", "what"), REFUSED)
def test_networks_are_refused_in_one_line(bare, refusals, arguments, what):
    status, error = refusals[arguments]
    assert status == 1
    assert error.splitlines()[-1].startswith(f"nextday: {what} {LINE}")
    assert error.count("\n") == 1 + ("yahoo" in arguments)
    assert not (bare.folder / "results" / "stage2").exists()
    assert not (bare.folder / "bars").exists()


def test_a_plugin_that_imports_it_is_told_so(bare):
    (bare.folder / "net.py").write_text("import torch\n")
    done = bare("check", "net.py", status=1)
    assert done.stderr.startswith(
        f"nextday: plugin net.py fails: ModuleNotFoundError: No module named 'torch' (line 1); networks {LINE}"
    )


def test_every_package_of_the_extra_is_asked_for(monkeypatch):
    study = Study.load("stage2")
    for missing, called in needs.PACKAGES.items():
        monkeypatch.setattr(needs, "find_spec", lambda name, missing=missing: None if name == missing else name)
        with pytest.raises(MissingError, match=f"variants.LSTM-Raw: networks need {called}, which is not installed"):
            needs.require_packages(study, MODELS)
        needs.require_packages(Study.load("stage1"), MODELS)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert {one.partition(">")[0] for one in extras["torch"]} == set(needs.PACKAGES)


def test_units_keep_their_names_where_it_is_installed(monkeypatch):
    def digest():
        plan.code_fingerprint.cache_clear()
        return plan.code_fingerprint("models")

    before = digest()
    monkeypatch.setattr(plan, "version_of", metadata.version)
    assert digest() == before
    monkeypatch.setattr(plan, "version_of", lambda name: "" if name == "torch" else metadata.version(name))
    assert digest() != before
    plan.code_fingerprint.cache_clear()
