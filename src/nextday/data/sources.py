"""Where bars come from: the embedded sample, Parquet and CSV files, folders of them, and frames."""

import hashlib
import re
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from polars import selectors as cs

from nextday.data.bars import COLUMNS, Bars, check_keys
from nextday.data.checks import check_bars
from nextday.data.dates import read_dates
from nextday.data.frames import read_frame
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
    source: "str | Path | pl.DataFrame | pd.DataFrame",
    *,
    accept: tuple[str, ...] = (),
    drop_bad: bool = False,
    adjusted: bool = False,
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
    adjusted
        Whether ``close`` is adjusted for splits and dividends already; it then stands for ``adj_close``, too.

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
    frame, name, notes = read_bars(source, adjusted=adjusted)
    if drop_bad:
        check_keys(frame, name)
        found = check_bars(frame, accept=accept, fatal_only=True)
        bad = {finding.ticker: str(finding) for finding in found if finding.fatal}
        frame = frame.filter(~pl.col("ticker").is_in(bad))
        notes = [*notes, *(f"left out {finding}" for finding in bad.values())]
        if bad and frame.is_empty():
            raise DataError(f"{name}: every ticker is bad; {next(iter(bad.values()))}")
    return Bars(frame, name, accept, tuple(notes))


def read_bars(source: Any, *, adjusted: bool = False) -> tuple[pl.DataFrame, str, list[str]]:  # noqa: ANN401
    """Read bars as they are, named and typed as in ``Bars``; give also where they come from, and notes on them."""
    frame, name, notes = _read(source, adjusted)
    frame, turned = _oldest_first(frame)
    return frame, name, [*notes, *turned]


def _read(source: Any, adjusted: bool) -> tuple[pl.DataFrame, str, list[str]]:  # noqa: ANN401 - a path, or any frame
    if not isinstance(source, str | Path):
        return _normalise(read_frame(source), "frame", adjusted=adjusted), "frame", []
    if str(source) == "sample":
        return _read_sample(), "sample", []
    path = Path(source)
    if not path.exists():
        raise DataError(f"{path} does not exist; --data takes sample, yahoo, a Parquet or CSV file, or a folder")
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
        if not files:
            raise DataError(f"{path} holds no Parquet or CSV file")
        return _stack([(file, _read_file(file, adjusted)) for file in files]), str(path), []
    manifest = verify_snapshot(path)
    return _read_file(path, adjusted), str(path), manifest["notes"] if manifest else []


def _read_sample() -> pl.DataFrame:
    with resources.as_file(SAMPLE) as path:
        content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != SAMPLE_SHA256:
        raise DataError(f"the embedded sample is damaged (sha256 {found[:12]}...); install nextday again")
    return _normalise(pl.read_parquet(content), "sample")


def _read_file(path: Path, adjusted: bool) -> pl.DataFrame:
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path} is neither a .parquet nor a .csv file")
    try:
        if path.suffix.lower() == ".csv":
            frame = pl.read_csv(path, infer_schema=False)  # as text: NA, ON and TRUE are tickers, not values
        else:
            frame = pl.read_parquet(path, hive_partitioning=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path} cannot be read as {path.suffix[1:].lower()}: {first_line(error)}") from None
    return _normalise(frame, str(path), ticker=path.stem, adjusted=adjusted)


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


def _normalise(frame: pl.DataFrame, where: str, ticker: str | None = None, *, adjusted: bool = False) -> pl.DataFrame:
    """Bring names and types to the documented ones, required columns first."""
    frame = frame.rename(_new_names(frame.columns, where))
    if "ticker" not in frame.columns and ticker is not None:
        frame = frame.with_columns(ticker=pl.lit(ticker))
    if adjusted and "close" in frame.columns:
        if "adj_close" in frame.columns:
            raise DataError(f"{where}: there is a column adj_close, so close is not adjusted; leave --adjusted out")
        frame = frame.with_columns(adj_close="close")
    missing = [column for column in COLUMNS if column not in frame.columns]
    if missing == ["adj_close"]:
        raise DataError(
            f"{where}: no column adj_close; if close is adjusted for splits and dividends already, say so: --adjusted "
            "(adjusted: true in a study)"
        )
    if missing:
        raise DataError(f"{where}: no column {', '.join(missing)}; found: {', '.join(frame.columns)}")
    if frame.is_empty():
        raise DataError(f"{where}: no rows; expected one row per ticker and date")
    extras = [name for name in frame.columns if name not in COLUMNS and _is_numeric(frame[name])]
    numbers = [name for name in COLUMNS if name not in ("date", "ticker")] + extras
    others = frame.select(cs.boolean() | cs.string(include_categorical=True)).drop(COLUMNS, *extras, strict=False)
    return frame.select(
        read_dates(frame["date"], where),
        _tickers(frame["ticker"], where),
        *[_numbers(frame[name], where) for name in numbers],
        *others.cast({cs.string(include_categorical=True): pl.String}),  # a text is no feature, and is told so
    )


def _tickers(column: pl.Series, where: str) -> pl.Series:
    """Read tickers as texts; numbers are those of an exchange that has numbers for tickers, such as 700."""
    if not column.dtype.is_float():
        return column.cast(pl.String).str.strip_chars()
    whole = column.cast(pl.Int64, strict=False)
    broken = (column.is_not_null() & column.is_not_nan() & (whole.cast(pl.Float64) != column)).arg_true()
    if len(broken):
        raise DataError(f"{where}: row {broken[0] + 1}: ticker {column[broken[0]]} is not a text or a whole number")
    return whole.cast(pl.String)


def _oldest_first(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Turn the rows of tickers that come newest first; any other order is a defect, which the checks name."""
    steps = frame.group_by("ticker", maintain_order=True).agg(step=pl.col("date").diff().max(), rows=pl.len())
    newest = steps.filter((pl.col("rows") > 1) & (pl.col("step") < pl.duration(days=0)))["ticker"].to_list()
    if not newest:
        return frame, []
    turned = pl.col("ticker").is_in(newest)
    shown = ", ".join(newest[:5]) + (f" and {len(newest) - 5} more" if len(newest) > 5 else "")
    frame = pl.concat([frame.filter(~turned | turned.is_null()), frame.filter(turned).reverse()])
    return frame, [f"{shown}: the rows came newest first, and were turned"]


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
        texts = column.str.strip_chars()
        there = texts.is_not_null() & (texts != "")
        return bool(there.any()) and bool(texts.filter(there).cast(pl.Float64, strict=False).is_not_null().all())
    return column.dtype.is_numeric()


def _numbers(column: pl.Series, where: str) -> pl.Series:
    numbers = column.cast(pl.Float64, strict=False)
    wrong = (numbers.is_null() & column.is_not_null()).arg_true()
    if column.dtype == pl.String:
        wrong = wrong.filter(column.gather(wrong).str.strip_chars() != "")
    if len(wrong):
        raise DataError(f"{where}: row {wrong[0] + 1}: {column.name} {column[wrong[0]]!r} is not a number")
    return numbers.fill_nan(None)
