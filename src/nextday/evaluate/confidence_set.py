"""The model confidence set of Hansen, Lunde and Nason, on daily means over tickers."""

import numpy as np

from nextday.evaluate.losses import Losses

REPLICATES = 1000


def model_confidence_set(losses: Losses, *, block: float, seed: int = 0) -> dict[str, float]:
    """Return the p-value with which each variant and the benchmark leaves the model confidence set.

    It is computed on daily means over tickers, never on stacked rows. One column represents all identical ones; it
    ignores seed variance and is therefore supplementary. By the statistic ``T_max`` and its rule of elimination; with
    the draws of ``arch.bootstrap.MCS``, whose import takes as long as all else that a small study needs.

    Hansen, Lunde, Nason (2011), "The Model Confidence Set", Econometrica 79(2).
    """
    used = ~np.isnan(losses.base).all(axis=0)
    daily = np.vstack([np.nanmean(losses.grid[:, :, used], axis=1), np.nanmean(losses.base[:, used], axis=0)[None]])
    names = [*losses.variants, losses.benchmark]
    first_of = [next(i for i in range(len(daily)) if np.allclose(daily[i], row, rtol=1e-9, atol=0)) for row in daily]
    distinct = sorted(set(first_of))
    values = _p_values(daily[distinct].T, max(2, round(block)), seed)
    return {name: values[distinct.index(first)] for name, first in zip(names, first_of, strict=True)}


def _p_values(losses: np.ndarray, block: int, seed: int) -> list[float]:
    """Let the worst column leave until one remains: the largest p-value so far when each left, of [day, column]."""
    drawn = _means(losses - losses.mean(axis=0), block, seed)  # [replicate, column]
    found, left, largest = [1.0] * losses.shape[1], np.arange(losses.shape[1]), 0.0
    while len(left) > 1:
        by_chance = drawn[:, left] - drawn[:, left].mean(axis=1, keepdims=True)
        error = np.sqrt((by_chance**2).mean(axis=0))
        mean = losses[:, left].mean(axis=0)
        worse = (mean - mean.mean()) / error
        largest = max(largest, float((worse.max() < (by_chance / error).max(axis=1)).mean()))
        for one in left[worse == worse.max()]:
            found[one] = largest
        left = left[worse < worse.max()]
    return found


def _means(errors: np.ndarray, block: int, seed: int) -> np.ndarray:
    """Draw means of days: blocks of geometric lengths that start anywhere and wrap around; [replicate, column]."""
    rng, days = np.random.default_rng(seed), np.arange(len(errors))
    means = np.empty((REPLICATES, errors.shape[1]))
    for mean in means:
        starts = rng.integers(len(days), size=len(days))
        begins = rng.random(len(days)) <= 1 / block
        of = np.maximum.accumulate(np.where(begins, days, 0))  # the day on which each day's block begins
        mean[:] = errors[(starts[of] + days - of) % len(days)].mean(axis=0)
    return means
