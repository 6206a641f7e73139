"""Copies of a panel in which the next day's return is unpredictable, but for a planted signal of known strength."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from nextday.data import Panel
from nextday.features import compute_features
from nextday.features.catalog import Feature

SIGNALS = {"lag": "log_return", "volume": "vol_zscore"}  # short names of features
PRICES = ("open", "high", "low", "close", "adj_close")
CLOSE = 1e-3  # of its deviation: the signal is computed from the planted prices, until it moves less
ROUNDS = 20


def mirror(panel: Panel, rng: np.random.Generator) -> Panel:
    r"""Change the sign of each day's return at random, the same for all tickers and the market.

    What is known of a day's return beforehand then says nothing of its direction, while volatility, its clustering,
    volume, ranges, dependence across tickers and missing sessions are those of the bars (Rademacher's signs of the wild
    bootstrap: Davidson and Flachaire 2008, "The wild bootstrap, tamed at last", Journal of Econometrics 146). A day
    whose sign changes is mirrored as a whole: its open, high and low relative to its close, too. The drift is gone.
    """
    signs = rng.choice([-1.0, 1.0], len(panel.dates))
    return _rebuilt(panel, {ticker: signs[_dates(panel, ticker)] for ticker in _everyone(panel)}, {})


def plant(
    panel: Panel, signal: str, r2: float, *, catalog: Mapping[str, Feature], warmup: int,
) -> tuple[Panel, float]:  # fmt: skip
    r"""Add to the next day's return of every ticker a feature of the day, scaled to a known R2.

    .. math:: r'_{t+1} = r_{t+1} + \sigma \sqrt{\frac{R^2}{1 - R^2}} \, z_t

    ``z`` is the feature in standard units of the ticker, ``\sigma`` the deviation of its returns. The whole bar of the
    day is shifted, so that its range stays. The feature is that of the planted bars themselves, so it is computed again
    until it no longer moves.

    Returns
    -------
    The panel, and the share of the variance of its returns that the signal has, mean over tickers.

    Raises
    ------
    StudyError
        If the feature is unknown.
    """
    none = {ticker: np.zeros(len(panel.of(ticker))) for ticker in _everyone(panel)}
    planted, shifts, shares = panel, none, [0.0]
    strength = np.sqrt(r2 / (1 - r2))
    for _ in range(ROUNDS if r2 else 0):
        values = compute_features(planted, [signal], catalog=catalog, warmup=warmup).values[..., 0]
        before, shares = shifts, []
        shifts = dict(none)
        for ticker, own in zip(panel.tickers, values, strict=True):
            z = _standard(own[panel.sessions(ticker)])
            returns = np.diff(np.log(panel.of(ticker)["adj_close"].to_numpy()))
            added = strength * returns.std() * z[:-1]
            shifts[ticker] = np.append(0.0, added)
            shares.append(float(added.var() / (returns + added).var()))
        planted = _rebuilt(panel, {}, shifts)
        if all(np.abs(shifts[name] - before[name]).max() <= CLOSE * shifts[name].std() for name in panel.tickers):
            break
    return planted, float(np.mean(shares))


def _standard(values: np.ndarray) -> np.ndarray:
    """Return values in standard units; 0 where there is none, as at the start."""
    known = np.isfinite(values)
    spread = values[known].std() if known.any() else 0.0
    return np.where(known, (values - values[known].mean()) / spread, 0.0) if spread > 0 else np.zeros(len(values))


def _everyone(panel: Panel) -> list[str]:
    return panel.frame["ticker"].unique().sort().to_list()


def _dates(panel: Panel, ticker: str) -> np.ndarray:
    return np.searchsorted(panel.dates, panel.of(ticker)["date"].to_numpy())


def _rebuilt(panel: Panel, signs: Mapping[str, np.ndarray], shifts: Mapping[str, np.ndarray]) -> Panel:
    """Rebuild the prices of a panel from returns with other signs, [session], and with something added, [session]."""
    parts = []
    for ticker in _everyone(panel):
        own = panel.of(ticker)
        logs = {name: np.log(own[name].to_numpy()) for name in PRICES}
        sign = signs.get(ticker, np.ones(len(own)))
        moves = np.diff(logs["adj_close"], prepend=logs["adj_close"][0]) * sign + shifts.get(ticker, 0.0)
        adjusted = logs["adj_close"][0] + moves.cumsum()
        close = adjusted + logs["close"] - logs["adj_close"]
        inside = {name: logs[name] - logs["close"] for name in ("open", "high", "low")}
        turned = inside | {"high": np.where(sign < 0, -inside["low"], inside["high"])}
        turned |= {"low": np.where(sign < 0, -inside["high"], inside["low"]), "open": sign * inside["open"]}
        prices = {name: close + offset for name, offset in turned.items()} | {"close": close, "adj_close": adjusted}
        parts.append(own.with_columns(**{name: pl.Series(np.exp(value)) for name, value in prices.items()}))
    return replace(panel, frame=pl.concat(parts))
