"""Losses of every variant on the same samples, on one grid of variant, ticker and date: what the verdict works on."""

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import polars as pl

from nextday.errors import VerdictError
from nextday.evaluate.quantiles import columns_of

KEYS = ("variant", "ticker", "origin", "actual", "predicted")
ZERO = "zero forecast"


@dataclass(frozen=True, slots=True)
class Loss:
    """How a row is scored, and how two mean losses make a skill.

    Attributes
    ----------
    of
        Maps ``actual, predicted`` to the loss of each row; missing where the row does not count. None for a loss of
        quantiles, which has a column of its own.
    skill
        Maps the mean loss of a variant and that of the benchmark to the skill, higher is better.
    slope
        Derivative of ``skill`` by the variant's mean loss.
    scale
        Column of the folds table that losses of a ticker are divided by, so that no volatile ticker owns the answer.
    margin
        Default margin of equivalence, in units of skill.
    unit
        What a skill of 0.01 is called.
    """

    of: Callable[[np.ndarray, np.ndarray], np.ndarray] | None
    skill: Callable[[np.ndarray, np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray, np.ndarray], np.ndarray]
    scale: str | None
    margin: float
    unit: str


def _miss(actual: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    hit = np.where(predicted == 0, 0.5, (predicted > 0) == (actual > 0))
    return np.where(actual == 0, np.nan, 1 - hit)


def ratio(loss: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Skill of a loss that is measured in its own units."""
    return 1 - loss / base


def ratio_slope(loss: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Derivative of ``ratio`` by the loss."""
    return -np.ones_like(loss) / base


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
    "miss": Loss(
        _miss, lambda loss, base: base - loss, lambda loss, base: -np.ones_like(loss + base),
        None, 0.01, "pp of days hit",
    ),
    "pinball": Loss(None, ratio, ratio_slope, "train_deviation", 0.005, "% of the benchmark's pinball loss"),
}  # fmt: skip
POINT_LOSSES = tuple(name for name, loss in LOSSES.items() if loss.of)


@dataclass(frozen=True, slots=True)
class Losses:
    """Losses on the grid that all variants share.

    Attributes
    ----------
    loss, benchmark
        Names of the loss, and of what skill is measured against.
    variants, tickers, dates
        Names along the axes; ``dates`` are origins.
    grid
        Loss averaged over seeds, shape [variant, ticker, date]; NaN where there is no sample or it does not count.
    base
        Loss of the benchmark, shape [ticker, date].
    seeds
        Per variant its seeds; empty for a model without randomness.
    by_seed
        Per variant the time-averaged loss of each seed and ticker, shape [seed, ticker].
    daily_by_seed
        Per variant the loss of each seed and date averaged over tickers, shape [seed, date].
    index_hash
        Digest of the common (ticker, origin) pairs.
    pooled
        Per variant whether one network forecasts all tickers, so that a seed's luck is one for all of them.
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


def measure(
    forecasts: pl.DataFrame | pl.LazyFrame, *, loss: str = "squared", benchmark: str | None = None,
    folds: pl.DataFrame | None = None, pooled: Collection[str] = (),
) -> Losses:  # fmt: skip
    """Score a forecasts table on the grid that all its variants share, one variant at a time.

    Parameters
    ----------
    forecasts
        Columns ``variant, ticker, origin, actual, predicted``, optional ``seed``, ``fold``; in any order.
    loss
        A name of ``LOSSES``, or a numeric column of the table that holds a loss per row.
    benchmark
        The variant that skill is measured against; the zero forecast unless given.
    folds
        The folds table, for the scale of each ticker's losses in its training window; without it a ticker's losses are
        divided by the mean loss of the zero forecast over its own samples, a constant for all variants.
    pooled
        Variants of which one network forecasts all tickers.

    Raises
    ------
    VerdictError
        If columns are missing, variants differ in their samples or actual values, a row comes twice, or a forecast is
        not a number; each with the first offending row.
    """
    table = _Table(with_pinball(forecasts.lazy()) if loss == "pinball" else forecasts.lazy(), loss, benchmark)
    names = tuple(name for name in table.variants if name != benchmark)
    if not names:
        raise VerdictError(f"the table holds no variant beside the benchmark {benchmark!r}")
    chosen = LOSSES.get(loss)
    point = chosen.of if chosen else None
    if benchmark is None and point is None:
        raise VerdictError(f"loss {loss!r} is a column, which the zero forecast has not; name a benchmark")
    zero = (point or LOSSES["absolute"].of)(table.actual, np.zeros_like(table.actual))  # type: ignore[misc]
    scale = _scales(chosen, zero, folds, table.tickers)
    cells = [table.cells(name, scale) for name in names]
    base = zero / scale[:, None] if benchmark is None else table.cells(benchmark, scale).mean
    if not np.nanmax(base) > 0:
        raise VerdictError(f"the {benchmark or ZERO} makes no error at all; skill against it means nothing")
    return Losses(
        loss, benchmark or ZERO, names, table.tickers, table.dates, np.stack([cell.mean for cell in cells]), base,
        tuple(cell.seeds for cell in cells), tuple(cell.by_seed for cell in cells),
        tuple(cell.daily_by_seed for cell in cells), table.index_hash(), tuple(name in pooled for name in names),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Cells:
    """One variant: mean loss [ticker, date], by seed over time [seed, ticker] and over tickers [seed, date]."""

    mean: np.ndarray
    seeds: tuple[int, ...]
    by_seed: np.ndarray
    daily_by_seed: np.ndarray


class _Table:
    """Reads one variant of a forecasts table at a time and holds it against the first."""

    def __init__(self, rows: pl.LazyFrame, loss: str, benchmark: str | None) -> None:
        columns = rows.collect_schema().names()
        wanted = [*KEYS] if loss in POINT_LOSSES else [*KEYS, loss]
        missing = [name for name in wanted if name not in columns]
        if missing:
            raise VerdictError(
                f"the forecasts table has no column {missing[0]!r}; it has {', '.join(columns)}; "
                f"losses that need no column: {', '.join(POINT_LOSSES)}"
            )
        seed = pl.col("seed") if "seed" in columns else pl.lit(None, pl.Int64).alias("seed")
        self.rows, self.loss = rows.select(*wanted, seed), loss
        self.variants = [str(name) for name in self._unique("variant")]
        if not self.variants:
            raise VerdictError("the forecasts table has no rows")
        for name in ("variant", "ticker", "origin"):
            if self._unique(name).has_nulls():
                raise VerdictError(f"the forecasts table has rows without {name}")
        self.tickers = tuple(self._unique("ticker").cast(pl.String).sort().to_list())
        self.origins = self._unique("origin").sort()
        self.dates = self.origins.to_numpy()
        if benchmark is not None and benchmark not in self.variants:
            raise VerdictError(
                f"benchmark {benchmark!r} is not in the table; it has {', '.join(map(str, self.variants))}"
            )
        self.actual = self._actual_of_first()

    def _unique(self, name: str) -> pl.Series:
        return self.rows.select(pl.col(name).unique(maintain_order=True)).collect().to_series()

    def _actual_of_first(self) -> np.ndarray:
        """Give the actual values that all others are held against, from the first seed of the first variant."""
        rows = self._rows(self.variants[0])
        rows = rows.filter(pl.col("seed").eq_missing(rows["seed"][0]))
        actual = np.full(len(self.tickers) * len(self.dates), np.nan)
        actual[self._positions(rows, [rows["seed"][0]])] = rows["actual"].to_numpy()
        return actual.reshape(len(self.tickers), len(self.dates))

    def _rows(self, variant: str) -> pl.DataFrame:
        return self.rows.filter(pl.col("variant") == variant).collect()

    def cells(self, variant: str, scale: np.ndarray) -> _Cells:
        """Bring one variant onto the grid, after checking its rows."""
        rows = self._rows(variant)
        seeds = rows["seed"].unique().sort().to_list()
        at = self._positions(rows, seeds)
        shape = (len(seeds), *self.actual.shape)
        self._refuse_bad_rows(rows, at, variant, int(np.prod(shape)))
        observed, predicted = rows["actual"].to_numpy(), rows["predicted"].to_numpy()
        actual, losses = np.full(shape, np.nan), np.full(shape, np.nan)
        actual.reshape(-1)[at] = observed
        point = LOSSES[self.loss].of if self.loss in LOSSES else None
        losses.reshape(-1)[at] = point(observed, predicted) if point else rows[self.loss]
        if np.isinf(losses).any():
            raise VerdictError(f"{variant}: a loss is too large for a number; {np.abs(predicted).max():g} is no return")
        for number, seed in enumerate(seeds):
            self._same_samples(variant, seed, actual[number])
        losses /= scale[:, None]
        known = tuple(seed for seed in seeds if seed is not None)
        return _Cells(losses.mean(axis=0), known, average(losses, axis=2), average(losses, axis=1))

    def index_hash(self) -> str:
        """Digest the (ticker, origin) pairs."""
        digest = hashlib.sha256("\n".join([*self.tickers, *map(str, self.dates)]).encode())
        digest.update(np.packbits(~np.isnan(self.actual)).tobytes())
        return digest.hexdigest()

    def _positions(self, rows: pl.DataFrame, seeds: list[int | None]) -> np.ndarray:
        """Give the cell of every row in a grid of seed, ticker and date."""
        ticker = rows["ticker"].cast(pl.String).cast(pl.Enum(self.tickers)).to_physical().to_numpy().astype(np.int64)
        date = np.asarray(self.origins.search_sorted(rows["origin"]), dtype=np.int64)
        known = [seed for seed in seeds if seed is not None]
        seed = np.searchsorted(known, rows["seed"].to_numpy()) if known else np.zeros(len(rows), np.int64)
        if known and len(known) < len(seeds):
            raise VerdictError("some rows of a variant have a seed and some have none")
        return (seed * len(self.tickers) + ticker) * len(self.dates) + date

    def _refuse_bad_rows(self, rows: pl.DataFrame, at: np.ndarray, variant: str, size: int) -> None:
        numbers = [name for name in ("actual", "predicted", self.loss) if name in rows.columns]
        for name in numbers:
            finite = rows[name].is_finite().fill_null(value=False)
            if not finite.all():
                wrong = rows.filter(~finite)
                raise VerdictError(f"{variant}: {len(wrong)} values of {name} are not finite; first: {_show(wrong)}")
        twice = np.bincount(at, minlength=size)[at] > 1
        if twice.any():
            raise VerdictError(
                f"{variant}: {twice.sum()} rows share ticker, origin and seed; first: {_show(rows.filter(twice))}"
            )

    def _same_samples(self, variant: str, seed: int | None, actual: np.ndarray) -> None:
        label = variant if seed is None else f"{variant} seed {seed}"
        name, reference = self.variants[0], self.actual
        here, there = ~np.isnan(actual), ~np.isnan(reference)
        if (here != there).any():
            ticker, date = (int(i) for i in np.argwhere(here != there)[0])
            has, lacks = (label, name) if here[ticker, date] else (name, label)
            raise VerdictError(
                f"variants are scored on different samples: {name} has {there.sum()}, {label} has {here.sum()}; first: "
                f"{self.tickers[ticker]} at {self.dates[date]} is in {has} and not in {lacks}"
            )
        if (actual[here] != reference[here]).any():
            ticker, date = (int(i) for i in np.argwhere(here & (actual != reference))[0])
            raise VerdictError(
                f"actual values differ: {self.tickers[ticker]} at {self.dates[date]} is {reference[ticker, date]} in "
                f"{name} and {actual[ticker, date]} in {label}"
            )


def average(values: np.ndarray, *, axis: int) -> np.ndarray:
    """Mean of what is not NaN, NaN where all is."""
    count = (~np.isnan(values)).sum(axis=axis)
    return np.nansum(values, axis=axis) / np.where(count > 0, count, np.nan)


def _show(rows: pl.DataFrame) -> str:
    first = rows.row(0, named=True)
    return ", ".join(f"{name} {value}" for name, value in first.items() if value is not None and name != "variant")


def _scales(loss: Loss | None, zero: np.ndarray, folds: pl.DataFrame | None, tickers: tuple[str, ...]) -> np.ndarray:
    """Give the constant that a ticker's losses are divided by, shape [ticker]."""
    if loss is None or loss.scale is None:
        return np.ones(len(tickers))
    if folds is None:
        scale = np.nanmean(zero, axis=1)
    else:
        first = folds.sort("fold").group_by("ticker", maintain_order=True).first()
        known = dict(zip(first["ticker"], first[loss.scale], strict=True))
        lacking = [ticker for ticker in tickers if ticker not in known]
        if lacking:
            raise VerdictError(f"the folds table has no row of {lacking[0]}, which the forecasts table has")
        scale = np.array([known[ticker] for ticker in tickers])
    usable = (scale > 0) & np.isfinite(scale)
    if not usable.all():
        flat = tickers[int(np.argmin(usable))]
        raise VerdictError(f"the actual values of {flat} never move; there is nothing to compare")
    return scale


def with_pinball(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Add the pinball loss of every row's quantiles, averaged over levels; missing where a variant has none."""
    columns = columns_of(rows.head(0).collect())
    if not columns:
        raise VerdictError("the pinball loss needs quantiles; they are columns such as q0.05, q0.5, q0.95")
    over = {level: pl.col(name) - pl.col("actual") for level, name in columns.items()}
    each = [pl.max_horizontal((1 - level) * by, -level * by) for level, by in over.items()]
    return rows.with_columns(pinball=pl.mean_horizontal(each, ignore_nulls=False))


def unit_of(losses: Losses) -> str:
    """Say what a skill of 0.01 is called."""
    return LOSSES[losses.loss].unit if losses.loss in LOSSES else "% of the benchmark's loss"
