"""Losses of every variant on the same samples, on one grid of variant, ticker and date: the input of the verdict."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from nextday.evaluate.across import FIFTHS, information, spread
from nextday.study import SPREAD
from nextday.words import plural

KEYS = ("variant", "ticker", "origin", "actual", "predicted")
ZERO = "zero forecast"
FLOOR, TINY = 0.01, 1e-12  # of a forecast that QLIKE divides by, as a share of the mean; and of that mean


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss: the score of a row, and the skill computed from two mean losses.

    Attributes
    ----------
    of
        Maps ``actual, predicted`` to the loss of each row; missing for rows that do not count. None for the pinball
        loss, which has its own column.
    skill
        Maps the mean loss of a variant and that of the benchmark to skill; higher is better.
    slope
        Derivative of ``skill`` by the variant's mean loss.
    scale
        Column of the folds table by which a ticker's losses are divided, so that no volatile ticker dominates.
    margin
        Default margin of equivalence, in units of skill.
    unit, sign
        Unit of a skill of 0.01, and as figures have it.
    skewed
        Whether the loss of a seed is skewed like a chi-square, see ``seeds``.
    across
        Whether a loss is of all tickers of a date together, so that their seed errors are shared.
    """

    of: Callable[[np.ndarray, np.ndarray], np.ndarray] | None
    skill: Callable[[np.ndarray, np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray, np.ndarray], np.ndarray]
    scale: str | None
    margin: float
    unit: str
    sign: str = "%"
    skewed: bool = True
    across: bool = False


def _miss(actual: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    hit = np.where(predicted == 0, 0.5, (predicted > 0) == (actual > 0))
    return np.where(actual == 0, np.nan, 1 - hit)


def ratio(loss: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Compute the skill of a loss that has units of its own."""
    return 1 - loss / base


def ratio_slope(loss: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Compute the derivative of ``ratio`` with respect to the loss."""
    return -np.ones_like(loss) / base


def _qlike(actual: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Compute the quasi-likelihood loss in units of each ticker's mean; smaller forecasts are raised to 0.01."""
    mean = np.maximum(np.nanmean(actual, axis=-1, keepdims=True), TINY)
    raised = np.maximum(predicted / mean, FLOOR)
    return actual / mean / raised + np.log(raised)


def _difference(loss: np.ndarray, base: np.ndarray, factor: float = 1) -> np.ndarray:
    return factor * (base - loss)


def _difference_slope(loss: np.ndarray, base: np.ndarray, factor: float = 1) -> np.ndarray:
    return -factor * np.ones_like(loss + base)


LOSSES: dict[str, Loss] = {
    "squared": Loss(
        lambda actual, predicted: (actual - predicted) ** 2,
        lambda loss, base: 1 - np.sqrt(loss / base),
        lambda loss, base: -0.5 / np.sqrt(np.maximum(loss, 1e-300) * base),
        "train_variance", 0.0025, "% of the benchmark's RMSE",
    ),
    "absolute": Loss(
        lambda actual, predicted: np.abs(actual - predicted), ratio, ratio_slope,
        "train_deviation", 0.0025, "% of the benchmark's MAE",
    ),
    "miss": Loss(_miss, _difference, _difference_slope, None, 0.01, "pp of directional accuracy", "pp"),
    "qlike": Loss(_qlike, _difference, _difference_slope, None, 0.0025, "QLIKE × 100", "QLIKE × 100"),
    "pinball": Loss(None, ratio, ratio_slope, "train_deviation", 0.005, "% of the benchmark's pinball loss"),
}  # fmt: skip
OF_COLUMN = Loss(None, ratio, ratio_slope, None, 0.0025, "% of the benchmark's loss")
BASIS_POINT = 1e-4
OF_RETURNS = ("squared", "absolute", "miss")  # point losses of returns; those of sizes are ``study.OF_SIZES``
POINT_LOSSES = tuple(name for name, loss in LOSSES.items() if loss.of)
"""``qlike`` is ``y / f + ln f`` in units of the mean of ``y``; the mean of a positive ``y`` minimises it (Patton 2011,
"Volatility forecast comparison using imperfect volatility proxies", Journal of Econometrics 160), and errors count
relative to the level."""


def _across(
    score: Callable[[np.ndarray, np.ndarray], np.ndarray], factor: float, margin: float, unit: str, sign: str
) -> Loss:
    """Make a loss of a score that is 0 for a forecast that orders nothing: 1 minus the score."""

    def of(actual: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        shape, cells = predicted.shape, actual.shape[-2:]
        same = np.where(np.isnan(actual), np.nan, predicted)  # the zero forecast is given everywhere
        return (1 - score(actual.reshape(cells), same.reshape(-1, *cells))).reshape(shape)

    return Loss(
        of, partial(_difference, factor=factor), partial(_difference_slope, factor=factor),
        None, margin, unit, sign, skewed=False, across=True,
    )  # fmt: skip


COEFFICIENTS = {
    "ic": _across(partial(information, ranks=False), 1, 0.005, "IC in %", "% IC"),
    "rank_ic": _across(partial(information, ranks=True), 1, 0.005, "rank IC in %", "% rank IC"),
}
NO_COLUMN = (*POINT_LOSSES, *COEFFICIENTS, "spread")  # losses that need no column of a table


@cache
def loss_across(name: str) -> Loss | None:
    """Return a loss of the cross-section: ``ic``, ``rank_ic``, ``spread``, ``spread/10`` (tenths), ``spread@10bp``.

    Margins: 0.005 of an information coefficient is a tenth of what Grinold and Kahn call a good one; one basis point a
    day is 2.5 % a year, about what trading the most liquid stocks costs.
    """
    if name in COEFFICIENTS:
        return COEFFICIENTS[name]
    found = SPREAD.fullmatch(name)
    if found is None:
        return None
    parts, cost = int(found["parts"] or FIFTHS), float(found["cost"] or 0)
    score = partial(spread, parts=parts, cost=cost * BASIS_POINT)
    return _across(score, 1 / (100 * BASIS_POINT), 0.01, "basis points a day", "bp")


@dataclass(frozen=True, slots=True)
class Cells:
    """Losses of one variant, or of the benchmark.

    Attributes
    ----------
    mean
        Loss averaged over seeds, shape [ticker, date].
    seeds
        Its seeds with distinct forecasts; empty for a deterministic model.
    by_seed
        Time-averaged loss of each seed and ticker, shape [seed, ticker]; one row where there are no seeds.
    daily_by_seed
        Loss of each seed and date averaged over tickers, shape [seed, date].
    """

    mean: np.ndarray
    seeds: tuple[int, ...]
    by_seed: np.ndarray
    daily_by_seed: np.ndarray


def cells_of(
    losses: np.ndarray, seeds: tuple[int, ...] = (), *, across: bool = False, shares: np.ndarray | None = None
) -> Cells:  # fmt: skip
    """Average losses [seed, ticker, date] over seeds, over dates and over tickers.

    Losses ``across`` tickers have one mean by seed, that over all dates. Where tickers come and go, ``shares`` of cells
    in the mean over dates, [ticker, date], make the mean by seed over tickers that mean.
    """
    daily = average(losses, axis=1)
    if across:
        by_seed = average(daily, axis=1)[:, None]
    elif shares is None:
        by_seed = average(losses, axis=2)
    else:
        by_seed = len(shares) * np.nansum(losses * shares, axis=2)
    return Cells(losses.mean(axis=0), seeds, by_seed, daily)


@dataclass(frozen=True, slots=True)
class Losses:
    """Losses on the grid that all variants share.

    Attributes
    ----------
    loss, benchmark
        Names of the loss and of the benchmark.
    variants, tickers, dates
        Labels of the axes; ``dates`` are origins.
    grid
        Loss averaged over seeds, shape [variant, ticker, date]; NaN where no sample exists or counts.
    base
        Loss of the benchmark, shape [ticker, date].
    seeds
        Seeds of each variant, identical ones counted once; empty for a deterministic model.
    by_seed
        Per variant the time-averaged loss of each seed and ticker, shape [seed, ticker].
    daily_by_seed
        Per variant the loss of each seed and date averaged over tickers, shape [seed, date].
    index_hash
        Digest of the common (ticker, origin) pairs.
    pooled
        Whether one network of a variant forecasts all tickers, so that its seed errors are shared by all of them.
    base_cells
        The benchmark's losses by seed, like those of the variants.
    base_pooled
        Whether the benchmark is one network for all tickers.
    scale
        The divisor of the losses: ``training`` (a moment of the ticker's training returns), ``table`` (the mean loss
        of the zero forecast in the table), ``predicted`` (the variance expected at each origin) or ``none``.
    penalty
        For the squared loss ``predicted ** 2`` on the same scale, the cost of forecasts that differ from zero; None
        unless requested. Loss = loss of the zero forecast + penalty - signal, the signal being twice actual times
        predicted.
    notes
        Notes on the table, one sentence each.
    """

    loss: str
    benchmark: str
    variants: tuple[str, ...]
    tickers: tuple[str, ...]
    dates: np.ndarray
    grid: np.ndarray
    base: np.ndarray
    seeds: tuple[tuple[int, ...], ...]
    by_seed: tuple[np.ndarray, ...]
    daily_by_seed: tuple[np.ndarray, ...]
    index_hash: str
    pooled: tuple[bool, ...]
    base_cells: Cells | None = None
    base_pooled: bool = False
    scale: str = "training"
    penalty: "Losses | None" = None
    notes: tuple[str, ...] = ()

    @property
    def base_by_ticker(self) -> np.ndarray:
        """Loss of the benchmark by ticker, of the weight that ``by_seed`` has, shape [ticker]."""
        return average(self.base, axis=1) if self.base_cells is None else self.base_cells.by_seed.mean(axis=0)

    def __repr__(self) -> str:
        return f"Losses of {size_of(self)}"


def loss_named(name: str) -> Loss:
    """Return a loss by its name; one that is a column of the table is measured in its own units."""
    return LOSSES.get(name) or loss_across(name) or OF_COLUMN


def seed_counts(losses: Losses) -> dict[str, int]:
    """Count the seeds of every variant and of the benchmark; 0 for deterministic ones."""
    of_benchmark = len(losses.base_cells.seeds) if losses.base_cells else 0
    return dict(zip(losses.variants, map(len, losses.seeds), strict=True)) | {losses.benchmark: of_benchmark}


def average(values: np.ndarray, *, axis: int) -> np.ndarray:
    """Compute the mean of values that are not NaN; NaN if all are."""
    count = (~np.isnan(values)).sum(axis=axis)
    return np.nansum(values, axis=axis) / np.where(count > 0, count, np.nan)


def size_of(losses: Losses) -> str:
    """Describe the grid in a line."""
    size = f"{plural(len(losses.tickers), 'ticker')}, {plural(len(losses.dates), 'day')}"
    variants = plural(len(losses.variants), "variant")
    return f"{variants}: {losses.loss} loss, against {the(losses.benchmark)}; {size}"


def the(name: str) -> str:
    """Write the name of a variant or of the zero forecast in a sentence."""
    return f"the {name}" if name == ZERO else name


def unit_of(losses: Losses) -> str:
    """Return the name of the unit of skill."""
    return loss_named(losses.loss).unit
