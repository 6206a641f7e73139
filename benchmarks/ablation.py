"""Planted truth for ablations: what designs find of groups that carry a signal, and what they find where there is none.

Forty features of some tickers; four carry the next day's return, two of them nearly the same (twins). Runs, seeds and
verdict are those of ``nextday ablate``. Each model has a world as large as its trainings are fast. With ``--keep`` an
interrupted run goes on where it was.

    python benchmarks/ablation.py --draws 100
    python benchmarks/ablation.py --model boosting --worlds independent,nothing --draws 100 --seeds 1
    python benchmarks/ablation.py --model lstm --worlds independent,nothing --draws 10 --seeds 1 --keep /tmp/planted

Rows of the output: at equal numbers of trainings ("units" per ticker), the share of single carriers and of twins that
are found; the draws in which any of the other features ("nulls") helps, hurts, or has an interval without the mean
effect of all nulls; t of the single carriers; mean and deviation of null effects, %. Overfitting makes the true effect
of a null negative, and that of each depends on the training days, so that only "help" is a false finding as it stands.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass, replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from nextday.ablation import Ablation, layout, names_of, variants_of
from nextday.effects import effects_of
from nextday.evaluate import compare, measure
from nextday.evaluate.answers import finding_of
from nextday.evaluate.ask import Ask
from nextday.evaluate.reading import Prepared
from nextday.models import Key, make_model
from nextday.samples import Samples, Windows
from nextday.study import Training

GROUPS = 40
GOOD, SINGLE, TWINS = (0, 1, 2, 3), (2, 3), (0, 1)
WORLDS = ("independent", "persistent", "factor", "nothing")
DESIGNS = {
    "1": [("orthogonal", 1), ("leave_one_out", 2)],
    "2": [("orthogonal", 2), ("leave_one_out", 4)],
}  # equal units
PENALTY = 50.0  # of the ridge, in days
LOOKBACK = 3  # of the LSTM; the signal is in the newest row
BOOSTING = make_model(
    "hist_gradient_boosting", {"learning_rate": 0.2, "patience": 5}, training=Training(), device="cpu"
)
LSTM = make_model(
    "lstm", {"hidden": 16, "layers": 1}, device="cpu", lookback=LOOKBACK,
    training=Training(max_epochs=20, patience=3, learning_rate=0.005),
)  # fmt: skip

Fit = Callable[[np.ndarray], np.ndarray]  # from the columns that a run has to the forecasts of the test days


@dataclass(frozen=True, slots=True)
class Size:
    """How large a world is: tickers, days of training and test, and the share of variance that is planted."""

    tickers: int
    train: int
    test: int
    r2: float


class Effect(NamedTuple):
    """What is found of a group: the finding, the estimate, its standard error, and the simultaneous interval."""

    finding: str
    estimate: float
    standard_error: float
    low: float
    high: float


def draw(world: str, seed: int, size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Draw features, [ticker, day, feature], and the returns that follow, [ticker, day]."""
    rng = np.random.default_rng([WORLDS.index(world), seed])
    days = size.train + size.test
    x = rng.standard_normal((size.tickers, days, GROUPS))
    if world == "factor":
        x = np.sqrt(0.5) * rng.standard_normal((1, days, GROUPS)) + np.sqrt(0.5) * x
    if world == "persistent":
        for at in range(1, days):
            x[:, at] = 0.95 * x[:, at - 1] + np.sqrt(1 - 0.95**2) * x[:, at]
    x[..., TWINS[1]] = 0.95 * x[..., TWINS[0]] + np.sqrt(1 - 0.95**2) * x[..., TWINS[1]]
    signal = x[..., TWINS[0]] + x[..., 2] + x[..., 3]
    signal /= signal.std()
    noise = np.sqrt(0.3) * rng.standard_normal((1, days)) + np.sqrt(0.7) * rng.standard_normal((size.tickers, days))
    strength = 0.0 if world == "nothing" else np.sqrt(size.r2)
    return x, strength * signal + np.sqrt(1 - strength**2) * noise


def halves(train: int, ticker: int, seed: int) -> np.ndarray:
    """Shuffle the training days, so that a model of a half of them has seed variance as a network has."""
    return np.random.default_rng([ticker, seed]).permutation(train)


def ridge(x: np.ndarray, y: np.ndarray, train: int, ticker: int, seed: int) -> Fit:
    """Regress on a random half of the training days."""
    half = halves(train, ticker, seed)[: train // 2]
    gram, moments = x[half].T @ x[half], x[half].T @ y[half]

    def fit(at: np.ndarray) -> np.ndarray:
        beta = np.linalg.solve(gram[np.ix_(at, at)] + PENALTY * np.eye(len(at)), moments[at])
        return x[train:, at] @ beta

    return fit


def boosting(x: np.ndarray, y: np.ndarray, train: int, ticker: int, seed: int) -> Fit:
    """Grow trees on a random half of the training days; the other half says how many. Few values are quickly binned."""
    days = halves(train, ticker, seed)
    parts, rounded = np.split(days, [train // 2]), (np.round(5 * x) / 5).astype(np.float32)

    def fit(at: np.ndarray) -> np.ndarray:
        names = tuple(map(str, at))
        grown, held = (Samples(Windows(rounded[np.ix_(part, at)], 1, names), y[part]) for part in parts)
        test = Windows(rounded[train:, at], 1, names)
        return BOOSTING.fit_predict(grown, held, test, key=Key(seed, f"T{ticker:02d}", 0)).predicted

    return fit


def lstm(x: np.ndarray, y: np.ndarray, train: int, ticker: int, seed: int) -> Fit:
    """Train a network on the first four fifths of the training days; the last fifth says for how long."""
    before = LOOKBACK - 1  # days that are no origin
    cuts = [(0, train * 4 // 5 - before), (train * 4 // 5 - before, train - before)]

    def fit(at: np.ndarray) -> np.ndarray:
        windows = Windows(x[:, at].astype(np.float32), LOOKBACK, tuple(map(str, at)))
        trained, held = (Samples(windows.cut(*cut), y[before:][slice(*cut)]) for cut in cuts)
        test = windows.cut(train - before)
        return LSTM.fit_predict(trained, held, test, key=Key(seed, f"T{ticker:02d}", 0)).predicted

    return fit


MODELS: dict[str, tuple[Callable[..., Fit], Size]] = {
    "ridge": (ridge, Size(11, 1050, 600, 0.03)),
    "boosting": (boosting, Size(1, 1050, 1800, 0.10)),
    "lstm": (lstm, Size(2, 600, 1500, 0.10)),
}


@cache
def asked(design: str) -> tuple[np.ndarray, list[str], list[Ask], list[list[str]]]:
    """Return the runs of a design, their names, its effects, and the variants that share one seed variance."""
    ablation = Ablation(design=design, groups={f"g{at:02d}": [f"g{at:02d}"] for at in range(GROUPS)})
    runs = layout(ablation)
    asks = [
        Ask(one.group, "", terms=one.weights, kind="effect") for one in effects_of(ablation) if one.kind == "effect"
    ]
    return runs, names_of(ablation, runs), asks, variants_of(ablation)


def forecasts(model: str, x: np.ndarray, y: np.ndarray, train: int, design: str, seeds: int) -> pl.DataFrame:
    """Fit every run and seed, and return the forecasts table of the test days."""
    runs, names, *_ = asked(design)
    tickers, test = len(x), y.shape[1] - train
    predicted = np.empty((len(runs), tickers, seeds, test))
    for ticker in range(tickers):
        for seed in range(seeds):
            fit = MODELS[model][0](x[ticker], y[ticker], train, ticker, seed)
            for run, row in enumerate(runs):
                columns = np.flatnonzero(row)
                predicted[run, ticker, seed] = fit(columns) if len(columns) else 0.0
    shape = predicted.shape
    origins = pl.date_range(pl.date(2010, 1, 1), pl.date(2010, 1, 1) + pl.duration(days=test - 1), eager=True)
    run, ticker, seed, day = (np.broadcast_to(one, shape).ravel() for one in np.ix_(*map(np.arange, shape)))
    labels = [f"T{at:02d}" for at in range(tickers)]
    return pl.DataFrame({
        "variant": pl.Series(names, dtype=pl.Enum(names)).gather(run), "seed": seed, "origin": origins.gather(day),
        "ticker": pl.Series(labels, dtype=pl.Enum(labels)).gather(ticker), "predicted": predicted.ravel(),
        "actual": np.broadcast_to(y[None, :, None, train:], shape).ravel(),
    })  # fmt: skip


def judge(model: str, x: np.ndarray, y: np.ndarray, train: int, design: str, seeds: int) -> list[Effect]:
    """Return the effect of every group, in their order."""
    rows = forecasts(model, x, y, train, design, seeds)
    losses = measure(Prepared(rows.lazy()))  # names as they are, since selecting by texts takes twice the time
    *_, asks, alike = asked(design)
    found = compare(losses, ask=asks, explore=(), others={}, other_blocks=(), alike=alike, replicates=2000).asked
    return [
        Effect(finding_of(one), one.estimate, one.standard_error, one.low, one.high)
        for one in sorted(found, key=lambda one: one.first)
    ]


def of_draw(
    model: str, world: str, number: int, size: Size, design: str, seeds: int, keep: Path | None
) -> list[Effect]:
    """Draw a world and judge it, unless that is kept."""
    name = f"{model}-{world}-{'-'.join(map(str, astuple(size)))}-{design}-{seeds}-{number}.json"
    if keep and (keep / name).exists():
        return [Effect(*one) for one in json.loads((keep / name).read_text("utf-8"))]
    start = time.perf_counter()
    found = judge(model, *draw(world, number, size), size.train, design, seeds)
    if keep:
        (keep / name).write_text(json.dumps(found), "utf-8")
    helps, hurts = (with_finding(found, one, range(GROUPS)) for one in ("better", "worse"))
    spent = time.perf_counter() - start
    print(f"{name}: help {helps}, hurt {hurts}, {spent:.1f} s", file=sys.stderr, flush=True)
    return found


def with_finding(found: list[Effect], finding: str, among: Iterable[int]) -> list[int]:
    """Return the groups of which a finding is reported."""
    return [at for at in among if found[at].finding == finding]


def tally(draws: list[list[Effect]], good: tuple[int, ...]) -> str:
    """Count what was found in all draws of a world."""
    nulls, count = [at for at in range(GROUPS) if at not in good], len(draws)
    effects = np.array([[one.estimate for one in found] for found in draws])
    mean = effects[:, nulls].mean()
    recall = [
        f"{sum(len(with_finding(found, 'better', which)) for found in draws) / (2 * count):.2f}" if good else "-"
        for which in (SINGLE, TWINS)
    ]
    t = [found[at].estimate / found[at].standard_error for found in draws for at in SINGLE] if good else []
    helps = sum(bool(with_finding(found, "better", nulls)) for found in draws)
    hurts = sum(bool(with_finding(found, "worse", nulls)) for found in draws)
    off = sum(any(not found[at].low <= mean <= found[at].high for at in nulls) for found in draws)
    wrong = f"{helps:5} {hurts:5} {off:4} of {count:<4}"
    shown = f"{np.mean(t):.2f}" if t else "-"
    return f"{recall[0]:>6} {recall[1]:>5}  {wrong} {shown:>5}  {100 * mean:6.3f} {100 * effects[:, nulls].std():.3f}"


def main() -> None:
    """Print recall and false findings by world, design and seeds; every draw on standard error."""
    wanted = argparse.ArgumentParser()
    wanted.add_argument("--model", choices=MODELS, default="ridge")
    wanted.add_argument("--draws", type=int, default=100)
    wanted.add_argument("--seeds", default="1,2", help="of the orthogonal design")
    wanted.add_argument("--worlds", default=",".join(WORLDS))
    wanted.add_argument("--keep", type=Path, help="folder of finished draws")
    for name, kind in {"tickers": int, "train": int, "test": int, "r2": float}.items():
        wanted.add_argument(f"--{name}", type=kind)
    given = wanted.parse_args()
    own = {name: getattr(given, name) for name in Size.__slots__ if getattr(given, name) is not None}
    size = replace(MODELS[given.model][1], **own)
    if given.keep:
        given.keep.mkdir(parents=True, exist_ok=True)
    print(f"{given.model}, {size}")
    print(
        "world       design        seeds units  single twins  nulls: help, hurt, off      t  null mean, sd", flush=True
    )
    pairs = [pair for which in given.seeds.split(",") for pair in DESIGNS[which]]
    for world in given.worlds.split(","):
        draws: list[list[list[Effect]]] = [[] for _ in pairs]
        for number in range(given.draws):
            for found, pair in zip(draws, pairs, strict=True):
                found.append(of_draw(given.model, world, number, size, *pair, given.keep))
        for (design, seeds), found in zip(pairs, draws, strict=True):
            units, counted = len(asked(design)[0]) * seeds, tally(found, () if world == "nothing" else GOOD)
            print(f"{world:11} {design:13} {seeds:5} {units:5}  {counted}", flush=True)


if __name__ == "__main__":
    main()
