"""Words, colours and order of the findings of contrasts: the same on the terminal, in plots and in the report."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nextday.evaluate.answers import MODELS
from nextday.evaluate.contrasts import OPEN, Comparison, Contrast, finding_of
from nextday.evaluate.losses import unit_of
from nextday.evaluate.verdict import Verdict
from nextday.evaluate.wording import the
from nextday.reporting.style import COLOURS, GREY, Limits
from nextday.words import signed

WORDS = {"better": "help", "worse": "hurt"}  # the effect of features
SINGULAR = {"better": "helps", "worse": "hurts", "equal": "no effect"}  # of a group of features
SHADES = {"better": 2, "worse": 1, "equal": 0}  # of COLOURS: green, vermilion, blue; all else is grey
BETWEEN = "Between variants"
FAR = 4.0  # times the extent of the lesser half of the contrasts, from where on an interval is cut


@dataclass(frozen=True, slots=True)
class Line:
    """One contrast as a reader sees it.

    Attributes
    ----------
    contrast
        Its numbers.
    finding
        A key of ``FINDINGS``.
    word
        The finding as shown: the effect of features, or the result of the first variant.
    group
        Its heading: the model whose features are compared, the benchmark, or other pairs.
    alone
        Whether the second is the benchmark, which the heading names.
    of_features
        Whether both are the same model with different features.
    beside
        Whether it is shown in addition to the asked contrasts.
    """

    contrast: Contrast
    finding: str
    word: str
    group: str
    alone: bool = False
    of_features: bool = False
    beside: bool = False

    @property
    def name(self) -> str:
        """Names of both variants."""
        return self.contrast.name

    @property
    def note(self) -> str:
        """Why it is withheld, or an alternative explanation."""
        if self.contrast.withheld:
            return self.contrast.withheld
        swing = self.contrast.swing and self.finding in {"better", "worse"}
        return "a temporary advantage lasting months would also explain it" if swing else ""


def lines_of(contrasts: Iterable[Contrast], comparison: Comparison, verdict: Verdict | None = None) -> list[Line]:
    """Return a line per contrast, grouped by model in order of appearance; the verdict supplies the models."""
    models = {(one.first, one.second): one.model for one in verdict.answers} if verdict else {}
    lines = [_line(one, comparison, models.get((one.first, one.second), "")) for one in contrasts]
    order = list(dict.fromkeys(line.group for line in lines))
    return sorted(lines, key=lambda line: order.index(line.group))


def effect_word(effect: Contrast) -> str:
    """Write the finding of a group of features."""
    finding = finding_of(effect)
    return SINGULAR.get(finding, OPEN.get(finding, finding))


def lines_of_effects(effects: Iterable[Contrast]) -> list[Line]:
    """Return a line per effect of a group of features, grouped by model and design."""
    found = []
    for one in effects:
        group = f"{MODELS.get(one.model, one.model)}{f', {one.second}' if one.second else ''}"
        found.append(Line(one, finding_of(one), effect_word(one), group, of_features=True))
    return found


def _line(contrast: Contrast, comparison: Comparison, model: str) -> Line:
    finding, bench = finding_of(contrast), comparison.losses.benchmark
    word = "identical" if contrast.identical and not contrast.withheld else OPEN.get(finding, finding)
    if model:
        words = SINGULAR if contrast.kind == "effect" else WORDS
        return Line(contrast, finding, words.get(finding, word), model, of_features=True)
    alone = contrast.second == bench
    return Line(contrast, finding, word, f"Against {the(bench)}" if alone else BETWEEN, alone)


def colour_of(finding: str) -> str:
    """Return the colour of a finding."""
    return COLOURS[SHADES[finding]] if finding in SHADES else GREY


def exploratory(comparison: Comparison, most: int) -> list[Contrast]:
    """Return at most ``most`` pairs that were not asked, those with the smallest adjusted p, then the smallest p."""
    return sorted(comparison.others, key=lambda one: (one.p_adjusted, one.p_value))[:most]


def unit(comparison: Comparison) -> str:
    """Return the unit of skill, with the benchmark's name."""
    losses = comparison.losses
    return unit_of(losses).replace("the benchmark", the(losses.benchmark))


def reach(contrasts: Sequence[Contrast]) -> Limits:
    """Choose the limits of an axis of skill, in percent, so that one very poor model does not compress all others.

    Zero and the margin are always inside. A contrast whose estimate exceeds four times the extent of the smaller half
    of all intervals is left out; the intervals of the others are cut at twice that extent. A single contrast is shown
    in full.
    """
    margin = max((one.margin for one in contrasts), default=0.0)
    known = [one for one in contrasts if math.isfinite(one.low) and math.isfinite(one.high)]
    extents = sorted(max(abs(one.low), abs(one.high)) for one in known)
    usual = max(extents[(len(extents) - 1) // 2], margin) if extents else margin
    most = FAR * usual if len(extents) > 1 else math.inf
    near = [one for one in known if abs(one.estimate) <= most]
    low = min([-1.25 * margin, *(max(one.low, -2 * most) for one in near)])
    high = max([1.25 * margin, *(min(one.high, 2 * most) for one in near)])
    room = 0.04 * (high - low)
    return (100 * (low - room), 100 * (high + room)) if high > low else (-1.0, 1.0)


def figures(value: float, digits: int = 2) -> str:
    """Write a skill in percent with a true minus sign, and no minus zero."""
    return f"{round(100 * value, digits) + 0.0:+.{digits}f}".replace("-", "−")


def interval_of(contrast: Contrast) -> str:
    """Write the simultaneous interval in percent."""
    return " to ".join(signed(100 * contrast.low, 100 * contrast.high)).replace("-", "−")
