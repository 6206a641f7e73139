"""Cut bars off after a day, or rewrite those after it, and compare what is computed of the days before."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
import polars as pl

from nextday.errors import NextdayError
from nextday.settings import VALUES
from nextday.words import plural

How = Literal["cut", "rewritten"]
Compute = Callable[[pl.DataFrame, np.ndarray], np.ndarray]

NOISE = 0.2  # standard deviation of the logarithm of each factor
BODY = ("open", "close")
TOLERANCE = 1e-9  # of a column's largest absolute value: rounding
FIRST = (5, 12, 30, 70, 140, 270)  # sessions; what is filled in before a window is full shows only here
EVEN = (0.20, 0.97)  # shares of the sessions between which the other places lie
TESTED = 0.8  # share of the sessions before the test range, where it is not known
AFTER = 5  # sessions left after the last place
WHOLE = 0.4  # a reach of a larger share of the sessions is the whole sample
SURE = 0.95  # probability with which a leak is found


@dataclass(frozen=True, slots=True)
class Moved:
    """A column whose values up to a day move when later bars do.

    Attributes
    ----------
    column
        Position of the column.
    place
        Position of the last day that was left as it is.
    how
        What was done to the bars after it.
    first
        Position of the first day that moved.
    """

    column: int
    place: int
    how: How
    first: int

    @property
    def reach(self) -> int:
        """Sessions of the future that the first value to move must have used."""
        return self.place - self.first + 1


def cut(frame: pl.DataFrame, after: date) -> pl.DataFrame:
    """Return the bars up to a day, the day included."""
    return frame.filter(pl.col("date") <= after)


def rewritten(frame: pl.DataFrame, after: date, seed: int) -> pl.DataFrame:
    """Rewrite all bars after a day; dates, tickers, whole numbers and flags stay.

    Each price, the volume and each column of the user's own is multiplied by noise of its own: one factor for all
    prices of a bar would leave their ratios, such as log(high / low), as they were. The high remains the highest price
    of its bar and the low the lowest.

    Parameters
    ----------
    frame
        Bars of any number of tickers, with ``date``.
    after
        The last day that stays as it is.
    seed
        Seed of the noise.

    Returns
    -------
    The same rows and columns.
    """
    rng = np.random.default_rng(seed)
    later = (frame["date"] > after).to_numpy()
    count = int(later.sum())
    changed = []
    for column in frame.iter_columns():
        if _is_rewritten(column):
            factor = np.ones(len(frame))
            factor[later] = np.exp(rng.normal(0, NOISE, count))
            moved = column * pl.Series(factor)
            whole = moved.round() if column.dtype.is_integer() else moved
            changed.append(whole.cast(column.dtype).alias(column.name))
    return _ordered(frame.with_columns(changed), pl.lit(pl.Series(later)))


def _is_rewritten(column: pl.Series) -> bool:
    """Return whether noise makes sense: not for counts and for flags, which may be written as 0.0 and 1.0."""
    if column.name in VALUES:
        return column.dtype.is_numeric()
    return column.dtype.is_float() and column.n_unique() > 2


def _ordered(frame: pl.DataFrame, later: pl.Expr) -> pl.DataFrame:
    """Make the high of the later bars their highest price and the low their lowest; a missing price stays missing."""
    body = [name for name in BODY if name in frame.columns]
    ends = {
        "high": pl.max_horizontal("high", *body, *(name for name in ("low",) if name in frame.columns)),
        "low": pl.min_horizontal("low", *body),
    }
    for name, end in ends.items():
        if name in frame.columns:
            frame = frame.with_columns(
                pl.when(later & pl.col(name).is_not_null()).then(end).otherwise(name).alias(name)
            )
    return frame


def places_of(sessions: int, first_test: int | None = None, count: int = 8) -> tuple[int, ...]:
    """Return places at which a feature is checked, half of them in the test range.

    Parameters
    ----------
    sessions
        Number of days.
    first_test
        Position of the first day of the test range; unless given, it is the last fifth.
    count
        Number of places.

    Returns
    -------
    Positions of the last day that is left as it is, in ascending order; fewer than ``count`` where there are too few
    days.
    """
    start = int(TESTED * sessions) if first_test is None else first_test
    tested = np.linspace(start, sessions - 1 - AFTER, count // 2)
    before = np.linspace(0.1, 0.9, count - count // 2 - 1) * start
    return _inside([FIRST[0], *before, *tested], sessions)


def places_throughout(sessions: int, count: int = 24) -> tuple[int, ...]:
    """Return places at which a function is checked: early ones, and even ones from 20 to 97 % of the days.

    Parameters
    ----------
    sessions
        Number of days.
    count
        Number of places.

    Returns
    -------
    As for ``places_of``.
    """
    return _inside([*FIRST[:count], *np.linspace(*EVEN, max(count - len(FIRST), 0)) * sessions], sessions)


def _inside(places: Sequence[float], sessions: int) -> tuple[int, ...]:
    return tuple(sorted({int(place) for place in places if 0 <= place < sessions - 1}))


def find_moved(
    compute: Compute, frame: pl.DataFrame, dates: np.ndarray, places: Sequence[int], *,
    before: np.ndarray | None = None, tolerance: float = TOLERANCE,
) -> list[Moved]:  # fmt: skip
    """Compute columns with later bars cut off and rewritten, and return what moves of the days up to each place.

    Parameters
    ----------
    compute
        Maps bars and their days to values, shape [ticker, date, column], not a number where there is none. What it
        refuses to compute of fewer bars is not compared with the cut.
    frame
        The bars.
    dates
        Their days, ``datetime64[D]``, shape [date].
    places
        Positions of the last day that is left as it is.
    before
        What ``compute`` returns for all bars, where it is known.
    tolerance
        Share of a column's largest absolute value by which rounding may move it; 0 where values must be equal.

    Returns
    -------
    One for each column, place and manner in which it moved.
    """
    before = compute(frame, dates) if before is None else before
    limit = tolerance * largest(before)
    moved = []
    for place in places:
        for how, after in _computed(compute, frame, dates, place):
            every = differing(before[:, : place + 1], after[:, : place + 1], limit)
            differs = np.asarray(every.any(axis=0))  # [date, column]
            columns = np.flatnonzero(differs.any(axis=0))
            moved += [Moved(int(column), place, how, int(differs[:, column].argmax())) for column in columns]
    return moved


def _computed(compute: Compute, frame: pl.DataFrame, dates: np.ndarray, place: int) -> Iterator[tuple[How, np.ndarray]]:
    after = dates[place].item()
    try:
        fewer = compute(cut(frame, after), dates[: place + 1])
    except NextdayError:
        fewer = None  # too few bars for it; the rewritten ones are as many as before
    if fewer is not None:
        yield "cut", fewer
    yield "rewritten", compute(rewritten(frame, after, seed=place), dates)


def largest(values: np.ndarray) -> np.ndarray:
    """Return the largest absolute value of each column, 0 where no value is finite; shape [ticker, date, column]."""
    return np.asarray(np.where(np.isfinite(values), np.abs(values), 0).max(axis=(0, 1), initial=0))


def differing(before: np.ndarray, after: np.ndarray, limit: np.ndarray | float = 0.0) -> np.ndarray:
    """Return where values differ by more than a limit, or one is missing and the other is not."""
    unequal = np.asarray((before != after) & ~(np.isnan(before) & np.isnan(after)))
    if not np.any(limit) or not unequal.any():
        return unequal
    with np.errstate(invalid="ignore"):
        return np.asarray(unequal & ~(np.abs(before - after) <= limit))


def least_share(places: int, reach: int = 1) -> float:
    """Return the smallest share of days with a leak that is found with 95 %: of 1 - (1 - share)^(places reach)."""
    return float(1 - (1 - SURE) ** (1 / (places * reach)))


def missed(places: int) -> str:
    """Return in words what so many places may miss.

    Examples
    --------
    >>> missed(24), missed(200)
    ('a leak on fewer than 1 day in 8 may be missed', 'a leak on fewer than 1 day in 67 may be missed')
    """
    return f"a leak on fewer than {plural(1, 'day')} in {int(1 / least_share(places))} may be missed"
