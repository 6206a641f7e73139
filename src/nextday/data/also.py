"""Further files, joined to bars so that no row sees a value before the session on which it is known.

A value dated ``d``, which need not be a session, falls on the first session of a ticker on or after ``d``, and is known
``lag`` sessions later, at the close. Sessions are the days on which the ticker itself has a bar.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from nextday.data.columns import KNOWN, find_named, plain, rename
from nextday.data.dates import read_dates
from nextday.data.files import read_table
from nextday.data.known import DAYS, Sessions, days_of, known_at
from nextday.data.numbers import MISSING, are_numbers, read_numbers
from nextday.errors import DataError
from nextday.names import listed
from nextday.settings import COLUMNS, Also, Form

KEYS = ("ticker", "date")
SHOWN = 5  # tickers in a message
TAKEN = (*COLUMNS, "market_adj_close")
DIGITS = r"^[+-]?\s*[$€£¥]?\s*[\d.,]*\d[\d.,]*(\s*[kKmMbB]|[eE][+-]?\d+)?$"  # written as a number, whatever it may be


def join_also(frame: pl.DataFrame, also: Sequence[Also]) -> tuple[pl.DataFrame, dict[str, Also], list[str]]:
    """Join the columns of further files to bars.

    Parameters
    ----------
    frame
        Bars, in any order; rows that have no ticker or date get no value.
    also
        The files, and when their values are known.

    Returns
    -------
    The bars with the new columns last, the file of each new column, and notes on what was left out.

    Raises
    ------
    DataError
        If a file cannot be read, has nothing to join or two values for one day, or brings a column that is there.
    """
    origins: dict[str, Also] = {}
    notes: list[str] = []
    if not also:
        return frame, origins, notes
    keys = frame.select(KEYS)
    ordered = _are_ordered(keys)
    keys = keys if ordered else keys.drop_nulls().unique().sort(KEYS)
    sessions, joined = Sessions.of(keys), []
    for one in also:
        values, said = read_values(one, frame.columns, {name: str(other.file) for name, other in origins.items()})
        notes += [*said, *_compare_keys(values, sessions, one)]
        new = values.drop(KEYS, strict=False).columns
        joined += [_known(sessions, values, name, one) for name in new]
        origins |= dict.fromkeys(new, one)
    if ordered:
        return frame.hstack(joined), origins, notes
    return frame.join(keys.hstack(joined), on=KEYS, how="left", maintain_order="left"), origins, notes


def _are_ordered(keys: pl.DataFrame) -> bool:
    """Return whether rows come by ticker and date, each pair once and complete."""
    ticker, date = pl.col("ticker"), pl.col("date")
    after = (ticker > ticker.shift(1)) | ((ticker == ticker.shift(1)) & (date > date.shift(1)))
    nulls = sum(keys.null_count().row(0))
    return not nulls and bool(keys.select(after.all()).item())


def _known(sessions: Sessions, values: pl.DataFrame, name: str, one: Also) -> pl.Series:
    """Return a column as it is known at the close of each session.

    Raises
    ------
    DataError
        If no value is ever known.
    """
    by_ticker = "ticker" in values.columns
    there = values.drop_nulls(name)
    if by_ticker:
        code = pl.DataFrame({"ticker": sessions.tickers, "code": np.arange(len(sessions.tickers))})
        there = there.join(code, on="ticker")
    own = there["code"].to_numpy() * DAYS if by_ticker else 0
    dated = own + days_of(there["date"])
    order = np.argsort(dated)
    at = known_at(sessions, dated[order], one, by_ticker=by_ticker)
    if (at < 0).all():
        raise DataError(f"also: {one.file}: no value of {name} is known on any session of the bars, with lag {one.lag}")
    found = np.where(at < 0, np.nan, there[name].to_numpy()[order[at]])
    return pl.Series(name, found).fill_nan(None)


def read_values(one: Also, names: Sequence[str], others: Mapping[str, str]) -> tuple[pl.DataFrame, list[str]]:
    """Read a file: date, ticker if it has one, and its numbers, each day once; return also notes on what was left out.

    ``names`` are the columns of the bars, ``others`` those of other files, with the file of each.
    """
    path = Path(one.file)
    if not path.is_file():
        what = "is a folder; name one file" if path.is_dir() else "does not exist"
        raise DataError(f"also: {path} {what}; its path is relative to the study's file")
    try:
        table = read_table(path, Form(separator=one.separator)).frame
        keys, chosen = _find_columns(table.columns, str(path), one)
        numbers, notes = _numbers(table, chosen, one)
        for column in numbers:
            _refuse_clash(column.name, names, others, one)
        values = _with_keys(table, keys, numbers, one)
    except DataError as error:
        said = re.sub(r"--([a-z][a-z-]*) ", lambda match: match[1].replace("-", "_") + ": ", str(error))
        asks = "" if said == str(error) else " (a key beside its lag)"
        raise DataError(f"also: {said}{asks}") from None
    return _each_day_once(values, one), notes


def _find_columns(names: Sequence[str], where: str, one: Also) -> tuple[dict[str, str], dict[str, str]]:
    """Find date and ticker, and the columns to take: the names in the file, and those under which they are joined."""
    found = {ours: find_named(names, ours, theirs, where) for ours, theirs in one.columns.items()}
    usual = {ours: (ours, *KNOWN[ours]) for ours in KEYS}
    may_be = [
        name
        for name in names
        if name not in found.values()
        and any(plain(name) in shapes for ours, shapes in usual.items() if ours not in found)
    ]
    keys = {ours: theirs for ours, theirs in found.items() if ours in KEYS}
    keys |= {ours: theirs for theirs, ours in rename(may_be, where, {}).items() if ours in KEYS and ours not in keys}
    if "date" not in keys:
        raise DataError(
            f"{where}: no column date; the file has {', '.join(names)}; name yours: --columns {{date: NAME}}"
        )
    chosen = {theirs: ours for ours, theirs in found.items() if ours not in KEYS}
    return keys, chosen or {name: name for name in names if name.strip() and name not in keys.values()}


def _numbers(table: pl.DataFrame, chosen: Mapping[str, str], one: Also) -> tuple[list[pl.Series], list[str]]:
    """Read the columns that hold numbers, and note the others; a column that the user names has to hold some."""
    numbers, left = [], []
    for theirs, ours in chosen.items():
        column = table[theirs]
        column = _plain_missing(column)
        if ours in one.columns or _is_written_as_numbers(column):
            numbers.append(read_numbers(column, one.file, decimal=one.decimal).alias(ours))
        else:
            left.append(theirs)
    if not numbers:
        raise DataError(f"{one.file}: no column of numbers beside the date; it has {', '.join(table.columns)}")
    many = f"columns {', '.join(left)}, which hold" if len(left) > 1 else f"column {''.join(left)}, which holds"
    return numbers, [f"{one.file}: {many} no numbers, left out"] if left else []


def _plain_missing(column: pl.Series) -> pl.Series:
    """Take a lone point, as central banks write it, for a missing number, and true and false for 1 and 0."""
    if column.dtype == pl.Boolean:
        return column.cast(pl.Float64)
    if column.dtype != pl.String:
        return column
    return pl.select(pl.when(column.str.strip_chars() != ".").then(column).alias(column.name)).to_series()


def _is_written_as_numbers(column: pl.Series) -> bool:
    """Return whether a column holds numbers, perhaps with marks for missing ones or a decimal mark to be asked for."""
    if column.dtype != pl.String or are_numbers(column):
        return are_numbers(column)
    texts = column.drop_nulls().str.strip_chars()
    texts = texts.filter(texts.str.contains(r"\w"))
    like = texts.str.contains(DIGITS) | texts.str.to_lowercase().is_in(MISSING)
    return bool(texts.str.contains(DIGITS).any()) and bool(like.all())


def _refuse_clash(name: str, names: Sequence[str], others: Mapping[str, str], one: Also) -> None:
    if name in others or name in names or plain(name) in TAKEN:
        holder = others.get(name, "the bars")
        raise DataError(
            f"{one.file}: a column {name} is in {holder}, too; take it under another name: --columns {{NAME: {name}}}"
        )


def _with_keys(table: pl.DataFrame, keys: Mapping[str, str], numbers: Sequence[pl.Series], one: Also) -> pl.DataFrame:
    """Put date and ticker before the numbers; rows without a number are left out, whatever else they hold."""
    empty = pl.select(pl.all_horizontal(column.is_null() for column in numbers)).to_series()
    dates = pl.select(pl.when(~empty).then(table[keys["date"]]).alias("date")).to_series()
    columns = [read_dates(dates, one.file, date_format=one.date_format, timezone=one.timezone)]
    if "ticker" in keys:
        text = _whole(table[keys["ticker"]]).cast(pl.String).str.strip_chars()
        columns.append(pl.select(pl.when(text != "").then(text).alias("ticker")).to_series())
    for column in columns:
        lacks = (column.is_null() & ~empty).arg_true()
        if len(lacks):
            raise DataError(f"{one.file}: row {lacks[0] + 1} has a value but no {column.name}; fix or remove it")
    return pl.DataFrame([*columns, *numbers]).filter(~empty)


def _whole(column: pl.Series) -> pl.Series:
    """Bring tickers that were read as 700.0 to 700."""
    if not column.dtype.is_float():
        return column
    whole = column.cast(pl.Int64, strict=False)
    return whole if bool((whole.cast(pl.Float64) == column).all()) else column


def _each_day_once(values: pl.DataFrame, one: Also) -> pl.DataFrame:
    """Take a value once that is given twice, and refuse two different ones of a day."""
    keys = [key for key in KEYS if key in values.columns]
    if not values.select(keys).is_duplicated().any():
        return values
    for name in values.drop(keys).columns:
        several = (
            values.group_by(keys).agg(pl.col(name).drop_nulls().unique().sort()).filter(pl.col(name).list.len() > 1)
        )
        if len(several):
            row = several.sort(keys).row(0, named=True)
            whose = f" of {row['ticker']}" if "ticker" in row else ""
            raise DataError(
                f"also: {one.file}: {name}{whose} has several values on {row['date']}, such as {row[name][0]:g} and "
                f"{row[name][1]:g}; keep one a day"
            )
    return values.group_by(keys, maintain_order=True).agg(pl.all().drop_nulls().first())


def _compare_keys(values: pl.DataFrame, sessions: Sessions, one: Also) -> list[str]:
    """Refuse a file that has no ticker or date in common with the bars, and count the tickers that bars do not have."""
    if values.is_empty():
        raise DataError(f"also: {one.file}: no row with a number")
    dated = days_of(values["date"])
    if dated.min() > sessions.day.max() or dated.max() < sessions.day.min():
        spans = [_span(dated), _span(sessions.day)]
        raise DataError(f"also: {one.file} is of {spans[0]}, the bars are of {spans[1]}: no date in common")
    if "ticker" not in values.columns:
        return []
    theirs, ours = values["ticker"].unique().sort(), sessions.tickers
    strange = theirs.filter(~theirs.is_in(ours.implode())).to_list()
    if len(strange) == len(theirs):
        raise DataError(
            f"also: {one.file}: none of its tickers ({listed(strange, SHOWN)}) is in the bars ({listed(ours, SHOWN)})"
        )
    if not strange:
        return []
    are = "is" if len(strange) == 1 else "are"
    return [f"{one.file}: {len(strange)} of {len(theirs)} tickers {are} not in the bars: {listed(strange, SHOWN)}"]


def _span(days: np.ndarray) -> str:
    first, last = (np.datetime64(int(day) - DAYS // 2, "D") for day in (days.min(), days.max()))
    return f"{first} to {last}"
