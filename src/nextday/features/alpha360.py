"""The set Alpha360: the last 60 days of every price and of volume, relative to today's; computed here.

The published set has ``VWAP`` too, which daily bars lack, and ``CLOSE0`` and ``VOLUME0``, which are always 1.
"""

import polars as pl

from nextday.features.adjusted import CLOSE, PRICES
from nextday.features.catalog import Feature, FeatureSet

DAYS = 60
TINY = 1e-12  # of the published formula: keeps a day without volume finite
FIELDS = ("CLOSE", "OPEN", "HIGH", "LOW", "VOLUME")
CONSTANT = ("CLOSE0", "VOLUME0")
PAPER = "Yang et al. (2020), Qlib, arXiv:2009.11189"


def _names(field: str) -> tuple[str, ...]:
    """Name a field's lags, oldest first, without the one that is always 1."""
    return tuple(name for day in reversed(range(DAYS)) if (name := f"{field}{day}") not in CONSTANT)


def _lag(name: str) -> Feature:
    field = next(one for one in FIELDS if name.startswith(one))
    day, column = int(name.removeprefix(field)), field.lower()
    when = f"[t-{day}]" if day else "[t]"
    if field == "VOLUME":
        volume = pl.col("volume").cast(pl.Float64)
        return Feature(volume.shift(day) / (volume + TINY), day, f"volume{when} / volume[t]", paper=PAPER)
    return Feature(PRICES[column].shift(day) / CLOSE, day, f"adjusted {column}{when} / close[t]", paper=PAPER)


GROUPS = {field.lower(): _names(field) for field in FIELDS}
REFUSED = {
    **{f"VWAP{day}": "needs the average price of trades (vwap)" for day in range(1, DAYS)},
    **dict.fromkeys(CONSTANT, "is always 1"),
}
ALPHA360 = FeatureSet(
    GROUPS,
    lambda: {name: _lag(name) for group in GROUPS.values() for name in group},
    DAYS - 1, PAPER, refused=REFUSED,
)  # fmt: skip
