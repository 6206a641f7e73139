"""The grid: the benchmark has seeds too, the scale of a day never looks ahead, and a loss is what it is made of."""

import numpy as np
import polars as pl
import pytest

import worlds
from nextday.errors import VerdictError
from nextday.evaluate import measure

TICKERS = ["T000", "T001"]


@pytest.fixture
def table():
    world = worlds.World(tickers=2, days=90, seeds=3, strengths={"A": 0.0, "B": 1.0, "Base": 0.5}, signal=0.1)
    return worlds.draw(world, 0)


@pytest.fixture
def folds():
    return pl.DataFrame({"ticker": TICKERS, "fold": 0, "train_variance": [1e-4, 4e-4], "train_deviation": 0.01})


def changed_from(table, day, value):
    """The table with other actual values of T001 from a day on."""
    late = (pl.col("origin") >= day) & (pl.col("ticker") == "T001")
    return table.with_columns(actual=pl.when(late).then(value).otherwise("actual"))


def zero_scaled(table, folds, **options):
    """Expected variance at each origin, [ticker, date]: the zero forecast's loss is actual squared over it."""
    losses = measure(table, folds=folds, scale="predicted", **options)
    actual = (
        table.filter(variant="A", seed=0).pivot("origin", index="ticker", values="actual").drop("ticker").to_numpy()
    )
    return actual**2 / losses.base


def test_a_benchmark_that_is_a_network_has_seeds(table):
    losses = measure(table, benchmark="Base", pooled=["Base"])
    as_variant = measure(table)
    at = as_variant.variants.index("Base")
    assert losses.base_cells.seeds == (0, 1, 2)
    assert losses.base_pooled
    np.testing.assert_array_equal(losses.base_cells.by_seed, as_variant.by_seed[at])
    np.testing.assert_array_equal(losses.base_cells.daily_by_seed, as_variant.daily_by_seed[at])
    np.testing.assert_array_equal(losses.base_cells.mean, losses.base)


def test_the_zero_forecast_has_no_seeds(table):
    losses = measure(table)
    assert losses.base_cells.seeds == ()
    assert not losses.base_pooled
    np.testing.assert_allclose(losses.base_cells.by_seed, losses.base.mean(axis=1)[None])


def test_a_benchmark_whose_seeds_repeat_each_other_has_one(table):
    base = table.filter(variant="Base", seed=0)
    copies = [base.with_columns(seed=pl.lit(seed, pl.Int64)) for seed in range(3)]
    losses = measure(pl.concat([table.filter(pl.col("variant") != "Base"), *copies]), benchmark="Base")
    assert losses.base_cells.seeds == (0,)
    assert losses.notes[0].startswith("all 3 seeds of Base make identical forecasts")


def test_the_name_of_the_scale_says_what_losses_are_divided_by(table, folds):
    assert measure(table).scale == "table"
    assert measure(table, folds=folds).scale == "training"
    assert measure(table, folds=folds, scale="predicted").scale == "predicted"
    assert measure(table, loss="miss", folds=folds).scale == "none"
    assert measure(table.with_columns(pin=0.1), loss="pin", benchmark="A").scale == "none"


@pytest.mark.parametrize("known", [True, False])
def test_the_expected_variance_is_that_of_a_slow_sum(table, folds, known):
    late = table.filter((pl.col("ticker") != "T001") | ~pl.col("origin").dt.day().is_in([5, 6]))  # days without sample
    found = zero_scaled(late, folds if known else None)
    for row, ticker in enumerate(TICKERS):
        rows = late.filter(variant="A", seed=0, ticker=ticker).sort("origin")
        squares = [value**2 for value in rows["actual"]]
        start = folds["train_variance"][row] if known else sum(squares[:20]) / 20
        expected = []
        for t in range(len(squares)):
            earlier = [0.06 * 0.94 ** (t - 1 - s) * squares[s] for s in range(t)]
            expected.append(max(0.94**t * start + sum(earlier), 0.01 * start))
        np.testing.assert_allclose(found[row][~np.isnan(found[row])], expected, rtol=1e-9)


def test_the_expected_variance_never_sees_the_return_it_scales(table, folds):
    day = np.datetime64("2000-02-20")
    at = int((day - np.datetime64("2000-01-03")).astype(int))
    plain = zero_scaled(table, folds)
    moved = zero_scaled(changed_from(table, day, 0.05), folds)
    np.testing.assert_allclose(moved[:, : at + 1], plain[:, : at + 1], rtol=1e-12)
    np.testing.assert_allclose(moved[0], plain[0], rtol=1e-12)
    assert (moved[1, at + 1 :] > plain[1, at + 1 :]).all()


def test_a_halted_ticker_has_a_floor_under_its_expected_variance(table, folds):
    halted = changed_from(table, np.datetime64("2000-01-05"), 0.0)
    halted = halted.with_columns(
        actual=pl.when(pl.col("origin") == pl.col("origin").max()).then(0.01).otherwise("actual")
    )
    losses = measure(halted, folds=folds, scale="predicted")
    assert losses.base[1, -1] == pytest.approx(0.01**2 / (0.01 * 4e-4))


def test_every_variant_and_seed_is_divided_by_the_same_variance(table, folds):
    losses = measure(table, folds=folds, scale="predicted", benchmark="Base")
    expected = zero_scaled(table, folds)
    for name, grid in [*zip(losses.variants, losses.grid, strict=True), ("Base", losses.base)]:
        own = table.filter(variant=name).with_columns(loss=(pl.col("actual") - pl.col("predicted")) ** 2)
        mean = own.group_by("ticker", "origin").agg(pl.col("loss").mean()).sort("ticker", "origin")["loss"]
        np.testing.assert_allclose(grid, mean.to_numpy().reshape(2, -1) / expected, rtol=1e-9)


@pytest.mark.parametrize("scale", ["training", "predicted"])
def test_a_loss_is_that_of_the_zero_forecast_plus_penalty_less_signal(table, folds, scale):
    losses = measure(table, folds=folds, scale=scale, parts=True)
    zero, penalty = losses.base, losses.penalty
    assert penalty.penalty is None
    assert penalty.variants == losses.variants
    divisor = (table.filter(variant="A", seed=0)["actual"].to_numpy().reshape(2, -1) ** 2) / zero
    for at, name in enumerate(losses.variants):
        own = table.filter(variant=name)
        signal = (2 * own["actual"] * own["predicted"]).to_numpy().reshape(3, 2, -1) / divisor
        np.testing.assert_allclose(losses.grid[at], zero + penalty.grid[at] - signal.mean(axis=0), atol=1e-9)
        by_seed = zero.mean(axis=1) + penalty.by_seed[at] - signal.mean(axis=2)
        np.testing.assert_allclose(losses.by_seed[at], by_seed, atol=1e-9)
    assert (penalty.base == 0).all()


def test_the_penalty_of_a_benchmark_is_its_own(table):
    losses = measure(table, benchmark="Base", parts=True)
    at = measure(table).variants.index("Base")
    np.testing.assert_array_equal(losses.penalty.base, measure(table, parts=True).penalty.grid[at])
    assert losses.penalty.base_cells.seeds == (0, 1, 2)


def test_the_penalty_and_the_predicted_scale_are_of_the_squared_loss_alone(table):
    assert measure(table).penalty is None
    with pytest.raises(VerdictError, match="the penalty is defined for the squared loss, not for 'absolute'"):
        measure(table, loss="absolute", parts=True)
    with pytest.raises(VerdictError, match="the predicted scale is defined for the squared loss, not for 'miss'"):
        measure(table, loss="miss", scale="predicted")


def test_a_column_that_is_no_loss_is_refused(table):
    for name in ("ticker", "origin"):
        with pytest.raises(VerdictError, match=f"column '{name}' holds .*; a loss must be numeric"):
            measure(table, loss=name, benchmark="A")
    with pytest.raises(VerdictError, match="rows without variant"):
        measure(table.with_columns(pl.col("variant").replace("A", "")))
