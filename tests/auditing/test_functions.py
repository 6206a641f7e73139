"""A function of bars is judged by what it returns of bars whose future, level or past is another."""

import re

import numpy as np
import polars as pl
import pytest

from nextday.auditing.functions import audit_function
from nextday.data import random_walk
from nextday.errors import DataError
from nextday.features import FEATURES

BARS = random_walk(tickers=("KO", "PEP"), sessions=400, seed=4).frame
ACROSS = random_walk(tickers=("SPY",), sessions=400, seed=5).frame["adj_close"]
MARKET = BARS.with_columns(market_adj_close=pl.concat([ACROSS, ACROSS]))
close, adjusted = pl.col("close"), pl.col("adj_close")
move = adjusted.log().diff()


def function_of(**expressions):
    def mine(bars):
        return bars.select("date", "ticker", *(one.over("ticker").alias(name) for name, one in expressions.items()))

    return mine


def codes(findings):
    return {(one.name, one.level, one.code) for one in findings}


def test_no_feature_of_the_catalog_is_found():
    assert audit_function(MARKET, function_of(**{name: one.expression for name, one in FEATURES.items()})) == ()


LEAKS = {
    "tomorrow": (move.shift(-1), r"mine of a day changes when bars of the next day change \(first on 2000-01-10, at 24 of 24 places\)\."),
    "tomorrow's range, filled": ((pl.col("high") / pl.col("low")).log().shift(-1, fill_value=0.0), "bars of the next day change"),
    "a centred mean": (move.rolling_mean(21, center=True), "mine of a day changes when bars of up to 10 later days change"),
    "a window that is shifted": (move.rolling_std(20).shift(-5), "up to 5 later days"),
    "scaled by the whole sample": ((move - move.mean()) / move.std(), r"mine changes with bars of the whole file \(first on 2000-01-04, at 2[34] of 24 places\): it was fitted or scaled on days still to come\."),
    "ranked in the whole sample": (move.rank(), "bars of the whole file"),
    "a backward fill": (move.rolling_mean(60).backward_fill(), "later days change"),
}  # fmt: skip


@pytest.mark.parametrize("what", LEAKS)
def test_a_leak_is_an_alarm(what):
    expression, says = LEAKS[what]
    (found,) = audit_function(BARS, function_of(mine=expression))
    assert (found.name, found.level, found.code) == ("mine", "alarm", "F2")
    assert re.search(says, found.sentence), found.sentence


def test_a_value_of_the_end_of_its_month_is_an_alarm():
    month = pl.col("date").dt.truncate("1mo")
    (found,) = audit_function(BARS, lambda bars: bars.select("date", "ticker", mine=close.sum().over("ticker", month)))
    assert (found.level, found.code) == ("alarm", "F2")
    assert 10 <= found.numbers["reach"] <= 22


def test_what_changes_with_the_number_of_bars_alone_is_an_alarm_of_the_cut():
    (found,) = audit_function(BARS, function_of(mine=move * pl.len()))
    assert (found.level, found.code) == ("alarm", "F1")
    assert "mine of a day changes when later bars are left out" in found.sentence


def test_levels_of_adjusted_prices_are_a_question():
    found = audit_function(BARS, function_of(ratio=adjusted / close, moves=move, level=adjusted.rolling_mean(5)))
    assert codes(found) == {("ratio", "question", "F3"), ("level", "question", "F3")}


def test_what_reads_no_bars_cannot_be_judged_unless_it_is_a_calendar():
    elsewhere = BARS.select("date", "ticker", truth=move.shift(-1).over("ticker"))
    index = BARS.select(
        "date", index=pl.Series(np.random.default_rng(1).normal(size=400)).append(pl.Series([0.0] * 400))
    )
    index = index.head(400)

    def mine(bars):
        day = pl.col("date").dt
        return bars.select(
            "date", "ticker", monday=day.weekday() == 1, season=(day.ordinal_day() / 58.1).sin(), year=day.year(),
            age=(pl.col("date") - pl.date(1990, 1, 1)).dt.total_days(),
        ).join(elsewhere, on=["date", "ticker"], how="left").join(index, on="date", how="left")  # fmt: skip

    assert codes(audit_function(BARS, mine)) == {("truth", "question", "F4"), ("index", "question", "F4")}


def test_what_differs_from_call_to_call_is_a_question_and_the_others_are_judged():
    def mine(bars):
        noise = pl.Series("noise", np.random.default_rng().normal(size=len(bars)))
        return bars.select("date", "ticker", noise, late=move.shift(-1).over("ticker"))

    assert codes(audit_function(BARS, mine)) == {("noise", "question", "F0"), ("late", "alarm", "F2")}


def test_pandas_goes_in_and_out():
    def mine(bars):
        table = bars.set_index(["ticker", "date"])[["close"]]
        by = table["close"].groupby("ticker")
        return table.assign(late=by.shift(-3), before=by.pct_change())

    (found,) = audit_function(BARS.to_pandas(), mine, cuts=8)
    assert (found.name, found.numbers["reach"], found.numbers["places"]) == ("late", 3, 8)


def test_columns_of_the_bars_that_are_passed_on_are_not_judged():
    def mine(bars):
        return bars.with_columns(
            volume=pl.col("volume") / pl.col("volume").max().over("ticker"), late=move.shift(-1).over("ticker")
        )

    assert {one.name for one in audit_function(BARS, mine)} == {"volume", "late"}
    assert {one.name for one in audit_function(BARS, mine, columns=["late"])} == {"late"}


def test_a_leak_on_some_days_needs_more_places():
    days = pl.Series(BARS["date"].unique().sort()[300:304])
    some = function_of(mine=pl.when(pl.col("date").is_in(days.implode())).then(move.shift(-1)).otherwise(move))
    assert audit_function(BARS, some, cuts=6) == ()
    assert codes(audit_function(BARS, some, cuts=200)) == {("mine", "alarm", "F2")}


def test_rows_that_go_with_later_bars_are_missing_values():
    (found,) = audit_function(BARS, lambda bars: bars.select("date", "ticker", past=move.over("ticker")).filter(
        pl.col("date") < pl.col("date").max()))  # fmt: skip
    assert (found.name, found.code) == ("past", "F1")


def test_a_function_that_fails_is_one_line():
    def broken(bars):
        return bars.with_columns(mine=pl.col("nothing"))

    with pytest.raises(
        DataError, match=r'^broken cannot be computed: ColumnNotFoundError: unable to find column "nothing"'
    ):
        audit_function(BARS, broken)
    with pytest.raises(DataError, match=r"returned no column date; it has ticker"):
        audit_function(BARS, lambda bars: bars.select("ticker"))
    with pytest.raises(DataError, match=r"returned more than one row of KO on 2000-01-03"):
        audit_function(BARS, lambda bars: pl.concat([bars, bars]))
    with pytest.raises(DataError, match=r"returned no numeric column besides those of the bars"):
        audit_function(BARS, lambda bars: bars)
    with pytest.raises(DataError, match=r"mine returned no numeric column 'mind'; did you mean mine"):
        audit_function(BARS, function_of(mine=move), columns=["mind"])


def test_a_function_that_refuses_rewritten_bars_is_told_from_one_that_never_works():
    def careful(bars):
        if bars.select((pl.col("close").pct_change().over("ticker").abs() > 0.3).any()).item():
            raise ValueError("jump")
        return bars.select("date", "ticker", mine=move.over("ticker"))

    with pytest.raises(DataError, match="careful works on the bars, but fails on perturbed ones: ValueError: jump"):
        audit_function(BARS, careful)
