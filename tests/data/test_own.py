"""Columns of one's own: how much is there, and what a run would refuse."""

from contextlib import nullcontext

import numpy as np
import polars as pl
import pytest

from nextday.data import align, load_bars, random_walk
from nextday.data.own import describe_own
from nextday.errors import NextdayError
from nextday.features import compute_features

ROW = pl.int_range(pl.len()).over("ticker")
FRAME = random_walk(tickers=("AAA", "BBB", "MKT"), sessions=80, seed=3).frame
LATE = pl.when(ROW >= 30).then(pl.col("close"))
COLUMNS = {
    "whole": pl.col("close"),
    "late": LATE,
    "hole": pl.when(ROW != 60).then(LATE),
    "absent": pl.when(pl.col("ticker") == "AAA").then("close"),
    "still": pl.lit(2),
    "endless": pl.when(ROW == 70).then(np.inf).otherwise("close"),
    "flag": pl.col("close") > pl.col("open"),
    "note": pl.lit("x"),
}
OWN = load_bars(FRAME.with_columns(**COLUMNS), accept=("*",))


def described(name):
    return [one for one in describe_own(OWN.frame, ("AAA", "BBB")) if one.column == name]


def test_missing_values_are_counted_by_ticker_with_the_first_that_is_there():
    late, other = described("late")
    assert (late.ticker, late.bars, late.missing, str(late.first), late.holes) == ("AAA", 80, 30, "2000-02-14", 0)
    assert other.ticker == "BBB"
    assert [(one.missing, one.holes) for one in described("hole")] == [(31, 1), (31, 1)]
    assert [one.missing for one in described("absent")] == [0, 80]


def test_what_a_run_refuses_is_remarked_and_nothing_else():
    """The remarks agree with what the features say of the same columns."""
    remarks = {name: "; ".join(filter(None, {one.remark for one in described(name)})) for name in COLUMNS}
    assert remarks == {
        "whole": "", "late": "", "hole": "1 value missing after the first: refused as a feature",
        "absent": "no value: refused as a feature", "still": "never moves",
        "endless": "1 value not finite: refused as a feature", "flag": "", "note": "no number: cannot be a feature",
    }  # fmt: skip
    panel = align(OWN, market="MKT")
    for name, remark in remarks.items():
        expected = "refused" in remark or "cannot" in remark
        with pytest.raises(NextdayError) if expected else nullcontext():
            compute_features(panel, (name,))


def test_plain_values_are_those_of_json():
    (late, _) = described("late")
    assert late.as_dict()["first"] == "2000-02-14"
    assert described("absent")[1].as_dict() | {"bars": 0} == {
        "column": "absent", "ticker": "BBB", "bars": 0, "missing": 80, "first": None, "holes": 0, "infinite": 0,
        "still": False, "remark": "no value: refused as a feature",
    }  # fmt: skip
