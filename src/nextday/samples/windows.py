"""Lookback windows as views of one matrix, and the targets: the only place in nextday that uses the next day."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np


@dataclass(frozen=True, slots=True)
class Windows:
    """Inputs of consecutive samples, stored once and viewed as overlapping windows.

    Attributes
    ----------
    rows
        Feature rows, shape [sample + lookback - 1, feature]; sample ``i`` uses rows ``i .. i + lookback - 1``, of which
        the last is its origin.
    lookback
        Sessions in a window.
    names
        Names of the features.

    Examples
    --------
    >>> windows = Windows(np.arange(5.0)[:, None], 3, ("log_return",))
    >>> len(windows), windows.x.shape, windows.last("log_return")
    (3, (3, 3, 1), array([2., 3., 4.]))
    """

    rows: np.ndarray
    lookback: int
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows) - self.lookback + 1

    @property
    def x(self) -> np.ndarray:
        """The windows as a read-only view, shape [sample, lookback, feature]."""
        return np.lib.stride_tricks.sliding_window_view(self.rows, self.lookback, axis=0).swapaxes(1, 2)

    def last(self, name: str) -> np.ndarray:
        """Return one feature at the origin of every sample, shape [sample]."""
        return self.rows[self.lookback - 1 :, self.names.index(name)]

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

    parts: tuple[Windows, ...]

    @classmethod
    def of(cls, parts: Sequence[Windows]) -> Self:
        """Concatenate windows with the same features."""
        return cls(np.concatenate([part.rows for part in parts]), parts[0].lookback, parts[0].names, tuple(parts))

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @property
    def x(self) -> np.ndarray:
        """The windows, copied, shape [sample, lookback, feature]."""
        return np.concatenate([part.x for part in self.parts])

    def last(self, name: str) -> np.ndarray:
        """Return one feature at the origin of every sample, shape [sample]."""
        return np.concatenate([part.last(name) for part in self.parts])

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


def make_targets(adj_close: np.ndarray, origins: np.ndarray) -> np.ndarray:
    """Return the log return from the close of each origin to the next, ``ln(p[t+1] / p[t])``, shape [sample]."""
    return np.log(adj_close[origins + 1] / adj_close[origins])


def cut_windows(values: np.ndarray, origins: np.ndarray, *, lookback: int, names: tuple[str, ...]) -> Windows:
    """Return the windows that end at consecutive origins, from a ticker's features of shape [date, feature]."""
    rows = values[origins[0] - lookback + 1 : origins[-1] + 1]
    return Windows(np.ascontiguousarray(rows), lookback, names)  # the layout in memory moves the last bits of a sum
