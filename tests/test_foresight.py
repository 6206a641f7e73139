"""Errors carried over to a study of another size, held against those of a study that really has that size."""

import numpy as np
import pytest

import worlds
from nextday.evaluate import Ask, compare, measure
from nextday.foresight import Design, foresee

SIGNAL = {"days": 400, "signal": 0.02, "strengths": {"A": 0.6, "B": 1.0}}


def both(seed, here, there, **changes):
    """Foresee a study from a part of its table, and compare on all of it."""
    world = worlds.World(**{**SIGNAL, "tickers": there.tickers, "seeds": there.seeds, "days": there.days, **changes})
    actual, forecasts = worlds.sample(world, seed)
    part = {name: one[: here.seeds, : here.tickers, : here.days] for name, one in forecasts.items()}
    small = worlds.losses_of(actual[: here.tickers, : here.days], part, pooled=world.names)
    options = {"ask": [Ask("B", "A"), Ask("B", None)], "replicates": 1000, "other_blocks": (), "explore": ()}
    foreseen = foresee(compare(small, **options), here, there, pooled=world.names)
    return foreseen, compare(worlds.losses_of(actual, forecasts, pooled=world.names), **options).asked


@pytest.mark.parametrize(
    ("here", "there", "changes"),
    [
        (Design(2, 400, 3), Design(12, 400, 3), {}),
        (Design(6, 150, 3), Design(6, 900, 3), {}),
        (Design(6, 400, 3), Design(6, 400, 12), {"bias": 0.15}),
        (Design(2, 400, 3), Design(12, 400, 3), {"bias": 0.15, "pooled": True}),
    ],
    ids=["tickers", "days", "seeds", "tickers of one network"],
)
def test_a_small_study_foresees_the_errors_of_a_large_one(here, there, changes):
    ratios = []
    for seed in range(6):
        foreseen, found = both(seed, here, there, **changes)
        ratios.append([
            [np.hypot(one.date_error, one.seed_error) / real.standard_error, one.detectable / real.detectable]
            for one, real in zip(foreseen, found, strict=True)
        ])  # fmt: skip
    middle = np.median(ratios, axis=0)
    assert (middle > 0.7).all(), middle
    assert (middle < 1.45).all(), middle


def test_what_is_foreseen_of_the_same_size_is_what_is_found():
    here = Design(6, 400, 5)
    for one, real in zip(*both(0, here, here), strict=True):
        assert (one.date_error, one.seed_error) == pytest.approx((real.date_error, real.seed_error))
        assert one.equality == pytest.approx(real.equality)
        assert one.detectable == pytest.approx(real.detectable, rel=0.15)


def test_seeds_help_where_seeds_are_the_matter_and_days_where_days_are():
    few, (more, longer) = Design(4, 300, 3), (Design(4, 300, 30), Design(4, 3000, 3))
    foreseen = {
        there: both(0, few, there, bias=0.2, days=300, seeds=3, tickers=4)[0][1] for there in (few, more, longer)
    }
    assert foreseen[more].seed_error == pytest.approx(foreseen[few].seed_error / np.sqrt(10))
    assert foreseen[more].date_error == foreseen[few].date_error
    assert foreseen[longer].date_error == pytest.approx(foreseen[few].date_error / np.sqrt(10))
    assert foreseen[longer].seed_error == foreseen[few].seed_error


def test_tickers_that_move_as_one_add_nothing():
    few, many = Design(2, 300, 3), Design(20, 300, 3)
    table = worlds.draw(worlds.World(days=300, tickers=1, seeds=3, signal=0.02, strengths=SIGNAL["strengths"]), 0)
    twice = table.vstack(table.with_columns(ticker=table["ticker"] + "again"))
    losses = measure(twice, pooled=["A", "B"])
    comparison = compare(losses, ask=[Ask("B", "A")], replicates=500, other_blocks=(), explore=())
    (one,) = foresee(comparison, few, many, pooled=["A", "B"])
    assert one.together == pytest.approx(1)
    assert one.date_error == pytest.approx(comparison.asked[0].date_error)


def test_days_and_seeds_until_equality_bring_its_margin_to_that_of_the_study():
    here = Design(6, 400, 5)
    for one in (both(0, here, here)[0][0], both(0, here, here, bias=0.3)[0][1]):
        assert 1 < one.times < np.inf
        assert one.equality / np.sqrt(one.times) == pytest.approx(one.margin)


@pytest.mark.parametrize(("seeds", "says"), [(1, "B has 1 seed"), (2, "B has 2 seeds"), (3, "")])
def test_fewer_than_three_seeds_would_be_withheld(seeds, says):
    found = both(0, Design(6, 400, 3), Design(6, 400, seeds), seeds=3)[0][0].withheld
    assert says in found
    assert bool(found) == bool(says)
