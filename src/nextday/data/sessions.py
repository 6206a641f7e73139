"""Which days an exchange traded, and which bars do not fit them."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from nextday.errors import DataError
from nextday.words import plural

RARE = 0.05  # share of the weeks; a ticker with bars on fewer Saturdays does not trade on Saturdays
Found = tuple[str, str, date, int, str]  # ticker, rule, first date, number of days, evidence


@dataclass(frozen=True, slots=True)
class Calendar:
    """Exchanges of tickers, by the names of exchange_calendars: XNYS, XLON, 24/7.

    Raises
    ------
    DataError
        If an exchange is not known.
    """

    default: str
    others: dict[str, str]

    @classmethod
    def parse(cls, text: str) -> "Calendar":
        """Read ``XNYS`` or ``XNYS,BTC-USD=24/7``."""
        default, others = "", {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            ticker, equals, exchange = part.rpartition("=")
            if equals:
                others[ticker] = exchange
            elif default:
                raise DataError(f"--exchange {text}: two exchanges for all tickers; others as TICKER=EXCHANGE")
            else:
                default = part
        return cls(default, others)

    def of(self, ticker: str) -> str:
        """Return the exchange of a ticker; empty if none is stated."""
        return self.others.get(ticker, self.default)


def compare_with_sessions(frame: pl.DataFrame, calendar: Calendar | None) -> Iterator[Found]:
    """Find sessions without a bar, bars on days without a session, and tickers that end before the others."""
    if frame.is_empty():
        return
    spans = frame.group_by("ticker", maintain_order=True).agg(
        first=pl.col("date").min(), last=pl.col("date").max(), bars=pl.len()
    )
    begin, end = min(spans["first"].to_list()), max(spans["last"].to_list())
    usual = None
    for ticker, first, last, bars in spans.iter_rows():
        exchange = calendar.of(ticker) if calendar else ""
        if exchange:
            sessions = exchange_sessions(exchange, begin, end)
        else:
            sessions = usual = usual_sessions(frame, spans) if usual is None else usual
        due = sessions.filter((sessions >= first) & (sessions <= last))
        after = sessions.filter((sessions > last) & (sessions <= end))
        if len(due) != bars or exchange or len(after):
            days, where = frame.filter(ticker=ticker)["date"], f"of {exchange}"
            if not exchange:
                due, after = (_on_weekdays(own, traded_weekdays(days)) for own in (due, after))
                where = "on which most tickers trade" if len(spans) > 2 else "on which the other ticker trades"
            yield from ((ticker, *found) for found in _differences(days, due, where, closed=bool(exchange)))
        if len(after):
            count = len(after)
            follow = f"{plural(count, 'session')} follow{'s' if count == 1 else ''}"
            yield ticker, "ends early", last, count, f"its last bar; {follow} until {end}"


def _differences(
    days: pl.Series, due: pl.Series, where: str, *, closed: bool
) -> Iterator[tuple[str, date, int, str]]:  # fmt: skip
    """Compare bars with the days that are due; ``closed`` says that there is no session on any other day."""
    missing, extra = due.filter(~due.is_in(days.implode())), days.filter(~days.is_in(due.implode()))
    if len(missing):
        yield "gap", missing[0], len(missing), f"no bar on this session {where}"
    if len(extra) and closed:
        yield "not a session", extra[0], len(extra), f"a bar on a day that is no session {where}"


def usual_sessions(frame: pl.DataFrame, spans: pl.DataFrame) -> pl.Series:
    """Return the days on which more than half of the tickers that are listed on them have a bar, of two tickers either.

    Of a share and its market, the one that has a bar shows that the other lacks one.
    """
    traded = frame.group_by("date").len().sort("date")
    first, last = spans["first"].sort(), spans["last"].sort()
    listed = first.search_sorted(traded["date"], side="right") - last.search_sorted(traded["date"], side="left")
    return traded.filter((2 * pl.col("len") > listed) | (listed == 2))["date"]


def traded_weekdays(days: pl.Series) -> np.ndarray:
    """Return the weekdays, from 0 for Monday, that hold a day in at least 5 % of the weeks that hold any.

    Examples
    --------
    >>> traded_weekdays(pl.Series([date(2024, 1, 5), date(2024, 1, 8), date(2024, 1, 12)])).tolist()
    [0, 4]
    """
    since = days.to_numpy().astype("datetime64[D]").astype(int) + 3  # 1970-01-01 was a Thursday
    return np.flatnonzero(np.bincount(since % 7, minlength=7) >= RARE * len(np.unique(since // 7)))


def _on_weekdays(days: pl.Series, weekdays: np.ndarray) -> pl.Series:
    return days.filter((days.dt.weekday() - 1).is_in(weekdays.tolist()))


def exchange_sessions(exchange: str, first: date, last: date) -> pl.Series:
    """Return the sessions of an exchange from one date to another."""
    import exchange_calendars  # with pandas, a second of start-up
    import pandas as pd

    try:
        with warnings.catch_warnings(action="ignore"):  # it uses what pandas will drop
            calendar = exchange_calendars.get_calendar(exchange, start=pd.Timestamp(first), end=pd.Timestamp(last))
    except exchange_calendars.errors.InvalidCalendarName:
        raise DataError(
            f"exchange {exchange!r} is not known; use a code of exchange_calendars, such as XNYS, XLON, XTKS or 24/7"
        ) from None
    except ValueError as error:
        raise DataError(f"exchange {exchange}: no sessions from {first} to {last}: {error}") from None
    return pl.Series("date", calendar.sessions.to_numpy()).cast(pl.Date)
