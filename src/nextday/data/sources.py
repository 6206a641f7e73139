"""Where bars come from: the embedded sample, Parquet and CSV files, folders of them, and frames."""

import hashlib
import re
from importlib import resources
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from polars import selectors as cs

from nextday.data.bars import COLUMNS, Bars, check_keys
from nextday.data.checks import check_bars
from nextday.data.snapshot import verify_snapshot
from nextday.errors import DataError, first_line

if TYPE_CHECKING:
    import pandas as pd

SAMPLE = resources.files("nextday.data") / "sample_bars.parquet"
SAMPLE_SHA256 = "1aecb55489c5e7196613617979ffcc445456a2c5b64e376765bbb9957800a11d"
SUFFIXES = (".parquet", ".csv")
ALIASES = {
    "adjclose": "adj_close", "adjusted_close": "adj_close", "adjustedclose": "adj_close",
    "symbol": "ticker", "datetime": "date", "timestamp": "date",
}  # fmt: skip


def load_bars(
    source: "str | Path | pl.DataFrame | pd.DataFrame", *, accept: tuple[str, ...] = (), drop_bad: bool = False
) -> Bars:
    """Read and check bars.

    Parameters
    ----------
    source
        ``"sample"``, a Parquet or CSV file, a folder with one such file per ticker, or a Polars or pandas frame.
        Columns are found whatever their case and spacing; a file without a ticker column is one ticker, named as the
        file. Numeric columns beyond the required ones are kept, to be named as features.
    accept
        Tickers whose jumps are real, ``*`` for all.
    drop_bad
        Leave out tickers with a fatal finding, and say so in the notes, instead of refusing the bars.

    Returns
    -------
    The bars, in the order of ticker and date.

    Raises
    ------
    DataError
        If the source cannot be read, or the bars are not what ``Bars`` demands.

    Examples
    --------
    >>> load_bars("sample").tickers[:3]
    ['AAPL', 'GS', 'IBM']
    """
    frame, name, notes = read_bars(source)
    if drop_bad:
        check_keys(frame, name)
        bad = {found.ticker: str(found) for found in check_bars(frame, accept=accept, fatal_only=True)}
        frame = frame.filter(~pl.col("ticker").is_in(bad))
        notes = [*notes, *(f"left out {finding}" for finding in bad.values())]
        if bad and frame.is_empty():
            raise DataError(f"{name}: every ticker is bad; {next(iter(bad.values()))}")
    return Bars(frame, name, accept, tuple(notes))


def read_bars(source: "str | Path | pl.DataFrame | pd.DataFrame") -> tuple[pl.DataFrame, str, list[str]]:
    """Read bars as they are, named and typed as in ``Bars``; give also where they come from, and notes on them."""
    if isinstance(source, pl.DataFrame):
        return _normalise(source, "frame"), "frame", []
    if not isinstance(source, str | Path):
        return _normalise(_from_pandas(source), "frame"), "frame", []
    if str(source) == "sample":
        return _read_sample(), "sample", []
    path = Path(source)
    if not path.exists():
        raise DataError(f"{path} does not exist; --data takes sample, yahoo, a Parquet or CSV file, or a folder")
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
        if not files:
            raise DataError(f"{path} holds no Parquet or CSV file")
        return _stack([(file, _read_file(file)) for file in files]), str(path), []
    manifest = verify_snapshot(path)
    return _read_file(path), str(path), manifest["notes"] if manifest else []


def _read_sample() -> pl.DataFrame:
    with resources.as_file(SAMPLE) as path:
        content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != SAMPLE_SHA256:
        raise DataError(f"the embedded sample is damaged (sha256 {found[:12]}...); install nextday again")
    return _normalise(pl.read_parquet(content), "sample")


def _read_file(path: Path) -> pl.DataFrame:
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path} is neither a .parquet nor a .csv file")
    try:
        if path.suffix.lower() == ".csv":
            frame = pl.read_csv(path, infer_schema=False)  # as text: NA, ON and TRUE are tickers, not values
        else:
            frame = pl.read_parquet(path, hive_partitioning=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path} cannot be read as {path.suffix[1:].lower()}: {first_line(error)}") from None
    return _normalise(frame, str(path), ticker=path.stem)


def _from_pandas(frame: "pd.DataFrame") -> pl.DataFrame:
    """Take a pandas frame, the dates in its index or in a column."""
    if not hasattr(frame, "reset_index"):
        raise DataError(f"bars must be a path, a Polars frame or a pandas frame, not {type(frame).__name__}")
    if frame.columns.nlevels > 1:
        raise DataError(
            "the pandas frame has column levels; bring it to one row per date and ticker with frame.stack()"
        )
    named = [str(name) for name in frame.index.names if name is not None]
    flat = frame.reset_index() if named else frame
    return pl.DataFrame({str(name): _column(flat[name]) for name in flat.columns})


def _column(column: "pd.Series[str]") -> pl.Series:
    """Move one column; text goes value by value, so that no pandas missing marker becomes a ticker."""
    if column.dtype.kind in "ifM":
        return pl.Series(column.to_numpy())
    return pl.Series([None if _is_missing(value) else str(value) for value in column], dtype=pl.String)


def _is_missing(value: object) -> bool:
    """Recognise None, NaN, NaT and pandas.NA without importing pandas."""
    return value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and isnan(value))


def _stack(frames: list[tuple[Path, pl.DataFrame]]) -> pl.DataFrame:
    seen: dict[str, Path] = {}
    for path, frame in frames:
        for ticker in frame["ticker"].drop_nulls().unique().sort().to_list():
            if ticker in seen:
                raise DataError(f"{ticker} is in both {seen[ticker]} and {path}; keep one of them")
            seen[ticker] = path
    extras = {name for _, frame in frames for name in frame.columns if all(name in other for _, other in frames)}
    return pl.concat(
        [frame.select(name for name in frame.columns if name in extras) for _, frame in frames], how="diagonal"
    )


def _normalise(frame: pl.DataFrame, where: str, ticker: str | None = None) -> pl.DataFrame:
    """Bring names and types to the documented ones, required columns first."""
    frame = frame.rename(_new_names(frame.columns, where))
    if "ticker" not in frame.columns and ticker is not None:
        frame = frame.with_columns(ticker=pl.lit(ticker))
    missing = [column for column in COLUMNS if column not in frame.columns]
    if missing:
        raise DataError(f"{where}: no column {', '.join(missing)}; found: {', '.join(frame.columns)}")
    if frame.is_empty():
        raise DataError(f"{where}: no rows; expected one row per ticker and date")
    extras = [name for name in frame.columns if name not in COLUMNS and _is_numeric(frame[name])]
    numbers = [name for name in COLUMNS if name not in ("date", "ticker")] + extras
    others = frame.select(cs.boolean() | cs.string(include_categorical=True)).drop(COLUMNS, *extras, strict=False)
    return frame.select(
        _dates(frame["date"], where),
        frame["ticker"].cast(pl.String).str.strip_chars(),
        *[_numbers(frame[name], where) for name in numbers],
        *others.cast({cs.string(include_categorical=True): pl.String}),  # a text is no feature, and is told so
    )


def _new_names(columns: list[str], where: str) -> dict[str, str]:
    new: dict[str, str] = {}
    for column in columns:
        plain = re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_")
        plain = ALIASES.get(plain, plain)
        if plain in COLUMNS and plain in new.values():
            other = next(old for old, name in new.items() if name == plain)
            raise DataError(f"{where}: columns {other!r} and {column!r} both read as {plain}; keep one")
        new[column] = plain if plain in COLUMNS else column
    return new


def _is_numeric(column: pl.Series) -> bool:
    if column.dtype == pl.String:
        return column.cast(pl.Float64, strict=False).is_not_null().any()
    return column.dtype.is_numeric()


def _dates(column: pl.Series, where: str) -> pl.Series:
    if column.dtype == pl.Date:
        return column
    if isinstance(column.dtype, pl.Datetime):
        return column.dt.date()
    text = column.cast(pl.String).str.strip_chars()
    dates = text.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
    wrong = (dates.is_null() & text.is_not_null() & (text != "")).arg_true()
    if len(wrong):
        raise DataError(f"{where}: row {wrong[0] + 1}: {text[wrong[0]]!r} is not a date of the form 2010-01-31")
    return dates.alias("date")


def _numbers(column: pl.Series, where: str) -> pl.Series:
    numbers = column.cast(pl.Float64, strict=False)
    wrong = (numbers.is_null() & column.is_not_null()).arg_true()
    if column.dtype == pl.String:
        wrong = wrong.filter(column.gather(wrong).str.strip_chars() != "")
    if len(wrong):
        raise DataError(f"{where}: row {wrong[0] + 1}: {column.name} {column[wrong[0]]!r} is not a number")
    return numbers.fill_nan(None)
