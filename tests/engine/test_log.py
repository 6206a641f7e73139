"""The log of runs: appended, one line an event, and never in the way of a result."""

import json
import re
from types import SimpleNamespace

import pytest

import nextday
from nextday.engine import RunLog
from nextday.engine.log import MOST
from nextday.errors import StudyError
from nextday.study import Study

pytestmark = pytest.mark.usefixtures("undrawn")
STUDY = {
    "name": "small", "market": "MKT", "accept": ["*"], "lookback": 5, "variants": {
        "Zero": {"model": "zero", "features": "raw"}, "Mean": {"model": "rolling_mean", "features": "raw"},
    },
}  # fmt: skip


def lines(path):
    found = path.read_text("utf-8").splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \S", line) for line in found)
    return [line.split(" ", 1)[1] for line in found]


def piece(unit, **more):
    return SimpleNamespace(unit=unit, **({"failure": "", "fitted": None, "reused": False} | more))


def test_a_run_is_logged_from_its_start_to_its_verdict_and_the_next_is_appended(bars, tmp_path):
    results = nextday.run(Study.from_values(STUDY), bars=bars.frame, out=tmp_path, workers=0)
    first = lines(tmp_path / "small" / "run.log")
    assert first[0].startswith("run of small starts; nextday ")
    assert "polars " in first[0]
    assert first[1].startswith("4 units on cpu; bars: ")
    assert re.fullmatch(r"1/4 Zero AAA: \d+\.\d\d s", first[2])
    assert [line.split()[0] for line in first[2:6]] == ["1/4", "2/4", "3/4", "4/4"]
    assert re.fullmatch(r"tables written; units fitted: 4, reused: 0; \d+\.\d s", first[-2])
    assert first[-1] == f"verdict: {results.verdict.sentence}"
    nextday.run(Study.from_values(STUDY), bars=bars.frame, out=tmp_path, workers=0)
    again = lines(tmp_path / "small" / "run.log")[len(first) :]
    assert [line for line in again if re.match(r"\d+/", line)] == []  # finished units are counted, not listed
    assert any("units fitted: 0, reused: 4" in line for line in again)


def test_notes_and_the_reason_of_a_failure_are_logged(bars, tmp_path):
    with pytest.raises(StudyError, match="too few"):
        nextday.run(Study.from_values(STUDY | {"lookback": 9999}), bars=bars.frame, out=tmp_path, workers=0)
    assert lines(tmp_path / "small" / "run.log")[-1].startswith("failed: ")
    log = RunLog(tmp_path / "run.log")
    log.finish(json.dumps({"notes": ["a\nnote"], "units": {"fitted": 1, "reused": 2}, "seconds": 3.5}).encode())
    assert lines(tmp_path / "run.log")[0] == "note: a note"


def test_a_report_of_somebody_elses_folder_leaves_its_log_alone(bars, tmp_path):
    nextday.run(Study.from_values(STUDY), bars=bars.frame, out=tmp_path, workers=0)
    before = (tmp_path / "small" / "run.log").read_bytes()
    nextday.report(tmp_path / "small")
    assert (tmp_path / "small" / "run.log").read_bytes() == before


def test_what_ends_a_run_is_its_last_line(tmp_path):
    for error, says in ((KeyboardInterrupt(), "stopped"), (ValueError("x"), "failed: ValueError: x"), (StudyError("y"), "failed: y")):  # fmt: skip
        with pytest.raises(type(error)), RunLog(tmp_path / "run.log"):
            raise error
        assert lines(tmp_path / "run.log")[-1] == says


def test_a_stream_passes_unchanged_and_many_units_take_few_lines(tmp_path):
    total = 5 * MOST
    pieces = [
        piece(number, failure="no memory" if number == 7 else "", reused=number > total - 10) for number in range(total)
    ]
    seen = []
    watched = RunLog(tmp_path / "run.log").watching(lambda stream, count: seen.append(count) or stream)
    assert list(watched(iter(pieces), total)) == pieces
    assert seen == [total]
    found = lines(tmp_path / "run.log")
    assert MOST - 2 <= len(found) <= MOST + 1
    assert "8/5000 7: failed: no memory" in found


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path):
    with RunLog(tmp_path / "nowhere" / "run.log") as log:
        log.say("lost")
    assert not (tmp_path / "nowhere").exists()
