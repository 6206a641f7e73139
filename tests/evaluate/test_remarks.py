from dataclasses import replace

import numpy as np
import pytest

import worlds
from nextday.evaluate import Ask, compare, judge
from nextday.evaluate.remarks import remarks_on, what_would_settle

WORLD = worlds.World(days=120, tickers=3, seeds=5, strengths={"A": 0.0, "B": 0.0})


def remarks(losses, **options):
    return " ".join(judge(compare(losses, replicates=100, **options)).remarks)


def test_every_verdict_says_which_tickers_days_and_trainings_it_is_about():
    said = remarks(worlds.losses(WORLD, 0))
    assert "The verdict is conditional on the sample: 3 tickers and 120 days." in said
    assert "rests on 30 trainings: failures that affect up to 9.5 % of trainings may not have occurred" in said
    one = remarks(worlds.losses(replace(WORLD, tickers=1, seeds=3), 0))
    assert "the sample: 1 ticker and" in one
    assert "rests on 6 trainings: failures that affect up to 39 %" in one  # and no 4e+01


def test_models_without_seeds_make_no_claim_about_trainings():
    actual, forecasts = worlds.sample(WORLD, 0)
    losses = worlds.losses_of(actual, {name: one[:1] for name, one in forecasts.items()})
    assert "trainings" not in remarks(replace(losses, seeds=((), ())))


def test_a_training_that_went_astray_is_named_with_the_skill_of_medians():
    actual, forecasts = worlds.sample(WORLD, 0)
    forecasts["B"][0, 0] += 0.05 * np.random.default_rng(0).standard_normal(120)
    said = remarks(worlds.losses_of(actual, forecasts))
    assert "Single trainings of B are outliers" in said
    assert "with medians over seeds the skill is" in said
    assert "outliers" not in remarks(worlds.losses(WORLD, 0))


def test_ordinary_seeds_are_rarely_called_astray():
    wild = worlds.World(days=60, tickers=10, bias=0.15)
    assert np.mean(["outliers" in remarks(worlds.losses(wild, seed), other_blocks=()) for seed in range(20)]) <= 0.1


def test_twins_are_named_and_do_not_hide_the_others():
    actual, forecasts = worlds.sample(WORLD, 0)
    assert "B and C make identical forecasts." in remarks(worlds.losses_of(actual, forecasts | {"C": forecasts["B"]}))


def test_a_resolved_contrast_that_a_slow_swing_explains_says_so():
    comparison = compare(worlds.losses(WORLD, 0), replicates=100)
    swing = replace(
        comparison.asked[0], estimate=0.02, low=0.01, high=0.03, equal_low=0.012, equal_high=0.028, swing=True
    )
    said = " ".join(remarks_on(replace(comparison, asked=(swing,))))
    assert (
        "A - B is significant by the bootstrap, not at low frequencies: a temporary advantage of A that lasts for months"
        in said
    )
    assert "low frequencies" not in " ".join(remarks_on(replace(comparison, asked=(replace(swing, swing=False),))))


@pytest.mark.parametrize(("days", "margin", "wanted"), [(120, None, True), (120, 0.5, False)])
def test_what_could_have_been_seen_is_said_and_how_far_equality_is(days, margin, wanted):
    said = remarks(worlds.losses(replace(WORLD, days=days), 0), ask=[Ask("A", "B")], margin=margin)
    assert "Minimum detectable difference:" in said
    assert ("times the days and seeds" in said) is wanted


def test_the_parts_are_told_with_what_they_mean():
    world = replace(WORLD, days=400, signal=0.05, bias=0.01, strengths={"A": 1.0, "B": 0.2})
    said = remarks(worlds.losses(world, 0), ask=[Ask("A", "B")])
    assert "A - B decomposed (pointwise intervals): penalty for the size of the forecasts -" in said
    assert ", a cost; signal +" in said
    assert ", a gain." in said


def test_counts_are_singular_and_plural():
    comparison = compare(worlds.losses(replace(WORLD, days=60), 0), ask=[Ask("A", "B")], replicates=20)
    twin = replace(comparison.asked[0], identical=True)
    few, many = (" ".join(remarks_on(replace(comparison, asked=(twin,) * count))) for count in (4, 5))
    assert "1 more pair of identical forecasts." in few
    assert "2 more pairs of identical forecasts." in many
    alone = replace(comparison, losses=replace(comparison.losses, tickers=("A",), dates=comparison.losses.dates[:1]))
    assert (
        remarks_on(replace(alone, asked=(twin,)))[-1] == "The verdict is conditional on the sample: 1 ticker and 1 day."
    )


def test_where_seed_variance_dominates_days_alone_are_said_not_to_be_enough():
    comparison = compare(worlds.losses(replace(WORLD, days=60), 0), ask=[Ask("A", "B")], replicates=20)
    one = replace(comparison.asked[0], estimate=0.02, date_error=0.001, seed_error=0.02, critical=2.0)
    assert "seeds (now 5; more days alone are not enough)" in what_would_settle(one, comparison)
    both = what_would_settle(replace(one, seed_error=0.005, date_error=0.006), comparison)
    assert " days (now 60) or about " in both
    assert "alone" not in both
