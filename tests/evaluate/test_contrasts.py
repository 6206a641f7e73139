import time
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import worlds
from nextday.evaluate import compare, judge, measure, relation
from nextday.evaluate.bootstrap import optimal_block, resample

WORLD = worlds.World(days=250, tickers=6, signal=0.1, strengths={"A": 1.0, "B": 0.5, "C": 0.0})


@pytest.fixture(scope="module")
def table():
    return worlds.draw(WORLD, 1)


def by_pair(comparison):
    return {(contrast.first, contrast.second): contrast for contrast in comparison.contrasts}


def close(one, two, **tolerance):
    first, second = by_pair(one), by_pair(two)
    assert set(first) == set(second)
    for pair, contrast in first.items():
        for name in ("estimate", "date_error", "seed_error", "low", "high", "p_value"):
            assert getattr(second[pair], name) == pytest.approx(getattr(contrast, name), **tolerance), (pair, name)


def test_skill_is_one_less_the_root_of_the_loss_ratio(table):
    contrasts = by_pair(compare(measure(table), replicates=50))
    rows = table.with_columns(
        loss=(pl.col("actual") - pl.col("predicted")) ** 2, zero=pl.col("actual") ** 2
    ).with_columns(pl.col("loss", "zero") / pl.col("zero").mean().over("ticker"))
    for name in WORLD.strengths:
        mine = rows.filter(pl.col("variant") == name)
        skill = 1 - np.sqrt(mine["loss"].mean() / mine["zero"].mean())
        assert contrasts[name, "zero forecast"].estimate == pytest.approx(skill)
    difference = contrasts["A", "zero forecast"].estimate - contrasts["B", "zero forecast"].estimate
    assert contrasts["A", "B"].estimate == pytest.approx(difference)


def test_swapping_two_variants_flips_the_sign(table):
    names = pl.col("variant").replace({"A": "B", "B": "A"})
    one, two = (
        by_pair(compare(measure(rows), replicates=300)) for rows in (table, table.with_columns(names).sort("variant"))
    )
    assert two["A", "B"].estimate == pytest.approx(-one["A", "B"].estimate)
    assert two["A", "B"].date_error == pytest.approx(one["A", "B"].date_error)


def test_scaling_returns_leaves_skill_alone(table):
    scaled = table.with_columns(pl.col("actual", "predicted") * 8)
    close(compare(measure(table), replicates=300), compare(measure(scaled), replicates=300), rel=1e-6, abs=1e-9)


def test_one_volatile_ticker_does_not_own_the_answer(table):
    loud = pl.when(pl.col("ticker") == "T000").then(16).otherwise(1)
    scaled = table.with_columns(pl.col("actual", "predicted") * loud)
    close(compare(measure(table), replicates=300), compare(measure(scaled), replicates=300), rel=1e-6, abs=1e-9)


def test_shuffled_rows_and_renamed_seeds_change_nothing(table):
    shuffled = table.sample(fraction=1, shuffle=True, seed=3).with_columns(seed=(7 - pl.col("seed")) % 11)
    order = table["variant"].unique(maintain_order=True).to_list()
    shuffled = shuffled.sort(pl.col("variant").cast(pl.Enum(order)), maintain_order=True)
    close(compare(measure(table), replicates=300), compare(measure(shuffled), replicates=300), rel=1e-9)


def test_doubling_every_ticker_leaves_the_date_error_where_it_was(table):
    """A twin of every ticker brings no new days: errors that count rows would shrink by the root of two."""
    twins = pl.concat([table, table.with_columns(ticker=pl.col("ticker") + "twin")])
    one, two = (by_pair(compare(measure(rows), replicates=500)) for rows in (table, twins))
    for pair, contrast in one.items():
        assert two[pair].date_error == pytest.approx(contrast.date_error, rel=1e-6)


def test_models_without_randomness_have_no_seed_error(table):
    first = table.filter(pl.col("seed") == 0).drop("seed")
    comparison = compare(measure(first), replicates=200)
    assert all(contrast.seed_error == 0 for contrast in comparison.contrasts)
    assert comparison.withheld == ""


def test_more_seeds_shrink_the_seed_error_and_more_days_the_date_error():
    biased = worlds.World(bias=0.3, days=400, strengths={"A": 0.0, "B": 0.0})
    few, many = (compare(measure(worlds.draw(replace(biased, seeds=s), 2)), replicates=300).between[0] for s in (3, 24))
    assert many.seed_error < 0.6 * few.seed_error
    short, long = (
        compare(measure(worlds.draw(replace(biased, days=d), 2)), replicates=300).between[0] for d in (200, 1800)
    )
    assert long.date_error < 0.6 * short.date_error


def test_simultaneous_intervals_are_wider_than_those_for_equivalence(table):
    for contrast in compare(measure(table), replicates=500).contrasts:
        assert contrast.low < contrast.equal_low < contrast.estimate < contrast.equal_high < contrast.high
        assert contrast.p_value <= contrast.p_adjusted


@pytest.mark.parametrize("option", ["loss", "benchmark", "margin", "alpha"])
def test_every_option_moves_the_answer(table, option):
    plain = compare(measure(table), replicates=300)
    changed = {
        "loss": lambda: compare(measure(table, loss="absolute"), replicates=300),
        "benchmark": lambda: compare(measure(table, benchmark="B"), replicates=300),
        "margin": lambda: compare(measure(table), margin=0.5, replicates=300),
        "alpha": lambda: compare(measure(table), alpha=0.2, replicates=300),
    }[option]()
    if option == "margin":
        assert [relation(c, plain.margin) for c in plain.between] != [
            relation(c, changed.margin) for c in changed.between
        ]
    else:
        assert changed.contrasts[0].low != plain.contrasts[0].low


def test_misses_count_a_zero_forecast_half_and_leave_out_days_without_a_move():
    actual = np.array([[1.0, -1.0, 0.0, 1.0]])
    rows = worlds.table("A", actual, np.array([[[1.0, 1.0, 1.0, 0.0]]]))
    losses = measure(rows, loss="miss")
    np.testing.assert_array_equal(losses.grid[0, 0], [0, 1, np.nan, 0.5])
    assert compare(losses, replicates=20).against_benchmark[0].estimate == pytest.approx(0.0)


def test_a_resample_draws_every_date_equally_often_in_blocks():
    counts = resample(200, block=10.0, replicates=2000, seed=0)
    assert (counts.sum(axis=1) == 200).all()
    np.testing.assert_allclose(counts.mean(axis=0), 1, atol=0.15)
    centred = counts - 1
    neighbours = (centred * np.roll(centred, 1, axis=1)).mean() / (centred**2).mean()
    assert neighbours == pytest.approx(0.9, abs=0.03)  # a block goes on with probability 1 - 1/10


def test_the_block_follows_the_dependence_and_is_at_least_five():
    rng = np.random.default_rng(0)
    assert optimal_block(rng.standard_normal((3, 500))) < 12
    slow = worlds.autoregression(rng, (1, 1500), 0.95)
    assert optimal_block(np.vstack([rng.standard_normal((1, 1500)), slow])) > 20
    assert optimal_block(np.zeros((2, 50))) == 5


def test_the_study_of_the_embedded_panel_is_compared_within_two_seconds():
    """11 tickers x 630 days x 3 variants x 10 seeds, 5,000 replicates; generous, as machines differ."""
    world = worlds.World(tickers=11, days=630, seeds=10, strengths={"A": 0.0, "B": 0.0, "C": 0.0})
    rows = worlds.draw(world, 0)
    compare(measure(rows), replicates=10)  # imports
    start = time.perf_counter()
    judge(compare(measure(rows)))
    assert time.perf_counter() - start < 6
