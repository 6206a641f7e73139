"""Runs that survive: ended, doubled, on full and read-only disks, on damaged folders; in slow tests, whole processes."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import nextday
from nextday.cli.main import main
from nextday.errors import NextdayError
from nextday.pipeline import report
from nextday.study import Study

pytestmark = pytest.mark.usefixtures("undrawn")
HERE = Path(__file__).parent
UNDRAWN = f"""
import sys
sys.path.insert(0, {str(HERE)!r})
from undrawn import undrawn
from nextday.cli.main import main
with undrawn():
    main()
"""
NEXTDAY = [sys.executable, "-c", UNDRAWN, "run", "study.yaml"]  # what is looked at are tables
TABLES = ("*.parquet", "*.csv", "verdict.json")
CHEAP = ("Zero", "LinearReg")


@pytest.fixture(scope="module")
def study(quick):
    """Two networks and two models without randomness, on two tickers."""
    chosen = {name: quick["variants"][name] for name in ("LSTM-Raw", "LSTM-OHLCV", *CHEAP)}
    return {**quick, "variants": chosen, "conformal": {}}


@pytest.fixture(scope="module")
def home(bars, study, tmp_path_factory):
    """A folder with the study's file and its bars."""
    folder = tmp_path_factory.mktemp("home")
    bars.frame.write_parquet(folder / "bars.parquet")
    (folder / "study.yaml").write_text(json.dumps({**study, "data": str(folder / "bars.parquet")}))
    return folder


def begin(home, out, *options):
    command = [*NEXTDAY, "--out", str(out), "--workers", "1", *options]
    return subprocess.Popen(command, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process, status=0):
    """Wait for a run; give the lines of its errors, without those that tell its progress."""
    _, error = process.communicate(timeout=120)
    assert process.returncode == status, error
    return [line for line in error.splitlines() if not re.match(r"\S+: \d+/\d+ units, ", line)]


def files(folder):
    return {path.name: path.read_bytes() for kind in TABLES for path in folder.glob(kind)}


@pytest.fixture(scope="module")
def undisturbed(home):
    """The files of a run that nothing happened to."""
    nextday.run(home / "study.yaml", out=home / "undisturbed", workers=0)
    found = files(home / "undisturbed" / "quick")
    assert len(found) >= 7
    return found


def outcomes_of(study, bars, out, **options):
    seen = []
    folder = nextday.forecast(
        Study.from_values(study), bars=bars.frame, out=out, workers=0,
        watch=lambda stream, _: (seen.append(outcome) or outcome for outcome in stream), **options,
    )  # fmt: skip
    return folder, seen


def test_a_run_that_is_ended_goes_on_to_the_same_files(home, undisturbed, tmp_path):
    kept = 5

    def interrupted(outcomes, _):
        for count, outcome in enumerate(outcomes):
            if count == kept:
                raise KeyboardInterrupt
            yield outcome

    with pytest.raises(KeyboardInterrupt):
        nextday.run(home / "study.yaml", out=tmp_path, workers=0, watch=interrupted)
    assert not (tmp_path / "quick" / "manifest.json").exists()
    assert kept <= len(list((tmp_path / "quick" / "units").glob("*.json"))) <= kept + 1
    nextday.run(home / "study.yaml", out=tmp_path, workers=0)
    assert json.loads((tmp_path / "quick" / "manifest.json").read_text())["units"]["reused"] >= kept
    assert files(tmp_path / "quick") == undisturbed


def test_a_run_within_another_on_one_folder_harms_neither(home, undisturbed, tmp_path):
    """The other starts when one has fitted a unit, and ends before the second: their writes meet in the same files."""
    inner = []

    def meanwhile(outcomes, _):
        for outcome in outcomes:
            if not inner:
                inner.append(nextday.run(home / "study.yaml", out=tmp_path, workers=0))
                assert files(tmp_path / "quick") == undisturbed
            yield outcome

    nextday.run(home / "study.yaml", out=tmp_path, workers=0, watch=meanwhile)
    assert len(inner) == 1
    assert files(tmp_path / "quick") == undisturbed
    assert not list(tmp_path.rglob("*.damaged"))
    assert not list(tmp_path.rglob(".*"))


@pytest.mark.slow  # five processes; above, a run is ended in its own
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the children of a process are read from /proc")
def test_runs_that_are_killed_go_on_to_the_same_files(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(HERE.parent / "benchmarks")
    survival = importlib.import_module("survival")
    variants = {name: survival.STUDY["variants"][name] for name in ("Raw", "LinearReg")}
    monkeypatch.setattr(survival, "STUDY", survival.STUDY | {"tickers": ["AAA", "BBB"], "variants": variants})
    monkeypatch.setattr(survival, "NEXTDAY", NEXTDAY)
    monkeypatch.setattr(survival, "WORKERS", 1)  # start-up takes most of the time
    monkeypatch.setattr(survival.random, "uniform", lambda _, last: last / 2)  # a later one may find nothing to kill
    wrong = survival.show_moments(tmp_path, 1, 3)
    said = capsys.readouterr().out
    assert not wrong, said
    assert "2 of 2 identical" in said


@pytest.mark.slow  # two processes; above, one after the other within one
def test_two_runs_at_once_on_one_folder_do_not_harm_each_other(home, undisturbed):
    both = [begin(home, "both") for _ in range(2)]
    assert [end(process) for process in both] == [[], []]
    assert files(home / "both" / "quick") == undisturbed
    assert not list((home / "both").rglob("*.damaged"))
    assert not list((home / "both").rglob(".*"))


def test_a_changed_variant_and_a_further_seed_alone_are_trained(bars, study, tmp_path):
    _, first = outcomes_of(study, bars, tmp_path)
    assert not any(outcome.reused for outcome in first)
    wider = {**study["variants"]["LSTM-Raw"], "options": {"hidden": 9}}
    changed = {**study, "variants": {**study["variants"], "LSTM-Raw": wider}}
    _, second = outcomes_of(changed, bars, tmp_path)
    assert {outcome.unit.variant for outcome in second if not outcome.reused} == {"LSTM-Raw"}
    _, third = outcomes_of({**changed, "seeds": [1, 2]}, bars, tmp_path)
    trained = {(outcome.unit.variant, outcome.unit.seed) for outcome in third if not outcome.reused}
    assert trained == {("LSTM-Raw", 2), ("LSTM-OHLCV", 2)}


@pytest.fixture(scope="module")
def cheap(bars, study, tmp_path_factory):
    """A study of the models without randomness, and the folder of its run."""
    study = {**study, "variants": {name: study["variants"][name] for name in CHEAP}}
    return study, outcomes_of(study, bars, tmp_path_factory.mktemp("cheap"))[0]


@pytest.mark.parametrize("damage", ["cut", "flip numbers", "flip facts", "wrong types"])
def test_a_damaged_unit_is_named_and_trained_again(bars, cheap, tmp_path, damage):
    study, before = cheap
    shutil.copytree(before, tmp_path / "quick")
    facts = next(path for path in (tmp_path / "quick" / "units").glob("*.json") if "LinearReg BBB" in path.read_text())
    numbers = facts.with_suffix(".safetensors")
    if damage == "cut":
        os.truncate(numbers, numbers.stat().st_size - 1)
    elif damage == "flip numbers":
        flip(numbers, -4)
    elif damage == "flip facts":
        flip(facts, facts.read_bytes().index(b'"best_epoch": 0') + 14)
    else:
        facts.write_text(json.dumps({**json.loads(facts.read_text()), "best_epoch": [], "notes": 3}))
    after, seen = outcomes_of(study, bars, tmp_path)
    assert [str(outcome.unit) for outcome in seen if not outcome.reused] == ["LinearReg BBB"]
    note = f"LinearReg BBB: its stored unit was damaged; renamed to {facts.stem[:12]}*.damaged and refitted"
    assert json.loads((after / "manifest.json").read_text())["notes"] == [note]
    assert (after / "forecasts.parquet").read_bytes() == (before / "forecasts.parquet").read_bytes()
    assert sorted(path.name for path in facts.parent.glob("*.damaged")) == [
        f"{facts.name}.damaged", f"{numbers.name}.damaged",
    ]  # fmt: skip


def flip(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"training": {"learning_rate": 1e38, "max_epochs": 2}}, "the loss is not finite in epoch 1"),
        ({"hidden": 3_000_000}, "out of memory"),
    ],
)
def test_a_unit_that_fails_is_named_with_ticker_variant_and_seed_and_the_others_are_kept(
    home, study, tmp_path, change, says
):
    variants = {name: study["variants"][name] for name in ("LSTM-Raw", *CHEAP)}
    variants["LSTM-Raw"] = {**variants["LSTM-Raw"], "options": {"hidden": change.pop("hidden", 8)}}
    changed = {**study, "variants": variants, "data": str(home / "bars.parquet"), **change}
    with pytest.raises(NextdayError) as caught:
        nextday.run(Study.from_values(changed), out=tmp_path, workers=0)
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith(f"2 of 6 units failed; LSTM-Raw AAA seed 1: {says}")
    assert f"LSTM-Raw BBB seed 1: {says}" in said
    assert len(list((tmp_path / "quick" / "units").glob("*.json"))) == 4


@pytest.fixture
def disk(tmp_path):
    """A disk of 128 KiB in memory, and a way to mount it anew with other options."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options, *more):
        command = ["mount", "-t", "tmpfs", "-o", options, *more, "tmpfs", str(folder)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    if not shutil.which("mount") or (done := mount("size=128k")).returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip() if shutil.which('mount') else 'no mount'}")
    yield folder, lambda options: mount(f"remount,{options}").check_returncode()
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_line_and_the_run_goes_on_when_there_is_room(home, undisturbed, disk):
    folder, mount = disk
    with pytest.raises(NextdayError) as caught:
        nextday.run(home / "study.yaml", out=folder, workers=0)
    said = str(caught.value)
    assert said.startswith(f"{folder}/quick/")
    assert said.endswith("cannot be written: No space left on device; name another folder with --out")
    assert not list(folder.rglob(".*"))
    kept = len(list((folder / "quick" / "units").glob("*.json")))
    mount("size=64m")
    nextday.run(home / "study.yaml", out=folder, workers=0)
    assert json.loads((folder / "quick" / "manifest.json").read_text())["units"]["reused"] == kept
    assert files(folder / "quick") == undisturbed


def test_a_read_only_disk_is_one_line_before_anything_is_fitted(home, disk, monkeypatch, capsys):
    folder, mount = disk
    mount("ro")
    monkeypatch.setattr(
        sys, "argv", ["nextday", "run", str(home / "study.yaml"), "--out", str(folder), "--workers", "0"]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.splitlines() == [
        f"nextday: {folder}/quick/.writable cannot be written: Read-only file system; name another folder with --out"
    ]


@pytest.fixture
def finished(home, undisturbed, tmp_path):
    """A copy of a finished study's folder, to be spoilt."""
    folder = tmp_path / "deep" / "quick"
    shutil.copytree(home / "undisturbed" / "quick", folder, ignore=shutil.ignore_patterns("units", "*.png"))
    return folder


def refused(folder):
    with pytest.raises(NextdayError) as caught:
        report(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["../../etc/x", "/etc/x", "..", "a/b", "a\n", "", 3, None])
def test_the_report_of_a_strangers_folder_writes_nothing_outside(finished, name):
    manifest = json.loads((finished / "manifest.json").read_text())
    manifest["study"]["name"] = name
    (finished / "manifest.json").write_text(json.dumps(manifest))
    before = sorted(finished.parents[1].rglob("*"))
    assert f"{finished}/manifest.json: name: " in refused(finished)
    assert sorted(finished.parents[1].rglob("*")) == before


@pytest.mark.parametrize(
    ("table", "column", "change"),
    [
        (table, column, change)
        for table, columns in {
            "forecasts": ("variant", "ticker", "fold", "seed", "origin", "date", "actual", "predicted"),
            "history": ("variant", "ticker", "fold", "seed", "epoch", "train_loss", "valid_loss", "best"),
            "folds": ("ticker", "fold", "historical_mean", "train_variance", "train", "train_from"),
        }.items()
        for column in columns
        for change in ("missing", "of another type")
    ],
)
def test_tables_of_other_columns_are_refused_in_one_line(finished, table, column, change):
    path = finished / f"{table}.parquet"
    frame = pl.read_parquet(path)
    other = pl.lit([1, 2]).alias(column)
    (frame.drop(column) if change == "missing" else frame.with_columns(other)).write_parquet(path)
    said = refused(finished)
    assert str(finished) in said
    assert column in said


@pytest.mark.parametrize(
    "content", ["[]", "{", '{"study": 3}', '{"study": {}}', "\x00", '{"study": {"name": "x"}, "notes": 1}']
)
def test_a_manifest_of_other_content_is_refused_in_one_line(finished, content):
    (finished / "manifest.json").write_text(content)
    assert str(finished) in refused(finished)


@pytest.mark.parametrize(
    ("key", "value"),
    [("notes", None), ("notes", 3), ("notes", "text"), ("pooled", "text"), ("checks", 3), ("data", 3)],
)
def test_a_manifest_of_wrong_types_is_refused_in_one_line(finished, key, value):
    manifest = json.loads((finished / "manifest.json").read_text())
    manifest[key] = value
    (finished / "manifest.json").write_text(json.dumps(manifest))
    assert str(finished) in refused(finished)
