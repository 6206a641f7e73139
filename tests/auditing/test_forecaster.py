"""A forecast that changes with bars after its origin uses them."""

import numpy as np
import polars as pl
import pytest

from auditing.pipelines import FLAWED, clean, label_off_by_one, pipeline
from nextday.auditing.forecaster import audit_forecaster
from nextday.data import random_walk
from nextday.errors import DataError

BARS = random_walk(tickers=("KO", "PEP"), sessions=400, seed=4).frame


def test_a_pipeline_without_a_flaw_passes():
    assert audit_forecaster(BARS, pipeline(clean)) == ()


@pytest.mark.parametrize("what", FLAWED)
def test_a_flawed_pipeline_is_found(what):
    (found,) = audit_forecaster(BARS, pipeline(FLAWED[what], "LSTM"))
    assert (found.name, found.level, found.code) == ("LSTM", "alarm", "F5")
    assert found.sentence.startswith("LSTM: its forecasts of a day change when bars of ")
    ahead = what == "the row of tomorrow as input"
    assert found.sentence.endswith(
        "its inputs have rows of days still to come."
        if ahead
        else "something is fitted, scaled, selected or stopped on days still to come."
    )
    assert ("bars of the next day change" in found.sentence) is ahead


def test_a_label_of_today_uses_no_later_bars():
    """It is found in the table of forecasts, not by perturbing bars."""
    assert audit_forecaster(BARS, pipeline(label_off_by_one)) == ()


def test_each_variant_is_judged_by_itself():
    good, bad = pipeline(clean, "clean"), pipeline(FLAWED["a shuffled split"], "shuffled")
    (found,) = audit_forecaster(BARS, lambda bars: pl.concat([good(bars), bad(bars)]))
    assert found.name == "shuffled"
    assert found.numbers == {"reach": found.numbers["reach"], "moved": 4, "places": 4}


def test_forecasts_of_pandas_without_a_variant_are_those_of_their_dates():
    def late(bars):
        close = bars.groupby("ticker")["adj_close"]
        table = bars[["ticker", "date"]].assign(predicted=close.shift(-1) / bars["adj_close"] - 1)
        return table.dropna()

    (found,) = audit_forecaster(BARS.to_pandas(), late)
    assert found.name == "forecasts"
    assert found.sentence.startswith("the forecasts of a day change when bars of the next day change (first on 2000-")


def test_what_cannot_be_judged_is_a_question():
    def drawn(bars):
        return bars.select("ticker", "date", predicted=pl.Series(np.random.default_rng().normal(size=len(bars))))

    fixed = BARS.select("ticker", "date", predicted="adj_close")
    constant = BARS.select("ticker", "date", predicted=pl.lit(0.0))
    (found,) = audit_forecaster(BARS, drawn)
    assert (found.level, found.code) == ("question", "F0")
    (found,) = audit_forecaster(BARS, lambda bars: fixed)
    assert (found.level, found.code) == ("question", "F4")
    assert audit_forecaster(BARS, lambda bars: constant) == ()


def test_a_forecaster_that_fails_is_one_line():
    def broken(bars):
        raise ValueError("no such day\nand more")

    with pytest.raises(DataError, match=r"^broken cannot be computed: ValueError: no such day$"):
        audit_forecaster(BARS, broken)
    with pytest.raises(DataError, match="returned no column predicted"):
        audit_forecaster(BARS, lambda bars: bars)
    with pytest.raises(DataError, match="returned int; expected a frame with ticker and date"):
        audit_forecaster(BARS, lambda bars: 3)
