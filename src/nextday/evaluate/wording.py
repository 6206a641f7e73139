"""Format figures, names and answers, in verdicts and in lessons."""

from collections.abc import Sequence
from dataclasses import dataclass

from nextday.evaluate.contrasts import Contrast
from nextday.evaluate.losses import Losses, loss_named
from nextday.evaluate.losses import the as the
from nextday.words import signed

YES, NO, UNKNOWN, WITHHELD = "yes", "no", "inconclusive", "withheld"


@dataclass(frozen=True, slots=True)
class Lesson:
    """One question, its answer, and the figure behind it.

    Attributes
    ----------
    stage, question
        The stage that asks, and the question in words.
    answer
        ``yes``, ``no``, ``inconclusive``, ``withheld``, the code of a study's own verdict, or ``supplementary``.
    sentence
        The answer in one sentence, with its figures.
    estimate, low, high
        The estimate and its interval (0.01 is 1 %, or 0.01 of R2); None if there is none.
    """

    stage: str
    question: str
    answer: str
    sentence: str
    estimate: float | None = None
    low: float | None = None
    high: float | None = None


def figures(contrast: Contrast) -> str:
    """Write an estimate and its interval."""
    return interval(contrast.estimate, contrast.low, contrast.high)


def interval(estimate: float, low: float, high: float, unit: str = "%", *, label: str = "") -> str:
    """Write an estimate and its interval, given as shares, in percent or points; ``label`` says what interval it is."""
    shown = signed(100 * estimate, 100 * low, 100 * high)
    return f"{shown[0]} {unit} ({label}{shown[1]} to {shown[2]} {unit})"


def percent(share: float) -> str:
    """Write a margin."""
    return f"{100 * share:g} %"


def join(names: Sequence[str], word: str = "and") -> str:
    """Write names as a list."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"


def sign_of(losses: Losses) -> str:
    """Return the unit of a skill of 0.01: percent of the benchmark's loss, or what the loss has instead."""
    return loss_named(losses.loss).sign


def begin(text: str, losses: Losses) -> str:
    """Begin a sentence with a capital letter, unless it begins with the name of a variant."""
    return text if text.startswith(losses.variants) else f"{text[0].upper()}{text[1:]}"
