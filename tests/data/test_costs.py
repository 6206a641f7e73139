"""Who costs a panel its history, and what is said of it."""

import numpy as np
import polars as pl
import pytest

from nextday.data import align, load_bars, random_walk
from nextday.data.costs import find_costs
from nextday.errors import DataError, StudyError
from nextday.samples import make_folds
from nextday.study import SplitSettings

NAMES = ("KO", "NEWCO", "PEP", "SPY")
FRAME = random_walk(tickers=NAMES, sessions=300, seed=1).frame
ROW = pl.int_range(pl.len()).over("ticker")


def without(rows, *tickers, frame=FRAME):
    return frame.filter(~(pl.col("ticker").is_in(tickers) & rows))


def test_a_young_ticker_is_named_with_what_it_costs():
    frame = without(ROW < 220, "NEWCO")
    assert find_costs(frame, NAMES, "SPY") == (
        "NEWCO begins 2000-11-06 and costs the others 220 of 300 sessions; exclude it with --tickers, or set balance: each",
    )
    assert align(load_bars(frame, accept=("*",))).costs == find_costs(frame, NAMES, "SPY")
    assert align(load_bars(frame, accept=("*",)), tickers=("KO", "PEP")).costs == ()


def test_a_market_is_replaced_and_an_early_end_and_holes_are_told_apart():
    assert find_costs(without(ROW < 220, "SPY"), NAMES, "SPY") == (
        "SPY begins 2000-11-06 and costs the others 220 of 300 sessions; take another market with --market",
    )
    (said,) = find_costs(without(ROW > 99, "PEP"), NAMES, "SPY")
    assert said.startswith("PEP ends 2000-05-19 and costs the others 200 of 300 sessions")
    (said,) = find_costs(without(ROW.is_between(50, 249), "PEP"), NAMES, "SPY")
    assert said.startswith("PEP lacks sessions from 2000-03-13 to 2000-12-15 and costs the others 200 of 300")


def test_who_costs_little_is_not_named():
    assert find_costs(FRAME, NAMES) == ()
    assert find_costs(without(ROW < 70, "NEWCO"), NAMES) == ()  # 70 of 230 is less than a third
    assert len(find_costs(without(ROW < 80, "NEWCO"), NAMES)) == 1


def test_several_young_tickers_are_named_together():
    names = tuple(f"T{at:02d}" for at in range(12))
    frame = without(ROW < 200, "T03", "T07", frame=random_walk(tickers=names, sessions=300, seed=1).frame)
    assert find_costs(frame, names) == (
        "T03, T07 begin on 2000-10-09 or later and cost the others 200 of 300 sessions; exclude them with --tickers, or set balance: each",
    )
    half = without(ROW < 200, *names[:6], frame=random_walk(tickers=names, sessions=300, seed=1).frame)
    assert find_costs(half, names) == ()


def test_holes_that_all_have_are_not_put_down_to_the_youngest():
    names = tuple(f"T{at:02d}" for at in range(40))
    frame = random_walk(tickers=names, sessions=300, seed=1).frame
    holes = pl.Series(np.random.default_rng(0).random(len(frame)) < 0.06)
    assert find_costs(frame.filter(~holes), names) == ()


def test_costs_are_those_of_counting_without_each_ticker():
    rng = np.random.default_rng(3)
    drop = pl.Series(rng.random(len(FRAME)) < np.array([0.05, 0.6, 0.1, 0.02])[np.arange(len(FRAME)) // 300])
    frame = FRAME.filter(~drop)

    def common(names):
        return len(set.intersection(*(set(frame.filter(ticker=name)["date"]) for name in names)))

    now = common(NAMES)
    gains = {name: common([other for other in NAMES if other != name]) - now for name in NAMES}
    said = find_costs(frame, NAMES)
    assert [text.split()[0] for text in said] == sorted(
        (name for name in NAMES if gains[name] >= now / 3), key=lambda name: -gains[name]
    )
    assert f"{gains['NEWCO']} of {now + gains['NEWCO']} sessions" in said[0]


def test_too_few_sessions_name_who_costs_them():
    young = align(load_bars(without(ROW < 280, "NEWCO"), accept=("*",)))
    with pytest.raises(
        StudyError, match=r"at least 10 are needed.*; NEWCO begins 2001-01-29 and costs the others 280 of 300"
    ):
        make_folds(young, SplitSettings(), lookback=10, warmup=20)
    apart = without(ROW >= 150, "KO", "PEP", "SPY", frame=without(ROW < 150, "NEWCO"))
    with pytest.raises(
        DataError, match="have no session in common; NEWCO begins 2000-07-31 and costs the others 150 of"
    ):
        align(load_bars(apart, accept=("*",)))
