"""The forecasts table, the middle of the house: everything to its right reads it and never touches a model."""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from nextday.engine.execute import Outcome
from nextday.engine.plan import Plan, Unit
from nextday.errors import TrainingError
from nextday.models import Fitted
from nextday.samples import Fold
from nextday.storage.tables import FOLDS, KEYS, PROFILE, schemas


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

    def add(name: str, unit: Unit, rows: pl.DataFrame, ticker: str = "") -> None:
        keys = zip(KEYS, (unit.variant, ticker or unit.ticker, unit.fold, unit.seed), strict=True)
        whole = rows.select(*(pl.lit(value).alias(key) for key, value in keys), pl.all())
        tables[name].append(whole.select(*kinds[name]).cast(kinds[name]))  # type: ignore[arg-type]

    for outcome in sorted(outcomes, key=lambda outcome: order[outcome.unit]):
        unit, fitted, folds = outcome.unit, outcome.fitted, plan.folds_of(outcome.unit)
        assert fitted is not None
        model = plan.models[unit.variant]
        for fold, predicted, quantiles in zip(
            folds, *_by_fold(folds, "test", fitted.predicted, fitted.quantiles), strict=True
        ):
            test = fold.truth(dates, fold.split.test).with_columns(predicted=pl.Series(predicted))
            seen = pl.Series(model.contaminated(test["date"].to_numpy()))
            add("forecasts", unit, test.with_columns(*_quantiles(quantiles, levels), contaminated=seen), fold.ticker)
        if levels and fitted.valid_quantiles.size:
            for fold, quantiles in zip(folds, *_by_fold(folds, "valid", fitted.valid_quantiles), strict=True):
                add(
                    "valid",
                    unit,
                    fold.truth(dates, fold.split.valid).with_columns(_quantiles(quantiles, levels)),
                    fold.ticker,
                )
        epochs = pl.DataFrame({
            "epoch": np.arange(1, len(fitted.valid_loss) + 1), "train_loss": fitted.train_loss,
            "valid_loss": fitted.valid_loss, **_parts(fitted),
        })  # fmt: skip
        add("history", unit, epochs.with_columns(best=pl.col("epoch") == fitted.best_epoch))
        add("attention", unit, _attention(fitted.attention))
        add("sweep", unit, _sweep(fitted.sweep))
        for fold, part, z in _latents(folds, fitted.latent):
            rows = fold.truth(dates, getattr(fold.split, part)).with_columns(
                part=pl.lit(part), z=pl.Series(list(z), dtype=pl.List(pl.Float64))
            )
            add("latents", unit, rows, fold.ticker)
    latent = next((one.unit for one in outcomes if one.fitted and one.fitted.latent.size), None)
    tables["profile"] += [_profile(plan, latent, fold, dates) for fold in plan.folds_of(latent)] if latent else []
    tables["folds"].append(pl.DataFrame([fold.describe(dates) for fold in plan.folds.values()]).cast(FOLDS))  # type: ignore[arg-type]
    return {name: pl.concat(parts) for name, parts in tables.items()}


def _by_fold(folds: Sequence[Fold], part: str, *values: np.ndarray) -> list[list[np.ndarray]]:
    """Split values per sample [sample, ...] of a part by the folds that it is made of; nothing where there are none."""
    ends = np.cumsum([len(fold.y[getattr(fold.split, part)]) for fold in folds])[:-1]
    return [np.split(each, ends) if len(each) else [each] * len(folds) for each in values]


def _quantiles(values: np.ndarray, levels: Sequence[float]) -> list[pl.Series | pl.Expr]:
    """Give quantiles [sample, level] as columns, missing where a model has none."""
    if not values.size:
        return [pl.lit(None, pl.Float64).alias(f"q{level}") for level in levels]
    return [pl.Series(f"q{level}", column, pl.Float64) for level, column in zip(levels, values.T, strict=True)]


def _parts(fitted: Fitted) -> dict[str, np.ndarray | None]:
    """Give the two parts of a variational loss, missing for other models."""
    reconstruction, kl = fitted.parts.T if len(fitted.parts) else (None, None)
    return {"reconstruction": reconstruction, "kl": kl}


def _sweep(sweep: np.ndarray) -> pl.DataFrame:
    context, loss = sweep.T
    return pl.DataFrame(
        {"context": context, "valid_loss": loss, "chosen": context == context[loss.argmin()] if len(loss) else []}
    )


def _latents(folds: Sequence[Fold], latent: np.ndarray) -> Iterator[tuple[Fold, str, np.ndarray]]:
    """Split latent positions, of train, then valid, then test of all tickers, by ticker and part."""
    start = 0
    for part in ("train", "valid", "test") if latent.size else ():
        count = sum(len(fold.y[getattr(fold.split, part)]) for fold in folds)
        (values,) = _by_fold(folds, part, latent[start : start + count])
        yield from ((fold, part, z) for fold, z in zip(folds, values, strict=True))
        start += count


def _profile(plan: Plan, unit: Unit, fold: Fold, dates: np.ndarray) -> pl.DataFrame:
    """Give the features of a variant at every origin of a ticker, in deviations of its training range."""
    names = plan.feature_sets[plan.study.variants[unit.variant].features]
    values = plan.features.of(fold.ticker, names)[fold.origins].astype(np.float64)
    train = values[fold.split.train]
    values = (values - train.mean(axis=0)) / np.where(train.std(axis=0) > 0, train.std(axis=0), 1)
    columns = {"ticker": fold.ticker, "origin": np.repeat(dates[fold.origins], len(names))}
    return pl.DataFrame(columns | {"feature": list(names) * len(values), "value": values.ravel()}).cast(PROFILE)  # type: ignore[arg-type]


def _attention(weights: np.ndarray) -> pl.DataFrame:
    """Lay weights [2, layer, head, lag] out, one row each."""
    before, layer, head, lag = (index.ravel() for index in np.indices(weights.shape))
    return pl.DataFrame({"trained": before == 0, "layer": layer, "head": head, "lag": lag, "weight": weights.ravel()})
