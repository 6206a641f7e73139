"""Audit a function of bars: whether what it computes of a day uses bars of later days."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import numpy as np
import polars as pl

from nextday.auditing.findings import Finding
from nextday.auditing.foreign import KEYS, Function, Run, adapt, keyed, name_of, on_grid
from nextday.auditing.perturb import (
    TOLERANCE,
    WHOLE,
    Moved,
    differing,
    find_moved,
    largest,
    places_throughout,
    rewritten,
)
from nextday.data.frames import read_frame
from nextday.errors import DataError
from nextday.names import known
from nextday.words import plural

CUTS = 24
CALENDAR = 53  # values of a column of weekdays, months or weeks
TURNS = 0.2  # share of its steps in which the day of a month or year turns; that of prices is above 0.4
UNSTABLE = "differs when it is computed twice from the same bars: it is not deterministic and cannot be judged"
LEVEL = (
    "depends on the level of adj_close, which contains splits and dividends of later years; use returns or ratios of "
    "adj_close instead"
)
BLIND = "does not change when every bar is rewritten: it reads no bars and cannot be judged"


def audit_function(
    frame: object, function: Function, *, columns: Sequence[str] | None = None, cuts: int = CUTS
) -> tuple[Finding, ...]:
    """Compute columns with later bars cut off and rewritten, and find those whose earlier values change.

    A change is a proof. That nothing changes is none: of n places, those of a leak with reach k on a share s of days
    are missed with probability (1 - s)^(n k); see ``perturb.missed``.

    Parameters
    ----------
    frame
        Bars with ``ticker`` and ``date``, of Polars or pandas.
    function
        Maps such bars to a frame with ``ticker``, ``date`` and columns; it is given Polars if it takes it, else pandas.
    columns
        Columns to audit; unless given, all numeric ones that the bars do not have.
    cuts
        Number of places at which later bars are cut off and rewritten.

    Returns
    -------
    The findings, column by column: ``F0`` not deterministic, ``F1`` changes when later bars are left out, ``F2`` when
    they are rewritten, ``F3`` depends on the level of ``adj_close``, ``F4`` reads no bars.

    Raises
    ------
    DataError
        If the function fails, or returns no such frame or column.

    Examples
    --------
    >>> import polars as pl
    >>> from nextday.data import random_walk
    >>> def tomorrow(bars):
    ...     return bars.select("ticker", "date", move=pl.col("close").pct_change().shift(-1).over("ticker"))
    >>> bars = random_walk(tickers=("KO", "PEP"), sessions=300, seed=1).frame
    >>> [(one.name, one.level, one.code) for one in audit_function(bars, tomorrow)]
    [('move', 'alarm', 'F2')]
    """
    name, bars = name_of(function), keyed(read_frame(frame), "the bars").sort(KEYS)
    tickers, dates = bars["ticker"].unique().sort().to_list(), bars["date"].unique().sort().to_numpy()
    run, first = adapt(function, bars)
    table = keyed(first, name)
    chosen = _chosen(table, bars, name, columns)
    compute, before = _computing(run, tickers, chosen, name), on_grid(table, tickers, dates, chosen)
    limit = TOLERANCE * largest(before)

    def moved_by(changed: pl.DataFrame) -> np.ndarray:
        return np.asarray(differing(before, compute(changed, dates), limit).any(axis=(0, 1)))  # [column]

    places = places_throughout(len(dates), cuts)
    unstable, level = moved_by(bars), moved_by(_halved(bars))
    blind = ~moved_by(rewritten(bars, dates[0].item() - timedelta(days=1), seed=0))
    leaks = find_moved(compute, bars, dates, places, before=before)
    findings: list[Finding] = []
    for at, column in enumerate(chosen):
        moved = [one for one in leaks if one.column == at]
        if unstable[at]:
            findings.append(_question(column, "F0", UNSTABLE))
            continue
        if moved:
            findings.append(_alarm(column, moved, places, dates))
        if level[at]:
            findings.append(_question(column, "F3", LEVEL))
        if blind[at] and not moved and not _is_calendar(before[..., at]):
            findings.append(_question(column, "F4", BLIND))
    return tuple(findings)


def _chosen(
    table: pl.DataFrame, bars: pl.DataFrame, name: str, columns: Sequence[str] | None
) -> list[str]:  # fmt: skip
    """Return the columns to audit: those asked for, or the numeric ones that are not those of the bars."""
    numbers = [
        one for one, kind in table.schema.items() if one not in KEYS and (kind.is_numeric() or kind == pl.Boolean)
    ]
    unknown = [one for one in columns or () if one not in numbers]
    if unknown:
        raise DataError(f"{name} returned no numeric column {unknown[0]!r}; {known(unknown[0], numbers)}")
    found = list(columns) if columns else [one for one in numbers if not _is_passed_on(table, bars, one)]
    if not found:
        raise DataError(f"{name} returned no numeric column besides those of the bars")
    return found


def _is_passed_on(table: pl.DataFrame, bars: pl.DataFrame, column: str) -> bool:
    if column not in bars.columns:
        return False
    both = table.select(*KEYS, column).join(bars.select(*KEYS, given=column), on=KEYS)
    return bool(both.select(pl.col(column).eq_missing(pl.col("given")).all()).item())


def _computing(
    run: Run, tickers: Sequence[str], columns: Sequence[str], name: str
) -> Callable[[pl.DataFrame, np.ndarray], np.ndarray]:
    def compute(frame: pl.DataFrame, dates: np.ndarray) -> np.ndarray:
        table = keyed(run(frame), name)
        lacking = [column for column in columns if column not in table.columns]
        if lacking:
            raise DataError(f"{name} returned no column {lacking[0]} for perturbed bars")
        return on_grid(table, tickers, dates, columns)

    return compute


def _halved(bars: pl.DataFrame) -> pl.DataFrame:
    return bars.with_columns(pl.col("adj_close") / 2) if "adj_close" in bars.columns else bars


def _question(name: str, code: str, what: str) -> Finding:
    return Finding(name, "question", code, f"{name} {what}.")


def _alarm(name: str, moved: Sequence[Moved], places: Sequence[int], dates: np.ndarray) -> Finding:
    reach, at = max(one.reach for one in moved), len({one.place for one in moved})
    is_rewritten = any(one.how == "rewritten" for one in moved)
    when = f"first on {dates[min(one.first for one in moved)]}, at {at} of {plural(len(places), 'place')}"
    numbers: Mapping[str, float] = {"reach": reach, "moved": at, "places": len(places)}
    if not is_rewritten:
        sentence = f"{name} of a day changes when later bars are left out ({when})."
    elif reach > WHOLE * len(dates):
        sentence = (
            f"{name} changes with bars of the whole file ({when}): it was fitted or scaled on days still to come."
        )
    else:
        sentence = f"{name} of a day changes when bars of {later_days(reach)} change ({when})."
    return Finding(name, "alarm", "F2" if is_rewritten else "F1", sentence, numbers)


def later_days(reach: int) -> str:
    """Return a reach in words.

    Examples
    --------
    >>> later_days(1), later_days(10)
    ('the next day', 'up to 10 later days')
    """
    return "the next day" if reach == 1 else f"up to {reach:,} later days"


def _is_calendar(values: np.ndarray) -> bool:
    """Return whether a column is a function of the date: equal on all tickers, with few values or few turns."""
    there = np.isfinite(values)  # [ticker, date]
    days = there.any(axis=0)
    high = np.where(there, values, -np.inf).max(axis=0)[days]
    low = np.where(there, values, np.inf).min(axis=0)[days]
    if (high != low).any():
        return False
    steps = np.sign(np.diff(high))
    steps = steps[steps != 0]
    turns = np.count_nonzero(np.diff(steps))
    return bool(len(np.unique(high)) <= CALENDAR or turns <= TURNS * len(steps))
