"""The forecasts table: all later steps read it and never use a model."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from polars import selectors as cs

from nextday.engine.execute import Outcome
from nextday.engine.plan import Plan, Unit
from nextday.errors import TrainingError
from nextday.models import Fitted
from nextday.names import listed
from nextday.samples import Fold
from nextday.storage.tables import FOLDS, KEYS, Schema, schemas

MOST_FAILURES = 12  # that are told; all are in the log


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a table that a unit adds for one ticker, column by column."""

    unit: Unit
    ticker: str
    columns: Mapping[str, np.ndarray]


def collect(plan: Plan, outcomes: Sequence[Outcome], dates: np.ndarray) -> dict[str, pl.DataFrame]:
    """Collect finished units into the tables of a study, in the order of the plan.

    Returns
    -------
    forecasts
        ``variant, ticker, fold, seed, origin, date, actual, predicted``, one row per unit and test sample, and a column
        per level of the study, missing for variants with point forecasts.
    valid
        The same on the validation set, for variants with quantiles, as input of calibration.
    history
        ``variant, ticker, fold, seed, epoch, train_loss, valid_loss, best``, one row per unit and epoch.
    folds
        One row per ticker and fold: its ranges by origin, and the moments of its targets.

    Raises
    ------
    TrainingError
        If a unit failed: tables on unequal samples are not comparable.
    """
    kinds = schemas(plan.study.levels, realised=plan.study.compares)
    parts: dict[str, list[Rows]] = {name: [] for name in ("forecasts", "valid", "history")}
    for unit, fitted in in_order(plan, outcomes):
        for name, rows in _rows(plan, unit, fitted, dates):
            parts[name].append(rows)
    folds = pl.DataFrame([fold.describe(dates) for fold in plan.folds.values()]).cast(FOLDS)  # type: ignore[arg-type]
    return {name: _stack(rows, kinds[name]) for name, rows in parts.items()} | {"folds": folds}


def in_order(plan: Plan, outcomes: Iterable[Outcome]) -> list[tuple[Unit, Fitted]]:
    """Return units and their outcomes in the order of the plan; raise like ``collect`` if one failed."""
    failed, fitted = [], {}
    for outcome in outcomes:
        if outcome.fitted is None:
            failed.append(f"{outcome.unit}: {outcome.failure}")
        else:
            fitted[outcome.unit] = outcome.fitted
    if failed:
        raise TrainingError(
            f"{len(failed):,} of {len(plan.units):,} units failed; {listed(failed, MOST_FAILURES, between='; ')}; "
            "fix the cause and rerun; finished units are reused"
        )
    return [(unit, fitted[unit]) for unit in plan.units]


def whole(rows: pl.DataFrame, unit: Unit, schema: Schema) -> pl.DataFrame:
    """Convert rows of a unit to the columns of a table; missing columns that name the unit are added."""
    own = dict(zip(KEYS, (unit.variant, unit.ticker, unit.fold, unit.seed), strict=True))
    missing = [pl.lit(own[name]).alias(name) for name in schema if name in own and name not in rows.columns]
    return rows.with_columns(*missing).select(*schema).cast(dict(schema))  # type: ignore[arg-type]  # types of Polars


def _rows(plan: Plan, unit: Unit, fitted: Fitted, dates: np.ndarray) -> Iterator[tuple[str, Rows]]:
    """Return what a unit adds to the tables, ticker by ticker."""
    folds, levels, model = plan.folds_of(unit), plan.study.levels, plan.models[unit.variant]
    parts = by_fold(folds, "test", fitted.predicted, fitted.quantiles)
    for fold, predicted, quantiles in zip(folds, *parts, strict=True):
        test = fold.truth(dates, fold.split.test)
        seen = model.contaminated(test["date"])
        columns = test | {"predicted": predicted, "contaminated": seen} | _quantiles(quantiles, levels, len(predicted))
        yield "forecasts", Rows(unit, fold.ticker, columns)
    if levels and fitted.valid_quantiles.size:
        for fold, quantiles in zip(folds, *by_fold(folds, "valid", fitted.valid_quantiles), strict=True):
            if not fold.tested:
                continue
            valid = fold.truth(dates, fold.split.valid)
            yield "valid", Rows(unit, fold.ticker, valid | _quantiles(quantiles, levels, len(quantiles)))
    epochs = np.arange(1, len(fitted.valid_loss) + 1)
    losses = {"train_loss": fitted.train_loss, "valid_loss": fitted.valid_loss}
    yield "history", Rows(unit, unit.ticker, {"epoch": epochs, **losses, "best": epochs == fitted.best_epoch})


def _stack(parts: Sequence[Rows], schema: Schema) -> pl.DataFrame:
    """Put rows below one another, column by column: a frame for each of many thousand units takes minutes."""
    if not parts:
        return pl.DataFrame(schema=schema)
    counts = [len(next(iter(rows.columns.values()))) for rows in parts]
    places = [(rows.unit.variant, rows.ticker, rows.unit.fold, rows.unit.seed) for rows in parts]
    part = pl.Series(np.repeat(np.arange(len(parts)), counts))
    keys = pl.DataFrame(places, schema=KEYS, orient="row")[part]
    values = {name: np.concatenate([rows.columns[name] for rows in parts]) for name in schema if name not in KEYS}
    missing = cs.starts_with("q").fill_nan(None)  # quantiles of a model that has none
    return pl.concat(
        [keys, pl.DataFrame(values).cast({name: schema[name] for name in values})], how="horizontal"
    ).with_columns(missing)


def by_fold(folds: Sequence[Fold], part: str, *values: np.ndarray) -> list[list[np.ndarray]]:
    """Split values per sample [sample, ...] by fold; empty if there are none."""
    ends = np.cumsum([len(fold.y[getattr(fold.split, part)]) for fold in folds])[:-1]
    return [np.split(each, ends) if len(each) else [each] * len(folds) for each in values]


def _quantiles(values: np.ndarray, levels: Sequence[float], count: int) -> dict[str, np.ndarray]:
    """Return quantiles [sample, level] as columns, NaN where a model has none."""
    columns = values.T if values.size else np.full((len(levels), count), np.nan)
    return {f"q{level}": column for level, column in zip(levels, columns, strict=True)}
