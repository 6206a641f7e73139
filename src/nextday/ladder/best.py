"""The best of several models, with a confidence interval for the best model, whichever it is."""

from collections.abc import Sequence
from dataclasses import dataclass

from nextday.evaluate.contrasts import Contrast


@dataclass(frozen=True, slots=True)
class Figure:
    """A difference of skill, ``first`` minus ``second``, and its interval."""

    first: str
    second: str
    estimate: float
    low: float
    high: float


def best_of(contrasts: Sequence[Contrast]) -> Figure:
    """Return the best of several contrasts with one reference, with an interval for the largest true value.

    With simultaneous intervals the largest true value lies between the largest lower and the largest upper bound. The
    interval of the best in sample does not cover the others, whose upper bounds may be higher.
    """
    top = max(contrasts, key=lambda one: one.estimate)
    low, high = (max(getattr(one, end) for one in contrasts) for end in ("low", "high"))
    return Figure(top.first, top.second, top.estimate, low, high)


def best_pair(contrasts: Sequence[Contrast]) -> Figure:
    """Return the best first minus the best second, where every first was compared with every second.

    This is the maximum over firsts of the minimum over seconds, for the true values and for both bounds of simultaneous
    intervals.
    """
    groups = [[one for one in contrasts if one.first == name] for name in dict.fromkeys(one.first for one in contrasts)]
    top = max((min(group, key=lambda one: one.estimate) for group in groups), key=lambda one: one.estimate)
    low, high = (max(min(getattr(one, end) for one in group) for group in groups) for end in ("low", "high"))
    return Figure(top.first, top.second, top.estimate, low, high)
