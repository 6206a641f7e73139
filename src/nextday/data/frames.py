"""Bars as Python programs hand them over: frames of Polars, pandas and Arrow, brought to one Polars frame."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from nextday.data.columns import plain
from nextday.data.texts import from_levels
from nextday.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

LEVELS = "the pandas frame has column levels that are not fields and tickers; bring it to one row per date and ticker"


def read_frame(source: Any) -> pl.DataFrame:  # noqa: ANN401 - whatever a program has
    """Bring a frame to Polars, its dates in a column and by the exchange's clock.

    Raises
    ------
    DataError
        If it is no frame, or one whose columns cannot be distinguished.
    """
    if isinstance(source, pl.DataFrame):
        return source
    if isinstance(source, pl.LazyFrame):
        return source.collect()
    if isinstance(source, Mapping):
        raise DataError("bars are a dict; join its frames with a column ticker: pd.concat(frames, names=['ticker'])")
    if hasattr(source, "to_frame") and not hasattr(source, "columns"):
        raise DataError("bars are a single column; hand over open, high, low, close, adj_close and volume")
    if hasattr(source, "schema") and hasattr(source, "to_pandas"):
        return pl.DataFrame(pl.from_arrow(source))
    if not hasattr(source, "reset_index"):
        raise DataError(f"bars must be a path, a Polars frame or a pandas frame, not {type(source).__name__}")
    return _from_pandas(source)


def _from_pandas(frame: "pd.DataFrame") -> pl.DataFrame:
    """Take a pandas frame, the dates in its index or in a column."""
    if frame.columns.nlevels > 1:
        return _unstacked(frame)
    doubled = frame.columns[frame.columns.duplicated()]
    if len(doubled):
        raise DataError(f"the frame has column {doubled[0]!r} more than once; keep one")
    columns = {str(name): _column(frame[name]) for name in frame.columns}
    for at, name in enumerate(frame.index.names):
        level = frame.index.get_level_values(at)
        if name is None and level.dtype.kind != "M":
            continue  # a mere count of rows
        label, values = "date" if name is None else str(name), _column(level.to_series())
        if label in columns and not columns[label].equals(values):
            raise DataError(f"the frame has {label} in its index and, with other values, as a column; keep one")
        columns = {label: values, **columns}
    return pl.DataFrame(columns)


def _unstacked(frame: "pd.DataFrame") -> pl.DataFrame:
    """Take what ``yf.download`` returns for several tickers: columns of fields and tickers, in either order."""
    levels = [frame.columns.get_level_values(at) for at in range(frame.columns.nlevels)]
    fields = [at for at, level in enumerate(levels) if "close" in {plain(str(name)) for name in level}]
    if len(levels) != 2 or len(fields) != 1:
        raise DataError(LEVELS)
    pairs = list(zip(map(str, levels[fields[0]]), map(str, levels[1 - fields[0]]), strict=True))
    values = [_column(frame.iloc[:, at]).alias(str(at)) for at in range(frame.shape[1])]
    return from_levels(_column(frame.index.to_series()), pairs, pl.DataFrame(values))


def _column(column: "pd.Series[Any]") -> pl.Series:
    """Move one column; text goes value by value, so that no pandas missing marker becomes a ticker."""
    kind = column.dtype.kind
    if kind == "M":
        zone = getattr(column.dt, "tz", None)
        local = column if zone is None else column.dt.tz_localize(None)
        stamps = pl.Series(local.to_numpy().astype("datetime64[us]"))
        return stamps.dt.replace_time_zone("UTC") if str(zone) == "UTC" else stamps
    if kind in "if" or column.dtype == bool:
        return pl.Series(column.to_numpy())
    return pl.Series([None if _is_missing(value) else str(value) for value in column], dtype=pl.String)


def _is_missing(value: object) -> bool:
    """Return what pandas and NumPy put for nothing: None, NA, NaT, NaN."""
    return value is None or type(value).__name__ in ("NAType", "NaTType") or value != value  # noqa: PLR0124 - NaN
