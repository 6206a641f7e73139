"""What data alone cannot decide, and a person can: publication dates, price levels, survivors (Q1 to Q4)."""

from collections.abc import Iterator, Mapping

import numpy as np

from nextday.auditing.findings import Finding
from nextday.auditing.moves import Moves, grid
from nextday.auditing.steps import ends_of, runs_of
from nextday.words import plural

SAME, TWICE = 1e-4, 0.5  # deviation of a difference of logs; share of what is left unexplained
REPRODUCED = 0.999  # R2 of a step by the returns before it
SURVIVED, T = 0.9, 3.0  # share of names that beat the market, and t of their mean
YEAR = 252  # sessions
PERIODS = {"Q1": ("Q", 0.8, 40, 12, "quarters"), "Q2": ("M", 0.9, 15, 24, "months")}
DISTINCT = 0.9  # share of values that are positive
CLOSE = 0.02  # of the variance that a level leaves unexplained


def ask_questions(moves: Moves, values: Mapping[str, np.ndarray], known: Mapping[str, str]) -> Iterator[Finding]:
    """Ask about columns that change at ends of periods or carry adjusted prices, and about names that all did well.

    Parameters
    ----------
    moves
        Prices of the panel.
    values
        The columns by name, shape [ticker, date].
    known
        Columns whose date of publication was declared.
    """
    adjusted, close = (np.log(grid(moves.panel, name)) for name in ("adj_close", "close"))
    for name, own in values.items():
        if name not in known:
            yield from _of_periods(name, own, moves)
        yield from _of_levels(name, own, adjusted, close)
    yield from _of_survivors(moves)


def _of_periods(name: str, values: np.ndarray, moves: Moves) -> Iterator[Finding]:
    """Ask when values were public that change at the ends of quarters or months."""
    starts, lengths, many = [], [], []
    rows = [row for row in values if np.isfinite(row).any() and np.nanstd(row) > 0]
    for row in rows:
        start, stop = runs_of(row)
        starts.append(start[1:])
        lengths += (stop - start).tolist()
        many.append(len(np.unique(row[start])))
    if not lengths:
        return
    every = np.concatenate(starts)
    for code, (period, share, longest, least, words) in PERIODS.items():
        edge = ends_of(moves.panel.dates, period)
        at_ends = edge[every].mean() if len(every) else 0.0
        if (
            at_ends >= share
            and np.median(lengths) > longest
            and np.median(many) > least
            and not _reproduced(values, moves)
        ):
            yield Finding(
                name, "question", code,
                f"{name} changes at the ends of {words}. Figures of a quarter are public 25 to 60 days later; if these "
                f"are such, declare when they were known: --known {name}=45d, or a column of dates.",
                {"share": float(at_ends)},
            )  # fmt: skip
            return


def _reproduced(values: np.ndarray, moves: Moves) -> bool:
    """Return whether each value is the return of the period before it, simple or logarithmic."""
    x, y = [], []
    for row, moved in zip(values, moves.returns, strict=True):
        if not np.isfinite(row).any():
            continue
        start, _ = runs_of(row)
        totals = np.concatenate([[0.0], np.cumsum(np.nan_to_num(moved))])
        for shift in (0, 1):  # known at the close of its first day, or of the day before
            x.append(totals[start[2:] + shift] - totals[start[1:-1] + shift])
            y.append(row[start[2:]])
    for shift in (0, 1):
        a, b = (np.concatenate(one[shift::2]) if one else np.array([]) for one in (x, y))
        if len(a) > 3 and a.std() > 0 and b.std() > 0:
            best = max(np.corrcoef(a, b)[0, 1] ** 2, np.corrcoef(np.expm1(a), b)[0, 1] ** 2)
            if best > REPRODUCED:
                return True
    return False


def _of_levels(name: str, values: np.ndarray, adjusted: np.ndarray, close: np.ndarray) -> Iterator[Finding]:
    """Ask about a level of adjusted prices: the splits and dividends of later years are in it."""
    rows = [
        (np.log(x[there]), a[there], c[there])
        for x, a, c in zip(values, adjusted, close, strict=True)
        if (there := np.isfinite(x) & np.isfinite(a) & (np.nan_to_num(x) > 0)).sum()
        > DISTINCT * np.isfinite(x).sum()
        > 2
    ]
    if len(rows) < len(values) or max(np.ptp(a - c) for _, a, c in rows) < SAME:
        return  # no level, or neither a split nor a dividend
    like_price = all(_alike(x, a) for x, a, _ in rows)
    like_factor = all(_alike(x, a - c) for x, a, c in rows)
    adjusted_left, close_left = (np.mean([_left(x, price[at]) for x, *price in rows]) for at in (0, 1))
    if like_price or like_factor or (adjusted_left < CLOSE and adjusted_left < TWICE * close_left):
        yield _level(name)


def _alike(level: np.ndarray, reference: np.ndarray) -> bool:
    """Return whether a log level is a reference up to a factor, and the reference moves."""
    return bool((level - reference).std() < SAME < np.ptp(reference))


def _left(level: np.ndarray, price: np.ndarray) -> float:
    """Return the share of the variance of a log price that a level leaves unexplained."""
    if not (level.std() > 0 and price.std() > 0):
        return 1.0
    return float(1 - np.corrcoef(level, price)[0, 1] ** 2)


def _level(name: str) -> Finding:
    return Finding(
        name, "question", "Q3",
        f"{name} follows the level of adj_close, which contains splits and dividends of later years; use returns or "
        "ratios.",
    )  # fmt: skip


def _of_survivors(moves: Moves) -> Iterator[Finding]:
    """Ask how tickers were chosen that together beat the market, nearly all of them."""
    excess = moves.excess_returns
    if excess is None or len(excess) < 3:
        return
    there = np.isfinite(excess)
    excess = np.where(there, excess, 0.0)
    mean = excess.sum(axis=1) / np.maximum(there.sum(axis=1), 1)
    daily = (excess.sum(axis=0) / np.maximum(there.sum(axis=0), 1))[there.any(axis=0)]
    t = float(daily.mean() / (daily.std(ddof=1) / np.sqrt(len(daily)))) if daily.std() > 0 else 0.0
    won = float((mean > 0).mean())
    if t > T and won > SURVIVED:
        many = plural(len(mean), "name")
        who = f"All {many}" if won == 1 else f"{100 * won:.0f} % of {many}"
        yield Finding(
            "", "question", "Q4",
            f"{who} beat {moves.panel.market}, together by {100 * YEAR * daily.mean():.1f} % a year (t {t:.1f}): "
            "chosen with hindsight?", {"t": t, "share": won},
        )  # fmt: skip
