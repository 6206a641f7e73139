"""A finished study that nothing has changed is opened in a moment, and one that anything has changed is computed."""

import os
import shutil
import sys
from functools import partial

import polars as pl
import pytest

import nextday
import nextday.ladder.run
from finished import make_stage, write
from nextday import pipeline
from nextday.errors import DataError
from nextday.storage import memory
from nextday.storage.trail import RUN, digest_of, trail
from nextday.study import Study
from undrawn import undrawn

STUDY = {
    "name": "small", "market": "MKT", "accept": ["*"], "lookback": 10,
    "variants": {
        "Ridge": {"model": "ridge", "features": "raw"}, "Mean": {"model": "historical_mean", "features": "raw"},
    },
}  # fmt: skip
LOOKED_AT = ("verdict", "ablation_bars")  # of the figures
STEPS = ("check_causality", "execute", "answer", "draw_plots")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of one's own: the others have none, see conftest."""
    monkeypatch.setenv("NEXTDAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "records"


@pytest.fixture
def two_drawn():
    with undrawn(*LOOKED_AT):
        yield


@pytest.fixture
def done():
    """What is computed, step by step."""
    steps = []

    def spied(name, step, *given, **named):
        steps.append(name)
        return step(*given, **named)

    with pytest.MonkeyPatch.context() as patch:  # of its own, as that of others ends later
        for name in STEPS:
            patch.setattr(pipeline, name, partial(spied, name, getattr(pipeline, name)))
        yield steps


@pytest.fixture
def run(bars, tmp_path):
    return partial(nextday.run, bars=bars.frame, out=tmp_path, workers=0, watch=False)


def study(**changes):
    return Study.from_values(STUDY | changes)


@pytest.fixture(scope="module")
def kept(bars, tmp_path_factory):
    """A finished study and its record, which hold at their places alone, and copies of both."""
    place = tmp_path_factory.mktemp("first")
    with pytest.MonkeyPatch.context() as patch, undrawn():
        patch.setenv("NEXTDAY_CACHE", str(place / "cache"))
        nextday.run(study(), bars=bars.frame, out=place / "out", workers=0, watch=False)
    for name in ("out", "cache"):
        shutil.copytree(place / name, place / "kept" / name)
    return place


@pytest.fixture
def first(kept, monkeypatch):
    """The folder of a finished study, as it was after its run."""
    for name in ("out", "cache"):
        shutil.rmtree(kept / name)
        shutil.copytree(kept / "kept" / name, kept / name)
    monkeypatch.setenv("NEXTDAY_CACHE", str(kept / "cache"))
    return kept / "out" / "small"


def files(folder):
    """The files of a study but for its log, its units, and the times of a run."""
    found = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name != "run.log"}
    return found | {
        "manifest.json": digest_of(folder / "manifest.json"),
        "report.html": RUN.sub(b"", found["report.html"]),
    }


@pytest.mark.usefixtures("two_drawn")
def test_a_reopened_study_is_the_same_and_nothing_is_computed(run, done, tmp_path, monkeypatch):
    first = run(study())
    assert done == list(STEPS)
    before, said = files(first.out), (first.out / "run.log").read_text().splitlines()
    inodes = {path: path.stat().st_ino for path in first.out.glob("*.p*")}
    done.clear()
    again = run(study())
    assert done == []
    assert files(again.out) == before
    assert {path: path.stat().st_ino for path in first.out.glob("*.p*")} == inodes
    assert again.verdict == first.verdict
    assert again.scores.equals(first.scores)
    assert {f"small_{name}.png" for name in again.figures} < before.keys()
    for name in LOOKED_AT:
        assert again.figures[name].png() == before[f"small_{name}.png"]

    manifest = (first.out / "manifest.json").read_text()
    assert '"fitted": 0' in manifest
    assert '"reused": 4' in manifest
    assert "0 units fitted, 4 taken from earlier runs" in (first.out / "report.html").read_text()
    monkeypatch.setenv("NEXTDAY_CACHE", "")
    run(study())
    assert done == list(STEPS)
    assert files(again.out) == before
    log = [line.partition(" ")[2] for line in (first.out / "run.log").read_text().splitlines()[len(said) :]]
    times = [line.rpartition("; ")[0] if line.startswith("tables written") else line for line in log]
    assert times[: len(times) // 2] == times[len(times) // 2 :]


def rewrite(path):
    path.write_bytes(path.read_bytes() + b" ")


def forge(path, key):
    path.write_text(path.read_text().replace(f'"{key}"', '"forged"', 1))


REPORTED = STEPS[2:]
CHANGES = {
    "nothing": (lambda _: None, ()),
    "a table": (lambda out: rewrite(out / "forecasts.parquet"), STEPS),
    "a table that was none": (lambda out: shutil.copy(out / "folds.parquet", out / "valid.parquet"), STEPS),
    "a verdict": (lambda out: rewrite(out / "verdict.json"), REPORTED),
    "a page": (lambda out: rewrite(out / "report.html"), REPORTED),
    "a manifest": (lambda out: forge(out / "manifest.json", "tickers"), STEPS),
    "a file that is gone": (lambda out: (out / "small_results.csv").unlink(), REPORTED),
    "a unit that is gone": (lambda out: next((out / "units").glob("*.json")).unlink(), STEPS),
    "a unit that is damaged": (lambda out: rewrite(next((out / "units").glob("*.safetensors"))), STEPS),
    "a control that came": (lambda out: write(out.parent / "control", make_stage({"A": (0.3, 0.1, 1)})), REPORTED),
}


@pytest.mark.usefixtures("one_undrawn")
@pytest.mark.parametrize("change", CHANGES)
def test_what_has_changed_is_computed(run, done, first, change):
    before = files(first)
    CHANGES[change][0](first)
    run(study(), out=first.parent)
    assert done == list(CHANGES[change][1])
    lasting = [name for name in before if not name.startswith(("manifest", "report"))]  # these say how long fits took
    after = files(first)
    assert all(after[name] == before[name] for name in lasting)


@pytest.mark.usefixtures("one_undrawn")
@pytest.mark.parametrize("change", ["a setting", "a price", "the code", "fresh", "a model"])
def test_another_request_is_computed(run, done, first, bars, change, monkeypatch):
    run = partial(run, out=first.parent)
    price = pl.when(pl.int_range(pl.len()) == 40).then(pl.col("volume") + 1).otherwise("volume").alias("volume")
    if change == "the code":
        monkeypatch.setattr(memory, "_code", lambda: "another")
    {
        "a setting": lambda: run(study(lookback=11)), "a price": lambda: run(study(), bars=bars.frame.with_columns(price)),
        "the code": lambda: run(study()), "fresh": lambda: run(study(), fresh=True),
        "a model": lambda: run(study(), features={"mine": pl.col("close")}),
    }[change]()  # fmt: skip
    assert done[:2] == ["check_causality", "execute"]


@pytest.mark.usefixtures("one_undrawn")
def test_results_of_somebody_else_cannot_vouch_for_themselves(run, done, tmp_path, kept, first):
    theirs = tmp_path / "theirs" / "small"
    shutil.copytree(first, theirs)
    shutil.copytree(kept / "cache" / "records", theirs / "records")
    run(study(), out=theirs.parent)
    assert done == list(STEPS)


@pytest.mark.skipif(sys.platform == "win32", reason="owners and modes of POSIX")
def test_records_that_others_can_write_are_not_read(cache, tmp_path):
    with trail() as found:
        memory.keep("any", tmp_path, found, "kept")
    assert memory.recall("any", tmp_path) == "kept"
    os.chmod(cache, 0o777)
    assert memory.recall("any", tmp_path) is None
    os.chmod(cache, 0o700)
    (record,) = cache.iterdir()
    rewrite(record)
    assert memory.recall("any", tmp_path) is None


def test_a_leak_is_refused_every_time(run, tmp_path):
    peek = {"peek": pl.col("close").shift(-1).over("ticker").fill_null(strategy="forward") / pl.col("close") - 1}
    leaking = study(feature_sets={"mine": ["peek"]}, variants={"Ridge": {"model": "ridge", "features": "mine"}})
    for _ in range(2):
        with pytest.raises(DataError, match="uses data after its own date"):
            run(leaking, features=peek)


@pytest.mark.usefixtures("one_undrawn")
def test_the_ladder_is_compared_again_where_a_study_has_changed(tmp_path, monkeypatch):
    for name, skill in (("one", 0.3), ("two", 0.1)):
        write(tmp_path / name, make_stage({name: (skill, 0.1, 1.0)}))
    nextday.compare(tmp_path)  # makes a folder for itself
    first = nextday.compare(tmp_path)
    page = (first.out / "report.html").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(nextday.ladder.run, "rank", None)
        assert nextday.compare(tmp_path).leaderboard.equals(first.leaderboard)
    assert (first.out / "report.html").read_bytes() == page
    write(tmp_path / "three", make_stage({"three": (0.2, 0.1, 1.0)}))
    assert len(nextday.compare(tmp_path).ladder.stages) == 3
    (first.out / "lessons.json").unlink()
    nextday.compare(tmp_path)
    assert (first.out / "lessons.json").is_file()
