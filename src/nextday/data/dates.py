"""Dates of bars: a text that can mean one day only is read, any other is refused with the word that decides."""

import polars as pl

from nextday.errors import DataError

FORMS = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d-%b-%Y", "%d %b %Y", "%b %d, %Y")  # each means one day only
UNSURE = (
    "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%y", "%m-%d-%y",
    "%d.%m.%y", "%y%m%d",
)  # fmt: skip
FIRST = pl.date(1800, 1, 1)  # an earlier year was written with two digits
EPOCH = r"^\d{9,10}(\.0)?$|^\d{12,13}(\.0)?$"
UTC = r"\s*(Z|UTC|[+-]00:?00)$"
STAMP = r"^\d{4}-\d{1,2}-\d{1,2}[T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?" + UTC
ZONE = (
    "say in which zone the exchange is: --timezone America/New_York, Asia/Seoul, ... (--timezone UTC takes the days "
    "of UTC)"
)
SECONDS = 10**11  # a lower count since 1970 is of seconds (this is 5138), a higher of milliseconds (this is 1973)


def read_dates(column: pl.Series, where: str, *, date_format: str = "", timezone: str = "") -> pl.Series:
    """Read a column of dates; time stamps count by their own clock, those in UTC by that of ``timezone``.

    Parameters
    ----------
    column
        Dates, time stamps or texts.
    where
        The source, for messages.
    date_format
        Form of texts, as of ``strftime``, where it could mean two days.
    timezone
        The exchange's, for stamps in UTC and counts since 1970.

    Raises
    ------
    DataError
        With the first value that is not a date, or may mean two, and the option that decides.
    """
    if column.dtype == pl.Date:
        return column.alias("date")
    if isinstance(column.dtype, pl.Datetime):
        return _local(column, where, timezone).alias("date")
    if column.dtype.is_nested() or column.dtype in (pl.Duration, pl.Time, pl.Boolean):
        raise DataError(f"{where}: column {column.name} is of type {column.dtype}, not of dates")
    text = column.cast(pl.String).str.strip_chars()
    text = pl.select(pl.when(text != "").then(text)).to_series()
    if date_format:
        return _stated(text, date_format, where)
    if timezone and text.drop_nulls().str.contains(EPOCH).all():
        return _counted(text, timezone)
    if longest(text) > 10 and text.str.contains(STAMP).any():
        return _in_utc(text, where, timezone)
    return _usual(text, where)


def longest(text: pl.Series) -> int:
    """Return the length of the longest text, in bytes."""
    return int(text.to_frame("text").select(pl.col("text").str.len_bytes().max()).item() or 0)


def _local(column: pl.Series, where: str, timezone: str) -> pl.Series:
    """Return the days of time stamps; those in UTC need the exchange's zone, unless all are midnights."""
    zone = getattr(column.dtype, "time_zone", None)
    if zone in ("UTC", "Etc/UTC") and not timezone:
        odd = column.filter(column.dt.truncate("1d") != column)
        if len(odd):
            raise DataError(f"{where}: time stamps are in UTC, such as {odd[0]:%Y-%m-%d %H:%M}; {ZONE}")
    if timezone and zone in (None, "UTC", "Etc/UTC"):
        column = (column.dt.replace_time_zone("UTC") if zone is None else column).dt.convert_time_zone(timezone)
    return column.dt.date()


def _in_utc(text: pl.Series, where: str, timezone: str) -> pl.Series:
    bare = text.str.replace(UTC, "").str.replace(" ", "T")
    stamps = bare.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", strict=False, time_unit="us")
    stamps = stamps.fill_null(bare.str.to_datetime("%Y-%m-%dT%H:%M", strict=False))
    if (stamps.is_null() & text.is_not_null()).any():
        return _usual(text, where)
    return _local(stamps.dt.replace_time_zone("UTC"), where, timezone).alias("date")


def _counted(text: pl.Series, timezone: str) -> pl.Series:
    """Read counts of seconds or milliseconds since 1970."""
    counts = text.str.strip_suffix(".0").cast(pl.Int64)
    milliseconds = pl.select(pl.when(counts < SECONDS).then(counts * 1000).otherwise(counts)).to_series()
    stamps = milliseconds.cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")
    return stamps.dt.convert_time_zone(timezone).dt.date().alias("date")


def _stated(text: pl.Series, date_format: str, where: str) -> pl.Series:
    """Read texts of the form that the user names; a time behind the day that it does not name is left out."""
    day = text if " " in date_format else text.str.split(" ").list.first()
    try:
        with_time = any(part in date_format for part in ("%H", "%I", "%M", "%T"))
        dates = day.str.to_datetime(date_format, strict=False).dt.date() if with_time else _in(day, date_format)
    except pl.exceptions.PolarsError:
        raise DataError(f"{where}: {date_format!r} is no form of dates; write it as %d/%m/%Y") from None
    wrong = (dates.is_null() & text.is_not_null()).arg_true()
    if len(wrong):
        raise DataError(f"{where}: row {wrong[0] + 1}: {text[wrong[0]]!r} is not a date of the form {date_format}")
    return dates.alias("date")


def _in(text: pl.Series, form: str) -> pl.Series:
    return text.str.to_date(form, strict=False)


def _usual(text: pl.Series, where: str) -> pl.Series:
    """Read texts of a form that means one day only."""
    there = text.is_not_null()
    dates = _parse(text, FORMS[0])
    wrong = (dates.is_null() & there).arg_true()
    for form in FORMS[1:] if len(wrong) else ():
        other = _parse(text, form)
        if not (other.is_null() & there).any():
            return other.alias("date")
    if len(wrong):
        raise DataError(f"{where}: row {wrong[0] + 1}: {text[wrong[0]]!r} {_why(text.filter(there))}")
    return dates.alias("date")


def _why(text: pl.Series) -> str:
    """Describe why texts are no dates, and which word makes them some."""
    if text.str.contains(EPOCH).all():
        return f"counts seconds or milliseconds since 1970; {ZONE}"
    day = text.str.split(" ").list.first()
    short = longest(day) <= 8 and not day.str.contains(r"\d{4}$").all()  # years of two digits
    fits = [form for form in UNSURE if ("%y" in form) == short and _in(day, form).is_not_null().all()]
    if fits:
        return f"is not a date of the form 2010-01-31; say which form it has: --date-format {' or '.join(fits)}"
    return "is not a date of the form 2010-01-31; another form is named by --date-format, such as %d/%m/%Y"


def _parse(text: pl.Series, form: str) -> pl.Series:
    """Read texts of one form; a time behind the day is left out where the form has a fixed length."""
    cut = text.str.slice(0, 10) if form in FORMS[:3] else text
    if form == "%Y%m%d":
        cut = text.str.strip_suffix(".0")
        cut = pl.select(pl.when(cut.str.len_chars() == 8).then(cut)).to_series()
    dates = cut.str.to_date(form, strict=False)
    return pl.select(pl.when(dates >= FIRST).then(dates)).to_series()
