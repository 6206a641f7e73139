"""Contrasts of skill with their intervals; a comparison is several contrasts, in families."""

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from nextday.cards import Grid, card
from nextday.evaluate.losses import Losses, size_of, the, unit_of
from nextday.storage.tables import to_pandas
from nextday.words import plural, signed

if TYPE_CHECKING:
    import pandas as pd

REACH_80 = (
    1.0  # standard errors beyond the critical value where four studies of five find an order; 0.84 were the error
)
EQUAL_80 = 1.4  # known; and beyond the interval for equality where four of five show it; 1.28 likewise (LOG.md)
STEPS = 200  # of an iteration, at most
NORMAL = 1.96  # a two-sided critical value at 5 %; any constant would do
FINDING = {">": "better", "<": "worse", "=": "equal", "?": "cannot tell"}  # of a relation
OPEN = {"cannot tell": "inconclusive"}  # the finding as readers see it
NUMBERS = ("estimate", "low", "high", "standard_error", "p_value", "p_adjusted", "margin", "detectable")
MOST_ROWS = 30  # of a card


@dataclass(frozen=True, slots=True)
class Contrast:
    """Skill of ``first`` minus that of ``second``; if ``second`` is the benchmark, the skill of ``first``.

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
        Differences below the margin are irrelevant, in units of skill.
    critical
        Standard errors from the estimate to the farther end of the simultaneous interval.
    detectable
        Minimum detectable difference of the simultaneous test at 80 % power, see ``detectable_of``.
    slow_error
        Date standard error from the three slowest cosines, which is robust to a persistent advantage.
    swing
        Significant by the bootstrap, but the daily differences are persistent, and a temporary advantage of several
        months would also explain the difference.
    identical
        Whether both make identical forecasts.
    withheld
        Why the answer to this contrast is withheld; else empty.
    terms, kind, model
        See ``ask.Ask``; the benchmark has no term.
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
    terms: tuple[tuple[str, float], ...] = ()
    kind: str = "pair"
    model: str = ""

    @property
    def name(self) -> str:
        """How a reader knows it."""
        return f"{self.first}, {self.second}" if self.kind == "alternative" else pair_name(self.first, self.second)

    @property
    def group(self) -> str:
        """The group of features whose effect it is, without the model."""
        return self.first.removeprefix(f"{self.model}: ")

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of the variants that it is of, without the benchmark."""
        return tuple(name for name, _ in self.terms)

    @property
    def equality(self) -> float:
        """Margin at which equality would be shown with 80 % power if there were no difference."""
        reach = max(self.equal_high - self.estimate, self.estimate - self.equal_low)
        return reach + EQUAL_80 * self.standard_error

    def needs_for_order(self) -> "Needs":
        """Return what makes the difference significant with 80 % power, if it equals the estimate."""
        return self._until(abs(self.estimate) / (self.critical + REACH_80))

    def needs_for_equality(self) -> "Needs":
        """Return what shows equality with 80 % power, if the difference equals the estimate."""
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
    r"""Compute the difference of skill that the simultaneous test detects with 80 % power.

    .. math:: \Delta = (c + 1) \sqrt{e^2 + v / n}, \quad \sqrt{v} = R - \sqrt{R^2 - \Delta (2 - \Delta)}

    Two variants differ in skill only if their forecasts differ, and these differences add noise: a variance of at least
    ``v``, in units of the variance of returns, if at most ``R2`` of the returns can be forecast. A larger difference
    arises from the worse forecasts, whose variance is as large as their loss. Without this noise term, with 120 days of
    five tickers, the power would be 66 % instead of 80 % (LOG.md).

    Parameters
    ----------
    error
        Observed standard error of the contrast.
    critical
        Half-width of the simultaneous interval, in standard errors.
    samples
        Pairs of ticker and date, assumed independent; 0 omits the noise term.
    predictable
        Largest predictable share of the variance of returns, R2.
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
    """The data needed to resolve a contrast, as multiples of the study's; infinite if no amount suffices.

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
    """Contrasts of several variants, in families, and the losses they are computed from; a notebook shows a table.

    Attributes
    ----------
    asked
        The asked contrasts; their intervals are simultaneous.
    against_benchmark
        Every variant against the benchmark, a family of its own.
    others
        All other pairs, exploratory, a family of its own.
    block
        Mean block length of the bootstrap, in days.
    sensitivity
        Largest change of a standard error at each of the other block lengths (half and twice that one), as ratios.
    alike
        Groups of variants whose seed variance was estimated together.
    """

    losses: Losses
    margin: float
    alpha: float
    asked: tuple[Contrast, ...]
    against_benchmark: tuple[Contrast, ...]
    others: tuple[Contrast, ...]
    block: float
    sensitivity: tuple[float, ...]
    alike: tuple[tuple[str, ...], ...] = ()

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
        """All contrasts between variants, those that are asked first."""
        return tuple(one for one in self.asked + self.others if one.second != self.losses.benchmark)

    @property
    def withheld(self) -> str:
        """Why the answer to some contrast is withheld; else empty."""
        return next((one.withheld for one in self.contrasts if one.withheld), "")

    @property
    def detectable(self) -> float:
        """Largest minimum detectable difference of the asked contrasts; withheld and identical ones are left out."""
        known = [one.detectable for one in self.asked if not (one.withheld or one.identical)]
        return max(known, default=math.nan)

    def frame(self) -> pl.DataFrame:
        """Return one row per contrast, in the order of ``contrasts``.

        Returns
        -------
        ``first, second, family`` (``asked``, ``benchmark`` or ``other``), ``finding`` of ``first`` against ``second``
        (``better``, ``worse``, ``equal``, ``inconclusive``, ``withheld``), the numbers of ``Contrast`` in units of
        skill (0.01 is 1 %), ``identical``, and ``withheld``, the reason or an empty text.

        Examples
        --------
        >>> import nextday
        >>> judged = nextday.verdict("forecasts.parquet")  # doctest: +SKIP
        >>> judged.comparison.frame().filter(family="asked")  # doctest: +SKIP
        """
        families = {"asked": self.asked, "benchmark": self.unasked, "other": self.others}
        rows = [
            {"first": one.first, "second": one.second, "family": family, "finding": _finding(one)}
            | {name: getattr(one, name) for name in NUMBERS}
            | {"identical": one.identical, "withheld": one.withheld}
            for family, contrasts in families.items()
            for one in contrasts
        ]
        texts = dict.fromkeys(("first", "second", "family", "finding"), pl.String)
        kinds = texts | dict.fromkeys(NUMBERS, pl.Float64) | {"identical": pl.Boolean, "withheld": pl.String}
        return pl.DataFrame(rows, schema=kinds)

    def to_pandas(self) -> "pd.DataFrame":
        """Return ``frame`` as a pandas frame.

        Raises
        ------
        MissingError
            If pandas or pyarrow is not installed.
        """
        return to_pandas(self.frame())

    def grid(self, most: int = MOST_ROWS) -> Grid:
        """Lay out the asked contrasts, of many those with the smallest adjusted p, with estimate and interval."""
        unit = unit_of(self.losses).replace("the benchmark", the(self.losses.benchmark))
        order = sorted(range(len(self.asked)), key=lambda at: (self.asked[at].p_adjusted, self.asked[at].p_value))
        shown = [self.asked[at] for at in sorted(order[:most])]
        few = f", the {most} of {len(self.asked)} with the smallest adjusted p" if most < len(self.asked) else ""
        columns = ("contrast", "finding", "estimate", f"{100 * (1 - self.alpha):g} % CI")
        return Grid(f"Asked contrasts{few}: difference of skill, {unit}", columns, [_row(one) for one in shown])

    def __repr__(self) -> str:
        found = Counter(map(_finding, self.asked))
        said = ", ".join(f"{number} {word}" for word, number in found.items())
        others = len(self.contrasts) - len(self.asked)
        return (
            f"Comparison of {size_of(self.losses)}\n{plural(len(self.asked), 'asked contrast')}: {said}; "
            f"{plural(others, 'other')}, not asked"
        )

    def _repr_html_(self) -> str:
        title, _, rest = repr(self).partition("\n")
        return card(title, "", self.grid(), [rest])


def pair_name(first: str, second: str) -> str:
    """Write what was compared; an effect is compared with nothing."""
    return f"{first} - {second}" if second else first


def finding_of(contrast: Contrast) -> str:
    """Return the finding of a contrast, by its interval and its margin."""
    return "withheld" if contrast.withheld else FINDING[relation(contrast)]


def _finding(contrast: Contrast) -> str:
    finding = finding_of(contrast)
    return OPEN.get(finding, finding)


def _row(contrast: Contrast) -> tuple[str, ...]:
    """Write a contrast for readers, in percent."""
    estimate, low, high = signed(*(100 * value for value in (contrast.estimate, contrast.low, contrast.high)))
    word = "identical" if contrast.identical and not contrast.withheld else _finding(contrast)
    return contrast.name, word, estimate, f"{low} to {high}"


def relation(contrast: Contrast) -> str:
    """Return ``>`` or ``<`` where the simultaneous interval excludes zero, ``=`` by two one-sided tests, else ``?``.

    A difference that is both significant and inside the margin is ``=``: it is too small to be relevant.
    """
    if contrast.identical or (-contrast.margin < contrast.equal_low and contrast.equal_high < contrast.margin):
        return "="
    if contrast.low > 0:
        return ">"
    return "<" if contrast.high < 0 else "?"
