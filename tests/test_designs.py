"""Designs: orthogonal where they claim to be, and effects that are the quantities they are named after."""

from itertools import permutations

import numpy as np
import pytest

from nextday.designs import DESIGNS, add_one_in, balanced, full, hadamard, leave_one_out, orthogonal, pairs, shapley


@pytest.mark.parametrize("order", [1, 2, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 56, 60, 76, 84])
def test_hadamard_matrices_have_orthogonal_rows_of_ones(order):
    found = hadamard(order)
    assert (found @ found.T == order * np.eye(order)).all()
    assert (np.abs(found) == 1).all()
    assert (found[0] == 1).all()
    assert (found[:, 0] == 1).all()


def test_an_order_without_a_known_matrix_is_refused():
    with pytest.raises(ValueError, match="52"):
        hadamard(52)


@pytest.mark.parametrize(("groups", "runs"), [(1, 2), (2, 4), (3, 8), (7, 16), (8, 24), (11, 24), (40, 88)])
def test_each_group_is_in_half_of_the_runs_whatever_the_others(groups, runs):
    found = orthogonal(groups)
    signs = np.where(found, 1, -1)
    assert found.shape == (runs, groups)
    assert (signs.T @ signs == runs * np.eye(groups)).all()
    assert (signs.sum(axis=0) == 0).all()
    assert len({*map(tuple, found.tolist())}) == runs


def test_interactions_of_two_groups_stay_out_of_the_effects():
    """Without the foldover an effect of a Plackett-Burman design holds a third of each interaction of two others."""
    runs = orthogonal(11)
    strength = np.random.default_rng(0).normal(size=(11, 11))
    skill = np.einsum("ra,ab,rb->r", runs, np.triu(strength, 1), runs * 1.0)
    mean_company = (strength * np.triu(np.ones((11, 11)), 1)).sum(axis=0) + (
        strength * np.triu(np.ones((11, 11)), 1)
    ).sum(axis=1)
    assert balanced(runs) @ skill == pytest.approx(mean_company / 2)  # each other group is there half of the time


def test_shapley_values_are_mean_gains_over_all_orders():
    runs = full(4)
    skill = np.random.default_rng(1).normal(size=16)
    of = {tuple(row): value for row, value in zip(runs.tolist(), skill, strict=True)}
    gains = np.zeros(4)
    for order in permutations(range(4)):
        held = [False] * 4
        for group in order:
            before = of[tuple(held)]
            held[group] = True
            gains[group] += of[tuple(held)] - before
    assert shapley(runs) @ skill == pytest.approx(gains / 24)
    assert (shapley(runs) @ skill).sum() == pytest.approx(of[True, True, True, True] - of[False, False, False, False])


def test_one_group_is_left_out_or_added_at_a_time():
    skills = np.array([5.0, 1.0, 2.0])  # of all groups, without the first, without the second
    assert (DESIGNS["leave_one_out"].effects(leave_one_out(2)) @ skills).tolist() == [4.0, 3.0]
    skills = np.array([1.0, 3.0, 6.0])  # of the base, with the first, with the second
    assert (DESIGNS["add_one_in"].effects(add_one_in(2)) @ skills).tolist() == [2.0, 5.0]


def test_all_effects_are_the_same_where_groups_do_not_interact():
    gains = np.array([0.3, -0.1, 0.0, 0.2])
    for design in DESIGNS.values():
        runs = design.runs(4)
        assert design.effects(runs) @ (runs @ gains + 7) == pytest.approx(gains)


def test_the_interaction_is_the_effect_with_the_other_minus_the_effect_without_it():
    runs = full(3)
    skill = 2.0 * (runs[:, 0] & runs[:, 2]) + 1.0 * runs[:, 1]
    found = {pair: float(weights @ skill) for pair, weights in pairs(runs).items()}
    assert found == pytest.approx({(0, 1): 0.0, (0, 2): 2.0, (1, 2): 0.0})
