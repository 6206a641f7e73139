"""All stages of a results folder as one table on identical samples, the basis of the leaderboard."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from nextday.errors import OutputError
from nextday.evaluate.ask import Ask
from nextday.evaluate.contrasts import Comparison
from nextday.evaluate.inference import compare
from nextday.evaluate.losses import Losses
from nextday.evaluate.table import measure
from nextday.ladder.samples import agreeing
from nextday.ladder.stages import Stage, find_stages

POINT = ("ticker", "fold", "seed", "origin", "date", "actual", "predicted")
RANGES = ("ticker", "fold", "train_from", "train_to")
KINDS = {"units": pl.Int64, "seconds": pl.Float64, "parameters": pl.Int64, "copy_of": pl.String}


@dataclass(frozen=True, slots=True)
class Ladder:
    """All stages on the same samples.

    Attributes
    ----------
    folder
        Folder that contains those of the stages.
    stages
        The compared stages, presets first.
    entries
        One row per variant: ``variant, stage, own`` (its name in its stage), ``method, features, copy_of`` (the variant
        with the same point forecasts: this one calibrates its intervals, or an earlier stage contains it), ``units,
        seconds, parameters, contaminated, pooled`` (one network forecasts all tickers), ``leak`` (its study's audit has
        an open alarm about it).
    comparison
        Skill of every variant against the zero forecast by squared loss, with simultaneous intervals.
    notes
        Notes for readers: folders that are not compared and why, names that were made distinct.
    """

    folder: Path
    stages: tuple[Stage, ...]
    entries: pl.DataFrame
    comparison: Comparison
    notes: tuple[str, ...]

    @property
    def forecasts(self) -> pl.DataFrame:
        """Point forecasts of all stages, concatenated."""
        return _stacked(self.stages)


def load_ladder(folder: Path, *, alpha: float = 0.05) -> Ladder:
    """Read the finished studies of a folder and compare all their variants with the zero forecast.

    Raises
    ------
    OutputError
        If fewer than two studies can be read.
    VerdictError
        If no two of them have the same (ticker, origin) pairs and actual values; with the counts.
    """
    found, unread = find_stages(folder)
    if len(found) < 2:
        there = f"the forecasts of {found[0].name} alone" if found else "no study's forecasts"
        raise OutputError("; ".join([_too_few(folder, there), *unread]))
    stages, differing = agreeing(found)
    stages, doubled = _tell_apart(stages)
    entries = pl.DataFrame([row for stage in stages for row in stage.rows()], schema_overrides=KINDS)
    pooled = entries.filter("pooled")["variant"].to_list()
    losses = measure(_stacked(stages), folds=stages[0].folds, pooled=pooled)
    comparison = compare(losses, alpha=alpha, matches=[Ask(name, None) for name in losses.variants])
    again = pl.col("variant").replace_strict(_repeated(stages), default=None, return_dtype=pl.String)
    entries = entries.with_columns(copy_of=pl.coalesce("copy_of", again))
    notes = (*unread, *differing, *doubled, *_other_training(stages))
    return Ladder(folder, tuple(stages), entries, comparison, notes)


def subset(losses: Losses, variants: Sequence[str]) -> Losses:
    """Keep some variants, in the order given."""
    at = [losses.variants.index(name) for name in variants]
    return replace(
        losses, variants=tuple(variants), grid=losses.grid[at], seeds=tuple(losses.seeds[i] for i in at),
        by_seed=tuple(losses.by_seed[i] for i in at), daily_by_seed=tuple(losses.daily_by_seed[i] for i in at),
        pooled=tuple(losses.pooled[i] for i in at),
    )  # fmt: skip


def _too_few(folder: Path, there: str) -> str:
    return f"{folder} contains {there}; a comparison takes at least two stages: nextday run all --out {folder}"


def _stacked(stages: Sequence[Stage]) -> pl.DataFrame:
    return pl.concat([stage.forecasts.select("variant", *POINT) for stage in stages])


def _tell_apart(stages: Sequence[Stage]) -> tuple[list[Stage], list[str]]:
    """Put the stage behind names that two stages use."""
    doubled = {name for name, count in Counter(name for one in stages for name in one.names).items() if count > 1}
    found = [_renamed(stage, doubled) for stage in stages]
    if len({label for one in found for label in one.names.values()}) < sum(len(one.names) for one in found):
        found = [_renamed(stage, stage.names) for stage in stages]  # a name of one stage reads like that of another
    return found, [f"{name} is in several stages; the stage is added to each name" for name in sorted(doubled)]


def _renamed(stage: Stage, which: Collection[str]) -> Stage:
    names = {name: f"{name} ({stage.name})" if name in which else name for name in stage.names}
    return replace(stage, names=names, forecasts=stage.forecasts.with_columns(pl.col("variant").replace(names)))


def _repeated(stages: Sequence[Stage]) -> dict[str, str]:
    """Find variants that an earlier stage has under the same name, with the same forecasts, as a benchmark is."""
    first: dict[str, tuple[str, pl.DataFrame]] = {}
    found = {}
    for stage in stages:
        for name, label in stage.names.items():
            own = stage.forecasts.filter(variant=label).select("seed", "ticker", "origin", "predicted")
            own = own.sort("seed", "ticker", "origin")
            if name not in first:
                first[name] = label, own
            elif own.equals(first[name][1]):
                found[label] = first[name][0]
    return found


def _other_training(stages: Sequence[Stage]) -> list[str]:
    """Name the stages trained on other days than the first; that is allowed, but not a fair comparison."""
    tables = [stage.folds.select(RANGES).sort("ticker", "fold") for stage in stages]
    return [
        f"{stage.name} was trained on other days than {stages[0].name}"
        for stage, table in zip(stages[1:], tables[1:], strict=True)
        if not table.equals(tables[0])
    ]
