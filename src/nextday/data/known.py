"""When a value is known: on which session of a ticker it falls, how long it waits, and how far it is carried."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl

from nextday.settings import Also

DAYS = 2**24  # more than there are, 46 thousand years


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions of each ticker, in the order of ticker and date.

    Attributes
    ----------
    tickers
        Names, in their order.
    code, day
        Ticker, as its position among ``tickers``, and day, as ``days_of`` counts, of each session, shape [session].
    start
        Position of the first session of the same ticker, shape [session].
    """

    tickers: pl.Series
    code: np.ndarray
    day: np.ndarray
    start: np.ndarray

    @classmethod
    def of(cls, keys: pl.DataFrame) -> Self:
        """Make them of pairs of ticker and date, each once, in their order."""
        runs = keys["ticker"].rle().struct.unnest()
        lengths = runs["len"].to_numpy().astype(np.int64)
        start = np.repeat(lengths.cumsum() - lengths, lengths)
        code = np.repeat(np.arange(len(runs)), lengths)
        return cls(runs["value"], code, days_of(keys["date"]), start)

    def marks(self, *, by_ticker: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return a number of each session, larger for later ones of a ticker, and that of the time before each.

        A value whose number is above the second and not above the first falls on the session.
        """
        own = self.code * DAYS if by_ticker else np.zeros(len(self.day), np.int64)
        marks = own + self.day
        before = np.where(np.arange(len(marks)) == self.start, own - (1 if by_ticker else DAYS), np.roll(marks, 1))
        return marks, before


def days_of(dates: pl.Series) -> np.ndarray:
    """Count days since long before 1970, so that none is negative."""
    return dates.to_physical().to_numpy().astype(np.int64) + DAYS // 2


def known_at(sessions: Sessions, dated: np.ndarray, one: Also, *, by_ticker: bool) -> np.ndarray:
    """Return which value is known at the close of each session, as its position; -1 where none is.

    ``dated`` numbers the values as ``Sessions.marks`` does the sessions, in rising order.
    """
    marks, before = sessions.marks(by_ticker=by_ticker)
    if not len(dated):
        return np.full(len(marks), -1)
    row = np.arange(len(marks))
    latest = np.searchsorted(dated, marks, side="right") - 1
    falls = (latest >= 0) & (dated[latest] > before)  # the latest of those on this session, if there is one
    origin = row - one.lag
    known = np.where((origin >= sessions.start) & falls[origin], latest[origin], -1)
    if one.fill == "none":
        return known
    last = np.maximum.accumulate(np.where(known >= 0, row, -1))  # the row that is carried on
    carried = (last >= sessions.start) & (row - last <= (len(row) if one.limit is None else one.limit))
    return np.where(carried, known[last], -1)
