"""Columns that stand for several days: stamped at their start (T4), or used before they were public (T5)."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta

import numpy as np
import polars as pl

from nextday.auditing.findings import Finding
from nextday.auditing.moves import Moves, normal_scores
from nextday.data import Panel
from nextday.errors import DataError
from nextday.names import known as meant
from nextday.words import plural

ROUND = 1e-6  # of a deviation: values that differ by less are one
SHORTEST, RUNS = 3, 30  # rows of the median run, and runs in all
LEAST = {0.3: 6.0, 0.7: 3.5}  # standard errors of an alarm, by the least correlation
LAG = re.compile(r"^(\d{1,4})\s*d(ays?)?$")


def runs_of(row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first rows of the runs of equal values of one ticker, and the row after the last; missing ones end."""
    rounded = np.round(row / max(ROUND * float(np.nanstd(row)), 1e-300))
    last = int(np.flatnonzero(np.isfinite(row)).max(initial=-1)) + 1
    changed = np.concatenate([[True], rounded[1:last] != rounded[: last - 1]])[:last] & np.isfinite(row[:last])
    start = np.flatnonzero(changed)
    return start, np.concatenate([start[1:], [last]])[: len(start)]


def find_steps(name: str, values: np.ndarray, moves: Moves) -> Iterator[Finding]:
    """Correlate a step column, and its steps, with the returns of the days after its first that the value stands for.

    Every value is held against as many days, the median of all: the price above its moving average is a value that ends
    when the price falls, so that returns up to its own end agree with it, whatever it knew. Ranks within tickers; the
    dates on which values begin are the clusters of the standard error.
    """
    rows = [
        (row[start], start, stop, np.concatenate([[0.0], np.cumsum(np.nan_to_num(moved))]))
        for row, moved in zip(values, moves.returns, strict=True)
        if np.isfinite(row).sum() >= SHORTEST and np.nanstd(row) > 0
        for start, stop in [runs_of(row)]
    ]
    lengths = np.concatenate([stop - start for _, start, stop, _ in rows]) if rows else np.zeros(0)
    if not len(lengths) or np.median(lengths) < SHORTEST:
        return
    days, (levels, changes, followed, dates) = int(np.median(lengths)), ([], [], [], [])
    for level, start, _, totals in rows:
        whole = (np.arange(len(start)) > 0) & (start + days < len(totals))
        levels.append(level[whole])
        changes.append(np.diff(level, prepend=level[:1])[whole])
        followed.append(totals[start[whole] + days] - totals[start[whole] + 1])
        dates.append(start[whole])
    if sum(map(len, levels)) < RUNS:
        return
    day = np.concatenate(dates)
    after = np.concatenate([normal_scores(one[None])[0] for one in followed])
    best = max(_clustered(np.concatenate([normal_scores(one[None])[0] for one in each]), after, day)
               for each in (levels, changes))  # fmt: skip
    size, errors = best
    if any(size >= least and errors >= wanted for least, wanted in LEAST.items()):
        period = _period(float(np.median(lengths)))
        yield Finding(
            name, "alarm", "T4",
            f"A value of {name} agrees with the returns of the days that it stands for ({size:.2f}): it is stamped at "
            f"the start of its {period}.", {"correlation": size, "errors": errors},
        )  # fmt: skip


def _period(rows: float) -> str:
    return "week" if rows < 8 else "month" if rows < 40 else "period"


def _clustered(x: np.ndarray, y: np.ndarray, day: np.ndarray) -> tuple[float, float]:
    """Return the absolute correlation of standardised values and its standard errors, with days as clusters.

    The errors are those of no relation, so that few clusters cannot make them too small.
    """
    size, total = np.sqrt((x**2).sum() * (y**2).sum()), abs(float((x * y).sum()))
    error = float(np.sqrt((np.bincount(day, x * y) ** 2).sum()))
    return (total / size, total / error) if size > 0 and error > 0 else (0.0, 0.0)


def ends_of(dates: np.ndarray, period: str) -> np.ndarray:
    """Return the rows that begin or end a quarter or a month (``Q`` or ``M``), bool, shape [date]."""
    months = dates.astype("datetime64[M]").astype(int)
    number = months // 3 if period == "Q" else months
    turns = np.concatenate([[True], number[1:] != number[:-1]])
    return turns | np.concatenate([turns[1:], [True]])


def find_early(panel: Panel, known: Mapping[str, str]) -> Iterator[Finding]:
    """Find values that are used before they were public (T5).

    A column of dates says when exactly. A lag counts from the end of the quarter, or of the month for values that
    change every month, that was over when the value began; it applies to steps at ends of periods alone, as a value
    that begins later may be of a period that was published late.

    Raises
    ------
    DataError
        If a column is not there, or is no column of dates and no lag.
    """
    frame = panel.frame.filter(pl.col("ticker").is_in(panel.tickers))
    for name, when in known.items():
        for column in (name, *([] if LAG.match(when) else [when])):
            if column not in frame.columns:
                raise DataError(f"known: {panel.source} has no column {column!r}; {meant(column, frame.columns)}")
        lag = LAG.match(when)
        public = _dates(frame, when, panel.source) if lag is None else _by_lag(frame, name, int(lag[1]))
        late = frame.select("ticker", "date", name).with_columns(public=public).filter(
            pl.col("date") < pl.col("public"), pl.col(name).is_not_null()
        )  # fmt: skip
        if len(late):
            ticker, day, _, of = late.row(0)
            yield Finding(
                name, "alarm", "T5",
                f"{name} of {ticker} is used on {day} and was public on {of} ({plural(len(late), 'row')}).",
                {"rows": float(len(late))},
            )  # fmt: skip


def _dates(frame: pl.DataFrame, name: str, source: str) -> pl.Series:
    column = frame[name]
    if column.dtype.is_temporal():
        return column.cast(pl.Date)
    read = column.cast(pl.String).str.to_date("%Y-%m-%d", strict=False)
    if read.null_count() > column.null_count():
        raise DataError(f"known: column {name} of {source} holds {column.dtype}; expected dates, or a lag such as 45d")
    return read


def _by_lag(frame: pl.DataFrame, name: str, lag: int) -> pl.Series:
    """Return the day on which each row's value was public: so long after the period that was over when it began."""
    public = np.full(len(frame), np.datetime64("NaT"), "datetime64[D]")
    at = 0
    for bars in frame.partition_by("ticker", maintain_order=True):
        dates, row = bars["date"].to_numpy(), bars[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
        start, stop = runs_of(row) if np.isfinite(row).any() else (np.array([], int), np.array([], int))
        quarterly = len(start) and np.median(stop - start) > 40
        period = 3 if quarterly else 1
        edge = ends_of(dates, "Q" if quarterly else "M")
        for first, last in zip(start[1:], stop[1:], strict=True):
            if edge[first]:
                later = dates[first] + np.timedelta64(4, "D")  # the last day of a period counts as its end
                month = later.astype("datetime64[M]").astype(int)
                over = (np.datetime64("1970-01") + month // period * period).astype("datetime64[D]") - 1
                public[at + first : at + last] = over + np.timedelta64(timedelta(days=lag))
        at += len(bars)
    return pl.Series(public)
