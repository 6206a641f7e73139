"""From a contrast to a lesson: which one is picked, what it answers, how it is written."""

from collections.abc import Sequence
from dataclasses import dataclass

from nextday.evaluate.contrasts import Comparison, Contrast
from nextday.evaluate.losses import ZERO, Losses

YES, NO, UNKNOWN, WITHHELD = "yes", "no", "cannot tell", "withheld"


@dataclass(frozen=True, slots=True)
class Lesson:
    """One question, its answer, and the figure behind it.

    Attributes
    ----------
    stage, question
        Whose question it is, and how it reads.
    answer
        ``yes``, ``no``, ``cannot tell``, ``withheld``, or the code of a stage's own verdict.
    sentence
        The answer in one sentence, with its figures.
    estimate, low, high
        The figure and its interval (0.01 is 1 %, or 0.01 of R2); missing where the answer is withheld.
    """

    stage: str
    question: str
    answer: str
    sentence: str
    estimate: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """A difference of skill, ``first`` less ``second``, and its interval."""

    first: str
    second: str
    estimate: float
    low: float
    high: float


def withhold(stage: str, question: str, comparison: Comparison) -> Lesson:
    """Say why there is no answer."""
    return Lesson(stage, question, WITHHELD, f"Withheld: {comparison.withheld}.")


def best_of(contrasts: Sequence[Contrast]) -> Figure:
    """Give the best of several against one and the same, with an interval for whichever is best.

    With simultaneous intervals, the largest true value lies between the largest lower and the largest upper bound. The
    interval of the one that came out best says nothing about the others, whose upper bounds may be higher.
    """
    top = max(contrasts, key=lambda one: one.estimate)
    return Figure(
        top.first, top.second, top.estimate, max(one.low for one in contrasts), max(one.high for one in contrasts)
    )


def best_pair(contrasts: Sequence[Contrast]) -> Figure:
    """Give the best first less the best second, where every first was compared with every second.

    The interval is for whichever are best: the best first less the best second is the largest over firsts of the least
    over seconds, of the true values as of both bounds.
    """
    groups = [[one for one in contrasts if one.first == name] for name in dict.fromkeys(one.first for one in contrasts)]
    top = max((min(group, key=lambda one: one.estimate) for group in groups), key=lambda one: one.estimate)
    low, high = (max(min(getattr(one, end) for one in group) for group in groups) for end in ("low", "high"))
    return Figure(top.first, top.second, top.estimate, low, high)


def answer(contrast: Contrast | Figure, margin: float) -> str:
    """Say yes where a gain is told from zero, no where any gain is below the margin, else neither."""
    if contrast.low > 0:
        return YES
    return NO if contrast.high < margin else UNKNOWN


def because(contrast: Contrast | Figure, margin: float) -> str:
    """Say what beside the figures makes the answer of a difference."""
    if contrast.low > 0:
        return "" if contrast.high >= margin else f"; that is less than the {percent(margin)} that would matter"
    if contrast.high < 0:
        return "; it is worse"
    if contrast.high < margin:
        return f"; any gain is below the {percent(margin)} that would matter"
    return "; that includes zero and gains that would matter"


def figures(contrast: Contrast | Figure) -> str:
    """Write an estimate and its interval."""
    return interval(contrast.estimate, contrast.low, contrast.high)


def interval(estimate: float, low: float, high: float, unit: str = "%") -> str:
    """Write an estimate and its interval, given as shares, in percent or points."""
    shown = [f"{round(100 * value, 2) + 0.0:+.2f}" for value in (estimate, low, high)]  # no minus zero
    return f"{shown[0]} {unit} ({shown[1]} to {shown[2]} {unit})"


def at_once(count: int, what: str) -> str:
    """Say over how many candidates an interval holds."""
    return f", an interval for all {count} {what} at once" if count > 1 else ""


def whichever(count: int) -> str:
    """Say that an interval is for the best, not for the one that came out best."""
    return ", an interval for whichever is best" if count > 1 else ""


def best(names: Sequence[str], what: str) -> str:
    """Say out of how many something is the best."""
    return what if len(names) == 1 else f"best {what} of {len(names)}"


def percent(share: float) -> str:
    """Write a margin."""
    return f"{100 * share:g} %"


def join(names: Sequence[str], word: str = "and") -> str:
    """Write names as a list."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"


def sign_of(losses: Losses) -> str:
    """Unit of skill: percent of the benchmark's loss, or percentage points of days."""
    return "pp" if losses.loss == "miss" else "%"


def the(name: str) -> str:
    """Write the name of a variant or of the zero forecast in a sentence."""
    return f"the {name}" if name == ZERO else name


def begin(text: str, losses: Losses) -> str:
    """Begin a sentence with a capital letter, unless it begins with the name of a variant."""
    return text if text.startswith(losses.variants) else f"{text[0].upper()}{text[1:]}"
