"""Days that are a day early and bars that are not daily are named; habits of exchanges are no defects."""

import polars as pl
import pytest

from nextday.data import check_bars, load_bars, random_walk
from nextday.data.rhythm import DAY_EARLY, NOT_DAILY
from nextday.errors import DataError

SEEDS = range(0, 20, 3)


def walk(seed):
    return random_walk(tickers=("KO", "SPY"), sessions=60 + 5 * seed, seed=seed).frame


def put(frame, change):
    """Change KO alone."""
    return pl.concat([change(frame.filter(ticker="KO")), frame.filter(ticker="SPY")])


def fatal(frame, **options):
    return {(finding.ticker, finding.rule) for finding in check_bars(frame, **options) if finding.fatal}


@pytest.mark.parametrize("seed", SEEDS)
def test_days_of_utc_are_named(seed):
    early = put(walk(seed), lambda own: own.with_columns(pl.col("date") - pl.duration(days=1)))
    assert fatal(early) == {("KO", DAY_EARLY)}
    assert fatal(early, accept=("KO",)) == set()


@pytest.mark.parametrize("seed", SEEDS)
def test_weekly_and_monthly_bars_are_named(seed):
    every = 5 if seed % 2 else 21
    slow = put(random_walk(tickers=("KO", "SPY"), sessions=600, seed=seed).frame, lambda own: own.gather_every(every))
    assert fatal(slow, accept=("*",)) == {("KO", NOT_DAILY)}


@pytest.mark.parametrize("seed", SEEDS)
def test_stocks_crypto_and_short_histories_are_no_defects(seed):
    frame = walk(seed)
    assert fatal(frame) == set()
    days = pl.date_range(frame["date"][0], pl.lit(frame["date"][0]) + pl.duration(days=60), eager=True)
    crypto = frame.filter(ticker="KO")[: len(days)].with_columns(days[: min(len(days), 60 + 5 * seed)].alias("date"))
    assert fatal(pl.concat([crypto, frame.filter(ticker="SPY")]), accept=("*",)) == set()
    assert fatal(frame.group_by("ticker").head(10)) == set()


def test_the_line_says_what_to_do():
    early = put(walk(3), lambda own: own.with_columns(pl.col("date") - pl.duration(days=1)))
    with pytest.raises(
        DataError, match=r"KO on 2000-01-02: 15 of 75 bars are on Sundays and 0 on Fridays.*--timezone, or.*--accept KO"
    ):
        load_bars(early)
    with pytest.raises(DataError, match="KO on 2000-01-03: half of its bars are 7 days apart"):
        load_bars(put(random_walk(tickers=("KO", "SPY"), sessions=600, seed=1).frame, lambda own: own.gather_every(5)))
