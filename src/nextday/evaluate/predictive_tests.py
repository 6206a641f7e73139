"""Supplementary tests: signal, direction, the model confidence set, the other losses."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import scipy  # its submodules load when first used, see calibration.py

from nextday.evaluate.ask import Ask
from nextday.evaluate.confidence_set import model_confidence_set
from nextday.evaluate.contrasts import Comparison
from nextday.evaluate.guards import is_size
from nextday.evaluate.inference import ask_of, compare
from nextday.evaluate.losses import OF_RETURNS, ZERO
from nextday.evaluate.signals import any_signal, holm, timing
from nextday.evaluate.table import measure
from nextday.study import OF_SIZES


@dataclass(frozen=True, slots=True)
class Beside:
    """Supplementary tests; the verdict does not depend on them.

    Attributes
    ----------
    clark_west
        Statistic and p-value of ``any_signal`` for each variant, against the zero forecast; those of ``timing`` where
        actual values are never negative, so that any level is better than zero.
    timing
        Statistic and p-value of ``timing`` for each variant, against the running mean of its own forecasts.
    directions
        For each variant the number of tests per ticker and seed that reject at 5 %, and the number of tests.
    confidence_set
        p-value of the model confidence set for each variant and the benchmark.
    secondary
        Contrasts by the other losses: loss, first, second, estimate, p-value adjusted by Holm over these losses.
    """

    clark_west: dict[str, tuple[float, float]]
    timing: dict[str, tuple[float, float]]
    directions: dict[str, tuple[int, int]]
    confidence_set: dict[str, float]
    secondary: tuple[tuple[str, str, str, float, float], ...]


def beside(
    forecasts: pl.DataFrame, comparison: Comparison, folds: pl.DataFrame | None = None, *,
    asked: Collection[Ask] | None = None,
) -> Beside:  # fmt: skip
    """Run the supplementary tests on the forecasts of a comparison.

    Parameters
    ----------
    forecasts, folds
        The tables that the comparison was computed from.
    comparison
        Supplies the variants, the block length and the primary loss.
    asked
        The contrasts that the other losses repeat; default: those of the comparison. Forty variants have 820 of them:
        pass only the asked ones.
    """
    names, block = comparison.losses.variants, comparison.block
    varies = timing(forecasts, names, block=block)
    if asked is None:
        asked = [ask_of(one, comparison) for one in comparison.contrasts]
    return Beside(
        varies if is_size(forecasts) else any_signal(forecasts, names, block=block),
        varies,
        _directions(forecasts, names),
        model_confidence_set(comparison.losses, block=block),
        _by_other_losses(forecasts, comparison, folds, asked),
    )


def _directions(forecasts: pl.DataFrame, names: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Count for each variant the tests of direction that reject at 5 %, one per ticker and seed, and all of them."""
    tests = pesaran_timmermann(forecasts.with_columns(pl.col("variant").cast(pl.String)))
    counts = tests.group_by("variant").agg((pl.col("p_value") < 0.05).sum(), pl.len())
    found = {name: (rejected, count) for name, rejected, count in counts.iter_rows()}
    return {name: found[name] for name in names}


def _by_other_losses(
    forecasts: pl.DataFrame, comparison: Comparison, folds: pl.DataFrame | None,
    asked: Collection[Ask],
) -> tuple[tuple[str, str, str, float, float], ...]:  # fmt: skip
    """Repeat some contrasts by the losses that are not the primary one; Holm's adjustment over those losses."""
    if not asked:
        return ()
    named = comparison.losses
    benchmark = None if named.benchmark == ZERO else named.benchmark
    pooled = [name for name, one in zip(named.variants, named.pooled, strict=True) if one]
    used = {name for one in asked for name in one.variants} | ({benchmark} if benchmark else set())
    alike = [runs for group in comparison.alike if len(runs := [name for name in group if name in used]) > 1]
    rows = forecasts.filter(pl.col("variant").cast(pl.String).is_in(used))
    others = {
        name: {
            (one.first, one.second): one
            for one in compare(
                measure(rows, loss=name, benchmark=benchmark, folds=folds, pooled=pooled),
                replicates=2000, other_blocks=(), matches=asked, alike=alike,
            ).contrasts
        }
        for name in (OF_SIZES if is_size(forecasts) else OF_RETURNS)
        if name != named.loss
    }  # fmt: skip
    found = []
    for one in asked:
        pair = (one.first, named.benchmark if one.second is None else one.second)
        adjusted = holm({name: contrasts[pair].p_value for name, contrasts in others.items()})
        found += [(name, *pair, others[name][pair].estimate, value) for name, value in adjusted.items()]
    return tuple(found)


def pesaran_timmermann(forecasts: pl.DataFrame) -> pl.DataFrame:
    """Test if the direction of each ticker's returns is forecast beyond its drift.

    The statistic is the correlation of the directions times the square root of the number of days. Use it per ticker
    only: pooled over tickers it rejects far too often, because tickers are dependent. If all forecasts or all returns
    have one sign there is nothing to test: statistic 0, p-value 1.

    Parameters
    ----------
    forecasts
        ``variant, ticker, actual, predicted``, optional ``seed``.

    Returns
    -------
    One row per variant, ticker and seed: ``statistic``, and the one-sided ``p_value``.

    References
    ----------
    Pesaran and Timmermann (1992), "A simple nonparametric test of predictive performance", JBES 10(4).
    """
    keys = [name for name in ("variant", "ticker", "seed") if name in forecasts.columns]
    up, called = ((pl.col(name) > 0).cast(pl.Float64) for name in ("actual", "predicted"))
    moved = pl.col("actual").is_finite() & (pl.col("actual") != 0)
    vary = (up.filter(moved).n_unique() > 1) & (called.filter(moved).n_unique() > 1)
    together = pl.corr(up.filter(moved), called.filter(moved)) * moved.sum().sqrt()
    statistic = pl.when(vary).then(together).otherwise(0.0)
    tests = forecasts.group_by(keys, maintain_order=True).agg(vary=vary, statistic=statistic)
    p_values = np.where(tests["vary"], scipy.special.ndtr(-tests["statistic"].to_numpy()), 1.0)
    return tests.drop("vary").with_columns(p_value=pl.Series(p_values))
