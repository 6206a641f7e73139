"""Forecasts that no one could have made before the day raise an alarm; forecasts that one could do not."""

import numpy as np
import polars as pl
import pytest

import nextday
import worlds
from nextday.evaluate import examine

DAYS, TICKERS = 800, 4
DATES = np.datetime64("2015-01-01") + np.arange(DAYS)


def table(forecast, *, seed=0, size=0.01, variant="mine", round_to=None):
    """Make a table of independent returns, and forecasts that a function makes of them."""
    rng, frames = np.random.default_rng(seed), []
    for ticker in range(TICKERS):
        actual = rng.normal(0, size, DAYS)
        actual = actual if round_to is None else np.round(actual / round_to) * round_to
        values = {"variant": variant, "ticker": f"T{ticker}", "origin": DATES, "actual": actual}
        frames.append(pl.DataFrame(values | {"predicted": forecast(actual, rng)}))
    return pl.concat(frames)


def later(actual, rows):
    return np.concatenate([actual[rows:], np.zeros(rows)])


def earlier(actual, rows):
    return np.concatenate([np.zeros(rows), actual[:-rows]])


def noisy(r2):
    """A forecast that explains this share of the variance."""
    return lambda actual, rng: r2 * actual + np.sqrt(r2 * (1 - r2)) * actual.std() * rng.normal(size=len(actual))


def fit(actual, rng):
    x = rng.normal(size=len(actual))
    return np.polyval(np.polyfit(x, actual, 1), x)


BAD = {
    "the truth itself": (lambda y, _: y, "C1"),
    "the truth, printed": (lambda y, _: np.round(y, 6), "C1"),
    "the truth in one row of ten": (lambda y, rng: np.where(rng.random(DAYS) < 0.1, y, 0.1 * rng.permutation(y)), "C1"),
    "tomorrow's actual value": (lambda y, _: later(y, 1), "C1"),
    "the truth with noise": (noisy(0.15), "C2"),
    "the size of large moves, of few directions": (lambda y, _: np.where(np.abs(y) > 2 * y.std(), 0.5 * y, 0), "C2"),
    "the right directions, tiny": (lambda y, _: np.sign(y) * 1e-7, "C2"),
    "a regression on the rows that are scored": (fit, "C3"),
    "the mean of the rows that are scored": (lambda y, _: np.full(DAYS, y.mean()), "C3"),
    "some knowledge of the day after next": (lambda y, rng: 0.3 * later(y, 2) + 0.01 * rng.normal(size=DAYS), "C4"),
}
GOOD = {
    "noise": lambda y, rng: rng.normal(0, 0.001, DAYS),
    "zero": lambda y, _: 0 * y,
    "a constant": lambda y, _: np.full(DAYS, 3e-4),
    "one in a hundred of the variance": noisy(0.01),
    "a diverged network": lambda y, rng: 1e200 * rng.normal(size=DAYS),
}


@pytest.mark.parametrize("name", BAD)
def test_a_forecast_that_knows_its_rows_is_an_alarm(name):
    forecast, code = BAD[name]
    found = [one.code for one in examine(table(forecast)) if one.is_open]
    assert found == [code]


@pytest.mark.parametrize("name", GOOD)
def test_an_honest_forecast_is_none(name):
    assert [one for one in examine(table(GOOD[name])) if one.level == "alarm"] == []


def test_persistence_is_a_note_also_where_ticks_make_many_returns_equal():
    (one,) = examine(table(lambda y, _: earlier(y, 1), round_to=0.005))
    assert (one.level, one.code) == ("note", "C1")
    assert one.sentence == "mine repeats the actual values of 1 row earlier in 100 % of rows: persistence."


def test_a_perfect_forecast_is_not_to_be_trusted_and_significant():
    judged = nextday.verdict(table(lambda y, _: y))
    assert judged.code == "leak"
    assert judged.sentence.startswith("Not to be trusted: mine copies the actual values in 100 % of rows. Mine ") or (
        judged.sentence.startswith("Not to be trusted: mine copies the actual values in 100 % of rows. mine beats ")
    )
    assert judged.contrasts[0].p_value < 0.001
    accepted = nextday.verdict(table(lambda y, _: y), allow="mine")
    assert accepted.code == "resolved"
    assert accepted.remarks[0].startswith("Accepted: mine copies the actual values")
    assert judged.answers == accepted.answers


def test_nothing_of_returns_is_asked_of_ranges():
    levels = np.random.default_rng(1).normal(size=(TICKERS, DAYS)).cumsum(axis=1) / 30
    frames = [
        pl.DataFrame({
            "variant": "har", "ticker": f"T{at}", "origin": DATES, "actual": np.exp(level - 4),
            "predicted": 1.01 * np.exp(earlier(level, 1) - 4),
        })
        for at, level in enumerate(levels)
    ]  # fmt: skip
    assert examine(pl.concat(frames)) == ()


def test_where_all_inputs_passed_a_skill_raises_a_question_and_columns_read_alone_are_named():
    world = worlds.World(tickers=2, days=300, seeds=3, signal=0.5, strengths={"Raw": 0.0, "Leak": 1.0})
    rows, read = worlds.draw(world, 0), {"Raw": ["log_return"], "Leak": ["log_return", "future"]}
    (alarm,) = examine(rows, features=read)
    assert alarm.is_open
    assert alarm.sentence.endswith("no such predictability of daily returns is known; it alone reads future.")
    (question,) = examine(rows, trusted=["Leak"], features=read)
    assert question.level == "question"
    assert "check bars, costs and timing; it alone reads future." in question.sentence
    (nobody,) = examine(rows, features={"Leak": ["log_return", "future"]})
    assert "alone" not in nobody.sentence


@pytest.mark.parametrize(("days", "said"), [(40, 0), (400, 1)])
def test_two_days_of_three_are_luck_over_two_months_and_a_leak_over_two_years(days, said):
    world = worlds.World(tickers=1, days=days, seeds=1, strengths={"A": 0.0})
    right = pl.when(pl.col("origin").rank("dense") % 3 == 0).then(-1).otherwise(1)
    hits = worlds.draw(world, 0).with_columns(predicted=pl.col("actual").sign() * right * 1e-7)
    assert len(examine(hits)) == said


@pytest.mark.slow
def test_size_and_power_of_the_skill_that_is_too_good():
    """On 4 tickers and 800 days: a forecast of R2 1 % or less is never an alarm, one of 8 % nearly always."""
    dependent = {}
    for r2 in (0.0, 0.01, 0.02, 0.05, 0.08):
        alarms = [any(one.is_open for one in examine(table(noisy(r2), seed=seed))) for seed in range(200)]
        dependent[r2] = np.mean(alarms)
    assert max(dependent[0.0], dependent[0.01]) == 0.0
    assert dependent[0.02] <= 0.01
    assert dependent[0.08] > 0.8
