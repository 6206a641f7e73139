"""Break a comparison down: skill by ticker, year and seed, over time, and the influence of each ticker."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nextday.evaluate.contrasts import Comparison, Contrast
from nextday.evaluate.losses import Losses, average, loss_named


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Skill by group, in units of skill; undefined values are NaN.

    Attributes
    ----------
    by_ticker
        Shape [variant, ticker].
    years, days, by_year
        Calendar years, number of origins in each, skill of shape [variant, year].
    by_seed
        Skill of each seed, by variant.
    saved
        Cumulative loss that each variant saves against the benchmark, as shares of the benchmark's total loss, shape
        [variant, date].
    contrasts
        The asked contrasts, then the other contrasts with the benchmark; exploratory pairs are left out.
    left_out
        Each contrast without one ticker, shape [contrast, ticker].
    agree
        Share of tickers in which each contrast has the sign of the whole.
    """

    by_ticker: np.ndarray
    years: tuple[int, ...]
    days: tuple[int, ...]
    by_year: np.ndarray
    by_seed: tuple[np.ndarray, ...]
    saved: np.ndarray
    contrasts: tuple[Contrast, ...]
    left_out: np.ndarray
    agree: np.ndarray


def break_down(comparison: Comparison) -> Breakdown:
    """Compute the skill by ticker, year and seed, and the influence of each ticker."""
    losses = comparison.losses
    present = ~np.isnan(losses.base)
    daily, base = average(losses.grid, axis=1), average(losses.base, axis=0)  # [variant, date], [date]
    calendar = losses.dates.astype("datetime64[Y]").astype(int) + 1970
    years = sorted({int(year) for year in calendar[present.any(axis=0)]})
    in_year = [(calendar == year) & present.any(axis=0) for year in years]
    by_ticker = skill_by_ticker(losses)
    contrasts = comparison.asked + comparison.unasked
    gaps = _of_contrasts(contrasts, losses, by_ticker)
    signs = np.array([[np.sign(contrast.estimate)] for contrast in contrasts])
    seed_base = np.nan_to_num(losses.base_by_ticker).mean()
    return Breakdown(
        by_ticker, tuple(years), tuple(int(days.sum()) for days in in_year),
        np.stack([_skill(losses, average(daily[:, days], axis=1), base[days].mean()) for days in in_year], axis=1),
        tuple(_skill(losses, seeds.mean(axis=1), seed_base) for seeds in losses.by_seed),
        np.nancumsum(base - daily, axis=1) / (np.nansum(base) or np.nan),
        contrasts,
        _of_contrasts(contrasts, losses, _without_one(losses)),
        average(np.where(np.isnan(gaps), np.nan, np.sign(gaps) == signs), axis=1),
    )  # fmt: skip


def skill_by_ticker(losses: Losses) -> np.ndarray:
    """Compute the skill of each variant on each ticker alone, [variant, ticker]; NaN where it is undefined."""
    return _skill(losses, average(losses.grid, axis=2), average(losses.base, axis=1))


def _skill(losses: Losses, mean: np.ndarray, base: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        skill = loss_named(losses.loss).skill(mean, base)
    return np.where(np.isfinite(skill), skill, np.nan)


def _of_contrasts(contrasts: Sequence[Contrast], losses: Losses, values: np.ndarray) -> np.ndarray:
    """Sum the values of variants by the weights of each contrast, [contrast, ticker]; the benchmark's are 0."""
    at = {name: place for place, name in enumerate(losses.variants)}
    return np.stack([sum(weight * values[at[name]] for name, weight in one.terms) for one in contrasts])


def _without_one(losses: Losses) -> np.ndarray:
    """Skill of each variant without one ticker, [variant, ticker]."""
    if len(losses.tickers) == 1:
        return np.full((len(losses.variants), 1), np.nan)
    base = _mean_without_one(losses.base)
    return np.stack([_skill(losses, _mean_without_one(grid), base) for grid in losses.grid])


def _mean_without_one(grid: np.ndarray) -> np.ndarray:
    """Mean over dates of the mean over all tickers but one, [ticker]."""
    present = ~np.isnan(grid)
    counts = present.sum(axis=0) - present
    return average((np.nansum(grid, axis=0) - np.nan_to_num(grid)) / np.where(counts > 0, counts, np.nan), axis=1)
