"""Bars whose next-day returns depend on a known thing with a known R2, and what the product then says of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import polars as pl

from nextday.data import align, load_bars
from nextday.engine.catalogs import HOUSE
from nextday.engine.collect import collect
from nextday.engine.execute import Outcome
from nextday.engine.plan import make_plan
from nextday.evaluate import Comparison, Contrast, Verdict, asked_by, compare, judge, measure, relation, subjects_of
from nextday.evaluate.question import alike_of
from nextday.features import FEATURE_SETS
from nextday.models.base import Fitted, Forecaster, Key
from nextday.samples import Samples, Windows
from nextday.study import Study

KINDS = ("volz", "mkt", "ar", "null", "rollvol")
FORMS = {"mkt": "market", "deviation": "digest instead of lags", "null": ""}  # what each world's effect is called
DAILY = 0.015  # deviation of returns
INPUTS = ("raw", "ohlcv", "engineered")
WARM = 60


def bars(
    kind: str, seed: int, *, days: int = 1500, tickers: int = 6, r2: float = 0.09
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Draw bars of some tickers and the market, and the mean of every return given the days before, ``ticker, date, mean``.

    A share ``r2`` of the variance of returns can be forecast.

    ``volz`` plants the 20-day z-score of log volume, ``mkt`` yesterday's return of the market, ``ar`` yesterday's own
    return, ``rollvol`` the logarithm of the 20-day volatility, which itself persists, ``null`` nothing (GARCH returns),
    ``deviation`` the deviation of the last 20 returns, which no linear model of these returns can see.
    """
    rng = np.random.default_rng([[*KINDS, "deviation"].index(kind), seed])
    n, t = tickers + 1, days + WARM  # the market comes first
    level = np.zeros((n, t))
    for at in range(1, t):
        level[:, at] = 0.995 * level[:, at - 1] + 0.15 * rng.standard_normal(n)
    volume = np.round(np.exp(14 + level + 0.3 * rng.standard_normal((n, t))))
    shocks = rng.standard_normal((n, t))
    market = shocks[0].copy()
    shocks[1:] = np.sqrt(0.2) * market + np.sqrt(0.8) * shocks[1:]
    returns, means = _returns(kind, rng, shocks, market, volume, r2)
    frame = _frame(DAILY * returns, volume, rng)
    return frame, frame.select("ticker", "date", mean=pl.Series(DAILY * means.ravel()))


def _returns(
    kind: str, rng: np.random.Generator, shocks: np.ndarray, market: np.ndarray, volume: np.ndarray, r2: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns and their means given the past, in daily deviations, [ticker, date]; the market, first, has none but in ``ar``."""
    signal, noise = np.sqrt(r2), np.sqrt(1 - r2)
    means = np.zeros(shocks.shape)
    if kind == "ar":
        returns = noise * shocks
        for at in range(1, returns.shape[1]):
            means[:, at] = signal * returns[:, at - 1]
            returns[:, at] += means[:, at]
        return returns, means
    if kind == "volz":
        means[:, 1:] = signal * _zscores(np.log1p(volume))[:, :-1]
    elif kind == "mkt":
        means[:, 1:] = signal * market[:-1]
    if kind == "rollvol":
        returns, means = _following_volatility(rng, shocks, signal, noise)
    elif kind == "deviation":
        returns, means = _following_deviation(shocks, signal, noise)
    else:
        returns = _garch(shocks) if kind == "null" else means + noise * shocks
    returns[0], means[0] = market, 0
    return returns, means


def _zscores(values: np.ndarray) -> np.ndarray:
    """Deviation from the mean of 20 days, in units of variance one; 0 on the first days."""
    windows, z = np.lib.stride_tricks.sliding_window_view(values, 20, axis=1), np.zeros(values.shape)
    z[:, 19:] = (windows[..., -1] - windows.mean(axis=2)) / windows.std(axis=2, ddof=1)
    return z / z[:, 19:].std()


def _following_volatility(
    rng: np.random.Generator, shocks: np.ndarray, signal: float, noise: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns whose mean follows the logarithm of the volatility of the last 20 days, which persists; and these means.

    The mean moves the volatility that it follows, so its level and spread, and with them the share that can be forecast,
    are known only once it has been drawn: drawn again from what was found, they settle within five passes.
    """
    log = np.zeros(shocks.shape)
    for at in range(1, shocks.shape[1]):
        log[:, at] = 0.97 * log[:, at - 1] + 0.12 * rng.standard_normal(len(shocks))
    volatility = np.exp(log) / np.sqrt(np.exp(2 * log).mean(axis=1, keepdims=True))
    centre, spread = 0.0, 0.45
    for _ in range(5):
        returns, means, seen = np.zeros(shocks.shape), np.zeros(shocks.shape), np.zeros(shocks.shape)
        for at in range(1, shocks.shape[1]):
            if at > 20:
                seen[:, at] = np.clip(np.log(returns[:, at - 20 : at].std(axis=1, ddof=1)), -2, 1.5)
                means[:, at] = signal * (seen[:, at] - centre) / spread
            returns[:, at] = noise * volatility[:, at] * shocks[:, at] + means[:, at]
        centre, spread = seen[1:, WARM:].mean(), seen[1:, WARM:].std()  # the market comes first and is replaced
    return returns, means


def _following_deviation(shocks: np.ndarray, signal: float, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns whose mean follows the deviation of the last 20 of them, and these means."""
    centre, spread = 0.97, 0.16
    for _ in range(5):
        returns, seen = noise * shocks, np.zeros(shocks.shape)
        for at in range(20, shocks.shape[1]):
            seen[:, at] = returns[:, at - 20 : at].std(axis=1)
            returns[:, at] += signal * (seen[:, at] - centre) / spread
        centre, spread = seen[1:, WARM:].mean(), seen[1:, WARM:].std()
    return returns, returns - noise * shocks


def _garch(shocks: np.ndarray) -> np.ndarray:
    returns, variance = np.zeros(shocks.shape), np.ones(len(shocks))
    for at in range(shocks.shape[1]):
        returns[:, at] = np.sqrt(variance) * shocks[:, at]
        variance = 0.05 + 0.08 * returns[:, at] ** 2 + 0.87 * variance
    return returns


def _frame(returns: np.ndarray, volume: np.ndarray, rng: np.random.Generator) -> pl.DataFrame:
    n, t = returns.shape
    close = 100 * np.exp(np.cumsum(returns, axis=1))
    before = np.concatenate([np.full((n, 1), 100.0), close[:, :-1]], axis=1)
    inside, above, below = 0.3 * DAILY * rng.standard_normal((3, n, t))
    opened = before * np.exp(inside)
    day = np.arange(t)
    dates = np.datetime64("1990-01-01") + 7 * (day // 5) + day % 5
    names = ["SPY", *(f"T{at}" for at in range(1, n))]
    return pl.DataFrame({
        "date": np.tile(dates, n), "ticker": np.repeat(names, t), "open": opened.ravel(),
        "high": (np.maximum(opened, close) * np.exp(np.abs(above))).ravel(),
        "low": (np.minimum(opened, close) * np.exp(-np.abs(below))).ravel(),
        "close": close.ravel(), "adj_close": close.ravel(), "volume": volume.ravel(),
    })  # fmt: skip


@dataclass(frozen=True, slots=True)
class RandomFeatures(Forecaster):
    """Ridge regression on random features of the whole window: as seeded as a network, and a thousand times faster."""

    seeded: ClassVar[bool] = True
    scaled: ClassVar[bool] = True
    units: int = 32
    penalty: float = 300.0

    def fit_predict(self, train: Samples, valid: Samples, test: Windows, *, key: Key) -> Fitted:
        rng = np.random.default_rng(key.stream("weights"))
        x = [_window(part) for part in (train.windows, test)]
        weights = rng.standard_normal((x[0].shape[1], self.units)) / np.sqrt(x[0].shape[1])
        shifts = rng.uniform(-1, 1, self.units)
        linear = x[0][:, -train.windows.rows.shape[1] :], x[1][:, -train.windows.rows.shape[1] :]
        hidden = [
            np.concatenate([np.tanh(2 * one @ weights + shifts), own], axis=1)
            for one, own in zip(x, linear, strict=True)
        ]
        centre, offset = hidden[0].mean(axis=0), train.y.mean()
        inner = hidden[0] - centre
        solved = np.linalg.solve(inner.T @ inner + self.penalty * np.eye(inner.shape[1]), inner.T @ (train.y - offset))
        return Fitted((hidden[1] - centre) @ solved + offset)


def _window(windows: Windows) -> np.ndarray:
    """Whole windows, recent days weighing more, shape [sample, day x feature]."""
    rows = windows.rows.astype(np.float64)
    seen = np.lib.stride_tricks.sliding_window_view(rows, windows.lookback, axis=0)  # [sample, feature, day]
    fading = 0.9 ** np.arange(windows.lookback - 1, -1, -1)
    return (seen * fading).transpose(0, 2, 1).reshape(len(seen), -1)


@dataclass(frozen=True, slots=True)
class Judged:
    """What the product says of one panel, and what is true: the skills that its very models have on these very days.

    Their expectation over the noise in the returns, which is known here: the squared distance to the planted mean.
    """

    verdict: Verdict
    comparison: Comparison
    skills: Mapping[str, float]

    def gap(self, first: str, second: str) -> float:
        return self.skills[first] - self.skills.get(second, 0.0)

    @property
    def lies(self) -> list[str]:
        """Asked contrasts, and claims to beat the benchmark, that are answered with what is not so."""
        told = [one for one in self.comparison.asked if not one.withheld]
        told += [one for one in self.comparison.against_benchmark if not one.withheld and relation(one) == ">"]
        return [text for one in told if (text := _lie(one, self.gap(one.first, one.second)))]


def study_of(models: Mapping[str, str], *, seeds: int) -> Study:
    """Make a study of some models, each on all three inputs."""
    variants = {
        f"{name}-{inputs}": {"model": model, "features": inputs} for name, model in models.items() for inputs in INPUTS
    }
    return Study.from_values({"name": "planted", "variants": variants, "seeds": list(range(seeds))})


def judged(
    kind: str, seed: int, *, r2: float = 0.09, days: int = 1500, seeds: int = 10, replicates: int = 1000
) -> dict[str, Judged]:
    """Run a panel through features, samples, models and verdict: linear regression, and a seeded model of windows."""
    catalogs = replace(HOUSE, models={**HOUSE.models, "random_features": RandomFeatures})
    study = study_of({"linear": "linear_regression", "seeded": "random_features"}, seeds=seeds)
    frame, means = bars(kind, seed, days=days, r2=r2)
    panel = align(load_bars(frame, accept=("*",)))
    plan = make_plan(study, panel, catalogs=catalogs)
    jobs, outcomes = {}, []
    for unit in plan.units:
        at = (unit.variant, unit.ticker)
        jobs[at] = jobs.get(at) or plan.job(unit)  # windows are cut once for all seeds
        outcomes.append(Outcome(unit, replace(jobs[at], key=Key(unit.seed or 0, unit.ticker, unit.fold)).run()))
    tables = collect(plan, outcomes, panel.dates)
    rows, subjects, found = tables["forecasts"], subjects_of(study, FEATURE_SETS), {}
    skills = _skills(rows, means, tables["folds"])
    for name in ("linear", "seeded"):
        comparison = compare(
            measure(rows.filter(pl.col("variant").str.starts_with(name)), folds=tables["folds"]),
            ask=[one for one in asked_by(study, FEATURE_SETS) if one.first.startswith(name)],
            replicates=replicates, other_blocks=(),
        )  # fmt: skip
        found[name] = Judged(judge(comparison, subjects=subjects), comparison, skills)
    return found


def _skills(rows: pl.DataFrame, means: pl.DataFrame, folds: pl.DataFrame) -> dict[str, float]:
    """Skill of every variant as expected over the noise: squared distances to the mean, and the noise that all share."""
    known = rows.join(means, on=["ticker", "date"], how="left", validate="m:1").join(
        folds.select("ticker", "train_variance"), on="ticker"
    )
    noise = (pl.col("actual") - pl.col("mean")) ** 2
    found = known.group_by("variant").agg(
        loss=(((pl.col("predicted") - pl.col("mean")) ** 2 + noise) / pl.col("train_variance")).mean(),
        zero=((pl.col("mean") ** 2 + noise) / pl.col("train_variance")).mean(),
    )
    return {name: 1 - np.sqrt(loss / zero) for name, loss, zero in found.iter_rows()}


@dataclass(frozen=True, slots=True)
class Form:
    """What the preset ``matched`` says of one panel: effects that help, and those that are answered with what is not so."""

    helps: tuple[str, ...]
    lies: tuple[str, ...]


def matched(kind: str, seed: int, *, days: int = 1500, tickers: int = 6, r2: float = 0.09, **changes: object) -> Form:
    """Run a panel through the preset ``matched``, with one lookback and ridge regressions alone."""
    ridge = {"ablation.model": "ridge", "ablation.options": {"ridge": {"window": "flat"}}}
    study = Study.load("matched", ridge | {"ablation.lookback": "20", "lookback": "20"} | changes)
    frame, means = bars(kind, seed, days=days, tickers=tickers, r2=r2)
    panel = align(load_bars(frame, accept=("*",)))
    plan = make_plan(study, panel)
    tables = collect(plan, [Outcome(unit, plan.job(unit).run()) for unit in plan.units], panel.dates)
    rows, folds = tables["forecasts"], tables["folds"]
    found = compare(
        measure(rows, folds=folds), ask=asked_by(study, plan.feature_sets), explore=(), others={}, other_blocks=(),
        alike=alike_of(study), replicates=1000,
    ).asked  # fmt: skip
    skills = _skills(rows, means, folds)
    gaps = [sum(weight * skills[name] for name, weight in one.terms) for one in found]
    helps = tuple(one.first for one in found if relation(one) == ">")
    return Form(helps, tuple(filter(None, map(_lie, found, gaps))))


def _lie(one: Contrast, gap: float) -> str:
    """Write a contrast that is answered with what is not so; ``gap`` is what is."""
    said = relation(one)
    so = {">": gap > 0, "<": gap < 0, "=": abs(gap) < one.margin, "?": True}[said]
    return "" if so else f"{one.name} {said} ({100 * one.estimate:+.2f}, true {100 * gap:+.2f})"
