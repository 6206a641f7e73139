"""Decompose a difference of squared losses: the penalty for the size of the forecasts, and their signal."""

from dataclasses import dataclass

import numpy as np

from nextday.evaluate.bootstrap import resample
from nextday.evaluate.contrasts import Comparison, Contrast, pair_name
from nextday.evaluate.noise import draw_errors, intervals
from nextday.evaluate.seeds import Runs, columns_of, seed_covariance


@dataclass(frozen=True, slots=True)
class Parts:
    """Penalty and signal of one contrast, in units of skill; they sum to its estimate.

    Attributes
    ----------
    penalty, penalty_low, penalty_high
        What the first variant saves by smaller forecasts, with a pointwise interval. It is estimated precisely, because
        it contains no return.
    signal, signal_low, signal_high
        What its forecasts gain by covarying with the returns.
    """

    first: str
    second: str
    penalty: float
    penalty_low: float
    penalty_high: float
    signal: float
    signal_low: float
    signal_high: float

    @property
    def name(self) -> str:
        """How a reader knows the contrast."""
        return pair_name(self.first, self.second)


def split(comparison: Comparison, *, replicates: int = 2000, seed: int = 0) -> tuple[Parts, ...]:
    r"""Split every asked contrast of squared losses into penalty and signal; none for other losses.

    .. math:: (y - f_1)^2 - (y - f_2)^2 = (f_1^2 - f_2^2) - 2 y (f_1 - f_2)

    This is an identity and needs no assumption. Each part is converted to units of skill by the slope of the total, so
    that the parts sum to the estimate. Intervals are pointwise, at the comparison's ``1 - alpha``.
    """
    losses, asked = comparison.losses, [one for one in comparison.asked if not one.withheld]
    if losses.penalty is None or not asked:
        return ()
    whole, penalty = columns_of(losses), columns_of(losses.penalty)
    days = whole.daily.shape[1]
    slopes, tilts = _slopes(asked, losses.variants, whole.daily.mean(axis=1))
    alike = [Runs(tuple(losses.variants.index(name) for name in group)) for group in comparison.alike]
    shares = resample(days, block=comparison.block, replicates=replicates, seed=seed) / days
    found = {}
    for name, columns, weights in (("penalty", penalty, -slopes), ("signal", penalty.minus(whole), slopes)):
        estimates = weights @ columns.daily.mean(axis=1)
        moved = estimates[:, None] * (tilts @ whole.daily)  # what a day does to the slope
        drawn, covariances = shares @ (weights @ columns.daily + moved).T, seed_covariance(columns, shares, alike)
        known, noise, _ = draw_errors(
            drawn, columns, weights, covariances, block=comparison.block, seed=seed, alike=alike
        )
        alone = intervals(estimates, noise, known["standard_error"], comparison.alpha, alone=True)
        found[name] = list(zip(estimates, alone["low"], alone["high"], strict=True))
    return tuple(
        Parts(one.first, one.second, *map(float, (*found["penalty"][at], *found["signal"][at])))
        for at, one in enumerate(asked)
    )


def _slopes(asked: list[Contrast], variants: tuple[str, ...], means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Skill per unit of loss saved, by columns of losses, positive for the first variant; and its elasticities.

    Returns
    -------
    slopes, tilts
        Each of shape [contrast, column]; a tilt is the derivative of the logarithm of the slope by a mean loss.
    """
    at = {name: position for position, name in enumerate(variants)}
    slopes, tilts = np.zeros((2, len(asked), len(means)))
    base, roots = len(means) - 1, np.sqrt(means)
    for row, tilt, one in zip(slopes, tilts, asked, strict=True):
        if one.kind != "pair":
            _of_sum(row, tilt, [(at[name], weight) for name, weight in one.terms], means)
            continue
        first, second = at[one.first], at.get(one.second, base)
        both = roots[first] + roots[second]
        row[first] += 1 / (roots[base] * both)
        row[second] -= 1 / (roots[base] * both)
        tilt[base] -= 1 / (2 * means[base])
        for column in (first, second):
            if roots[column] > 0:  # forecasts without an error have none that could move
                tilt[column] -= 1 / (2 * roots[column] * both)
    return slopes, tilts


def _of_sum(row: np.ndarray, tilt: np.ndarray, terms: list[tuple[int, float]], means: np.ndarray) -> None:
    """Write the slopes of a weighted sum of skills: each variant's skill by what it saves against the benchmark."""
    base, roots = len(means) - 1, np.sqrt(means)
    for column, weight in terms:
        slope = weight / (roots[base] * (roots[column] + roots[base]))
        row[column] += slope
        row[base] -= slope
    tilt[base] -= 1 / means[base]  # skills are small: all slopes move as one over the benchmark's loss
