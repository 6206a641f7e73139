"""Steps between common sessions that skip sessions: found in any company, named, and none where markets close."""

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nextday.data import align, check_bars, load_bars, random_walk
from nextday.data.gaps import Gap, describe_gaps, worst
from suspended import suspended, without_rows

NAMES = ("AAA", "BBB", "MKT")


def walk(names=NAMES, sessions=60, seed=0):
    return random_walk(tickers=names, sessions=sessions, seed=seed).frame


def daily(name, sessions, seed=0):
    """Bars of every day of the week, from the day on which those of ``walk`` begin."""
    frame = walk((name,), sessions, seed)
    return frame.with_columns(date=pl.Series(np.datetime64("2000-01-03") + np.arange(sessions)).cast(pl.Date))


def panel_of(frame, market="MKT", **options):
    return align(load_bars(frame, accept=("*",)), market=market, **options)


def skipped_by_hand(frame):
    """Count, for each common session, the days since the one before on which anybody has a bar."""
    days = frame.group_by("date").agg(pl.len()).sort("date").to_dict(as_series=False)
    everyone, found, since = frame["ticker"].n_unique(), [], 0
    for here in days["len"]:
        if here == everyone:
            found.append(since if found else 0)
            since = 0
        else:
            since += 1
    return found


@settings(deadline=None, max_examples=15)
@given(
    st.dictionaries(
        st.sampled_from(NAMES), st.lists(st.tuples(st.integers(0, 59), st.integers(0, 9)), max_size=5), max_size=3
    )
)
def test_skipped_sessions_are_the_days_between_on_which_anybody_trades(holes):
    frame = walk()
    spans = {name: [(first, first + more) for first, more in own] for name, own in holes.items() if own}
    frame = without_rows(frame, spans) if spans else frame
    assume((frame.group_by("date").len()["len"] == 3).sum() >= 30)  # else a weekday may hardly be traded
    panel = panel_of(frame)
    assert panel.skipped.tolist() == skipped_by_hand(frame)
    assert [gap.at for gap in panel.gaps] == np.flatnonzero(panel.skipped).tolist()


def test_a_panel_without_a_gap_has_none_whenever_its_tickers_begin_and_end():
    frame = without_rows(walk(), {"AAA": [(0, 6)], "BBB": [(50, 60)]})
    panel = panel_of(frame)
    assert panel.gaps == ()
    assert (panel.skipped == 0).all()
    assert len(panel.dates) == 43


def test_a_suspension_is_one_gap_of_the_ticker_that_lacks_bars():
    panel = align(suspended(), market="MKT")
    dates = suspended().frame.filter(ticker="AAA")["date"]
    assert [(gap.sessions, gap.first, gap.tickers, gap.alone, gap.is_long) for gap in panel.gaps] == [
        (12, dates[100], ("BBB",), False, True), (1, dates[160], ("BBB",), False, False),
        (2, dates[290], ("BBB",), False, False), (1, dates[330], ("MKT",), False, False),
        (8, dates[350], ("BBB",), False, True),
    ]  # fmt: skip
    assert panel.dates[panel.gaps[0].at] == dates[112]
    cut = replace(panel, dates=panel.dates[:120])
    assert np.flatnonzero(cut.skipped).tolist() == [100]


def test_a_stock_and_its_market_are_enough_to_see_a_suspension():
    panel = panel_of(without_rows(walk(("AAA", "MKT")), {"AAA": [(30, 32)]}))
    assert [(gap.sessions, gap.tickers) for gap in panel.gaps] == [(3, ("AAA",))]


def test_bars_of_a_few_tickers_on_a_day_without_the_others_are_theirs():
    names = ("AAA", "BBB", "CCC", "DDD", "MKT")
    frame = without_rows(walk(names), {name: [(30, 30)] for name in names[1:]})
    (gap,) = panel_of(frame).gaps
    assert (gap.tickers, gap.alone) == (("AAA",), True)
    assert describe_gaps([gap]) == f"AAA alone has bars on 1 session from {gap.first}"
    (gap,) = panel_of(without_rows(frame, {"BBB": [(30, 30)]})).gaps  # of its rows one is gone before: the day after
    assert (gap.sessions, gap.tickers, gap.alone) == (2, ("BBB",), False)


def test_a_weekend_that_bitcoin_trades_is_no_gap_and_a_holiday_is():
    frame = pl.concat([daily("BTC", 84), walk(("SPY",))])
    assert panel_of(frame, "SPY").gaps == ()
    holiday = frame.filter(~((pl.col("ticker") == "SPY") & (pl.col("date") == date(2000, 2, 21))))
    assert [(gap.first, gap.sessions) for gap in panel_of(holiday, "SPY").gaps] == [(date(2000, 2, 21), 1)]
    saturday = frame.filter((pl.col("ticker") == "SPY") | (pl.col("date") != date(2000, 1, 15)))
    assert panel_of(saturday, "SPY").gaps == ()


def test_a_saturday_on_which_one_ticker_has_a_bar_is_no_session():
    friday = (pl.col("ticker") == "AAA") & (pl.col("date") == date(2000, 1, 14))
    moved = walk().with_columns(date=pl.when(friday).then(date(2000, 1, 15)).otherwise("date"))
    assert [(gap.first, gap.sessions) for gap in panel_of(moved).gaps] == [(date(2000, 1, 14), 1)]


def gap(at, sessions, *tickers, alone=False):
    return Gap(at, sessions, date(2010, 6, 30), tickers, alone)


@pytest.mark.parametrize(
    ("gaps", "text"),
    [
        ([], ""),
        ([gap(9, 1, "A")], "A has no bar on 1 session from 2010-06-30"),
        ([gap(5, 1, "A"), gap(9, 213, "A")], "A has no bar on 213 sessions from 2010-06-30, the longest of its 2 gaps"),
        ([gap(5, 1, "A"), gap(7, 1, "A", "B"), gap(9, 7, "B")], "B has no bar on 7 sessions from 2010-06-30, the longest of its 2 gaps (3 gaps in all)"),
    ],
)  # fmt: skip
def test_who_causes_gaps_is_named_with_the_longest_and_their_number(gaps, text):
    assert describe_gaps(gaps) == text


def test_the_worst_ticker_has_most_long_gaps_then_most_gaps():
    assert worst([gap(1, 1, "A"), gap(2, 1, "A"), gap(3, 6, "B")]) == "B"
    assert worst([gap(1, 1, "A"), gap(2, 1, "A", "B"), gap(3, 1, "C")]) == "A"


def found(frame, rule="gap"):
    return [(one.ticker, one.on, one.bars) for one in check_bars(frame) if one.rule == rule]


@settings(deadline=None, max_examples=10)
@given(
    seed=st.integers(0, 10**6), ticker=st.sampled_from(("AAA", "MKT")), at=st.integers(8, 80), more=st.integers(0, 3)
)
def test_a_session_that_one_of_two_tickers_lacks_is_found_and_named(seed, ticker, at, more):
    frame = walk(("AAA", "MKT"), sessions=90, seed=seed)
    day = frame["date"][at]
    (finding,) = check_bars(without_rows(frame, {ticker: [(at, at + more)]}))
    assert (finding.ticker, finding.rule, finding.on, finding.bars) == (ticker, "gap", day, more + 1)
    assert finding.evidence == "no bar on this session on which the other ticker trades"


def test_two_clean_tickers_and_bitcoin_beside_a_stock_have_no_gap():
    assert check_bars(walk(("AAA", "MKT"))) == []
    frame = pl.concat([daily("BTC", 84), walk(("SPY",))])
    assert found(frame) == found(frame, "ends early") == []
    assert found(without_rows(frame, {"SPY": [(30, 30)]})) == [("SPY", frame.filter(ticker="SPY")["date"][30], 1)]
    assert found(without_rows(frame, {"BTC": [(39, 41)]})) == [("BTC", date(2000, 2, 11), 1)]  # Friday to Sunday


def test_coins_beside_one_stock_do_not_make_its_weekends_gaps():
    frame = pl.concat([*(daily(name, 84, seed) for seed, name in enumerate(("BTC", "ETH", "SOL"))), walk(("SPY",))])
    assert found(frame.sort("ticker", "date")) == []
