"""What prices of a panel do next, freed of what they did before: the yardstick of an audit of columns.

All arrays have the shape [ticker, date]; where a ticker has no bar, or no past yet, they are zero, the mean of the
others.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy  # its submodules load when first used, see calibration.py

from nextday.auditing.foreign import on_grid
from nextday.data import Panel

MOST_TICKERS = 300  # evenly chosen from a larger panel
DECAY = 0.06  # weight of the newest square in the moving variance
WIDEST = 4.0  # standard deviations at which moves are clipped
FIRST = 20  # moves that a moving variance starts from
SMALL = 1e-12
PAST = ((2, 4), (5, 9), (10, 19), (20, 59))  # days before over which returns are summed


@dataclass(frozen=True)
class Moves:
    """Returns and ranges of a panel, standardised by what was known before them.

    Attributes
    ----------
    panel
        The bars, of at most ``MOST_TICKERS`` tickers.
    returns
        Log returns; not a number where there is none.
    """

    panel: Panel
    returns: np.ndarray
    norms: dict[tuple[str, int], float] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, panel: Panel) -> "Moves":
        """Compute the returns of a panel, or of some of many tickers."""
        if len(panel.tickers) > MOST_TICKERS:
            chosen = np.linspace(0, len(panel.tickers) - 1, MOST_TICKERS).round().astype(int)
            panel = panel.only(tuple(panel.tickers[at] for at in chosen))
        return cls(panel, _steps(np.log(grid(panel, "adj_close"))))

    @cached_property
    def scaled(self) -> np.ndarray:
        """Returns in deviations that were known the day before, clipped."""
        return _scaled(self.returns)

    @cached_property
    def market(self) -> np.ndarray:
        """Scaled returns of the market, or of the mean of all tickers, shape [date]."""
        return np.asarray(_scaled(self._index[None])[0])

    @cached_property
    def beyond_market(self) -> np.ndarray:
        """Scaled returns less the market's return."""
        return _scaled(self.returns - self._index)

    @property
    def excess_returns(self) -> np.ndarray | None:
        """Log returns less those of the market; None without one."""
        return self.returns - self._index if self.panel.market else None

    @cached_property
    def _index(self) -> np.ndarray:
        """Log returns of the market, or the mean of all tickers, shape [date]."""
        panel = self.panel
        if not panel.market:
            return _mean(self.returns)
        own, price = panel.of(panel.market), np.full(len(panel.dates), np.nan)
        price[np.searchsorted(panel.dates, own["date"].to_numpy())] = own["adj_close"].to_numpy()
        return np.asarray(_steps(np.log(price[None]))[0])

    @cached_property
    def known(self) -> list[np.ndarray]:
        """Orthonormal bases of what past returns know on each day, one per ticker, shape [date, column]."""
        size, market = np.abs(self.scaled), np.broadcast_to(self.market, self.scaled.shape)
        past = [
            self.scaled, _before(self.scaled, 1), *(_sum(self.scaled, *days) for days in PAST),
            market, _before(market, 1), _sum(market, 2, 19), size,
        ]  # fmt: skip
        return _bases(past)

    @cached_property
    def known_ranges(self) -> list[np.ndarray]:
        """Orthonormal bases of what is known of the next range, one per ticker."""
        q, scaled, size = self._ranges, self.scaled, np.abs(self.scaled)
        market = np.broadcast_to(self.market, scaled.shape)
        volume = np.log1p(np.nan_to_num(grid(self.panel, "volume")))
        past = [
            q, _before(q, 1), *(_sum(q, 0, days - 1) for days in (5, 22, 66)), size, _sum(size, 0, 4),
            np.log(_deviation(self.returns)), volume - _sum(volume, 0, 59) / 60, scaled, np.minimum(scaled, 0),
            _sum(np.minimum(scaled, 0), 0, 4), market, np.minimum(market, 0), _sum(market, 0, 4),
            _sum(np.abs(market), 0, 4),
        ]  # fmt: skip
        return _bases(past)

    @cached_property
    def range_news(self) -> np.ndarray:
        """What the log range of a day has that the day before did not know, in deviations, clipped."""
        q = self._ranges
        following = np.roll(q, -1, axis=1)
        following[:, -1] = 0
        news = np.roll(residual(following, self.known_ranges), 1, axis=1)
        news[:, 0] = 0
        return np.asarray(np.clip(standard(news, self.present), -WIDEST, WIDEST))

    @cached_property
    def present(self) -> np.ndarray:
        """Whether a ticker has a return on a day."""
        return np.isfinite(self.returns)

    @cached_property
    def targets(self) -> dict[str, np.ndarray]:
        """What a column must not know, by name."""
        every = {"returns": self.scaled, "excess": self.beyond_market, "ranges": self.range_news}
        return {name: standard(one, self.present) for name, one in every.items()}

    @cached_property
    def spectra(self) -> dict[str, np.ndarray]:
        """Fourier transforms of the targets."""
        return {name: np.asarray(scipy.fft.rfft(one, axis=1)) for name, one in self.targets.items()}

    def norm(self, target: str, window: int) -> float:
        """Return the norm of a target's sums over some days, around the calendar."""
        if (target, window) not in self.norms:
            one = self.targets[target]
            total = sum((np.roll(one, -day, axis=1) for day in range(1, window)), one)
            self.norms[target, window] = float(np.sqrt((total**2).sum()))
        return self.norms[target, window]

    @cached_property
    def _ranges(self) -> np.ndarray:
        """Log of the log range of each day, less its mean."""
        high, low = grid(self.panel, "high"), grid(self.panel, "low")
        q = np.log(np.log(high / low) + 1e-4)
        return np.nan_to_num(q - np.nanmean(q, axis=1, keepdims=True))


def grid(panel: Panel, name: str) -> np.ndarray:
    """Return a column of the bars, shape [ticker, date]; not a number where it is missing."""
    found = on_grid(panel.frame, panel.tickers, panel.dates, [name])[..., 0]
    return np.where(np.isfinite(found), found, np.nan)


def views(values: np.ndarray) -> Iterator[tuple[np.ndarray, bool]]:
    """Return a column as its level, its change, or both, as normal scores of each ticker; missing values are zero.

    A level that remembers is taken less its moving mean of the days before: compared with its mean over all days, a
    high one is followed by a fall, whatever it knew. The second element is whether it remembers, as few of its values
    are independent then.
    """
    ordinary = memory(values)
    remembers = ordinary > 0.6
    yield normal_scores(values - _moving_mean(values) if remembers else values), remembers
    if ordinary > 0.3:
        change = _steps(values)
        yield normal_scores(change / _deviation(change)), False


def memory(values: np.ndarray) -> float:
    """Return the autocorrelation of a column from day to day, median over tickers."""
    one, other = values[:, :-1], values[:, 1:]
    both = np.isfinite(one) & np.isfinite(other)
    a, b = standard(np.where(both, one, np.nan), both), standard(np.where(both, other, np.nan), both)
    each = (a * b).sum(axis=1) / np.maximum(both.sum(axis=1), 1)
    return float(np.median(each))


def normal_scores(values: np.ndarray) -> np.ndarray:
    """Replace values by the normal quantiles of their ranks in the ticker; zero where missing or constant."""
    scores = np.zeros_like(values)
    for own, row in zip(scores, values, strict=True):
        there = np.isfinite(row)
        if there.any() and np.ptp(row[there]) > 0:
            own[there] = scipy.special.ndtri((scipy.stats.rankdata(row[there]) - 0.5) / there.sum())
    return standard(scores, np.isfinite(values))


def standard(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Remove each ticker's mean and deviation over its present values; zero elsewhere."""
    count = np.maximum(present.sum(axis=1, keepdims=True), 1)
    filled = np.where(present, values, 0.0)
    centred = np.where(present, filled - filled.sum(axis=1, keepdims=True) / count, 0.0)
    deviation = np.sqrt((centred**2).sum(axis=1, keepdims=True) / count)
    return np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > SMALL)


def residual(values: np.ndarray, bases: list[np.ndarray]) -> np.ndarray:
    """Remove from each ticker's row what its basis explains."""
    return np.stack([row - base @ (row @ base) for row, base in zip(values, bases, strict=True)])


def _bases(past: list[np.ndarray]) -> list[np.ndarray]:
    each = np.stack([np.nan_to_num(one) for one in past], axis=2)  # [ticker, date, column]
    each -= each.mean(axis=1, keepdims=True)
    found = []
    for own in each:
        columns = own[:, np.abs(own).max(axis=0) > SMALL]
        base, triangle = np.linalg.qr(columns / np.maximum(np.linalg.norm(columns, axis=0), SMALL))
        found.append(base[:, np.abs(np.diag(triangle)) > 1e-8])
    return found


def _steps(values: np.ndarray) -> np.ndarray:
    """Difference of each value to the last one before it that is there."""
    found = np.full_like(values, np.nan)
    for own, row in zip(found, values, strict=True):
        at = np.flatnonzero(np.isfinite(row))
        own[at[1:]] = np.diff(row[at])
    return found


def _moving_mean(values: np.ndarray) -> np.ndarray:
    """Compute the moving mean of the values before each; missing for the first ones."""
    found = np.full_like(values, np.nan)
    for own, row in zip(found, values, strict=True):
        at = np.flatnonzero(np.isfinite(row))
        if len(at) > FIRST:
            after, _ = scipy.signal.lfilter([DECAY], [1, DECAY - 1], row[at], zi=[(1 - DECAY) * row[at[:FIRST]].mean()])
            own[at[FIRST:]] = after[FIRST - 1 : -1]
    return found


def _deviation(moves: np.ndarray) -> np.ndarray:
    """Compute the moving deviation of moves as known the day before; never much below its median."""
    squares = np.nan_to_num(moves) ** 2
    start = squares[:, :FIRST].mean(axis=1, keepdims=True)
    after, _ = scipy.signal.lfilter([DECAY], [1, DECAY - 1], squares, axis=1, zi=(1 - DECAY) * start)
    before = np.sqrt(np.concatenate([start, after[:, :-1]], axis=1))
    return np.maximum(before, np.maximum(0.1 * np.median(before, axis=1, keepdims=True), SMALL))


def _scaled(moves: np.ndarray) -> np.ndarray:
    return np.nan_to_num(np.clip(moves / _deviation(moves), -WIDEST, WIDEST))


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over tickers of each day; missing where there is none."""
    count = np.isfinite(values).sum(axis=0)
    return np.where(count > 0, np.nansum(values, axis=0) / np.maximum(count, 1), np.nan)


def _before(values: np.ndarray, days: int) -> np.ndarray:
    return np.concatenate([np.zeros((len(values), days)), values[:, : values.shape[1] - days]], axis=1)


def _sum(values: np.ndarray, first: int, last: int) -> np.ndarray:
    """Sum over the days from ``first`` to ``last`` before each day."""
    totals = np.concatenate([np.zeros((len(values), 1)), np.cumsum(np.nan_to_num(values), axis=1)], axis=1)
    days = np.arange(values.shape[1])
    stop, start = np.maximum(days + 1 - first, 0), np.maximum(days - last, 0)
    return np.asarray(totals[:, stop] - totals[:, start])
