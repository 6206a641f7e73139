"""The forecasts table, the middle of the house: everything to its right reads it and never touches a model."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from nextday.errors import TrainingError
from nextday.run.execute import Outcome
from nextday.run.plan import Plan, Unit

FORECASTS = {
    "variant": pl.String, "ticker": pl.String, "fold": pl.Int64, "seed": pl.Int64, "origin": pl.Date, "date": pl.Date,
    "actual": pl.Float64, "predicted": pl.Float64,
}  # fmt: skip
HISTORY = {
    "variant": pl.String, "ticker": pl.String, "fold": pl.Int64, "seed": pl.Int64, "epoch": pl.Int64,
    "train_loss": pl.Float64, "valid_loss": pl.Float64, "best": pl.Boolean,
}  # fmt: skip
RANGES = {f"{part}_{end}": pl.Date for part in ("train", "valid", "test") for end in ("from", "to")}
FOLDS = {
    "ticker": pl.String, "fold": pl.Int64, **RANGES, "train": pl.Int64, "valid": pl.Int64, "test": pl.Int64,
    "historical_mean": pl.Float64, "train_variance": pl.Float64, "train_deviation": pl.Float64,
}  # fmt: skip


ATTENTION = {
    "variant": pl.String, "ticker": pl.String, "fold": pl.Int64, "seed": pl.Int64, "trained": pl.Boolean,
    "layer": pl.Int64, "head": pl.Int64, "lag": pl.Int64, "weight": pl.Float64,
}  # fmt: skip


def schemas(levels: Sequence[float]) -> dict[str, dict[str, type[pl.DataType]]]:
    """Give the tables of a study and their columns; forecasts have one more per level, ``q`` and the level."""
    forecasts = FORECASTS | {f"q{level}": pl.Float64 for level in levels}
    valid = {name: kind for name, kind in forecasts.items() if name != "predicted"}
    return {"forecasts": forecasts, "valid": valid, "history": HISTORY, "folds": FOLDS, "attention": ATTENTION}


def collect(plan: Plan, outcomes: Sequence[Outcome], dates: np.ndarray) -> dict[str, pl.DataFrame]:
    """Put finished units together, in the plan's order whatever order they finished in.

    Returns
    -------
    forecasts
        ``variant, ticker, fold, seed, origin, date, actual, predicted``, one row per unit and test sample, and a column
        per level of the study, missing for variants that forecast a point.
    valid
        The same on valid, of the variants with quantiles: what these can be calibrated on.
    history
        ``variant, ticker, fold, seed, epoch, train_loss, valid_loss, best``, one row per unit and epoch.
    folds
        One row per ticker and fold: its ranges by origin, and the moments of its targets.
    attention
        ``variant, ticker, fold, seed, trained, layer, head, lag, weight``; no rows where no network attends.

    Raises
    ------
    TrainingError
        If a unit failed: tables on unequal samples would compare nothing.
    """
    failed = [outcome for outcome in outcomes if outcome.fitted is None]
    if failed:
        more = "; ".join(f"{outcome.unit}: {outcome.failure}" for outcome in failed)
        raise TrainingError(
            f"{len(failed)} of {len(plan.units)} units failed; {more}; "
            "the others are kept: mend the cause and run again to fit what is missing"
        )
    order, levels = {unit: at for at, unit in enumerate(plan.units)}, plan.study.levels
    kinds = schemas(levels)
    tables = {name: [pl.DataFrame(schema=kind)] for name, kind in kinds.items()}

    def add(name: str, unit: Unit, rows: pl.DataFrame) -> None:
        keys = {"variant": unit.variant, "ticker": unit.ticker, "fold": unit.fold, "seed": unit.seed}
        whole = rows.select(*(pl.lit(value).alias(key) for key, value in keys.items()), pl.all())
        tables[name].append(whole.cast(kinds[name]))  # type: ignore[arg-type]

    for outcome in sorted(outcomes, key=lambda outcome: order[outcome.unit]):
        unit, fitted, fold = outcome.unit, outcome.fitted, plan.fold_of(outcome.unit)
        assert fitted is not None
        test = fold.truth(dates, fold.split.test).with_columns(predicted=pl.Series(fitted.predicted))
        add("forecasts", unit, test.with_columns(_quantiles(fitted.quantiles, levels, len(test))))
        if levels and fitted.valid_quantiles.size:
            valid = fold.truth(dates, fold.split.valid)
            add("valid", unit, valid.with_columns(_quantiles(fitted.valid_quantiles, levels, len(valid))))
        epochs = pl.DataFrame({
            "epoch": np.arange(1, len(fitted.valid_loss) + 1), "train_loss": fitted.train_loss,
            "valid_loss": fitted.valid_loss,
        })  # fmt: skip
        add("history", unit, epochs.with_columns(best=pl.col("epoch") == fitted.best_epoch))
        add("attention", unit, _attention(fitted.attention))
    tables["folds"].append(pl.DataFrame([fold.describe(dates) for fold in plan.folds.values()]).cast(FOLDS))  # type: ignore[arg-type]
    return {name: pl.concat(parts) for name, parts in tables.items()}


def _quantiles(values: np.ndarray, levels: Sequence[float], samples: int) -> list[pl.Series]:
    """Give quantiles [sample, level] as columns, missing where a model has none."""
    values = values if values.size else np.full((samples, len(levels)), None)
    return [pl.Series(f"q{level}", column, pl.Float64) for level, column in zip(levels, values.T, strict=True)]


def _attention(weights: np.ndarray) -> pl.DataFrame:
    """Lay weights [2, layer, head, lag] out, one row each."""
    before, layer, head, lag = (index.ravel() for index in np.indices(weights.shape))
    return pl.DataFrame({"trained": before == 0, "layer": layer, "head": head, "lag": lag, "weight": weights.ravel()})
