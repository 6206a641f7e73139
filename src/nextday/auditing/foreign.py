"""Call functions of others that map bars to a table, whether they are written for Polars or pandas."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from nextday.data.dates import read_dates
from nextday.data.frames import read_frame
from nextday.errors import DataError, first_line

Function = Callable[[Any], Any]
Run = Callable[[pl.DataFrame], pl.DataFrame]
KEYS = ("ticker", "date")
WRONG_KIND = (AttributeError, TypeError)  # what a function raises that is given the other kind of frame


def name_of(function: Function) -> str:
    """Return the name of a function for messages."""
    return str(getattr(function, "__name__", type(function).__name__))


def adapt(function: Function, frame: pl.DataFrame) -> tuple[Run, pl.DataFrame]:
    """Find out whether a function takes Polars or pandas.

    Parameters
    ----------
    function
        Maps a frame of bars to a table.
    frame
        The bars.

    Returns
    -------
    The function, from Polars to Polars, and what it returns for the bars.

    Raises
    ------
    DataError
        If it takes neither, or returns no table.
    """
    failures = []
    for convert in (_unchanged, pl.DataFrame.to_pandas):
        try:
            first = _call(function, convert, frame, "cannot be computed")
        except DataError as error:
            failures.append(error)
        else:
            return partial(_call, function, convert, what="works on the bars, but fails on perturbed ones"), first
    told = [one for one in failures if not isinstance(one.__cause__, (*WRONG_KIND, ImportError))]
    raise (told or failures)[0]


def _unchanged(frame: pl.DataFrame) -> pl.DataFrame:
    return frame


def _call(function: Function, convert: Callable[[pl.DataFrame], Any], frame: pl.DataFrame, what: str) -> pl.DataFrame:
    name = name_of(function)
    try:
        found = function(convert(frame))
    except Exception as error:
        raise DataError(f"{name} {what}: {type(error).__name__}: {first_line(error)}") from error
    if not hasattr(found, "columns"):
        raise DataError(f"{name} returned {type(found).__name__}; expected a frame with ticker and date")
    try:
        return read_frame(found)
    except DataError as error:
        raise DataError(f"{name}: {error}") from error


def keyed(table: pl.DataFrame, name: str, keys: Sequence[str] = KEYS, *, day: str = "date") -> pl.DataFrame:
    """Bring the keys of a table to their types: dates without a time of day, tickers as text.

    Raises
    ------
    DataError
        If a key is not there, or a row is there twice.
    """
    lacking = [key for key in keys if key not in table.columns]
    if lacking:
        raise DataError(f"{name} returned no column {lacking[0]}; it has {', '.join(table.columns)}")
    table = table.with_columns(pl.col("ticker").cast(pl.String), read_dates(table[day], name).alias(day))
    twice = table.filter(pl.struct(keys).is_duplicated())
    if len(twice):
        raise DataError(f"{name} returned more than one row of {twice['ticker'][0]} on {twice[day][0]}")
    return table


def on_grid(
    table: pl.DataFrame, tickers: Sequence[str], dates: np.ndarray, columns: Sequence[str]
) -> np.ndarray:  # fmt: skip
    """Put columns on a grid of tickers and days.

    Parameters
    ----------
    table
        Rows with ``ticker`` and ``date``, each once; rows of other tickers and days are left out.
    tickers, dates
        The grid; dates as ``datetime64[D]`` in ascending order.
    columns
        Numeric or boolean columns.

    Returns
    -------
    Float64, shape [ticker, date, column]; not a number where there is no value.
    """
    there = table.filter(pl.col("ticker").is_in(tickers) & pl.col("date").is_in(pl.Series(dates).implode()))
    values = np.full((len(tickers), len(dates), len(columns)), np.nan)
    ticker = there["ticker"].cast(pl.Enum(tickers)).to_physical().to_numpy()
    date = np.searchsorted(dates, there["date"].to_numpy())
    numbers = there.select(pl.col(columns).cast(pl.Float64))
    values[ticker, date] = np.column_stack([column.to_numpy() for column in numbers.iter_columns()])
    return values
