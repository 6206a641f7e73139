"""What an audit finds: alarms, questions and notes, and which of them a person has accepted."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

Level = Literal["alarm", "question", "note"]
LEVELS: tuple[Level, ...] = ("alarm", "question", "note")


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding of an audit.

    Attributes
    ----------
    name
        The column, function or variant; empty for the whole panel or table.
    level
        ``alarm``: data of the future; ``question``: only a person can decide; ``note``: harmless.
    code
        The rule, such as ``T1``; see the page on audits.
    sentence
        What was found, with its figures.
    numbers
        The figures.
    accepted
        Whether a person has accepted it, by name.
    """

    name: str
    level: Level
    code: str
    sentence: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    accepted: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it is an alarm that nobody has accepted."""
        return self.level == "alarm" and not self.accepted

    @property
    def status(self) -> str:
        """Its level, or ``accepted``."""
        return "accepted" if self.accepted else self.level

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def findings_of(values: Iterable[Mapping[str, Any]]) -> tuple[Finding, ...]:
    """Return findings from plain values, as ``as_dict`` makes them."""
    return tuple(Finding(**one) for one in values)


def accept(findings: Iterable[Finding], allow: Collection[str]) -> tuple[Finding, ...]:
    """Mark the findings that are accepted: ``NAME`` stands for all of a name, ``NAME:CODE`` for one rule."""
    wanted = set(allow)
    return tuple(
        replace(one, accepted=bool({one.name, f"{one.name}:{one.code}"} & wanted)) if one.level == "alarm" else one
        for one in findings
    )


def by_level(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sort findings: open alarms first, then accepted ones, questions, notes; else in their order."""
    return tuple(sorted(findings, key=lambda one: (LEVELS.index(one.level), one.accepted)))


def warning(findings: Sequence[Finding]) -> str:
    """Return the beginning of a verdict that is not to be trusted, ``Not to be trusted: ...``; empty without alarms."""
    found = [one.sentence.partition(". ")[0].removesuffix(".") for one in by_level(findings) if one.is_open]
    if not found:
        return ""
    more = len(found) - 1
    others = f" (and {more} more {'alarm' if more == 1 else 'alarms'})" if more else ""
    return f"Not to be trusted: {found[0]}{others}."
