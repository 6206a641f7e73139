"""Means over tickers, seeds and dates of daily series, with errors for dependent days and seed variance."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import polars as pl

from nextday.evaluate.bootstrap import heavy, kept, optimal_block, resample
from nextday.evaluate.seeds import worth

BLOCKS = 10  # at most, in a resampled calendar


@dataclass(frozen=True, slots=True)
class Estimates:
    """Means over dates of several daily series of one variant, with their errors.

    Attributes
    ----------
    means, errors
        Estimates and their standard errors, shape [series].
    noise
        Draws of the estimation error, shape [replicate, series].
    days, samples, seeds
        Dates, pairs of ticker and date, and seeds (0 for a model without randomness).
    """

    means: np.ndarray
    errors: np.ndarray
    noise: np.ndarray
    days: int
    samples: int
    seeds: int

    def _critical(self, alpha: float) -> np.ndarray:
        """Return the number of standard errors that ``1 - alpha`` of the draws stay within, shape [series]."""
        within = np.quantile(np.abs(self.noise), 1 - alpha, axis=0)
        normal = NormalDist().inv_cdf(1 - alpha / 2)
        return np.where(self.errors > 0, within / np.where(self.errors > 0, self.errors, 1), normal)

    def of_means(self, name: str, alpha: float) -> list[dict[str, float]]:
        """Return ``NAME``, ``NAME_low`` and ``NAME_high`` of each series, symmetric."""
        reach = self._critical(alpha) * self.errors
        return _bounds(name, self.means, self.means - reach, self.means + reach)

    def of_shares(self, name: str, alpha: float) -> list[dict[str, float]]:
        """Return ``NAME``, ``NAME_low`` and ``NAME_high`` of each series of shares: Wilson's interval, for dependence.

        The standard error says how many independent samples would be as informative, never more than there are; Wilson
        (1927) is applied to that number, as Korn and Graubard (1998, Survey Methodology 24(2)) do for surveys. If all
        samples lie inside, or none, the variance cannot be estimated: each date then counts as one independent sample.
        """
        share, known = self.means, self.errors > 0
        number = np.where(known, share * (1 - share) / np.where(known, self.errors, 1) ** 2, self.days)
        spread = self._critical(alpha) ** 2 / np.minimum(number, self.samples)
        centre = (share + spread / 2) / (1 + spread)
        reach = np.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
        low = np.minimum(centre - reach, share)  # equal where the share is 0 or 1, but rounded
        high = np.maximum(centre + reach, share)
        return _bounds(name, share, np.maximum(low, 0), np.minimum(high, 1))


def estimate(
    rows: pl.DataFrame, series: Sequence[pl.Expr], *, replicates: int, seed: int, units: np.ndarray | None = None
) -> Estimates:
    """Estimate the means over tickers, seeds and dates of expressions over one variant's rows.

    Dates: the stationary bootstrap, all tickers and seeds of a date together. Whether a return lies inside an interval
    depends little on the day before, but persists for months if a model does not follow volatility, and the optimal
    block misses that. So blocks are at least a tenth of the days, the bootstrap's downward bias of variance for
    independent days is corrected, and draws come from a t distribution with the number of blocks as degrees of freedom.
    In 500 simulated days of GARCH-t and a common factor 96 % of the 95 % intervals contain the coverage of the true
    model (eight tickers; with six, 95 to 97 % at nominal coverages of 50 to 99 %), and 86 % that of constant quantiles,
    whose violations cluster (with the optimal block alone 95 % and 67 %).

    Seeds: the variance between the seeds' means, divided by their number, as draws from a t distribution with one
    degree of freedom less than seeds. This makes no assumption on the independence of tickers and counts the
    seed-by-day interaction twice (once in the dates), so it is conservative. With ``units``, the mean of each series by
    seed and ticker, shape [series, seed, ticker], tickers are assumed to draw independently, as networks do: variances
    are pooled over tickers, with Satterthwaite's degrees of freedom (three seeds of ten tickers leave twenty), and the
    seed-by-day interaction is counted once.
    """
    names = [f"series {at}" for at in range(len(series))]
    marked = rows.select("seed", "date", *(values.alias(name) for name, values in zip(names, series, strict=True)))
    daily = marked.group_by("seed", "date").agg(pl.col(names).mean()).sort("seed", "date")
    seeds = daily["seed"].n_unique()
    values = daily.select(names).to_numpy().T.reshape(len(names), seeds, -1)  # [series, seed, date]
    by_date, by_seed = values.mean(axis=1), values.mean(axis=2)
    means, days = by_date.mean(axis=1), by_date.shape[1]
    block = max(optimal_block(by_date), days / BLOCKS)
    counts = resample(days, block=block, replicates=replicates, seed=seed)
    drawn = counts / days @ (by_date - means[:, None]).T
    drawn = (drawn - drawn.mean(axis=0)) / np.sqrt(kept(days, block))
    apart, freedom = _between_seeds(by_seed[..., None] if units is None else units)  # all tickers as one
    if units is not None:
        apart *= _lasting(values, apart, counts / days)[:, None]
    variance = drawn.var(axis=0, ddof=1) + (apart**2).sum(axis=1)
    rng = np.random.default_rng([seed, 1])
    noise = heavy(rng, days / block, replicates) * drawn
    if seeds > 1:
        spread = np.sqrt(freedom / rng.chisquare(freedom, (replicates, len(freedom))))
        noise += spread * (rng.standard_normal((replicates, apart.shape[1])) @ apart.T)
    known = 0 if daily["seed"].null_count() else seeds
    return Estimates(means, np.sqrt(variance), noise, days, len(rows) // seeds, known)


def _between_seeds(units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weigh deviations from the mean of the seeds, so that their squares sum to the variance of the mean over all.

    Returns
    -------
    apart
        Shape [series, seed x ticker].
    freedom
        Satterthwaite's degrees of freedom of that variance, see ``seeds.worth``, shape [series].
    """
    count, seeds, tickers = units.shape
    off = units - units.mean(axis=1, keepdims=True)
    weight = tickers * np.sqrt(seeds * max(seeds - 1, 1))
    freedom = [max(seeds - 1, 1) * worth(variances, seeds) for variances in (off**2).sum(axis=1)]
    return off.reshape(count, -1) / weight, np.array(freedom)


def _lasting(values: np.ndarray, apart: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Share of the deviation between seeds that is not what they do on single days, which the dates hold; [series].

    As ``contrasts`` has it: the variance over resampled dates of each seed's deviation from the mean of the seeds.
    """
    seeds, all_of_it = values.shape[1], (apart**2).sum(axis=1)
    deviations = values - values.mean(axis=1, keepdims=True)  # [series, seed, date]
    of_days = (deviations @ shares.T).var(axis=2).sum(axis=1) / (seeds * max(seeds - 1, 1))
    return np.sqrt(np.clip(1 - of_days / np.where(all_of_it > 0, all_of_it, np.inf), 0, None))


def _bounds(name: str, mean: np.ndarray, low: np.ndarray, high: np.ndarray) -> list[dict[str, float]]:
    columns = {name: mean, f"{name}_low": low, f"{name}_high": high}
    return [dict(zip(columns, map(float, row), strict=True)) for row in zip(*columns.values(), strict=True)]
