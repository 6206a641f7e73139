"""Convert a forecasts table to the common grid of tickers and dates, one variant at a time."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from nextday.errors import VerdictError
from nextday.evaluate.guards import (
    agreement,
    check_actual,
    check_units,
    day,
    distinct_seeds,
    fineness,
    known_pooled,
    say_crossing,
    say_diverged,
    typical_size,
)
from nextday.evaluate.losses import LOSSES, ZERO, Cells, Losses, cells_of, loss_named
from nextday.evaluate.reading import Prepared, prepare, select_columns, with_pinball
from nextday.evaluate.scales import ScaleName, predicted_scale, training_scale
from nextday.names import known
from nextday.study import LEAST_NAMES
from nextday.words import plural

if TYPE_CHECKING:
    import pandas as pd


def measure(
    forecasts: "pl.DataFrame | pl.LazyFrame | pd.DataFrame | Prepared", *, loss: str = "squared",
    benchmark: str | None = None, folds: pl.DataFrame | None = None, pooled: Collection[str] = (),
    scale: ScaleName = "training", parts: bool = False,
) -> Losses:  # fmt: skip
    """Score a forecasts table on the common grid of its variants, one variant at a time.

    Parameters
    ----------
    forecasts
        Columns ``variant, ticker, origin, actual, predicted``, optional ``seed``, ``fold``; in any order.
    loss
        A name of ``LOSSES``, one of ``loss_across``, or a numeric column of the table that holds a loss per row.
    benchmark
        The variant against which skill is measured; default: the zero forecast.
    folds
        The folds table, for the scale of each ticker's losses in its training window; without it a ticker's losses are
        divided by the mean loss of the zero forecast over its own samples, a constant for all variants.
    pooled
        Variants in which one network forecasts all tickers.
    scale
        ``training`` as above, or ``predicted``: squared losses are divided by the variance predicted at each origin;
        see ``predicted_scale``.
    parts
        Whether to compute the penalty too; for the squared loss.

    Raises
    ------
    VerdictError
        If columns are missing, variants differ in their samples or actual values, a row occurs twice, or a forecast is
        not finite; each with the first offending row.
    """
    if loss != "squared" and (parts or scale == "predicted"):
        asked = "the penalty" if parts else "the predicted scale"
        raise VerdictError(f"{asked} is defined for the squared loss, not for {loss!r}")
    table = _Table(prepare(forecasts), loss, benchmark)
    together = known_pooled(pooled, table.variants)
    names = tuple(name for name in table.variants if name != benchmark)
    if not names:
        raise VerdictError(f"the table has no variant other than the benchmark {benchmark!r}")
    divisor, divided = _divisor(table, folds, scale)
    across = loss_named(loss).across
    scored = {name: table.score(name, divisor, parts=parts) for name in table.variants}
    if not across:  # which compares no sizes
        table.say(check_units(table.sizes, typical_size(table.actual), refuse=folds is None))
    base = _Scored(
        cells_of((table.zero / divisor)[None], across=across, shares=table.shares),
        cells_of(0 * table.actual[None], shares=table.shares),
    )
    base = scored[benchmark] if benchmark else base
    if not np.nanmax(base.loss.mean) > 0:
        raise VerdictError(f"the {benchmark or ZERO} has zero loss; skill against it is undefined")

    def shared(name: str | None) -> bool:
        return across or name in together

    def lay_out(label: str, own: list[Cells], of_base: Cells, penalty: Losses | None) -> Losses:
        return Losses(
            label, benchmark or ZERO, names, table.tickers, table.dates, np.stack([cells.mean for cells in own]),
            of_base.mean, tuple(cells.seeds for cells in own), tuple(cells.by_seed for cells in own),
            tuple(cells.daily_by_seed for cells in own), table.index_hash(), tuple(map(shared, names)),
            of_base, shared(benchmark), divided, penalty, tuple(table.notes),
        )  # fmt: skip

    of_variants = [scored[name] for name in names]
    if not parts:
        return lay_out(loss, [one.loss for one in of_variants], base.loss, None)
    squares = [one.penalty for one in of_variants if one.penalty]
    assert base.penalty
    return lay_out(loss, [one.loss for one in of_variants], base.loss, lay_out("penalty", squares, base.penalty, None))


def _divisor(table: "_Table", folds: pl.DataFrame | None, scale: ScaleName) -> tuple[np.ndarray, str]:
    """Return the divisor of the losses, [ticker, date] or [ticker, 1], and its name."""
    if scale == "predicted":
        return predicted_scale(table.actual, folds, table.tickers), "predicted"
    chosen = loss_named(table.loss)
    divisor = training_scale(chosen, table.zero, folds, table.tickers)
    if chosen.scale is None:
        return divisor, "none"
    return divisor, "table" if folds is None else "training"


@dataclass(frozen=True, slots=True)
class _Scored:
    loss: Cells
    penalty: Cells | None


class _Table:
    """Reads one variant of a forecasts table at a time and holds it against the finest actual values there are."""

    def __init__(self, prepared: Prepared, loss: str, benchmark: str | None) -> None:
        rows, self.notes = prepared.rows, list(prepared.notes)
        crossing = say_crossing(rows) if "variant" in rows.collect_schema() else ""
        if crossing and loss == "pinball":
            raise VerdictError(crossing)
        self.loss, self.sizes = loss, dict[str, list[float]]()
        self.rows = select_columns(with_pinball(rows) if loss == "pinball" else rows, loss)
        self.rows = Prepared(self.rows).at_hand().rows  # a larger table is read anew for each variant
        self.variants = [str(name) for name in self._unique("variant")]
        self._check_keys(benchmark)
        self.tickers = tuple(self._unique("ticker").sort().to_list())
        self.origins = self._unique("origin").sort()
        self.dates = self.origins.to_numpy()
        self.reference, self.actual = self._finest_actual()
        self.say(crossing)
        self.say(check_actual(self.actual, self.tickers))
        if loss == "qlike":
            self._fits_qlike(benchmark)
        self.shares = _shares(~np.isnan(self.actual))
        self.zero = self._zero(benchmark)
        self.say(self._few_names() if loss_named(loss).across else "")

    def say(self, note: str) -> None:
        """Keep a sentence about the table."""
        if note:
            self.notes.append(note)

    def _unique(self, name: str) -> pl.Series:
        return self.rows.select(pl.col(name).unique(maintain_order=True)).collect().to_series()

    def _check_keys(self, benchmark: str | None) -> None:
        if not self.variants:
            raise VerdictError("the forecasts table has no rows")
        for name in ("variant", "ticker", "origin"):
            values = self._unique(name)
            if values.has_nulls() or (values.dtype == pl.String and (values.str.strip_chars() == "").any()):
                raise VerdictError(f"the forecasts table has rows without {name}")
        if benchmark is not None and benchmark not in self.variants:
            raise VerdictError(
                f"benchmark {benchmark!r} is not in the table; {known(benchmark, self.variants, head='it has')}"
            )
        if benchmark is None and ZERO in self.variants:
            raise VerdictError(
                f"a variant is named {ZERO!r}, as is the default benchmark; rename it, or select it as the benchmark"
            )

    def _fits_qlike(self, benchmark: str | None) -> None:
        """Refuse returns, and the zero forecast, which QLIKE divides by."""
        if np.nanmin(self.actual) < 0:
            raise VerdictError("loss qlike is of values that are never negative; the table holds negative ones")
        if benchmark is None:
            raise VerdictError("loss qlike divides by the forecast, and the zero forecast has none; name a benchmark")

    def _few_names(self) -> str:
        """Count the days with too few tickers to compare, and refuse a table of nothing else."""
        names = (~np.isnan(self.actual)).sum(axis=0)
        few = int((names < LEAST_NAMES).sum())
        if few == len(names):
            raise VerdictError(
                f"loss {self.loss} compares the tickers of a day and needs {LEAST_NAMES} of them; the table has at "
                f"most {names.max()}"
            )
        return f"{plural(few, 'day')} with fewer than {LEAST_NAMES} tickers left out" if few else ""

    def _zero(self, benchmark: str | None) -> np.ndarray:
        """Return the loss of the zero forecast, [ticker, date]; a column of losses is scaled by absolute values."""
        point = loss_named(self.loss).of
        if benchmark is None and point is None:
            raise VerdictError(f"loss {self.loss!r} is a column, which the zero forecast has not; name a benchmark")
        return (point or LOSSES["absolute"].of)(self.actual, np.zeros_like(self.actual))  # type: ignore[misc]

    def _finest_actual(self) -> tuple[str, np.ndarray]:
        """Return the actual values that all others are held against, and whose they are: none has more digits."""
        first = fineness(self.rows).row(0, named=True)
        rows = self._rows(str(first["variant"])).filter(pl.col("seed").eq_missing(first["seed"]))
        actual = np.full(len(self.tickers) * len(self.dates), np.nan)
        actual[self._positions(rows, [first["seed"]])] = rows["actual"].to_numpy()
        return str(first["variant"]), actual.reshape(len(self.tickers), len(self.dates))

    def _rows(self, variant: str) -> pl.DataFrame:
        return self.rows.filter(pl.col("variant") == variant).collect()

    def score(self, variant: str, divisor: np.ndarray, *, parts: bool) -> _Scored:
        """Bring one variant onto the grid, after checking its rows."""
        rows = self._rows(variant)
        seeds = rows["seed"].unique().sort().to_list()
        at = self._positions(rows, seeds)
        shape = (len(seeds), *self.actual.shape)
        self._refuse_bad_rows(rows, at, variant, int(np.prod(shape)))
        actual, predicted = (_spread(rows[name], at, shape) for name in ("actual", "predicted"))
        self._same_samples(variant, seeds, actual)
        diverged = say_diverged(variant, seeds, predicted, self.tickers, self.dates, self.actual)
        losses = self._losses(rows, at, predicted, diverged)
        self.say(diverged)
        self.sizes[variant] = [typical_size(each) for each in predicted]
        kept, repeated = distinct_seeds(variant, seeds, predicted, losses)
        self.say(repeated)
        known = tuple(seeds[one] for one in kept if seeds[one] is not None)
        across = loss_named(self.loss).across
        return _Scored(
            cells_of(losses[kept] / divisor, known, across=across, shares=self.shares),
            cells_of(predicted[kept] ** 2 / divisor, known, shares=self.shares) if parts else None,
        )

    def _losses(self, rows: pl.DataFrame, at: np.ndarray, predicted: np.ndarray, diverged: str) -> np.ndarray:
        """Return the loss of every seed, ticker and date, all against the same actual values."""
        point = loss_named(self.loss).of
        with np.errstate(over="ignore"):
            losses = point(self.actual[None], predicted) if point else _spread(rows[self.loss], at, predicted.shape)
        if np.isinf(losses).any():
            raise VerdictError(f"{diverged}; a squared loss is too large for a number")
        return losses

    def index_hash(self) -> str:
        """Digest the (ticker, origin) pairs."""
        digest = hashlib.sha256("\n".join([*self.tickers, *map(str, self.dates)]).encode())
        digest.update(np.packbits(~np.isnan(self.actual)).tobytes())
        return digest.hexdigest()

    def _positions(self, rows: pl.DataFrame, seeds: list[int | None]) -> np.ndarray:
        """Return the cell of every row in a grid of seed, ticker and date."""
        ticker = rows["ticker"].cast(pl.Enum(self.tickers)).to_physical().to_numpy().astype(np.int64)
        date = np.asarray(self.origins.search_sorted(rows["origin"]), dtype=np.int64)
        known = [seed for seed in seeds if seed is not None]
        if known and len(known) < len(seeds):
            raise VerdictError(f"some rows of {rows['variant'][0]} have a seed and some have none")
        seed = np.searchsorted(known, rows["seed"].to_numpy()) if known else np.zeros(len(rows), np.int64)
        return (seed * len(self.tickers) + ticker) * len(self.dates) + date

    def _refuse_bad_rows(self, rows: pl.DataFrame, at: np.ndarray, variant: str, size: int) -> None:
        numbers = [name for name in ("actual", "predicted", self.loss) if name in rows.columns]
        for name in numbers:
            finite = np.isfinite(rows[name].to_numpy())  # what is missing is not
            if not finite.all():
                wrong = rows.filter(~finite)
                raise VerdictError(
                    f"{variant}: {name} is not finite in {plural(len(wrong), 'row')}; first: {_show(wrong)}"
                )
        twice = np.bincount(at, minlength=size)[at] > 1
        if twice.any():
            again = rows.filter(twice)
            first = again.filter(np.equal(at[twice], at[twice][0]))
            if "fold" in rows.columns and first["fold"].n_unique() > 1:
                folds = " and ".join(map(str, first["fold"].unique().sort().to_list()))
                raise VerdictError(
                    f"{variant}: folds overlap: {len(again)} rows share ticker, origin and seed with one of another "
                    f"fold; first: {_show(again)}, in folds {folds}; keep one forecast of each origin"
                )
            raise VerdictError(f"{variant}: {len(again)} rows share ticker, origin and seed; first: {_show(again)}")

    def _same_samples(self, variant: str, seeds: list[int | None], actual: np.ndarray) -> None:
        """Refuse samples or actual values that differ from the reference; note values that agree up to rounding."""
        said: dict[str, float] = {}
        for seed, own in zip(seeds, actual, strict=True):
            label = variant if seed is None else f"{variant} seed {seed}"
            self._refuse_other_samples(label, own)
            to = agreement(self.actual, own)
            if to is None:
                self._refuse_other_actual(label, own)
            elif to:
                said[to] = max(said.get(to, 0.0), float(np.nanmax(np.abs(own - self.actual))))
        for to, gap in said.items():
            self.say(
                f"actual values of {variant} agree with those of {self.reference} to {to} and are taken as equal "
                f"(largest difference {gap:.1g})"
            )

    def _refuse_other_samples(self, label: str, actual: np.ndarray) -> None:
        here, there = ~np.isnan(actual), ~np.isnan(self.actual)
        if (here != there).any():
            ticker, date = (int(i) for i in np.argwhere(here != there)[0])
            has, lacks = (label, self.reference) if here[ticker, date] else (self.reference, label)
            raise VerdictError(
                f"variants are scored on different samples: {self.reference} has {there.sum()}, {label} has "
                f"{here.sum()}; first: {self.tickers[ticker]} at {day(self.dates[date])} is in {has} and not in {lacks}"
            )

    def _refuse_other_actual(self, label: str, actual: np.ndarray) -> None:
        gap = np.where(np.isnan(actual), 0, np.abs(actual - self.actual))
        ticker, date = (int(i) for i in np.unravel_index(gap.argmax(), gap.shape))  # a rounded one is not the trouble
        raise VerdictError(
            f"actual values differ: {self.tickers[ticker]} at {day(self.dates[date])} is {self.actual[ticker, date]} "
            f"in {self.reference} and {actual[ticker, date]} in {label}"
        )


def _shares(present: np.ndarray) -> np.ndarray | None:
    """Return the share of each cell in the mean over dates of the mean over tickers; None if all tickers have all."""
    counts = present.sum(axis=0)
    used = counts > 0
    if present[:, used].all():
        return None
    return present / np.where(used, counts, 1) / used.sum()


def _spread(values: pl.Series, at: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Put a column onto the grid; NaN where there is no row."""
    grid = np.full(int(np.prod(shape)), np.nan)
    grid[at] = values.to_numpy()
    return grid.reshape(shape)


def _show(rows: pl.DataFrame) -> str:
    first = rows.row(0, named=True)
    hidden = ("variant", "fold")
    return ", ".join(f"{name} {value}" for name, value in first.items() if value is not None and name not in hidden)
