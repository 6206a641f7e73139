import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from scipy import stats

from nextday.errors import VerdictError
from nextday.evaluate.estimates import estimate
from nextday.evaluate.quantiles import coverage_intervals, intervals_of, levels_of, quantile_rows, score_quantiles

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
FREEDOM = 5.0
UNIT_QUANTILES = stats.t.ppf(LEVELS, FREEDOM) * np.sqrt((FREEDOM - 2) / FREEDOM)


def garch(rng, *, tickers=8, days=500, common=0.5, warm=200):
    """Returns and their volatility, [ticker, date]: GARCH(1, 1) with t errors, a common factor and common fat tails."""
    variance, actual, deviation = np.ones(tickers), np.empty((tickers, days)), np.empty((tickers, days))
    for day in range(-warm, days):
        market, own = rng.standard_normal(), rng.standard_normal(tickers)
        shock = (np.sqrt(common) * market + np.sqrt(1 - common) * own) * np.sqrt((FREEDOM - 2) / rng.chisquare(FREEDOM))
        move = np.sqrt(variance) * shock
        if day >= 0:
            actual[:, day], deviation[:, day] = move, np.sqrt(variance)
        variance = 0.03 + 0.05 * move**2 + 0.92 * variance
    return actual, deviation


def table(actual, quantiles, *, levels=LEVELS, name="A", fold_days=None):
    """Lay out quantiles [seed, ticker, date, level], without the first axis for a model without randomness."""
    known = quantiles.ndim == 4
    quantiles = quantiles if known else quantiles[None]
    seeds, (tickers, days) = len(quantiles), actual.shape
    date = np.datetime64("2000-01-03") + np.arange(days)
    seed = pl.Series(np.repeat(np.arange(seeds), tickers * days))
    return pl.DataFrame({
        "variant": np.repeat(name, seeds * tickers * days),
        "ticker": np.tile(np.repeat([f"T{i:03d}" for i in range(tickers)], days), seeds),
        "fold": np.tile(np.arange(days) // (fold_days or days), seeds * tickers),
        "seed": seed if known else pl.Series([None] * len(seed), dtype=pl.Int64),
        "origin": np.tile(date - 1, seeds * tickers), "date": np.tile(date, seeds * tickers),
        "actual": np.tile(actual.ravel(), seeds), "predicted": 0.0,
        **{f"q{level}": quantiles[..., at].ravel() for at, level in enumerate(levels)},
    })  # fmt: skip


def true_model(seed, **options):
    actual, deviation = garch(np.random.default_rng(seed), **options)
    return actual, deviation[..., None] * UNIT_QUANTILES


@pytest.fixture(scope="module")
def small():
    return table(*true_model(0, tickers=3, days=60))


def change(rows, row, **values):
    at = pl.int_range(pl.len()) == row
    return rows.with_columns(
        pl.when(at).then(pl.lit(value)).otherwise(name).alias(name) for name, value in values.items()
    )


def refused(rows, says, of=quantile_rows):
    with pytest.raises(VerdictError, match=says) as error:
        of(rows)
    assert "\n" not in str(error.value)


def test_statistics_of_scipy_load_when_first_used():
    code = "import sys, nextday.evaluate.calibration; assert 'scipy.stats' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_levels_are_read_off_the_columns_and_sorted():
    assert levels_of(pl.DataFrame(schema=["q0.95", "ticker", "q.5", "q1e-3", "quality", "q"])) == (0.001, 0.5, 0.95)
    assert levels_of(pl.DataFrame(schema=["actual"])) == ()


@pytest.mark.parametrize("name", ["q0", "q1", "q1.5", "q-0.1", "q0.0.5", "q95"])
def test_a_level_outside_0_and_1_is_refused(name):
    refused(pl.DataFrame(schema=["q0.5", name]), f"'{name}' is not a level strictly between 0 and 1", levels_of)


def test_a_level_given_twice_is_refused():
    refused(pl.DataFrame(schema=["q0.5", "q0.50"]), "columns 'q0.5' and 'q0.50' are the same level", levels_of)


def test_levels_pair_with_their_mirrors_despite_rounding():
    levels = tuple(k / 20 for k in range(1, 20))
    assert [interval.nominal for interval in intervals_of(levels)] == [k / 10 for k in range(9, 0, -1)]
    assert intervals_of((0.05, 0.5, 0.9)) == ()
    assert len(intervals_of((0.1666666666, 0.8333333333))) == 1


def slow_scores(rows):
    """The same scores from their textbook definitions, one row at a time."""
    found = {f"Pinball@{level}": 0.0 for level in LEVELS} | {"Coverage": 0.0, "Width": 0.0, "IntervalScore": 0.0}
    for row in rows.iter_rows(named=True):
        for level in LEVELS:
            gap = row["actual"] - row[f"q{level}"]
            found[f"Pinball@{level}"] += max(level * gap, (level - 1) * gap) / len(rows)
        low, high, actual = row["q0.05"], row["q0.95"], row["actual"]
        found["Coverage"] += (low <= actual <= high) / len(rows)
        found["Width"] += (high - low) / len(rows)
        penalty = max(low - actual, 0) + max(actual - high, 0)
        found["IntervalScore"] += (high - low + 2 / 0.1 * penalty) / len(rows)
    found["Pinball"] = sum(found[f"Pinball@{level}"] for level in LEVELS) / len(LEVELS)
    return found | {"CRPS": 2 * found["Pinball"], "Nominal": 0.9, "Days": len(rows)}


def test_scores_agree_with_their_definitions_and_with_scoringrules(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "numba", None)  # with it, the import compiles all scores, for seconds
        import scoringrules

    actual, quantiles = true_model(1, tickers=2, days=80)
    rows = table(actual, np.stack([quantiles, 0.5 * quantiles]), fold_days=40)
    scores = score_quantiles(rows)
    assert scores.select("variant", "ticker", "fold", "seed").equals(
        rows.select("variant", "ticker", "fold", "seed").unique(maintain_order=True)
    )
    for score in scores.iter_rows(named=True):
        unit = rows.filter(ticker=score["ticker"], fold=score["fold"], seed=score["seed"])
        assert {name: score[name] for name in slow_scores(unit)} == pytest.approx(slow_scores(unit), abs=1e-9)
        observed, forecast = unit["actual"].to_numpy(), unit.select(f"q{level}" for level in LEVELS).to_numpy()
        crps = scoringrules.crps_quantile(observed, forecast, np.array(LEVELS)).mean()
        inner = scoringrules.interval_score(observed, forecast[:, 1], forecast[:, 3], 0.5).mean()
        assert score["CRPS"] == pytest.approx(crps, abs=1e-9)
        assert score["IntervalScore@0.5"] == pytest.approx(inner, abs=1e-9)
        assert score["Coverage@0.9"] == score["Coverage"]
        assert score["Coverage@0.5"] < score["Coverage"]


@pytest.mark.parametrize(
    ("levels", "ratio"), [((0.05, 0.5, 0.95), 0.715), (tuple(k / 20 for k in range(1, 20)), 1 + 1 / 19)]
)
def test_the_crps_from_quantiles_is_as_far_off_as_its_definition_says(levels, ratio):
    """A standard normal forecast of standard normal values has 1 / sqrt(pi)."""
    actual = stats.norm.ppf((np.arange(4000) + 0.5) / 4000)[None]
    rows = table(actual, np.broadcast_to(stats.norm.ppf(levels), (1, 4000, len(levels))), levels=levels)
    assert score_quantiles(rows)["CRPS"][0] * np.sqrt(np.pi) == pytest.approx(ratio, rel=0.005)


def test_one_interval_is_named_once_and_none_is_missing(small):
    one = score_quantiles(small.drop("q0.25", "q0.75"))
    assert [name for name in one.columns if "@" in name] == ["Pinball@0.05", "Pinball@0.5", "Pinball@0.95"]
    none = score_quantiles(small.select(pl.exclude("q0.5", "q0.75", "q0.95")))
    assert none["Coverage"].null_count() == none["Nominal"].null_count() == len(none) == 3
    refused(small.select(pl.exclude("q0.75", "q0.95")), r"level 0.05 has no complement; add q0.95", coverage_intervals)
    assert len(score_quantiles(small[:1])) == 1


def test_variants_without_quantiles_are_left_out(small):
    names = [f"q{level}" for level in LEVELS]
    point = small.with_columns(pl.lit("point").alias("variant"), pl.lit(None, pl.Float64).alias(names[0]))
    point = point.with_columns(pl.lit(None, pl.Float64).alias(name) for name in names)
    both = pl.concat([point, small])
    assert score_quantiles(both).equals(score_quantiles(small))
    assert coverage_intervals(both, replicates=50).equals(coverage_intervals(small, replicates=50))
    refused(point, "the forecasts table has no quantiles; they are columns such as q0.05")
    refused(small.drop(names), "the forecasts table has no quantiles")
    refused(small.clear(), "the forecasts table has no quantiles")
    refused(small.drop("actual"), "no column 'actual'; it has variant")


def test_crossing_quantiles_are_refused_with_where_and_what(small):
    refused(
        change(small, 70, **{"q0.25": 0.7, "q0.5": 0.5}),
        r"A: quantiles cross in 1 row; first: ticker T001, date 2000-01-13, q0.25 0.7, q0.5 0.5; let the model sort",
    )
    quantile_rows(change(small, 70, **{"q0.25": -0.1, "q0.5": -0.1, "q0.05": -9.0}))  # equal ones do not cross


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
@pytest.mark.parametrize("name", ["q0.05", "actual"])
def test_values_that_are_missing_or_not_finite_are_shown(small, name, value):
    refused(
        change(small, 3, **{name: value}),
        f"A: {name} is missing or not finite in 1 row; first: ticker T000, date 2000-01-06",
    )


def test_a_row_without_quantiles_in_a_variant_that_has_them_is_shown(small):
    names = [f"q{level}" for level in LEVELS]
    lacking = small.with_columns(pl.when(pl.int_range(pl.len()) != 3).then(name).alias(name) for name in names)
    refused(lacking, "A: q0.05 is missing or not finite in 1 row; first: ticker T000, date 2000-01-06")


def test_rows_given_twice_and_seeds_on_other_days_are_shown(small):
    refused(
        pl.concat([small, small[4:5]]),
        "A: duplicate ticker, seed and date in 2 rows; first: ticker T000, date 2000-01-07",
    )
    two = pl.concat([small.with_columns(seed=pl.lit(number, pl.Int64)) for number in (1, 2)])
    refused(two[:-1], "A: sample missing in another seed in 1 row; first: ticker T002, seed 1, date 2000-03-02")
    refused(pl.concat([two, small]), "A: no seed, while other rows have one in 180 rows")


def test_order_of_rows_names_of_seeds_and_twin_tickers_change_nothing():
    actual, quantiles = true_model(2, tickers=4, days=120)
    seeds = np.stack([quantiles, 0.9 * quantiles, 1.2 * quantiles])
    found = coverage_intervals(table(actual, seeds))
    shuffled = table(actual, seeds[[2, 0, 1]]).sample(fraction=1, shuffle=True, seed=0)
    numbers = found.columns[1:]
    assert found["Seeds"].to_list() == [3, 3]
    again = coverage_intervals(shuffled)
    assert again["Coverage"].to_list() == pytest.approx(found["Coverage"].to_list())
    assert again["Coverage_low"].to_list() == pytest.approx(found["Coverage_low"].to_list(), abs=0.02)  # other draws
    twins = coverage_intervals(table(np.tile(actual, (2, 1)), np.tile(seeds, (1, 2, 1, 1))))
    np.testing.assert_allclose(twins.select(numbers).to_numpy(), found.select(numbers).to_numpy(), rtol=1e-9)


def test_coverage_and_width_are_means_with_an_interval_around():
    actual, quantiles = true_model(3)
    rows = table(actual, quantiles)
    outer, inner = coverage_intervals(rows).iter_rows(named=True)
    scores = score_quantiles(rows)
    assert outer["Coverage"] == pytest.approx(scores["Coverage"].mean())
    assert inner["Width"] == pytest.approx(scores["Width@0.5"].mean())
    assert (outer["Nominal"], outer["Days"], outer["Seeds"]) == (0.9, 500, 0)
    assert outer["Coverage_low"] < 0.9 < outer["Coverage_high"]
    assert inner["Coverage_low"] < 0.5 < inner["Coverage_high"]
    assert 0 < outer["Width_low"] < outer["Width"] < outer["Width_high"]
    independent = 2 * 1.96 * np.sqrt(0.9 * 0.1 / actual.size)
    assert outer["Coverage_high"] - outer["Coverage_low"] > 1.3 * independent  # a day's tickers go together


def test_every_option_moves_the_interval():
    rows = table(*true_model(4, days=200))
    plain = coverage_intervals(rows)
    wide = coverage_intervals(rows, alpha=0.01)
    assert (wide["Coverage_low"] < plain["Coverage_low"]).all()
    assert (wide["Width_high"] > plain["Width_high"]).all()
    for options in ({"seed": 1}, {"replicates": 300}):
        moved = coverage_intervals(rows, **options)
        assert moved["Coverage"].equals(plain["Coverage"])
        assert (moved["Coverage_low"] != plain["Coverage_low"]).all()


def test_misses_in_runs_widen_the_interval_and_their_order_alone_decides():
    missed = np.random.default_rng(0).permutation(np.repeat([True, False], [100, 900]))
    widths = []
    for pattern in (missed, np.roll(np.sort(missed), 450)):
        actual = np.where(pattern, 9.0, 0.0)[None]
        found = coverage_intervals(table(actual, np.broadcast_to(np.arange(-2.0, 3), (1, 1000, 5))))
        widths.append(found["Coverage_high"][0] - found["Coverage_low"][0])
    assert widths[1] > 3 * widths[0]


def test_independent_days_have_their_standard_error_and_the_quantiles_of_t():
    """Ten blocks of thirty days: without the correction the variance would be 0.82 of it."""
    rows = table(np.zeros((1, 300)), np.zeros((1, 300, 5)))
    variances, reaches = [], []
    for seed in range(80):
        noise = pl.lit(pl.Series(np.random.default_rng(seed).standard_normal(300)))
        found = estimate(rows, [noise], replicates=400, seed=seed)
        bounds = found.of_means("mean", 0.05)[0]
        variances.append(300 * found.errors[0] ** 2)
        reaches.append((bounds["mean_high"] - bounds["mean"]) / found.errors[0])
    assert np.mean(variances) == pytest.approx(1, abs=0.12)
    assert np.mean(reaches) == pytest.approx(stats.t.ppf(0.975, 10), abs=0.06)


def test_seeds_that_differ_widen_the_interval():
    actual, quantiles = true_model(5)
    one = coverage_intervals(table(actual, quantiles[None]))
    same = coverage_intervals(table(actual, np.stack([quantiles] * 5)))
    apart = coverage_intervals(table(actual, np.stack([quantiles * scale for scale in (0.7, 0.8, 1, 1.2, 1.4)])))
    width = [(found["Coverage_high"] - found["Coverage_low"]).to_numpy() for found in (one, same, apart)]
    assert [found["Seeds"][0] for found in (one, same, apart)] == [1, 5, 5]
    np.testing.assert_allclose(width[1], width[0], rtol=1e-9)
    assert (width[2] > 2 * width[1]).all()


def test_the_variance_between_seeds_is_divided_by_their_number_and_added():
    actual, quantiles = true_model(5, days=100)
    rows = table(actual, np.stack([quantiles] * 4))
    same, apart = (estimate(rows, [pl.col("actual") + size * pl.col("seed")], replicates=50, seed=0) for size in (0, 3))
    assert apart.errors**2 - same.errors**2 == pytest.approx(np.var([0, 3, 6, 9], ddof=1) / 4)
    assert apart.means == pytest.approx(same.means + 4.5)


def test_tickers_that_miss_in_turns_count_for_no_more_than_their_number():
    actual = np.where(np.arange(400) % 2 == [[0], [1]], 9.0, 0.0)
    actual[:, 7] = 0
    found = coverage_intervals(table(actual, np.broadcast_to(np.arange(-2.0, 3), (2, 400, 5)))).row(0, named=True)
    assert found["Coverage"] == pytest.approx(0.5, abs=0.01)
    assert found["Coverage_high"] - found["Coverage"] > 1.5 * np.sqrt(0.25 / 800)


def test_where_nothing_is_missed_the_interval_still_has_a_low_end():
    actual, quantiles = true_model(6, days=250)
    found = coverage_intervals(table(actual, 100 * quantiles)).row(0, named=True)
    assert found["Coverage"] == found["Coverage_high"] == 1
    assert found["Coverage_low"] == pytest.approx(250 / (250 + stats.norm.ppf(0.975) ** 2))
    brief = coverage_intervals(table(actual[:, :1], quantiles[:, :1]))
    assert brief["Coverage_low"].is_finite().all()


def held(first, count, *truths, replicates=200, days=500, model=true_model):
    """Share of simulated panels whose interval of the widest coverage holds a truth, 0.9 if none is given."""
    panels = (table(*model(seed, days=days)) for seed in range(first, first + count))
    bounds = pl.concat(coverage_intervals(rows, replicates=replicates)[:1] for rows in panels)
    inside = (pl.lit(truth).is_between("Coverage_low", "Coverage_high").mean() for truth in truths or (0.9,))
    return [bounds.select(share).item() for share in inside]


def test_the_interval_holds_the_coverage_of_the_true_model_in_dependent_panels():
    right, wrong = held(100, 40, 0.9, 0.85, days=250)
    assert right >= 0.85  # 95 %, less what chance explains in 40 panels
    assert wrong <= 0.2


@pytest.mark.slow
def test_the_intervals_size_in_dependent_panels(capsys):
    """With the true model 95 %; less where misses cluster for months, and far less with short blocks (LOG.md)."""
    constant = np.quantile(garch(np.random.default_rng(0), tickers=200, days=20000)[0], LEVELS)

    def unconditional(seed, **options):
        actual, _ = garch(np.random.default_rng(seed), **options)
        return actual, np.broadcast_to(constant, (*actual.shape, len(LEVELS)))

    def seeded(seed, **options):
        actual, quantiles = true_model(seed, **options)
        scales = np.exp(0.1 * np.random.default_rng([seed, 1]).standard_normal(5))
        return actual, scales[:, None, None, None] * quantiles

    scales = np.exp(0.1 * stats.norm.ppf((np.arange(1000) + 0.5) / 1000))
    true_of_seeds = (2 * stats.t.cdf(stats.t.ppf(0.95, FREEDOM) * scales, FREEDOM) - 1).mean()

    def of_six(seed, **options):
        return true_model(seed, tickers=6, **options)

    rates = {
        "true model": held(1000, 400)[0],
        "true model, six tickers": held(5000, 500, model=of_six)[0],
        "true model, 5 seeds": held(1000, 200, true_of_seeds, model=seeded)[0],
        "constant quantiles": held(1000, 200, model=unconditional)[0],
    }
    with capsys.disabled():
        print("\n" + ", ".join(f"{name} {100 * rate:.1f} %" for name, rate in rates.items()))
    assert 0.92 <= rates["true model"] <= 0.985
    assert 0.93 <= rates["true model, six tickers"] <= 0.985
    assert rates["true model, 5 seeds"] >= 0.92
    assert rates["constant quantiles"] >= 0.78
