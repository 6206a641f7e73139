"""Targets that are never negative: log ranges and absolute returns, their benchmark, their losses, and the control."""

import json
import shutil

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm

import nextday as nd
from nextday.data import align, random_walk
from nextday.errors import StudyError, VerdictError
from nextday.evaluate import measure
from nextday.evaluate.control import read_control
from nextday.models import Key, make_model
from nextday.models.ranges import EwmaRange, GarchVolatility, Har, HarQuantiles
from nextday.samples import Samples, Windows
from nextday.samples.targets import targets_of
from nextday.study import SIZES, Study, Training

NAMES = ("AAA", "BBB", "CCC")
KEY = Key(0, "A", 0)


def persistent(sessions=700, seed=0, tickers=NAMES):
    """Bars whose volatility lasts for weeks, so that there is something to find."""
    rng = np.random.default_rng(seed)
    returns, level = np.empty((len(tickers), sessions)), np.zeros(len(tickers))
    for day in range(sessions):
        level = 0.97 * level + 0.2 * rng.standard_normal(len(tickers))
        returns[:, day] = 0.01 * np.exp(level) * rng.standard_normal(len(tickers))
    frame = random_walk(tickers=tickers, sessions=sessions, seed=seed, returns=returns).frame
    size = pl.col("adj_close").log().diff().abs().over("ticker").fill_null(0.01)
    wide = (size.rolling_mean(3, min_samples=1).over("ticker") * rng.uniform(0.8, 1.2, len(frame))).exp()
    return frame.with_columns(
        high=pl.max_horizontal("open", "close") * wide.sqrt(), low=pl.min_horizontal("open", "close") / wide.sqrt()
    )


def study(target="log_range", **changes):
    values = {
        "name": target, "market": "none", "accept": ["*"], "lookback": 10, "target": target, "seeds": [1, 2],
        "variants": {
            "Ridge-Raw": {"model": "ridge", "features": "raw"}, "Ridge-OHLCV": {"model": "ridge", "features": "ohlcv"},
            "HAR": {"model": "har", "features": "ohlcv"},
        },
    }  # fmt: skip
    return Study.from_values(values | changes)


def run(out, frame=None, **changes):
    bars = persistent() if frame is None else frame
    return nd.run(study(**changes), bars=bars, out=out, workers=0, watch=False, fresh=True)


@pytest.fixture(scope="module")
def found(tmp_path_factory, undrawn):
    return {target: run(tmp_path_factory.mktemp(target), target=target) for target in SIZES}


def test_the_log_range_is_that_of_the_next_session(found):
    rows = found["log_range"].forecasts.filter(variant="HAR")
    bars = persistent().select("date", "ticker", known=(pl.col("high") / pl.col("low")).log())
    joined = rows.join(bars, on=["date", "ticker"], how="left")
    assert (joined["date"] > joined["origin"]).all()
    assert np.allclose(joined["actual"], joined["known"], rtol=0, atol=1e-15)


def test_the_absolute_return_is_that_of_the_return(found):
    panel = align(nd.data.load_bars(persistent()), market="")
    for ticker, values in targets_of(panel, "return").items():
        assert np.array_equal(targets_of(panel, "abs_return")[ticker], np.abs(values), equal_nan=True)
    assert found["abs_return"].forecasts["actual"].min() >= 0


@pytest.mark.parametrize("target", SIZES)
def test_a_rewritten_future_moves_no_earlier_target(target):
    frame = persistent()
    cut = frame["date"].unique().sort()[200]
    late = pl.col("date") > cut
    moved = frame.with_columns(
        high=pl.when(late).then(pl.col("high") * 1.1).otherwise("high"),
        adj_close=pl.when(late).then(pl.col("adj_close") * pl.col("volume")).otherwise("adj_close"),
    )
    before, after = (
        targets_of(align(nd.data.load_bars(one, accept=("*",)), market=""), target) for one in (frame, moved)
    )
    for ticker in NAMES:
        assert np.array_equal(before[ticker][:200], after[ticker][:200])
        assert not np.array_equal(before[ticker][200:-1], after[ticker][200:-1])


@pytest.mark.parametrize("target", SIZES)
def test_no_forecast_sees_past_its_origin(target, tmp_path, remembered):
    frame, split = persistent(sessions=450, tickers=NAMES[:2]), {"scheme": "walk_forward", "folds": 2}
    variants = study().variants | {
        "EWMA": {"model": "ewma_range", "features": "ohlcv"}, "GARCH": {"model": "garch_volatility", "features": "raw"},
    }  # fmt: skip
    chosen = study(target=target, split=split, variants=variants)

    def forecasts(bars, name):
        return pl.read_parquet(nd.forecast(chosen, bars=bars, out=tmp_path / name, workers=0) / "forecasts.parquet")

    plain = forecasts(frame, "plain")
    cut = plain["origin"].unique().sort()[40]
    after = pl.col("date") > cut
    noise = pl.Series(np.random.default_rng(0).uniform(0.9, 1.1, len(frame)))
    moved = frame.with_columns(
        pl.when(after).then(pl.col(name) * noise).otherwise(name).alias(name) for name in ("open", "close", "adj_close")
    ).with_columns(
        high=pl.when(after).then(pl.max_horizontal("open", "high", "close") * 1.01).otherwise("high"),
        low=pl.when(after).then(pl.min_horizontal("open", "low", "close")).otherwise("low"),
    )
    other = forecasts(moved, "moved")
    known = pl.col("origin") <= cut
    assert plain.filter(known)["fold"].unique().to_list() == [0]  # the other fold is fitted on what moved
    assert plain.filter(known)["predicted"].equals(other.filter(known)["predicted"])
    assert not plain.filter(~known)["predicted"].equals(other.filter(~known)["predicted"])


def test_skill_is_against_the_historical_mean_unless_a_study_says_otherwise(found):
    for target in SIZES:
        assert found[target].comparison.losses.benchmark == "HistoricalMean"
        assert "HistoricalMean" in found[target].study.variants
    named = study(variants=study("return").variants | {"Mean": {"model": "historical_mean", "features": "raw"}})
    assert named.verdict.benchmark == "Mean"
    assert list(named.variants) == ["Ridge-Raw", "Ridge-OHLCV", "HAR", "Mean"]
    assert study(verdict={"benchmark": "HAR"}).verdict.benchmark == "HAR"
    assert study("return").verdict.benchmark == ""


def test_ranges_are_found_to_be_predictable_and_nothing_is_said_of_directions(found):
    results = found["log_range"]
    better = {one.first for one in results.comparison.against_benchmark if one.low > 0}
    assert {"HAR", "Ridge-OHLCV"} <= better
    assert results.scores["DirAcc"].count() == results.scores["R2Zero"].count() == 0
    assert results.scores.filter(variant="HAR")["R2Mean"].min() > 0.05
    said = f"{results.verdict}{results.notes}"
    for word in ("leakage", "zero forecast", "prices", "direction", "rank IC"):
        assert word not in said
    page = (results.out / "report.html").read_text()
    assert "DirAcc, %" not in page
    assert "base rate of positive returns" not in page


def test_qlike_is_the_mean_of_its_formula(found):
    rows = found["log_range"].forecasts
    losses = measure(rows, loss="qlike", benchmark="HistoricalMean")
    at = losses.variants.index("HAR")
    own = rows.filter(variant="HAR").with_columns(mean=pl.col("actual").mean().over("ticker"))
    y, f = pl.col("actual") / pl.col("mean"), pl.max_horizontal(pl.col("predicted") / pl.col("mean"), 0.01)
    expected = own.select((y / f + f.log()).mean()).item()
    assert np.isclose(np.nanmean(losses.grid[at]), expected, rtol=1e-9)
    judged = run(found["log_range"].out.parent / "qlike", verdict={"loss": "qlike"})
    assert judged.comparison.losses.loss == "qlike"
    assert {one.first for one in judged.comparison.against_benchmark if one.low > 0} >= {"HAR"}


def test_a_verdict_on_a_table_of_ranges_asks_for_a_benchmark(found):
    rows = found["log_range"].forecasts
    plain = nd.verdict(rows, ask="Ridge-OHLCV - Ridge-Raw")
    assert any("name a benchmark" in one for one in plain.verdict.remarks)
    against = nd.verdict(rows, ask="Ridge-OHLCV - Ridge-Raw", benchmark="HistoricalMean")
    assert not any("name a benchmark" in one for one in against.verdict.remarks)
    assert not against.verdict.parts


def test_the_mean_of_the_target_minimises_qlike():
    rng = np.random.default_rng(0)
    y = rng.gamma(2.0, 0.01, 20_000)
    from nextday.evaluate.losses import LOSSES

    means = [LOSSES["qlike"].of(y[None], np.full((1, len(y)), y.mean() * by)).mean() for by in (0.9, 1.0, 1.1)]
    assert means[1] == min(means)


def test_qlike_of_returns_or_without_a_benchmark_is_refused(found):
    with pytest.raises(VerdictError, match="never negative"):
        measure(pl.DataFrame({
            "variant": ["A", "A"], "ticker": "T", "origin": [1, 2], "actual": [-0.01, 0.02], "predicted": [0.0, 0.01],
        }), loss="qlike")  # fmt: skip
    with pytest.raises(VerdictError, match="name a benchmark"):
        measure(found["log_range"].forecasts, loss="qlike")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"verdict": {"loss": "miss"}}, "miss is of returns; losses of target log_range: squared, absolute, qlike"),
        ({"verdict": {"loss": "rank_ic"}}, "rank_ic is of returns"),
        ({"verdict": {"scale": "predicted"}}, "predicted is the variance of returns, not of target log_range"),
        ({"target": "return", "verdict": {"loss": "qlike"}}, "qlike is of targets that are never negative"),
    ],
)
def test_what_does_not_fit_the_target_is_refused_in_one_line(changes, message):
    with pytest.raises(StudyError) as error:
        study(**changes)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("model", ["persistence", "garch", "har_quantiles"])
def test_models_of_returns_are_refused(model, tmp_path):
    features = {"persistence": "raw", "garch": "raw", "har_quantiles": "ohlcv"}[model]
    variants = {"Own": {"model": model, "features": features}}
    with pytest.raises(StudyError, match=f"model {model} continues the series of .* target log_range is for models of"):
        run(tmp_path, variants=variants, levels=[0.1, 0.9])


def world(count=600, lookback=20, seed=0):
    """Windows of ranges and returns whose volatility persists, and the next range."""
    rng = np.random.default_rng(seed)
    level = np.zeros(count + lookback)
    for day in range(1, len(level)):
        level[day] = 0.95 * level[day - 1] + 0.2 * rng.standard_normal()
    ranges = 0.02 * np.exp(level + 0.3 * rng.standard_normal(len(level)))
    returns = ranges * rng.standard_normal(len(level)) / 2
    rows = np.stack([returns, ranges], axis=1).astype(np.float32)
    windows = Windows(rows[:-1], lookback, ("log_return", "hl_range"))
    parts = [slice(0, 350), slice(350, 450), slice(450, count)]
    return [windows.cut(part.start, part.stop) for part in parts], {
        "range": [rows[lookback:, 1][part].astype(np.float64) for part in parts],
        "return": [rows[lookback:, 0][part].astype(np.float64) for part in parts],
    }


def test_har_is_the_regression_of_statsmodels():
    windows, y = world()
    made = Har().fit_predict(
        *(Samples(x, own) for x, own in zip(windows[:2], y["range"], strict=False)), windows[2], key=KEY
    )

    def means(x):
        own = x.x[..., 1].astype(np.float64)
        return sm.add_constant(np.stack([own[:, -1], own[:, -5:].mean(1), own.mean(1)], axis=1))

    fit = sm.OLS(np.concatenate(y["range"][:2]), np.concatenate([means(x) for x in windows[:2]])).fit()
    assert np.allclose(made.predicted, fit.predict(means(windows[2])), rtol=1e-10)
    assert 1 - np.mean((made.predicted - y["range"][2]) ** 2) / np.var(y["range"][2]) > 0.2


def test_exponential_smoothing_weighs_ranges_by_their_age():
    windows, y = world()
    made = EwmaRange(decay=0.8).fit_predict(
        *(Samples(x, own) for x, own in zip(windows[:2], y["range"], strict=False)), windows[2], key=KEY
    )
    smooth = [pl.Series(own).ewm_mean(alpha=0.2, adjust=True)[-1] for own in windows[2].x[..., 1].astype(np.float64)]
    assert abs(np.corrcoef(made.predicted, smooth)[0, 1] - 1) < 1e-12


def test_the_volatility_of_garch_is_brought_to_the_target_by_a_regression():
    windows, y = world()
    past = [Samples(x, own) for x, own in zip(windows[:2], y["return"], strict=False)]
    quantiles = make_model("garch", {}, training=Training(), device="cpu", levels=(0.25, 0.75)).fit_predict(
        *past, windows[2], key=KEY
    )
    spread = quantiles.quantiles[:, 1] - quantiles.quantiles[:, 0]
    past = [Samples(x, own) for x, own in zip(windows[:2], y["range"], strict=False)]
    made = GarchVolatility().fit_predict(*past, windows[2], key=KEY).predicted
    assert abs(np.corrcoef(made, spread)[0, 1] - 1) < 1e-12  # an affine function of the deviation that GARCH forecasts
    assert abs(made.mean() / y["range"][2].mean() - 1) < 0.3


def test_quantiles_of_har_widen_with_the_range_that_it_forecasts():
    windows, y = world(3000)
    past = [Samples(x, own) for x, own in zip(windows[:2], y["return"], strict=False)]
    made = HarQuantiles(levels=(0.1, 0.9)).fit_predict(*past, windows[2], key=KEY)
    actual = y["return"][2]
    inside = (actual > made.quantiles[:, 0]) & (actual < made.quantiles[:, 1])
    width = made.quantiles[:, 1] - made.quantiles[:, 0]
    wide = width > np.median(width)
    assert abs(inside.mean() - 0.8) < 0.05
    assert abs(inside[wide].mean() - inside[~wide].mean()) < 0.08
    assert np.abs(actual[wide]).mean() > 1.3 * np.abs(actual[~wide]).mean()
    assert made.valid_quantiles.shape == (100, 2)


FOREST = {  # seeded as a network is
    "model": "sklearn", "features": "ohlcv",
    "options": {"estimator": "random_forest", "n_estimators": 30, "min_samples_leaf": 20},
}  # fmt: skip
CONTROL = {
    "name": "control", "seeds": [1, 2, 3, 4, 5],
    "variants": {"HistoricalMean": {"model": "historical_mean", "features": "raw"}, "Forest": FOREST},
    "verdict": {"benchmark": "HistoricalMean", "ask": "Forest - HistoricalMean"},
}  # fmt: skip
BESIDE = {"name": "mine", "variants": {"Forest": FOREST, "Ridge": {"model": "ridge", "features": "raw"}}}


def forest(out, frame, **values):
    return nd.run(study(**values), bars=frame, out=out, workers=0, watch=False)


@pytest.fixture(scope="module")
def beside(tmp_path_factory, undrawn):
    """The results of a study in whose folder a control was run."""
    out, frame = tmp_path_factory.mktemp("beside"), persistent()
    forest(out, frame, **CONTROL)
    return forest(out, frame, target="return", **BESIDE)


def test_a_report_shows_what_the_control_of_its_folder_finds(beside):
    line = next(one for one in beside.verdict.context if one.startswith("Control: "))
    assert line.startswith("Control: on these bars and days the same networks find +")
    assert "Forest against HistoricalMean" in line
    page = (beside.out / "report.html").read_text()
    assert page.count("Control: on these bars and days") == 1
    assert "../control/report.html" in page
    assert "Control: " not in (beside.out.parent / "control" / "report.html").read_text()


def test_a_control_on_other_days_is_not_shown(beside, tmp_path):
    known = beside.comparison.losses.index_hash
    assert read_control(beside.out.parent, beside.study, known).finds
    assert read_control(beside.out.parent, None, known).sentence.startswith("Control: on these bars and days networks")
    trained = beside.study.model_copy(update={"training": Training(max_epochs=1)})
    assert read_control(beside.out.parent, trained, known).sentence.startswith(
        "Control: on these bars and days networks"
    )
    larger = beside.study.variants["Forest"].model_copy(update={"options": {"estimator": "random_forest"}})
    other = beside.study.model_copy(update={"variants": {"Forest": larger}})
    assert read_control(beside.out.parent, other, known).sentence.startswith("Control: on these bars and days networks")
    assert read_control(beside.out.parent, beside.study, "other") is None
    assert read_control(tmp_path, beside.study, known) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"relation": "?"}, "Control: on these bars and days the networks do not find even the next day's log range"),
        ({"relation": "?", "withheld": "too few days"}, "Control: withheld (too few days); it does not show whether"),
    ],
)
def test_a_control_that_finds_nothing_or_withholds_says_so(beside, tmp_path, changes, said):
    shutil.copytree(beside.out.parent / "control", tmp_path / "control")
    file = tmp_path / "control" / "verdict.json"
    values = json.loads(file.read_text())
    for one in values["against_benchmark"]:
        one |= changes
    file.write_text(json.dumps(values))
    found = read_control(tmp_path, beside.study, beside.comparison.losses.index_hash)
    assert found.sentence.startswith(said)
    assert not found.finds


def test_nothing_is_found_where_volatility_is_constant(tmp_path, undrawn):
    results = forest(tmp_path, random_walk(tickers=NAMES, sessions=500, seed=1).frame, **CONTROL)
    assert not any(one.low > 0 for one in results.comparison.against_benchmark)
    found = read_control(tmp_path, None, results.comparison.losses.index_hash)
    assert not found.finds
