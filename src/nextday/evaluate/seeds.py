"""Seed variance: the one estimator of the errors from drawing seeds, per contrast, skewed where the losses are.

A seed shifts a network's forecasts, and a squared loss squares the shift. The loss of a seed is therefore skewed like a
chi-square: the mean over three seeds lies mostly below its expectation, and so does the deviation between them. In the
difference of two networks the skew cancels; in a contrast with a deterministic forecast it does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy  # its submodules load when first used, see calibration.py

from nextday.evaluate.losses import Losses, average, cells_of, loss_named
from nextday.words import plural

MIN_SEEDS = 3
ENOUGH = 5  # seeds, where seed variance dominates
FEW_DRAWS = 8.0  # independent trainings below which a dominant seed variance is not known well enough
MANY_DRAWS = 20  # independent trainings from which on they are not all lucky
WIDEST, STEPS = 5, 1000  # of standard normal draws
GRID = np.linspace(-WIDEST, WIDEST, STEPS + 1)
SIMULATED = 40_000  # draws of a skewed pivot
ENOUGH_DRAWS = 1000  # resampled calendars, for the variance of single days
MOST_DRAWS = 60  # trainings beyond which the pivot's skew no longer matters and it is not simulated for more


@dataclass(frozen=True, slots=True)
class Columns:
    """Daily losses of the variants and, in the last column, of the benchmark, with their losses by seed.

    Attributes
    ----------
    daily
        Mean over tickers and seeds, shape [column, date].
    seeds
        Seeds of each column; empty for a deterministic forecast.
    by_seed, daily_by_seed
        Loss of each seed of a column by ticker, [seed, ticker], and by date, [seed, date].
    pooled
        Whether one network forecasts all tickers, by column.
    skewed
        Whether the loss of a seed is skewed.
    """

    daily: np.ndarray
    seeds: tuple[tuple[int, ...], ...]
    by_seed: tuple[np.ndarray, ...]
    daily_by_seed: tuple[np.ndarray, ...]
    pooled: tuple[bool, ...]
    skewed: bool = True

    def take(self, order: Sequence[int]) -> "Columns":
        """Return the columns in another order."""
        return Columns(
            self.daily[list(order)], tuple(self.seeds[at] for at in order), tuple(self.by_seed[at] for at in order),
            tuple(self.daily_by_seed[at] for at in order), tuple(self.pooled[at] for at in order), self.skewed,
        )  # fmt: skip

    def minus(self, other: "Columns") -> "Columns":
        """Return these losses minus those of another of the same shape."""
        return Columns(
            self.daily - other.daily, self.seeds,
            tuple(a - b for a, b in zip(self.by_seed, other.by_seed, strict=True)),
            tuple(a - b for a, b in zip(self.daily_by_seed, other.daily_by_seed, strict=True)), self.pooled,
            self.skewed,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Runs:
    """Columns that are the runs of one design: alike but for their features, they share one seed variance.

    Attributes
    ----------
    at
        Positions of the columns.
    residual
        Degrees of freedom of the design's residual where each run has one seed; else 0.
    """

    at: tuple[int, ...]
    residual: int = 0


def columns_of(losses: Losses) -> Columns:
    """Convert losses to columns, for the days on which anything was scored."""
    used = ~np.isnan(losses.base).all(axis=0)
    base = losses.base_cells or cells_of(losses.base[None])
    daily = [*average(losses.grid[:, :, used], axis=1), average(losses.base[:, used], axis=0)]
    return Columns(
        np.stack(daily), (*losses.seeds, base.seeds), (*losses.by_seed, base.by_seed),
        tuple(one[:, used] for one in (*losses.daily_by_seed, base.daily_by_seed)),
        (*losses.pooled, losses.base_pooled), loss_named(losses.loss).skewed,
    )  # fmt: skip


def seed_covariance(columns: Columns, shares: np.ndarray, alike: Sequence[Runs] = ()) -> tuple[np.ndarray, np.ndarray]:
    """Compute the covariance between columns of the seed error of mean losses, net and gross, each [column, column].

    ``sum_i s2_i / (S N^2)`` with ``s2_i`` the variance between the S seeds of ticker ``i``'s mean loss, paired by seed
    where two columns have the same seeds; of a pooled network the variance of its seeds' means over all tickers. The
    seed-by-day interaction is already in the date bootstrap (``shares``, [replicate, date]); it is subtracted from the
    net covariance, so that it is not counted twice. The gross covariance keeps it, see ``seed_errors``.

    Columns that are ``alike``, the runs of one design, share one variance and one covariance, the means of theirs: what
    is left after common effects of a run and of a seed, the residual of a two-way layout, so that two seeds suffice.
    """
    shares, count = shares[:ENOUGH_DRAWS], len(columns.seeds)
    net, gross = np.zeros((2, count, count))
    groups: dict[tuple[int, ...], list[int]] = {}
    for at, by_seed in enumerate(columns.by_seed):  # columns without seeds share nothing
        if len(by_seed) > 1:
            groups.setdefault(columns.seeds[at], []).append(at)
    for seeds, members in groups.items():
        own = np.ix_(members, members)
        gross[own] = _between_seeds(columns, members)
        daily = np.stack([columns.daily_by_seed[at] for at in members])  # [column, seed, date]
        resampled = (daily - daily.mean(axis=1, keepdims=True)).reshape(-1, daily.shape[2]) @ shares.T
        resampled -= resampled.mean(axis=1, keepdims=True)
        flat = resampled.reshape(len(members), -1)
        net[own] = gross[own] - flat @ flat.T / len(shares) / (len(seeds) - 1) / len(seeds)
    for runs in alike:
        for one in (net, gross):
            one[np.ix_(runs.at, runs.at)] = _levelled(one[np.ix_(runs.at, runs.at)])
    return net, gross


def residual_variance(columns: Columns, shares: np.ndarray, runs: Runs, effects: np.ndarray) -> tuple[float, int]:
    """Estimate the variance of the seed errors of runs with one seed each, from the residual of their design.

    What the losses of the runs have beside their mean and the effects, [effect, run], is due to interactions, to the
    days, and to the seeds. The part of the days is known from resampled dates and is subtracted; interactions are
    counted as seed variance, so the estimate is conservative.

    Returns
    -------
    The variance of a run's error, and its degrees of freedom; none are left where the effects take all of them.
    """
    rest = scipy.linalg.null_space(np.vstack([np.ones(len(runs.at)), effects[:, list(runs.at)]]))  # [run, free]
    if not rest.shape[1]:
        return 0.0, 0
    daily = columns.daily[list(runs.at)]
    of_days = (shares[:ENOUGH_DRAWS] @ daily.T @ rest).var(axis=0).mean()
    return max(float(((daily.mean(axis=1) @ rest) ** 2).mean() - of_days), 0.0), rest.shape[1]


def _levelled(covariance: np.ndarray) -> np.ndarray:
    """Return the mean variance and the mean covariance in place of all, [column, column]."""
    count = len(covariance)
    variance = np.trace(covariance) / count
    shared = (covariance.sum() - np.trace(covariance)) / max(count * (count - 1), 1)
    return np.where(np.eye(count, dtype=bool), variance, shared)


def _between_seeds(columns: Columns, members: Sequence[int]) -> np.ndarray:
    """Covariance of the mean losses of some columns of the same seeds, [column, column]."""
    by_seed = np.stack([columns.by_seed[at] for at in members])  # [column, seed, ticker]
    centred = by_seed - by_seed.mean(axis=1, keepdims=True)
    seeds, tickers = centred.shape[1:]
    alone, means = centred.reshape(len(members), -1), centred.mean(axis=2)
    together = np.stack([(alone * row).sum(axis=1) for row in alone]) / (seeds - 1) / (seeds * tickers**2)
    as_one = np.stack([(means * row).sum(axis=1) for row in means]) / (seeds - 1) / seeds
    pooled = np.array([columns.pooled[at] for at in members])
    return np.where(pooled[:, None] | pooled, as_one, together)


def seed_errors(
    weights: np.ndarray, covariances: tuple[np.ndarray, np.ndarray], shapes: Sequence["Pivot"]
) -> np.ndarray:
    """Compute the seed standard error of each contrast, whose slopes by loss are ``weights``, [contrast, column].

    The gross covariance is used for a skewed contrast of few trainings: if all of them have low losses by chance, the
    net covariance is too small, and the interval is narrow where it should be wide.
    """
    net, gross = (np.sqrt(np.maximum(np.einsum("kc,cd,kd->k", weights, one, weights), 0)) for one in covariances)
    few = [bool(shape.skew) and shape.trainings < MANY_DRAWS for shape in shapes]
    return np.where(few, gross, net)


@dataclass(frozen=True, slots=True)
class Pivot:
    """Distribution of a mean's error in estimated standard errors.

    Attributes
    ----------
    seeds, tickers
        Seeds, and the effective number of tickers of equal variance (Satterthwaite).
    skew
        Sign with which the skewed loss of one column enters; 0 if the skews of two columns cancel.
    trainings
        Independent trainings minus one per ticker: the degrees of freedom if all tickers have equal variance.
    runs
        Degrees of freedom per seed and ticker: runs of a design minus one, where they share one variance.
    """

    seeds: int
    tickers: int
    skew: int
    trainings: int = 1000
    runs: int = 1

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the variance."""
        return max((self.seeds - 1) * self.tickers * self.runs, 1)

    def of_normal(self, normal: np.ndarray) -> np.ndarray:
        """Map standard normal draws to draws of this distribution, rank by rank."""
        if not self.skew:
            return _on_grid(normal, _symmetric(self.freedom))
        return self.skew * _on_grid(self.skew * normal, _skewed(self.seeds, self.tickers))


def pivots(columns: Columns, weights: np.ndarray, alike: Sequence[Runs] = ()) -> list[Pivot]:
    """Return the distribution of each contrast's seed error; ``weights`` are slopes by loss, [contrast, column]."""
    random = [at for at, by_seed in enumerate(columns.by_seed) if len(by_seed) > 1 and np.ptp(by_seed, axis=0).any()]
    random += [at for runs in alike if runs.residual for at in runs.at]
    return [_pivot(columns, row, [at for at in random if row[at]], alike) for row in weights]


def _pivot(columns: Columns, row: np.ndarray, random: list[int], alike: Sequence[Runs]) -> Pivot:
    """Count the trainings behind one contrast: of the difference by seed where the columns share theirs."""
    if not random:
        return Pivot(2, 1000, 0)
    if together := next((one for one in alike if (len(random) > 1 or one.residual) and {*random} <= {*one.at}), None):
        return _of_design(columns, together)
    paired = len(random) > 1 and len({columns.seeds[at] for at in random}) == 1
    if paired:
        parts = [sum(row[at] * columns.by_seed[at] for at in random)]
    else:
        parts = [row[at] * columns.by_seed[at] for at in random]
    pooled = any(columns.pooled[at] for at in random)
    counts = [1.0 if pooled else worth(part.var(axis=0, ddof=1), len(part)) for part in parts]
    seeds, tickers = min(len(part) for part in parts), 1 if pooled else parts[0].shape[1]
    skew = int(np.sign(row[random[0]])) if len(random) == 1 and columns.skewed else 0
    return Pivot(seeds, max(round(min(counts)), 1), skew, (seeds - 1) * tickers)


def _of_design(columns: Columns, runs: Runs) -> Pivot:
    """Count the trainings behind a contrast of the runs of one design, whose variances are one."""
    if runs.residual:
        return Pivot(2, 1, 0, runs.residual, runs.residual)
    variances = np.mean([columns.by_seed[at].var(axis=0, ddof=1) for at in runs.at], axis=0)
    seeds, pooled, others = len(columns.by_seed[runs.at[0]]), columns.pooled[runs.at[0]], len(runs.at) - 1
    free = (seeds - 1) * others
    tickers = 1 if pooled else round(worth(variances, free + 1))
    return Pivot(seeds, max(tickers, 1), 0, free * (1 if pooled else len(variances)), others)


def worth(variances: np.ndarray, seeds: int) -> float:
    """Compute the effective number of tickers of equal variance: Satterthwaite's ratio, from 1 to their number.

    Squares of variances estimated from few seeds are biased upwards: with three seeds, ten equal tickers would count as
    five and a half. Under normal draws the two sums below are unbiased.
    """
    squares = (variances**2).sum()
    if not squares:
        return float(len(variances))
    found = (variances.sum() ** 2 - 2 / (seeds + 1) * squares) / (squares * (seeds - 1) / (seeds + 1))
    return float(np.clip(found, 1, len(variances)))


def _on_grid(normal: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Interpolate values on ``GRID``, whose steps are equal: without the search of ``np.interp``."""
    inside = np.clip(normal, -WIDEST, WIDEST)
    at = np.minimum(((inside + WIDEST) * (STEPS / (2 * WIDEST))).astype(np.intp), STEPS - 1)
    slopes = np.diff(values) / np.diff(GRID)
    return slopes[at] * (inside - GRID[at]) + values[at]


@lru_cache(maxsize=256)
def _symmetric(freedom: float) -> np.ndarray:
    """Quantiles of a t distribution where those of a normal one are on the grid."""
    return scipy.special.stdtrit(freedom, scipy.special.ndtr(GRID))


@lru_cache(maxsize=256)
def _skewed(seeds: int, tickers: int) -> np.ndarray:
    """Quantiles of (mean - expectation) / standard error where each training's loss is a chi-square of one degree."""
    mean, error = _simulated(seeds, tickers)
    return np.quantile((mean - 1) / error, scipy.special.ndtr(GRID))


@lru_cache(maxsize=256)
def _shortfall(seeds: int, tickers: int) -> float:
    """Share of the true standard error that its estimate falls short of in one of twenty draws, likewise."""
    error = _simulated(seeds, tickers)[1]
    return float(np.quantile(error, 0.05) / np.sqrt((error**2).mean()))


def _simulated(seeds: int, tickers: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw means of chi-square losses and their estimated standard errors."""
    tickers = max(min(tickers, MOST_DRAWS // seeds), 1)
    draws = np.random.default_rng([seeds, tickers]).chisquare(1, (SIMULATED, seeds, tickers))
    return draws.mean(axis=(1, 2)), np.sqrt(draws.var(axis=1, ddof=1).sum(axis=1) / seeds) / tickers


def reason_of_design(used: list[tuple[str, int]], shape: Pivot, *, residual: int = 0) -> str:
    """Return why too few seeds prevent a verdict on an effect of a design; empty if they do not.

    ``residual`` are the degrees of freedom of the design's residual, which one seed per run needs.
    """
    name, count = max(used, key=lambda one: one[1])  # one whose seeds forecast the same has fewer distinct ones
    if shape.freedom >= FEW_DRAWS and (count > 1 or residual):
        return ""
    few = f"{name} has {plural(count, 'seed')}"
    return f"seed variance {'unknown' if count == 1 else 'poorly estimated'}: {few}, {max(count + 1, 2)} are needed"


def reason_of_seeds(used: list[tuple[str, int]], shape: Pivot, date_error: float, seed_error: float) -> str:
    """Return why too few seeds prevent a verdict on a contrast; empty if they do not.

    ``used`` lists the variants with their numbers of seeds. Fewer than three seeds do not estimate seed variance. If
    the skew of a contrast does not cancel and there are few independent trainings, all of them may have low losses by
    chance, which the data cannot reveal: with too few trainings the verdict is always withheld. With more, if one
    ticker dominates the variance, it is given only if the seed error, even when underestimated as in one of twenty
    draws, stays below the date error. The reason names the number of seeds needed.
    """
    few = [(name, count) for name, count in used if count < MIN_SEEDS]
    if few:
        (name, count), unknown = few[0], "unknown" if few[0][1] == 1 else "poorly estimated"
        return f"seed variance {unknown}: {name} has {plural(count, 'seed')}, at least {MIN_SEEDS} are needed"
    if not shape.skew or shape.freedom >= FEW_DRAWS:
        return ""
    name, count = used[0]
    if shape.trainings < FEW_DRAWS:  # of all tickers together
        needed = max(ENOUGH, 1 + int(np.ceil(FEW_DRAWS * (count - 1) / shape.trainings)))
        return f"too few trainings for a skewed seed variance: {name} has {plural(count, 'seed')}, {needed} are needed"
    if shape.tickers == 1 and seed_error > date_error * _shortfall(shape.seeds, shape.tickers):
        needed = max(ENOUGH, count + 1, int(np.ceil(count * (seed_error / max(date_error, 1e-300)) ** 2)))
        return f"seed variance may dominate: {name} has {count} seeds, about {min(needed, 1000)} are needed"
    return ""
