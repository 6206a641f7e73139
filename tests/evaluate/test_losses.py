"""Guards: each bad table has a defined answer or one error that shows the first offending row."""

import numpy as np
import polars as pl
import pytest

import worlds
from nextday.errors import VerdictError
from nextday.evaluate import compare, judge, measure


@pytest.fixture
def table():
    return worlds.draw(worlds.World(tickers=3, days=120, seeds=3), 0)


def refused(rows, says, **options):
    with pytest.raises(VerdictError, match=says) as error:
        measure(rows, **options)
    assert "\n" not in str(error.value)


def change(rows, row, **values):
    at = pl.int_range(pl.len()) == row
    return rows.with_columns(
        pl.when(at).then(pl.lit(value)).otherwise(name).alias(name) for name, value in values.items()
    )


def test_variants_on_different_days_are_refused_with_the_counts(table):
    lacking = table.filter(~((pl.col("variant") == "B") & (pl.col("origin") == pl.col("origin").max())))
    refused(
        lacking,
        r"different samples: A has 360, B seed 0 has 357; first: T000 at 2000-05-01 is in A and not in B seed 0",
    )


def test_a_row_given_twice_is_shown(table):
    refused(
        pl.concat([table, table[5:6]]),
        r"A: 2 rows share ticker, origin and seed; first: ticker T000, origin 2000-01-08",
    )


def test_actual_values_that_differ_are_shown(table):
    refused(
        change(table, 3 * 3 * 120 + 7, actual=0.5),
        r"actual values differ: T000 at 2000-01-10 is .* in A and 0.5 in B seed 0",
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_a_forecast_that_is_not_finite_is_shown(table, value):
    refused(
        change(table, 9, predicted=value),
        r"A: predicted is not finite in 1 row; first: ticker T000, origin 2000-01-12",
    )


def test_unknown_columns_and_names_list_what_there_is(table):
    refused(table.drop("actual"), r"no column 'actual'; it has variant, seed, ticker, origin, predicted")
    refused(table, r"no column 'pinbal'; it has .*; losses that need no column: squared, absolute, miss", loss="pinbal")
    refused(table, r"benchmark 'Z' is not in the table; it has A, B", benchmark="Z")
    refused(
        table.with_columns(pin=0.1),
        r"loss 'pin' is a column, which the zero forecast has not; name a benchmark",
        loss="pin",
    )
    refused(table.filter(pl.col("variant") == "A"), r"no variant other than the benchmark 'A'", benchmark="A")
    refused(table.clear(), "no rows")


def test_a_column_can_be_the_loss(table):
    rows = table.with_columns(pin=(pl.col("actual") - pl.col("predicted")).abs())
    own = compare(measure(rows, loss="pin", benchmark="B"), replicates=100).contrasts[0]
    assert own.estimate == pytest.approx(
        1 - rows.filter(variant="A")["pin"].mean() / rows.filter(variant="B")["pin"].mean()
    )


def test_a_ticker_that_never_moves_is_refused(table):
    flat = table.with_columns(actual=pl.when(pl.col("ticker") == "T001").then(0.0).otherwise("actual"))
    refused(flat, "the actual values of T001 are constant")


def test_identical_variants_are_said_to_be_so(table):
    twin = pl.concat([table, table.filter(pl.col("variant") == "A").with_columns(variant=pl.lit("A2"))])
    comparison = compare(measure(twin), replicates=200)
    contrast = next(c for c in comparison.between if (c.first, c.second) == ("A", "A2"))
    assert contrast.identical
    assert (contrast.estimate, contrast.low, contrast.high, contrast.p_value) == (0, 0, 0, 1)
    assert "A and A2 make identical forecasts." in judge(comparison).remarks


def test_a_dead_network_equals_the_zero_forecast(table):
    dead = table.with_columns(predicted=pl.when(pl.col("variant") == "A").then(0.0).otherwise("predicted"))
    judged = judge(compare(measure(dead), replicates=200))
    assert "A and the zero forecast make identical forecasts." in judged.remarks


def test_a_constant_forecast_one_ticker_and_few_days_have_an_answer(table):
    constant = table.filter(seed=0).drop("seed").with_columns(predicted=pl.lit(0.001))
    assert judge(compare(measure(constant), replicates=100)).sentence == "A and B make identical forecasts."
    alone = table.filter(pl.col("ticker") == "T000")
    assert "the sample: 1 ticker " in judge(compare(measure(alone), replicates=100)).remarks[-1]
    short = table.filter(pl.col("origin") < np.datetime64("2000-01-20"))
    assert judge(compare(measure(short), replicates=100)).sentence.startswith(
        "Withheld: too few days: 17, at least ten blocks"
    )


def test_fewer_than_three_seeds_withhold_the_verdict_and_keep_the_numbers(table):
    one = compare(measure(table.filter(pl.col("seed") == 0)), replicates=100)
    assert judge(one).sentence == "Withheld: seed variance unknown: A has 1 seed, at least 3 are needed."
    assert len(one.contrasts) == 3
    two = compare(measure(table.filter(pl.col("seed") < 2)), replicates=100)
    assert "seed variance poorly estimated: A has 2 seeds" in judge(two).sentence


def test_samples_need_not_be_a_full_panel(table):
    """A ticker listed late is averaged over the days it has."""
    late = table.filter((pl.col("ticker") != "T002") | (pl.col("origin") > np.datetime64("2000-02-20")))
    losses = measure(late)
    assert np.isnan(losses.grid[0, 2, :40]).all()
    assert np.isfinite(compare(losses, replicates=100).contrasts[0].estimate)


def test_folds_give_the_scale(table):
    folds = pl.DataFrame(
        {"ticker": ["T000", "T001", "T002"], "fold": 0, "train_variance": [1e-4, 4e-4, 1e-4], "train_deviation": 0.01}
    )
    quiet = measure(table, folds=folds)
    raw = measure(table, folds=folds.with_columns(train_variance=1.0))
    np.testing.assert_allclose(quiet.grid[0, 1], raw.grid[0, 1] / 4e-4)


def test_the_pinball_loss_reads_a_level_however_its_column_writes_it(table):
    quantiles = table.with_columns(**{f"q{level}": pl.col("predicted") + level / 100 for level in (0.05, 0.5)})
    plain = measure(quantiles, loss="pinball", benchmark="B")
    other = measure(quantiles.rename({"q0.5": "q0.50", "q0.05": "q5e-2"}), loss="pinball", benchmark="B")
    np.testing.assert_array_equal(other.grid, plain.grid)
