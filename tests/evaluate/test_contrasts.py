import time
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import worlds
from nextday.evaluate import compare, judge, measure, relation
from nextday.evaluate.ask import Ask
from nextday.evaluate.bootstrap import cosine_error, kept, optimal_block, optimal_blocks, resample, robust_block
from nextday.evaluate.contrasts import detectable_of
from nextday.evaluate.noise import intervals
from nextday.evaluate.seeds import MIN_SEEDS

WORLD = worlds.World(days=250, tickers=6, signal=0.1, strengths={"A": 1.0, "B": 0.5, "C": 0.0})


@pytest.fixture(scope="module")
def table():
    return worlds.draw(WORLD, 1)


@pytest.fixture(scope="module")
def losses(table):
    return measure(table)


@pytest.fixture(scope="module")
def plain(losses):
    """What the same in another form is held against."""
    return compare(losses, replicates=300)


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


def test_swapping_two_variants_flips_the_sign(table, plain):
    names = pl.col("variant").replace({"A": "B", "B": "A"})
    swapped = table.with_columns(names).sort("variant")
    one, two = by_pair(plain), by_pair(compare(measure(swapped), replicates=300))
    assert two["A", "B"].estimate == pytest.approx(-one["A", "B"].estimate)
    assert two["A", "B"].date_error == pytest.approx(one["A", "B"].date_error)


def test_scaling_returns_leaves_skill_alone(table, plain):
    scaled = table.with_columns(pl.col("actual", "predicted") * 8)
    close(plain, compare(measure(scaled), replicates=300), rel=1e-6, abs=1e-9)


def test_one_volatile_ticker_does_not_own_the_answer(table, plain):
    loud = pl.when(pl.col("ticker") == "T000").then(16).otherwise(1)
    scaled = table.with_columns(pl.col("actual", "predicted") * loud)
    close(plain, compare(measure(scaled), replicates=300), rel=1e-6, abs=1e-9)


def test_shuffled_rows_and_renamed_seeds_change_nothing(table, plain):
    shuffled = table.sample(fraction=1, shuffle=True, seed=3).with_columns(seed=(7 - pl.col("seed")) % 11)
    order = table["variant"].unique(maintain_order=True).to_list()
    shuffled = shuffled.sort(pl.col("variant").cast(pl.Enum(order)), maintain_order=True)
    close(plain, compare(measure(shuffled), replicates=300), rel=1e-9)


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
    quick = {"replicates": 300, "other_blocks": ()}
    few, many = (compare(worlds.losses(replace(biased, seeds=s), 2), **quick).between[0] for s in (3, 24))
    assert many.seed_error < 0.6 * few.seed_error
    short, long = (compare(worlds.losses(replace(biased, days=d), 2), **quick).between[0] for d in (200, 1800))
    assert long.date_error < 0.6 * short.date_error


def test_what_is_asked_is_a_family_of_its_own(losses):
    asks = [Ask("A", "B"), Ask("C", None)]
    found = compare(losses, ask=asks, replicates=800)
    assert [(one.first, one.second) for one in found.asked] == [("A", "B"), ("C", "zero forecast")]
    assert [one.first for one in found.against_benchmark] == ["A", "B", "C"]
    assert [(one.first, one.second) for one in found.others] == [("A", "C"), ("B", "C")]
    assert len(found.contrasts) == 6  # C against the benchmark once
    alone = compare(losses, ask=asks[:1], replicates=800).asked[0]
    assert alone.high - alone.low < 0.95 * (found.asked[0].high - found.asked[0].low)
    assert alone.estimate == found.asked[0].estimate
    assert alone.critical < found.asked[0].critical


def test_a_contrast_asked_the_other_way_round_is_its_mirror_image(losses):
    first, second = (compare(losses, ask=[ask], replicates=800) for ask in (Ask("A", "B"), Ask("B", "A")))
    assert second.others == first.others
    one, two = first.asked[0], second.asked[0]
    assert two.estimate == -one.estimate
    assert two.low == pytest.approx(-one.high, rel=1e-6)
    assert two.high == pytest.approx(-one.low, rel=1e-6)


def test_an_ask_has_a_margin_of_its_own(losses):
    one, two = compare(losses, ask=[Ask("A", "B", 0.5), Ask("A", "C")], replicates=300).asked
    assert (one.margin, two.margin) == (0.5, 0.0025)
    assert (relation(one), relation(two)) == ("=", ">")


def test_the_order_of_the_variants_changes_nothing_but_the_order_of_lines(table):
    asks = [Ask("A", "B"), Ask("C", None)]
    turned = table.sort("variant", descending=True, maintain_order=True)
    one, two = (compare(measure(rows), ask=asks, replicates=500) for rows in (table, turned))
    for mine, theirs in zip(one.asked, two.asked, strict=True):
        for name in ("estimate", "low", "high", "p_value", "detectable"):
            assert getattr(theirs, name) == pytest.approx(getattr(mine, name), rel=1e-6), name


STEADY = worlds.World(days=400, bias=0.1, strengths={"A": 0.0, "B": 0.0, "C": 0.0})


def widths(comparison):
    return {(one.first, one.second): one.high - one.low for one in comparison.contrasts}


def test_a_contrast_is_withheld_alone():
    actual, forecasts = worlds.sample(STEADY, 3)
    quick = {"replicates": 2000, "other_blocks": ()}
    whole = compare(worlds.losses_of(actual, forecasts), **quick)
    few = compare(worlds.losses_of(actual, forecasts | {"C": forecasts["C"][: MIN_SEEDS - 1]}), **quick)
    reasons = {(one.first, one.second): one.withheld for one in few.contrasts}
    assert [pair for pair, reason in reasons.items() if reason] == [("A", "C"), ("B", "C"), ("C", "zero forecast")]
    assert reasons["A", "C"] == "seed variance poorly estimated: C has 2 seeds, at least 3 are needed"
    alone = compare(worlds.losses_of(actual, forecasts), ask=[Ask("A", "B")], **quick)
    assert widths(few)["A", "B"] == pytest.approx(widths(alone)["A", "B"], rel=0.03)  # the only one of its family
    assert not whole.withheld


def test_one_exploding_network_does_not_widen_the_others():
    """Before, one smallest number of degrees of freedom for all made every other interval 14 % wider."""
    actual, forecasts = worlds.sample(STEADY, 4)
    wild = forecasts["C"].copy()
    wild[0, 0] += 0.05 * np.random.default_rng(0).standard_normal(STEADY.days)
    calm, shaken = (
        compare(worlds.losses_of(actual, forecasts | {"C": c}), replicates=4000, other_blocks=())
        for c in (forecasts["C"], wild)
    )
    assert widths(shaken)["A", "C"] > 1.5 * widths(calm)["A", "C"]
    for pair in (("A", "B"), ("A", "zero forecast"), ("B", "zero forecast")):
        assert 0.9 < widths(shaken)[pair] / widths(calm)[pair] < 1.02, pair


def test_twins_do_not_set_the_detectable_difference():
    actual, forecasts = worlds.sample(replace(STEADY, strengths={"A": 0.0, "B": 0.0}), 5)
    found = compare(worlds.losses_of(actual, forecasts | {"C": forecasts["B"]}), replicates=500)
    twins = by_pair(found)["B", "C"]
    assert twins.identical
    assert relation(twins) == "="
    assert twins.standard_error == 0
    known = [one.detectable for one in found.asked if not one.identical]
    assert found.detectable == max(known) == pytest.approx(known[0], rel=0.02)
    assert compare(worlds.losses_of(actual, {"B": forecasts["B"], "C": forecasts["B"]}), replicates=50).detectable != 0


def test_too_few_days_withhold_the_contrast_that_remembers_and_no_other():
    rng = np.random.default_rng(1)
    actual, forecasts = worlds.sample(replace(STEADY, days=100, bias=0.01, strengths={"A": 0.0, "B": 0.0}), 6)
    swings = np.exp(worlds.autoregression(rng, (1, 1, 100), 0.98)) * np.array([0.03, 0.031, 0.032])[:, None, None]
    slow = actual + swings  # its loss remembers for months
    found = compare(worlds.losses_of(actual, forecasts | {"C": slow}), replicates=300)
    reasons = {(one.first, one.second): one.withheld for one in found.contrasts}
    assert not reasons["A", "B"]
    assert "too few days: 100, at least ten blocks of" in reasons["B", "C"]


def test_what_the_study_could_see_is_what_the_test_finds(table):
    """A standard error beyond the critical value of the simultaneous test; 1.4 beyond the interval for equality."""
    for one in compare(measure(table), replicates=500).contrasts:
        reach = max(one.high - one.estimate, one.estimate - one.low)
        assert detectable_of(one.standard_error, one.critical, 0, 1) == pytest.approx(reach + one.standard_error)
        assert 1 < one.detectable / (reach + one.standard_error) < 1.2
        equal = max(one.equal_high - one.estimate, one.estimate - one.equal_low)
        assert one.equality == pytest.approx(equal + 1.4 * one.standard_error)


def test_a_difference_that_can_be_seen_pays_for_the_noise_of_its_own_forecasts():
    """By search: the smallest difference beyond its own error, whose forecasts move by what an R2 of 5 % asks for."""

    def needed(difference, error, samples):
        own = np.linspace(0, 0.05, 200_001)  # variances of forecasts, the signal being y * sqrt(R2 / v)
        gain = 2 * np.sqrt(0.05 * own) - own
        return 3.2 * np.sqrt(error**2 + own[np.argmax(gain >= 1 - (1 - difference) ** 2)] / samples)

    for error, samples in ((0.002, 600), (0.001, 2000), (0.002, 6930)):
        found = detectable_of(error, 2.2, samples, 0.05)
        assert needed(found, error, samples) == pytest.approx(found, rel=1e-3)
        assert all(needed(share * found, error, samples) > share * found for share in (0.5, 0.9, 0.99))
    lost = detectable_of(0.003, 2.2, 300, 0.05)  # more than can be gained
    assert lost == pytest.approx(3.2 * np.sqrt(0.003**2 + lost * (2 - lost) / 300))
    assert detectable_of(0.003, 2.2, 300, 0.5) < detectable_of(0.003, 2.2, 300, 0.2) < lost
    assert detectable_of(0.0, 2.2, 300, 0.05) == 0


def test_contrasts_that_are_each_a_family_have_the_intervals_of_each_alone():
    noise, errors = np.random.default_rng(0).standard_t(5, (1000, 4)), np.array([1.0, 2.0, 0.0, 1.5])
    noise[:, 2], estimates = 0, np.array([0.3, -4.0, 0.0, 1.0])
    together = intervals(estimates, noise, errors, 0.05, alone=True)
    for at in range(4):
        one = slice(at, at + 1)
        single = intervals(estimates[one], noise[:, one], errors[one], 0.05)
        assert {name: column[at] for name, column in together.items()} == {
            name: each[0] for name, each in single.items()
        }


def test_simultaneous_intervals_are_wider_than_those_for_equivalence(table):
    for contrast in compare(measure(table), replicates=500).contrasts:
        assert contrast.low < contrast.equal_low < contrast.estimate < contrast.equal_high < contrast.high
        assert contrast.p_value <= contrast.p_adjusted


@pytest.mark.parametrize("option", ["loss", "benchmark", "margin", "alpha"])
def test_every_option_moves_the_answer(table, losses, plain, option):
    changed = {
        "loss": lambda: compare(measure(table, loss="absolute"), replicates=300),
        "benchmark": lambda: compare(measure(table, benchmark="B"), replicates=300),
        "margin": lambda: compare(losses, margin=0.5, replicates=300),
        "alpha": lambda: compare(losses, alpha=0.2, replicates=300),
    }[option]()
    if option == "margin":
        assert [relation(one) for one in plain.between] != [relation(one) for one in changed.between]
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


def test_the_block_of_contrasts_is_the_median_of_theirs_and_long_enough():
    assert robust_block(np.array([5.0, 5.0, 200.0]), 900) == pytest.approx(39)  # 1.3 sqrt(900); no single one decides
    assert robust_block(np.array([60.0, 80.0, 70.0]), 900) == 70
    assert robust_block(np.array([400.0]), 900) == 300  # three blocks at least
    rng = np.random.default_rng(0)
    series = np.vstack([rng.standard_normal((2, 900)), worlds.autoregression(rng, (1, 900), 0.98)])
    alone, together = optimal_blocks(series[:1]), optimal_blocks(series)
    assert together[0] == alone[0]
    assert together[2] > 3 * together[0]


def test_what_blocks_lose_of_the_variance_is_known():
    """Days without memory: the bootstrap finds ``kept`` of the variance of a mean, as the mean is taken out of few blocks."""
    rng = np.random.default_rng(1)
    days, block = 120, 15.0
    shares = resample(days, block=block, replicates=3000, seed=0) / days
    found = (shares @ rng.standard_normal((days, 2000))).var(axis=0, ddof=1)
    assert np.mean(found) * days == pytest.approx(kept(days, block), rel=0.03)
    assert kept(days, block) < 0.85


def test_the_slowest_cosines_see_what_blocks_do_not():
    """A series that remembers for a month: its mean varies more than blocks show, and hardly more than cosines do."""
    rng = np.random.default_rng(2)
    series = worlds.autoregression(rng, (400, 600), 0.9)
    true = series.mean(axis=1).var()
    shares = resample(600, block=robust_block(np.array([5.0]), 600), replicates=200, seed=0) / 600
    blocks = np.mean((shares @ series.T).var(axis=0, ddof=1)) / kept(600, 1.3 * np.sqrt(600))
    cosines = np.mean(cosine_error(series) ** 2)
    assert blocks < 0.8 * true
    assert blocks < 0.95 * cosines
    assert cosines == pytest.approx(true, rel=0.2)


def test_only_what_remembers_carries_the_remark_of_a_slow_swing():
    """One long swing for A resolves a difference that the slowest cosines do not; the same days shuffled carry none."""
    rng = np.random.default_rng(3)
    actual = 0.01 * rng.standard_normal((4, 600))
    swing = np.where(np.arange(600) < 420, 0.3, 0.0)
    forecasts = {"A": (swing * actual)[None], "B": 0.05 * actual[None]}
    order = rng.permutation(600)
    lasting, mixed = (
        compare(
            worlds.losses_of(actual[:, at], {name: one[..., at] for name, one in forecasts.items()}), replicates=500
        ).asked[0]
        for at in (np.arange(600), order)
    )
    assert lasting.estimate == pytest.approx(mixed.estimate)
    assert mixed.low > 0
    assert not mixed.swing
    assert lasting.slow_error > 3 * mixed.slow_error
    assert lasting.low > 0
    assert lasting.swing


def test_days_without_memory_carry_no_remark_though_three_cosines_are_a_weak_test():
    world = worlds.World(days=300, tickers=4, signal=0.05, strengths={"A": 0.0, "B": 0.08})
    found = [compare(worlds.losses(world, seed), replicates=300, other_blocks=()).asked[0] for seed in range(12)]
    found = [one for one in found if one.high < 0]
    tempted = [abs(one.estimate) < 3.18 * np.hypot(one.slow_error, one.seed_error) for one in found]
    assert 0 < sum(tempted) < len(found)
    assert not any(one.swing for one in found)


def test_the_study_of_the_embedded_panel_is_compared_within_two_seconds():
    """11 tickers x 630 days x 3 variants x 10 seeds, 5,000 replicates; generous, as machines differ."""
    world = worlds.World(tickers=11, days=630, seeds=10, strengths={"A": 0.0, "B": 0.0, "C": 0.0})
    rows = worlds.draw(world, 0)
    compare(measure(rows), replicates=10)  # imports
    start = time.perf_counter()
    judge(compare(measure(rows)))
    assert time.perf_counter() - start < 6


def test_the_frame_has_one_row_per_contrast_with_the_numbers_and_the_finding(table):
    comparison = compare(measure(table), ask=[Ask("A", "C"), Ask("B", None)], replicates=50)
    frame, known = comparison.frame(), by_pair(comparison)
    assert [tuple(pair) for pair in frame.select("first", "second").rows()] == list(known)
    assert frame["family"].to_list() == ["asked"] * 2 + ["benchmark"] * 2 + ["other"] * 2
    words = {">": "better", "<": "worse", "=": "equal", "?": "inconclusive"}
    for row in frame.iter_rows(named=True):
        one = known[row["first"], row["second"]]
        assert row["finding"] == ("withheld" if one.withheld else words[relation(one)])
        assert (row["withheld"], row["identical"]) == (one.withheld, one.identical)
        for name in ("estimate", "low", "high", "p_adjusted", "margin", "detectable"):
            assert row[name] == getattr(one, name)


def test_a_card_of_many_contrasts_shows_the_most_significant_ones(table):
    comparison = compare(measure(table), replicates=50)
    assert len(comparison.grid().rows) == len(comparison.asked) == 3
    grid = comparison.grid(most=1)
    (least,) = sorted(comparison.asked, key=lambda one: (one.p_adjusted, one.p_value))[:1]
    assert grid.rows[0][0] == f"{least.first} - {least.second}"
    assert ", the 1 of 3 with the smallest adjusted p: " in grid.caption
