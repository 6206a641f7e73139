"""What drawing the seeds anew would change: the one estimator of seed variance, per contrast, skewed where it is.

A seed moves a network's forecasts, and the move enters a squared loss squared. So the loss of a seed is skewed like a
chi-square: the mean over three seeds lies mostly below its expectation, and so does the deviation between them. In the
difference of two networks the skew cancels; in a contrast with a forecast without seeds it does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import ndtr, stdtrit

from nextday.evaluate.losses import Losses, average, cells_of

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
    """Daily losses of the variants and, in the last column, of the benchmark, and what their seeds did.

    Attributes
    ----------
    daily
        Mean over tickers and seeds, shape [column, date].
    seeds
        Per column its seeds; empty for a forecast without randomness.
    by_seed, daily_by_seed
        Per column the loss of each seed by ticker, [seed, ticker], and by date, [seed, date].
    pooled
        Per column whether one network forecasts all tickers.
    """

    daily: np.ndarray
    seeds: tuple[tuple[int, ...], ...]
    by_seed: tuple[np.ndarray, ...]
    daily_by_seed: tuple[np.ndarray, ...]
    pooled: tuple[bool, ...]

    def take(self, order: Sequence[int]) -> "Columns":
        """Return the columns in another order."""
        return Columns(
            self.daily[list(order)], tuple(self.seeds[at] for at in order), tuple(self.by_seed[at] for at in order),
            tuple(self.daily_by_seed[at] for at in order), tuple(self.pooled[at] for at in order),
        )  # fmt: skip

    def minus(self, other: "Columns") -> "Columns":
        """Losses of this less those of another of the same shape."""
        return Columns(
            self.daily - other.daily, self.seeds,
            tuple(a - b for a, b in zip(self.by_seed, other.by_seed, strict=True)),
            tuple(a - b for a, b in zip(self.daily_by_seed, other.daily_by_seed, strict=True)), self.pooled,
        )  # fmt: skip


def columns_of(losses: Losses) -> Columns:
    """Bring losses into columns, of the days on which anything was scored."""
    used = ~np.isnan(losses.base).all(axis=0)
    base = losses.base_cells or cells_of(losses.base[None])
    daily = [*average(losses.grid[:, :, used], axis=1), average(losses.base[:, used], axis=0)]
    return Columns(
        np.stack(daily), (*losses.seeds, base.seeds), (*losses.by_seed, base.by_seed),
        tuple(one[:, used] for one in (*losses.daily_by_seed, base.daily_by_seed)),
        (*losses.pooled, losses.base_pooled),
    )  # fmt: skip


def seed_covariance(columns: Columns, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Covariance between columns of the mean loss's error from drawing seeds, net and gross, each [column, column].

    ``sum_i s2_i / (S N^2)`` with ``s2_i`` the variance between the S seeds of ticker ``i``'s mean loss, paired by seed
    where two columns have the same seeds; of a pooled network the variance of its seeds' means over all tickers. The
    seed-by-day interaction is in the bootstrap over dates already (``shares``, [replicate, date]), so it is subtracted
    from the net one. The gross one keeps it, see ``seed_errors``.
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
    return net, gross


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
    """Standard error from seeds of each contrast, whose slopes by loss are ``weights``, [contrast, column].

    The gross one where a skewed contrast rests on few trainings: they can all have been lucky, then little is left when
    the single days are subtracted, and the interval is narrow where it has to be wide.
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
        Seeds, and how many tickers of equal variance are worth as much (Satterthwaite).
    skew
        Sign with which the skewed loss of one column enters; 0 where two columns' skews cancel.
    trainings
        Independent trainings less one per ticker: the degrees of freedom, were all tickers of equal variance.
    """

    seeds: int
    tickers: int
    skew: int
    trainings: int = 1000

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the variance."""
        return max((self.seeds - 1) * self.tickers, 1)

    def of_normal(self, normal: np.ndarray) -> np.ndarray:
        """Map standard normal draws to draws of this distribution, rank by rank."""
        if not self.skew:
            return _on_grid(normal, _symmetric(self.freedom))
        return self.skew * _on_grid(self.skew * normal, _skewed(self.seeds, self.tickers))


def pivots(columns: Columns, weights: np.ndarray) -> list[Pivot]:
    """Give the distribution of each contrast's error from seeds; ``weights`` are slopes by loss, [contrast, column]."""
    random = [at for at, by_seed in enumerate(columns.by_seed) if len(by_seed) > 1 and np.ptp(by_seed, axis=0).any()]
    return [_pivot(columns, row, [at for at in random if row[at]]) for row in weights]


def _pivot(columns: Columns, row: np.ndarray, random: list[int]) -> Pivot:
    """Count the trainings behind one contrast: of the difference by seed where two columns share theirs."""
    if not random:
        return Pivot(2, 1000, 0)
    paired = len(random) == 2 and columns.seeds[random[0]] == columns.seeds[random[1]]
    if paired:
        parts = [sum(row[at] * columns.by_seed[at] for at in random)]
    else:
        parts = [row[at] * columns.by_seed[at] for at in random]
    pooled = any(columns.pooled[at] for at in random)
    counts = [1.0 if pooled else worth(part.var(axis=0, ddof=1), len(part)) for part in parts]
    seeds, tickers = min(len(part) for part in parts), 1 if pooled else parts[0].shape[1]
    skew = int(np.sign(row[random[0]])) if len(random) == 1 else 0
    return Pivot(seeds, max(round(min(counts)), 1), skew, (seeds - 1) * tickers)


def worth(variances: np.ndarray, seeds: int) -> float:
    """How many tickers of one variance are worth as much as these: Satterthwaite's ratio, from 1 to their number.

    Squares of variances that few seeds estimate are too large on average: with three seeds, ten equal tickers would
    seem to be worth five and a half. Under normal draws the two sums below have the right expectation.
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
    return stdtrit(freedom, ndtr(GRID))


@lru_cache(maxsize=256)
def _skewed(seeds: int, tickers: int) -> np.ndarray:
    """Quantiles of (mean - expectation) / standard error where each training's loss is a chi-square of one degree."""
    mean, error = _simulated(seeds, tickers)
    return np.quantile((mean - 1) / error, ndtr(GRID))


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


def reason_of_seeds(used: list[tuple[str, int]], shape: Pivot, date_error: float, seed_error: float) -> str:
    """Say why seeds do not allow to judge a contrast of some variants, each with its number of seeds; empty if they do.

    Fewer than three say nothing about seed variance. Where the skew of a contrast does not cancel and few independent
    trainings show it, all of them may have been lucky, and nothing that they show tells so: with too few trainings it
    is never judged. With more, of which one ticker owns the variance, it is judged if even an estimate as low as one in
    twenty leaves the seeds' error below that of the dates. The number of seeds is named that is needed.
    """
    few = [(name, count) for name, count in used if count < MIN_SEEDS]
    if few:
        (name, count), unknown = few[0], "unknown" if few[0][1] == 1 else "hardly known"
        seeds = f"{count} seed{'s' if count > 1 else ''}"
        return f"seed variance {unknown}: {name} has {seeds}, at least {MIN_SEEDS} are needed"
    if not shape.skew or shape.freedom >= FEW_DRAWS:
        return ""
    name, count = used[0]
    if shape.trainings < FEW_DRAWS:  # of all tickers together
        needed = max(ENOUGH, 1 + int(np.ceil(FEW_DRAWS * (count - 1) / shape.trainings)))
        return f"so few trainings may all have been lucky: {name} has {count} seeds, {needed} are needed"
    if shape.tickers == 1 and seed_error > date_error * _shortfall(shape.seeds, shape.tickers):
        needed = max(ENOUGH, count + 1, int(np.ceil(count * (seed_error / max(date_error, 1e-300)) ** 2)))
        return f"seed variance may dominate: {name} has {count} seeds, about {min(needed, 1000)} are needed"
    return ""
