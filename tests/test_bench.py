import pytest

from nextday import bench
from nextday.bench import Timing, bench_table, measure_engines
from nextday.data import random_walk
from nextday.engine import Workers


class Here(Workers):
    """Fits in this process what workers would fit."""

    def map(self, units, make_job):
        return Workers(0).map(units, make_job)


def test_a_study_takes_as_long_as_its_units_do():
    one = Timing("workers", "cpu", 4, 0.06 / bench.EPOCHS)
    assert one.minutes(33) == pytest.approx(0.033)
    assert one.minutes(3300) == pytest.approx(3.3)


def test_every_engine_is_timed_beside_the_loop(monkeypatch):
    monkeypatch.setattr(bench, "LOOPED", 1)
    monkeypatch.setattr(bench, "Workers", Here)
    few = random_walk(tickers=("AAA", "BBB", "SPY"), sessions=260, seed=0)
    monkeypatch.setattr(bench, "load_bars", lambda _: few)
    timings = list(measure_engines(epochs=1, workers=1, device="cpu"))
    assert [(one.engine, one.device) for one in timings] == [("sequential loop", "cpu"), ("workers (1)", "cpu")]
    assert all(one.seconds > 0 for one in timings)


def test_the_table_measures_each_device_against_its_own_loop(capsys):
    from rich.console import Console

    timings = [
        Timing("sequential loop", "cpu", 3, 0.1), Timing("workers (2)", "cpu", 12, 0.05),
        Timing("sequential loop", "cuda", 3, 0.2), Timing("stacked", "cuda", 330, 0.002),
    ]  # fmt: skip
    Console(width=140).print(bench_table(timings))
    rows = [line for line in capsys.readouterr().out.splitlines() if "cuda" in line or "cpu" in line]
    assert [row.split("│")[6].strip() for row in rows] == ["1.0", "2.0", "1.0", "100.0"]
    assert "15 s" in rows[3]
