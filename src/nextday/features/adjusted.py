"""Bars of which every price carries splits and dividends, as adjusted closes do; for features across days.

Volume is left as it is: usual sources adjust it for splits already, as the embedded panel and Yahoo do.
"""

import polars as pl

FACTOR = pl.col("adj_close") / pl.col("close")  # what later splits and dividends took off the price of a day
# the close, too, by its factor: where two prices of a day are equal they stay equal to the last bit
OPEN, HIGH, LOW, CLOSE = (pl.col(name) * FACTOR for name in ("open", "high", "low", "close"))
PRICES = {"open": OPEN, "high": HIGH, "low": LOW, "close": CLOSE}


def adjusted(bars: pl.DataFrame) -> pl.DataFrame:
    """Return ``ticker, date, open, high, low, close, volume`` with adjusted prices, the same rows."""
    prices = [price.alias(name) for name, price in PRICES.items()]
    return bars.select("ticker", "date", *prices, pl.col("volume").cast(pl.Float64))
