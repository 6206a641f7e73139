"""Every defect that bars are known to have, planted one at a time into random bars: found and named.

``python tests/data/test_checks.py`` prints the catch rate.
"""

import datetime
from functools import cache

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextday.data import Calendar, check_bars, load_bars, random_walk
from nextday.data.sessions import exchange_sessions
from nextday.errors import DataError

TICKERS = ("AAA", "NA", "ZZZ")
PRICES = ("open", "high", "low", "close", "adj_close")
WALKS = 30  # that defects are planted into, each made once


def clean(seed, sessions=90, vol=0.02):
    return random_walk(tickers=TICKERS, sessions=sessions, seed=seed, daily_vol=vol).frame


@cache
def walked(seed):
    return clean(seed)


def put(frame, ticker, at, **values):
    """Replace values of one bar; a value may be an expression."""
    here = (pl.col("ticker") == ticker) & (pl.int_range(pl.len()).over("ticker") == at)
    return frame.with_columns(
        pl.when(here).then(value).otherwise(pl.col(name)).alias(name) for name, value in values.items()
    )


def scale(frame, ticker, factor, first=0, last=10**6, columns=PRICES):
    """Multiply columns of some bars."""
    row = pl.int_range(pl.len()).over("ticker")
    here = (pl.col("ticker") == ticker) & (row >= first) & (row <= last)
    return frame.with_columns(
        pl.when(here).then(pl.col(name) * factor).otherwise(pl.col(name)).alias(name) for name in columns
    )


def without(frame, ticker, first, last):
    row = pl.int_range(pl.len()).over("ticker")
    return frame.filter(~((pl.col("ticker") == ticker) & row.is_between(first, last)))


def twice(frame, ticker, at):
    return pl.concat(
        [
            frame,
            put(frame, ticker, at).filter((pl.col("ticker") == ticker) & (pl.int_range(pl.len()).over("ticker") == at)),
        ]
    ).sort("ticker", "date")


def swapped(frame, ticker, at):
    dates = frame.filter(ticker=ticker)["date"]
    return put(put(frame, ticker, at, date=dates[at + 1]), ticker, at + 1, date=dates[at])


def crash(frame, ticker, at):
    """Fall by half within the day, on ten times the volume."""
    fallen = scale(frame, ticker, 0.5, first=at)
    return put(fallen, ticker, at, open=pl.col("open") * 2, high=pl.col("high") * 2, volume=pl.col("volume") * 10)


def stale(frame, ticker, at):
    close = frame.filter(ticker=ticker)["close"][at]
    row = pl.int_range(pl.len()).over("ticker")
    here = (pl.col("ticker") == ticker) & row.is_between(at, at + 4)
    return frame.with_columns(
        pl.when(here).then(value).otherwise(pl.col(name)).alias(name)
        for name, value in {"close": close, "adj_close": close, "high": pl.max_horizontal("high", pl.lit(close)), "low": pl.min_horizontal("low", pl.lit(close))}.items()
    )  # fmt: skip


DEFECTS = {
    **{f"{name} is {value}": (f"bad {name}", lambda f, t, at, n=name, v=value: put(f, t, at, **{n: v})) for name in PRICES for value in (None, float("nan"), float("inf"), 0.0, -3.0)},
    "volume is missing": ("bad volume", lambda f, t, at: put(f, t, at, volume=None)),
    "volume is negative": ("bad volume", lambda f, t, at: put(f, t, at, volume=-1.0)),
    "high below low": ("high below low", lambda f, t, at: put(f, t, at, high=pl.col("low") * 0.99)),
    "close above high": ("outside its range", lambda f, t, at: put(f, t, at, high=pl.max_horizontal("open", "close") * 0.99, low=pl.col("low") * 0.9)),
    "bar twice": ("date twice", twice),
    "days swapped": ("dates go back", swapped),
    **{f"split {ratio:.3g}": ("split not applied", lambda f, t, at, r=ratio: put(scale(f, t, r, last=at - 1), t, at, volume=1e6)) for ratio in (2, 3, 4, 5, 7, 10, 20, 1 / 2, 1 / 5, 1 / 10)},
    "one bar in pence": ("off by 100", lambda f, t, at: scale(f, t, 100, at, at)),
    "pence from here": ("off by 100", lambda f, t, at: scale(f, t, 100, first=at)),
    "a hundredth": ("off by 100", lambda f, t, at: scale(f, t, 0.01, at, at + 2)),
    "crash": ("extreme move", crash),
    "closes repeat": ("stale", stale),
    "adjustment falls": ("adjustment falls", lambda f, t, at: scale(f, t, 0.97, at, columns=["adj_close"])),
    "no volume": ("no volume", lambda f, t, at: put(f, t, at, volume=0.0)),
    "session missing": ("gap", lambda f, t, at: without(f, t, at, at)),
    "last days missing": ("ends early", lambda f, t, at: without(f, t, at + 1, 10**6)),
}  # fmt: skip


def is_caught(name, seed, ticker, at):
    """Plant a defect; say whether it is found in its ticker, at its place, and nothing in the others.

    A split is found too where it is asked: how many are, test_jumps.py counts.
    """
    rule, plant = DEFECTS[name]
    frame = walked(seed)
    found = check_bars(plant(frame, ticker, at))
    dates = frame.filter(ticker=ticker)["date"]
    near = dates[at - 1], dates[at + 4]
    rules = (rule, "split or news") if rule == "split not applied" else (rule,)
    named = [finding for finding in found if finding.rule in rules and near[0] <= finding.on <= near[1]]
    return bool(named) and {finding.ticker for finding in found} == {ticker}


VALUES = [name for name in DEFECTS if " is " in name]  # each of them is refused by name in test_bars.py, too


@pytest.mark.parametrize("name", VALUES)
@settings(deadline=None, max_examples=2)
@given(seed=st.integers(0, WALKS - 1), ticker=st.sampled_from(TICKERS), at=st.integers(8, 80))
def test_every_value_that_cannot_be_is_found_and_named(name, seed, ticker, at):
    assert is_caught(name, seed, ticker, at)


@pytest.mark.parametrize("name", sorted(DEFECTS.keys() - VALUES))
@settings(deadline=None, max_examples=4)
@given(seed=st.integers(0, WALKS - 1), ticker=st.sampled_from(TICKERS), at=st.integers(8, 80))
def test_every_planted_defect_is_found_and_named(name, seed, ticker, at):
    assert is_caught(name, seed, ticker, at)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6), sessions=st.integers(3, 300), vol=st.floats(0.005, 0.04))
def test_clean_bars_give_no_finding(seed, sessions, vol):
    assert check_bars(clean(seed, sessions, vol)) == []


def test_order_of_rows_does_not_matter_within_dates():
    frame = clean(1)
    assert check_bars(frame.sort("date", "ticker")) == []


def test_the_sample_has_two_moves_to_look_at_and_no_defect():
    found = check_bars(load_bars("sample").frame)
    assert [(finding.ticker, finding.rule, finding.fatal) for finding in found] == [
        ("AAPL", "extreme move", False),
        ("NVDA", "extreme move", False),
    ]
    assert "of 0.4812, log return -0.73" in found[0].evidence


def on_exchange(name, ticker="KO"):
    sessions = exchange_sessions(name, datetime.date(2020, 1, 2), datetime.date(2021, 12, 31))
    return random_walk(tickers=(ticker,), sessions=len(sessions), seed=0).frame.with_columns(date=sessions)


def test_an_exchange_s_own_sessions_give_no_finding():
    assert len(on_exchange("XNYS")) == 505
    assert len(on_exchange("24/7")) == 730
    frame = pl.concat([on_exchange("XNYS"), on_exchange("24/7", ticker="BTC-USD")])
    calendar = Calendar.parse("XNYS,BTC-USD=24/7")
    assert check_bars(frame, calendar=calendar) == []
    rules = {finding.rule: finding for finding in check_bars(frame, calendar=Calendar.parse("XNYS"))}
    assert rules["not a session"].ticker == "BTC-USD"
    assert rules["not a session"].bars > 200
    missing = check_bars(frame.filter(pl.col("date") != datetime.date(2020, 7, 1)), calendar=calendar)
    assert [(finding.ticker, finding.rule, str(finding.on)) for finding in missing] == [
        ("BTC-USD", "gap", "2020-07-01"),
        ("KO", "gap", "2020-07-01"),
    ]


def test_an_unknown_exchange_is_named():
    with pytest.raises(DataError, match="exchange 'NASDAQQ' is not known"):
        check_bars(clean(0), calendar=Calendar.parse("NASDAQQ"))
    with pytest.raises(DataError, match="two exchanges for all tickers"):
        Calendar.parse("XNYS,XLON")


def test_bad_tickers_are_refused_unless_they_are_dropped_or_accepted():
    frame = scale(clean(3), "NA", 4, last=40)
    with pytest.raises(
        DataError,
        match=r"NA on .*looks like a split of 4 that was not applied; fix it, or accept it as real with --accept NA; --drop-bad",
    ):
        load_bars(frame)
    dropped = load_bars(frame, drop_bad=True)
    assert dropped.tickers == ["AAA", "ZZZ"]
    assert dropped.notes[0].startswith("left out NA on ")
    assert load_bars(frame, accept=("NA",)).tickers == list(TICKERS)
    assert load_bars(frame, accept=("*",)).tickers == list(TICKERS)
    with pytest.raises(DataError, match=r"also bad: ZZZ"):
        load_bars(put(frame, "ZZZ", 9, close=0.0), accept=())
    with pytest.raises(DataError, match="every ticker is bad"):
        load_bars(frame.with_columns(high=pl.lit(0.0)), drop_bad=True)


if __name__ == "__main__":
    random = np.random.default_rng(0)
    draws = [
        (name, int(random.integers(10**6)), str(random.choice(TICKERS)), int(random.integers(8, 80)))
        for name in DEFECTS
        for _ in range(20)
    ]
    missed = [draw for draw in draws if not is_caught(*draw)]
    false = sum(bool(check_bars(clean(seed))) for seed in range(500))
    two, alone = TICKERS[:2], 0
    for _ in range(20):
        ticker, at = str(random.choice(two)), int(random.integers(8, 80))
        frame = random_walk(tickers=two, sessions=90, seed=int(random.integers(10**6))).frame
        found = check_bars(without(frame, ticker, at, at + int(random.integers(4))))
        alone += [(one.rule, one.ticker, one.on) for one in found] == [("gap", ticker, frame["date"][at])]
    calm = sum(bool(check_bars(random_walk(tickers=two, sessions=90, seed=seed).frame)) for seed in range(500))
    print(
        f"planted defects found and named: {len(draws) - len(missed)} of {len(draws)} ({len(DEFECTS)} kinds); missed: {missed}"
    )
    print(f"clean bars with a finding: {false} of 500")
    print(f"gaps of two tickers found and named: {alone} of 20; clean bars of two with a finding: {calm} of 500")
