"""Jumps whose cause is known, planted into real and random bars, and how each is judged."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import polars as pl

from nextday.data import load_bars, random_walk
from nextday.data.jumps import OFF_BY_100, SPLIT_NOT_APPLIED, SPLIT_OR_NEWS, judge_jumps

RATIOS = (2, 3, 1.5, 4, 10, 1 / 2, 1 / 5, 1 / 10)  # shares that one becomes; below 1 a reverse split
PRICES = ("open", "high", "low", "close", "adj_close")
SAID = {OFF_BY_100: "refused", SPLIT_NOT_APPLIED: "refused", SPLIT_OR_NEWS: "asked"}
Frame = pl.DataFrame
Source = Callable[[np.random.Generator], tuple[Frame, str, int]]  # bars, a ticker, the place of the jump in it


def walks(random: np.random.Generator) -> tuple[Frame, str, int]:
    """Draw three random walks, of a daily volatility of 1 to 4 %."""
    tickers = ("AAA", "BBB", "CCC")
    vol = float(random.uniform(0.01, 0.04))
    frame = random_walk(tickers=tickers, sessions=60, seed=int(random.integers(10**9)), daily_vol=vol).frame
    return frame, str(random.choice(tickers)), int(random.integers(25, 50))


def real(frame: Frame) -> Source:
    """Cut 60 sessions of all tickers out of real bars."""
    dates = frame["date"].unique().sort()

    def draw(random: np.random.Generator) -> tuple[Frame, str, int]:
        first = int(random.integers(len(dates) - 60))
        part = frame.filter(pl.col("date").is_between(dates[first], dates[first + 59]))
        full = part.group_by("ticker", maintain_order=True).len().filter(pl.col("len") > 55)["ticker"]
        return part, str(random.choice(full.to_numpy())), int(random.integers(25, 50))

    return draw


def split(frame: Frame, ticker: str, at: int, ratio: float, *, volume: bool = False) -> Frame:
    """Leave a split out of the prices before it, and out of the volume if told so."""
    before = (pl.col("ticker") == ticker) & (pl.int_range(pl.len()).over("ticker") < at)
    factors = dict.fromkeys(PRICES, ratio) | ({"volume": 1 / ratio} if volume else {})
    return frame.with_columns(pl.col(name) * pl.when(before).then(by).otherwise(1.0) for name, by in factors.items())


def news(frame: Frame, ticker: str, at: int, random: np.random.Generator, *, wide: bool = True) -> Frame:
    """Move a price for good by 0.4 and more, in a burst of trade that fades; the range of the day widens if told so."""
    size = 0.4 * random.uniform() ** (-1 / 3) * random.choice([-1, 1])  # tails of returns fall with the third power
    within = np.exp(random.normal(np.log(5), 0.6)) if wide else 1.0
    burst = np.exp(random.normal(np.log(12), 0.7))
    row, here = pl.int_range(pl.len()).over("ticker"), pl.col("ticker") == ticker
    day, after = here & (row == at), pl.when(here & (row >= at)).then(row - at)
    stretched = [  # away from the open
        pl.when(day).then(pl.col("open") * (pl.col(name) / pl.col("open")).pow(within)).otherwise(name).alias(name)
        for name in ("high", "low", "close")
    ]
    wider = frame.with_columns(stretched)
    close, stretch = (part.filter(day)["close"][0] for part in (frame, wider))
    rest = pl.when(here & (row > at)).then(stretch / close).otherwise(1.0)
    level = pl.when(after >= 0).then(np.exp(size)).otherwise(1.0)
    adjusted = pl.when(day).then(stretch / close).otherwise(rest)
    return wider.with_columns(
        *(pl.col(name) * level * rest for name in PRICES[:4]), pl.col("adj_close") * level * adjusted,
        pl.col("volume") * (burst ** (0.8 ** after.cast(pl.Float64))).fill_null(1.0),
    )  # fmt: skip


def verdict(frame: Frame, ticker: str, at: int) -> str:
    """Say what becomes of the jump: refused, asked, news, or none at all."""
    found = judge_jumps(frame).filter(ticker=ticker, date=frame.filter(ticker=ticker)["date"][at])
    return SAID.get(found["verdict"][0], "news") if len(found) else "no jump"


def rates(source: Source, plant: Callable[..., Frame], draws: int, seed: int = 0) -> Counter[str]:
    """Count verdicts over planted jumps; those that the ticker's own move hides are drawn again."""
    random, found = np.random.default_rng(seed), Counter()
    while found.total() < draws:
        frame, ticker, at = source(random)
        found[verdict(plant(frame, ticker, at, random), ticker, at)] += 1
        del found["no jump"]
    return found


def kinds() -> dict[str, Callable[..., Frame]]:
    """List what is planted."""
    splits = {
        f"split {ratio:g}:1{', volume too' if volume else ''}": lambda f, t, at, _, r=ratio, v=volume: split(f, t, at, r, volume=v)
        for ratio in RATIOS for volume in (False, True)
    }  # fmt: skip
    return splits | {
        "news": news, "news overnight, in an ordinary range": lambda *given: news(*given, wide=False),
    }  # fmt: skip


def sample() -> Source:
    """Take the embedded panel."""
    return real(load_bars("sample").frame)
