"""Divisors of the losses, so that no volatile ticker, and with ``predicted`` no volatile day, dominates the answer."""

from typing import Literal

import numpy as np
import polars as pl

from nextday.errors import VerdictError
from nextday.evaluate.losses import Loss

ScaleName = Literal["training", "predicted"]
DECAY = 0.94  # RiskMetrics Technical Document, fourth edition (1996), section 5.3: daily data
FIRST = 20  # actual values that the variance starts from where no training window is known
FLOOR = 0.01  # of the start: a halted ticker's days must not weigh a million times the others


def training_scale(loss: Loss, zero: np.ndarray, folds: pl.DataFrame | None, tickers: tuple[str, ...]) -> np.ndarray:
    """Return the constant by which a ticker's losses are divided, shape [ticker, 1].

    With folds it is a moment of the ticker's training returns, else the mean loss of the zero forecast in the table.
    """
    if loss.scale is None:
        return np.ones((len(tickers), 1))
    scale = np.nanmean(zero, axis=1) if folds is None else _of_training(loss.scale, folds, tickers)
    return _positive(scale, tickers)[:, None]


def predicted_scale(actual: np.ndarray, folds: pl.DataFrame | None, tickers: tuple[str, ...]) -> np.ndarray:
    r"""Return the variance predicted at every origin from earlier returns alone, shape [ticker, date].

    .. math:: s^2_{t+1} = 0.94 s^2_t + 0.06 y_t^2

    The actual value of an origin is the return *after* it, so it enters at the ticker's next origin. The recursion
    starts at the variance of the ticker's training returns; without folds at the mean of its first 20 squared actual
    values, which looks ahead for these 20 rows.

    References
    ----------
    J.P. Morgan and Reuters (1996), "RiskMetrics Technical Document".
    """
    squared = actual**2
    if folds is None:
        start = np.array([np.mean(row[~np.isnan(row)][:FIRST]) for row in squared])
    else:
        start = _of_training("train_variance", folds, tickers)
    level = _positive(start, tickers).copy()
    expected = np.empty_like(squared)
    for t in range(squared.shape[1]):
        expected[:, t] = level
        known = ~np.isnan(squared[:, t])
        level[known] = DECAY * level[known] + (1 - DECAY) * squared[known, t]
    return np.maximum(expected, FLOOR * start[:, None])


def _of_training(column: str, folds: pl.DataFrame, tickers: tuple[str, ...]) -> np.ndarray:
    first = folds.sort("fold").group_by("ticker", maintain_order=True).first()
    known = dict(zip(first["ticker"], first[column], strict=True))
    lacking = [ticker for ticker in tickers if ticker not in known]
    if lacking:
        raise VerdictError(f"the folds table has no row of {lacking[0]}, which is in the forecasts table")
    return np.array([known[ticker] for ticker in tickers])


def _positive(scale: np.ndarray, tickers: tuple[str, ...]) -> np.ndarray:
    usable = (scale > 0) & np.isfinite(scale)
    if not usable.all():
        flat = tickers[int(np.argmin(usable))]
        raise VerdictError(f"the actual values of {flat} are constant; there is nothing to compare")
    return scale
