"""The stages: every finished study of a results folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from nextday.auditing.findings import findings_of
from nextday.errors import NextdayError, OutputError
from nextday.evaluate.baselines import read_neighbour
from nextday.presets import LAST, presets, stages
from nextday.storage.folder import StudyFolder
from nextday.storage.trail import reads
from nextday.study import PLANTED, SIZES, Study


@dataclass(frozen=True, slots=True)
class Stage:
    """The files of one finished study.

    Attributes
    ----------
    folder
        Its folder, whose name is the name of the stage.
    study, manifest
        Its settings, and the manifest of the run.
    forecasts, folds
        Its tables; ``variant`` is the name in the leaderboard.
    names
        Name in the leaderboard of each variant: its own name, followed by the stage if two stages use it.
    reached
        Share of test days that the training data of each variant may contain, by own name.
    doubted
        Variants and columns of which the study's audit has an open alarm, by own name.
    """

    folder: StudyFolder
    study: Study
    manifest: Mapping[str, Any]
    forecasts: pl.DataFrame
    folds: pl.DataFrame
    names: Mapping[str, str]
    reached: Mapping[str, float]
    doubted: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """Name of the stage."""
        return self.folder.name

    def rows(self) -> list[dict[str, Any]]:
        """Return model, inputs and cost of every variant; calibrated copies cost the same as their original."""
        return [self._row(name, label) for name, label in self.names.items()]

    def _row(self, name: str, label: str) -> dict[str, Any]:
        copy = self.study.conformal.get(name)
        source = copy.of if copy else name
        variant, cost = self.study.variants[source], self.manifest.get("costs", {}).get(source, {})
        read = {name, source, *self.study.feature_sets.get(variant.features, ())}
        return {
            "variant": label, "stage": self.name, "own": name,
            "method": f"{variant.model} + {copy.method}" if copy else variant.model, "features": variant.features,
            "copy_of": self.names.get(source) if copy else None,
            "units": cost.get("units"), "seconds": cost.get("seconds"), "parameters": cost.get("parameters"),
            "contaminated": self.reached.get(source, 0.0), "pooled": name in self.manifest["pooled"],
            "leak": not self.doubted.isdisjoint(read),
        }  # fmt: skip


def find_stages(folder: Path) -> tuple[list[Stage], list[str]]:
    """Read every finished study of a results folder: the presets in order, then the others by name.

    Returns
    -------
    stages
        The readable ones.
    notes
        The other folders, each with a reason, and the stages that were not run.
    """
    found, notes, known = [], [], presets()
    reads(folder)
    there = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    for name in [*known, *(name for name in there if name not in known)]:
        if name not in there or name == LAST or name.startswith(".") or name.endswith(PLANTED):
            continue
        try:
            stage = read_stage(StudyFolder(folder / name))
            if stage.study.target not in SIZES:  # a volatility, which no return is compared with
                found.append(stage)
        except NextdayError as error:
            notes.append(f"{name} is not compared: {error}")
    missing = [name for name in stages() if name not in there]
    if missing and len(missing) < len(stages()):
        notes.insert(0, f"not in {folder}, so not compared: {', '.join(missing)}")
    return found, notes


def read_stage(folder: StudyFolder) -> Stage:
    """Read a finished study.

    Raises
    ------
    NextdayError
        If the folder does not contain one.
    """
    forecasts, folds, study, manifest = read_neighbour(folder)
    names = forecasts["variant"].unique(maintain_order=True).to_list()
    strange = [name for name in names if name not in study.variants and name not in study.conformal]
    if strange or not names:
        what = f"unknown variant {strange[0]}" if strange else "there are no rows"
        raise OutputError(f"{folder.path}: forecasts.parquet: {what}; run {folder.name} again")
    reached = forecasts.group_by("variant").agg(pl.col("contaminated").cast(pl.Float64).mean())
    own = {name: name for name in names}
    return Stage(folder, study, manifest, forecasts, folds, own, dict(reached.iter_rows()), _doubted(folder))


def _doubted(folder: StudyFolder) -> frozenset[str]:
    """Return the names of open alarms in a study's verdict; lessons refuse a verdict that cannot be read."""
    try:
        return frozenset(one.name for one in findings_of(folder.verdict().get("audit", ())) if one.is_open)
    except (OutputError, TypeError):
        return frozenset()
