"""What a fit to the whole sample leaves in a column: exact means, exact ends, even ranks, filled beginnings (T3)."""

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations

import numpy as np

from nextday.auditing.findings import Finding, Level
from nextday.auditing.moves import Moves, grid
from nextday.words import plural

EXACT, ENDS, UNRELATED = 1e-5, 1e-9, 1e-6  # of mean and deviation; of minimum and maximum; of a correlation
EVEN = 0.35  # deviation of the gaps between sorted values, in mean gaps; 1 where they are random
DISTINCT = 0.9  # share of values
PROPORTIONAL = 1e-4  # relative
HEAD, TIMES = 5, 3  # rows at the beginning without a change, and how many times the longest run after them
DROPPED = 20  # rows at the beginning that no study uses


def find_fingerprints(moves: Moves, values: Mapping[str, np.ndarray], *, pooled: bool) -> Iterator[Finding]:
    """Find columns that were scaled, ranked, encoded or filled with days that were still to come.

    Parameters
    ----------
    moves
        Prices of the panel.
    values
        The columns by name, shape [ticker, date].
    pooled
        Whether one model is trained on all tickers: only then does scaling by the whole sample change a forecast.
    """
    for name, own in values.items():
        rows = [row[np.isfinite(row)] for row in own]
        rows = [row for row in rows if len(row) > HEAD]
        if not rows:
            continue
        found = _scaled(name, rows, pooled) or _ranked(name, rows) or _encoded(name, rows, moves) or _filled(name, rows)
        if found:
            yield found
    yield from _orthogonal(values)


def _scaled(name: str, rows: list[np.ndarray], pooled: bool) -> Finding | None:
    together = np.concatenate(rows)
    if _all(rows, together, _is_standard):
        what = "has mean 0 and deviation 1"
    elif _all(rows, together, _has_exact_ends):
        what = "runs from exactly its minimum to exactly its maximum, 0 or -1 to 1,"
    else:
        return None
    level: Level = "alarm" if pooled else "note"
    matters = (
        "For a model that is trained on all tickers this is knowledge of the future."
        if pooled
        else "For nextday's networks per ticker this changes nothing, as they scale again; for a pooled model or a "
        "threshold it does."
    )
    said = f"{name} {what} over exactly these bars: it was scaled with days that were still to come. {matters}"
    return Finding(name, level, "T3", said)


def _all(rows: list[np.ndarray], together: np.ndarray, has: Callable[[np.ndarray], bool]) -> bool:
    return all(map(has, rows)) or has(together)


def _is_standard(row: np.ndarray) -> bool:
    spread = np.array([row.std(), row.std(ddof=1)])
    return bool(abs(row.mean()) < EXACT and (np.abs(spread - 1) < EXACT).any())


def _has_exact_ends(row: np.ndarray) -> bool:
    low, high = row.min(), row.max()
    ends = abs(high - 1) < ENDS and min(abs(low), abs(low + 1)) < ENDS
    seldom = max((np.abs(row - low) < ENDS).sum(), (np.abs(row - high) < ENDS).sum()) <= 2
    return bool(ends and seldom and len(np.unique(row)) > len(row) / 2)


def _ranked(name: str, rows: list[np.ndarray]) -> Finding | None:
    """See whether values lie as evenly as ranks; a counter of days does, too, and knows nothing."""
    for row in rows:
        gaps = np.diff(np.unique(row))
        steps = np.diff(row)
        if (
            len(gaps) < DISTINCT * len(row) - 1
            or not gaps.std() < EVEN * gaps.mean()
            or not (steps.min() < 0 < steps.max())
        ):
            return None
    return Finding(
        name, "alarm", "T3",
        f"{name} has values as evenly spaced as ranks over exactly these bars: each was ranked among days that were "
        "still to come. Rank within a moving or an expanding window.",
    )  # fmt: skip


def _encoded(name: str, rows: list[np.ndarray], moves: Moves) -> Finding | None:
    """See whether a constant per ticker is a moment of its whole sample."""
    if len(rows) < max(3, len(moves.returns)) or any(np.ptp(row) > 0 for row in rows):
        return None
    level = np.array([row[0] for row in rows])
    if np.ptp(level) == 0:
        return None
    volume = grid(moves.panel, "volume")
    moments = {
        "mean return": np.nanmean(moves.returns, axis=1), "volatility": np.nanstd(moves.returns, axis=1, ddof=1),
        "mean volume": np.nanmean(volume, axis=1),
    }  # fmt: skip
    moments |= {"mean log volume": np.nanmean(np.log1p(volume), axis=1)}
    for what, moment in moments.items():
        ratio = level / np.where(moment != 0, moment, np.nan)
        if np.isfinite(ratio).all() and np.ptp(ratio) <= PROPORTIONAL * abs(ratio.mean()):
            said = f"{name} is each ticker's {what} over all days, those still to come among them."
            return Finding(name, "alarm", "T3", said)
    return None


def _filled(name: str, rows: list[np.ndarray]) -> Finding | None:
    """See whether the beginning repeats the first value, longer than any value stands later."""
    heads, filled = [], 0
    for row in rows:
        runs = np.diff(np.flatnonzero(np.concatenate([[True], np.diff(row) != 0, [True]])))
        heads.append(int(runs[0]))
        filled += len(runs) > 1 and runs[0] >= HEAD and runs[0] > TIMES * runs[1:].max()
    if filled < len(rows):
        return None
    first = [row[0] for row in rows]
    same = len(first) > 1 and np.ptp(first) == 0
    longest = max(heads)
    if same or longest <= DROPPED:
        said = f"{name} begins with {plural(longest, 'equal value')}: a filled warm-up, which carries no news."
        return Finding(name, "note", "T3", said, {"rows": float(longest)})
    return Finding(
        name, "alarm", "T3",
        f"{name} begins with {plural(longest, 'equal value')}, longer than any value stands later: its first value was "
        "filled backwards to days before it was known. Leave them empty.", {"rows": float(longest)},
    )  # fmt: skip


def _orthogonal(values: Mapping[str, np.ndarray]) -> Iterator[Finding]:
    """Find pairs that are uncorrelated to rounding on every ticker, or on all together: principal components."""
    names = [name for name, own in values.items() if np.isfinite(own).any()]
    for one, other in combinations(names, 2):
        a, b = values[one], values[other]
        both = np.isfinite(a) & np.isfinite(b)
        if both.sum() < 100:
            continue
        each = [
            abs(_correlation(x[there], y[there])) for x, y, there in zip(a, b, both, strict=True) if there.sum() > 2
        ]
        if max(each, default=1.0) < UNRELATED or abs(_correlation(a[both], b[both])) < UNRELATED:
            yield Finding(
                one, "alarm", "T3",
                f"{one} and {other} are uncorrelated to the last digit over exactly these bars, as principal "
                "components of the whole sample are: they were fitted with days that were still to come.",
            )  # fmt: skip


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Return a correlation; 1 where one is constant."""
    a, b = x - x.mean(), y - y.mean()
    size = np.sqrt((a**2).sum() * (b**2).sum())
    few = min(len(np.unique(x[:200])), len(np.unique(y[:200]))) < 10  # dummies may be by construction
    return 1.0 if not size > 0 or few else float((a * b).sum() / size)
