"""Rewrite the future: nothing before it may move. The whole path, from bars to forecasts, for every model."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from nextday.data import align, load, load_bars, random_walk
from nextday.engine import Stacked, Workers, make_plan
from nextday.engine.worker import fit
from nextday.models import MODELS
from nextday.models.networks import training
from nextday.pipeline import forecast
from nextday.settings import BarsSettings
from nextday.study import Study
from retrained import trained_once
from suspended import suspended

pytestmark = pytest.mark.usefixtures("remembered", "once")
SLOW = pytest.mark.slow
STUDIES = ["paths", pytest.param("quick", marks=SLOW)]  # each way to a forecast; every model of the catalog
SUSPENDED = {"BBB": [(60, 71), (209, 216)]}  # rows; the last ones are of the test range
REWRITTEN = [("noise", "quick"), ("garbage", "paths"), ("doubled", "paths")]
REWRITTEN += [pytest.param(how, "quick", marks=SLOW) for how in ("garbage", "doubled")]


@pytest.fixture(scope="module")
def bars():
    """Few sessions: of 26 origins six come after what is rewritten. On this walk ARIMA and boosting find something."""
    return random_walk(tickers=("AAA", "BBB", "MKT"), sessions=160, seed=9)


@pytest.fixture(scope="module")
def studies(quick, paths):
    """The studies that tests name."""
    return {"quick": quick, "paths": paths}


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
        values["high"] *= pl.Series(np.random.default_rng(8).uniform(1, 1.2, n))  # ranges, too
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
def once():
    """Networks are trained once for the same samples, so that a rewritten test range costs no training."""
    with trained_once() as train:
        yield train


@pytest.fixture(scope="module")
def original(bars, quick, tmp_path_factory):
    return forecasts_of(bars.frame, quick, tmp_path_factory.mktemp("original"))


def test_the_quick_study_holds_every_model_of_the_catalog(quick):
    assert {variant["model"] for variant in quick["variants"].values()} == set(MODELS)


def of(original, study):
    """Return what a study has of the forecasts of the whole."""
    return original.filter(pl.col("variant").is_in([*study["variants"], *study["conformal"]]))


@pytest.mark.parametrize(("how", "name"), REWRITTEN)
def test_no_forecast_sees_past_its_origin(bars, studies, original, tmp_path, how, name):
    original = of(original, studies[name])
    date = original["origin"].unique().sort()[20]
    rewritten = forecasts_of(rewrite(bars.frame, date, how), studies[name], tmp_path)
    known = pl.col("origin") <= date
    assert rewritten.filter(known).equals(original.filter(known))
    assert not rewritten.filter(~known).equals(original.filter(~known))


@pytest.mark.parametrize("name", STUDIES)
def test_no_forecast_sees_past_a_suspension(studies, name, tmp_path):
    """What is rewritten begins within a gap of the test range: the return over it, too, is later than what is known."""
    frame, study = suspended(SUSPENDED, sessions=260).frame, studies[name]
    original = forecasts_of(frame, study, tmp_path)
    origins = original["origin"].unique().sort()
    before = origins[int(origins.diff().dt.total_days().arg_max()) - 1]
    gap = frame.filter((pl.col("ticker") == "AAA") & (pl.col("date") > before))["date"][2]
    rewritten = forecasts_of(rewrite(frame, gap, "noise"), study, tmp_path)
    known = pl.col("origin") <= gap
    assert origins[10] < before < origins[-10]
    assert rewritten.select("variant", "ticker", "origin", "date").equals(
        original.select("variant", "ticker", "origin", "date")
    )
    assert rewritten.filter(known).equals(original.filter(known))
    constant = {"Zero", "HistoricalMean", "ConstantQuantile", "ARIMA"}  # ARIMA chooses the order (0, 0, 0)
    for variant in {*study["variants"]} - constant:
        own = (pl.col("variant") == variant) & ~known
        assert not rewritten.filter(own).equals(original.filter(own)), variant


def test_no_forecast_of_a_stack_sees_past_its_origin(bars, quick, tmp_path, monkeypatch):
    stacks = Stacked(Workers(0), device="cpu", slots=3)
    monkeypatch.setattr("nextday.pipeline.choose_engine", lambda workers, device: stacks)
    names = ("LSTM-OHLCV", "Trans-Prob", "LSTM-Pooled", "LSTM-Both", "GRU-OHLCV", "MLP-Feat")
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
        pl.when(moved).then(pl.col(name) * 1.1).otherwise(name).alias(name) for name in ("adj_close", "high")
    )
    rewritten = forecasts_of(frame, quick, tmp_path).filter(pl.col("origin") == date)
    before = original.filter(pl.col("origin") == date)
    forecast = pl.struct(pl.exclude("variant", "ticker", "fold", "seed", "origin", "date")).alias("forecast")
    moved = rewritten.select(forecast).to_series().ne_missing(before.select(forecast).to_series())
    constant = {"Zero", "HistoricalMean", "ConstantQuantile"}
    assert set(rewritten.filter(moved)["variant"]) == {*quick["variants"], *quick["conformal"]} - constant


@pytest.mark.parametrize("name", STUDIES)
def test_walking_forward_no_forecast_sees_past_its_origin(bars, studies, name, tmp_path):
    """Two folds: the later one trains on what the earlier one was tested on, and still sees nothing of its own future."""
    walk = {**studies[name], "split": {"scheme": "walk_forward", "folds": 2}}
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
    last = (pl.col("fold") == 1) & ~known
    assert not rewritten.filter(last).equals(original.filter(last))


@pytest.mark.parametrize(("how", "name"), REWRITTEN)
def test_nothing_after_valid_reaches_scaler_epochs_or_weights(bars, studies, once, how, name, monkeypatch):
    study = Study.from_values(studies[name])
    plan = make_plan(study, align(bars, market="MKT"))
    fold = plan.folds["AAA", 0]
    last_target = align(bars, market="MKT").dates[fold.origins[fold.split.valid.stop - 1] + 1]
    changed = load_bars(rewrite(bars.frame, last_target, how), accept=("*",))
    other = make_plan(study, align(changed, market="MKT"))
    for unit in plan.units:
        before, after = plan.job(unit), other.job(unit)
        np.testing.assert_array_equal(before.train.windows.rows, after.train.windows.rows)
        np.testing.assert_array_equal(before.valid.windows.rows, after.valid.windows.rows)
        if plan.models[unit.variant].seeded:
            assert not np.array_equal(before.test.rows, after.test.rows)
            one = fit(before)
            with monkeypatch.context() as patch:
                patch.setattr(training, "train", once)  # in any case
                two = fit(after)
            assert one.best_epoch == two.best_epoch
            np.testing.assert_array_equal(one.valid_loss, two.valid_loss)
            assert all(np.array_equal(value, two.weights[name]) for name, value in one.weights.items())


@pytest.mark.parametrize("name", STUDIES)
def test_the_level_of_prices_does_not_matter(bars, studies, name, original, tmp_path):
    sevenfold = [
        pl.when(pl.col("ticker") == "AAA").then(pl.col(name) * 7).otherwise(name).alias(name)
        for name in ("open", "high", "low", "close", "adj_close")
    ]
    rescaled = forecasts_of(bars.frame.with_columns(sevenfold), studies[name], tmp_path)
    for variant in studies[name]["variants"]:
        chosen = pl.col("variant") == variant
        assert rescaled.filter(chosen).equals(original.filter(chosen)), variant


@pytest.fixture(scope="module")
def further(bars):
    """Values of a further file: of all days, weekends too, for each ticker."""
    days = pl.date_range(bars.frame["date"].min() - timedelta(9), bars.frame["date"].max(), eager=True).alias("date")
    keys = pl.DataFrame(days).join(pl.DataFrame({"ticker": bars.tickers}), how="cross")
    rng = np.random.default_rng(2)
    return keys.with_columns(signal=rng.normal(size=len(keys)), other=rng.normal(size=len(keys)))


def further_file(table, tmp_path, name, **settings):
    table.write_parquet(tmp_path / name)
    return {"file": str(tmp_path / name), "lag": 0} | settings


def joined(bars, table, tmp_path, **settings):
    also = further_file(table, tmp_path, "more.parquet", **settings)
    return load(BarsSettings(market="MKT", accept="*", also=[also]), bars.frame).frame


@pytest.mark.parametrize("lag", [0, 1, 4])
@pytest.mark.parametrize("fill", ["none", "forward"])
@pytest.mark.parametrize("alone", ["by date alone", "by ticker"])
def test_no_row_sees_a_value_of_a_further_file_before_it_is_known(bars, further, tmp_path, lag, fill, alone):
    """Also of weekends: what is dated after a session is known at the close of the next one, at the earliest."""
    rng = np.random.default_rng(lag)
    values = further.filter(pl.Series(rng.random(len(further)) < 0.3))
    values = values if alone == "by ticker" else values.filter(ticker="AAA").drop("ticker")
    sessions = bars.frame["date"].unique().sort()
    for at in (50, 51, 52, 53, 54):  # one of each weekday
        date = sessions[at]
        noise = values.with_columns(
            pl.when(pl.col("date") > date).then(pl.col(name) * 9 + 1).otherwise(name).alias(name)
            for name in ("signal", "other")
        )
        before, after = (joined(bars, table, tmp_path, lag=lag, fill=fill) for table in (values, noise))
        known = pl.col("date") <= sessions[at + lag]
        assert after.filter(known).equals(before.filter(known))
        assert before.filter(known)["signal"].drop_nulls().len() > 20
        assert not after.filter(~known).equals(before.filter(~known))


@pytest.mark.parametrize("lag", [0, 2])
def test_no_forecast_sees_a_value_of_a_further_file_before_it_is_known(bars, quick, further, tmp_path, lag):
    names = ("LSTM-OHLCV", "Ridge-Flat")
    variants = {name: {**quick["variants"][name], "features": "mine"} for name in names}
    few = {**quick, "variants": variants, "conformal": {}, "feature_sets": {"mine": ("log_return", "signal")}}

    def forecasts(table):
        settings = further_file(table.drop("other"), tmp_path, "more.parquet", lag=lag, fill="forward")
        return forecasts_of(bars.frame, {**few, "also": [settings]}, tmp_path)

    original = forecasts(further)
    origins = original["origin"].unique().sort()
    date = origins[20]
    moved = forecasts(further.with_columns(signal=pl.when(pl.col("date") > date).then(3.0).otherwise("signal")))
    known = pl.col("origin") <= origins[20 + lag]
    assert moved.filter(known).equals(original.filter(known))
    after = pl.col("origin") == origins[21 + lag]  # the reverse: the value is used as soon as it is known
    changed = moved.filter(after)["predicted"] != original.filter(after)["predicted"]
    assert changed.all()
