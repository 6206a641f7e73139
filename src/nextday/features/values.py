"""Compute the values of features, whatever they are made of: expressions, functions, libraries or columns."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from nextday.data import Panel
from nextday.errors import DataError, StudyError, first_line
from nextday.features.catalog import Feature, Together
from nextday.words import plural

MARKET = "market_adj_close"
NEEDS_MARKET = (
    "needs a market, and there is none; add the bars of an index and name it with --market, or take feature sets that "
    "do without, such as raw and ohlcv"
)


def compute_values(panel: Panel, features: Mapping[str, Feature | None]) -> np.ndarray:
    """Compute features without a look at what comes out; None stands for a column of the bars.

    Returns
    -------
    Float32, shape [ticker, date, feature]; not a number where a ticker has no bar.
    """
    used = {name: feature for name, feature in features.items() if feature}
    table = _with_market(panel, used).filter(pl.col("ticker").is_in(panel.tickers))
    shape = (len(panel.tickers), len(panel.dates), len(features))
    rows = compute_rows(table, features)
    if panel.balance == "common":
        return rows.reshape(shape)
    values = np.full(shape, np.nan, np.float32)
    ticker = table["ticker"].cast(pl.String).cast(pl.Enum(panel.tickers)).to_physical().to_numpy()
    values[ticker, np.searchsorted(panel.dates, table["date"].to_numpy())] = rows
    return values


def compute_rows(table: pl.DataFrame, features: Mapping[str, Feature | None]) -> np.ndarray:
    """Compute features of bars in the order of ticker and date, where tickers may have different sessions.

    Returns
    -------
    Float32, shape [row, feature].
    """
    used = {name: feature for name, feature in features.items() if feature}
    values = np.empty((len(table), len(features)), np.float32)
    at = {name: column for column, name in enumerate(features)}
    for engine, names in _engines(used).items():
        for found in engine.compute(table, names).select(names):
            values[:, at.pop(found.name)] = found.to_numpy()
    for name, column in at.items():
        values[:, column] = _column(table, name, features[name]).to_numpy()
    return values


def _engines(used: Mapping[str, Feature]) -> dict[Together, list[str]]:
    """Gather the features that are computed together."""
    found: dict[Together, list[str]] = {}
    for name, feature in used.items():
        if isinstance(feature.expression, Together):
            found.setdefault(feature.expression, []).append(name)
    return found


def _with_market(panel: Panel, used: Mapping[str, Feature]) -> pl.DataFrame:
    """Put the market's adjusted close beside the bars, if there is a market; refuse the features that need one."""
    if panel.market:
        market = panel.of(panel.market).select("date", market_adj_close="adj_close")
        return panel.frame.join(market, on="date", how="left", maintain_order="left")
    for name, feature in used.items():
        if isinstance(feature.expression, pl.Expr) and MARKET in feature.expression.meta.root_names():
            raise StudyError(f"{panel.source}: feature {name} {NEEDS_MARKET}")
    return panel.frame


def _column(table: pl.DataFrame, name: str, feature: Feature | None) -> pl.Series:
    """Compute one feature of all tickers, float32; None stands for a column of the bars."""
    if feature is None:
        return table[name].cast(pl.Float32)
    if isinstance(feature.expression, pl.Expr):
        return table.select(feature.expression.over("ticker").cast(pl.Float32).alias(name)).to_series()
    parts = table.partition_by("ticker", maintain_order=True)
    return pl.concat([_call(bars, name, feature) for bars in parts])


def _call(bars: pl.DataFrame, name: str, feature: Feature) -> pl.Series:
    """Compute a feature that is a function, of one ticker."""
    assert callable(feature.expression)
    ticker, where = bars["ticker"][0], f"{feature.source}: " if feature.source else ""
    try:
        found = feature.expression(bars)
        found = bars.select(found).to_series() if isinstance(found, pl.Expr) else found
        column = pl.Series(name, np.asarray(found, dtype=np.float64)).cast(pl.Float32)
    except Exception as error:  # noqa: BLE001 - whatever a stranger's function raises is a line
        if MARKET not in bars.columns and MARKET in str(error):
            raise StudyError(f"{where}feature {name} {NEEDS_MARKET}") from None
        raise DataError(
            f"{where}feature {name} cannot be computed for {ticker}: {type(error).__name__}: {first_line(error)}"
        ) from None
    if len(column) != len(bars):
        raise DataError(
            f"{where}feature {name} of {ticker} has {plural(len(column), 'value')} for {plural(len(bars), 'bar')}"
        )
    return column
