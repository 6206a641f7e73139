"""The forecasts table: all later steps read it and never use a model."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import polars as pl

from nextday.engine.execute import Outcome
from nextday.engine.plan import Plan, Unit
from nextday.errors import TrainingError
from nextday.models import Fitted
from nextday.samples import Fold
from nextday.storage.tables import FOLDS, KEYS, Schema, schemas


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
    kinds = schemas(plan.study.levels, target=plan.study.target)
    tables = {name: [pl.DataFrame(schema=kind)] for name, kind in kinds.items()}
    for unit, fitted in in_order(plan, outcomes):
        for name, rows in _rows(plan, unit, fitted, dates):
            tables[name].append(whole(rows, unit, kinds[name]))
    tables["folds"].append(pl.DataFrame([fold.describe(dates) for fold in plan.folds.values()]).cast(FOLDS))  # type: ignore[arg-type]
    return {name: pl.concat(parts) for name, parts in tables.items()}


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
            f"{len(failed)} of {len(plan.units)} units failed; {'; '.join(failed)}; "
            "fix the cause and rerun; finished units are reused"
        )
    return [(unit, fitted[unit]) for unit in plan.units]


def whole(rows: pl.DataFrame, unit: Unit, schema: Schema) -> pl.DataFrame:
    """Convert rows of a unit to the columns of a table; missing columns that name the unit are added."""
    own = dict(zip(KEYS, (unit.variant, unit.ticker, unit.fold, unit.seed), strict=True))
    missing = [pl.lit(own[name]).alias(name) for name in schema if name in own and name not in rows.columns]
    return rows.with_columns(*missing).select(*schema).cast(dict(schema))  # type: ignore[arg-type]  # types of Polars


def _rows(plan: Plan, unit: Unit, fitted: Fitted, dates: np.ndarray) -> Iterator[tuple[str, pl.DataFrame]]:
    """Return what a unit adds to the tables, ticker by ticker."""
    folds, levels, model = plan.folds_of(unit), plan.study.levels, plan.models[unit.variant]
    parts = by_fold(folds, "test", fitted.predicted, fitted.quantiles)
    for fold, predicted, quantiles in zip(folds, *parts, strict=True):
        test = fold.truth(dates, fold.split.test).with_columns(
            ticker=pl.lit(fold.ticker), predicted=pl.Series(predicted)
        )
        seen = pl.Series(model.contaminated(test["date"].to_numpy()))
        yield "forecasts", test.with_columns(*_quantiles(quantiles, levels), contaminated=seen)
    if levels and fitted.valid_quantiles.size:
        for fold, quantiles in zip(folds, *by_fold(folds, "valid", fitted.valid_quantiles), strict=True):
            if fold.split.test.start == fold.split.test.stop:  # learned from, and never forecast
                continue
            valid = fold.truth(dates, fold.split.valid).with_columns(ticker=pl.lit(fold.ticker))
            yield "valid", valid.with_columns(*_quantiles(quantiles, levels))
    epochs = {"epoch": np.arange(1, len(fitted.valid_loss) + 1), "train_loss": fitted.train_loss}
    history = pl.DataFrame(epochs | {"valid_loss": fitted.valid_loss})
    yield "history", history.with_columns(best=pl.col("epoch") == fitted.best_epoch)


def by_fold(folds: Sequence[Fold], part: str, *values: np.ndarray) -> list[list[np.ndarray]]:
    """Split values per sample [sample, ...] by fold; empty if there are none."""
    ends = np.cumsum([len(fold.y[getattr(fold.split, part)]) for fold in folds])[:-1]
    return [np.split(each, ends) if len(each) else [each] * len(folds) for each in values]


def _quantiles(values: np.ndarray, levels: Sequence[float]) -> list[pl.Series | pl.Expr]:
    """Return quantiles [sample, level] as columns, missing where a model has none."""
    if not values.size:
        return [pl.lit(None, pl.Float64).alias(f"q{level}") for level in levels]
    return [pl.Series(f"q{level}", column, pl.Float64) for level, column in zip(levels, values.T, strict=True)]
