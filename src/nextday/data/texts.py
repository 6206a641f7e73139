"""Text files: their encoding and separator found, or asked for; every value stays a text."""

import csv

import polars as pl

from nextday.errors import DataError
from nextday.settings import Form

SEPARATORS = (",", ";", "\t", "|")
SHOWN = {"\t": "tab"}
LEVELS = "Ticker"  # in the first column of the second row of what yf.download(...).to_csv() writes


def read_text(content: bytes, where: str, form: Form) -> pl.DataFrame:
    """Read a table of texts; a header that is repeated between the rows is no row.

    Raises
    ------
    DataError
        If the encoding is not UTF-8 or UTF-16 with its mark, the separator is not clear, or a column stands twice.
    """
    content = _utf8(content, where)
    header = content.split(b"\n", 1)[0].decode("utf-8", "replace").strip("\r\ufeff")
    separator = form.separator or _separator(header, where)
    names = next(csv.reader([header], delimiter=separator), [])
    if names[:1] == ["Price"] and _second(content, separator) == LEVELS:
        return _from_levels(content, separator)
    twice = [name for name in names if name.strip() and names.count(name) > 1]
    if twice:
        raise DataError(f"{where}: column {twice[0]!r} is in the header twice; keep one")
    try:
        frame = pl.read_csv(content, infer_schema=False, separator=separator)
    except pl.exceptions.PolarsError:
        _refuse_other_encodings(content, where)
        raise
    first = frame.columns[0]
    if (again := frame[first] == first).any():  # files put end to end
        frame = frame.filter(~again.fill_null(value=False))
    return frame


def _utf8(content: bytes, where: str) -> bytes:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16").encode()
    if b"\0" in content[:1000]:
        raise DataError(f"{where} is not UTF-8 but perhaps UTF-16; save it as UTF-8")
    return content.removeprefix(b"\xef\xbb\xbf")


def _refuse_other_encodings(content: bytes, where: str) -> None:
    try:
        content.decode()
    except UnicodeDecodeError as error:
        row, byte = content[: error.start].count(b"\n"), content[error.start]
        raise DataError(
            f"{where}: row {row}: the byte 0x{byte:02x} is not UTF-8 (Windows-1252 or Latin-1?); save the file as UTF-8"
        ) from None


def _separator(header: str, where: str) -> str:
    """Find what stands between the names of a header."""
    there = [mark for mark in SEPARATORS if mark in header]
    if len(there) > 1:
        marks = [repr(SHOWN.get(mark, mark)) for mark in there]
        raise DataError(f"{where}: {' or '.join(marks)} may separate the columns; say which: --separator {marks[-1]}")
    return there[0] if there else ","


def _second(content: bytes, separator: str) -> str:
    lines = content.split(b"\n", 2)
    return lines[1].decode("utf-8", "replace").split(separator)[0].strip() if len(lines) > 1 else ""


def _from_levels(content: bytes, separator: str) -> pl.DataFrame:
    """Read the three header rows of ``yf.download(...).to_csv()``: fields, tickers, and the name of the dates."""
    frame = pl.read_csv(content, infer_schema=False, separator=separator, has_header=False)
    fields, tickers = frame.row(0)[1:], frame.row(1)[1:]
    return from_levels(frame[3:].to_series(0).alias("date"), list(zip(fields, tickers, strict=True)), frame[3:, 1:])


def from_levels(dates: pl.Series, pairs: list[tuple[str, str]], values: pl.DataFrame) -> pl.DataFrame:
    """Bring columns of fields and tickers to one row per ticker and date.

    Parameters
    ----------
    dates
        One per row.
    pairs
        Field and ticker of each column.
    values
        The columns, in the order of ``pairs``.
    """
    parts = []
    for ticker in dict.fromkeys(ticker for _, ticker in pairs):
        own = {field: values.to_series(at) for at, (field, other) in enumerate(pairs) if other == ticker}
        parts.append(pl.DataFrame({"date": dates, **own}).with_columns(ticker=pl.lit(str(ticker))))
    return pl.concat(parts, how="diagonal")
