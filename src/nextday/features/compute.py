"""Compute named features of a panel, and the feature sets a study may name."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from nextday.data import COLUMNS, Panel
from nextday.errors import DataError, StudyError
from nextday.features.catalog import FEATURE_SETS, FEATURES


@dataclass(frozen=True, slots=True)
class Features:
    """Feature values of a panel; row ``t`` uses nothing later than the close of ``t``.

    Attributes
    ----------
    names
        Names along the last axis.
    tickers
        Names along the first axis.
    values
        Float32, shape [ticker, date, feature]; not finite before ``warmup``.
    warmup
        Rows to leave out at the start, the same for every variant of every study on this panel: the longest warm-up
        of the whole catalog, or of a column of the user's own where that is longer.
    """

    names: tuple[str, ...]
    tickers: tuple[str, ...]
    values: np.ndarray
    warmup: int

    def of(self, ticker: str, names: tuple[str, ...]) -> np.ndarray:
        """Values of one ticker and some features, shape [date, feature]."""
        columns = [self.names.index(name) for name in names]
        return self.values[self.tickers.index(ticker)][:, columns]


def resolve_sets(own: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Join the study's own feature sets to the built-in ones, whose names cannot be taken."""
    for name, features in own.items():
        if name in FEATURE_SETS:
            raise StudyError(f"feature_sets.{name}: the name is taken by a built-in set; choose another")
        if not features or len(set(features)) < len(features):
            raise StudyError(f"feature_sets.{name}: expected one or more features, each once, got {list(features)}")
    return {**FEATURE_SETS, **own}


def compute_features(panel: Panel, names: Collection[str]) -> Features:
    """Compute features of every ticker of a panel.

    Parameters
    ----------
    panel
        The bars.
    names
        Features of the catalog, or numeric columns that the bars carry beyond the required ones. Such a column is
        taken as it is: that its row ``t`` knows nothing later than the close of ``t`` is the user's own promise.

    Raises
    ------
    StudyError
        If a name is neither in the catalog nor a column of the bars.
    DataError
        If a feature has a value that is not finite after its warm-up.
    """
    extras = [name for name in panel.frame.columns if name not in COLUMNS]
    unknown = [name for name in names if name not in FEATURES and name not in extras]
    if unknown:
        known = ", ".join([*FEATURES, *extras])
        raise StudyError(f"unknown feature {unknown[0]!r}; known: {known}")
    chosen = tuple(dict.fromkeys(names))
    market = panel.of(panel.market).select("date", market_adj_close="adj_close")
    expressions = [
        (FEATURES[name].expression if name in FEATURES else pl.col(name)).over("ticker").cast(pl.Float32).alias(name)
        for name in chosen
    ]
    table = panel.frame.join(market, on="date", how="left", maintain_order="left").select(
        "ticker", "date", *expressions
    )
    table = table.filter(pl.col("ticker").is_in(panel.tickers))
    shape = (len(panel.tickers), len(panel.dates))
    values = np.stack([table[name].to_numpy().reshape(shape) for name in chosen], axis=-1)
    own = [index for index, name in enumerate(chosen) if name not in FEATURES]
    warmup = max([feature.warmup for feature in FEATURES.values()] + [_leading_gap(values[..., own])])
    _check_finite(values[:, warmup:], chosen, panel, warmup)
    return Features(chosen, panel.tickers, values, warmup)


def check_causality(panel: Panel, features: Features) -> str:
    """Compute the features again without the last third of the bars, and see that nothing before has moved.

    Raises
    ------
    DataError
        If a feature sees past its own date.
    """
    known = len(panel.dates) * 2 // 3
    last = panel.dates[known - 1]
    cut = replace(panel, frame=panel.frame.filter(pl.col("date") <= last), dates=panel.dates[:known])
    before, again = features.values[:, :known], compute_features(cut, features.names).values
    moved = ((before != again) & ~(np.isnan(before) & np.isnan(again))).any(axis=(0, 1))
    if moved.any():
        name = features.names[int(moved.argmax())]
        raise DataError(f"feature {name} sees past its own date: it changes with later bars")
    own = [name for name in features.names if name not in FEATURES]
    unseen = f"; {', '.join(own)} came with the bars and cannot be checked" if own else ""
    count = len(features.names) - len(own)
    return f"{count} features of every date to {last} are the same without the bars after it{unseen}"


def _leading_gap(values: np.ndarray) -> int:
    """Count the rows before every ticker has a finite value; shape [ticker, date, feature]."""
    if not values.size:
        return 0
    started = np.isfinite(values).any(axis=1)
    first = np.isfinite(values).argmax(axis=1)
    return int(np.where(started, first, 0).max())


def _check_finite(values: np.ndarray, names: tuple[str, ...], panel: Panel, warmup: int) -> None:
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        ticker, date, feature = bad[0]
        raise DataError(
            f"{panel.source}: feature {names[feature]} of {panel.tickers[ticker]} on {panel.dates[warmup + date]} is "
            f"{values[ticker, date, feature]} ({len(bad)} such values); nextday fills nothing in"
        )
