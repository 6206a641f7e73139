"""Bars whose truth is known, for tests and for simulations of size and power."""

import numpy as np
import polars as pl

from nextday.data.bars import Bars
from nextday.data.checks import ALL


def random_walk(
    *, tickers: tuple[str, ...], sessions: int, seed: int, daily_vol: float = 0.02, returns: np.ndarray | None = None
) -> Bars:
    """Draw bars whose returns no model can forecast; the first of ``tickers`` is as good a market as any.

    Parameters
    ----------
    tickers
        Names; each has its own independent walk.
    sessions
        Number of bars per ticker, on consecutive weekdays from 2000-01-03.
    seed
        Seed of the generator.
    daily_vol
        Standard deviation of the daily log return.
    returns
        Log returns of a truth of one's own, shape [ticker, session], in place of normal ones.
    """
    rng = np.random.default_rng(seed)
    days = np.arange(sessions)
    dates = np.datetime64("2000-01-03") + 7 * (days // 5) + days % 5  # a Monday, and weekdays from there
    frames = []
    for at, ticker in enumerate(tickers):
        drawn = daily_vol * rng.standard_normal(sessions) if returns is None else returns[at]
        close = 100 * np.exp(drawn.cumsum())
        spread = np.exp(daily_vol * np.abs(rng.standard_normal((3, sessions))) / 2)
        opened = close * spread[0] / spread[1]
        frames.append(
            pl.DataFrame({
                "date": dates, "ticker": ticker, "open": opened, "high": np.maximum(opened, close) * spread[2],
                "low": np.minimum(opened, close) / spread[0], "close": close, "adj_close": close,
                "volume": np.round(1e6 * np.exp(rng.standard_normal(sessions) / 2)),
            })
        )  # fmt: skip
    return Bars(pl.concat(frames), "random walk", accept=(ALL,))
