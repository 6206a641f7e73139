"""Rewrite the future: nothing before it may move. The whole path, from bars to forecasts, for every model."""

import numpy as np
import polars as pl
import pytest

from nextday.data import align, load_bars
from nextday.engine import Stacked, Workers, make_plan
from nextday.engine.worker import fit
from nextday.models import MODELS
from nextday.pipeline import forecast
from nextday.study import Study


def rewrite(frame: pl.DataFrame, after, how: str) -> pl.DataFrame:
    """Replace all bars after a date by noise, by garbage, or by doubled prices; they stay bars."""
    rng = np.random.default_rng(9)
    future = pl.col("date") > after
    n = len(frame)
    if how == "doubled":
        values = {name: pl.col(name) * 2 for name in ("open", "high", "low", "close", "adj_close")}
    elif how == "noise":
        factor = pl.Series(np.exp(rng.normal(0, 0.2, n)))
        values = {name: pl.col(name) * factor for name in ("open", "high", "low", "close")}
        values |= {"adj_close": pl.col("adj_close") * pl.Series(np.exp(rng.normal(0, 0.2, n)))}
        values |= {"volume": pl.col("volume") * pl.Series(rng.uniform(0, 3, n))}
    else:
        low = pl.Series(rng.uniform(1e-6, 1e6, n))
        values = {
            "open": low,
            "low": low,
            "high": low * 1000,
            "close": low * 500,
            "adj_close": pl.Series(rng.uniform(1e-6, 1e6, n)),
        }
        values |= {"volume": pl.Series(rng.choice([0.0, 1e15], n))}
    return frame.with_columns(
        pl.when(future).then(new).otherwise(pl.col(name)).alias(name) for name, new in values.items()
    )


def forecasts_of(frame, quick, tmp_path, **options):
    folder = forecast(Study.from_values(quick), bars=frame, out=tmp_path, workers=0, fresh=True, **options)
    return pl.read_parquet(folder / "forecasts.parquet").drop("actual")


@pytest.fixture(scope="module")
def original(bars, quick, tmp_path_factory):
    return forecasts_of(bars.frame, quick, tmp_path_factory.mktemp("original"))


def test_the_quick_study_holds_every_model_of_the_catalog(quick):
    assert {variant["model"] for variant in quick["variants"].values()} == set(MODELS)


@pytest.mark.parametrize("how", ["noise", "garbage", "doubled"])
def test_no_forecast_sees_past_its_origin(bars, quick, original, tmp_path, how):
    date = original["origin"].unique().sort()[20]
    rewritten = forecasts_of(rewrite(bars.frame, date, how), quick, tmp_path)
    known = pl.col("origin") <= date
    assert rewritten.filter(known).equals(original.filter(known))
    assert not rewritten.filter(~known).equals(original.filter(~known))


def test_no_forecast_of_a_stack_sees_past_its_origin(bars, quick, tmp_path, monkeypatch):
    stacks = Stacked(Workers(0), device="cpu", slots=3)
    monkeypatch.setattr("nextday.pipeline.choose_engine", lambda workers, device: stacks)
    names = ("LSTM-OHLCV", "Trans-Prob", "LSTM-Pooled")
    few = {**quick, "variants": {name: quick["variants"][name] for name in names}, "conformal": {}}
    original = forecasts_of(bars.frame, few, tmp_path)
    date = original["origin"].unique().sort()[20]
    rewritten = forecasts_of(rewrite(bars.frame, date, "noise"), few, tmp_path)
    known = pl.col("origin") <= date
    assert rewritten.filter(known).equals(original.filter(known))
    assert not rewritten.filter(~known).equals(original.filter(~known))


def test_the_bar_at_the_origin_is_used(bars, quick, original, tmp_path):
    """The reverse: a hidden extra lag would leave these forecasts where they were."""
    date = original["origin"].unique().sort()[20]
    moved = pl.col("date") == date
    frame = bars.frame.with_columns(
        pl.when(moved).then(pl.col("adj_close") * 1.1).otherwise("adj_close").alias("adj_close"),
    )
    rewritten = forecasts_of(frame, quick, tmp_path).filter(pl.col("origin") == date)
    before = original.filter(pl.col("origin") == date)
    forecast = pl.struct(pl.exclude("variant", "ticker", "fold", "seed", "origin", "date")).alias("forecast")
    moved = rewritten.select(forecast).to_series().ne_missing(before.select(forecast).to_series())
    constant = {"Zero", "HistoricalMean", "ConstantQuantile"}
    assert set(rewritten.filter(moved)["variant"]) == {*quick["variants"], *quick["conformal"]} - constant


def test_walking_forward_no_forecast_sees_past_its_origin(bars, quick, tmp_path):
    """Three folds: a later fold trains on what an earlier one was tested on, and still sees nothing of its own future."""
    walk = {**quick, "split": {"scheme": "walk_forward", "folds": 3}}
    original = forecasts_of(bars.frame, walk, tmp_path)
    assert (
        original.group_by("variant", "ticker", "seed").agg(pl.col("origin").is_duplicated().any())["origin"].any()
        is False
    )
    origins = original.filter(pl.col("fold") == 1)["origin"].unique().sort()
    date = origins[len(origins) // 2]
    rewritten = forecasts_of(rewrite(bars.frame, date, "noise"), walk, tmp_path)
    known = pl.col("origin") <= date
    assert rewritten.filter(known).equals(original.filter(known))
    last = pl.col("fold") == 2
    assert not rewritten.filter(last).equals(original.filter(last))


@pytest.mark.parametrize("how", ["noise", "garbage", "doubled"])
def test_nothing_after_valid_reaches_scaler_epochs_or_weights(bars, quick, how):
    plan = make_plan(Study.from_values(quick), align(bars, market="MKT"))
    fold = plan.folds["AAA", 0]
    last_target = align(bars, market="MKT").dates[fold.origins[fold.split.valid.stop - 1] + 1]
    changed = load_bars(rewrite(bars.frame, last_target, how), accept=("*",))
    other = make_plan(Study.from_values(quick), align(changed, market="MKT"))
    for unit in plan.units:
        before, after = plan.job(unit), other.job(unit)
        np.testing.assert_array_equal(before.train.windows.rows, after.train.windows.rows)
        np.testing.assert_array_equal(before.valid.windows.rows, after.valid.windows.rows)
        if plan.models[unit.variant].seeded:
            assert not np.array_equal(before.test.rows, after.test.rows)
            one, two = fit(before), fit(after)
            assert one.best_epoch == two.best_epoch
            np.testing.assert_array_equal(one.valid_loss, two.valid_loss)
            assert all(np.array_equal(value, two.weights[name]) for name, value in one.weights.items())


def test_the_level_of_prices_does_not_matter(bars, quick, original, tmp_path):
    sevenfold = [
        pl.when(pl.col("ticker") == "AAA").then(pl.col(name) * 7).otherwise(name).alias(name)
        for name in ("open", "high", "low", "close", "adj_close")
    ]
    rescaled = forecasts_of(bars.frame.with_columns(sevenfold), quick, tmp_path)
    for variant in quick["variants"]:
        chosen = pl.col("variant") == variant
        assert rescaled.filter(chosen).equals(original.filter(chosen)), variant
