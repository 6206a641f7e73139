"""Read other finished studies: the baselines and the study below, to compare with a later study."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from nextday.errors import NextdayError
from nextday.evaluate.metrics import score
from nextday.storage.folder import MANIFEST, StudyFolder
from nextday.storage.tables import schemas
from nextday.study import Study

SAME = ("ticker", "origin", "date", "actual")


class Neighbour(NamedTuple):
    """Another finished study: its forecasts and folds, its settings, and its manifest."""

    forecasts: pl.DataFrame
    folds: pl.DataFrame
    study: Study
    manifest: Mapping[str, Any]

    @property
    def pooled(self) -> tuple[str, ...]:
        """Variants in which one network forecasts all tickers."""
        return tuple(self.manifest["pooled"])


def read_neighbour(folder: StudyFolder) -> Neighbour:
    """Read a finished study, whatever its samples are.

    Raises
    ------
    NextdayError
        If the folder does not hold a finished study, or one whose keys are of another version.
    """
    manifest = folder.manifest()
    study = Study.from_values(manifest["study"], where=str(folder.path / MANIFEST))
    tables = schemas(study.levels, realised=study.compares)
    forecasts, folds = (folder.table(name, tables[name]) for name in ("forecasts", "folds"))
    return Neighbour(forecasts, folds, study, manifest)


def load_baselines(folder: Path, forecasts: pl.DataFrame) -> tuple[pl.DataFrame | None, str]:
    """Score the baselines found in a results folder, if they forecast what ``forecasts`` does.

    Returns
    -------
    scores
        As ``score`` returns them, or None if there are no results or they have other samples.
    note
        Why there is nothing to compare, else empty.
    """
    found, note = load_neighbour(folder, forecasts)
    if found is None:
        return None, note
    try:
        return score(found.forecasts, found.folds), ""
    except (pl.exceptions.PolarsError, ValueError, TypeError):
        return None, f"{folder}: the forecasts there cannot be scored; run {folder.name} again to compare with them"


def load_neighbour(folder: Path, forecasts: pl.DataFrame) -> tuple[Neighbour | None, str]:
    """Read another study's folder if it forecasts the same samples; else return the reason why not.

    A study that has not been run yet is not an error: nothing is read, and the note is empty.
    """
    theirs = StudyFolder(folder)
    if not theirs.has("forecasts"):
        return None, ""
    try:
        found = read_neighbour(theirs)
    except NextdayError as error:
        return None, f"not compared with {folder.name}: {error}"
    if not _samples(found.forecasts).equals(_samples(forecasts)):
        return None, f"{folder}: its forecasts cover other days or tickers; run {folder.name} on the same"
    return found, ""


def _samples(forecasts: pl.DataFrame) -> pl.DataFrame:
    return forecasts.select(SAME).unique().sort(SAME)
