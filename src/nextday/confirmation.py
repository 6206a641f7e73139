"""Confirm an ablation: fit the groups that help, and the others, again on fresh seeds."""

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from nextday.engine import Options
from nextday.errors import StudyError
from nextday.evaluate.contrasts import Contrast, finding_of
from nextday.pipeline import run
from nextday.results import Results
from nextday.study import Study

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

CHOSEN, OTHERS = "groups that help", "other groups"
LEAST_SEEDS = 3  # of a pair of variants


def helpful(results: Results) -> list[Contrast]:
    """Return the effects of groups that help."""
    groups = results.study.ablation.groups if results.study.ablation else {}
    return [one for one in results.comparison.asked if one.group in groups and finding_of(one) == "better"]


def confirmation_of(results: Results) -> Study:
    """Lay out the study that confirms an ablation.

    Its variants have the base, the base with the groups that help, and the base with all others; its seeds are fresh.
    The days are the same, so it guards against the choice among seeds, not among days.

    Raises
    ------
    StudyError
        If the study has no ablation, or no group helps.
    """
    study, ablation = results.study, results.study.ablation
    if ablation is None:
        raise StudyError(f"{study.name} has no ablation to confirm")
    sets, variants, asks = {}, {}, []
    for model in ablation.model:
        helps = [one.group for one in helpful(results) if one.model == model]
        parts = {
            "base": [], CHOSEN: helps, OTHERS: [name for name in ablation.groups if name not in helps],
        }  # fmt: skip
        if not helps:
            continue
        named = {part: ablation.name(model, part) for part, groups in parts.items() if groups or part == "base"}
        for part, name in named.items():
            sets[name] = (ablation.base, *(one for group in parts[part] for one in ablation.groups[group]))
            variants[name] = ablation.variant(model, name)
        asks += [f"{named[CHOSEN]} - {named[part]}" for part in ("base", OTHERS) if part in named]
    if not variants:
        raise StudyError(f"{study.name}: no group helps, so there is nothing to confirm")
    count, first = max(len(study.seeds), LEAST_SEEDS), max(study.seeds) + 1
    values = study.model_dump(mode="json", exclude={"ablation", "variants", "feature_sets", "seeds", "analyses"})
    laid = {variant.features for variant in study.variants.values()}
    own = {name: features for name, features in study.feature_sets.items() if name not in laid}
    return Study.from_values(
        values | {
            "name": f"{study.name}-confirmed", "question": "Do the groups that help do so again on fresh seeds?",
            "variants": variants, "feature_sets": own | sets, "seeds": list(range(first, first + count)),
            "verdict": values["verdict"] | {"ask": asks},
        }
    )  # fmt: skip


def confirm(
    results: Results, *, bars: "pl.DataFrame | pd.DataFrame | None" = None, out: Path | str | None = None,
    **execution: Unpack[Options],
) -> Results:  # fmt: skip
    """Run the study that confirms an ablation, see ``confirmation_of``.

    Parameters
    ----------
    results
        Results of a study with an ablation.
    bars
        The frame of bars that it was run with, if any.
    out
        Folder of all studies' results; default: where the ablation's are.
    **execution
        As for ``run``.

    Raises
    ------
    StudyError
        If the study has no ablation, or no group helps.

    Examples
    --------
    >>> import nextday
    >>> results = nextday.run("mine.yaml")  # doctest: +SKIP
    >>> print(nextday.confirm(results).verdict)  # doctest: +SKIP
    """
    return run(confirmation_of(results), bars=bars, out=results.out.parent if out is None else out, **execution)
