"""What a fit to the whole sample leaves in a column: exact means, exact ends, even ranks, filled beginnings (T3)."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from nextday.auditing.findings import Finding, Level
from nextday.auditing.moves import Moves, grid
from nextday.words import plural

EXACT, ENDS = 1e-5, 1e-9  # of mean and deviation; of minimum and maximum
UNRELATED, UNRELATED_POOLED = 1e-6, 1e-10  # correlations on every ticker, and on all together
LEAST, FIRST, DISTINCT_VALUES = 100, 200, 10  # rows of a pair; rows of which so many differ, as dummies do not
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
    """Find pairs that are uncorrelated to rounding on every ticker, or on all together: principal components.

    Only columns with the same rows are compared, as components come together. A column that is the same for all tickers
    of a day is left out of the second comparison: what sums to zero every day is uncorrelated with it by construction.
    """
    alike: dict[bytes, list[str]] = {}
    for name, own in values.items():
        there = np.isfinite(own)
        if there.sum() >= LEAST and len(np.unique(own[there][:FIRST])) >= DISTINCT_VALUES:
            alike.setdefault(there.tobytes(), []).append(name)
    for names in alike.values():
        pairs = np.triu(_unrelated(np.stack([values[name] for name in names])), 1)
        for at, other in zip(*np.nonzero(pairs), strict=True):
            yield Finding(
                names[at], "alarm", "T3",
                f"{names[at]} and {names[other]} are uncorrelated to the last digit over exactly these bars, as "
                "principal components of the whole sample are: they were fitted with days that were still to come.",
            )  # fmt: skip


def _unrelated(columns: np.ndarray) -> np.ndarray:
    """Return which pairs of columns, [column, ticker, date], are uncorrelated to rounding, shape [column, column]."""
    there = np.isfinite(columns[0])
    each = [np.abs(_correlations(columns[:, at, own])) for at, own in enumerate(there) if own.sum() > HEAD]
    high, low = (np.where(there, sign * columns, -np.inf).max(axis=1) for sign in (1, -1))
    apart = np.where(there.any(axis=0), high + low, 0.0).max(axis=1)  # the most that tickers of a day differ
    own = (apart > ENDS * np.abs(columns[:, there]).max(axis=1)) | (len(there) == 1)
    together = (np.abs(_correlations(columns[:, there])) < UNRELATED_POOLED) & own & own[:, None]
    return together | (np.max(each, axis=0) < UNRELATED) if len(each) > 1 else together


def _correlations(rows: np.ndarray) -> np.ndarray:
    """Return the correlations of rows; 1 where one is constant."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    size = np.sqrt((centred**2).sum(axis=1))
    found = centred @ centred.T / np.maximum(np.outer(size, size), 1e-300)
    return np.where(np.outer(size > 0, size > 0), found, 1.0)
