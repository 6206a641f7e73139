"""Numbers of bars: a text that can mean one number only is read, any other is refused."""

import polars as pl

from nextday.errors import DataError

MISSING = ("", "null", "nan", "na", "n/a", "none", "-", "--")
GROUPS = r"^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$"  # 1,154 may also be a decimal comma; 1,154.5 and 1,144,169 may not
CERTAIN = r",\d{3}[,.]"
CURRENCY = r"^([+-]?)\s*[$€£¥]\s*"
THOUSANDS = {"k": 1e3, "m": 1e6, "b": 1e9}


def read_numbers(column: pl.Series, where: str, *, decimal: str = "") -> pl.Series:
    """Read a column of numbers; what stands for nothing is missing.

    Parameters
    ----------
    column
        Numbers or texts.
    where
        The source, for messages.
    decimal
        The decimal mark, where the user has named it.

    Raises
    ------
    DataError
        With the first value that is no number, or may be two.
    """
    if isinstance(column.dtype, pl.Categorical | pl.Enum):
        column = column.cast(pl.String)
    if column.dtype != pl.String:
        if not (column.dtype.is_numeric() or column.dtype == pl.Null):
            raise DataError(f"{where}: column {column.name} is of type {column.dtype}, not of numbers")
        numbers = column.cast(pl.Float64, strict=False)
        _refuse(column, numbers.is_null() & column.is_not_null(), where, "")
        return numbers.fill_nan(None)
    numbers = column.cast(pl.Float64, strict=False)
    unread = numbers.is_null() & column.is_not_null()
    if unread.any() or decimal == ",":
        text = _text(column)
        numbers = _cleaned(text, where, decimal).cast(pl.Float64, strict=False) * _scale(text)
        _refuse(column, numbers.is_null() & text.is_not_null(), where, decimal)
    return numbers.fill_nan(None)


def are_numbers(column: pl.Series, *, decimal: str = "") -> bool:
    """Return whether a column holds numbers and nothing else, so that it may be a feature."""
    if column.dtype != pl.String:
        return column.dtype.is_numeric()
    texts = column.str.strip_chars()
    there = texts.filter(texts.is_not_null() & (texts != ""))
    if decimal:
        there = _cleaned(there, "", decimal)
    return len(there) > 0 and bool(there.cast(pl.Float64, strict=False).is_not_null().all())


def _text(column: pl.Series) -> pl.Series:
    """Strip spaces and currencies; what stands for nothing is null."""
    text = column.str.strip_chars().str.replace(CURRENCY, "${1}")
    return pl.select(pl.when(~text.str.to_lowercase().is_in(MISSING)).then(text).alias(column.name)).to_series()


def _scale(text: pl.Series) -> pl.Series:
    """Return what a letter behind a number stands for: 1.2M is 1,200,000."""
    letter = text.str.to_lowercase().str.slice(-1)
    return letter.replace_strict(THOUSANDS, default=1.0, return_dtype=pl.Float64)


def _cleaned(text: pl.Series, where: str, decimal: str) -> pl.Series:
    """Bring texts to the form of a Python float."""
    text = text.str.replace(r"(?i)^([+-]?[\d.,]+)\s*[kmb]$", "${1}")
    if decimal == ",":
        well = text.str.contains(r"^[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?$")
        read = text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
        return pl.select(pl.when(well).then(read)).to_series()
    grouped = text.str.contains(GROUPS)
    if not decimal and grouped.any() and not text.str.contains(CERTAIN).any():
        _ask(text, grouped, where)
    return pl.select(pl.when(grouped).then(text.str.replace_all(",", "")).otherwise(text)).to_series()


def _ask(text: pl.Series, grouped: pl.Series, where: str) -> None:
    row = grouped.arg_true()[0]
    value = text[row]
    raise DataError(
        f"{where}: row {row + 1}: {text.name} {value!r} may be {value.replace(',', '.')} or {value.replace(',', '')}; "
        "say which is the decimal mark: --decimal , or --decimal ."
    )


def _refuse(column: pl.Series, wrong: pl.Series, where: str, decimal: str) -> None:
    if wrong.any():
        row = wrong.arg_true()[0]
        value = column[row]
        comma = not decimal and isinstance(value, str) and value.count(",") == 1 and value.replace(",", "").isdigit()
        hint = "; if the comma is its decimal mark, say so: --decimal ," if comma else ""
        raise DataError(f"{where}: row {row + 1}: {column.name} {value!r} is not a number{hint}")
