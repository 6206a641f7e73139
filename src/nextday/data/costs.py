"""Who costs a panel its history: a session counts only if every ticker has it, so one young ticker can take most."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

MUCH = 1 / 3  # of the sessions that are common, gained by leaving tickers out
SAID = 3  # sentences
MOST = 1 / 4  # of the tickers, to be named together


@dataclass(frozen=True, slots=True)
class Presence:
    """Which ticker lacks a bar on which day, shape [ticker, date], and its first and last day, shape [ticker]."""

    tickers: tuple[str, ...]
    dates: np.ndarray
    absent: np.ndarray
    first: np.ndarray
    last: np.ndarray


def find_costs(frame: pl.DataFrame, everyone: Sequence[str], market: str = "") -> tuple[str, ...]:
    """Name the tickers without which there were many more common sessions, the costliest first.

    Parameters
    ----------
    frame
        Dates and tickers of all bars of ``everyone``.
    everyone
        All that have to have a session in common, the market among them.
    market
        Which of them is the market.

    Returns
    -------
    A sentence per ticker: what it costs, why, and the way out. Where no single one costs much, the youngest together.
    """
    counts = frame.group_by("date").len()["len"]
    common = int((counts == len(everyone)).sum())
    if len(everyone) < 2 or len(counts) - common < MUCH * common:
        return ()  # there is not so much to gain
    there = _presence(frame, everyone)
    alone = there.absent & (there.absent.sum(axis=0) == 1)
    gains = alone.sum(axis=1)
    costly = [at for at in np.argsort(-gains, kind="stable")[:SAID] if gains[at] and gains[at] >= MUCH * common]
    if not costly:
        return _youngest(there, common, market)
    return tuple(_sentence(there, at, alone[at], common, market) for at in costly)


def _presence(frame: pl.DataFrame, everyone: Sequence[str]) -> Presence:
    names, days = sorted(everyone), frame["date"].unique().sort().to_numpy()
    runs = frame["ticker"].rle().struct.unnest()  # bars of a ticker stand together
    code = {name: at for at, name in enumerate(names)}
    rows = np.repeat([code[name] for name in runs["value"]], runs["len"])
    column = np.zeros(int((days[-1] - days[0]).astype(int)) + 1, int)
    column[(days - days[0]).astype(int)] = np.arange(len(days))
    there = np.zeros((len(names), len(days)), bool)
    there[rows, column[(frame["date"].to_numpy() - days[0]).astype(int)]] = True
    last = len(days) - 1 - there[:, ::-1].argmax(axis=1)
    return Presence(tuple(names), days, ~there, days[there.argmax(axis=1)], days[last])


def _sentence(there: Presence, at: int, days: np.ndarray, common: int, market: str) -> str:
    """Describe what one ticker costs: ``days`` marks those that it alone lacks."""
    ticker, lost = there.tickers[at], there.dates[days]
    others = "the other" if len(there.tickers) == 2 else "the others"
    way = "take another market with --market" if ticker == market else "exclude it with --tickers, or set balance: each"
    why = f"lacks sessions from {lost[0]} to {lost[-1]}"
    if 2 * (lost < there.first[at]).sum() >= len(lost):
        why = f"begins {there.first[at]}"
    elif 2 * (lost > there.last[at]).sum() >= len(lost):
        why = f"ends {there.last[at]}"
    return f"{ticker} {why} and costs {others} {len(lost)} of {common + len(lost)} sessions; {way}"


def _youngest(there: Presence, common: int, market: str) -> tuple[str, ...]:
    """Name the fewest tickers that begin last and together cost much; nothing if these are many."""
    order = np.argsort(there.first, kind="stable")
    first = there.first[order]
    lacked = np.logical_or.accumulate(there.absent[order], axis=0)  # by one of the oldest, shape [count, date]
    for count in range(2, int(MOST * len(order)) + 1):
        oldest = len(order) - count
        kept = ~lacked[oldest - 1]
        lost, before = int(kept.sum()) - common, int((kept & (there.dates < first[-1])).sum())
        if first[oldest] > first[oldest - 1] and lost and lost >= MUCH * common and 2 * before >= lost:
            young = [there.tickers[at] for at in order[oldest:]]
            shown = ", ".join(sorted(young)[:10]) + (" ..." if count > 10 else "")
            cost = f"begin on {first[oldest]} or later and cost the others {lost} of {common + lost} sessions"
            way = "" if market in young else "; exclude them with --tickers, or set balance: each"
            return (f"{shown} {cost}{way}",)
    return ()
