"""The forecasts table, the middle of the house: everything to its right reads it and never touches a model."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from nextday.errors import TrainingError
from nextday.run.execute import Outcome
from nextday.run.plan import Plan

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
TABLES = {"forecasts": FORECASTS, "history": HISTORY, "folds": FOLDS, "attention": ATTENTION}


def collect(
    plan: Plan, outcomes: Sequence[Outcome], dates: np.ndarray
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Put finished units together, in the plan's order whatever order they finished in.

    Returns
    -------
    forecasts
        ``variant, ticker, fold, seed, origin, date, actual, predicted``, one row per unit and test sample.
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
    order = {unit: at for at, unit in enumerate(plan.units)}
    forecasts, history, attention = [], [pl.DataFrame(schema=HISTORY)], [pl.DataFrame(schema=ATTENTION)]
    for outcome in sorted(outcomes, key=lambda outcome: order[outcome.unit]):
        unit, fitted = outcome.unit, outcome.fitted
        assert fitted is not None
        names = {"variant": unit.variant, "ticker": unit.ticker, "fold": unit.fold}
        keys = [pl.lit(value).alias(name) for name, value in names.items()] + [
            pl.lit(unit.seed, pl.Int64).alias("seed")
        ]
        truth = plan.fold_of(unit).truth(dates)
        forecasts.append(truth.select(*keys, "origin", "date", "actual", predicted=pl.Series(fitted.predicted)))
        epochs = pl.DataFrame({
            "epoch": np.arange(1, len(fitted.valid_loss) + 1), "train_loss": fitted.train_loss,
            "valid_loss": fitted.valid_loss,
        })  # fmt: skip
        history.append(epochs.select(*keys, pl.all(), best=pl.col("epoch") == fitted.best_epoch).cast(HISTORY))  # type: ignore[arg-type]
        attention.append(_attention(fitted.attention).select(*keys, pl.all()).cast(ATTENTION))  # type: ignore[arg-type]
    folds = pl.DataFrame([fold.describe(dates) for fold in plan.folds.values()])
    return pl.concat(forecasts), pl.concat(history), folds, pl.concat(attention)


def _attention(weights: np.ndarray) -> pl.DataFrame:
    """Lay weights [2, layer, head, lag] out, one row each."""
    before, layer, head, lag = (index.ravel() for index in np.indices(weights.shape))
    return pl.DataFrame({"trained": before == 0, "layer": layer, "head": head, "lag": lag, "weight": weights.ravel()})
