"""Targets: the only place in nextday that uses the next day."""

import numpy as np

from nextday.data import Panel
from nextday.samples.windows import across_gaps
from nextday.study import COMPARED, LEAST_NAMES, TARGETS, Target
from nextday.words import plural


def returns_of(panel: Panel, ticker: str) -> np.ndarray:
    """Return the log return from the close of each of a ticker's sessions to the next, ``ln(p[t+1] / p[t])``.

    Shape [session]; missing at the last.
    """
    closes = panel.of(ticker)["adj_close"].to_numpy()
    return np.append(np.log(closes[1:] / closes[:-1]), np.nan)


def _ranges_of(panel: Panel, ticker: str) -> np.ndarray:
    """Return the log range of the session after each of a ticker's, ``ln(high[t+1] / low[t+1])``, shape [session]."""
    bars = panel.of(ticker)
    ranges = np.log(bars["high"].to_numpy() / bars["low"].to_numpy())
    return np.append(ranges[1:], np.nan)


def targets_of(panel: Panel, target: Target) -> dict[str, np.ndarray]:
    r"""Return the target of each session of each ticker, shape [session]; missing where there is none.

    ``return`` is the log return to the next session, ``r``; ``abs_return`` its absolute value; ``log_range`` the log
    range of the next session, ``ln(high / low)``, proportional to its volatility (Parkinson 1980, "The extreme value
    method for estimating the variance of the rate of return", Journal of Business 53). The others compare returns with
    those of the members of the day, the tickers whose return is of one session and that belong to the universe
    (``Panel.member``):

    .. math:: \mathrm{excess}_{it} = r_{it} - \frac{1}{n_t} \sum_j r_{jt}, \qquad
              \mathrm{rank}_{it} = \frac{1}{n_t} \sum_j \left([r_{jt} < r_{it}] + \tfrac12 [r_{jt} = r_{it}]\right)
              - \tfrac12

    Ranks lie between -0.5 and 0.5, and those of a day sum to zero. Gu, Kelly and Xiu (2020), "Empirical asset pricing
    via machine learning", Review of Financial Studies 33, rank their inputs so. A day with fewer than ten members has
    none.
    """
    if target == "log_range":
        return {ticker: _ranges_of(panel, ticker) for ticker in panel.tickers}
    if target not in COMPARED:
        returns = {ticker: returns_of(panel, ticker) for ticker in panel.tickers}
        return {ticker: np.abs(own) for ticker, own in returns.items()} if target == "abs_return" else returns
    grid, counted = _compared(panel)
    found = _excess(grid, counted) if target == "excess" else _ranks(grid, counted)
    found[:, _few(counted)] = np.nan
    return {ticker: found[at, panel.sessions(ticker)] for at, ticker in enumerate(panel.tickers)}


def note_target(panel: Panel, target: Target) -> tuple[str, ...]:
    """Describe a target other than the return, and count the days that have too few tickers for it."""
    if target == "return":
        return ()
    few = int(_few(_compared(panel)[1])[:-1].sum()) if target in COMPARED else 0  # the last day has no next
    left_out = f"{plural(few, 'day')} with fewer than {LEAST_NAMES} tickers have no such target and are left out"
    return (f"The target is {TARGETS[target]}.", *([left_out] if few else []))


def _compared(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """Return the returns of all tickers, [ticker, date], and those of the members alone."""
    grid = _grid(panel, {ticker: returns_of(panel, ticker) for ticker in panel.tickers})
    return grid, np.where(_members(panel), grid, np.nan)


def _few(counted: np.ndarray) -> np.ndarray:
    """Whether a date has too few members to compare."""
    return (~np.isnan(counted)).sum(axis=0) < LEAST_NAMES


def _grid(panel: Panel, values: dict[str, np.ndarray]) -> np.ndarray:
    """Put values of the tickers' sessions onto all dates, [ticker, date]; missing where a ticker has no session."""
    grid = np.full((len(panel.tickers), len(panel.dates)), np.nan)
    for at, (ticker, own) in enumerate(values.items()):
        grid[at, panel.sessions(ticker)] = own
    return grid


def _members(panel: Panel) -> np.ndarray:
    """Whether a ticker is a member on a date and its return is of one session, bool, [ticker, date]."""
    found = {}
    for ticker in panel.tickers:
        skipped = panel.skipped_by(ticker)
        over = across_gaps(skipped, np.arange(len(skipped) - 1), reach=1)[0]
        found[ticker] = panel.member(ticker) & ~np.append(over, True)
    return _grid(panel, found) == 1


def _excess(grid: np.ndarray, counted: np.ndarray) -> np.ndarray:
    present = ~np.isnan(counted)
    return grid - np.where(present, counted, 0).sum(axis=0) / np.maximum(present.sum(axis=0), 1)


def _ranks(grid: np.ndarray, counted: np.ndarray) -> np.ndarray:
    found = np.full_like(grid, np.nan)
    for date, (values, members) in enumerate(zip(grid.T, counted.T, strict=True)):
        ordered, there = np.sort(members[~np.isnan(members)]), ~np.isnan(values)
        if len(ordered):
            below, upto = (np.searchsorted(ordered, values[there], side=side) for side in ("left", "right"))
            found[there, date] = (below + upto) / 2 / len(ordered) - 0.5
    return found
