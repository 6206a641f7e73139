"""Tests that stand beside the verdict: is there any signal, which models cannot be told from the best."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl
import scipy  # its submodules load when first used: scipy.stats takes half a second, and workers do without

from nextday.evaluate.contrasts import Comparison, compare
from nextday.evaluate.losses import POINT_LOSSES, ZERO, Losses, measure


@dataclass(frozen=True, slots=True)
class Beside:
    """What stands beside a verdict and does not decide it.

    Attributes
    ----------
    clark_west
        Per variant the statistic and p-value of any signal beside the zero forecast, averaged over seeds.
    directions
        Per variant how many of its tests per ticker and seed reject at 5 %, and how many there are.
    confidence_set
        Per variant, and the benchmark, the p-value of the model confidence set.
    secondary
        Contrasts by the other losses: loss, first, second, estimate, p-value adjusted by Holm over these losses.
    """

    clark_west: dict[str, tuple[float, float]]
    directions: dict[str, tuple[int, int]]
    confidence_set: dict[str, float]
    secondary: tuple[tuple[str, str, str, float, float], ...]


def beside(forecasts: pl.DataFrame, comparison: Comparison, folds: pl.DataFrame | None = None) -> Beside:
    """Run the tests that stand beside a verdict on the forecasts it was made from."""
    names = comparison.losses.variants
    return Beside(
        any_signal(forecasts, names, block=comparison.block),
        {name: _directions(forecasts.filter(variant=name)) for name in names},
        model_confidence_set(comparison.losses, block=comparison.block),
        _by_other_losses(forecasts, comparison, folds),
    )


def any_signal(forecasts: pl.DataFrame, names: Iterable[str], *, block: float) -> dict[str, tuple[float, float]]:
    """Run Clark and West's test on each variant, averaged over seeds: statistic and p-value."""
    lags = max(1, round(block))
    signal = 2 * pl.col("actual") * pl.col("predicted") / (pl.col("actual") ** 2).mean().over("ticker")
    daily = (
        forecasts.with_columns(signal=signal).group_by("variant", "origin").agg(pl.col("signal").mean()).sort("origin")
    )
    return {name: _mean_is_positive(daily.filter(variant=name)["signal"].to_numpy(), lags) for name in names}


def _directions(rows: pl.DataFrame) -> tuple[int, int]:
    """Count the tests of direction that reject at 5 %, one per ticker and seed."""
    units = rows.partition_by(["ticker", "seed"] if "seed" in rows.columns else ["ticker"])
    p_values = [pesaran_timmermann(unit["actual"].to_numpy(), unit["predicted"].to_numpy())[1] for unit in units]
    return sum(value < 0.05 for value in p_values), len(p_values)


def _by_other_losses(
    forecasts: pl.DataFrame, comparison: Comparison, folds: pl.DataFrame | None
) -> tuple[tuple[str, str, str, float, float], ...]:
    """Repeat the contrasts by the losses that are not the primary one; Holm's adjustment over those losses."""
    benchmark = None if comparison.losses.benchmark == ZERO else comparison.losses.benchmark
    pooled = [name for name, one in zip(comparison.losses.variants, comparison.losses.pooled, strict=True) if one]
    others = {
        name: compare(
            measure(forecasts, loss=name, benchmark=benchmark, folds=folds, pooled=pooled),
            replicates=2000,
            other_blocks=(),
        ).contrasts
        for name in POINT_LOSSES
        if name != comparison.losses.loss
    }
    rows = []
    for at, contrast in enumerate(comparison.contrasts):
        adjusted = holm({name: contrasts[at].p_value for name, contrasts in others.items()})
        rows += [
            (name, contrast.first, contrast.second, others[name][at].estimate, value)
            for name, value in adjusted.items()
        ]
    return tuple(rows)


def clark_west(actual: np.ndarray, predicted: np.ndarray, *, lags: int) -> tuple[float, float]:
    r"""Test whether forecasts hold any signal beside the nested zero forecast; statistic and one-sided p-value.

    .. math:: f_t = y_t^2 - (y_t - \hat y_t)^2 + \hat y_t^2

    The mean over tickers of each date against zero, with Newey-West errors. A loss difference asks whether a forecast
    should be used; this asks whether it knows anything.

    Parameters
    ----------
    actual, predicted
        Shape [ticker, date]; NaN where there is no sample.
    lags
        Lags of the Newey-West variance.

    References
    ----------
    Clark and West (2007), "Approximately normal tests for equal predictive accuracy in nested models", Journal of
    Econometrics 138(1).

    Examples
    --------
    >>> y = np.random.default_rng(0).standard_normal((5, 400))
    >>> clark_west(y, 0.1 * y, lags=5)[1] < 0.001
    True
    """
    adjusted = np.nanmean(actual**2 - (actual - predicted) ** 2 + predicted**2, axis=0)
    return _mean_is_positive(adjusted[~np.isnan(adjusted)], lags)


def _mean_is_positive(series: np.ndarray, lags: int) -> tuple[float, float]:
    from statsmodels.regression.linear_model import OLS  # half a second of start-up; statsmodels.api takes another

    if np.ptp(series) == 0:
        return 0.0, 1.0
    fit = OLS(series, np.ones(len(series))).fit(cov_type="HAC", cov_kwds={"maxlags": lags})
    return float(fit.tvalues[0]), float(scipy.stats.norm.sf(fit.tvalues[0]))


def pesaran_timmermann(actual: np.ndarray, predicted: np.ndarray) -> tuple[float, float]:
    """Test whether a ticker's direction is forecast, beyond what its drift explains; statistic, one-sided p-value.

    Per ticker only: pooled over tickers the days are dependent and it rejects far too often. Where all forecasts or all
    moves have one sign there is nothing to test: statistic 0, p-value 1.

    Pesaran and Timmermann (1992), "A simple nonparametric test of predictive performance", JBES 10(4).
    """
    from statsmodels.stats.api import pesaran_timmermann as test

    moved = np.isfinite(actual) & (actual != 0)
    up, called = actual[moved] > 0, predicted[moved] > 0
    if min(len(set(up)), len(set(called))) < 2:
        return 0.0, 1.0
    found = test(up * 2.0 - 1, called * 2.0 - 1, alternative="larger")
    return float(found.statistic), float(found.pvalue)


def model_confidence_set(losses: Losses, *, block: float, alpha: float = 0.05, seed: int = 0) -> dict[str, float]:
    """Give the p-value with which each variant, and the benchmark, leaves the set that holds the best.

    On daily means over tickers, never on stacked rows. Of columns that are the same one stands for all, as ``arch``
    hangs on them; the seeds' variance is not in it, so read it beside the verdict.

    Hansen, Lunde, Nason (2011), "The Model Confidence Set", Econometrica 79(2).
    """
    from arch.bootstrap import MCS  # a second of start-up

    used = ~np.isnan(losses.base).all(axis=0)
    daily = np.vstack([np.nanmean(losses.grid[:, :, used], axis=1), np.nanmean(losses.base[:, used], axis=0)[None]])
    names = [*losses.variants, losses.benchmark]
    first_of = [next(i for i in range(len(daily)) if np.allclose(daily[i], row, rtol=1e-9, atol=0)) for row in daily]
    distinct = sorted(set(first_of))
    if len(distinct) == 1:
        return dict.fromkeys(names, 1.0)
    tested = MCS(daily[distinct].T, alpha, reps=1000, block_size=max(2, round(block)), method="max", seed=seed)
    tested.compute()
    values = dict(zip(tested.pvalues.index, tested.pvalues["Pvalue"], strict=True))
    return {name: float(values[distinct.index(first)]) for name, first in zip(names, first_of, strict=True)}


def holm(p_values: dict[str, float]) -> dict[str, float]:
    """Adjust p-values for their number; Holm (1979), "A simple sequentially rejective multiple test procedure".

    Examples
    --------
    >>> holm({"MAE": 0.01, "DirAcc": 0.04})
    {'MAE': 0.02, 'DirAcc': 0.04}
    """
    adjusted, worst = {}, 0.0
    for rank, (name, value) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        worst = max(worst, min(1.0, (len(p_values) - rank) * value))
        adjusted[name] = worst
    return {name: adjusted[name] for name in p_values}
