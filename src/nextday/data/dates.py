"""Dates of bars: a text that can mean one day only is read, any other is refused."""

import polars as pl

from nextday.errors import DataError

FORMS = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d-%b-%Y", "%d %b %Y", "%b %d, %Y")  # each means one day only
FIRST = pl.date(1800, 1, 1)  # an earlier year was written with two digits
EPOCH = r"^\d{9,10}(\.0)?$|^\d{12,13}(\.0)?$"


def read_dates(column: pl.Series, where: str) -> pl.Series:
    """Read a column of dates; time stamps count by their own clock.

    Raises
    ------
    DataError
        With the first value that is not a date, or may mean two.
    """
    if column.dtype == pl.Date:
        return column.alias("date")
    if isinstance(column.dtype, pl.Datetime):
        return column.dt.date().alias("date")
    text = column.cast(pl.String).str.strip_chars()
    there = text.is_not_null() & (text != "")
    dates = _parse(text, FORMS[0])
    wrong = (dates.is_null() & there).arg_true()
    for form in FORMS[1:] if len(wrong) else ():
        other = _parse(text, form)
        if not (other.is_null() & there).any():
            return other.alias("date")
    if len(wrong):
        value = text[wrong[0]]
        why = "is not a date of the form 2010-01-31"
        if text.filter(there).str.contains(EPOCH).all():
            why = "counts seconds or milliseconds since 1970; write the day at the exchange, such as 2010-01-31"
        raise DataError(f"{where}: row {wrong[0] + 1}: {value!r} {why}")
    return dates.alias("date")


def _parse(text: pl.Series, form: str) -> pl.Series:
    """Read texts of one form; a time behind the day is left out where the form has a fixed length."""
    cut = text.str.slice(0, 10) if form in FORMS[:3] else text
    if form == "%Y%m%d":
        cut = text.str.strip_suffix(".0")
        cut = pl.select(pl.when(cut.str.len_chars() == 8).then(cut)).to_series()
    dates = cut.str.to_date(form, strict=False)
    return pl.select(pl.when(dates >= FIRST).then(dates)).to_series()
