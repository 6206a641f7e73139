"""Read a forecasts table from any source, and convert its names, dates and numbers to the form of ``measure``."""

import gzip
import io
import re
import sys
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from nextday.errors import VerdictError, first_line
from nextday.evaluate.dates import read_days
from nextday.evaluate.losses import KEYS, NO_COLUMN, loss_named
from nextday.evaluate.quantiles import columns_of, pinball

if TYPE_CHECKING:
    import pandas as pd

KNOWN = (
    "variant",
    "ticker",
    "fold",
    "seed",
    "origin",
    "date",
    "actual",
    "predicted",
    "realised_return",
    "contaminated",
)
LEVEL = re.compile(r"q[\d.+-].*", re.IGNORECASE)
AT_ONCE = 10_000_000  # rows that are held in memory
SEPARATORS = ";\t|"  # a header with one of these and no comma


@dataclass(frozen=True, slots=True)
class Prepared:
    """A forecasts table in the form of ``measure``, with notes on what was inferred."""

    rows: pl.LazyFrame
    notes: tuple[str, ...] = ()

    def at_hand(self) -> "Prepared":
        """Read the rows into memory once; a larger table stays on disk."""
        if self.rows.select(pl.len()).collect().item() > AT_ONCE:
            return self
        return Prepared(self.rows.collect().lazy(), self.notes)


def load_forecasts(path: Path | str) -> pl.LazyFrame:
    """Open a forecasts table: Parquet, Arrow, CSV (also compressed by gzip), or ``-`` for standard input.

    Text is kept as text, so that no ticker becomes a number and no date is guessed; see ``prepare``.

    Raises
    ------
    VerdictError
        If the file cannot be read as a table.
    """
    path, name = Path(path), "standard input" if str(path) == "-" else str(path)
    try:
        if name == "standard input":
            return _from_bytes(sys.stdin.buffer.read())
        start = b"PAR1" if not path.is_file() or path.suffix.lower() == ".parquet" else _first_bytes(path)
        if start.startswith(b"PAR1"):
            table = pl.scan_parquet(path, hive_partitioning=False)
            table.collect_schema()
            return table
        return _from_bytes(path.read_bytes())
    except (OSError, EOFError, UnicodeError, pl.exceptions.PolarsError) as error:
        raise VerdictError(f"{name} cannot be read as a forecasts table: {first_line(error)}") from None


def prepare(frame: "pl.DataFrame | pl.LazyFrame | pd.DataFrame | Prepared") -> Prepared:
    """Convert a table to the names and types of ``measure``; a table that has them is returned unchanged.

    Columns may be written in any case; ``model`` stands for a missing ``variant``. Dates given as text are parsed if
    they are unambiguous, numbers given as text become numbers, variants and tickers become text.

    Raises
    ------
    VerdictError
        If two columns differ only in case, or dates given as text are ambiguous.
    """
    if isinstance(frame, Prepared):
        return frame
    rows = frame.lazy() if isinstance(frame, pl.DataFrame | pl.LazyFrame) else _from_pandas(frame).lazy()
    rows = rows.rename(_renamed(rows.collect_schema().names()))
    kinds = rows.collect_schema()
    numbers = [name for name in kinds if name in ("actual", "predicted", "realised_return") or LEVEL.fullmatch(name)]
    rows = rows.with_columns(
        *(pl.col(name).cast(pl.Float64, strict=False) for name in numbers if kinds[name] != pl.Float64),
        *(pl.col(name).cast(pl.String) for name in ("variant", "ticker") if name in kinds and kinds[name] != pl.String),
    )
    changes, notes = [], []
    for name, reader in {"seed": _seeds, "fold": _seeds, "origin": _days, "date": _days}.items():
        if name in kinds and (kinds[name] == pl.String or kinds[name].is_numeric()):
            try:
                change, note = reader(rows, name)
            except VerdictError:
                if name != "date":  # the verdict is about origins; it does without dates
                    raise
                continue
            changes.append(change)
            notes += [note] if note and name == "origin" else []
    return Prepared(rows.with_columns(changes), tuple(notes))


def select_columns(rows: pl.LazyFrame, loss: str) -> pl.LazyFrame:
    """Select the columns that a loss needs, after checking that they exist.

    Losses across tickers are of returns, whatever the target was.
    """
    kinds = rows.collect_schema()
    if loss_named(loss).across and "realised_return" in kinds:
        rows = rows.with_columns(actual=pl.col("realised_return"))
    wanted = list(KEYS) if loss_named(loss).of else list(dict.fromkeys((*KEYS, loss)))
    missing = [name for name in wanted if name not in kinds]
    if missing:
        raise VerdictError(
            f"the forecasts table has no column {missing[0]!r}; it has {', '.join(kinds)}; "
            f"losses that need no column: {', '.join(NO_COLUMN)}"
        )
    if loss in kinds and not kinds[loss].is_numeric():
        raise VerdictError(f"column {loss!r} holds {kinds[loss]}; a loss must be numeric")
    seed = [pl.col("seed") if "seed" in kinds else pl.lit(None, pl.Int64).alias("seed")]
    return rows.select(*wanted, *([] if loss == "seed" else seed), *(["fold"] if "fold" in kinds else []))


def with_pinball(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Add the pinball loss of every row's quantiles, averaged over levels; missing for variants without quantiles."""
    columns = columns_of(rows.head(0).collect())
    if not columns:
        raise VerdictError("the pinball loss needs quantiles; they are columns such as q0.05, q0.5, q0.95")
    each = [pinball(level, name) for level, name in columns.items()]
    return rows.with_columns(pinball=pl.mean_horizontal(each, ignore_nulls=False))


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(6)


def _from_bytes(content: bytes) -> pl.LazyFrame:
    """Detect the format by the first bytes: names can be wrong, and standard input has none."""
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    if content.startswith(b"PAR1"):
        return pl.read_parquet(io.BytesIO(content)).lazy()
    if content.startswith(b"ARROW1"):
        return pl.read_ipc(io.BytesIO(content)).lazy()
    if content.startswith(b"\xff\xff\xff\xff"):
        return pl.read_ipc_stream(io.BytesIO(content)).lazy()
    return _from_text(content)


def _from_text(content: bytes) -> pl.LazyFrame:
    """Read a CSV as text throughout, its separator told by the header; ``prepare`` makes numbers of it."""
    header = next((line for line in content.decode("utf-8-sig").splitlines() if line.strip()), "")
    separator = next((sign for sign in SEPARATORS if sign in header and "," not in header), ",")
    table = pl.read_csv(content, separator=separator, infer_schema=False, truncate_ragged_lines=False)
    text = pl.col(pl.String).str.strip_chars()
    table = table.rename({name: name.strip() for name in table.columns}).with_columns(text)
    table = table.with_columns(pl.when(pl.col(pl.String) != "").then(pl.col(pl.String)).name.keep())  # "" is missing
    return table.with_columns(_number(table[name], separator) for name in table.columns).lazy()


def _number(column: pl.Series, separator: str) -> pl.Series:
    """Read a column as numbers if it holds nothing else; decimal commas only where commas separate nothing."""
    if column.name.casefold() in ("variant", "model", "ticker", "origin", "date"):
        return column
    for text in (column, column.str.replace(",", ".", literal=True)) if separator != "," else (column,):
        number = text.cast(pl.Float64, strict=False)
        if number.null_count() == column.null_count():
            return number
    return column


def _renamed(names: list[str]) -> dict[str, str]:
    """Return known columns their names, whatever their case."""
    found: dict[str, str] = {}
    for name in names:
        plain = name.strip().casefold()
        if plain == name or plain in names or not (plain in (*KNOWN, "model") or LEVEL.fullmatch(plain)):
            continue
        if plain in found.values():
            other = next(key for key, value in found.items() if value == plain)
            raise VerdictError(f"columns {other!r} and {name!r} differ only in case; drop one")
        found[name] = plain
    present = [found.get(name, name) for name in names]
    if "model" in present and "variant" not in present:
        found[names[present.index("model")]] = "variant"
    return {name: plain for name, plain in found.items() if name != plain}


def _unique(rows: pl.LazyFrame, name: str) -> pl.Series:
    return rows.select(pl.col(name).drop_nulls().unique(maintain_order=True)).collect().to_series()


def _seeds(rows: pl.LazyFrame, name: str) -> tuple[pl.Expr, str]:
    """Read seeds or folds as whole numbers where they are; pandas makes 1.0 of them where one is missing."""
    plain = pl.col(name) if rows.collect_schema()[name] != pl.String else pl.col(name).replace("", None)
    number = plain.cast(pl.Float64, strict=False)
    number = pl.when(~number.is_nan()).then(number).alias(name)
    values = rows.select(old=plain, new=number).unique().collect()
    whole = values.filter(pl.col("new").is_not_null() & (pl.col("new") == pl.col("new").round()))
    known = values.filter(pl.col("old").is_not_null() & ~(pl.col("old").cast(pl.String) == "NaN"))
    return (number.cast(pl.Int64) if len(whole) == len(known) else plain.alias(name)), ""


def _days(rows: pl.LazyFrame, name: str) -> tuple[pl.Expr, str]:
    """Read text as dates or positions, and whole numbers such as 20180103 as dates."""
    kind, values = rows.collect_schema()[name], _unique(rows, name)
    if kind != pl.String:
        dated = len(values) > 0 and values.is_between(19000101, 21001231).all()
        texts = values.cast(pl.Int64).cast(pl.String) if dated else values
        if not dated or texts.str.to_date("%Y%m%d", strict=False).null_count():
            return pl.col(name), ""
        return pl.col(name).cast(pl.Int64).cast(pl.String).str.to_date("%Y%m%d"), ""
    days = read_days([text for text in values.to_list() if text.strip()], name)
    return days.expression(name), days.note


def _from_pandas(frame: "pd.DataFrame") -> pl.DataFrame:
    """Take a pandas frame, its keys in columns or in a named index."""
    if not hasattr(frame, "reset_index"):
        raise VerdictError(f"forecasts must be a Polars or a pandas frame, not {type(frame).__name__}")
    if frame.columns.nlevels > 1:
        raise VerdictError("the pandas frame has column levels; one row per variant, seed, ticker and origin is needed")
    flat = frame.reset_index() if any(name is not None for name in frame.index.names) else frame
    return pl.DataFrame({str(name): _column(flat[name]) for name in flat.columns})


def _column(column: "pd.Series[Any]") -> pl.Series:
    """Move one column; others than numbers and times go value by value, as no pyarrow need be installed."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iufbM":
        return pl.Series(column.to_numpy())
    return pl.Series([None if _is_missing(value) else value for value in column], strict=False)


def _is_missing(value: object) -> bool:
    """Recognise None, NaN, NaT and pandas.NA without importing pandas."""
    return value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and isnan(value))
