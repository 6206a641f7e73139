"""Planted truth for ablations: what designs find of groups that carry a signal, and what they find where there is none.

Forty features of eleven tickers; four carry the next day's return, two of them nearly the same (twins). The model is a
ridge regression per ticker on a random half of its training days, drawn anew by each seed, so that it has seed variance
as a network has. Runs, seeds and verdict are those of ``nextday ablate``.

    python benchmarks/ablation.py --draws 100
"""

import argparse
from collections import Counter

import numpy as np
import polars as pl

from nextday.ablation import Ablation, layout, names_of, variants_of
from nextday.effects import effects_of
from nextday.evaluate import compare, measure
from nextday.evaluate.answers import finding_of
from nextday.evaluate.ask import Ask

GROUPS, TICKERS, TRAIN, TEST = 40, 11, 1050, 600
GOOD, TWINS = (0, 1, 2, 3), (0, 1)
WORLDS = ("independent", "persistent", "factor", "nothing")
PENALTY = 50.0  # of the ridge, in days
DESIGNS = {
    "1": [("orthogonal", 1), ("leave_one_out", 2)],
    "2": [("orthogonal", 2), ("leave_one_out", 4)],
}  # equal units


def draw(world: str, seed: int, r2: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw features, [ticker, day, feature], and the returns that follow, [ticker, day]."""
    rng = np.random.default_rng([WORLDS.index(world), seed])
    days = TRAIN + TEST
    x = rng.standard_normal((TICKERS, days, GROUPS))
    if world == "factor":
        x = np.sqrt(0.5) * rng.standard_normal((1, days, GROUPS)) + np.sqrt(0.5) * x
    if world == "persistent":
        for at in range(1, days):
            x[:, at] = 0.95 * x[:, at - 1] + np.sqrt(1 - 0.95**2) * x[:, at]
    x[..., TWINS[1]] = 0.95 * x[..., TWINS[0]] + np.sqrt(1 - 0.95**2) * x[..., TWINS[1]]
    signal = x[..., TWINS[0]] + x[..., 2] + x[..., 3]
    signal /= signal.std()
    noise = np.sqrt(0.3) * rng.standard_normal((1, days)) + np.sqrt(0.7) * rng.standard_normal((TICKERS, days))
    strength = 0.0 if world == "nothing" else np.sqrt(r2)
    return x, strength * signal + np.sqrt(1 - strength**2) * noise


def forecasts(x: np.ndarray, y: np.ndarray, runs: np.ndarray, names: list[str], seeds: int) -> pl.DataFrame:
    """Fit every run and seed, and return the forecasts table of the test days."""
    parts = []
    origins = pl.date_range(pl.date(2010, 1, 1), pl.date(2010, 1, 1) + pl.duration(days=TEST - 1), eager=True)
    for ticker in range(TICKERS):
        inside, test = slice(0, TRAIN), slice(TRAIN, None)
        for seed in range(seeds):
            half = np.random.default_rng([ticker, seed]).permutation(TRAIN)[: TRAIN // 2]
            train = x[ticker, inside][half]
            gram, moments = train.T @ train, train.T @ y[ticker, inside][half]
            for name, row in zip(names, runs, strict=True):
                at = np.flatnonzero(row)
                beta = np.linalg.solve(gram[np.ix_(at, at)] + PENALTY * np.eye(len(at)), moments[at])
                parts.append((name, f"T{ticker:02d}", seed, x[ticker, test][:, at] @ beta, y[ticker, test]))
    return pl.concat([
        pl.DataFrame({"origin": origins, "actual": actual, "predicted": predicted}).with_columns(
            variant=pl.lit(name), ticker=pl.lit(ticker), seed=pl.lit(seed)
        )
        for name, ticker, seed, predicted, actual in parts
    ])  # fmt: skip


def judge(design: str, seeds: int, x: np.ndarray, y: np.ndarray) -> dict[str, tuple[str, float, float]]:
    """Return the finding, the estimate and its standard error of every group."""
    ablation = Ablation(design=design, groups={f"g{at:02d}": [f"g{at:02d}"] for at in range(GROUPS)})
    runs = layout(ablation)
    rows = forecasts(x, y, runs, names_of(ablation, runs), seeds)
    asks = [
        Ask(one.group, "", terms=one.weights, kind="effect") for one in effects_of(ablation) if one.kind == "effect"
    ]
    found = compare(
        measure(rows), ask=asks, explore=(), others={}, other_blocks=(), alike=variants_of(ablation), replicates=2000
    )  # fmt: skip
    return {one.first: (finding_of(one), one.estimate, one.standard_error) for one in found.asked}


def main() -> None:
    """Print recall and false findings by world, design and seeds."""
    wanted = argparse.ArgumentParser()
    wanted.add_argument("--draws", type=int, default=100)
    wanted.add_argument("--r2", type=float, default=0.03)
    wanted.add_argument("--seeds", default="1,2", help="of the orthogonal design")
    wanted.add_argument("--worlds", default=",".join(WORLDS))
    given = wanted.parse_args()
    print("world        design         seeds units  single  twins  any null helps  nulls hurt  t of singles, null sd")
    for world in given.worlds.split(","):
        for design, seeds in [pair for which in given.seeds.split(",") for pair in DESIGNS[which]]:
            count: Counter[str] = Counter()
            t_single, null = [], []
            for number in range(given.draws):
                x, y = draw(world, number, given.r2)
                found = judge(design, seeds, x, y)
                helps = [int(name[1:]) for name, (finding, *_) in found.items() if finding == "better"]
                good = () if world == "nothing" else GOOD
                count["single"] += len({2, 3} & {*helps})
                count["twins"] += len({*TWINS} & {*helps})
                count["wrong"] += bool({*helps} - {*good})
                hurts = [int(name[1:]) for name, (finding, *_) in found.items() if finding == "worse"]
                count["hurt"] += len({*hurts} - {*good})
                t_single += [found[f"g{at:02d}"][1] / found[f"g{at:02d}"][2] for at in (2, 3)]
                null += [100 * one[1] for name, one in found.items() if int(name[1:]) not in GOOD]
            runs = 88 if design == "orthogonal" else 41
            n = given.draws
            print(
                f"{world:12} {design:14} {seeds:5} {runs * seeds:5}  {count['single'] / 2 / n:6.2f} "
                f"{count['twins'] / 2 / n:6.2f}  {count['wrong'] / n:14.3f}  {count['hurt'] / n / 36:10.3f}  "
                f"{np.mean(t_single):.2f}, {np.std(null):.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
