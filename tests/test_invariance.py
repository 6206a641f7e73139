"""A unit's result depends on the unit alone."""

import polars as pl
import pytest

import nextday
from nextday.study import Study

KEYS = ["variant", "ticker", "fold", "seed", "origin"]


@pytest.fixture(scope="module")
def alone(bars, quick, tmp_path_factory):
    return nextday.run(
        Study.from_values(quick), bars=bars.frame, out=tmp_path_factory.mktemp("alone"), workers=1
    ).forecasts


@pytest.mark.parametrize("workers", [0, 2])
def test_the_number_of_workers_changes_nothing(bars, quick, alone, tmp_path, workers):
    results = nextday.run(Study.from_values(quick), bars=bars.frame, out=tmp_path, workers=workers)
    assert results.forecasts.equals(alone)


def test_the_order_of_tickers_and_rows_changes_nothing(bars, quick, alone, tmp_path):
    by_date = bars.frame.sort("date", "ticker", descending=[False, True])
    study = Study.from_values({**quick, "tickers": ["BBB", "AAA"]})
    assert nextday.run(study, bars=by_date, out=tmp_path, workers=2).forecasts.sort(KEYS).equals(alone.sort(KEYS))


def test_a_ticker_alone_is_forecast_as_in_company(bars, quick, alone, tmp_path):
    study = Study.from_values({**quick, "tickers": ["BBB"]})
    found = nextday.run(study, bars=bars.frame, out=tmp_path, workers=0).forecasts
    assert found.equals(alone.filter(pl.col("ticker") == "BBB"))


def test_a_variant_and_a_seed_alone_are_forecast_as_in_company(bars, quick, alone, tmp_path):
    one = {"variants": {"LSTM-Raw": quick["variants"]["LSTM-Raw"]}, "conformal": {}}
    study = Study.from_values({**quick, **one, "seeds": [5, 1]})
    found = nextday.run(study, bars=bars.frame, out=tmp_path, workers=0).forecasts
    assert found.filter(pl.col("seed") == 1).equals(alone.filter(pl.col("variant") == "LSTM-Raw"))
    assert not found.filter(pl.col("seed") == 5)["predicted"].equals(found.filter(pl.col("seed") == 1)["predicted"])


def test_a_finished_study_runs_again_from_its_units(bars, quick, alone, tmp_path):
    study = Study.from_values(quick)
    nextday.run(study, bars=bars.frame, out=tmp_path, workers=0)
    outcomes = []
    again = nextday.run(
        study, bars=bars.frame, out=tmp_path, workers=0, watch=lambda stream, _: map_to(outcomes, stream)
    )
    assert all(outcome.reused for outcome in outcomes)
    assert again.forecasts.equals(alone)
    fresh = []
    nextday.run(
        study, bars=bars.frame, out=tmp_path, workers=0, fresh=True, watch=lambda stream, _: map_to(fresh, stream)
    )
    assert not any(outcome.reused for outcome in fresh)


def map_to(seen, stream):
    for outcome in stream:
        seen.append(outcome)
        yield outcome
