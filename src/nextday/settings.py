"""Settings of bars: where they lie, what their columns are called, how their dates and numbers are written."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypedDict

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

NO_MARKET = "none"
COLUMNS = ("date", "ticker", "open", "high", "low", "close", "adj_close", "volume")
VALUES = COLUMNS[2:]  # what a bar holds
Balance = Literal["common", "each"]
LONGEST = 10_000  # numbers of a range such as 42-46


def split_pairs(value: Any) -> Any:  # noqa: ANN401 - whatever a file holds; what is no text passes
    """Read ``date=trade_date,volume=vol``."""
    if not isinstance(value, str):
        return value
    pairs = [part.partition("=") for part in value.split(",")]
    return {ours.strip(): theirs.strip() if equals else "" for ours, equals, theirs in pairs}


Pairs = Annotated[dict[str, str], BeforeValidator(split_pairs)]  # also written date=trade_date,volume=vol


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


class Layout(Settings):
    """How dates and numbers of a table are written, where they do not say so themselves."""

    date_format: str = ""  # of dates that could mean two days, as of strftime: ``%d/%m/%Y``
    separator: str = ""  # between the columns of a text file; found unless the header holds several
    decimal: Literal["", ".", ","] = ""  # ``,`` where numbers are written 98,60; ``.`` where commas group thousands
    timezone: str = ""  # of the exchange, ``Asia/Seoul``, for time stamps in UTC or counted since 1970

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


class Form(Layout):
    """How bars are written, where they do not say so themselves."""

    # what columns are called in the source, such as ``{date: day}``; usual names need none
    columns: Pairs = {}
    adjusted: bool = False  # ``close`` is adjusted for splits and dividends already, and there is no ``adj_close``

    @field_validator("columns")
    @classmethod
    def _known(cls, value: dict[str, str]) -> dict[str, str]:
        for ours, theirs in value.items():
            if ours not in COLUMNS or not theirs:
                raise ValueError(f"expected NAME=COLUMN, NAME one of {', '.join(COLUMNS)}; got {ours}={theirs}")
        if len(set(value.values())) < len(value):
            raise ValueError("one column is given two names")
        return value


class Also(Layout):
    """A further file, joined to the bars by date and ticker, or by date alone."""

    file: str = Field(min_length=1)  # a table with a date, perhaps a ticker, and numeric columns
    lag: int = Field(ge=0)  # sessions that pass before a value is known; 0 is known at the close of its own date
    fill: Literal["none", "forward"] = "none"  # ``forward`` carries the last known value on; ``none`` leaves days empty
    limit: int | None = Field(None, ge=1)  # sessions that a value is carried on at most; no limit unless given
    # names of its columns, ``{date: day}``; any other name takes a column under this name, and none that is not named
    columns: Pairs = {}

    @model_validator(mode="before")
    @classmethod
    def _has_a_lag(cls, value: object) -> object:
        if isinstance(value, dict) and "lag" not in value:
            raise ValueError(
                f"{value.get('file', 'a file')} needs lag, the sessions that pass before a value is known: lag: 0 is "
                "known at the close of its own date, lag: 1 at the close of the next session"
            )
        return value

    @model_validator(mode="after")
    def _limits_what_is_filled(self) -> Self:
        if self.limit is not None and self.fill == "none":
            raise ValueError("limit is of values that are carried on; it needs fill: forward")
        if len(set(self.columns.values())) < len(self.columns) or not all([*self.columns, *self.columns.values()]):
            raise ValueError("columns: expected NAME: COLUMN, each column once")
        return self

    def __str__(self) -> str:
        """Describe where values come from, and when they are known: ``vix.csv, lag 1``."""
        limit = f", limit {self.limit}" if self.limit else ""
        return f"{Path(self.file).name}, lag {self.lag}{', fill forward' if self.fill == 'forward' else ''}{limit}"


class BarsSettings(Form):
    """Which bars a study takes, and how they are read."""

    data: str = "sample"  # a file of bars, a folder of them, ``sample`` or ``yahoo``
    market: str = Field("SPY", min_length=1)  # ticker of the market: an input, never forecast; ``none`` does without
    tickers: tuple[str, ...] = ()  # what to forecast; every ticker but the market unless given
    accept: tuple[str, ...] = ()  # tickers whose jumps are real; * accepts all
    drop_bad: bool = False  # leave out tickers with bad bars, instead of refusing them
    also: tuple[Also, ...] = ()  # further files, joined to the bars
    # common: the sessions that all tickers share; each: every ticker's own, so that they may come and go
    balance: Balance = "common"
    # when the values of columns of the bars were public, ``{eps: 45d}``: so long after the end of their quarter or
    # month, or ``{eps: eps_released}``, a column of dates
    known: Pairs = {}
    allow: tuple[str, ...] = ()  # alarms of an audit that are accepted: NAME of a column or variant, or NAME:RULE

    @field_validator("known")
    @classmethod
    def _public(cls, value: dict[str, str]) -> dict[str, str]:
        for name, when in value.items():
            if not when:
                raise ValueError(f"expected NAME=LAG or NAME=COLUMN, such as eps=45d or eps=eps_released; got {name}")
        return value

    @field_validator("also", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return [value] if isinstance(value, dict) else value

    @property
    def index(self) -> str:
        """The ticker of the market; empty if there is to be none."""
        return "" if self.market == NO_MARKET else self.market

    @field_validator("tickers", "accept", "allow", mode="before")
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


def each_once(names: tuple[Any, ...]) -> tuple[Any, ...]:
    """Refuse names that are there more than once."""
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ValueError(f"names {', '.join(doubled)} more than once")
    return names


Names = Annotated[tuple[str, ...], BeforeValidator(split_at_commas), AfterValidator(each_once)]  # also with commas
