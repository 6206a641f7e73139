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


QUICK = (
    "--data", "bars.parquet", "--market", "MKT", "--tickers", "AAA", "--set", "lookback=5", "--workers", "1",
)  # fmt: skip
REFUSED = [
    (("run", "stage2", *QUICK), "variants.LSTM-Raw: networks"),
    (("run", "stage2", "--data", "yahoo"), "variants.LSTM-Raw: networks"),  # before anything is fetched
    (("plan", "stage3", "--data", "bars.parquet", "--market", "MKT"), "variants.Transformer-Raw: networks"),
    (("run", "stage1", *QUICK, "--device", "cuda"), "device cuda: networks"),
    (("bench",), "variants.raw: networks"),
]
WORKING = {
    "run": ("run", "stage1", *QUICK, "--set", "variants.ARIMA.options.max_order=1"),
    "report": ("report", "results/stage1"),
    "verdict": ("verdict", "results/stage1/stage1_all_predictions.csv", "--ask", "HistGB - LinearReg"),
    "data": ("data", "check", "bars.parquet", "--market", "MKT"),
    "list": ("list",),
    "check": ("check", "drift.py"),
}
NET = ("check", "net.py")
EACH = """
import contextlib, io, json, sys
from pathlib import Path
from nextday.cli.main import main
from undrawn import undrawn

said = {}
for arguments in json.loads(sys.argv[1]):
    if arguments[0] == "report":
        for name in ("report.html", "stage1_ablation_bars.png"):
            Path("results/stage1", name).unlink()
    sys.argv, status = ["nextday", *arguments], 0
    out, error = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error), undrawn("ablation_bars"):
        try:
            main()
        except SystemExit as ended:
            status = ended.code
    said[" ".join(arguments)] = [status, *(one.buffer.getvalue().decode() for one in (out, error))]
try:
    import torch
except ModuleNotFoundError as error:
    said["import torch"] = str(error)
print(json.dumps(said))
"""  # in one process and the worker of its run, as their starts take longer than all that they are asked


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A folder with bars, in which a Python that finds no PyTorch has run every command."""
    folder = tmp_path_factory.mktemp("bare")
    (folder / "hidden").mkdir()
    (folder / "hidden" / "sitecustomize.py").write_text(HIDDEN)
    (folder / "drift.py").write_text(PLUGIN)
    (folder / "net.py").write_text("import torch\n")
    random_walk(tickers=("AAA", "BBB", "MKT"), sessions=120, seed=4).frame.write_parquet(folder / "bars.parquet")
    paths = [str(folder / "hidden"), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    asked = json.dumps([*WORKING.values(), NET, *(arguments for arguments, _ in REFUSED)])
    command = [sys.executable, "-c", EACH, asked]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


@pytest.fixture(scope="module")
def works(bare):
    """What the commands print that need no network, by their first words."""
    found = {name: bare[1][" ".join(arguments)] for name, arguments in WORKING.items()}
    assert {name: error for name, (status, _, error) in found.items() if status} == {}
    return {name: out for name, (_, out, _) in found.items()}


def test_it_is_hidden_indeed(bare):
    assert "No module named 'torch'" in bare[1]["import torch"]


def test_stage_1_is_run_reported_and_judged(bare, works):
    assert "ARIMA" in works["run"]
    folder = bare[0] / "results" / "stage1"
    assert {"numpy", "polars"} < json.loads((folder / "manifest.json").read_text())["versions"].keys()
    assert not {"torch", "numba"} & json.loads((folder / "manifest.json").read_text())["versions"].keys()
    assert works["report"] == works["run"]
    assert (folder / "report.html").is_file()
    assert (folder / "stage1_ablation_bars.png").stat().st_size > 1000
    assert "HistGB" in works["verdict"]


def test_what_fits_nothing_works(works):
    assert "they can be used" in works["data"]
    assert "lstm" in works["list"]
    assert works["check"] == "model drift: passes\n"


@pytest.mark.parametrize(("arguments", "what"), REFUSED)
def test_networks_are_refused_in_one_line(bare, arguments, what):
    folder, said = bare
    status, _, error = said[" ".join(arguments)]
    assert status == 1
    assert error.splitlines()[-1].startswith(f"nextday: {what} {LINE}")
    assert error.count("\n") == 1 + ("yahoo" in arguments)
    assert not (folder / "results" / "stage2").exists()
    assert not (folder / "bars").exists()


def test_a_plugin_that_imports_it_is_told_so(bare):
    status, _, error = bare[1][" ".join(NET)]
    assert status == 1
    assert error.startswith(
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
