"""Guards: what is wrong with a table of forecasts is said in one line, and refused where no number would mean anything."""

import numpy as np
import polars as pl
import pytest

import worlds
from nextday.errors import VerdictError
from nextday.evaluate import examine, measure, twins


@pytest.fixture
def table():
    return worlds.draw(worlds.World(tickers=3, days=120, seeds=4), 0)


def refused(rows, says, **options):
    with pytest.raises(VerdictError, match=says) as error:
        measure(rows, **options)
    assert "\n" not in str(error.value)


def where(rows, condition, **values):
    return rows.with_columns(
        pl.when(condition).then(value).otherwise(name).alias(name) for name, value in values.items()
    )


def test_a_clean_table_gives_rise_to_no_note(table):
    assert measure(table).notes == ()
    assert examine(table) == ()


def test_pooled_names_are_stripped_and_an_unknown_one_is_refused(table):
    assert measure(table, pooled=[" B ", ""]).pooled == (False, True)
    refused(table, r"pooled: 'C' is not in the table; it has A, B", pooled=["A", "C"])


def test_seeds_that_all_forecast_the_same_count_as_one(table):
    same = table.filter((pl.col("variant") == "A") & (pl.col("seed") == 0)).drop("seed")
    frozen = pl.concat(
        [
            table.filter(variant="B"),
            *(same.with_columns(seed=pl.lit(s, pl.Int64)).select(table.columns) for s in range(4)),
        ]
    )
    losses = measure(frozen, parts=True)
    seeds = dict(zip(losses.variants, losses.seeds, strict=True))
    assert seeds == {"A": (0,), "B": (0, 1, 2, 3)}
    assert losses.penalty.seeds == losses.seeds
    assert losses.notes == (
        "all 4 seeds of A make identical forecasts and count as one; if A is deterministic, leave its seed empty",
    )


def test_a_seed_that_repeats_another_is_counted_once(table):
    of_a = pl.col("variant") == "A"
    copied = table.filter(of_a & (pl.col("seed") == 1)).with_columns(seed=pl.lit(3, pl.Int64))
    losses = measure(pl.concat([table.filter(~(of_a & (pl.col("seed") == 3))), copied]))
    at = losses.variants.index("A")
    assert losses.seeds[at] == (0, 1, 2)
    assert losses.by_seed[at].shape == (3, 3)
    np.testing.assert_allclose(losses.grid[at], measure(table.filter(pl.col("seed") < 3)).grid[0])
    assert losses.notes == ("seed 3 of A repeats the forecasts of another seed everywhere: its 4 seeds count as 3",)


def test_seeds_with_the_same_signs_are_still_seeds_of_their_own(table):
    same_signs = table.with_columns(predicted=pl.col("predicted").abs())
    assert measure(same_signs, loss="miss").seeds[0] == (0, 1, 2, 3)


def test_crossing_quantiles_are_said_and_refused_where_they_are_scored(table):
    quantiles = table.with_columns(**{"q0.05": pl.col("predicted") - 0.02, "q0.95": pl.col("predicted") + 0.02})
    assert measure(quantiles).notes == ()
    crossed = where(quantiles, (pl.col("variant") == "B") & (pl.col("ticker") == "T001"), **{"q0.05": 0.5})
    says = (
        r"B: quantiles cross in 480 of 1,440 rows; first: ticker T001, seed 0, origin 2000-01-03: q0.05 0.5 > q0.95 0.0"
    )
    assert measure(crossed).notes[0].startswith(says)
    refused(crossed, says, loss="pinball", benchmark="A")


def test_a_forecast_beyond_100_percent_a_day_means_that_training_diverged(table):
    one = (pl.col("variant") == "A") & (pl.col("seed") == 3) & (pl.col("ticker") == "T002")
    wild = where(table, one & (pl.col("origin") == np.datetime64("2000-01-08")), predicted=-12.3)
    assert measure(wild).notes == ("training diverged: A, seed 3: T002 forecasts -12.3 (-1,230 %) at 2000-01-08",)
    wilder = where(table, one, predicted=1e200)
    refused(
        wilder, r"training diverged: A, seed 3: T002 forecasts 1e\+200 .* 120 forecasts exceed 100 % a day; a squared"
    )


def test_prices_in_place_of_returns_are_refused(table):
    level = pl.col("actual").cum_sum().over("variant", "seed", "ticker").exp()
    prices = table.with_columns(actual=100 * level, predicted=100 * level)
    refused(prices, r"actual values look like prices \(T000: median \d+\.\d\); log returns are expected")


def test_returns_in_percent_change_no_skill_and_are_not_taken_for_divergence(table):
    percent = table.with_columns(pl.col("actual", "predicted") * 100)
    losses, plain = measure(percent), measure(table)
    assert losses.notes == (losses.notes[0],)
    assert losses.notes[0].startswith("actual values look like percent (median size 0.")
    np.testing.assert_allclose(losses.grid, plain.grid, rtol=1e-9)


def test_one_variant_in_percent_is_refused_but_not_in_a_study(table):
    mixed = where(table, pl.col("variant") == "B", predicted=pl.col("predicted") * 100)
    refused(
        mixed, r"forecasts of B are typically \d+ times those of the others .* look like percent; divide them by 100"
    )
    folds = pl.DataFrame({"ticker": ["T000", "T001", "T002"], "fold": 0, "train_variance": 1e-4})
    assert "forecasts of B are typically" in measure(mixed, folds=folds).notes[0]


@pytest.mark.parametrize("first", ["A", "B"])
def test_single_precision_actual_values_are_taken_as_equal_whoever_comes_first(table, first):
    rounded = where(table, pl.col("variant") == "B", actual=pl.col("actual").cast(pl.Float32).cast(pl.Float64))
    losses = measure(rounded.sort("variant", descending=first == "B", maintain_order=True))
    assert losses.notes[0].startswith("actual values of B agree with those of A to single precision and are taken as")
    at = losses.variants.index("B")
    np.testing.assert_array_equal(losses.grid[at], measure(table).grid[1])


def test_printed_actual_values_agree_to_their_decimals_and_no_further(table):
    rounded = where(table, pl.col("variant") == "B", actual=pl.col("actual").round(5))
    assert "agree with those of A to 5 decimals" in measure(rounded).notes[0]
    other = where(
        rounded, (pl.col("variant") == "B") & (pl.col("origin") == np.datetime64("2000-01-08")), actual=0.00002
    )
    refused(other, r"actual values differ: T000 at 2000-01-08 is .* in A and 2e-05 in B seed 0")
    coarse = where(table, pl.col("variant") == "B", actual=pl.col("actual").round(3))
    refused(coarse, "actual values differ")


def test_overlapping_folds_are_named_as_such(table):
    folded = table.with_columns(fold=0)
    again = folded.filter(pl.col("origin") > np.datetime64("2000-04-20")).with_columns(fold=1)
    refused(
        pl.concat([folded, again]),
        r"A: folds overlap: 264 rows .* first: ticker T000, origin 2000-04-21, .* in folds 0 and 1; keep one forecast",
    )
    walked = folded.with_columns(fold=(pl.col("origin") > np.datetime64("2000-04-20")).cast(pl.Int64))
    np.testing.assert_array_equal(measure(walked).grid, measure(table).grid)


def test_a_variant_named_like_the_zero_forecast_is_refused_unless_it_is_the_benchmark(table):
    named = table.with_columns(pl.col("variant").replace("A", "zero forecast"))
    refused(named, "a variant is named 'zero forecast', as is the default benchmark")
    assert measure(named, benchmark="zero forecast").variants == ("B",)


def test_twins_are_found_in_groups(table):
    copies = [table.filter(variant="A").with_columns(variant=pl.lit(name)) for name in ("C", "D")]
    assert twins(measure(pl.concat([table, *copies]))) == (("A", "C", "D"),)
    assert twins(measure(table)) == ()
