"""Progress: a bar in a notebook, a line now and then where nobody watches, each with the time left."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

import nextday
from nextday import progress
from nextday.data import align
from nextday.engine import Workers, make_plan
from nextday.progress import STOPPED, Epoch, progress_of, show
from nextday.study import Study


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves when told to."""
    state = SimpleNamespace(now=100.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: state.now)
    return state


def stream(clock, seconds):
    """Pieces that take so many seconds each; one of no time was finished before."""
    for number, each in enumerate(seconds):
        clock.now += each
        yield SimpleNamespace(unit=f"unit {number}", reused=each == 0)


def said(capsys, pieces, total, **options):
    assert len(list(show(pieces, total, **options))) == total
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


def test_false_shows_nothing_and_passes_everything(clock, capsys):
    pieces = list(stream(clock, [9, 9, 9]))
    assert list(progress_of(watch=False)(iter(pieces), 3)) == pieces
    assert capsys.readouterr().err == ""
    list(progress_of(watch=True, name="stage2")(iter(pieces), 3))
    assert "stage2: 3/3 units" in capsys.readouterr().err


def test_a_function_of_the_users_own_is_taken_as_it_is():
    assert progress_of(list) is list


@pytest.fixture
def cell(monkeypatch):
    """What a cell shows, update by update, as in a notebook."""
    shown = []

    def display(thing, *, display_id):
        assert display_id
        shown.append(thing._repr_html_())
        return SimpleNamespace(update=lambda new: shown.append((new._repr_html_(), repr(new))))

    module = ModuleType("IPython.display")
    module.display = display
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    return shown


def test_a_notebook_shows_one_bar_with_the_time_left_and_keeps_its_count_alone(clock, cell, capsys):
    assert len(list(show(stream(clock, [4] * 4), 4, name="<mine>"))) == 4
    assert '<progress value="0" max="4"' in cell[0]
    assert "&lt;mine&gt;: 3/4 units, 0:12, about 0:04 left <small>unit 2</small>" in cell[3][0]
    assert cell[-1] == ("&lt;mine&gt;: 4/4 units", "<mine>: 4/4 units")
    assert capsys.readouterr() == ("", "")


def test_a_notebook_is_not_flooded_by_fast_units(clock, cell):
    list(show(stream(clock, [0.01] * 1000), 1000, name="mine"))
    assert len(cell) <= 25


def test_an_interrupted_bar_says_how_far_it_came(clock, cell):
    def until_stopped():
        yield from stream(clock, [1, 1])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(show(until_stopped(), 9, name="mine"))
    assert cell[-1][1] == "mine: 2/9 units"


def test_a_run_shows_its_progress_unless_told_not_to(bars, tmp_path, capfd):
    study = nextday.Study.from_values(STUDY)
    nextday.forecast(study, bars=bars.frame, out=tmp_path, workers=0)
    assert capfd.readouterr().err.splitlines()[-1].startswith("tiny: 2/2 units, 0:0")
    nextday.forecast(study, bars=bars.frame, out=tmp_path, workers=0, watch=False)
    assert capfd.readouterr() == ("", "")


def test_a_stopped_run_says_how_to_go_on_and_keeps_what_is_finished(bars, tmp_path):
    study, seen = nextday.Study.from_values(STUDY), []

    def stop_after_first(outcomes, _):
        for outcome in outcomes:
            seen.append(outcome)
            yield outcome
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=STOPPED):
        nextday.forecast(study, bars=bars.frame, out=tmp_path, workers=0, watch=stop_after_first)
    with pytest.raises(KeyboardInterrupt):
        nextday.forecast(study, bars=bars.frame, out=tmp_path, workers=0, watch=stop_after_first)
    assert [one.reused for one in seen] == [False, True]


STUDY = {
    "name": "tiny", "market": "MKT", "accept": ["*"], "lookback": 5,
    "variants": {"Mean": {"model": "historical_mean", "features": "raw"}},
}  # fmt: skip


def trained(clock, epochs):
    """One unit whose epochs take so many seconds each, reported as by a worker."""
    for number, each in enumerate(epochs, start=1):
        clock.now += each
        progress.report(Epoch(number, 100, "LSTM * seed 1"))
    yield SimpleNamespace(unit="LSTM * seed 1", reused=False)


def test_epochs_of_a_long_unit_are_counted(clock, capsys):
    assert said(capsys, trained(clock, [4, 4, 4, 50]), 1, name="pooled") == [
        "pooled: 0/1 units, 0:08, LSTM * seed 1: epoch 2 of at most 100",
        "pooled: 0/1 units, 1:02, LSTM * seed 1: epoch 4 of at most 100",
        "pooled: 1/1 units, 1:02",
    ]


def test_nobody_need_listen_to_epochs(capsys):
    progress.report(Epoch(1, 100))
    assert list(progress.silent([1], 1)) == [1]
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("light_workers")
@pytest.mark.parametrize("count", [0, 1])
def test_epochs_come_from_workers_with_the_name_of_their_unit(count):
    class Training:
        """A job of a second and two epochs; local, so that it reaches the worker as a value."""

        def run(self):
            import time

            from nextday.progress import Epoch, report

            report(Epoch(1, 9))  # too early for a worker to pass on
            time.sleep(1.1)
            report(Epoch(2, 9))
            return "trained"

    heard = []
    with Workers(count) as workers, progress.listening(heard.append):
        found = [result for _, result, _ in workers.map(["LSTM * seed 1"], lambda _: Training())]
    assert found == ["trained"]
    assert heard == ([Epoch(2, 9, "LSTM * seed 1")] if count else [Epoch(1, 9), Epoch(2, 9)])


def test_an_epoch_of_a_training_is_reported(bars, quick):
    variants = {"LSTM-Raw": quick["variants"]["LSTM-Raw"]}
    plan = make_plan(Study.from_values({**quick, "variants": variants, "conformal": {}}), align(bars, market="MKT"))
    heard = []
    with progress.listening(heard.append):
        fitted = plan.job(plan.units[0]).run()
    assert [str(epoch) for epoch in heard] == [
        f"epoch {number} of at most 3" for number in range(1, len(fitted.valid_loss) + 1)
    ]
