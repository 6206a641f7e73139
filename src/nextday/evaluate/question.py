"""Answer the question of a study: gather its contrasts and the forecasts that they need, and judge them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from nextday.ablation import variants_of
from nextday.auditing.findings import Finding, accept
from nextday.designs import DESIGNS
from nextday.errors import StudyError
from nextday.evaluate.ask import Ask, Subject, asked_by, effects_asked, read_question, subjects_of
from nextday.evaluate.baselines import Neighbour, load_neighbour
from nextday.evaluate.contrasts import Comparison, relation
from nextday.evaluate.control import Control, read_control
from nextday.evaluate.credible import examine
from nextday.evaluate.cross_section import clause_of, compare_across, line_of
from nextday.evaluate.inference import compare
from nextday.evaluate.losses import ZERO, seed_counts
from nextday.evaluate.predictive_tests import Beside, beside
from nextday.evaluate.signals import signal
from nextday.evaluate.table import measure
from nextday.evaluate.verdict import Verdict, judge
from nextday.evaluate.wording import figures
from nextday.study import SIZES, Question, Study
from nextday.words import duration, plural


@dataclass(frozen=True, slots=True)
class Asked:
    """The question of a study.

    Attributes
    ----------
    asks
        The contrasts, in order.
    subjects
        Model and inputs of each variant, including those of the study below.
    forecasts
        The forecasts of the study, followed by those of the asked variants of the study below.
    pooled
        Variants in which one network forecasts all tickers.
    note
        Why some contrast cannot be answered; else empty.
    """

    asks: tuple[Ask, ...]
    subjects: Mapping[str, Subject]
    forecasts: pl.DataFrame
    pooled: tuple[str, ...]
    note: str = ""


def gather(
    folder: Path, study: Study, feature_sets: Mapping[str, Sequence[str]], forecasts: pl.DataFrame,
    pooled: Sequence[str] = (),
) -> Asked:  # fmt: skip
    """Gather the forecasts for the question of a study; ``folder`` is its folder, next to those of other studies.

    Contrasts with a study below that is missing, or has other samples, are left out, with a note; if none is left, the
    study's own ablation is asked.
    """
    subjects, asked = subjects_of(study, feature_sets), study.verdict.ask
    below, note = _below(folder.parent / study.below, forecasts) if study.below and asked else (None, "")
    theirs = subjects_of(below.study, feature_sets) if below else {}
    asks: list[Ask] = []
    for question in asked:
        try:
            asks.append(read_question(question, study, theirs))
        except StudyError as error:
            note = note or str(error)
    effects = effects_asked(study)
    asks = [one for one in effects if one.kind == "effect"] + asks or asked_by(_asking(study, ()), feature_sets)
    borrowed = {name for one in asks for name in one.variants} - set(subjects)
    if below is None or not borrowed:
        return Asked(tuple(asks), subjects, forecasts, tuple(pooled), note)
    rows = below.forecasts.filter(pl.col("variant").is_in(borrowed))
    both = pl.concat([forecasts, rows], how="diagonal_relaxed")
    more = [name for name in below.pooled if name in borrowed]
    return Asked(tuple(asks), theirs | subjects, both, (*pooled, *more), note)


@dataclass(frozen=True, slots=True)
class Judged:
    """The answers to a study's question; ``note`` states why some contrast cannot be answered.

    ``across`` has the same contrasts by rank coefficient, where a day has enough tickers; ``control`` what the folder's
    positive control says.
    """

    comparison: Comparison
    verdict: Verdict
    aside: Beside
    note: str
    across: Comparison | None = None
    control: Control | None = None


def answer(
    folder: Path, study: Study, feature_sets: Mapping[str, Sequence[str]], forecasts: pl.DataFrame,
    folds: pl.DataFrame, pooled: Sequence[str] = (), costs: Mapping[str, Mapping[str, float]] | None = None,
    findings: Sequence[Finding] = (),
) -> Judged:  # fmt: skip
    """Answer the question of a study from its tables; ``folder`` is its folder, next to those of other studies.

    ``costs`` are the ``units`` and ``seconds`` of each variant, ``findings`` those of the audit of its columns: where
    they have no alarm, skill that is too good raises a question.
    """
    asked, terms = gather(folder, study, feature_sets, forecasts, pooled), study.verdict
    losses = measure(
        asked.forecasts, loss=terms.loss, benchmark=terms.benchmark or None, folds=folds, pooled=asked.pooled,
        scale=terms.scale, parts=terms.loss == "squared" and study.target not in SIZES,
    )  # fmt: skip
    own = [name for name in losses.variants if name in study.variants or name in study.conformal]
    comparison = compare(
        losses, ask=asked.asks, margin=terms.margin, alpha=terms.alpha, explore=own, others=_others(study),
        alike=alike_of(study),
    )  # fmt: skip
    aside = beside(asked.forecasts, comparison, folds, asked=asked.asks)
    read = {name: feature_sets.get(variant.features, ()) for name, variant in study.variants.items()}
    simple = simpler(folder.parent / study.baselines, comparison, forecasts) if study.baselines else ""
    across = compare_across(asked.forecasts, comparison)
    notes = (*losses.notes, *_of_design(study, comparison, costs or {}))
    if terms.scale == "predicted":
        notes += (_by_training_scale(asked, comparison, folds),)
    seen = examine(asked.forecasts, trusted=losses.variants, features=read)
    control = read_control(folder.parent, study, losses.index_hash)
    beside_it = (simple, line_of(across, comparison), control.sentence if control else "")
    verdict = judge(
        comparison, subjects=asked.subjects, signal=signal(aside.clark_west, aside.timing, alpha=terms.alpha),
        beside=tuple(filter(None, beside_it)), notes=notes,
        across="" if study.ablation else clause_of(across, comparison),  # a run is no answer to what is asked
        findings=_of_audit(findings, seen, read, study.allow),
    )  # fmt: skip
    return Judged(comparison, verdict, aside, asked.note, across, control)


def _of_audit(
    columns: Sequence[Finding], forecasts: Sequence[Finding], read: Mapping[str, Sequence[str]], allow: Sequence[str]
) -> tuple[Finding, ...]:
    """Join the findings of columns and of forecasts; an open alarm of a column explains skill that is too good."""
    columns = accept(columns, allow)
    doubted = {one.name for one in columns if one.is_open}
    left = [one for one in forecasts if one.code != "C2" or doubted.isdisjoint(read.get(one.name, ()))]
    return (*columns, *accept(left, allow))


def alike_of(study: Study) -> tuple[tuple[str, ...], ...]:
    """Return the variants that are runs of one design: their seed variance is estimated together."""
    return () if study.ablation is None else tuple(map(tuple, variants_of(study.ablation)))


def _of_design(study: Study, comparison: Comparison, costs: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Say what an effect is, what it cost, and where its seed variance comes from."""
    ablation = study.ablation
    if ablation is None:
        return []
    runs = plural(len(variants_of(ablation)[0]), "run")
    meaning = DESIGNS[ablation.design[0]].meaning
    said = [f"The effect of a group is {meaning}; {runs}, design {', '.join(ablation.design)}{_cost(costs)}."]
    if len(ablation.views) > 1:
        said.append("Each effect is averaged over all other representations and lookbacks.")
    if "random" in ablation.representation:
        said.append(
            "Random digests (projections of each window on random directions) have as many columns as the digest, so "
            "that fewer inputs are not mistaken for a better form; no other effect is averaged over them."
        )
    seeds = seed_counts(comparison.losses)
    if max(seeds[name] for group in comparison.alike for name in group) == 1:
        said.append(
            "With one seed per run, seed variance is estimated from the residual of the design, which counts "
            "interactions of groups as seed variance."
        )
    return said


def _cost(costs: Mapping[str, Mapping[str, float]]) -> str:
    """Write how many trainings there were, and how long they took."""
    units, seconds = (int(sum(one[key] for one in costs.values())) for key in ("units", "seconds"))
    return f"; {plural(units, 'training')}, {duration(seconds)} of one core" if costs else ""


def _others(study: Study) -> dict[str, list[Ask]] | None:
    """Return the families beside the effects of an ablation; None where they are all other pairs."""
    if study.ablation is None:
        return None
    effects = effects_asked(study)
    return {kind: [one for one in effects if one.kind == kind] for kind in ("alternative", "interaction")}


def _by_training_scale(asked: Asked, comparison: Comparison, folds: pl.DataFrame) -> str:
    """Repeat the asked contrasts with the loss scaled by training variance."""
    benchmark = None if comparison.losses.benchmark == ZERO else comparison.losses.benchmark
    plain = measure(asked.forecasts, benchmark=benchmark, folds=folds, pooled=asked.pooled)
    beside = compare(plain, ask=asked.asks, alpha=comparison.alpha, explore=(), alike=comparison.alike).asked
    each = "; ".join(f"{one.name} {figures(one)}" for one in beside)
    return f"The verdict scales squared errors by the day's predicted variance. By training variance instead: {each}."


def _asking(study: Study, questions: tuple[Question, ...]) -> Study:
    """Return the study with other questions."""
    return study.model_copy(update={"verdict": study.verdict.model_copy(update={"ask": questions})})


def _below(folder: Path, forecasts: pl.DataFrame) -> tuple[Neighbour | None, str]:
    """Read the study below, else return why it cannot be compared with."""
    found, note = load_neighbour(folder, forecasts)
    missing = f"{folder} does not exist yet: run {folder.name} first to compare with it"
    return found, "" if found else note or missing


def simpler(folder: Path, comparison: Comparison, forecasts: pl.DataFrame) -> str:
    """Name a deterministic model of the simple ones that beats the zero forecast where no variant here does.

    ``folder`` holds the simple models. Empty if a variant here beats the zero forecast too, or if none does.
    """
    losses = comparison.losses
    if (
        losses.benchmark != ZERO
        or losses.loss != "squared"
        or any(relation(one) == ">" for one in comparison.against_benchmark)
    ):
        return ""
    found, _ = load_neighbour(folder, forecasts)
    if found is None:
        return ""
    against = compare(
        measure(found.forecasts, folds=found.folds), alpha=comparison.alpha, replicates=2000
    ).against_benchmark
    better = [one for one in against if relation(one) == ">" and not one.withheld]
    if not better:
        return ""
    top = max(better, key=lambda one: one.estimate)
    return (
        f"A simpler model succeeds where these do not: {top.first} ({folder.name}) beats the zero forecast, "
        f"{figures(top)}."
    )
