"""What a second vintage of a file reveals."""

import polars as pl
import pytest

from nextday.auditing.vintages import compare_vintages
from nextday.data import random_walk
from nextday.errors import DataError

BARS = random_walk(tickers=("KO", "PEP"), sessions=400, seed=4).frame
LAST = BARS["date"].unique().sort()[359]
value = pl.col("close").log().diff()


def vintages(expression):
    """The bars with a column that is computed anew of each vintage."""
    whole = BARS.with_columns(own=expression.over("ticker"))
    return whole, BARS.filter(pl.col("date") <= LAST).with_columns(own=expression.over("ticker"))


def own(expression):
    found = compare_vintages(*vintages(expression))
    assert all(one.name == "own" for one in found)
    return [(one.level, one.code) for one in found], "".join(one.sentence for one in found)


CASES = {
    "unchanged": (value.rolling_mean(5), [], ""),
    "scaled": (
        (value - value.mean()) / value.std(), [("alarm", "V2")],
        r"own changed on 718 of 720 common rows, by one factor and one shift per ticker: rescaled by the whole sample",
    ),
    "ranked": (value.rank() / value.count(), [("alarm", "V3")], "by no common factor: fitted on the whole sample; first KO on 2000"),
    "tomorrow": (
        value.shift(-1), [("alarm", "V4")],
        "own changed on the last day of the older bars only: it reads up to 1 day ahead, or is revised for 1 day",
    ),
    "centred": (
        value.rolling_mean(21, center=True, min_samples=1), [("alarm", "V4")], "it reads up to 10 days ahead",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", CASES)
def test_a_column_that_was_computed_with_later_days_is_found(what):
    expression, expected, says = CASES[what]
    levels, sentence = own(expression)
    assert levels == expected
    assert says in sentence


def test_a_revision_is_a_question_with_both_values():
    whole, older = vintages(value)
    at = (pl.col("ticker") == "PEP") & pl.col("date").is_in([BARS["date"][50], BARS["date"][200]])
    (found,) = compare_vintages(whole.with_columns(own=pl.when(at).then(0.5).otherwise("own")), older)
    assert (found.level, found.code, found.numbers["rows"]) == ("question", "V5", 2)
    assert f"first PEP on {BARS['date'][50]}: " in found.sentence
    assert found.sentence.endswith(" before, 0.5 now.")


def test_of_prices_a_new_factor_is_a_note_and_one_ticker_is_enough():
    split = pl.when(ticker="KO").then(0.5).otherwise(1.0)
    newer = BARS.with_columns(pl.col("adj_close") * split, volume=pl.col("volume") / split)
    found = compare_vintages(newer, BARS.filter(pl.col("date") <= LAST))
    assert [(one.name, one.level, one.code) for one in found] == [
        ("adj_close", "note", "V2"), ("volume", "note", "V2"),
    ]  # fmt: skip
    assert "re-adjusted by a split" in found[0].sentence


def test_a_last_bar_that_was_not_final_excuses_what_is_computed_of_it():
    older = BARS.filter(pl.col("date") <= LAST)
    older = older.with_columns(close=pl.when(pl.col("date") == LAST).then(pl.col("close") * 1.01).otherwise("close"))
    found = compare_vintages(*(frame.with_columns(own=value.over("ticker")) for frame in (BARS, older)))
    assert [(one.name, one.level, one.code) for one in found] == [
        ("close", "question", "V4"), ("own", "question", "V4"),
    ]  # fmt: skip
    assert "the bars of the last day changed as well" in found[1].sentence


def test_rows_that_are_gone_are_noted():
    (found,) = compare_vintages(BARS.filter(pl.col("date") != BARS["date"][7]), BARS)
    assert (found.name, found.level, found.code) == ("", "note", "V1")
    assert found.sentence == "2 rows of the older bars are missing from the newer ones, first KO on 2000-01-12."


def test_what_cannot_be_compared_is_refused():
    older = BARS.filter(pl.col("date") <= LAST)
    with pytest.raises(DataError, match="0 rows of the same ticker and date; at least 20 are needed"):
        compare_vintages(BARS, older.with_columns(ticker=pl.lit("XOM") + pl.col("ticker")))
    with pytest.raises(DataError, match="the newer bars end on .*; exchange them"):
        compare_vintages(older, BARS)
    with pytest.raises(DataError, match="no numeric column 'clos' in both vintages; did you mean close"):
        compare_vintages(BARS, older, ["clos"])


def test_pandas_and_flags_are_compared_too():
    whole, older = vintages(value.fill_null(0) > value.quantile(0.7))
    (found,) = compare_vintages(whole.to_pandas(), older.to_pandas())
    assert (found.name, found.code) == ("own", "V5")
    assert found.numbers["rows"] > 0
