"""Experimental designs over groups of features: the groups that each run has, and the weights of runs in an effect."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

MOST_GROUPS = 8  # of a full design: 256 runs
ALL_SUBSETS = 3  # groups up to which the orthogonal design has every subset
LARGEST = 256  # rows of a Hadamard matrix


@dataclass(frozen=True, slots=True)
class Design:
    """An experimental design: which runs it has, and how it defines the effect of a group.

    Attributes
    ----------
    runs
        For a number of groups the runs, a boolean matrix, [run, group].
    effects
        For such runs the weight of each run in each effect, [group, run]; an effect is the weighted sum of skills.
    company
        What an effect is beside, in words.
    meaning
        What the effect of a group is, in words.
    """

    runs: Callable[[int], np.ndarray]
    effects: Callable[[np.ndarray], np.ndarray]
    company: str
    meaning: str


def hadamard(order: int) -> np.ndarray:
    """Return a Hadamard matrix: entries 1 and -1, orthogonal rows, first row and column 1.

    Paley's two constructions over prime fields, and Sylvester's doubling. Paley (1933), "On orthogonal matrices",
    Journal of Mathematics and Physics 12.

    Raises
    ------
    ValueError
        If neither gives a matrix of this order, as for 52.

    Examples
    --------
    >>> hadamard(4) @ hadamard(4).T
    array([[4, 0, 0, 0],
           [0, 4, 0, 0],
           [0, 0, 4, 0],
           [0, 0, 0, 4]])
    """
    if order == 1:
        return np.ones((1, 1), dtype=int)
    if order == 2 or (order % 8 == 0 and _is_order(order // 2)):
        half = hadamard(order // 2)
        return np.block([[half, half], [half, -half]])
    if order % 4 == 0 and _is_prime(order - 1):
        found = np.eye(order, dtype=int) + _bordered(order - 1, -1)
    elif order % 4 == 0 and _is_prime(order // 2 - 1) and (order // 2 - 1) % 4 == 1:
        core, eye = _bordered(order // 2 - 1, 1), np.eye(order // 2, dtype=int)
        found = np.kron(core, np.array([[1, 1], [1, -1]])) + np.kron(eye, np.array([[1, -1], [-1, -1]]))
    else:
        raise ValueError(f"no Hadamard matrix of order {order} is known here")
    found = found * found[:, :1]
    return found * found[:1]


def _bordered(prime: int, sign: int) -> np.ndarray:
    """Return the matrix of quadratic residues of a prime field with a border, symmetric or skew by ``sign``."""
    squares = {at * at % prime for at in range(1, prime)}
    residues = np.array([0] + [1 if at in squares else -1 for at in range(1, prime)])
    core = residues[(np.arange(prime)[:, None] - np.arange(prime)) % prime]
    return np.block([[np.zeros((1, 1), int), np.ones((1, prime), int)], [sign * np.ones((prime, 1), int), core]])


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, math.isqrt(number) + 1))


def _is_order(order: int) -> bool:
    """Whether ``hadamard`` knows a matrix of this order."""
    if order in (1, 2):
        return True
    paley = order % 4 == 0 and (_is_prime(order - 1) or (order % 8 == 4 and _is_prime(order // 2 - 1)))
    return paley or (order % 8 == 0 and _is_order(order // 2))


def orthogonal(groups: int, rows: int | None = None) -> np.ndarray:
    """Return the runs of a Plackett-Burman design with foldover; every subset for up to three groups.

    Each group is in half of the runs, balanced against every other group; the mirror images of all runs (foldover)
    keep interactions of two groups out of the effects. Plackett and Burman (1946), "The design of optimum
    multifactorial experiments", Biometrika 33; Box and Wilson (1951) for the foldover.

    Parameters
    ----------
    groups
        Number of groups.
    rows
        Runs before the foldover; by default the smallest known number above that of the groups.

    Examples
    --------
    >>> orthogonal(11).shape, orthogonal(40).shape
    ((24, 11), (88, 40))
    """
    if groups <= ALL_SUBSETS and rows is None:
        return full(groups)
    least = groups + 1 if rows is None else rows
    size = next(order for order in range(least, 2 * LARGEST) if _is_order(order))
    runs = hadamard(size)[:, 1 : groups + 1]
    return np.concatenate([runs, -runs]) > 0


def full(groups: int) -> np.ndarray:
    """Return all subsets of the groups as runs, the empty one first."""
    return np.array(list(product((False, True), repeat=groups)))


def leave_one_out(groups: int) -> np.ndarray:
    """Return the run with all groups, and those with all but one."""
    return np.concatenate([np.ones((1, groups), bool), ~np.eye(groups, dtype=bool)])


def add_one_in(groups: int) -> np.ndarray:
    """Return the run without groups, and those with one group."""
    return np.concatenate([np.zeros((1, groups), bool), np.eye(groups, dtype=bool)])


def balanced(runs: np.ndarray) -> np.ndarray:
    """Weigh runs for the mean with a group minus the mean without it, [group, run]: the Banzhaf value where balanced.

    Banzhaf (1965), "Weighted voting doesn't work"; Wang and Jia (2023), "Data Banzhaf", show that among semivalues it
    is the one most robust to noise.
    """
    held = runs.T
    return held / held.sum(axis=1, keepdims=True) - ~held / (~held).sum(axis=1, keepdims=True)


def shapley(runs: np.ndarray) -> np.ndarray:
    """Weigh all subsets for the Shapley value of each group, [group, run].

    Shapley (1953), "A value for n-person games": the mean gain of a group over all orders in which groups may enter.
    """
    groups, sizes = runs.shape[1], runs.sum(axis=1)
    orders = math.factorial(groups)
    joins = [math.factorial(size) * math.factorial(groups - size - 1) / orders for size in range(groups)]
    gains = np.array([[joins[size - 1] if size else 0, -joins[size] if size < groups else 0] for size in sizes])
    return np.where(runs.T, gains[:, 0], gains[:, 1])


def against_first(runs: np.ndarray) -> np.ndarray:
    """Weigh runs for the difference that one group makes to the first run, [group, run], positive for its presence."""
    weights = np.zeros(runs.T.shape)
    for group, row in enumerate(weights):
        sign = 1 if runs[0, group] else -1
        row[0] = sign
        row[np.flatnonzero(runs[:, group] != runs[0, group])[0]] = -sign
    return weights


def pairs(runs: np.ndarray) -> dict[tuple[int, int], np.ndarray]:
    """Weigh balanced runs for the interaction of each two groups: the effect of one with the other minus without it."""
    signs = np.where(runs, 1.0, -1.0)
    count = len(runs)
    return {(a, b): 4 / count * signs[:, a] * signs[:, b] for a, b in combinations(range(runs.shape[1]), 2)}


DESIGNS = {
    "orthogonal": Design(
        orthogonal, balanced, "averaged over the company of the other groups",
        "the mean skill of the runs with it minus that of the runs without it, in the average company of the other "
        "groups (Banzhaf value)",
    ),
    "full": Design(
        full, shapley, "Shapley value", "its Shapley value, the mean gain over all orders in which groups may enter"
    ),
    "leave_one_out": Design(
        leave_one_out, against_first, "beside all other groups",
        "the skill that is lost without it, beside all other groups",
    ),
    "add_one_in": Design(add_one_in, against_first, "alone", "the skill that it adds alone, beside the base"),
}  # fmt: skip
