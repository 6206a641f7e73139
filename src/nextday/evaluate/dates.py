"""Parse dates given as text, only where they are unambiguous: dates sorted as text are in the wrong order."""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from nextday.errors import VerdictError

Point = dt.datetime | int
TIME = r"(?:[T ]\s*(?P<time>\d{1,2}:\d\d.*))?"
POSITION = re.compile(r"[+-]?\d+(?:\.0*)?")
YEAR_FIRST = re.compile(rf"(?P<year>\d{{4}})(?P<by>[-/.])(?P<month>\d{{1,2}})(?P=by)(?P<day>\d{{1,2}}){TIME}")
COMPACT = re.compile(r"(?P<year>(?:19|20)\d\d)(?P<month>\d\d)(?P<day>\d\d)")
DAY_NAMED = re.compile(rf"(?P<day>\d{{1,2}})[-/. ]*(?P<name>[A-Za-z]{{3,9}})[-/., ]*(?P<year>\d{{4}}){TIME}")
MONTH_NAMED = re.compile(rf"(?P<name>[A-Za-z]{{3,9}})[-/. ]*(?P<day>\d{{1,2}})[-/., ]+(?P<year>\d{{4}}){TIME}")
YEAR_LAST = re.compile(rf"(?P<one>\d{{1,2}})(?P<by>[-/.])(?P<two>\d{{1,2}})(?P=by)(?P<year>\d{{4}}){TIME}")
MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
WAY_OUT = "write dates as YYYY-MM-DD"


@dataclass(frozen=True, slots=True)
class Days:
    """The value of each text of a column, and a note if it had to be inferred."""

    values: Mapping[str, Point]
    note: str = ""

    def expression(self, name: str) -> pl.Expr:
        """Replace the texts of a column; positions become integers, and days without a time become dates."""
        points, kind = list(self.values.values()), pl.Int64()
        known: list[object] = list(points)
        if points and isinstance(points[0], dt.datetime):
            daily = all(point.time() == dt.time() for point in points if isinstance(point, dt.datetime))
            kind = pl.Date() if daily else pl.Datetime("us")  # type: ignore[assignment]
            known = [point.date() for point in points if isinstance(point, dt.datetime)] if daily else known
        series = pl.Series(known, dtype=kind)
        return pl.col(name).replace_strict(pl.Series(list(self.values), dtype=pl.String), series, default=None)


def read_days(texts: list[str], name: str) -> Days:
    """Parse the texts of a column: positions, or dates in one notation.

    Raises
    ------
    VerdictError
        If a text is not a date, notations are mixed, or the order of day and month is ambiguous.

    Examples
    --------
    >>> read_days(["3-Jan-2018"], "origin").values
    {'3-Jan-2018': datetime.datetime(2018, 1, 3, 0, 0)}
    >>> read_days(["03/13/2018", "01/02/2018"], "origin").note
    "origin is read as month/day/year, because of '03/13/2018'"
    """
    kinds: dict[str, list[str]] = {}
    for text in texts:
        kinds.setdefault(_notation(text, name), []).append(text)
    if len(kinds) > 1:
        first, second = (f"{found[0]!r}" for found in list(kinds.values())[:2])
        raise VerdictError(f"column {name!r} mixes notations of dates, such as {first} and {second}; {WAY_OUT}")
    if not kinds:
        return Days({})
    kind = next(iter(kinds))
    if kind == "year last":
        day_first, proof = _order(texts, name)
        order = "day/month/year" if day_first else "month/day/year"
        values = _read(texts, name, lambda text: _numbered(text, day_first=day_first))
        return Days(values, f"{name} is read as {order}, because of {proof!r}")
    return Days(_read(texts, name, READERS[kind]))


def _notation(text: str, name: str) -> str:
    """Name the notation of a text."""
    stripped = text.strip()
    for kind, pattern in PATTERNS.items():
        if pattern.fullmatch(stripped):
            return kind
    raise VerdictError(f"column {name!r} holds {text!r}, which is neither a date nor a position; {WAY_OUT}")


def _order(texts: list[str], name: str) -> tuple[bool, str]:
    """Return whether the day comes first, and the text that proves it: one of its numbers is past 12."""
    parts = {text: YEAR_LAST.fullmatch(text.strip()) for text in texts}
    first = [text for text, found in parts.items() if found and int(found["one"]) > 12]
    second = [text for text, found in parts.items() if found and int(found["two"]) > 12]
    if first and second:
        raise VerdictError(f"column {name!r} mixes day/month and month/day: {first[0]!r} and {second[0]!r}; {WAY_OUT}")
    if not (first or second):
        raise VerdictError(
            f"column {name!r}: {texts[0]!r} may be day/month or month/day, and no other row resolves it; {WAY_OUT}"
        )
    return bool(first), (first or second)[0]


def _read(texts: list[str], name: str, reader: Callable[[str], Point]) -> dict[str, Point]:
    values = {}
    for text in texts:
        try:
            values[text] = reader(text.strip())
        except ValueError:
            raise VerdictError(f"column {name!r} holds {text!r}, which cannot be read as a date; {WAY_OUT}") from None
    return values


def _at(year: str, month: int, day: str, time: str | None) -> dt.datetime:
    point = dt.datetime(int(year), month, int(day))
    if time is None:
        return point
    hour, colon, rest = time.strip().partition(":")
    clock = dt.datetime.fromisoformat(f"{point:%Y-%m-%d} {hour:0>2}{colon}{rest}")
    return clock.astimezone(dt.UTC).replace(tzinfo=None) if clock.tzinfo else clock


def _groups(pattern: re.Pattern[str], text: str) -> dict[str, str | None]:
    found = pattern.fullmatch(text)
    assert found is not None  # its notation was matched before
    return found.groupdict()


def _ordered(pattern: re.Pattern[str]) -> Callable[[str], dt.datetime]:
    def read(text: str) -> dt.datetime:
        parts = _groups(pattern, text)
        return _at(str(parts["year"]), int(str(parts["month"])), str(parts["day"]), parts.get("time"))

    return read


def _named(pattern: re.Pattern[str]) -> Callable[[str], dt.datetime]:
    def read(text: str) -> dt.datetime:
        parts = _groups(pattern, text)
        name = str(parts["name"]).lower()
        months = [at for at, month in enumerate(MONTHS, 1) if month.startswith(name)]
        if len(months) != 1:
            raise ValueError(name)
        return _at(str(parts["year"]), months[0], str(parts["day"]), parts["time"])

    return read


def _numbered(text: str, *, day_first: bool) -> dt.datetime:
    parts = _groups(YEAR_LAST, text)
    day, month = (parts["one"], parts["two"]) if day_first else (parts["two"], parts["one"])
    return _at(str(parts["year"]), int(str(month)), str(day), parts["time"])


PATTERNS = {
    "compact": COMPACT, "position": POSITION, "year first": YEAR_FIRST, "day named": DAY_NAMED,
    "month named": MONTH_NAMED, "year last": YEAR_LAST,
}  # fmt: skip
READERS: dict[str, Callable[[str], Point]] = {
    "compact": _ordered(COMPACT), "position": lambda text: int(float(text)), "year first": _ordered(YEAR_FIRST),
    "day named": _named(DAY_NAMED), "month named": _named(MONTH_NAMED),
}  # fmt: skip
