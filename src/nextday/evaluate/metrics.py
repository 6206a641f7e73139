"""The point metrics, each defined once, as an expression over ``actual`` and ``predicted``."""

import polars as pl
from polars import selectors as cs

from nextday.evaluate.guards import is_size
from nextday.evaluate.quantiles import has_quantiles, score_quantiles

_ERROR = pl.col("actual") - pl.col("predicted")
_MOVED = pl.col("actual") != 0
_HIT = (
    pl.when(pl.col("predicted") == 0)
    .then(0.5)
    .otherwise((pl.col("predicted") > 0) == (pl.col("actual") > 0))
    .cast(pl.Float64)
)

METRICS: dict[str, pl.Expr] = {
    "MAE": _ERROR.abs().mean(),
    "RMSE": (_ERROR**2).mean().sqrt(),
    "DirAcc": _HIT.filter(_MOVED).mean(),
    "R2Zero": 1 - (_ERROR**2).sum() / (pl.col("actual") ** 2).sum(),
    "R2Mean": 1 - (_ERROR**2).sum() / ((pl.col("actual") - pl.col("historical_mean")) ** 2).sum(),
    "AlwaysUp": (pl.col("actual") > 0).filter(_MOVED).mean(),
}
"""Mean absolute error; root mean squared error; directional accuracy, without days of zero return and with a forecast
of exactly zero counted as one half; R2 against the zero forecast (Gu, Kelly, Xiu 2020) and against the mean of the
training and validation returns; share of positive returns among the nonzero ones. Undefined values are missing."""
OF_DIRECTION = ("DirAcc", "R2Zero", "AlwaysUp")  # undefined for targets that are never negative


def has_directions(scores: pl.DataFrame) -> bool:
    """Whether the targets have a sign: without one there is no hit rate, and no zero forecast to compare with."""
    return scores["AlwaysUp"].count() > 0


def score(forecasts: pl.DataFrame, folds: pl.DataFrame, *, interval: float | None = None) -> pl.DataFrame:
    """Score every variant, ticker and seed over all its test days.

    Parameters
    ----------
    forecasts
        The forecasts table.
    folds
        One row per ``ticker, fold`` with its ``historical_mean``.
    interval
        Nominal coverage of the interval scored as ``Coverage``; default: the widest interval.

    Returns
    -------
    One row per (variant, ticker, seed), in the order of the table: ``METRICS``, then ``Days`` and ``ZeroDays``, the
    number of scored days and of those with a zero return; ``Contaminated``, the share of days that a model's training
    data may contain, if the table marks them; if the table has quantiles, also the scores of ``score_quantiles``,
    missing for variants without quantiles.
    """
    joined = forecasts.join(
        folds.select("ticker", "fold", "historical_mean"), on=["ticker", "fold"], maintain_order="left"
    )
    counts = {"Days": pl.len(), "ZeroDays": (~_MOVED).sum()}
    if "contaminated" in forecasts.columns:
        counts["Contaminated"] = pl.col("contaminated").mean()
    scores = joined.group_by("variant", "ticker", "seed", maintain_order=True).agg(**METRICS, **counts)
    scores = scores.with_columns(pl.col(*METRICS).fill_nan(None))
    if is_size(forecasts):
        scores = scores.with_columns(pl.lit(None, pl.Float64).alias(name) for name in OF_DIRECTION)
    if not has_quantiles(forecasts):
        return scores
    more = score_quantiles(forecasts.drop("fold"), interval=interval).drop("fold", "Days")
    return scores.join(more, on=["variant", "ticker", "seed"], how="left", nulls_equal=True, maintain_order="left")


def summarise(scores: pl.DataFrame, *, by: list[str]) -> pl.DataFrame:
    """Average scores: over the tickers within a seed, where ``by`` leaves them out, then over the seeds.

    Returns
    -------
    One row per group of ``by``: the mean of each metric over seeds, ``NAME_sd``, its standard deviation between seeds
    (missing with one seed), ``Days``, ``ZeroDays`` (the most of any ticker) and ``Seeds``.
    """
    per_seed = scores.group_by(*by, "seed", maintain_order=True).agg(
        cs.float().mean(), pl.col("Days", "ZeroDays").max()
    )
    return per_seed.group_by(by, maintain_order=True).agg(
        cs.float().mean(),
        cs.float().std(ddof=1).name.suffix("_sd"),
        pl.col("Days", "ZeroDays").max(),
        Seeds=pl.len(),
    )
