"""A contrast of skill and all that is known of it; a comparison is several of them, in families."""

import math
from dataclasses import dataclass

from nextday.evaluate.losses import Losses

REACH_80 = (
    1.0  # standard errors beyond the critical value where four studies of five find an order; 0.84 were the error
)
EQUAL_80 = 1.4  # known; and beyond the interval for equality where four of five show it; 1.28 likewise (LOG.md)
STEPS = 200  # of an iteration, at most
NORMAL = 1.96  # a two-sided critical value at 5 %; any constant would do


@dataclass(frozen=True, slots=True)
class Contrast:
    """Skill of ``first`` less that of ``second``; where ``second`` is the benchmark, the skill of ``first``.

    Attributes
    ----------
    estimate
        Point estimate, in units of skill (0.01 is one percent of the benchmark's loss measure).
    date_error, seed_error, standard_error
        Standard errors from the dates, from the seeds, and of both together.
    low, high
        Interval at ``1 - alpha``, simultaneous over the family of the contrast.
    equal_low, equal_high
        Interval at ``1 - 2 alpha`` of this contrast alone, for two one-sided tests of equivalence.
    p_value, p_adjusted
        Two-sided, of this contrast alone and adjusted for its family.
    margin
        Differences below it do not matter, in units of skill.
    critical
        Standard errors from the estimate to the farther end of the simultaneous interval.
    detectable
        Minimum detectable difference: found by the simultaneous test in four studies of five, see ``detectable_of``.
    slow_error
        Standard error from the dates by the three slowest cosines, which a lasting advantage hardly fools.
    swing
        Resolved by the bootstrap, but the daily differences remember, and a slow swing in favour of one of the two
        explains the difference as well.
    identical
        The two forecast the same everywhere.
    withheld
        Why this contrast is not judged; empty if it is.
    """

    first: str
    second: str
    estimate: float
    date_error: float
    seed_error: float
    standard_error: float
    low: float
    high: float
    equal_low: float
    equal_high: float
    p_value: float
    p_adjusted: float
    margin: float = 0.0025
    critical: float = NORMAL
    detectable: float = 0.0
    slow_error: float = 0.0
    swing: bool = False
    identical: bool = False
    withheld: str = ""

    @property
    def equality(self) -> float:
        """Margin at which equality would be shown in four studies of five, were there no difference."""
        reach = max(self.equal_high - self.estimate, self.estimate - self.equal_low)
        return reach + EQUAL_80 * self.standard_error

    def needs_for_order(self) -> "Needs":
        """What resolves an order in four studies of five, if the true difference is as estimated."""
        return self._until(abs(self.estimate) / (self.critical + REACH_80))

    def needs_for_equality(self) -> "Needs":
        """What shows equality in four studies of five, if the true difference is as estimated."""
        share = self.standard_error / self.equality if self.equality else 0.0
        return self._until(max(self.margin - abs(self.estimate), 0.0) * share)

    def _until(self, error: float) -> "Needs":
        """Compute what brings the standard error down to ``error``."""
        for_days, for_seeds = error**2 - self.seed_error**2, error**2 - self.date_error**2
        return Needs(
            self.date_error**2 / for_days if for_days > 0 else math.inf,
            self.seed_error**2 / for_seeds if for_seeds > 0 else math.inf,
            (self.standard_error / error) ** 2 if error > 0 else math.inf,
        )


def detectable_of(error: float, critical: float, samples: int, predictable: float) -> float:
    r"""Difference of skill that the simultaneous test finds in four studies of five.

    .. math:: \Delta = (c + 1) \sqrt{e^2 + v / n}, \quad \sqrt{v} = R - \sqrt{R^2 - \Delta (2 - \Delta)}

    A difference takes forecasts that move where the other's do not, and these moves are noise as well: at least a
    variance of ``v``, in units of the returns', if no more than ``R2`` of the returns can be forecast. A difference
    beyond that is one of the worse forecasts, which move by all that they lose. Without the moves, with 120 days of
    five tickers, the difference would be found in 66 % of studies and not in 80 (LOG.md).

    Parameters
    ----------
    error
        Standard error of the contrast as it is.
    critical
        Standard errors that the simultaneous interval reaches.
    samples
        Pairs of ticker and date, taken as independent; 0 leaves the moves out.
    predictable
        Share of the variance of the returns that can be forecast at most, R2.
    """
    reach = critical + REACH_80
    found = reach * error
    for _ in range(STEPS if samples else 0):  # it grows, to the smallest difference that pays for its own noise
        gain = 1 - (1 - min(found, 1.0)) ** 2
        moves = (math.sqrt(predictable) - math.sqrt(predictable - gain)) ** 2 if gain < predictable else gain
        before, found = found, reach * math.hypot(error, math.sqrt(moves / samples))
        if found - before <= 1e-9 * before:
            break
    return found


@dataclass(frozen=True, slots=True)
class Needs:
    """What would settle a contrast, as multiples of what the study has; infinite where nothing would.

    Attributes
    ----------
    days
        More days with the same seeds.
    seeds
        More seeds on the same days.
    both
        More days and, by the same factor, more seeds.
    """

    days: float
    seeds: float
    both: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Contrasts of some variants in families of their own, and what they rest on.

    Attributes
    ----------
    asked
        What the study asks; their intervals hold for all of them at once.
    against_benchmark
        Every variant against the benchmark, a family of its own.
    others
        All other pairs, exploratory, a family of its own.
    block
        Mean block length of the bootstrap, in days.
    sensitivity
        Largest change of a standard error at each of the other block lengths (half and twice that one), as ratios.
    """

    losses: Losses
    margin: float
    alpha: float
    asked: tuple[Contrast, ...]
    against_benchmark: tuple[Contrast, ...]
    others: tuple[Contrast, ...]
    block: float
    sensitivity: tuple[float, ...]

    @property
    def unasked(self) -> tuple[Contrast, ...]:
        """Contrasts with the benchmark that are not asked."""
        asked = {(one.first, one.second) for one in self.asked}
        return tuple(one for one in self.against_benchmark if (one.first, one.second) not in asked)

    @property
    def contrasts(self) -> tuple[Contrast, ...]:
        """All contrasts, each once: what is asked, then those with the benchmark, then all other pairs."""
        return self.asked + self.unasked + self.others

    @property
    def between(self) -> tuple[Contrast, ...]:
        """All pairs of variants, those that are asked first."""
        return tuple(one for one in self.asked + self.others if one.second != self.losses.benchmark)

    @property
    def withheld(self) -> str:
        """Why some contrast is not judged; empty if all are."""
        return next((one.withheld for one in self.contrasts if one.withheld), "")

    @property
    def detectable(self) -> float:
        """Largest minimum detectable difference of what is asked and judged; twins are left out."""
        known = [one.detectable for one in self.asked if not (one.withheld or one.identical)]
        return max(known, default=math.nan)


def relation(contrast: Contrast) -> str:
    """Return ``>`` or ``<`` where the simultaneous interval excludes zero, ``=`` by two one-sided tests, else ``?``.

    A difference that is both resolved and inside the margin is ``=``: it is too small to matter.
    """
    if contrast.identical or (-contrast.margin < contrast.equal_low and contrast.equal_high < contrast.margin):
        return "="
    if contrast.low > 0:
        return ">"
    return "<" if contrast.high < 0 else "?"
