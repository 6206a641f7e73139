"""The interface of analyses: one record per analysis, over which the pipeline loops.

An analysis can refuse a study before anything is fitted, keep rows of every fitted unit, run further jobs after the
units, and present results. It is a package of its own and one entry of ``ANALYSES``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import polars as pl
from pydantic import ValidationError

from nextday.data import Panel
from nextday.engine.collect import in_order, whole
from nextday.engine.execute import Outcome
from nextday.engine.plan import Plan, Unit
from nextday.engine.store import Store
from nextday.engine.workers import Engine
from nextday.errors import StudyError
from nextday.evaluate.contrasts import Comparison
from nextday.mistakes import first_mistake
from nextday.models import Fitted
from nextday.names import known
from nextday.progress import Watch
from nextday.reporting.plates import Exhibit, Plate
from nextday.samples import Fold
from nextday.settings import Settings
from nextday.storage.tables import Schema, schemas
from nextday.study import Study

Tables = Mapping[str, pl.DataFrame]
Own = TypeVar("Own", bound=Settings)


@dataclass(frozen=True, slots=True)
class Done:
    """A fitted unit and its days."""

    plan: Plan
    unit: Unit
    fitted: Fitted
    dates: np.ndarray

    @property
    def folds(self) -> list[Fold]:
        """Days of the unit, ticker by ticker."""
        return self.plan.folds_of(self.unit)


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished study, read from its folder; ``tables`` are its own and those of all analyses.

    ``across`` has the contrasts of ``comparison`` by rank coefficient, where a day has enough tickers.
    """

    folder: Path
    study: Study
    tables: Tables
    scores: pl.DataFrame
    comparison: Comparison | None = None
    across: Comparison | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """Results of an analysis for readers.

    Attributes
    ----------
    plates
        Figures, for files and the report.
    said
        Entries of ``verdict.json``.
    exhibits
        Tables, for the terminal and the report.
    findings
        Frames for further use in Python, by name.
    files
        Further files of the study's folder: the part of the name after ``NAME_``, and the content.
    """

    plates: tuple[Plate, ...] = ()
    said: Mapping[str, Any] = field(default_factory=dict)
    exhibits: tuple[Exhibit, ...] = ()
    findings: Tables = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)


class Fit(Protocol):
    """Run the further jobs of an analysis after the units are fitted, and return its tables."""

    def __call__(
        self, study: Study, panel: Panel, out: Path, store: Store, workers: Engine, *, watch: Watch, fresh: bool
    ) -> Tables:
        """``out`` is the folder of all studies' results, ``store`` holds finished units."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """A diagnostic of studies.

    Attributes
    ----------
    name
        Its key in a study's ``analyses``.
    tables
        Its tables in the study's folder, and their columns.
    settings
        Its settings in a study.
    check
        Refuses a study on a panel, with the folder of all results, before anything is fitted.
    keep
        Returns rows of one fitted unit, by table; missing columns ``variant, ticker, fold, seed`` are added.
    fit
        Runs further jobs after all units are fitted.
    show
        Returns the results of a finished study for readers.
    """

    name: str
    tables: Mapping[str, Schema] = field(default_factory=dict)
    settings: type[Settings] = Settings
    check: Callable[[Study, Panel, Path], object] | None = None
    keep: Callable[[Done], Tables] | None = None
    fit: Fit | None = None
    show: Callable[[Finished], Shown] | None = None


def tables_of(analyses: Iterable[Analysis]) -> dict[str, Schema]:
    """Return the tables of all analyses and their columns.

    Raises
    ------
    StudyError
        If two analyses write a table of the same name, or one writes a table of the study itself.
    """
    found: dict[str, Schema] = {}
    for one in analyses:
        for name, schema in one.tables.items():
            if name in found or name in schemas(()):
                raise StudyError(f"analysis {one.name}: a table {name!r} already exists; choose another name")
            found[name] = schema
    return found


def settings_of(study: Study, name: str, kind: type[Own]) -> Own:
    """Read a study's settings of an analysis.

    Raises
    ------
    StudyError
        If a key or a value is unknown.
    """
    try:
        return kind.model_validate(study.analyses.get(name, {}))
    except ValidationError as error:
        raise StudyError(f"analyses.{name}: {first_mistake(error, kind)}") from None


def check(analyses: Sequence[Analysis], study: Study, panel: Panel, out: Path) -> None:
    """Refuse unknown analyses and settings, before anything is fitted.

    Raises
    ------
    StudyError
        If the study names an unknown analysis, or an unknown setting of one.
    """
    tables_of(analyses)  # refuses what is there twice
    names = [one.name for one in analyses]
    for name in study.analyses:
        if name not in names:
            raise StudyError(f"unknown analysis {name!r}; {known(name, names)}")
    for one in analyses:
        settings_of(study, one.name, one.settings)
        if one.check is not None:
            one.check(study, panel, out)


def keep(
    analyses: Sequence[Analysis], plan: Plan, outcomes: Iterable[Outcome], dates: np.ndarray
) -> dict[str, pl.DataFrame]:
    """Collect the rows that analyses keep of each fitted unit, in the order of the plan."""
    kinds = tables_of(analyses)
    found = {name: [pl.DataFrame(schema=schema)] for name, schema in kinds.items()}
    keepers = [one.keep for one in analyses if one.keep is not None]
    for unit, fitted in in_order(plan, outcomes):
        done = Done(plan, unit, fitted, dates)
        for name, rows in (row for keeper in keepers for row in keeper(done).items()):
            found[name].append(whole(rows, unit, kinds[name]))
    return {name: pl.concat(parts) for name, parts in found.items()}


def fit(
    analyses: Iterable[Analysis], study: Study, panel: Panel, out: Path, store: Store, workers: Engine, *,
    watch: Watch, fresh: bool,
) -> dict[str, pl.DataFrame]:  # fmt: skip
    """Run the further jobs of all analyses, one after the other, and return their tables."""
    found: dict[str, pl.DataFrame] = {}
    for one in analyses:
        if one.fit is not None:
            found |= one.fit(study, panel, out, store, workers, watch=watch, fresh=fresh)
    return found


def show(analyses: Iterable[Analysis], finished: Finished) -> Shown:
    """Combine the results of all analyses of a finished study."""
    shown = [one.show(finished) for one in analyses if one.show is not None]
    return Shown(
        plates=tuple(plate for one in shown for plate in one.plates),
        said={name: value for one in shown for name, value in one.said.items()},
        exhibits=tuple(exhibit for one in shown for exhibit in one.exhibits),
        findings={name: frame for one in shown for name, frame in one.findings.items()},
        files={name: content for one in shown for name, content in one.files.items()},
    )
