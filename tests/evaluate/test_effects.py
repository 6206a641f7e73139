"""Effects of designs: their errors from days and seeds, where two seeds a run suffice, and where one does."""

import numpy as np
import polars as pl
import pytest

from nextday.designs import DESIGNS
from nextday.evaluate import compare, judge, measure
from nextday.evaluate.ask import Ask, Subject
from nextday.evaluate.contrasts import relation
from nextday.evaluate.parts import split

GROUPS = [f"g{at}" for at in range(7)]


def world(seed, *, design="orthogonal", seeds=2, tickers=4, days=250, scatter=0.3, gain=0.0, shared=0.0):
    """Forecasts of every run: a bias that a training draws, one that all runs of a seed share, and a gain of the first group."""
    rng = np.random.default_rng(seed)
    runs = DESIGNS[design].runs(len(GROUPS))
    origins = pl.date_range(pl.date(2015, 1, 1), pl.date(2015, 1, 1) + pl.duration(days=days - 1), eager=True)
    market = 0.5 * rng.standard_normal(days)
    signal = rng.standard_normal((tickers, days))
    actual = gain * signal + market + rng.standard_normal((tickers, days))
    common = shared * rng.standard_normal((seeds, tickers, days))
    predicted = np.empty((len(runs), seeds, tickers, days))
    for number, s, t in np.ndindex(predicted.shape[:3]):
        wave = scatter * rng.standard_normal() * np.sin(np.arange(days) / 30 + rng.uniform(0, 6))
        own = gain * runs[number][0] * signal[t]
        predicted[number, s, t] = common[s, t] + wave + scatter * rng.standard_normal() + own
    each = dict(zip(("variant", "seed", "ticker"), np.indices(predicted.shape).reshape(4, -1), strict=False))
    rows = pl.DataFrame(
        {**each, "actual": np.broadcast_to(actual, predicted.shape).ravel(), "predicted": predicted.ravel()}
    )
    return runs, rows.with_columns(
        pl.format("r{}", pl.col("variant").cast(pl.String).str.zfill(2)).alias("variant"),
        pl.format("T{}", "ticker").alias("ticker"),
        origin=pl.Series(np.tile(origins.to_numpy(), rows.height // days)),
    )


def effects(runs, rows, design="orthogonal", *, explore=(), replicates=500):
    weights = DESIGNS[design].effects(runs)
    names = [f"r{number:02d}" for number in range(len(runs))]
    asks = [
        Ask(group, "", terms=tuple(zip(names, row.tolist(), strict=True)), kind="effect", model="lstm")
        for group, row in zip(GROUPS, weights, strict=True)
    ]
    alike = [names]
    return compare(
        measure(rows, parts=True), ask=asks, alike=alike, explore=explore, others={}, other_blocks=(), replicates=replicates
    )  # fmt: skip


def test_a_run_with_an_exploded_training_is_named():
    runs, rows = world(0)
    said = " ".join(judge(effects(runs, rows)).remarks)
    assert "outlier" not in said
    wild = (pl.col("variant") == "r03") & (pl.col("ticker") == "T1") & (pl.col("seed") == 0)
    noise = pl.Series(np.random.default_rng(1).standard_normal(len(rows)))
    rows = rows.with_columns(predicted=pl.when(wild).then(pl.col("predicted") + 3 * noise).otherwise("predicted"))
    said = " ".join(judge(effects(runs, rows)).remarks)
    assert "r03 has a training that is an outlier among all runs; an effect that rests on few runs" in said


def test_an_effect_is_the_weighted_sum_of_skills():
    runs, rows = world(0, gain=0.3)
    found = effects(runs, rows)
    skill = {one.first: one.estimate for one in compare(measure(rows), replicates=10).against_benchmark}
    skills = np.array([skill[f"r{number:02d}"] for number in range(len(runs))])
    assert [one.estimate for one in found.asked] == pytest.approx(
        (DESIGNS["orthogonal"].effects(runs) @ skills).tolist()
    )
    assert [relation(one) for one in found.asked[:1]] == [">"]


def test_penalty_and_signal_of_an_effect_sum_to_it():
    runs, rows = world(1, gain=0.3)
    found = effects(runs, rows)
    for one, contrast in zip(split(found, replicates=50), found.asked, strict=True):
        assert one.penalty + one.signal == pytest.approx(contrast.estimate, abs=1e-12)
        assert one.name == contrast.first


@pytest.mark.parametrize("design", ["orthogonal", "leave_one_out"])
def test_with_two_seeds_the_seed_error_is_that_of_many(design):
    """From all runs together; that of twenty seeds estimates it well. Means over worlds, as losses are skewed."""

    def squares(worlds, **size):
        found = (effects(*world(number, design=design, **size), design, replicates=100) for number in range(worlds))
        return np.mean([size["seeds"] * one.seed_error**2 for each in found for one in each.asked])

    of_two, of_twenty = (squares(worlds, seeds=seeds, days=60, tickers=3) for seeds, worlds in ((2, 20), (20, 4)))
    assert of_two == pytest.approx(of_twenty, rel=0.4)


def test_what_all_runs_of_a_seed_share_cancels():
    plain, shifted = (effects(*world(4, shared=shared)) for shared in (0.0, 0.5))
    errors = [np.mean([one.seed_error for one in found.asked]) for found in (plain, shifted)]
    assert errors[1] < 1.6 * errors[0]


def test_one_seed_is_enough_where_the_design_has_a_residual_and_withheld_where_it_has_none():
    runs, rows = world(5, seeds=1)
    found = effects(runs, rows)
    two = effects(*world(5, seeds=2))
    assert not any(one.withheld for one in found.asked)
    of_one, of_two = (np.mean([one.seed_error for one in each.asked]) for each in (found, two))
    assert of_one == pytest.approx(of_two * np.sqrt(2), rel=0.6)  # 8 degrees of freedom
    bare = effects(*world(5, design="leave_one_out", seeds=1), "leave_one_out")
    assert all(one.withheld.endswith("has 1 seed, 2 are needed") for one in bare.asked)


def test_against_the_benchmark_a_run_of_one_seed_is_withheld():
    runs, rows = world(5, seeds=1)
    found = effects(runs, rows, explore=None)
    assert found.against_benchmark
    assert all("1 seed" in one.withheld for one in found.against_benchmark)


def test_the_answer_names_groups_and_counts_them():
    runs, rows = world(6, gain=0.4)
    verdict = judge(effects(runs, rows), subjects={"r00": Subject("lstm", "raw", "raw")})
    assert verdict.sentence.startswith("LSTM: g0 helps, +")
    assert "inputs" in verdict.sentence or "inconclusive whether g" in verdict.sentence


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "design"), [(2, "orthogonal"), (1, "orthogonal"), (2, "leave_one_out")])
def test_no_group_is_called_helpful_or_harmful_without_an_effect_in_more_than_one_study_of_twelve(seeds, design):
    """Seven groups, no effect, large seed variance: the family-wise error at a nominal 5 %, in 200 draws."""
    wrong = 0
    for number in range(200):
        found = effects(*world(100 + number, design=design, seeds=seeds, days=150), design)
        wrong += any(one.low > 0 or one.high < 0 for one in found.asked)
    assert wrong / 200 <= 0.085
