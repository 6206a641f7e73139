from dataclasses import replace

import numpy as np
import pytest

import worlds
from nextday.evaluate import Ask, compare
from nextday.evaluate.parts import split

WORLD = worlds.World(days=300, tickers=5, seeds=4, signal=0.05, strengths={"A": 1.0, "B": 0.3})
ASKS = [Ask("A", "B"), Ask("A", None), Ask("B", "A")]


@pytest.fixture(scope="module")
def comparison():
    return compare(worlds.losses(WORLD, 0), ask=ASKS, replicates=300)


def test_penalty_and_signal_sum_to_the_estimate(comparison):
    for contrast, parts in zip(comparison.asked, split(comparison, replicates=100), strict=True):
        assert (parts.first, parts.second) == (contrast.first, contrast.second)
        assert parts.penalty + parts.signal == pytest.approx(contrast.estimate, abs=1e-12)
        assert parts.penalty_low < parts.penalty < parts.penalty_high
        assert parts.signal_low < parts.signal < parts.signal_high


def test_forecasts_that_move_more_pay_for_it_and_gain_by_their_signal(comparison):
    pair, alone, turned = split(comparison, replicates=500)
    assert pair.penalty_high < 0 < pair.signal_low
    assert alone.penalty_high < 0 < alone.signal_low
    assert turned.penalty == pytest.approx(-pair.penalty)
    assert turned.penalty_low == pytest.approx(-pair.penalty_high, rel=0.05)


def test_the_penalty_is_measured_better_than_the_signal(comparison):
    for parts in split(comparison, replicates=500):
        assert parts.penalty_high - parts.penalty_low < 0.5 * (parts.signal_high - parts.signal_low)


def test_other_losses_and_withheld_contrasts_have_no_parts(comparison):
    assert split(replace(comparison, losses=replace(comparison.losses, penalty=None))) == ()
    withheld = tuple(replace(one, withheld="too few days") for one in comparison.asked)
    assert split(replace(comparison, asked=withheld)) == ()
    assert len(split(replace(comparison, asked=(withheld[0], *comparison.asked[1:])), replicates=20)) == 2


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("bias", [0.02, 0.1])
def test_the_intervals_of_the_parts_cover(bias, capsys):
    """Pointwise 95 %: the true parts are those of the mean squares and of the signal, in units of skill."""
    world = replace(WORLD, bias=bias, seeds=6, days=400)
    loss = {name: (1 - worlds.truth(world, name)) ** 2 for name in world.strengths} | {"zero forecast": 1.0}
    moves = {name: world.signal * s**2 + bias**2 + world.wiggle**2 for name, s in world.strengths.items()} | {
        "zero forecast": 0.0
    }
    draws, missed = 150, {"penalty": 0, "signal": 0}
    for seed in range(draws):
        found = split(
            compare(worlds.losses(world, seed), ask=ASKS[:2], replicates=300, other_blocks=()), replicates=400
        )
        for one in found:
            slope = 1 / (np.sqrt(loss[one.first]) + np.sqrt(loss[one.second]))
            penalty = slope * (moves[one.second] - moves[one.first])
            signal = slope * (loss[one.second] - loss[one.first]) - penalty
            missed["penalty"] += not one.penalty_low < penalty < one.penalty_high
            missed["signal"] += not one.signal_low < signal < one.signal_high
    with capsys.disabled():
        print(
            f"\nparts, bias {bias}: "
            + ", ".join(f"{name} missed in {100 * n / draws / 2:.1f} %" for name, n in missed.items())
        )
    assert max(missed.values()) / draws / 2 <= 0.08
