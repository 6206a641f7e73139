"""Compare two vintages of a file of bars: what was known of a day then, and what is said of it now."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from nextday.auditing.findings import Finding, Level
from nextday.auditing.foreign import KEYS, keyed
from nextday.auditing.perturb import TOLERANCE, differing
from nextday.data.frames import read_frame
from nextday.errors import DataError
from nextday.names import known
from nextday.settings import VALUES
from nextday.words import plural

LEFT, NEWER = "rows left", " newer"  # names of columns while vintages are compared
LEAST = 20  # rows in common
NEARLY_ALL = 0.9  # share of the rows, of the tickers that moved
TAIL = 0.4  # share of a ticker's rows that a revised end may have with gaps in it
FULL = 0.5  # share of the rows of such an end that moved
EXACT, ROUNDED = 1e-5, 1e-3  # by which an affine map may miss: share of a column's spread, and of a rounded price


@dataclass(frozen=True, slots=True)
class _Column:
    """One column in both vintages, on their common rows.

    Attributes
    ----------
    name
        Its name.
    before, after
        Its values in the older and in the newer vintage, shape [row].
    ticker
        Number of the row's ticker, shape [row].
    left
        Rows of the ticker from this one to its last in the older vintage, shape [row]; 1 is the last.
    moved
        Whether the values differ, shape [row].
    """

    name: str
    before: np.ndarray
    after: np.ndarray
    ticker: np.ndarray
    left: np.ndarray
    moved: np.ndarray

    @property
    def concerned(self) -> np.ndarray:
        """Rows of the tickers of which any row moved, shape [row]."""
        return np.isin(self.ticker, self.ticker[self.moved])

    @property
    def share(self) -> float:
        """Share of these rows that moved."""
        return float(self.moved.sum() / max(self.concerned.sum(), 1))

    @property
    def reach(self) -> int:
        """Rows from the first that moved to the end of the older vintage, of the ticker with most; 0 if none moved."""
        return int(self.left[self.moved].max(initial=0))

    @property
    def is_tail(self) -> bool:
        """Whether what moved are the last rows of each ticker."""
        rows = sum(
            int(self.left[self.moved & (self.ticker == one)].max()) for one in np.unique(self.ticker[self.moved])
        )
        filled = self.moved.sum() / max(rows, 1)
        return bool(filled > NEARLY_ALL or (filled >= FULL and rows <= TAIL * self.concerned.sum()))

    def is_affine(self) -> bool:
        """Return whether one factor and one shift for each ticker explain the change."""
        there = np.isfinite(self.before) & np.isfinite(self.after)
        if (self.moved & ~there).sum() > (1 - NEARLY_ALL) * self.moved.sum():
            return False
        for one in np.unique(self.ticker[self.moved]):
            rows = there & (self.ticker == one)
            design = np.column_stack([np.ones(rows.sum()), self.before[rows]])
            found = np.linalg.lstsq(design, self.after[rows], rcond=None)[0]
            miss, spread = np.abs(design @ found - self.after[rows]), np.ptp(self.after[rows]) if rows.any() else 0.0
            limit = ROUNDED * np.abs(self.after[rows]) if self.name in VALUES else EXACT * spread
            if (miss > limit).any():
                return False
        return True


def compare_vintages(newer: object, older: object, columns: Sequence[str] | None = None) -> tuple[Finding, ...]:
    """Compare two vintages of a file of bars, column by column, on the rows that both have.

    What is known of a day must be what was known then. A column that moved on nearly all days is scaled or fitted with
    the whole file; one of which only the end moved reads ahead, or is revised for some days.

    Parameters
    ----------
    newer, older
        Bars with ``ticker`` and ``date``, of Polars or pandas; the newer ones have the same days and more.
    columns
        Columns to compare; unless given, all numeric ones that both have.

    Returns
    -------
    The findings: ``V1`` rows are gone, ``V2`` rescaled, ``V3`` changed on nearly all days, ``V4`` changed at the end,
    ``V5`` revised here and there. Of the prices and the volume none is an alarm.

    Raises
    ------
    DataError
        If there are fewer than 20 common rows, the newer bars end first, or a column is not in both.

    Examples
    --------
    >>> import polars as pl
    >>> from nextday.data import random_walk
    >>> bars = random_walk(tickers=("KO",), sessions=300, seed=1).frame
    >>> def scaled(frame):
    ...     return frame.with_columns(level=pl.col("volume") / pl.col("volume").mean())
    >>> [(one.name, one.level, one.code) for one in compare_vintages(scaled(bars), scaled(bars.head(250)))]
    [('level', 'alarm', 'V2')]
    """
    new, old = (
        keyed(read_frame(frame), f"the {which} bars").sort(KEYS)
        for which, frame in (("newer", newer), ("older", older))
    )
    old = old.with_columns(pl.int_range(pl.len(), 0, -1).over("ticker").alias(LEFT))
    chosen = _chosen(new, old, columns)
    both = old.join(new, on=KEYS, how="inner", suffix=NEWER, maintain_order="left")
    _refuse(new, old, both)
    compared = [_column(both, name) for name in chosen]
    bars = [_column(both, name) for name in VALUES if name != "adj_close" and name in old and name in new]
    ends = max((one.reach for one in bars if one.moved.any() and one.is_tail), default=0)
    return (*_gone(new, old), *(_judged(one, both, ends) for one in compared if one.moved.any()))


def _chosen(new: pl.DataFrame, old: pl.DataFrame, columns: Sequence[str] | None) -> list[str]:
    shared = [
        name for name, kind in old.schema.items()
        if name not in (*KEYS, LEFT) and name in new and all(_is_number(one) for one in (kind, new.schema[name]))
    ]  # fmt: skip
    unknown = [name for name in columns or () if name not in shared]
    if unknown:
        raise DataError(f"no numeric column {unknown[0]!r} in both vintages; {known(unknown[0], shared)}")
    return list(columns) if columns else shared


def _is_number(kind: pl.DataType) -> bool:
    return kind.is_numeric() or kind == pl.Boolean


def _refuse(new: pl.DataFrame, old: pl.DataFrame, both: pl.DataFrame) -> None:
    """Refuse vintages that are exchanged, or have next to no rows in common."""
    if len(both) < LEAST:
        raise DataError(
            f"the two vintages have {plural(len(both), 'row')} of the same ticker and date; at least {LEAST} are needed"
        )
    ends, ended = (date.fromisoformat(str(one["date"].max())) for one in (new, old))
    if ends < ended:
        raise DataError(f"the newer bars end on {ends}, before the older ones ({ended}); exchange them")


def _column(both: pl.DataFrame, name: str) -> _Column:
    before, after = (both[one].cast(pl.Float64).to_numpy() for one in (name, f"{name}{NEWER}"))
    sizes = np.abs(np.concatenate([before, after]))
    limit = TOLERANCE * sizes[np.isfinite(sizes)].max(initial=0)
    moved = differing(before, after, limit)
    return _Column(name, before, after, both["ticker"].rle_id().to_numpy(), both[LEFT].to_numpy(), moved)


def _gone(new: pl.DataFrame, old: pl.DataFrame) -> Iterator[Finding]:
    """Note rows of the older vintage that the newer one does not have."""
    gone = old.join(new, on=KEYS, how="anti").sort("date", "ticker")
    if len(gone):
        those = "row of the older bars is" if len(gone) == 1 else "rows of the older bars are"
        first = f"{gone['ticker'][0]} on {gone['date'][0]}"
        sentence = f"{len(gone):,} {those} missing from the newer ones, first {first}."
        yield Finding("", "note", "V1", sentence, {"rows": len(gone)})


def _judged(column: _Column, both: pl.DataFrame, ends: int) -> Finding:
    """Return what the rows that moved have in common; ``ends`` last bars of the older vintage were not final."""
    name, reach, is_bar = column.name, column.reach, column.name in VALUES
    rows, every = int(column.moved.sum()), plural(int(column.concerned.sum()), "common row")
    at = int(np.flatnonzero(column.moved)[both["date"].to_numpy()[column.moved].argmin()])
    first = f"{both['ticker'][at]} on {both['date'][at]}: {column.before[at]:.6g} before, {column.after[at]:.6g} now"
    level: Level
    if column.share > NEARLY_ALL and column.is_affine():
        code, level = "V2", "note" if is_bar else "alarm"
        what = (
            f"changed on {rows:,} of {every}, by one factor and one shift per ticker: rescaled by the whole sample, or "
            f"re-adjusted by a split"
        )
    elif column.share > NEARLY_ALL:
        code, level = "V3", "question" if is_bar else "alarm"
        cause = "the vendor has replaced these values" if is_bar else "fitted on the whole sample"
        what = f"changed on {rows:,} of {every}, by no common factor: {cause}"
    elif column.is_tail:
        code, level = "V4", "question" if is_bar or reach <= ends else "alarm"
        days = plural(reach, "day")
        cause = "the last bars were not final" if is_bar else f"it reads up to {days} ahead, or is revised for {days}"
        beside = "" if is_bar or reach > ends else f" (the bars of the {_last(ends)} changed as well)"
        what = f"changed on the {_last(reach)} of the older bars only: {cause}{beside}"
    else:
        code, level = "V5", "question"
        what = f"was revised on {rows:,} of {every}; a backtest should use the values known at the time"
    numbers = {"rows": rows, "share": column.share, "reach": reach}
    return Finding(name, level, code, f"{name} {what}; first {first}.", numbers)


def _last(days: int) -> str:
    return "last day" if days == 1 else f"last {days:,} days"
