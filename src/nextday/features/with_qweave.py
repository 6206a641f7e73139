"""Features that qweave computes (MIT), a Rust engine that shares what the formulas of a set have in common."""

import contextlib
import io
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import polars as pl

from nextday.features.adjusted import adjusted

PACKAGE = "qweave"
BATCH = 100_000  # rows at a time, where tickers are independent: bounds memory


def compute(
    bars: pl.DataFrame, names: Sequence[str], *, library: str, zero_from: Mapping[str, int], across: bool,
    still: Mapping[str, int] = MappingProxyType({}),
) -> pl.DataFrame:  # fmt: skip
    """Compute features of a library of qweave from adjusted bars, float32.

    ``zero_from`` names the features that are 0 where their formula is 0 / 0, and the row from which they have a value;
    ``still`` those that are 0 where the close does not move, with the days of their window; ``across`` keeps all
    tickers together.
    """
    import qweave

    with contextlib.redirect_stdout(io.StringIO()):  # it prints the columns that it reads
        formulas = getattr(qweave, library)({}, alphas=list(names))
    prices = adjusted(bars)
    parts = [prices] if across else _batches(prices)
    wanted = [_defined(name, zero_from.get(name), still.get(name)) for name in names]
    return pl.concat([qweave.with_alphas(part, "ticker", "date", formulas).select(wanted) for part in parts])


def _batches(prices: pl.DataFrame) -> list[pl.DataFrame]:
    """Cut at tickers."""
    first_row = pl.int_range(pl.len()).first().over("ticker")
    return prices.with_columns(batch=first_row // BATCH).partition_by("batch", include_key=False, maintain_order=True)


def _defined(name: str, zero_from: int | None, still: int | None) -> pl.Expr:
    value = pl.col(name)
    if still is not None:  # what rounding leaves of sums of changes that are 0 has a ratio of its own
        close = pl.col("close")
        constant = (close.rolling_max(still + 1) == close.rolling_min(still + 1)).over("ticker")
        value = pl.when(constant).then(0.0).otherwise(value)
    if zero_from is not None:
        row = pl.int_range(pl.len()).over("ticker")
        value = pl.when(row >= zero_from).then(value.fill_nan(0.0)).otherwise(value)
    return value.cast(pl.Float32).alias(name)
