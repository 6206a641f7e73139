"""A unit's result depends on the unit alone."""

import shutil

import polars as pl
import pytest

from nextday.pipeline import forecast
from nextday.study import Study
from suspended import suspended

pytestmark = pytest.mark.usefixtures("remembered")
KEYS = ["variant", "ticker", "fold", "seed", "origin"]


def forecasts(*study, **options):
    return pl.read_parquet(forecast(*study, **options) / "forecasts.parquet")


@pytest.fixture(scope="module", params=["paths", pytest.param("quick", marks=pytest.mark.slow)])
def values(request):
    """A study of each way to a forecast; in slow tests, that of every model."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def finished(bars, values, tmp_path_factory):
    """Return the folder of the study, run to its end."""
    return forecast(Study.from_values(values), bars=bars.frame, out=tmp_path_factory.mktemp("alone"), workers=0)


@pytest.fixture(scope="module")
def alone(finished):
    return pl.read_parquet(finished / "forecasts.parquet")


def test_the_number_of_workers_changes_nothing(bars, quick, values, alone, tmp_path):
    left = set() if values is quick else {"Chronos-Bolt", "Fracast"}  # seconds to import, in each worker; slow tests do
    variants = {name: one for name, one in values["variants"].items() if name not in left}
    found = forecasts(Study.from_values({**values, "variants": variants}), bars=bars.frame, out=tmp_path, workers=2)
    assert found.equals(alone.filter(~pl.col("variant").is_in(left)))


def test_the_order_of_tickers_and_rows_changes_nothing(bars, values, alone, tmp_path):
    by_date = bars.frame.sort("date", "ticker", descending=[False, True])
    study = Study.from_values({**values, "tickers": ["BBB", "AAA"]})
    assert forecasts(study, bars=by_date, out=tmp_path, workers=0).sort(KEYS).equals(alone.sort(KEYS))


def test_a_ticker_alone_is_forecast_as_in_company(bars, values, alone, tmp_path):
    study = Study.from_values({**values, "tickers": ["BBB"]})
    found = forecasts(study, bars=bars.frame, out=tmp_path, workers=0)
    pooled = pl.col("variant").is_in(["LSTM-Pooled", "VAE"])  # of all tickers, by what they are
    assert found.filter(~pooled).equals(alone.filter(~pooled & (pl.col("ticker") == "BBB")))
    assert not found.filter(pooled).equals(alone.filter(pooled & (pl.col("ticker") == "BBB")))


def test_a_suspended_ticker_alone_is_forecast_as_in_company(quick, tmp_path):
    """In company of a ticker without gaps: both have the same days, and those of the suspended one alone."""
    names = ["LSTM-OHLCV", "GARCH", "Ridge-Flat", "Fracast", "RollingMean"]
    few = {**quick, "variants": {name: quick["variants"][name] for name in names}, "conformal": {}}
    frame = suspended({"BBB": [(60, 71), (209, 216)]}, sessions=260).frame
    company = forecasts(Study.from_values(few), bars=frame, out=tmp_path, workers=0)
    found = forecasts(Study.from_values({**few, "tickers": ["BBB"]}), bars=frame, out=tmp_path, workers=0, fresh=True)
    assert found.equals(company.filter(pl.col("ticker") == "BBB"))
    assert found["origin"].unique().sort().equals(company.filter(pl.col("ticker") == "AAA")["origin"].unique().sort())
    whole = forecasts(Study.from_values({**few, "tickers": ["AAA"]}), bars=frame, out=tmp_path, workers=0)
    assert whole["origin"].n_unique() > found["origin"].n_unique()  # it alone has no suspension


def test_a_variant_and_a_seed_alone_are_forecast_as_in_company(bars, values, alone, tmp_path):
    one = {"variants": {"LSTM-OHLCV": values["variants"]["LSTM-OHLCV"]}, "conformal": {}}
    study = Study.from_values({**values, **one, "seeds": [5, 1]})
    found = forecasts(study, bars=bars.frame, out=tmp_path, workers=0)
    assert found.filter(pl.col("seed") == 1).equals(alone.filter(pl.col("variant") == "LSTM-OHLCV"))
    assert not found.filter(pl.col("seed") == 5)["predicted"].equals(found.filter(pl.col("seed") == 1)["predicted"])


def test_a_finished_study_runs_again_from_its_units(bars, values, finished, alone, tmp_path):
    study = Study.from_values(values)
    shutil.copytree(finished, tmp_path / finished.name)
    outcomes = []
    again = forecasts(study, bars=bars.frame, out=tmp_path, workers=0, watch=lambda stream, _: map_to(outcomes, stream))
    assert outcomes
    assert all(outcome.reused for outcome in outcomes)
    assert again.equals(alone)
    fresh = []
    anew = forecasts(
        study, bars=bars.frame, out=tmp_path, workers=0, fresh=True, watch=lambda stream, _: map_to(fresh, stream)
    )
    assert not any(outcome.reused for outcome in fresh)
    assert anew.equals(alone)


def map_to(seen, stream):
    for outcome in stream:
        seen.append(outcome)
        yield outcome
