"""Pointwise intervals by ticker, of skill and of hit rates, for dependent days and for seed variance.

They show how much of the scatter between tickers is chance; the verdict does not rest on them.
"""

import numpy as np
import polars as pl
import scipy  # its submodules load when first used, see calibration.py

from nextday.evaluate.bootstrap import freedom_of, kept, resample
from nextday.evaluate.inference import slopes_of
from nextday.evaluate.losses import Losses, average, loss_named

REPLICATES = 1000
SEED_FREEDOM_OF_NONE = 1e9  # a model without seeds has no seed error whose freedom would matter


def skill_widths(losses: Losses, *, block: float, alpha: float = 0.05) -> np.ndarray:
    """Compute the half-widths of pointwise intervals of each variant's skill on each ticker.

    By the delta method: the skill's influence series is resampled by the stationary bootstrap, and the variance of the
    mean over seeds is added. That variance still holds what a seed does on single days, which the bootstrap has too:
    the intervals are slightly wide rather than narrow.

    Parameters
    ----------
    losses
        Losses of all variants.
    block
        Mean block length in days, that of the comparison.
    alpha
        Error rate of each interval alone.

    Returns
    -------
    Shape [variant, ticker], in units of skill; NaN where a ticker has fewer than two days.

    Examples
    --------
    >>> from nextday.evaluate import measure
    >>> days = np.array([f"2020-01-{day:02}" for day in range(1, 31)], dtype="datetime64[D]")
    >>> actual = np.sin(np.arange(30))
    >>> frame = pl.DataFrame({"variant": "A", "ticker": "KO", "origin": days, "actual": actual})
    >>> frame = frame.with_columns(predicted=pl.col("actual") / 2)
    >>> skill_widths(measure(frame), block=5).shape
    (1, 1)
    """
    loss, (variants, tickers, days) = loss_named(losses.loss), losses.grid.shape
    series = np.full((variants, tickers, days), np.nan)
    of_seeds, freedom = np.zeros((variants, tickers)), np.full(variants, SEED_FREEDOM_OF_NONE)
    for at in range(tickers):
        daily = np.vstack([losses.grid[:, at], losses.base[None, at]])  # [column, date]
        means = average(daily, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            series[:, at] = slopes_of(loss, means) @ (daily - means[:, None])
    base = average(losses.base, axis=1)
    for at, by_seed in enumerate(losses.by_seed):
        if len(losses.seeds[at]) > 1:
            with np.errstate(divide="ignore", invalid="ignore"):
                skills = loss.skill(by_seed, base[None])
            of_seeds[at], freedom[at] = skills.std(axis=0, ddof=1) / np.sqrt(len(skills)), len(skills) - 1
    return _widths(series, of_seeds, freedom[:, None], block, alpha)


def hit_widths(forecasts: pl.DataFrame, scores: pl.DataFrame, *, block: float, alpha: float = 0.05) -> pl.DataFrame:
    """Compute the half-widths of pointwise intervals of DirAcc, by variant and ticker.

    Parameters
    ----------
    forecasts
        ``variant, ticker, origin, actual, predicted``, optional ``seed``.
    scores
        ``variant, ticker, seed, DirAcc``, for the seed variance.
    block
        Mean block length in days.
    alpha
        Error rate of each interval alone.

    Returns
    -------
    ``variant, ticker, width``, as shares; NaN where there are fewer than two days.

    Examples
    --------
    >>> days = np.arange(30).astype("datetime64[D]")
    >>> frame = pl.DataFrame({"variant": "A", "ticker": "KO", "origin": days, "actual": [1.0, -1.0] * 15})
    >>> frame = frame.with_columns(predicted=1.0)
    >>> scores = pl.DataFrame({"variant": "A", "ticker": "KO", "seed": [1], "DirAcc": 0.5})
    >>> hit_widths(frame, scores, block=5)["width"].item() < 0.2  # ups and downs that alternate scatter little
    True
    """
    hit = pl.when(pl.col("predicted") == 0).then(0.5).otherwise(
        ((pl.col("predicted") > 0) == (pl.col("actual") > 0)).cast(pl.Float64)
    )  # fmt: skip
    daily = forecasts.filter(pl.col("actual") != 0).group_by("variant", "ticker", "origin").agg(hit=hit.mean())
    wide = daily.sort("origin").pivot("origin", index=["variant", "ticker"], values="hit", maintain_order=True)
    values = wide.drop("variant", "ticker").cast(pl.Float64).to_numpy()
    seeds = scores.group_by("variant", "ticker").agg(
        deviation=pl.col("DirAcc").std() / pl.len().cast(pl.Float64).sqrt(), seeds=pl.len()
    )
    both = wide.select("variant", "ticker").join(seeds, on=["variant", "ticker"], how="left", maintain_order="left")
    freedom = np.maximum(both["seeds"].fill_null(1).to_numpy() - 1.0, 1.0)
    widths = _widths(
        (values - average(values, axis=1)[:, None])[:, None], both["deviation"].fill_null(0.0).to_numpy()[:, None],
        freedom[:, None], block, alpha,
    )  # fmt: skip
    return both.select("variant", "ticker").with_columns(width=pl.Series(widths[:, 0]))


def _widths(series: np.ndarray, of_seeds: np.ndarray, freedom: np.ndarray, block: float, alpha: float) -> np.ndarray:
    """Combine the errors of the means of series [row, column, date], NaN on absent days, with those of seeds.

    The critical value is Student's, with Satterthwaite's degrees of freedom.
    """
    days = series.shape[-1]
    count = (~np.isnan(series)).sum(axis=-1)
    shares = resample(days, block=min(block, max(days / 3, 1.0)), replicates=REPLICATES, seed=0)
    drawn = np.nan_to_num(series).reshape(-1, days) @ shares.T / np.maximum(count.reshape(-1, 1), 1)
    of_days = drawn.std(axis=1, ddof=1).reshape(count.shape) / np.sqrt(max(kept(days, block), 1e-9))
    whole = of_days**2 + of_seeds**2
    satterthwaite = of_days**4 / freedom_of(days, block) + of_seeds**4 / freedom
    with np.errstate(divide="ignore", invalid="ignore"):
        degrees = np.where(satterthwaite > 0, whole**2 / satterthwaite, 1)
        found = scipy.special.stdtrit(degrees, 1 - alpha / 2) * np.sqrt(whole)
    return np.where(count > 1, found, np.nan)
