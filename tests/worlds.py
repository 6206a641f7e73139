"""Forecasts whose true order is known: returns with persistent volatility and a market factor, seeds with biases."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from nextday.evaluate.losses import ZERO, Losses


@dataclass(frozen=True)
class World:
    """What the returns and the seeds are like; a forecast is ``strength * signal + bias of the seed + wiggle``.

    Biases are drawn once per variant, ticker and seed: persistent over days, independent between tickers.
    """

    factor: float = 0.5  # share of variance that the market explains
    persistence: float = 0.0  # autocorrelation of log volatility
    regime: float = 1.0  # by how much volatility is multiplied in the middle fifth of the days
    bias: float = 0.05  # of the seeds, in daily standard deviations
    wiggle: float = 0.05  # noise of a forecast from day to day
    wiggle_persistence: float = 0.0
    common: float = 0.0  # noise of a forecast that is one for all tickers and seeds
    common_persistence: float = 0.0
    lasting: float = 0.0  # share of each day's return that a forecast holds on average nothing of: its weight swings
    lasting_persistence: float = 0.0
    tickers: int = 10
    days: int = 500
    seeds: int = 5
    signal: float = 0.0  # share of variance that can be forecast
    strengths: dict[str, float] = field(default_factory=lambda: {"A": 0.0, "B": 0.0})
    biases: dict[str, float] = field(default_factory=dict)  # where a variant's differ from ``bias``
    pooled: bool = False  # a seed's bias is the same for all tickers, as of one network
    exploding: float = 0.0  # share of trainings that go astray: their forecasts wiggle by two daily deviations

    @property
    def names(self) -> tuple[str, ...]:
        """Variants, where one network forecasts all tickers."""
        return tuple(self.strengths) if self.pooled else ()


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


def sample(world: World, seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Draw actual values [ticker, date] and forecasts by variant [seed, ticker, date]."""
    rng = np.random.default_rng(seed)
    n, t, s = world.tickers, world.days, world.seeds
    volatility = np.exp(0.5 * autoregression(rng, (1, t), world.persistence)) if world.persistence else np.ones((1, t))
    volatility[:, 2 * t // 5 : 3 * t // 5] *= world.regime
    known = rng.standard_normal((n, t)) * np.sqrt(world.signal)
    market = rng.standard_normal((1, t)) * np.sqrt(world.factor)
    own = rng.standard_normal((n, t)) * np.sqrt(1 - world.factor)
    actual = volatility * (market + own) * np.sqrt(1 - world.signal) + known
    forecasts = {}
    for name, strength in world.strengths.items():
        bias = world.biases.get(name, world.bias) * rng.standard_normal((s, 1 if world.pooled else n, 1))
        wiggle = world.wiggle * autoregression(rng, (s, n, t), world.wiggle_persistence)
        forecast = strength * known + bias + wiggle
        if world.common:
            forecast = forecast + world.common * autoregression(rng, (1, t), world.common_persistence)
        if world.lasting:
            forecast = forecast + world.lasting * autoregression(rng, (1, t), world.lasting_persistence) * actual
        if world.exploding:
            astray = rng.random((s, 1 if world.pooled else n, 1)) < world.exploding
            forecast = forecast + 2 * astray * rng.standard_normal((s, n, t))
        forecasts[name] = 0.01 * forecast
    return 0.01 * actual, forecasts


def draw(world: World, seed: int) -> pl.DataFrame:
    """Draw a forecasts table."""
    actual, forecasts = sample(world, seed)
    return pl.concat([table(name, actual, forecast) for name, forecast in forecasts.items()])


def table(name: str, actual: np.ndarray, forecast: np.ndarray) -> pl.DataFrame:
    """Lay out forecasts [seed, ticker, date] of actual values [ticker, date]."""
    s, n, t = forecast.shape
    return pl.DataFrame({
        "variant": np.repeat(name, s * n * t), "seed": np.repeat(np.arange(s), n * t),
        "ticker": np.tile(np.repeat(_tickers(n), t), s), "origin": np.tile(_origins(t), s * n),
        "actual": np.tile(actual.reshape(-1), s), "predicted": forecast.reshape(-1),
    })  # fmt: skip


def losses(world: World, seed: int) -> Losses:
    """Draw squared losses, as ``measure(draw(world, seed))`` gives them, without the table: simulations run thrice as fast."""
    actual, forecasts = sample(world, seed)
    return losses_of(actual, forecasts, pooled=world.names)


def losses_of(actual: np.ndarray, forecasts: dict[str, np.ndarray], *, pooled: Collection[str] = ()) -> Losses:
    """Score forecasts [seed, ticker, date] of actual values [ticker, date], and their squares for the penalty."""
    scale = (actual**2).mean(axis=1)[:, None]
    squares = {name: forecast**2 / scale for name, forecast in forecasts.items()}
    errors = {name: (actual - forecast) ** 2 / scale for name, forecast in forecasts.items()}
    penalty = _losses(np.zeros_like(actual), squares, pooled)
    return replace(_losses(actual**2 / scale, errors, pooled), penalty=penalty)


def _losses(base: np.ndarray, each: dict[str, np.ndarray], pooled: Collection[str]) -> Losses:
    n, t = base.shape
    return Losses(
        "squared", ZERO, tuple(each), tuple(_tickers(n)), _origins(t), np.stack([one.mean(axis=0) for one in each.values()]),
        base, tuple(tuple(range(len(one))) for one in each.values()), tuple(one.mean(axis=2) for one in each.values()),
        tuple(one.mean(axis=1) for one in each.values()), "0" * 64, tuple(name in pooled for name in each),
    )  # fmt: skip


def truth(world: World, name: str) -> float:
    """Skill of a variant against the zero forecast, of one training on days without end."""
    scales = np.array([1.0, world.regime]) ** 2 @ [0.8, 0.2]
    noise = (1 - world.signal) * scales * (np.exp(0.5) if world.persistence else 1.0)  # E exp(x), x of variance one
    excess = world.biases.get(name, world.bias) ** 2 + world.wiggle**2 + world.common**2 + 4 * world.exploding
    missed = (1 - world.strengths[name]) ** 2 * world.signal
    return float(1 - np.sqrt((noise + missed + excess) / (noise + world.signal)))


def truth_of_returns(world: World, name: str, actual: np.ndarray) -> float:
    """Skill of a variant without strength on these very returns, of one training: exact, whatever volatility did."""
    excess = world.biases.get(name, world.bias) ** 2 + world.wiggle**2 + world.common**2 + 4 * world.exploding
    return float(1 - np.sqrt(1 + excess * (1e-4 / (actual**2).mean(axis=1)).mean()))


def _tickers(count: int) -> list[str]:
    return [f"T{i:03d}" for i in range(count)]


def _origins(days: int) -> np.ndarray:
    return np.datetime64("2000-01-03") + np.arange(days)
