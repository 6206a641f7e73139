"""Lookback windows as views of one matrix; where sessions are missing between two rows, samples are left out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from nextday.data.gaps import LONGEST_STEP


@dataclass(frozen=True, slots=True)
class Breaks:
    """Where the samples or the rows of some windows do not follow one another.

    Attributes
    ----------
    starts
        Row where the window of each sample begins, rising, shape [sample].
    apart
        Whether sessions are missing right before a row, so that its return is not of one session, bool, shape [row].
    """

    starts: np.ndarray
    apart: np.ndarray


@dataclass(frozen=True, slots=True)
class Windows:
    """Inputs of samples in the order of time, stored once and viewed as overlapping windows.

    Attributes
    ----------
    rows
        Feature rows, shape [row, feature]; sample ``i`` sees rows ``i .. i + lookback - 1``, of which the last is its
        origin. With ``breaks`` there are rows that no sample begins at, and the row ``lookback - 1`` is the origin of
        the first sample or, where samples are left out before it, the day of the last target before these.
    lookback
        Sessions in a window.
    names
        Names of the features.
    breaks
        Where samples or rows do not follow one another; None says that all do.

    Examples
    --------
    >>> windows = Windows(np.arange(5.0)[:, None], 3, ("log_return",))
    >>> len(windows), windows.x.shape, windows.last("log_return")
    (3, (3, 3, 1), array([2., 3., 4.]))
    """

    rows: np.ndarray
    lookback: int
    names: tuple[str, ...]
    breaks: Breaks | None = None

    def __len__(self) -> int:
        return len(self.rows) - self.lookback + 1 if self.breaks is None else len(self.breaks.starts)

    @property
    def starts(self) -> np.ndarray:
        """Row where the window of each sample begins, shape [sample]."""
        return np.arange(len(self)) if self.breaks is None else self.breaks.starts

    @property
    def x(self) -> np.ndarray:
        """The windows, shape [sample, lookback, feature]: a read-only view, or with ``breaks`` a copy."""
        every = np.lib.stride_tricks.sliding_window_view(self.rows, self.lookback, axis=0).swapaxes(1, 2)
        return every if self.breaks is None else every[self.breaks.starts]

    @property
    def newest(self) -> np.ndarray:
        """Features of the origin of every sample, shape [sample, feature]."""
        first = self.lookback - 1
        return self.rows[first:] if self.breaks is None else self.rows[self.breaks.starts + first]

    def last(self, name: str) -> np.ndarray:
        """One feature at the origin of every sample, shape [sample]."""
        return self.newest[:, self.names.index(name)]

    def later(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return one feature of each day after the row ``lookback - 1``, and how many of them a sample knows, [sample].

        Days whose return is not of one session are left out: what a model filters day by day.
        """
        values = self.rows[self.lookback :, self.names.index(name)]
        if self.breaks is None:
            return values, np.arange(len(self))
        kept = ~self.breaks.apart[self.lookback :]
        return values[kept], np.concatenate([[0], np.cumsum(kept)])[self.breaks.starts]

    def cut(self, start: int | None, stop: int | None = None) -> "Windows":
        """Keep the samples ``start`` to ``stop``, of each ticker, and the rows after the origin of the one before."""
        first, last, _ = slice(start, stop).indices(len(self))
        starts = self.starts
        low = starts[first - 1] + 1 if first else 0
        high = starts[last - 1] + self.lookback if last else self.lookback - 1
        rows = np.ascontiguousarray(self.rows[low:high])  # the layout in memory moves the last bits of a sum
        if self.breaks is None:
            return Windows(rows, self.lookback, self.names)
        starts, apart = starts[first:last] - low, self.breaks.apart[low:high]
        follow = len(starts) == len(rows) - self.lookback + 1 and not apart.any()
        return Windows(rows, self.lookback, self.names, None if follow else Breaks(starts, apart))

    def arrays(self) -> list[np.ndarray]:
        """Return all that the windows consist of."""
        return [self.rows] if self.breaks is None else [self.rows, self.breaks.starts, self.breaks.apart]

    def split(self, values: np.ndarray) -> list[np.ndarray]:
        """Split values per sample, shape [sample, ...], by ticker; here there is one."""
        return [values]

    def repeat(self, values: np.ndarray) -> np.ndarray:
        """Repeat values per ticker, shape [ticker], for each of its samples."""
        return np.repeat(values, len(self))


@dataclass(frozen=True, slots=True)
class Pool(Windows):
    """The windows of several tickers, one ticker after another: the input of a pooled model.

    Attributes
    ----------
    parts
        The windows of each ticker; ``rows`` are those of all, and no window extends from one ticker to the next.
    """

    parts: tuple[Windows, ...] = ()

    @classmethod
    def of(cls, parts: Sequence[Windows]) -> Self:
        """Put windows with the same features together."""
        rows = np.concatenate([part.rows for part in parts])
        return cls(rows, parts[0].lookback, parts[0].names, parts=tuple(parts))

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @property
    def starts(self) -> np.ndarray:
        """Row where the window of each sample begins, shape [sample]."""
        before = np.cumsum([0, *(len(part.rows) for part in self.parts)])
        return np.concatenate([part.starts + rows for part, rows in zip(self.parts, before, strict=False)])

    @property
    def x(self) -> np.ndarray:
        """The windows, copied, shape [sample, lookback, feature]."""
        return np.concatenate([part.x for part in self.parts])

    @property
    def newest(self) -> np.ndarray:
        """Features of the origin of every sample, shape [sample, feature]."""
        return np.concatenate([part.newest for part in self.parts])

    def later(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Refuse: the days of several tickers are no one series."""
        raise NotImplementedError(f"{name} of several tickers is no one series")

    def cut(self, start: int | None, stop: int | None = None) -> "Pool":
        """Keep the samples ``start`` to ``stop`` of each ticker."""
        return Pool.of([part.cut(start, stop) for part in self.parts])

    def arrays(self) -> list[np.ndarray]:
        """Return all that the windows consist of, the rows of all tickers in one."""
        return [self.rows, *(array for part in self.parts for array in part.arrays()[1:])]

    def split(self, values: np.ndarray) -> list[np.ndarray]:
        """Split values per sample, shape [sample, ...], by ticker."""
        return np.split(values, np.cumsum([len(part) for part in self.parts])[:-1])

    def repeat(self, values: np.ndarray) -> np.ndarray:
        """Repeat values per ticker, shape [ticker], for each of its samples."""
        return np.repeat(values, [len(part) for part in self.parts])


@dataclass(frozen=True, slots=True)
class Samples:
    """Windows with their targets, the training input of a model. The test set is passed to models as ``Windows`` only.

    Examples
    --------
    >>> windows = Windows(np.zeros((5, 1), np.float32), 3, ("log_return",))
    >>> len(Samples(windows, np.zeros(3)).y)
    3
    """

    windows: Windows
    y: np.ndarray  # log returns, float64, [sample]


def make_origins(dates: int, *, warmup: int, lookback: int) -> np.ndarray:
    """Return the dates with a full window and a next session, as positions, shape [sample].

    Examples
    --------
    >>> make_origins(10, warmup=3, lookback=4)
    array([6, 7, 8])
    """
    return np.arange(warmup + lookback - 1, dates - 1)


def across_gaps(skipped: np.ndarray, origins: np.ndarray, *, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Mark the origins that are no samples because of gaps, bool, shape [sample] each.

    Parameters
    ----------
    skipped
        Sessions skipped before each date, shape [date].
    origins
        Positions of the origins in the dates.
    reach
        Dates up to the origin that a sample rests on: the window and, before it, the warm-up of its features.

    Returns
    -------
    targets
        The step to the target skips a session, so that it is not the return of one.
    windows
        A step between two of the ``reach`` dates skips more than ``LONGEST_STEP`` sessions, which breaks the history:
        its return would be an input, alone and within rolling features. After it all begins anew, as at the start.

    Examples
    --------
    >>> targets, windows = across_gaps(np.array([0, 0, 0, 1, 0, 9, 0, 0]), np.arange(1, 7), reach=2)
    >>> targets, windows
    (array([False,  True, False,  True, False, False]), array([False, False, False, False,  True, False]))
    """
    long = np.concatenate([[0], np.cumsum(skipped > LONGEST_STEP)])  # before each date
    return skipped[origins + 1] > 0, long[origins + 1] > long[origins + 2 - reach]


def cut_windows(
    values: np.ndarray, origins: np.ndarray, part: slice = slice(None), *, lookback: int, names: tuple[str, ...],
    skipped: np.ndarray | None = None,
) -> Windows:  # fmt: skip
    """Cut the windows that end at a part of the origins out of a ticker's features of shape [date, feature].

    ``skipped`` are the sessions skipped before each date; None says that there are none.
    """
    begin, end = origins[0] - lookback + 1, origins[-1] + 1
    apart = np.zeros(end - begin, bool) if skipped is None else skipped[begin:end] > 0
    return Windows(values[begin:end], lookback, names, Breaks(origins - origins[0], apart)).cut(part.start, part.stop)
