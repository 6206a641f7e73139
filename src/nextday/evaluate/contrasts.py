"""Skill of variants and their differences, with standard errors that know about days and about seeds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from nextday.evaluate.bootstrap import optimal_block, resample
from nextday.evaluate.losses import LOSSES, Losses, ratio, ratio_slope

Pair = tuple[int, int | None]  # positions of two variants; None is the benchmark
MIN_SEEDS = 3
TINY = 1e-9  # of skill: rounding, where two variants forecast the same
POWER_80 = 2.93  # standard errors: the margin that a 5 % test of equivalence confirms in four studies of five


@dataclass(frozen=True, slots=True)
class Contrast:
    """Skill of ``first`` less that of ``second``; where ``second`` is the benchmark, the skill of ``first``.

    Attributes
    ----------
    estimate
        Point estimate, in units of skill (0.01 is one percent of the benchmark's loss measure).
    date_error, seed_error, standard_error
        Standard deviation from resampling the dates, from drawing seeds anew, and of both together.
    low, high
        Simultaneous interval over all contrasts, at ``1 - alpha``.
    equal_low, equal_high
        Interval at ``1 - 2 alpha`` of this contrast alone, for two one-sided tests of equivalence.
    p_value, p_adjusted
        Two-sided, of this contrast alone and adjusted for all contrasts.
    identical
        The two forecast the same everywhere.
    """

    first: str
    second: str
    estimate: float
    date_error: float
    seed_error: float
    standard_error: float
    low: float
    high: float
    equal_low: float
    equal_high: float
    p_value: float
    p_adjusted: float
    identical: bool = False

    def days_to_settle(self, days: int, margin: float) -> float:
        """Days after which the minimum detectable difference is ``margin``; infinite if seeds are too few."""
        room = (margin / POWER_80) ** 2 - self.seed_error**2
        return days * self.date_error**2 / room if room > 0 else float("inf")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every contrast of some variants, and what it rests on.

    Attributes
    ----------
    against_benchmark, between
        Contrasts of each variant with the benchmark, and of each pair of variants.
    block
        Mean block length of the bootstrap, in days.
    sensitivity
        Largest change of a standard error at each of the other block lengths (half and twice that one), as ratios.
    detectable
        Minimum detectable difference between variants: the largest standard error of a pair times 2.93.
    withheld
        Why no verdict can be given; empty if one can.
    """

    losses: Losses
    margin: float
    alpha: float
    against_benchmark: tuple[Contrast, ...]
    between: tuple[Contrast, ...]
    block: float
    sensitivity: tuple[float, ...]
    detectable: float
    withheld: str

    @property
    def contrasts(self) -> tuple[Contrast, ...]:
        """All contrasts, those with the benchmark first."""
        return self.against_benchmark + self.between


def compare(
    losses: Losses, *, margin: float | None = None, alpha: float = 0.05, replicates: int = 5000, seed: int = 0,
    other_blocks: tuple[float, ...] = (0.5, 2), matches: Iterable[tuple[str, str | None]] | None = None,
) -> Comparison:  # fmt: skip
    """Estimate every contrast of skill and its uncertainty; with ``matches``, only those, None being the benchmark.

    Dates are resampled by the stationary bootstrap, one draw of dates for everything. The variance between seeds comes
    on top by the delta method, ``sum_i s2_i / (S N^2)`` with ``s2_i`` the variance between the seeds of ticker ``i``'s
    mean loss, less what the dates hold of it already: paired by seed where two variants have the same seeds, drawn from
    a t distribution. Tickers draw independently, but for pooled variants: there it is the variance between the seeds'
    means over all tickers.
    """
    chosen = LOSSES.get(losses.loss)
    skill, slope = (chosen.skill, chosen.slope) if chosen else (ratio, ratio_slope)
    margin = (chosen.margin if chosen else 0.0025) if margin is None else margin
    used = ~np.isnan(losses.base).all(axis=0)
    daily, base = np.nanmean(losses.grid[:, :, used], axis=1), np.nanmean(losses.base[:, used], axis=0)  # over tickers
    days = len(base)
    pairs = _pairs(losses.variants, matches)
    weights = _design(pairs, len(daily))
    means, base_mean = daily.mean(axis=1), base.mean()
    estimates = weights @ skill(means, base_mean)
    block = optimal_block(_differentials(daily, base, pairs)) if days > 1 else 1.0

    def draw(length: float) -> tuple[np.ndarray, np.ndarray]:
        shares = resample(days, block=length, replicates=replicates, seed=seed) / days  # [replicate, date]
        return shares, skill(shares @ daily.T, (shares @ base)[:, None]) @ weights.T  # [replicate, contrast]

    shares, by_date = draw(block)
    covariance = _seed_covariance(losses, used, shares) * np.outer(*2 * [slope(means, base_mean)])
    luck = _draw_luck(covariance, _degrees_of_freedom(losses), replicates, seed) @ weights.T
    errors = (by_date + luck).std(axis=0, ddof=1)
    errors = np.where(errors < TINY, 0.0, errors)
    noise = by_date - by_date.mean(axis=0) + luck - luck.mean(axis=0)
    columns = {
        "estimate": estimates,
        "date_error": by_date.std(axis=0, ddof=1),
        "seed_error": luck.std(axis=0, ddof=1),
        "standard_error": errors,
        **_intervals(estimates, noise, errors, alpha),
    }
    contrasts = [
        Contrast(
            losses.variants[first],
            losses.benchmark if second is None else losses.variants[second],
            **{name: float(column[at]) for name, column in columns.items()},
            identical=bool(errors[at] == 0 and abs(estimates[at]) < TINY),
        )
        for at, (first, second) in enumerate(pairs)
    ]
    sensitivity = tuple(_largest_change(draw(factor * block)[1], columns["date_error"]) for factor in other_blocks)
    split = sum(second is None for _, second in pairs)
    return Comparison(
        losses, margin, alpha, tuple(contrasts[:split]), tuple(contrasts[split:]), block,
        sensitivity,
        POWER_80 * max((contrast.standard_error for contrast in contrasts[split:] or contrasts), default=0.0),
        _reason_to_withhold(losses, days, block),
    )  # fmt: skip


def _pairs(variants: Sequence[str], matches: Iterable[tuple[str, str | None]] | None) -> list[Pair]:
    """Pair every variant with the benchmark and with every later one, or take the matches, the benchmark's first."""
    if matches is not None:
        at = {name: position for position, name in enumerate(variants)}
        found = [(at[first], None if second is None else at[second]) for first, second in matches]
        return sorted(found, key=lambda pair: pair[1] is not None)
    return [*((v, None) for v in range(len(variants))), *combinations(range(len(variants)), 2)]


def _design(pairs: list[Pair], variants: int) -> np.ndarray:
    """Give the matrix that makes contrasts of skills, [contrast, variant]; the benchmark's skill is 0."""
    weights = np.zeros((len(pairs), variants))
    for row, (first, second) in zip(weights, pairs, strict=True):
        row[first] = 1
        if second is not None:
            row[second] -= 1
    return weights


def _differentials(daily: np.ndarray, base: np.ndarray, pairs: list[Pair]) -> np.ndarray:
    return np.stack([daily[first] - (base if second is None else daily[second]) for first, second in pairs])


def _seed_covariance(losses: Losses, used: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Covariance between variants of the mean loss's error from drawing seeds, [variant, variant].

    The variance between seeds of a mean over days holds, besides what a seed does on all days, what it does on single
    days. The bootstrap over dates has that second part already, so it is taken off here: the variance over resampled
    dates of each seed's deviation from the mean of the seeds.
    """
    count, tickers = len(losses.variants), len(losses.tickers)
    centred = [by_seed - by_seed.mean(axis=0) for by_seed in losses.by_seed]  # [seed, ticker]
    deviations = [(daily - daily.mean(axis=0))[:, used] for daily in losses.daily_by_seed]  # [seed, date]
    resampled = [shares @ daily.T for daily in deviations]  # [replicate, seed]
    resampled = [means - means.mean(axis=0) for means in resampled]
    covariance = np.zeros((count, count))
    for v in range(count):
        for w in range(v, count):
            seeds = len(centred[v])
            if seeds < 2 or (v != w and losses.seeds[v] != losses.seeds[w]):
                continue
            if losses.pooled[v] or losses.pooled[w]:
                all_of_it = (centred[v].mean(axis=1) * centred[w].mean(axis=1)).sum() / (seeds - 1) / seeds
            else:
                all_of_it = (centred[v] * centred[w]).sum() / (seeds - 1) / (seeds * tickers**2)
            of_single_days = (resampled[v] * resampled[w]).sum() / len(shares) / (seeds - 1) / seeds
            covariance[v, w] = covariance[w, v] = all_of_it - of_single_days
    return covariance


def _draw_luck(covariance: np.ndarray, freedom: float, replicates: int, seed: int) -> np.ndarray:
    """Draw errors of seeds from a t distribution, [replicate, variant]: their variance is itself an estimate."""
    rng = np.random.default_rng([seed, 1])
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))
    normal = rng.standard_normal((replicates, len(covariance))) @ root.T
    return normal * np.sqrt(freedom / rng.chisquare(freedom, (replicates, 1)))


def _degrees_of_freedom(losses: Losses) -> float:
    """Give the least over variants of Satterthwaite's degrees of freedom of a sum of tickers' variances, at least 3.

    The variance of a pooled variant is that of one number per seed.
    """
    least = np.inf
    for by_seed, pooled in zip(losses.by_seed, losses.pooled, strict=True):
        if pooled:
            least = min(least, len(by_seed) - 1)
        elif len(by_seed) > 1 and (variances := by_seed.var(axis=0, ddof=1)).any():
            least = min(least, variances.sum() ** 2 / (variances**2).sum() * (len(by_seed) - 1))
    return float(np.clip(least, 3, 1000))


def _intervals(estimates: np.ndarray, noise: np.ndarray, errors: np.ndarray, alpha: float) -> dict[str, np.ndarray]:
    """Simultaneous interval by max-|t|, equivalence interval, p-values alone and adjusted; each of shape [contrast]."""
    safe = np.where(errors == 0, np.inf, errors)
    t = np.abs(noise) / safe  # [replicate, contrast]
    largest = t.max(axis=1)
    wide = np.quantile(largest, 1 - alpha) * errors
    narrow = np.quantile(t, 1 - 2 * alpha, axis=0) * errors
    seen = np.abs(estimates) / safe
    return {
        "low": estimates - wide,
        "high": estimates + wide,
        "equal_low": estimates - narrow,
        "equal_high": estimates + narrow,
        "p_value": (1 + (t >= seen).sum(axis=0)) / (1 + len(t)),
        "p_adjusted": (1 + (largest[:, None] >= seen).sum(axis=0)) / (1 + len(t)),
    }


def _largest_change(draws: np.ndarray, errors: np.ndarray) -> float:
    ratios = draws.std(axis=0, ddof=1)[errors > 0] / errors[errors > 0]
    return float(ratios[np.argmax(np.abs(np.log(ratios)))]) if len(ratios) else 1.0


def _reason_to_withhold(losses: Losses, dates: int, block: float) -> str:
    few = [name for name, seeds in zip(losses.variants, losses.seeds, strict=True) if 0 < len(seeds) < MIN_SEEDS]
    if few:
        count = len(losses.seeds[losses.variants.index(few[0])])
        known = "seed variance unknown" if count == 1 else "seed variance hardly known"
        return f"{known}: {few[0]} has {count} seed{'s' if count > 1 else ''}, at least {MIN_SEEDS} are needed"
    if dates < 10 * block:
        return f"too few days: {dates}, at least ten blocks of {block:.0f} days are needed"
    return ""
