import numpy as np
import polars as pl
import pytest
from scipy import stats

from evaluate.test_quantiles import LEVELS, garch, table, true_model
from nextday.errors import VerdictError
from nextday.evaluate.calibration import (
    christoffersen,
    kupiec,
    kupiec_p_value,
    pit_bins,
    reliability,
    rolling_coverage,
    value_at_risk,
)

# Jorion, Value at Risk (3rd edition, chapter 6): violations N that do not reject level p after T days lie between these
# at a confidence of 95 %, as in Kupiec (1995).
NOT_REJECTED = {
    (0.01, 510): (1, 11), (0.01, 1000): (4, 17),
    (0.025, 255): (2, 12), (0.025, 510): (6, 21), (0.025, 1000): (15, 36),
    (0.05, 255): (6, 21), (0.05, 510): (16, 36), (0.05, 1000): (37, 65),
    (0.075, 255): (11, 28), (0.075, 510): (27, 51), (0.075, 1000): (59, 92),
    (0.1, 255): (16, 36), (0.1, 510): (38, 65), (0.1, 1000): (81, 120),
}  # fmt: skip


@pytest.mark.parametrize(("level", "days"), NOT_REJECTED)
def test_kupiec_gives_the_published_regions(level, days):
    violations = np.arange(days + 1)
    kept = violations[stats.chi2.sf(kupiec(violations, np.full(days + 1, days), level), 1) > 0.05]
    assert (kept[0] - 1, kept[-1] + 1) == NOT_REJECTED[level, days]


@pytest.mark.parametrize(
    ("violations", "level", "transitions", "coverage", "independence"),
    [
        (20, 0.05, [[218, 14], [14, 6]], 3.91, 9.53),  # J.P. Morgan in 1998, in the chapter
        (6, 0.01, [[244, 2], [2, 4]], 3.498, 25.837),  # its exercise 10
    ],
)
def test_the_ratios_are_those_of_the_textbook(violations, level, transitions, coverage, independence):
    """They count 252 pairs in 252 days; ``value_at_risk`` counts 251."""
    assert kupiec(np.array(violations), np.array(252), level) == pytest.approx(coverage, abs=5.1e-3)
    assert christoffersen(np.array(transitions)) == pytest.approx(independence, abs=5.1e-3)


def test_no_violations_and_nothing_else_have_exact_ratios():
    none, all_days = kupiec(np.array([0, 250]), np.array([250, 250]), 0.01)
    assert none == pytest.approx(-500 * np.log(0.99))
    assert all_days == pytest.approx(-500 * np.log(0.01))
    alone = [[[249, 0], [0, 0]], [[0, 0], [0, 249]], [[248, 1], [0, 0]], [[0, 0], [0, 0]]]
    assert christoffersen(np.array(alone)).tolist() == [0, 0, 0, 0]
    assert christoffersen(np.array([[247, 1], [1, 0]])) == pytest.approx(
        2 * (247 * np.log(247 / 248) + np.log(1 / 248) - 248 * np.log(248 / 249) - np.log(1 / 249))
    )


def test_the_exact_p_value_sums_the_probabilities_that_basel_publishes():
    """Basel Committee (1996), Supervisory framework for backtesting, table 1: 250 days at a level of 1 %.

    In percent: 8.1 of no exception, 20.5 of one; 10.8 of five or more, 4.1 of six, 1.4 of seven, 0.4 of eight. No
    exception has a ratio of 5.03, between those of six (3.56) and seven (5.50).
    """
    found = 100 * kupiec_p_value(np.array([0, 1, 5, 6, 7, 8]), np.full(6, 250), 0.01)
    known = [8.1 + 1.4, 8.1 + 20.5 + 10.8, 8.1 + 10.8, 8.1 + 4.1, 1.4, 0.4]
    assert found == pytest.approx(known, abs=0.1)


@pytest.mark.parametrize(("level", "days"), [(0.05, 60), (0.05, 250), (0.05, 627), (0.01, 250), (0.1, 60), (0.3, 7)])
def test_kupiecs_test_is_never_larger_than_its_level(level, days):
    """By enumeration of all numbers of violations, beside the slow and obvious sum."""
    violations = np.arange(days + 1)
    number = np.full(days + 1, days)
    probability = stats.binom.pmf(violations, days, level)
    ratios = kupiec(violations, number, level)
    found = kupiec_p_value(violations, number, level)
    slow = [probability[ratios >= ratio * (1 - 1e-9)].sum() for ratio in ratios]
    assert found == pytest.approx(slow, rel=1e-9)
    for alpha in (0.01, 0.05, 0.1):
        assert probability[found <= alpha].sum() <= alpha + 1e-12
    assert found[ratios.argmin()] == pytest.approx(1)


def test_kupiecs_asymptotic_test_would_be_too_large_in_short_samples():
    size = {}
    for days in (60, 250, 627):
        violations, number = np.arange(days + 1), np.full(days + 1, days)
        probability = stats.binom.pmf(violations, days, 0.05)
        exact = kupiec_p_value(violations, number, 0.05) <= 0.05
        asymptotic = stats.chi2.sf(kupiec(violations, number, 0.05), 1) <= 0.05
        size[days] = [round(100 * float(probability[rejected].sum()), 1) for rejected in (asymptotic, exact)]
    assert size == {60: [7.6, 4.9], 250: [5.9, 4.6], 627: [5.5, 4.3]}


def test_exact_p_values_of_samples_of_several_lengths_keep_their_order():
    violations, days = np.array([3, 0, 20, 0]), np.array([60, 250, 250, 60])
    alone = [kupiec_p_value(violations[[at]], days[[at]], 0.05)[0] for at in range(4)]
    assert kupiec_p_value(violations, days, 0.05).tolist() == alone
    assert len(set(alone)) == 4


def fall(pattern):
    """A table whose actual values are below the 5 % quantile where the pattern, [ticker, date], has a 1."""
    pattern = np.atleast_2d(pattern)
    return table(np.where(pattern, -2.0, 0.0), np.broadcast_to(np.arange(-1.0, 4), (*pattern.shape, 5)))


def test_violations_are_counted_within_a_fold_in_the_order_of_dates():
    rows = fall([[0, 1, 1, 0, 0, 1, 0, 0, 1, 1], [0] * 10])
    halves = rows.with_columns(fold=pl.col("date").rank("dense").over("ticker").sub(1) // 5)
    found = value_at_risk(halves.sample(fraction=1, shuffle=True, seed=1)).sort("ticker", "fold")
    assert found["Days"].to_list() == [5, 5, 5, 5]
    assert found["Violations"].to_list() == [2, 3, 0, 0]
    assert found["Expected"].to_list() == [0.25] * 4
    first, second, *quiet = found.iter_rows(named=True)
    assert first["independence"] == pytest.approx(christoffersen(np.array([[1, 1], [1, 1]])))  # 0 1 1 0 0
    assert second["independence"] == pytest.approx(christoffersen(np.array([[1, 1], [1, 1]])))  # 1 0 0 1 1
    whole = value_at_risk(rows).row(0, named=True)
    assert whole["independence"] == pytest.approx(christoffersen(np.array([[2, 3], [2, 2]])))
    assert whole["kupiec"] == pytest.approx(kupiec(np.array(5), np.array(10), 0.05))
    assert whole["conditional"] == pytest.approx(whole["kupiec"] + whole["independence"])
    assert whole["p_kupiec"] == kupiec_p_value(np.array([5]), np.array([10]), 0.05)[0]
    freedom = {"independence": 1, "conditional": 2}
    assert {name: whole[f"p_{name}"] for name in freedom} == pytest.approx(
        {name: stats.chi2.sf(whole[name], degrees) for name, degrees in freedom.items()}
    )
    for row in quiet:
        assert row["kupiec"] == pytest.approx(-10 * np.log(0.95))
        assert (row["independence"], row["p_independence"]) == (0, 1)


def test_each_variant_ticker_and_seed_is_a_row_in_the_order_of_the_table():
    actual, quantiles = true_model(0, tickers=3, days=300)
    rows = table(actual, np.stack([quantiles, 0.5 * quantiles]))
    found = value_at_risk(pl.concat([rows.with_columns(variant=pl.lit("Z")), rows]))
    unit = ["variant", "ticker", "fold", "seed"]
    assert found["variant"].unique(maintain_order=True).to_list() == ["Z", "A"]
    assert len(found) == 12
    assert (found.filter(seed=1)["Violations"] > 2 * found.filter(seed=0)["Violations"]).all()
    assert found.select(unit).is_duplicated().sum() == 0
    outer, inner = value_at_risk(rows), value_at_risk(rows, 0.25)
    assert (inner["Violations"] > outer["Violations"]).all()
    assert (inner["Expected"] == 75).all()


@pytest.mark.parametrize("level", [0.01, 0.5, 0.95])
def test_a_level_that_is_no_lower_quantile_is_refused(level):
    with pytest.raises(VerdictError, match=f"level {level} is not a lower quantile .*; lower quantiles: 0.05, 0.25"):
        value_at_risk(fall([0, 1]), level)


def rates(violations, level=0.05):
    """Share of rows that the three tests reject at 5 %."""
    before, now = violations[:, :-1], violations[:, 1:]
    pairs = [((before == first) & (now == second)).sum(axis=1) for first in (0, 1) for second in (0, 1)]
    independence = christoffersen(np.stack(pairs, axis=-1).reshape(-1, 2, 2))
    coverage = kupiec(violations.sum(axis=1), np.full(len(violations), violations.shape[1]), level)
    ratios = ((coverage, 1), (independence, 1), (coverage + independence, 2))
    return [float(np.mean(stats.chi2.sf(ratio, freedom) < 0.05)) for ratio, freedom in ratios]


def test_size_of_independent_and_power_against_clustered_violations():
    """Of Kupiec's, the independence and the conditional test; the second has little size in short samples."""
    rng = np.random.default_rng(0)
    size = rates(rng.random((6000, 500)) < 0.05)
    assert 0.04 < size[0] < 0.07
    assert 0.02 < size[1] < 0.07
    assert 0.03 < size[2] < 0.06
    clustered = np.zeros((3000, 500), bool)
    for day in range(1, 500):
        after = np.where(clustered[:, day - 1], 0.2, 0.05 * 0.8 / 0.95)  # 5 % of days, four times that after one
        clustered[:, day] = rng.random(3000) < after
    power = rates(clustered)
    assert power[0] < 0.15  # the rate is right
    assert min(power[1:]) > 0.6
    assert rates(rng.random((3000, 500)) < 0.08)[0] > 0.7


def test_the_tests_of_a_table_keep_the_true_quantile_and_reject_one_that_is_right_on_average_only():
    rng = np.random.default_rng(1)
    deviation = np.broadcast_to(np.where(np.arange(600) // 10 % 4 == 0, 5.0, 1.0), (150, 600))  # a storm of ten days
    actual = deviation * rng.standard_normal((150, 600))
    true = deviation[..., None] * stats.norm.ppf(LEVELS)
    constant = np.broadcast_to(np.quantile(actual, LEVELS), true.shape)
    both = pl.concat([table(actual, true, name="true"), table(actual, constant, name="constant")])
    rejected = value_at_risk(both).group_by("variant").agg((pl.col("^p_.*$") < 0.05).mean())
    kept, clustered = (
        rejected.row(by_predicate=pl.col("variant") == name, named=True) for name in ("true", "constant")
    )
    assert max(kept[name] for name in ("p_kupiec", "p_independence", "p_conditional")) < 0.12
    assert clustered["p_kupiec"] < 0.12
    assert min(clustered["p_independence"], clustered["p_conditional"]) > 0.4


def test_bins_and_reliability_count_what_lies_at_or_below_each_quantile():
    actual = np.array([[-1.0, -0.5, 0.0, 0.5, 9.0, 9.0, -9.0, 1.0]])  # the quantiles are -1, 0, 1
    rows = table(actual, np.broadcast_to([-1.0, 0, 1], (1, 8, 3)), levels=(0.1, 0.5, 0.9))
    bins = pit_bins(rows)
    assert bins.select("Low", "High", "Nominal").rows() == [
        (0, 0.1, 0.1),
        (0.1, 0.5, 0.4),
        (0.5, 0.9, 0.4),
        (0.9, 1, 0.1),
    ]
    assert bins["Share"].to_list() == [0.25] * 4
    found = reliability(rows)
    assert found["Level"].to_list() == [0.1, 0.5, 0.9]
    assert found["Observed"].to_list() == pytest.approx([0.25, 0.5, 0.75])
    assert (found["Observed_low"] < found["Observed"]).all()
    assert (found["Observed_high"] > found["Observed"]).all()


def test_the_true_model_passes_and_a_shifted_and_a_narrow_one_fail():
    actual, quantiles = true_model(2)
    variants = {"true": quantiles, "shifted": quantiles + 0.2, "narrow": 0.7 * quantiles}
    rows = pl.concat([table(actual, values, name=name) for name, values in variants.items()])
    p_values = dict(pit_bins(rows).select("variant", "p_uniform").rows())
    assert p_values["true"] > 0.05
    assert max(p_values["shifted"], p_values["narrow"]) < 0.01
    inside = (pl.col("Observed_low") <= pl.col("Level")) & (pl.col("Level") <= pl.col("Observed_high"))
    holds = dict(reliability(rows, alpha=0.01).group_by("variant").agg(inside.sum()).rows())
    assert holds["true"] == 5
    assert holds["shifted"] < 2
    assert holds["narrow"] < 3  # the median stays where it was


def test_every_option_moves_bins_and_reliability():
    rows = table(*true_model(3, days=200))
    for of, low in ((pit_bins, "Share_low"), (reliability, "Observed_low")):
        plain = of(rows)
        assert (of(rows, alpha=0.01)[low] < plain[low]).all()
        for options in ({"seed": 1}, {"replicates": 300}):
            assert (of(rows, **options)[low] != plain[low]).all()


def test_rolling_coverage_is_the_mean_over_seeds_tickers_and_the_last_sessions():
    rng = np.random.default_rng(4)
    actual, quantiles = true_model(4, tickers=3, days=40)
    seeds = quantiles * rng.uniform(0.2, 1, (2, 1, 1, 1))
    found = rolling_coverage(table(actual, seeds).sample(fraction=1, shuffle=True, seed=0), window=30)
    held = (seeds[..., 1] <= actual) & (actual <= seeds[..., 3])
    inner = found.filter(Nominal=0.5)
    assert inner["Coverage"].to_list() == pytest.approx([held[..., end - 30 : end].mean() for end in range(30, 41)])
    assert inner["date"][0] == np.datetime64("2000-01-03") + np.timedelta64(29, "D")
    assert found["Nominal"].unique(maintain_order=True).to_list() == [0.9, 0.5]
    assert rolling_coverage(table(actual, quantiles)).is_empty()  # fewer than 250 sessions
    assert len(rolling_coverage(table(actual, quantiles), window=1)) == 80
    with pytest.raises(VerdictError, match="the window must be at least 1 session, got 0"):
        rolling_coverage(table(actual, quantiles), window=0)


def test_variants_roll_apart():
    actual, quantiles = true_model(5, tickers=2, days=30)
    alone = table(actual, quantiles, name="B")
    both = pl.concat([alone, table(actual, 0.5 * quantiles, name="A")])
    found = rolling_coverage(both, window=10)
    assert found["variant"].unique(maintain_order=True).to_list() == ["B", "A"]
    assert found.filter(variant="B").equals(rolling_coverage(alone, window=10))


@pytest.mark.slow
def test_the_size_of_uniformity_in_dependent_panels(capsys):
    """Below 5 % for the true model; near it where misses cluster for months. Pearson's own test rejects far more."""
    constant = np.quantile(garch(np.random.default_rng(0), tickers=200, days=20000)[0], LEVELS)
    nominal = np.diff((0, *LEVELS, 1))
    found = []
    for seed in range(300):
        actual, quantiles = true_model(seed)
        flat = np.broadcast_to(constant, quantiles.shape)
        bins = [pit_bins(table(actual, values), replicates=300) for values in (quantiles, flat, quantiles * 0.9)]
        naive = [stats.chisquare(each["Share"] * actual.size, nominal * actual.size).pvalue for each in bins[:2]]
        found.append([*(each["p_uniform"][0] < 0.05 for each in bins), *(value < 0.05 for value in naive)])
    true, flat, narrow, *naive = np.mean(found, axis=0)
    with capsys.disabled():
        print(f"\ntrue {true:.3f}, constant {flat:.3f}, a tenth too narrow {narrow:.3f}, Pearson {naive}")
    assert true <= 0.05
    assert flat <= 0.12
    assert narrow > 0.5
    assert min(naive) > 0.1
