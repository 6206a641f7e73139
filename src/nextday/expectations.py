"""Questions ``A - B`` and expectations ``A > B`` in words; expectations are tested against the data."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nextday.errors import StudyError
from nextday.evaluate.answers import FINDINGS
from nextday.evaluate.ask import Ask
from nextday.evaluate.contrasts import Comparison, Contrast, finding_of
from nextday.evaluate.wording import interval, percent, sign_of
from nextday.questions import BENCHMARKS, parse_contrast

HOLDS, REFUTED, UNDECIDED = "holds", "refuted", "undecided"
STATUS = {HOLDS: 0, REFUTED: 3, UNDECIDED: 4}  # of the process; where several disagree, refuted before undecided
SIGNS = {">": "better", "<": "worse", "=": "equal"}
MIRROR = {">": "<", "<": ">", "=": "="}


@dataclass(frozen=True, slots=True)
class Expectation:
    """An expectation about two variants; ``second`` is None for the benchmark.

    ``text`` is the original text; ``benchmark > A`` becomes ``A < benchmark``, because contrasts end in the benchmark.
    """

    text: str
    first: str
    sign: str
    second: str | None

    @property
    def ask(self) -> Ask:
        """The contrast that decides it."""
        return Ask(self.first, self.second)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of an expectation.

    Attributes
    ----------
    text
        The expectation.
    outcome
        ``holds``; ``refuted`` if the opposite is shown (the other order, equality instead of an order, an order instead
        of equality); else ``undecided``.
    sentence
        The outcome with its figures, in the direction of the expectation.
    """

    text: str
    outcome: str
    sentence: str

    def __str__(self) -> str:
        """Return the sentence."""
        return self.sentence


def read_questions(texts: Iterable[str], names: Sequence[str], benchmark: str = "") -> list[Ask]:
    """Read contrasts ``A - B`` of some variants; ``benchmark`` is the variant against which skill is measured, if any.

    Raises
    ------
    StudyError
        If a name is unknown, or both names are the same.
    """
    asks = []
    for text in texts:
        first, _, second = _read(text, names, benchmark, ("-",))
        if first == benchmark:
            raise StudyError(f"{text!r}: a contrast ends in the benchmark; write '{second} - {first}'")
        asks.append(Ask(first, second))
    return asks


def read_expectations(texts: Iterable[str], names: Sequence[str], benchmark: str = "") -> list[Expectation]:
    """Read expectations ``A > B``, ``A < B`` and ``A = B``, as ``read_questions`` does."""
    found = []
    for text in texts:
        first, sign, second = _read(text, names, benchmark, tuple(SIGNS))
        if first == benchmark and second is not None:
            first, sign, second = second, MIRROR[sign], None
        found.append(Expectation(text.strip(), first, sign, second))
    return found


def join_questions(asks: Iterable[Ask], expectations: Iterable[Expectation]) -> list[Ask]:
    """Return the contrasts to ask, each pair once, in the direction of its first occurrence."""
    found: dict[frozenset[str | None], Ask] = {}
    for one in (*asks, *(expectation.ask for expectation in expectations)):
        found.setdefault(frozenset((one.first, one.second)), one)
    return list(found.values())


def hold(expectation: Expectation, comparison: Comparison) -> Outcome:
    """Test an expectation by its contrast."""
    second = comparison.losses.benchmark if expectation.second is None else expectation.second
    found = [one for one in comparison.asked if {one.first, one.second} == {expectation.first, second}]
    if not found:
        return _say(expectation, UNDECIDED, ", the two were not compared")
    contrast = found[0]
    finding, wanted = finding_of(contrast), SIGNS[expectation.sign]
    if contrast.first != expectation.first:
        finding = FINDINGS[finding]
    outcome = UNDECIDED if finding in {"withheld", "cannot tell"} else HOLDS if finding == wanted else REFUTED
    return _say(expectation, outcome, _because(contrast, expectation, finding, comparison))


def status_of(outcomes: Iterable[Outcome]) -> int:
    """Return the exit status of outcomes; refuted takes precedence over undecided."""
    found = {one.outcome for one in outcomes}
    return next((STATUS[one] for one in (REFUTED, UNDECIDED) if one in found), 0)


def _read(text: str, names: Sequence[str], benchmark: str, signs: Sequence[str]) -> tuple[str, str, str | None]:
    first, sign, second = parse_contrast(text, names, signs=signs)
    if second is None:
        said = text.rpartition(sign)[2].strip()
        if said in names:
            second = said  # a variant may have the name of the benchmark
        elif benchmark and said != BENCHMARKS[-1]:
            raise StudyError(f"{text!r}: skill is measured against {benchmark!r} here, not zero; name it, or benchmark")
    if first == (benchmark if second is None else second):
        raise StudyError(f"{text!r}: both sides are {first!r}")
    return first, sign, None if second == benchmark else second


def _say(expectation: Expectation, outcome: str, because: str) -> Outcome:
    return Outcome(expectation.text, outcome, f"expected {expectation.text}: {outcome}{because}")


def _because(contrast: Contrast, expectation: Expectation, finding: str, comparison: Comparison) -> str:
    if finding == "withheld":
        return f", withheld ({contrast.withheld})"
    if contrast.identical:
        return ", the forecasts are identical"
    sign = 1 if contrast.first == expectation.first else -1
    low, high = sorted((sign * contrast.low, sign * contrast.high))
    equal = f" equal within {percent(contrast.margin)}," if finding == "equal" else ""
    return f",{equal} {interval(sign * contrast.estimate, low, high, sign_of(comparison.losses))}"


def written(ask: Ask) -> str:
    """Write a contrast as in a study file."""
    return f"{ask.first} - {BENCHMARKS[0] if ask.second is None else ask.second}"
