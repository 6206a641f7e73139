"""All stages of a results folder as one table, on identical samples: what the leaderboard is made of."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from typing import Any

import polars as pl
from polars import selectors as cs

from nextday.errors import OutputError, VerdictError, first_line
from nextday.evaluate.contrasts import Comparison
from nextday.evaluate.inference import compare
from nextday.evaluate.losses import Losses
from nextday.evaluate.table import measure

STAGES = tuple(f"stage{number}" for number in range(1, 7))
KEYS = ("ticker", "fold", "seed", "origin", "date", "actual", "predicted")
RANGES = ("ticker", "fold", "train_from", "train_to")


@dataclass(frozen=True, slots=True)
class Rung:
    """What one stage left in its folder.

    Attributes
    ----------
    name, folder
        Name of the stage, and where its files are.
    study, manifest
        What was run, as plain values.
    forecasts, folds
        Its tables; ``variant`` is the name in the ladder.
    names
        Name in the ladder of each of its variants: its own, with the stage behind it where two stages use it.
    reached
        By own name the share of test days that the training data of a variant may hold; missing is none.
    pooled
        Own names of the variants of which one network forecasts all tickers.
    """

    name: str
    folder: Path
    study: Mapping[str, Any]
    manifest: Mapping[str, Any]
    forecasts: pl.DataFrame
    folds: pl.DataFrame
    names: Mapping[str, str]
    reached: Mapping[str, float]
    pooled: frozenset[str]


@dataclass(frozen=True, slots=True)
class Ladder:
    """All stages on the same samples.

    Attributes
    ----------
    folder
        Where the stages' folders are.
    rungs
        The stages that forecast, in order.
    entries
        One row per variant: ``variant, stage, own`` (its name in its stage), ``method, features, copy_of`` (the variant
        whose point forecasts are the same: it calibrates its intervals, or an earlier stage has it already), ``units,
        seconds, parameters, contaminated, pooled`` (one network forecasts all tickers).
    comparison
        Skill of every variant against the zero forecast by squared loss; intervals hold for all variants at once.
    notes
        What a reader should know: stages that are missing, names that were told apart.
    """

    folder: Path
    rungs: tuple[Rung, ...]
    entries: pl.DataFrame
    comparison: Comparison
    notes: tuple[str, ...]

    @property
    def forecasts(self) -> pl.DataFrame:
        """Point forecasts of all stages, one below the other."""
        return pl.concat([rung.forecasts.select("variant", *KEYS) for rung in self.rungs])

    def rung(self, name: str) -> Rung | None:
        """Give a stage, if it is there."""
        return next((rung for rung in self.rungs if rung.name == name), None)


def load_ladder(folder: Path, *, alpha: float = 0.05) -> Ladder:
    """Read the stages that are in a folder and compare all their variants with the zero forecast.

    Raises
    ------
    OutputError
        If fewer than two stages have forecasts, or a stage's files cannot be read.
    VerdictError
        If stages differ in their (ticker, origin) pairs or in actual values; with the counts.
    """
    rungs = [_read(folder / name) for name in STAGES if (folder / name / "forecasts.parquet").is_file()]
    if len(rungs) < 2:
        there = f"the forecasts of {rungs[0].name} alone" if rungs else "no stage's forecasts"
        raise OutputError(
            f"{folder} holds {there}; a comparison takes at least two stages: nextday run all --out {folder}"
        )
    rungs, notes = _tell_apart(rungs)
    _refuse_other_samples(rungs)
    every = pl.concat([rung.forecasts.select("variant", *KEYS) for rung in rungs])
    entries = pl.concat([_entries(rung) for rung in rungs])
    losses = measure(every, folds=rungs[0].folds, pooled=entries.filter("pooled")["variant"].to_list())
    comparison = compare(losses, alpha=alpha, matches=[(name, None) for name in losses.variants])
    again = pl.col("variant").replace_strict(_repeated(rungs), default=None, return_dtype=pl.String)
    entries = entries.with_columns(copy_of=pl.coalesce("copy_of", again))
    return Ladder(folder, tuple(rungs), entries, comparison, (*_gaps(folder), *notes, *_other_training(rungs)))


def subset(losses: Losses, variants: Sequence[str]) -> Losses:
    """Keep some variants, in the order given."""
    at = [losses.variants.index(name) for name in variants]
    return replace(
        losses, variants=tuple(variants), grid=losses.grid[at], seeds=tuple(losses.seeds[i] for i in at),
        by_seed=tuple(losses.by_seed[i] for i in at), daily_by_seed=tuple(losses.daily_by_seed[i] for i in at),
        pooled=tuple(losses.pooled[i] for i in at),
    )  # fmt: skip


def _read(folder: Path) -> Rung:
    try:
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
        study = manifest["study"]
        known = {str(name): dict(variant) for name, variant in study["variants"].items()}
        known |= {str(name): dict(one) for name, one in study.get("conformal", {}).items()}
        table = pl.read_parquet(folder / "forecasts.parquet", hive_partitioning=False)
        pooled, reached = frozenset(manifest["pooled"]), {}
        if "contaminated" in table.columns:
            reached = dict(table.group_by("variant").agg(pl.col("contaminated").cast(pl.Float64).mean()).rows())
        forecasts = table.select("variant", *KEYS, cs.matches(r"^q\d")).with_columns(pl.col("seed").cast(pl.Int64))
        folds = pl.read_parquet(folder / "folds.parquet", hive_partitioning=False)
        names = forecasts["variant"].unique(maintain_order=True).to_list()
        itemgetter(*names)(known)  # raises where a variant is unknown, or where there is none
    except (OSError, ValueError, KeyError, TypeError, AttributeError, pl.exceptions.PolarsError) as error:
        raise OutputError(
            f"{folder} does not hold a finished stage: {first_line(error)}; "
            f"run {folder.name} again, or move the folder away"
        ) from None
    own = {name: name for name in names}
    return Rung(folder.name, folder, study, manifest, forecasts, folds, own, reached, pooled)


def _tell_apart(rungs: Sequence[Rung]) -> tuple[list[Rung], list[str]]:
    """Put the stage behind names that two stages use."""
    doubled = {name for name, count in Counter(name for rung in rungs for name in rung.names).items() if count > 1}
    if not doubled:
        return list(rungs), []
    found = []
    for rung in rungs:
        names = {name: f"{name} ({rung.name})" if name in doubled else name for name in rung.names}
        forecasts = rung.forecasts.with_columns(pl.col("variant").cast(pl.String).replace(names))
        found.append(replace(rung, names=names, forecasts=forecasts))
    return found, [f"{name} is in several stages: each has its stage behind its name" for name in sorted(doubled)]


def _repeated(rungs: Sequence[Rung]) -> dict[str, str]:
    """Find variants that an earlier stage has under the same name, with the same forecasts, as a benchmark is."""
    first: dict[str, tuple[str, pl.DataFrame]] = {}
    found = {}
    for rung in rungs:
        for name, label in rung.names.items():
            own = rung.forecasts.filter(variant=label).select("seed", "ticker", "origin", "predicted")
            own = own.sort("seed", "ticker", "origin")
            if name not in first:
                first[name] = label, own
            elif own.equals(first[name][1]):
                found[label] = first[name][0]
    return found


def _refuse_other_samples(rungs: Sequence[Rung]) -> None:
    """Hold every variant and seed of every stage against the first: the same pairs, the same actual values."""
    first, again = rungs[0], "run {} again with the same --data, --tickers and split (nextday run all does)"
    name, seed = first.forecasts.select("variant", "seed").row(0)
    own = first.forecasts.filter((pl.col("variant") == name) & pl.col("seed").eq_missing(seed))
    reference = own.select("ticker", "origin", known="actual")
    for rung in rungs:
        try:
            joined = rung.forecasts.join(reference, on=["ticker", "origin"], how="left", maintain_order="left")
        except pl.exceptions.PolarsError:
            raise OutputError(f"{rung.folder}: its tickers or origins are of another type; run it again") from None
        moved = pl.col("known").is_not_null() & (pl.col("known") != pl.col("actual"))
        counts = joined.group_by("variant", "seed", maintain_order=True).agg(
            pl.len(), shared=pl.col("known").count(), moved=moved.sum()
        )
        other = counts.filter((pl.col("shared") != len(reference)) | (pl.col("len") != len(reference)))
        for one, its_seed, count, shared, _ in other.iter_rows():
            label = one if its_seed is None else f"{one} seed {its_seed}"
            raise VerdictError(
                f"stages are of different samples: {name} in {first.folder} has {len(reference)} (ticker, origin) "
                f"pairs, {label} in {rung.folder} has {count}, {shared} are in both; {again.format(rung.name)}, or "
                "move its folder away to compare without it"
            )
        changed = joined.filter(moved)
        if len(changed):
            row, most = changed.row(0, named=True), max(counts["moved"].to_list())
            raise VerdictError(
                f"stages are of different bars: {most} of {len(reference)} actual values differ "
                f"between {first.folder} and {rung.folder}; first: {row['ticker']!s} at {row['origin']!s} is "
                f"{row['known']} and {row['actual']}; {again.format(rung.name)}"
            )


def _entries(rung: Rung) -> pl.DataFrame:
    """Say of every variant of a stage what it is and what it cost; calibrated copies cost what their original does."""
    copies = {name: one["of"] for name, one in rung.study.get("conformal", {}).items() if name in rung.names}
    costs = rung.manifest.get("costs", {})
    rows = []
    for name, label in rung.names.items():
        source = copies.get(name, name)
        variant, cost = rung.study["variants"][source], costs.get(source, {})
        method = str(variant["model"])
        rows.append({
            "variant": label, "stage": rung.name, "own": name,
            "method": f"{method} + {rung.study['conformal'][name]['method']}" if name in copies else method,
            "features": str(variant["features"]), "copy_of": rung.names.get(source) if name in copies else None,
            "units": cost.get("units"), "seconds": cost.get("seconds"), "parameters": cost.get("parameters"),
            "contaminated": float(rung.reached.get(source, 0)),
            "pooled": name in rung.pooled,
        })  # fmt: skip
    kinds = {"units": pl.Int64, "seconds": pl.Float64, "parameters": pl.Int64, "copy_of": pl.String}
    return pl.DataFrame(rows, schema_overrides=kinds)


def _gaps(folder: Path) -> list[str]:
    """Name the stages that are missing; one may have looked at networks and forecast nothing."""
    missing = [
        name for name in STAGES if not any((folder / name / f"{t}.parquet").is_file() for t in ("forecasts", "probes"))
    ]
    return [f"not in {folder}, so not compared: {', '.join(missing)}"] if missing else []


def _other_training(rungs: Sequence[Rung]) -> list[str]:
    """Say which stages were trained on other days than the first; that is allowed, and no longer a fair comparison."""
    known = [rung for rung in rungs if set(RANGES) <= set(rung.folds.columns)]
    tables = [rung.folds.select(RANGES).sort("ticker", "fold") for rung in known]
    return [
        f"{rung.name} was trained on other days than {known[0].name}"
        for rung, table in zip(known[1:], tables[1:], strict=True)
        if not table.equals(tables[0])
    ]
