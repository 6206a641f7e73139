"""Cutting and rewriting bars, and what moves by it."""

import numpy as np
import polars as pl
import pytest

from nextday.auditing.perturb import cut, find_moved, least_share, missed, places_of, places_throughout, rewritten
from nextday.data import random_walk
from nextday.errors import DataError

BARS = random_walk(tickers=("KO", "PEP"), sessions=400, seed=4).frame
DATES = BARS["date"].unique().sort().to_numpy()
PRICES = ("open", "high", "low", "close", "adj_close")
after = DATES[250].item()
move = pl.col("close").log().diff()


def computing(**expressions):
    def compute(frame, dates):
        columns = [one.over("ticker").cast(pl.Float64).alias(name) for name, one in expressions.items()]
        return frame.select(columns).to_numpy().reshape(2, len(dates), -1)

    return compute


def moved_by(**expressions):
    return find_moved(computing(**expressions), BARS, DATES, places_throughout(len(DATES)))


def by_one_factor(frame, after, seed):
    """The mistake: all prices of a bar by the same factor."""
    factor = pl.Series(np.exp(np.random.default_rng(seed).normal(0, 0.2, len(frame))))
    return frame.with_columns(
        pl.when(pl.col("date") > after).then(pl.col(name) * factor).otherwise(name) for name in (*PRICES, "volume")
    )


def test_bars_are_cut_after_the_day():
    assert cut(BARS, after)["date"].max() == after
    assert len(cut(BARS, after)) == 2 * 251


def test_everything_after_the_day_is_rewritten_and_nothing_before():
    flag, count = (pl.col("close") > 100).cast(pl.Float64), pl.int_range(pl.len())
    bars = BARS.with_columns(pl.col("volume").cast(pl.Int64), mood=pl.col("close") - 100, flag=flag, count=count)
    changed = rewritten(bars, after, seed=1)
    assert changed.schema == bars.schema
    assert cut(changed, after).equals(cut(bars, after))
    old, new = (frame.filter(pl.col("date") > after) for frame in (bars, changed))
    for name in (*PRICES, "volume", "mood"):
        assert (old[name] != new[name]).all(), name
    assert old.select("date", "ticker", "flag", "count").equals(new.select("date", "ticker", "flag", "count"))
    assert (new["high"] >= new.select(pl.max_horizontal("open", "close", "low")).to_series()).all()
    assert (new["low"] <= new.select(pl.min_horizontal("open", "close", "high")).to_series()).all()


def test_every_price_has_noise_of_its_own():
    """One factor per bar would leave ratios of its prices as they were, and hide what is made of them."""
    ratio = (pl.col("high") / pl.col("low")).log()
    compute = computing(ratio=ratio.shift(-1, fill_value=0.0))
    before = compute(BARS, DATES)[:, :251]
    assert np.abs(compute(rewritten(BARS, after, 1), DATES)[:, :251] - before).max() > 0.01
    assert np.abs(compute(by_one_factor(BARS, after, 1), DATES)[:, :251] - before).max() < 1e-12


def test_no_two_columns_share_their_noise():
    changed = rewritten(BARS, after, seed=1).filter(pl.col("date") > after)
    old = BARS.filter(pl.col("date") > after)
    factors = np.column_stack([(changed[name] / old[name]).log() for name in ("open", "close", "adj_close", "volume")])
    assert np.abs(np.corrcoef(factors.T) - np.eye(4)).max() < 0.2
    assert 0.15 < factors.std() < 0.25


def test_what_moves_has_a_reach():
    found = moved_by(
        past=move.rolling_mean(20),
        next=move.shift(-1),
        centred=move.rolling_mean(21, center=True),
        scaled=move / move.std(),
        filled=move.rolling_mean(20).backward_fill(),
    )
    reach = {
        column: max(one.reach for one in found if one.column == column) for column in {one.column for one in found}
    }
    assert reach == {1: 1, 2: 10, 3: 388, 4: 13}  # of 12 rows that are known, the first is filled in
    assert {one.place for one in found if one.column == 1} == set(places_throughout(len(DATES)))


def test_a_missing_value_differs_and_rounding_does_not():
    def compute(frame, dates):
        noise = np.random.default_rng(len(frame)).normal(0, 1e-11, (2, len(dates), 1))
        return frame["close"].to_numpy().reshape(2, len(dates), 1) + noise

    assert find_moved(compute, BARS, DATES, [200]) == []
    assert find_moved(compute, BARS, DATES, [200], tolerance=0)
    lag = computing(ends=pl.when(pl.int_range(pl.len()) < pl.len() - 1).then(1.0))
    assert {one.how for one in find_moved(lag, BARS, DATES, [200])} == {"cut"}


def test_what_needs_more_bars_than_a_cut_leaves_is_judged_by_rewriting():
    def compute(frame, dates):
        if len(dates) < 300:
            raise DataError("too few bars")
        return computing(next=move.shift(-1))(frame, dates)

    found = find_moved(compute, BARS, DATES, [100, 350])
    assert [(one.place, one.how) for one in found] == [(100, "rewritten"), (350, "cut"), (350, "rewritten")]


@pytest.mark.parametrize(("sessions", "first"), [(3000, 2400), (3000, 700), (400, 320), (90, None)])
def test_half_of_the_places_are_in_the_test_range_and_one_is_early(sessions, first):
    places = places_of(sessions, first)
    assert len(places) == 8
    assert min(places) <= 5
    assert sum(place >= (72 if first is None else first) for place in places) == 4
    assert max(places) < sessions - 1


def test_functions_are_checked_early_and_throughout():
    places = places_throughout(3000)
    assert len(places) == 24
    assert places[:6] == (5, 12, 30, 70, 140, 270)
    assert (places[6], places[-1]) == (600, 2910)
    assert len(places_throughout(3000, 200)) == 200
    assert places_throughout(20)[-1] < 19


def test_what_may_be_missed_is_the_share_that_is_found_with_95_percent():
    assert 1 - (1 - least_share(24)) ** 24 == pytest.approx(0.95)
    assert least_share(24, reach=5) == pytest.approx(least_share(120))
    assert missed(8) == "a leak on fewer than 1 day in 3 may be missed"
