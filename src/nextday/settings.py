"""Settings of bars: where they lie, what their columns are called, how their dates and numbers are written."""

import re
from typing import Any, Literal, TypedDict

from pydantic import BaseModel, ConfigDict, Field, field_validator

COLUMNS = ("date", "ticker", "open", "high", "low", "close", "adj_close", "volume")
LONGEST = 10_000  # numbers of a range such as 42-46


class Settings(BaseModel):
    """A frozen group of settings that refuses keys it does not have."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FormOptions(TypedDict, total=False):
    """The keys of ``Form`` as keyword arguments."""

    columns: dict[str, str]
    adjusted: bool
    date_format: str
    separator: str
    decimal: Literal["", ".", ","]
    timezone: str


class Form(Settings):
    """How bars are written, where they do not say so themselves.

    Attributes
    ----------
    columns
        Names in the source of required columns, ``{"date": "trade_date"}``; usual names need none.
    adjusted
        ``close`` is adjusted for splits and dividends already, and there is no ``adj_close``.
    date_format
        Form of dates that could mean two days, as of ``strftime``: ``%d/%m/%Y``.
    separator
        Between the columns of a text file; found unless the header holds several.
    decimal
        ``,`` where numbers are written ``98,60``; ``.`` where a comma separates thousands.
    timezone
        Zone of the exchange, ``Asia/Seoul``, for time stamps in UTC or counted since 1970.
    """

    columns: dict[str, str] = {}
    adjusted: bool = False
    date_format: str = ""
    separator: str = ""
    decimal: Literal["", ".", ","] = ""
    timezone: str = ""

    @field_validator("columns", mode="before")
    @classmethod
    def _pairs(cls, value: object) -> object:
        """Read ``date=trade_date,volume=vol``."""
        if not isinstance(value, str):
            return value
        pairs = [part.partition("=") for part in value.split(",")]
        return {ours.strip(): theirs.strip() if equals else "" for ours, equals, theirs in pairs}

    @field_validator("columns")
    @classmethod
    def _known(cls, value: dict[str, str]) -> dict[str, str]:
        for ours, theirs in value.items():
            if ours not in COLUMNS or not theirs:
                raise ValueError(f"expected NAME=COLUMN, NAME one of {', '.join(COLUMNS)}; got {ours}={theirs}")
        if len(set(value.values())) < len(value):
            raise ValueError("one column is given two names")
        return value

    @field_validator("separator")
    @classmethod
    def _one_character(cls, value: str) -> str:
        value = {"\\t": "\t", "tab": "\t"}.get(value, value)
        if len(value) > 1 or not value.isascii():
            raise ValueError("expected one character, or tab")
        return value

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        from zoneinfo import available_timezones

        if value and value not in available_timezones():
            raise ValueError("expected a name of the tz database, such as Asia/Seoul, America/New_York or UTC")
        return value

    def form(self) -> FormOptions:
        """Return these settings as keyword arguments of ``load_bars``."""
        return FormOptions(**{name: getattr(self, name) for name in Form.model_fields})  # type: ignore[typeddict-item]


class Also(Settings):
    """A second file, joined to the bars by date and ticker, or by date alone.

    Attributes
    ----------
    file
        A table with a date, perhaps a ticker, and numeric columns.
    lag
        Sessions that pass before a value is known: 0 is known at the close of its own date, 1 at that of the next.
    fill
        ``forward`` carries the last known value on; ``none`` leaves days without one empty.
    limit
        Sessions that a value is carried on at most; none is no limit.
    """

    file: str = Field(min_length=1)
    lag: int = Field(ge=0)
    fill: Literal["none", "forward"] = "none"
    limit: int | None = Field(None, ge=1)


class BarsSettings(Form):
    """Which bars a study takes, and how they are read."""

    data: str = "sample"
    market: str = Field("SPY", min_length=1)  # the word none: no market, where no feature needs one
    tickers: tuple[str, ...] = ()  # none: every ticker of the data but the market
    accept: tuple[str, ...] = ()  # tickers whose jumps are real; * accepts all
    drop_bad: bool = False  # leave out tickers with bad bars, instead of refusing them
    also: tuple[Also, ...] = ()

    @field_validator("tickers", "accept", mode="before")
    @classmethod
    def _split_at_commas(cls, value: object) -> object:
        return split_at_commas(value)


def expand_ranges(value: Any) -> Any:  # noqa: ANN401 - whatever a file holds; what is no range passes
    """Write out the ranges in a list of whole numbers, ends included.

    Examples
    --------
    >>> expand_ranges(["42-44", "50", 7])
    [42, 43, 44, '50', 7]
    """
    if not isinstance(value, list | tuple):
        return value
    return [number for one in value for number in (_range(one) if isinstance(one, str) else [one])]


def _range(text: str) -> list[int] | list[str]:
    found = re.fullmatch(r"\s*(\d{1,19})\s*-\s*(\d{1,19})\s*", text)
    if not found:
        return [text]
    first, last = map(int, found.groups())
    if not first <= last < first + LONGEST:
        raise ValueError(f"the range {text} must go from low to high, over at most {LONGEST:,} numbers")
    return [*range(first, last + 1)]


def split_at_commas(value: Any) -> Any:  # noqa: ANN401 - whatever a file holds; what is no text passes
    """Split a text at its commas."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value
