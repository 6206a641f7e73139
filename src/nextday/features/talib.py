"""Indicators of TA-Lib by polars-talib (MIT), each with TA-Lib's own periods, from adjusted prices.

Those whose unit is a price or a running total are left out: they say how high a price is rather than how it moves.
"""

from collections.abc import Callable

import polars as pl

from nextday.features.adjusted import CLOSE, HIGH, LOW, OPEN
from nextday.features.catalog import Feature, FeatureSet

PACKAGE = "polars_talib"
PAPER = "TA-Lib, ta-lib.org; each with its default periods"
VOLUME = pl.col("volume").cast(pl.Float64)
BAR = (HIGH, LOW, CLOSE)

# arguments, rows before the first value, what it is
MOMENTUM: dict[str, tuple[tuple[pl.Expr, ...], int, str]] = {
    "adx": (BAR, 27, "average directional index, 14 days"),
    "adxr": (BAR, 40, "average directional index rating, 14 days"),
    "aroonosc": ((HIGH, LOW), 14, "Aroon oscillator, 14 days"),
    "bop": ((OPEN, HIGH, LOW, CLOSE), 0, "balance of power"),
    "cci": (BAR, 13, "commodity channel index, 14 days"),
    "cmo": ((CLOSE,), 14, "Chande momentum oscillator, 14 days"),
    "dx": (BAR, 14, "directional movement index, 14 days"),
    "minus_di": (BAR, 14, "minus directional indicator, 14 days"),
    "plus_di": (BAR, 14, "plus directional indicator, 14 days"),
    "ppo": ((CLOSE,), 25, "percentage price oscillator, 12 and 26 days"),
    "roc": ((CLOSE,), 10, "rate of change, 10 days"),
    "rsi": ((CLOSE,), 14, "relative strength index, 14 days"),
    "trix": ((CLOSE,), 88, "change of the triple exponential average, 30 days"),
    "ultosc": (BAR, 28, "ultimate oscillator, 7, 14 and 28 days"),
    "willr": (BAR, 13, "Williams' %R, 14 days"),
}
VOLATILITY: dict[str, tuple[tuple[pl.Expr, ...], int, str]] = {
    "natr": (BAR, 14, "average true range / close, 14 days"),
}
OF_VOLUME: dict[str, tuple[tuple[pl.Expr, ...], int, str]] = {
    "mfi": ((*BAR, VOLUME), 14, "money flow index, 14 days"),
    "cmf": ((*BAR, VOLUME), 19, "Chaikin money flow, 20 days"),
}
EVERY = MOMENTUM | VOLATILITY | OF_VOLUME


def _build() -> dict[str, Feature]:
    import polars_talib

    def feature(name: str) -> Feature:
        columns, rows, meaning = EVERY[name]
        indicator: Callable[..., pl.Expr] = getattr(polars_talib, name)
        return Feature(indicator(*columns), rows, meaning, paper=PAPER)

    return {f"talib_{name}": feature(name) for name in EVERY}


GROUPS = {
    group: tuple(f"talib_{name}" for name in members)
    for group, members in {"momentum": MOMENTUM, "volatility": VOLATILITY, "volume": OF_VOLUME}.items()
}
TALIB = FeatureSet(GROUPS, _build, max(rows for _, rows, _ in EVERY.values()), PAPER, PACKAGE)
