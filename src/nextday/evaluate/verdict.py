"""The verdict in words: the answer to the question in one sentence, generated from the intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from nextday.auditing.findings import Finding, by_level, warning
from nextday.cards import Grid, card
from nextday.evaluate.answers import FINDINGS, MOST_NAMED, Answer, answer_of, headline_of
from nextday.evaluate.ask import Subject
from nextday.evaluate.contrasts import MOST_ROWS, OPEN, Comparison, pair_name, relation
from nextday.evaluate.parts import Parts, split
from nextday.evaluate.remarks import remarks_on
from nextday.evaluate.signals import Signal
from nextday.evaluate.wording import begin, join, sign_of, the
from nextday.storage.tables import to_pandas

if TYPE_CHECKING:
    import pandas as pd

CODES = {
    "withheld": "withheld", "equal_baseline": "no better than the benchmark", "features_help": "features help",
    "learns_its_own": "learns its own features", "features_add_noise": "features hurt", "resolved": "resolved",
    "equal": "equal within the margin", "inconclusive": "inconclusive", "leak": "not to be trusted",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of a comparison; printed as the answer, and shown by a notebook with the answer to each contrast.

    Attributes
    ----------
    code
        ``features_help``, ``learns_its_own``, ``features_add_noise``: the effect of features, if all models agree;
        ``resolved``: another significant or equal result; ``equal_baseline``: all asked contrasts are equal, and
        nothing beats the benchmark; ``equal``: all asked contrasts are equal; ``inconclusive``: no asked contrast is
        resolved; ``withheld``: no asked contrast can be judged; ``leak``: an audit has an open alarm, whatever the
        answers are.
    sentence
        The answers in one sentence, after the warning of an audit with an open alarm.
    answers
        One for each asked contrast.
    context
        Whether any variant beats the benchmark, whether there is any signal, and whether a simpler model succeeds.
    remarks
        Precision and conditions of the answers, and the data that would resolve open ones.
    parts
        Penalty and signal of each asked contrast; for the squared loss.
    findings
        What an audit found, open alarms first.
    """

    code: str
    sentence: str
    answers: tuple[Answer, ...]
    context: tuple[str, ...]
    remarks: tuple[str, ...]
    parts: tuple[Parts, ...] = ()
    findings: tuple[Finding, ...] = ()

    def __str__(self) -> str:
        """Return the answers, then their context, line by line."""
        return "\n".join((self.sentence, *self.context))

    @property
    def badge(self) -> str:
        """The outcome in a few words."""
        return CODES.get(self.code, self.code)

    def frame(self) -> pl.DataFrame:
        """Return one row per answer: ``first, second, finding, model, sentence``; ``Comparison.frame`` has numbers.

        Examples
        --------
        >>> import nextday
        >>> nextday.verdict("forecasts.parquet").verdict.frame()  # doctest: +SKIP
        """
        names = ("first", "second", "finding", "model", "sentence")
        rows = [{name: getattr(one, name) for name in names} for one in self.answers]
        return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String)).with_columns(pl.col("finding").replace(OPEN))

    def to_pandas(self) -> "pd.DataFrame":
        """Return ``frame`` as a pandas frame.

        Raises
        ------
        MissingError
            If pandas or pyarrow is not installed.
        """
        return to_pandas(self.frame())

    def __repr__(self) -> str:
        return f"Verdict: {self.badge}\n{self.sentence}"

    def _repr_html_(self) -> str:
        rows = [
            (pair_name(first, second), finding, f"{model}: {sentence}" if model else sentence)
            for first, second, finding, model, sentence in self.frame().head(MOST_ROWS).iter_rows()
        ]
        grid = Grid("Asked contrasts", ("contrast", "finding", "answer"), rows if len(rows) > 1 else ())
        return card(f"Verdict: {self.badge}", self.sentence, grid, self.context)


def judge(
    comparison: Comparison, *, subjects: Mapping[str, Subject] | None = None, signal: Signal | None = None,
    beside: Sequence[str] = (), notes: Sequence[str] = (), across: str = "", findings: Sequence[Finding] = (),
) -> Verdict:  # fmt: skip
    """Describe a comparison in words.

    Parameters
    ----------
    comparison
        What was compared.
    subjects
        Model and inputs of each variant; names are never interpreted.
    signal
        Result of the signal tests.
    beside
        Further lines of context, such as the success of a simpler model.
    notes
        Remarks on the forecasts table.
    across
        What the best variant is worth across tickers, if it is worth anything: it qualifies that none beats the
        benchmark.
    findings
        What an audit found: with an open alarm the sentence begins with a warning, and nothing else changes.
    """
    subjects = subjects or {}
    answers = tuple(answer_of(one, comparison, subjects) for one in comparison.asked)
    findings = by_level(findings)
    alarm = warning(findings)
    code = _code(answers, comparison, subjects)
    clause, line = _against_benchmark(comparison)
    of_pairs = any(one.second != comparison.losses.benchmark for one in comparison.asked)
    sentence = headline_of(answers, comparison)
    if of_pairs and clause and code != "withheld":
        sentence += f"; {clause}"
    if across and not any(relation(one) == ">" for one in comparison.against_benchmark):
        sentence += f"; {across}"
    parts = split(comparison)
    found = [_reconciled(signal, comparison)] if signal else []
    context = (*((line,) if line and of_pairs else ()), *found, *beside)
    sentence = f"{begin(sentence, comparison.losses)}."
    return Verdict(
        "leak" if alarm else code, f"{alarm} {sentence}" if alarm else sentence, answers, context,
        (*_of_audit(findings, notes=False), *remarks_on(comparison, parts, notes), *_of_audit(findings, notes=True)),
        parts, findings,
    )  # fmt: skip


def _of_audit(findings: Sequence[Finding], *, notes: bool) -> list[str]:
    """Return the alarms and questions of an audit, or its notes."""
    chosen = [one for one in findings if (one.level == "note") == notes]
    return [f"Accepted: {one.sentence}" if one.accepted else one.sentence for one in chosen]


def _code(answers: Sequence[Answer], comparison: Comparison, subjects: Mapping[str, Subject]) -> str:
    """Name the outcome, by the findings of each model and the roles of its feature sets."""
    found = {one.finding for one in answers}
    if found == {"withheld"}:
        return "withheld"
    if not found & {"better", "worse", "equal"}:
        return "inconclusive"
    if found == {"equal"}:
        beaten = all(one.high < one.margin or one.identical for one in comparison.against_benchmark)
        return "equal_baseline" if beaten else "equal"
    of_features = [one for one in answers if one.of_features and one.first in subjects]
    models = {subjects[one.first].model for one in of_features}
    codes = {_of_model([one for one in of_features if subjects[one.first].model == name], subjects) for name in models}
    return codes.pop() if len(codes) == 1 and len(of_features) == len(answers) else "resolved"


def _of_model(answers: Sequence[Answer], subjects: Mapping[str, Subject]) -> str:
    """Name what the features of one model do; findings of the same two roles have to agree."""
    found: dict[tuple[str, str], set[str]] = {}
    for one in answers:
        found.setdefault((subjects[one.first].role, subjects[one.second].role), set()).add(one.finding)

    def said(first: str, second: str) -> str:
        findings, mirrored = found.get((first, second), set()), found.get((second, first), set())
        findings = findings | {FINDINGS[word] for word in mirrored}
        return findings.pop() if len(findings) == 1 else ""

    engineered = said("engineered", "raw")
    if said("rich", "raw") == "better" and said("engineered", "rich") in {"equal", "worse"}:
        return "learns_its_own"
    return {"better": "features_help", "worse": "features_add_noise"}.get(engineered, "resolved")


def _reconciled(signal: Signal, comparison: Comparison) -> str:
    """Report whether there is any signal, and reconcile it with the result against the benchmark."""
    gains = any(relation(one) == ">" for one in comparison.against_benchmark)
    why = {
        "timing": "" if gains else "; the signal is smaller than the cost of estimation, so the loss is not reduced",
        "drift": "" if gains else "; it captures the mean of the returns, not their timing",
        "none": "; a gain without a signal should be checked" if gains else "",
    }[signal.kind]
    return f"{signal.sentence}{why}."


def _named(names: Sequence[str], all_of_them: int) -> str:
    """Name a few variants, or count many."""
    return join(names) if len(names) <= MOST_NAMED else f"{len(names)} of {all_of_them} variants"


def _against_benchmark(comparison: Comparison) -> tuple[str, str]:
    """Report whether any variant beats the benchmark: a clause for the headline, and a line of context."""
    known = [one for one in comparison.against_benchmark if not one.withheld]
    bench = the(comparison.losses.benchmark)
    if not known:
        why = next((one.withheld for one in comparison.against_benchmark), "")
        return "", f"Withheld: whether any variant beats {bench} ({why})." if why else ""
    better = [one.first for one in known if relation(one) == ">"]
    if better:
        verb = "beats" if len(better) == 1 else "beat"
        names = "all variants" if len(better) == len(known) > 1 else _named(better, len(known))
        return f"{names} {verb} {bench}", ""
    if all(one.high < one.margin or one.identical for one in known):
        worse = [one.first for one in known if one.high < 0]
        loses = f" {_named(worse, len(known))} {'loses' if len(worse) == 1 else 'lose'} to it." if worse else ""
        resolved = any(relation(one) in "<>" for one in comparison.asked if not one.withheld)
        reading = " A variant that is better than another here overfits less; that is not skill." if resolved else ""
        margin = f"the margin of {100 * comparison.margin:g} {sign_of(comparison.losses)}"
        return f"no variant beats {bench}", f"No variant beats {bench} by {margin}.{loses}{reading}"
    top = max(known, key=lambda one: one.estimate)
    reach = f"{100 * top.estimate:+.2f} {sign_of(comparison.losses)} ({100 * top.low:+.2f} to {100 * top.high:+.2f})"
    return "", f"No variant is significantly better than {bench}; best in sample: {top.first}, {reach}."
