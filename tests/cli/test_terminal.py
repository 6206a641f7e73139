"""Progress where nobody watches: a line now and then, with the time and the time left."""

from types import SimpleNamespace

import pytest

from nextday.cli import terminal
from nextday.cli.terminal import progress_of, watch


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves when told to."""
    state = SimpleNamespace(now=100.0)
    monkeypatch.setattr(terminal.time, "monotonic", lambda: state.now)
    return state


def stream(clock, seconds):
    """Pieces that take so many seconds each; one of no time was finished before."""
    for number, each in enumerate(seconds):
        clock.now += each
        yield SimpleNamespace(unit=f"unit {number}", reused=each == 0)


def said(capsys, pieces, total, **options):
    assert len(list(watch(pieces, total, **options))) == total
    shown = capsys.readouterr()
    assert shown.out == ""
    return shown.err.splitlines()


def test_lines_come_every_few_seconds_with_the_time_left(clock, capsys):
    lines = said(capsys, stream(clock, [2] * 12), 12, name="stage2")
    assert lines == [
        "stage2: 3/12 units, 0:06",  # four seconds of fitting show no pace yet
        "stage2: 6/12 units, 0:12, about 0:12 left",
        "stage2: 9/12 units, 0:18, about 0:06 left",
        "stage2: 12/12 units, 0:24",
    ]


def test_the_pace_is_that_of_fitted_units_and_not_of_the_start(clock, capsys):
    lines = said(capsys, stream(clock, [0] * 100 + [60] + [10] * 9), 110, name="mine")
    assert lines[0] == "mine: 101/110 units, 1:00"
    assert lines[1] == "mine: 102/110 units, 1:10, about 1:20 left"
    assert lines[-1] == "mine: 110/110 units, 2:30"


def test_a_long_run_takes_few_lines(clock, capsys):
    lines = said(capsys, stream(clock, [1] * 7200), 7200, name="long")
    assert 100 < len(lines) < 250
    assert lines[-1] == "long: 7,200/7,200 units, 2:00:00"


def test_what_is_no_study_is_counted_without_a_name(clock, capsys):
    assert said(capsys, stream(clock, [1]), 1) == ["1/1 done, 0:01"]


def test_quiet_shows_nothing_and_passes_everything(clock, capsys):
    pieces = list(stream(clock, [9, 9, 9]))
    assert list(progress_of("stage2", quiet=True)(iter(pieces), 3)) == pieces
    assert capsys.readouterr().err == ""
    list(progress_of("stage2")(iter(pieces), 3))
    assert "stage2: 3/3 units" in capsys.readouterr().err
