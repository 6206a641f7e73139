"""Gaps of a panel: sessions that lie between two consecutive common sessions, so that these are no next days."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from nextday.data.sessions import traded_weekdays
from nextday.words import plural

LONGEST_STEP = 5  # sessions that a step within a history may skip: a week, as one exchange closes for a festival


@dataclass(frozen=True, slots=True)
class Gap:
    """Sessions skipped by the step from one common session to the next.

    Attributes
    ----------
    at
        Position, in the panel's dates, of the common session after them.
    sessions
        How many are skipped.
    first
        Date of the first.
    tickers
        Who causes it, in alphabetical order: those without a bar, or, where few have one, these few.
    alone
        ``tickers`` are the few that have bars.
    """

    at: int
    sessions: int
    first: date
    tickers: tuple[str, ...]
    alone: bool

    @property
    def is_long(self) -> bool:
        """Whether it breaks a history, so that features and windows begin anew after it."""
        return self.sessions > LONGEST_STEP


def find_gaps(frame: pl.DataFrame, dates: np.ndarray, tickers: Sequence[str]) -> tuple[Gap, ...]:
    """Find the steps between common sessions that skip a session.

    A skipped session is a day on which a ticker has a bar, of a weekday that the panel trades on: bitcoin trades at
    weekends and a share does not, and their step from Friday to Monday is no gap. Days that all tickers lack look like
    holidays.

    Parameters
    ----------
    frame
        Bars of all tickers and the market.
    dates
        The common sessions, in order.
    tickers
        All that have bars in ``frame``.
    """
    found = _between(frame, dates)
    if found.is_empty():
        return ()
    causes = _causes(found, tickers)
    at = pl.Series(np.searchsorted(dates, causes["date"].to_numpy()))
    steps = causes.with_columns(at=at).sort("at").partition_by("at", maintain_order=True)
    return tuple(_gap(step) for step in steps)


def _between(frame: pl.DataFrame, dates: np.ndarray) -> pl.DataFrame:
    """Return the bars that lie between common sessions, on weekdays that have some: ``ticker, date``."""
    common = pl.Series(dates)
    weekdays = (traded_weekdays(common) + 1).tolist()
    inside = frame.select("ticker", "date").filter(pl.col("date").is_between(common[0], common[-1]))
    found = inside.filter(~pl.col("date").is_in(common.implode()))
    return found.filter(pl.col("date").dt.weekday().is_in(weekdays))


def _causes(found: pl.DataFrame, tickers: Sequence[str]) -> pl.DataFrame:
    """Return who causes each skipped session, ``date, ticker, alone``: who lacks a bar, or the fewer that have one."""
    found = found.with_columns(alone=2 * pl.len().over("date") < len(tickers))
    lacked = found.filter(~pl.col("alone")).select("date", "alone").unique()
    lacking = lacked.join(pl.DataFrame({"ticker": list(tickers)}), how="cross").join(
        found, on=["date", "ticker"], how="anti"
    )
    return pl.concat([one.select("date", "ticker", "alone") for one in (found.filter("alone"), lacking)])


def _gap(causes: pl.DataFrame) -> Gap:
    """Make a gap of the days that a step skips; who lacks bars is named before who alone has them."""
    alone = bool(causes["alone"].all())
    named = causes.filter(pl.col("alone") == alone)["ticker"].unique().sort()
    return Gap(causes["at"][0], causes["date"].n_unique(), causes["date"].min(), tuple(named), alone)  # type: ignore[arg-type]


def worst(gaps: Sequence[Gap]) -> str:
    """Return the ticker that causes most gaps, long ones first: leave it out, and most of them are closed."""
    long, every = (Counter(ticker for gap in which for ticker in gap.tickers) for which in (_long(gaps), gaps))
    return min(every, key=lambda ticker: (-long[ticker], -every[ticker], ticker))


def describe_gaps(gaps: Sequence[Gap]) -> str:
    """Name the ticker that causes most gaps, its longest one, and their number; empty if there is none.

    Examples
    --------
    >>> describe_gaps([Gap(40, 213, date(2010, 6, 30), ("000001",), False)])
    '000001 has no bar on 213 sessions from 2010-06-30'
    """
    if not gaps:
        return ""
    ticker = worst(gaps)
    own = [gap for gap in gaps if ticker in gap.tickers]
    one = max(own, key=lambda gap: gap.sessions)
    sessions = f"{plural(one.sessions, 'session')} from {one.first}"
    named = f"{ticker} alone has bars on {sessions}" if one.alone else f"{ticker} has no bar on {sessions}"
    of = f", the longest of its {len(own)} gaps" if len(own) > 1 else ""
    return f"{named}{of}" + (f" ({len(gaps)} gaps in all)" if len(gaps) > len(own) else "")


def _long(gaps: Sequence[Gap]) -> list[Gap]:
    return [gap for gap in gaps if gap.is_long]
