"""Forecasts whose true order is known: returns with persistent volatility and a market factor, seeds with biases."""

from dataclasses import dataclass, field

import numpy as np
import polars as pl


@dataclass(frozen=True)
class World:
    """What the returns and the seeds are like; a forecast is ``strength * signal + bias of the seed + wiggle``.

    Biases are drawn once per variant, ticker and seed: persistent over days, independent between tickers.
    """

    factor: float = 0.5  # share of variance that the market explains
    persistence: float = 0.0  # autocorrelation of log volatility
    bias: float = 0.05  # of the seeds, in daily standard deviations
    wiggle: float = 0.05  # noise of a forecast from day to day
    wiggle_persistence: float = 0.0
    tickers: int = 10
    days: int = 500
    seeds: int = 5
    signal: float = 0.0  # share of variance that can be forecast
    strengths: dict[str, float] = field(default_factory=lambda: {"A": 0.0, "B": 0.0})
    biases: dict[str, float] = field(default_factory=dict)  # where a variant's differ from ``bias``
    pooled: bool = False  # a seed's bias is the same for all tickers, as of one network


FOUR = {
    "biased seeds": World(bias=0.15),
    "market factor": World(factor=0.8, bias=0.05),
    "persistent volatility": World(factor=0.5, persistence=0.98, bias=0.05),
    "all of them": World(factor=0.6, persistence=0.98, bias=0.12, wiggle=0.1, wiggle_persistence=0.9, seeds=3),
}


def autoregression(rng, shape, persistence):
    """Unit-variance AR(1) along the last axis."""
    shocks = rng.standard_normal(shape)
    out = np.empty(shape)
    out[..., 0] = shocks[..., 0]
    for t in range(1, shape[-1]):
        out[..., t] = persistence * out[..., t - 1] + np.sqrt(1 - persistence**2) * shocks[..., t]
    return out


def draw(world: World, seed: int) -> pl.DataFrame:
    """Draw a forecasts table."""
    rng = np.random.default_rng(seed)
    n, t, s = world.tickers, world.days, world.seeds
    volatility = np.exp(0.5 * autoregression(rng, (1, t), world.persistence)) if world.persistence else np.ones((1, t))
    known = rng.standard_normal((n, t)) * np.sqrt(world.signal)
    market = rng.standard_normal((1, t)) * np.sqrt(world.factor)
    own = rng.standard_normal((n, t)) * np.sqrt(1 - world.factor)
    actual = 0.01 * (volatility * (market + own) * np.sqrt(1 - world.signal) + known)
    frames = []
    for name, strength in world.strengths.items():
        bias = world.biases.get(name, world.bias) * rng.standard_normal((s, 1 if world.pooled else n, 1))
        wiggle = world.wiggle * autoregression(rng, (s, n, t), world.wiggle_persistence)
        forecast = 0.01 * (strength * known + bias + wiggle)
        frames.append(table(name, actual, forecast))
    return pl.concat(frames)


def table(name: str, actual: np.ndarray, forecast: np.ndarray) -> pl.DataFrame:
    """Lay out forecasts [seed, ticker, date] of actual values [ticker, date]."""
    s, n, t = forecast.shape
    origin = np.datetime64("2000-01-03") + np.arange(t)
    return pl.DataFrame({
        "variant": np.repeat(name, s * n * t), "seed": np.repeat(np.arange(s), n * t),
        "ticker": np.tile(np.repeat([f"T{i:03d}" for i in range(n)], t), s), "origin": np.tile(origin, s * n),
        "actual": np.tile(actual.reshape(-1), s), "predicted": forecast.reshape(-1),
    })  # fmt: skip
