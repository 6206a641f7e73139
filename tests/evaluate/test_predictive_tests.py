import numpy as np
import polars as pl
import pytest
from arch.bootstrap import MCS, StationaryBootstrap
from statsmodels.stats.api import pesaran_timmermann as of_library
from statsmodels.tsa.stattools import diebold_mariano_test

import worlds
from nextday.evaluate import beside, compare, measure
from nextday.evaluate.ask import Ask
from nextday.evaluate.confidence_set import model_confidence_set
from nextday.evaluate.predictive_tests import pesaran_timmermann

# Forecast errors of two models of the series WWWusage, and the p-values that HypothesisTests.jl publishes for them.
ETS = [
    0.002241270, -0.000661906, -1.200002613, -4.000218178, 3.799373533, 3.401005111, -1.199692125, -0.800490048,
    -1.200048999, 3.399847229, 7.000708948, 2.200989241, -4.800165569, -1.201043375, 3.400167556, 3.000709085,
    0.400267950, -6.800169207, -2.401259050, 1.200112198,
]  # fmt: skip
ARIMA = [
    0.1209998, 8.0622269, -0.9189429, -1.7952436, 5.3431277, 2.0459823, -0.6073261, 0.5516816, -0.7633238, 4.1229472,
    5.8785333, 1.2828331, -3.4854233, 1.1971370, 3.1709314, 2.3408457, 0.4962286, -5.9841362, 0.1537114, 0.4207951,
]  # fmt: skip


@pytest.mark.parametrize(("criterion", "known"), [("mse", 0.8871), ("mad", 0.7818)])
def test_the_librarys_diebold_mariano_gives_the_published_values(criterion, known):
    """The simulation of the naive ways rests on it."""
    zero = np.zeros(len(ETS))
    found = diebold_mariano_test(zero, ETS, ARIMA, lags=0, criterion=criterion, harvey_adj=True)
    assert found.pvalue == pytest.approx(known, abs=1e-3)


def directions(actual, predicted):
    found = pesaran_timmermann(pl.DataFrame({"variant": "A", "ticker": "KO", "actual": actual, "predicted": predicted}))
    return found.select("statistic", "p_value").row(0)


def test_pesaran_timmermann_has_size_power_and_an_answer_without_variation():
    rng, drift, days, draws = np.random.default_rng(2), 0.1, 400, 300
    many = pl.DataFrame({
        "variant": "A", "ticker": np.repeat([f"T{at}" for at in range(draws)], days),
        "actual": drift + rng.standard_normal(draws * days), "predicted": drift + rng.standard_normal(draws * days),
    })  # fmt: skip
    assert 0.02 < (pesaran_timmermann(many)["p_value"] < 0.05).mean() < 0.09
    actual = rng.standard_normal(400)
    assert directions(actual, actual + rng.standard_normal(400))[1] < 1e-6
    assert directions(actual, np.ones(400)) == (0.0, 1.0)
    assert directions(np.zeros(400), actual) == (0.0, 1.0)


def test_pesaran_timmermann_of_many_tickers_is_that_of_the_library_for_each():
    """Whole statistics are compared, so that days without a move and missing ones must be left out by both."""
    rng = np.random.default_rng(3)
    tables = []
    for ticker in range(30):
        actual = rng.standard_normal(60)
        predicted = 0.3 * actual + rng.standard_normal(60)
        actual[rng.random(60) < 0.1] = 0.0
        actual[0] = np.nan
        tables.append(pl.DataFrame({"variant": "A", "ticker": f"T{ticker}", "seed": ticker % 2, "actual": actual,
                                    "predicted": predicted}))  # fmt: skip
    found = pesaran_timmermann(pl.concat(tables))
    for table, (statistic, p_value) in zip(tables, found.select("statistic", "p_value").rows(), strict=True):
        kept = table.filter(pl.col("actual").is_finite() & (pl.col("actual") != 0))
        known = of_library(kept["actual"], kept["predicted"], alternative="larger")
        assert (statistic, p_value) == pytest.approx((known.statistic, known.pvalue), rel=1e-9)


def test_the_confidence_set_keeps_the_best_and_survives_identical_columns():
    world = worlds.World(
        tickers=5, days=400, signal=0.2, strengths={"good": 1.0, "twin": 1.0, "bad": 0.0}, bias=0.0, wiggle=0.0
    )
    losses = measure(worlds.draw(world, 0))
    kept = model_confidence_set(losses, block=5)
    assert kept["good"] == kept["twin"] == 1
    assert kept["bad"] < 0.01
    assert kept["bad"] == kept["zero forecast"]  # a forecast of zero under another name
    dead = measure(worlds.draw(worlds.World(bias=0.0, wiggle=0.0, strengths={"A": 0.0, "B": 0.0}), 0))
    assert set(model_confidence_set(dead, block=5).values()) == {1.0}


def contaminated(noises, days=400):
    """The example of arch's documentation as a table: regressions on factors that are seen with more or less noise.

    examples/multiple-comparison_examples.ipynb; here of three tickers of unlike size, each noise drawn for two seeds.
    """
    rng = np.random.default_rng(23456)
    factors = rng.standard_normal((3, 2 * days, 3))
    actual = 0.01 * np.array([[1], [2], [5]]) * (factors @ [1, 0.5, 0.1])
    forecasts = {}
    for noise in noises:
        seen = factors + noise * rng.standard_normal((2, *factors.shape))
        fits = [[np.linalg.lstsq(x[:days], y[:days])[0] for x, y in zip(each, actual, strict=True)] for each in seen]
        forecasts[f"noise {noise}"] = np.einsum("stdf,stf->std", seen[:, :, days:], fits)
    actual = actual[:, days:]
    return pl.concat([worlds.table(name, actual, forecast) for name, forecast in forecasts.items()])


def of_arch(losses, *, block):
    tested = MCS(losses, 0.1, reps=1000, block_size=block, method="max", seed=0)
    tested.compute()
    return tested.pvalues["Pvalue"]


def of_the_paper(losses, *, block):
    """The statistic ``T_max`` and its elimination rule, one model after the other, on the same resampled days."""
    days = [index for ((index,), _) in StationaryBootstrap(block, np.arange(len(losses)), seed=0).bootstrap(1000)]
    left, p_values, largest = list(losses), {}, 0.0
    while len(left) > 1:
        held = losses[left].to_numpy()
        worse = held.mean(axis=0) - held.mean()
        drawn = np.array([held[index].mean(axis=0) - held[index].mean() for index in days]) - worse
        error = np.sqrt((drawn**2).mean(axis=0))
        largest = max(largest, ((drawn / error).max(axis=1) > (worse / error).max()).mean())
        p_values[left.pop((worse / error).argmax())] = largest
    return p_values | {left[0]: 1.0}


@pytest.mark.parametrize("oracle", [of_arch, of_the_paper])
def test_the_confidence_set_of_a_table_is_that_of_its_daily_mean_losses(oracle):
    rows = contaminated([1.2, 1.1, 1.05, 1.0, 0.98, 0.96])
    found = model_confidence_set(measure(rows), block=6.6)
    assert sum(0 < p < 1 for p in found.values()) == 4
    frame = rows.to_pandas()
    frame["zero forecast"], frame["loss"] = frame["actual"] ** 2, (frame["actual"] - frame["predicted"]) ** 2
    scale = frame.groupby("ticker")["zero forecast"].transform("mean")
    frame[["zero forecast", "loss"]] = frame[["zero forecast", "loss"]].div(scale, axis=0)
    daily = frame.groupby(["variant", "origin"])["loss"].mean().unstack("variant")
    daily["zero forecast"] = frame.groupby("origin")["zero forecast"].mean()
    assert found == pytest.approx(dict(oracle(daily, block=7)), abs=1e-9)


def test_everything_beside_the_verdict_is_there_for_any_table():
    world = worlds.World(days=300, tickers=4, seeds=3, signal=0.2, bias=0.0, strengths={"good": 1.0, "none": 0.0})
    rows = worlds.draw(world, 0)
    found = beside(rows, compare(measure(rows), replicates=200))
    assert found.clark_west["good"][1] < 1e-6
    assert found.clark_west["none"][1] > 0.001
    assert found.timing["good"][1] < 1e-6
    assert found.timing["none"][1] > 0.001
    assert found.directions["good"] == (12, 12)
    assert found.directions["none"][1] == 12
    assert [row[0] for row in found.secondary] == ["absolute", "miss"] * 3
    without_seeds = rows.filter(pl.col("seed") == 0).drop("seed")
    assert beside(without_seeds, compare(measure(without_seeds), replicates=50)).directions["good"][1] == 4


def test_the_other_losses_repeat_only_the_contrasts_that_are_asked():
    world = worlds.World(days=200, tickers=3, seeds=3, signal=0.1, strengths={"A": 1.0, "B": 0.5, "C": 0.0})
    rows = worlds.draw(world, 0)
    comparison = compare(measure(rows), replicates=200)
    every = {row[:3]: row[3] for row in beside(rows, comparison).secondary}
    assert len(every) == 2 * 6
    some = beside(rows, comparison, asked=[Ask("C", "A"), Ask("B", None)]).secondary
    assert [row[:3] for row in some] == [
        (loss, *pair) for pair in (("C", "A"), ("B", "zero forecast")) for loss in ("absolute", "miss")
    ]
    for loss, first, second, estimate, _ in some:
        known = -every[loss, second, first] if first == "C" else every[loss, first, second]
        assert estimate == pytest.approx(known, rel=1e-9)
    assert beside(rows, comparison, asked=[]).secondary == ()


def test_the_other_losses_keep_the_benchmark_that_the_comparison_has():
    world = worlds.World(days=200, tickers=3, seeds=3, signal=0.1, strengths={"A": 1.0, "B": 0.5, "C": 0.0})
    rows = worlds.draw(world, 0)
    comparison = compare(measure(rows, benchmark="C"), replicates=200)
    found = beside(rows, comparison, asked=[Ask("A", None), Ask("A", "B")]).secondary
    assert [row[:3] for row in found] == [(loss, "A", second) for second in ("C", "B") for loss in ("absolute", "miss")]
    assert found[0][3] > 0
