import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nextday.errors import VerdictError
from nextday.evaluate.conformal import METHODS, STEP, calibrate
from nextday.evaluate.quantiles import score_quantiles

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
UNIT_QUANTILES = stats.norm.ppf(LEVELS)
START = np.datetime64("2000-01-03")
KEYS = ["variant", "ticker", "fold", "seed", "date"]
PLANS = {"A split": ("A", "split"), "A adaptive": ("A", "adaptive")}


def table(actual, quantiles, *, first=0, levels=LEVELS, ticker="T", fold=0, seed=1, variant="A"):
    """One unit's rows: actual [day], quantiles [level] or [day, level], from the day ``first``."""
    actual = np.asarray(actual, float)
    quantiles = np.broadcast_to(np.asarray(quantiles, float), (len(actual), len(levels)))
    date = START + first + np.arange(len(actual))
    return pl.DataFrame({
        "variant": variant, "ticker": ticker, "fold": fold, "seed": pl.Series([seed] * len(actual), dtype=pl.Int64),
        "origin": date - 1, "date": date, "actual": actual, "predicted": 7.0,
        **{f"q{level}": quantiles[:, at] for at, level in enumerate(levels)},
    })  # fmt: skip


def worlds(units, *, days=60, known=40, scale=None, quantiles=UNIT_QUANTILES, rng=0, **options):
    """Test and valid rows of independent normal days, one ticker per unit; ``scale`` [day] is the test days'."""
    rng = np.random.default_rng(rng)
    tests = [rng.standard_normal(days) * (1 if scale is None else scale) for _ in range(units)]
    valids = [rng.standard_normal(known) for _ in range(units)]
    return tuple(
        pl.concat(
            table(actual, quantiles, first=first, ticker=f"T{at:03d}", **options) for at, actual in enumerate(all_)
        )
        for first, all_ in ((known, tests), (0, valids))
    )


def numbers(rows, *variants):
    """Quantiles of some variants by their keys, [row, level]."""
    chosen = rows.filter(pl.col("variant").is_in(variants)) if variants else rows
    return chosen.sort(KEYS).select(f"q{level}" for level in LEVELS).to_numpy()


def refused(says, forecasts, valid, **plans):
    with pytest.raises(VerdictError, match=says) as error:
        calibrate(forecasts, valid, plans or PLANS)
    assert "\n" not in str(error.value)


def by_hand():
    levels = (0.25, 0.5, 0.75)
    valid = table([3, -2, 0.5], [-1, 0, 1], levels=levels)  # scores 4, -1, 1.5 of the first, 2, -3, -0.5 of the last
    return table([5, -9, 0], [-1, 0, 1], first=3, levels=levels), valid


def test_split_shifts_by_the_score_of_its_rank_and_leaves_the_median():
    found = calibrate(*by_hand(), {"S": ("A", "split")}).filter(variant="S")
    assert found.select("q0.25", "q0.5", "q0.75", "predicted").rows() == [(-2, 0, 3, 0)] * 3


def test_adaptive_moves_against_each_miss_by_its_share_of_the_scores_deviation():
    found = calibrate(*by_hand(), {"S": ("A", "adaptive")}).filter(variant="S")
    step = STEP * 2.5
    assert found["q0.25"].to_list() == pytest.approx([-2, -2 + 0.25 * step, -2 + (0.25 + 0.25 - 1) * step])
    assert found["q0.75"].to_list() == pytest.approx([3, 3 + 0.75 * step, 3 + (0.75 + 0.75 - 1) * step])
    assert found["q0.5"].to_list() == found["predicted"].to_list() == [0, 0, 0]


def test_an_outcome_on_the_quantile_is_not_above_it():
    forecasts, valid = by_hand()
    found = calibrate(forecasts.with_columns(actual=pl.lit(3.0)), valid, {"S": ("A", "adaptive")})["q0.75"]
    assert found[-3:].to_list() == pytest.approx([3, 3 - 0.25 * STEP * 2.5, 3 + 0.5 * STEP * 2.5])


def test_an_outcome_counts_from_the_origin_that_knows_it_against_the_quantile_that_was_forecast():
    levels, step = (0.25, 0.5, 0.75), STEP * 2.5
    valid = by_hand()[1].with_columns(pl.col("date", "origin") - pl.duration(days=1))
    forecasts = table([5, 3 + 0.3 * step, 0, 0], [-1, 0, 1], first=3, levels=levels)
    late = forecasts.with_columns(pl.col("origin") - pl.duration(days=1))
    prompt, found = (calibrate(rows, valid, {"S": ("A", "adaptive")})["q0.75"][-4:] for rows in (forecasts, late))
    assert prompt.to_list() == pytest.approx([3, 3 + 0.75 * step, 3 + 0.5 * step, 3 + 0.25 * step])
    assert found.to_list() == pytest.approx([3, 3, 3 + 0.75 * step, 3 + 1.5 * step])


@pytest.mark.parametrize(
    ("level", "days", "rank"),
    [(0.05, 19, 1), (0.05, 38, 1), (0.05, 39, 2), (0.95, 19, 19), (0.95, 38, 38), (0.95, 39, 38), (0.29, 99, 29),
     (0.07, 99, 7), (0.9, 9, 9), (0.1, 9, 1), (0.3, 250, 75), (0.7, 250, 176)],
)  # fmt: skip
def test_the_rank_is_rounded_outwards_and_not_by_the_last_bit(level, days, rank):
    scores = np.random.default_rng(0).permutation(np.arange(1.0, days + 1))
    rows = [table(actual, [0], levels=[level], first=first) for actual, first in (([0], days), (scores, 0))]
    assert calibrate(*rows, {"S": ("A", "split")})[f"q{level}"][-1] == rank


def test_what_was_there_stays_and_the_new_rows_follow_in_the_plans_order():
    forecasts, valid = worlds(3)
    point = forecasts.with_columns(variant=pl.lit("point")).with_columns(
        pl.lit(None, pl.Float64).alias(f"q{level}") for level in LEVELS
    )
    forecasts = pl.concat([forecasts, point])
    found = calibrate(forecasts, valid, {"Z": ("A", "split"), "B": ("A", "adaptive")})
    assert found.schema == forecasts.schema
    assert found[: len(forecasts)].equals(forecasts)
    assert found["variant"].unique(maintain_order=True).to_list() == ["A", "point", "Z", "B"]
    for name in "ZB":
        same = ["ticker", "fold", "seed", "origin", "date", "actual"]
        assert found.filter(variant=name).select(same).equals(forecasts.filter(variant="A").select(same))
    assert calibrate(forecasts, valid, {}).equals(forecasts)


def test_types_are_kept_and_the_point_forecast_is_the_originals_without_a_median():
    forecasts, valid = (rows.drop("q0.5").cast({"q0.05": pl.Float32, "fold": pl.Int8}) for rows in worlds(2))
    found = calibrate(forecasts, valid, PLANS)
    assert found.schema == forecasts.schema
    assert found["predicted"].unique().to_list() == [7.0]
    assert (found["q0.95"] != found["q0.95"][0]).any()


def test_split_brings_a_biased_forecast_to_its_levels_where_days_are_exchangeable():
    """The share below is Beta for each unit; with 99 days its mean is the level."""
    units, days, known = 200, 100, 99
    forecasts, valid = worlds(units, days=days, known=known, quantiles=0.5 + 0.5 * UNIT_QUANTILES)
    found = calibrate(forecasts, valid, PLANS)
    for level in (0.05, 0.25, 0.75, 0.95):
        before, after = (
            (found.filter(variant=name)["actual"] <= found.filter(variant=name)[f"q{level}"]).mean()
            for name in ("A", "A split")
        )
        error = np.sqrt(level * (1 - level) * (1 / (known + 2) + 1 / days) / units)
        assert abs(after - level) < 3.5 * error
        assert abs(before - level) > 8 * error


def test_adaptive_holds_its_coverage_in_the_long_run_where_volatility_drifts():
    scale = 1.5 * np.exp(0.3 * np.sin(np.arange(2500) / 80))
    scores = score_quantiles(calibrate(*worlds(8, days=2500, known=250, scale=scale), PLANS))
    held = dict(scores.group_by("variant").agg(pl.col("Coverage").mean()).rows())
    assert abs(held["A adaptive"] - 0.9) < 0.02
    assert abs(held["A split"] - 0.9) > 0.1
    each = scores.filter(variant="A adaptive")["Coverage"]
    assert (each - 0.9).abs().max() < 0.025
    assert (
        scores.filter(variant="A adaptive")["Pinball"].mean()
        < 0.97 * scores.filter(variant="A split")["Pinball"].mean()
    )


def test_adaptive_is_off_by_no_more_than_the_way_of_its_shift():
    """Telescoping: (share below - level) x days x step is the way that the shift went, whatever the data."""
    actual = np.cumsum(np.random.default_rng(3).standard_normal(300))
    valid = table(np.random.default_rng(4).standard_normal(50), [-1.0, 1.0], levels=(0.1, 0.9))
    found = calibrate(table(actual, [-1.0, 1.0], levels=(0.1, 0.9), first=50), valid, PLANS).filter(
        variant="A adaptive"
    )
    step = STEP * valid["actual"].std()
    for level in (0.1, 0.9):
        quantile = found[f"q{level}"].to_numpy()
        below = (actual <= quantile)[:-1]
        assert (level - below.mean()) * len(below) * step == pytest.approx(quantile[-1] - quantile[0])


@settings(max_examples=12, deadline=None)
@given(cut=st.integers(0, 60), rng=st.integers(0, 99), delay=st.integers(0, 5), value=st.floats(-9, 9))
def test_no_quantile_knows_what_happens_after_its_origin(cut, rng, delay, value):
    forecasts, valid = worlds(2, rng=rng)
    late = pl.col("origin") - pl.duration(days=delay)
    forecasts, valid = forecasts.with_columns(late), valid.with_columns(pl.col("date", "origin") - pl.duration(days=9))
    day = forecasts["date"].min() + np.timedelta64(cut - 1, "D").item()
    rewritten = forecasts.with_columns(actual=pl.when(pl.col("date") > day).then(value).otherwise("actual"))
    before, after = (calibrate(rows, valid, PLANS) for rows in (forecasts, rewritten))
    names = [f"q{level}" for level in LEVELS] + ["predicted"]
    known = pl.col("origin") <= day
    assert before.filter(known).select(names).equals(after.filter(known).select(names))
    assert numbers(before, "A split").tobytes() == numbers(after, "A split").tobytes()


@pytest.mark.parametrize("day", [0, 7, 58])
def test_adaptive_learns_from_a_day_on_the_day_after(day):
    forecasts, valid = worlds(2)
    moved = pl.when((pl.col("date") == forecasts["date"][day]) & (pl.col("ticker") == "T001")).then(-99.0)
    before, after = (
        numbers(calibrate(rows, valid, PLANS), "A adaptive").reshape(2, 60, 5)
        for rows in (forecasts, forecasts.with_columns(actual=moved.otherwise("actual")))
    )
    assert (before[0] == after[0]).all()
    assert (before[1, : day + 1] == after[1, : day + 1]).all()
    assert (before[1, day + 1 :, [0, 1, 3, 4]] > after[1, day + 1 :, [0, 1, 3, 4]]).all(axis=-1).any()


@settings(max_examples=12, deadline=None)
@given(
    rng=st.integers(0, 999),
    width=st.floats(0, 20),
    size=st.sampled_from([0.01, 1.0, 30.0]),
    method=st.sampled_from(METHODS),
)
def test_quantiles_never_cross_and_sorting_keeps_how_many_are_exceeded(rng, width, size, method):
    """Far too wide, the quantiles of valid come together, and random ones of test then cross without sorting."""
    draw = np.random.default_rng(rng)
    valid = table(draw.standard_normal(25), width * UNIT_QUANTILES)
    forecasts = table(size * draw.standard_normal(40), np.sort(draw.standard_normal((40, 5)), axis=1), first=25)
    found = calibrate(forecasts, valid, {"S": ("A", method)})
    assert (np.diff(numbers(found, "S"), axis=1) >= 0).all()
    assert len(score_quantiles(found)) == 2


def many():
    """Units that differ in ticker, seed and fold, in length and in dates; the valid ranges of the folds overlap."""
    draw = np.random.default_rng(5)
    for ticker, days in {"T": 70, "U": 45}.items():
        actual, wide = draw.standard_normal(40 + days), 0.5 + draw.random((40 + days, 1))
        for fold, cut in enumerate((40, 60)):
            ranges = (slice(cut, 60 if fold == 0 else None), slice(fold, cut))
            for seed in (1, 2):
                yield tuple(
                    table(actual[part], seed * wide[part] * UNIT_QUANTILES, first=part.start, ticker=ticker, fold=fold,
                          seed=seed)
                    for part in ranges
                )  # fmt: skip


def test_units_do_not_influence_one_another():
    units = list(many())
    together = calibrate(*(pl.concat(rows) for rows in zip(*units, strict=True)), PLANS)
    alone = pl.concat([calibrate(*rows, PLANS) for rows in units])
    assert together.sort(KEYS).equals(alone.sort(KEYS))
    assert together.filter(variant="A split")["q0.05"].n_unique() > len(units)


@pytest.mark.parametrize("rng", [0, 1])
def test_the_order_of_rows_does_not_matter_and_is_kept(rng):
    forecasts, valid = (pl.concat(rows) for rows in zip(*many(), strict=True))
    mixed = [rows.sample(fraction=1, shuffle=True, seed=rng) for rows in (forecasts, valid)]
    plain, found = calibrate(forecasts, valid, PLANS), calibrate(*mixed, PLANS)
    assert found.sort(KEYS).equals(plain.sort(KEYS))
    assert found.filter(variant="A adaptive").select(KEYS[1:]).equals(mixed[0].select(KEYS[1:]))


def test_models_without_seeds_are_units_too():
    seeded, unseeded = worlds(2), worlds(2, seed=None)
    found = calibrate(*unseeded, PLANS)
    assert found["seed"].null_count() == len(found)
    assert found.schema["seed"] == pl.Int64
    assert (numbers(found) == numbers(calibrate(*seeded, PLANS))).all()


def test_what_cannot_be_calibrated_is_refused_with_the_way_out():
    forecasts, valid = worlds(2)
    names = [f"q{level}" for level in LEVELS]
    point = forecasts.with_columns(pl.lit(None, pl.Float64).alias(name) for name in names)
    both = pl.concat([forecasts, point.with_columns(variant=pl.lit("point"))])
    refused("conformal 'S': 'point' forecasts no quantiles; variants that do: A$", both, valid, S=("point", "split"))
    refused("'B' forecasts no quantiles; variants that do: A$", forecasts, valid, S=("B", "split"))
    refused("'A' forecasts no quantiles; variants that do: none", forecasts.drop(names), valid, S=("A", "split"))
    refused("'S': unknown method 'spilt'; known: split, adaptive", forecasts, valid, S=("A", "spilt"))
    refused("'A': the forecasts table has a variant of that name; choose another", forecasts, valid, A=("A", "split"))
    early = valid.with_columns(date=pl.col("date") + pl.duration(days=1))
    refused("seed 1: valid goes to 2000-02-12, unknown at the origin 2000-02-11; end it there", forecasts, early)
    at_once = forecasts.with_columns(origin=pl.col("date"))
    refused("seed 1: the origin 2000-02-12 does not lie before its date 2000-02-12", at_once, valid)
    broken = valid.with_columns(actual=pl.when(pl.int_range(pl.len()) == 3).then(float("nan")).otherwise("actual"))
    refused(
        "A: actual is missing or not finite in 1 row; first: ticker T000, seed 1, date 2000-01-06", forecasts, broken
    )
    refused(
        "A: actual is missing or not finite in 1 row",
        forecasts.with_columns(broken["actual"].extend_constant(0.0, 40)),
        valid,
    )


@pytest.mark.parametrize(
    ("levels", "needed"), [((0.05, 0.5, 0.9), 19), ((0.1, 0.95), 19), ((0.1, 0.9), 9), ((0.025, 0.5), 39), ((0.5,), 1)]
)
def test_valid_must_reach_to_the_outermost_level(levels, needed):
    quantiles = stats.norm.ppf(levels)
    forecasts, valid = table([0, 1], quantiles, first=99, levels=levels), worlds(1, known=needed)[1]["actual"]
    enough = table(valid, quantiles, levels=levels)
    assert len(calibrate(forecasts, enough, PLANS)) == 6
    outer = min(levels, key=lambda level: min(level, 1 - level))
    says = f"conformal 'A split': ticker T, fold 0, seed 1: the validation set has {needed - 1} days, level {outer} needs at least {needed}"
    refused(says, forecasts, enough[1:])
    refused(
        f"seed 1: the validation set has 0 days, level {outer}", forecasts, enough.with_columns(variant=pl.lit("B"))
    )


def test_a_unit_that_valid_lacks_is_named():
    forecasts, valid = worlds(3)
    refused(
        "ticker T001, fold 0, seed 1: the validation set has 0 days",
        forecasts,
        valid.filter(pl.col("ticker") != "T001"),
    )
    assert len(calibrate(forecasts.filter(pl.col("ticker") != "T001"), valid, PLANS)) == 3 * 2 * 60
