"""The bars of some tickers on common sessions, or on each ticker's own sessions within those of the market."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import polars as pl

from nextday.data.bars import Bars
from nextday.data.costs import find_costs
from nextday.data.gaps import Gap, find_gaps
from nextday.errors import DataError
from nextday.names import known, listed, meant
from nextday.settings import COLUMNS, Also, Balance
from nextday.words import plural

MEMBER = "member"  # a column of bars: whether a ticker belongs to the universe on this day, as was known then


@dataclass(frozen=True, slots=True)
class Panel:
    """Bars of some tickers and the market, if there is one, on their common sessions or on each one's own.

    Attributes
    ----------
    frame
        The bars, in the order of ticker and date; every ticker has all of ``dates`` unless ``balance`` is ``each``.
    tickers
        What is forecast, in alphabetical order. The market is in ``frame`` but is forecast only if named.
    market
        The ticker whose return is the market factor; empty if there is none.
    dates
        The common sessions, or those of the market, ``datetime64[D]``, shape [date].
    dropped
        Sessions of each ticker that are not among these, and which were left out.
    source
        Where the bars come from.
    notes
        What was left out before.
    joined
        Columns that came with further files, and the settings of each file.
    costs
        Who costs the others much of their history, in sentences.
    gaps
        Steps from one common session to the next that skip sessions.
    balance
        ``common`` or ``each``.
    """

    frame: pl.DataFrame
    tickers: tuple[str, ...]
    market: str
    dates: np.ndarray
    dropped: dict[str, int]
    source: str
    notes: tuple[str, ...] = ()
    joined: Mapping[str, Also] = field(default_factory=lambda: MappingProxyType({}))
    costs: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()
    balance: Balance = "common"

    def sessions(self, ticker: str) -> np.ndarray:
        """Return the positions of a ticker's sessions in ``dates``, shape [session]."""
        if self.balance == "common":
            return np.arange(len(self.dates))
        return np.searchsorted(self.dates, self.of(ticker)["date"].to_numpy())

    def member(self, ticker: str) -> np.ndarray:
        """Return on which of its sessions a ticker belongs to the universe, bool, shape [session]: all unless said."""
        if self.balance == "common" or MEMBER not in self.frame.columns:
            return np.ones(len(self.sessions(ticker)), bool)
        return self.of(ticker)[MEMBER].cast(pl.Boolean).to_numpy()

    def skipped_by(self, ticker: str) -> np.ndarray:
        """Return the sessions skipped before each of a ticker's own, shape [session]; 0 nearly always."""
        if self.balance == "common":
            return self.skipped
        own = self.sessions(ticker)
        return np.diff(own, prepend=own[:1] - 1) - 1

    @property
    def skipped(self) -> np.ndarray:
        """Sessions skipped before each of ``dates``, shape [date]; 0 nearly always."""
        counts = np.zeros(len(self.dates), int)
        for gap in self.gaps:
            if gap.at < len(counts):
                counts[gap.at] = gap.sessions
        return counts

    def __repr__(self) -> str:
        kind = "common session" if self.balance == "common" else "session"
        days = f"{plural(len(self.dates), kind)}, {self.dates[0]} to {self.dates[-1]}"
        return f"Panel of {listed(self.tickers)}, market {self.market or 'none'}: {days}; from {self.source}"

    def of(self, ticker: str) -> pl.DataFrame:
        """Bars of one ticker, shape [date, column]."""
        start, stop = (self.frame["ticker"].search_sorted(ticker, side) for side in ("left", "right"))
        return self.frame.slice(start, stop - start)

    def only(self, tickers: tuple[str, ...]) -> "Panel":
        """Return some of the tickers and the market, on the same sessions and with the same gaps."""
        frame = self.frame.filter(pl.col("ticker").is_in([*tickers, self.market]))
        return replace(self, frame=frame, tickers=tickers)


def align(
    bars: Bars, *, tickers: Sequence[str] = (), market: str = "SPY", balance: Balance = "common"
) -> Panel:  # fmt: skip
    """Cut bars to the sessions that all chosen tickers and the market have in common, or to those of the market.

    Parameters
    ----------
    bars
        Checked bars.
    tickers
        What to forecast; none means every ticker but the market.
    market
        The ticker of the market factor; an empty text is none.
    balance
        ``common``, or ``each``: every ticker keeps its own sessions among those of the market; without a market, among
        the days on which at least half of the tickers trade that have begun and not yet ended.

    Raises
    ------
    DataError
        If a ticker or the market is not in the bars, no session is common, or a price never moves.
    """
    there = bars.tickers
    if market and market not in there:
        way_out = f"{meant(market, there)}name one of them with --market"
        raise DataError(
            f"{bars.source}: market {market!r} is not in the bars; {way_out}: {listed(there)}; or --market none, where "
            "no feature needs one"
        )
    unknown = [ticker for ticker in tickers if ticker not in there]
    if unknown:
        raise DataError(f"{bars.source}: unknown ticker {unknown[0]!r}; {known(unknown[0], there)}")
    chosen = tuple(sorted(tickers)) or tuple(ticker for ticker in there if ticker != market)
    if not chosen:
        raise DataError(f"{bars.source}: there is no ticker to forecast beside the market {market}")
    everyone = sorted({*chosen, *([market] if market else [])})
    frame = bars.frame.filter(pl.col("ticker").is_in(everyone))
    shared = pl.len().over("date") == len(everyone)
    panel = frame.filter(shared if balance == "common" else pl.col("date").is_in(_calendar(frame, market).implode()))
    costs = find_costs(frame, everyone, market) if balance == "common" else ()
    if panel.is_empty():
        said = "".join(f"; {cost}" for cost in costs)
        raise DataError(f"{bars.source}: {listed(everyone)} have no session in common{said}")
    _refuse_holes(panel, chosen, bars.source)
    if balance == "each":
        _check_member(panel, bars.source)
    _check_moves(panel, bars.source)
    dropped = dict(
        frame.group_by("ticker")
        .agg((~pl.col("date").is_in(panel["date"].unique().implode())).sum())
        .sort("ticker")
        .iter_rows()
    )
    dates = panel["date"].unique().sort().to_numpy()
    gaps = find_gaps(frame, dates, everyone) if any(dropped.values()) and balance == "common" else ()
    return Panel(
        panel, chosen, market, dates, dropped, bars.source, bars.notes, joined=bars.joined, costs=costs, gaps=gaps,
        balance=balance,
    )  # fmt: skip


def _calendar(frame: pl.DataFrame, market: str) -> pl.Series:
    """Return the sessions of the market; without one, the days on which at least half of the living tickers trade."""
    if market:
        return frame.filter(pl.col("ticker") == market)["date"]
    lives = frame.group_by("ticker").agg(first=pl.col("date").min(), last=pl.col("date").max())
    days = frame.group_by("date").agg(trading=pl.len()).sort("date")
    living = np.searchsorted(lives["first"].sort().to_numpy(), days["date"].to_numpy(), "right")
    gone = np.searchsorted(lives["last"].sort().to_numpy(), days["date"].to_numpy())
    return days.filter(2 * pl.col("trading") >= pl.Series(living - gone))["date"]


def _refuse_holes(panel: pl.DataFrame, chosen: Sequence[str], source: str) -> None:
    """Refuse to forecast a ticker that lacks values, which bars leave to the market alone."""
    if not sum(panel.select(COLUMNS).null_count().row(0)):
        return
    lacking = panel.filter(pl.col("ticker").is_in(chosen) & pl.any_horizontal(pl.col(COLUMNS).is_null()))
    if len(lacking):
        ticker, day = lacking["ticker"][0], lacking["date"][0]
        raise DataError(
            f"{source}: {ticker} lacks prices or volume, such as on {day}; it can be the market, but not forecast"
        )


def _check_member(panel: pl.DataFrame, source: str) -> None:
    """Refuse a column of membership that does not say true or false on every bar."""
    if MEMBER not in panel.columns:
        return
    wrong = panel.filter(~pl.col(MEMBER).cast(pl.Float64, strict=False).is_in([0.0, 1.0]).fill_null(False))
    if len(wrong):
        ticker, day, value = wrong.select("ticker", "date", MEMBER).row(0)
        raise DataError(
            f"{source}: {MEMBER} of {ticker} on {day} is {'missing' if value is None else value}; expected true or "
            f"false on every bar ({plural(len(wrong), 'such bar')})"
        )


def _check_moves(panel: pl.DataFrame, source: str) -> None:
    spread = panel.group_by("ticker").agg(low=pl.col("adj_close").min(), high=pl.col("adj_close").max()).sort("ticker")
    flat = spread.filter(pl.col("low") == pl.col("high"))
    if len(flat):
        ticker, price, _ = flat.row(0)
        raise DataError(f"{source}: adj_close of {ticker} is {price} on every session; there is no return to forecast")
