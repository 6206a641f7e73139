"""Compute named features of a panel, and the feature sets a study may name."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import polars as pl

from nextday.data import COLUMNS, Panel
from nextday.errors import DataError, StudyError, first_line
from nextday.features.catalog import FEATURE_SETS, FEATURES, Feature
from nextday.names import known, listed
from nextday.words import plural

HOUSE: Mapping[str, Feature] = MappingProxyType(FEATURES)
NOTHING: Mapping[str, str] = MappingProxyType({})
MARKET = "market_adj_close"
NEEDS_MARKET = (
    "needs a market, and there is none; add the bars of an index and name it with --market, or take feature sets that "
    "do without, such as raw and ohlcv"
)
WARMUP = max(feature.warmup for feature in FEATURES.values())  # sessions; the default of a study


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
        Rows dropped at the start, the same for every variant: those of the study, or more if a user's column begins
        later.
    own
        Names that are columns of the bars or of further files, and which.
    notes
        Notes on the user's columns.
    """

    names: tuple[str, ...]
    tickers: tuple[str, ...]
    values: np.ndarray
    warmup: int
    own: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    notes: tuple[str, ...] = ()

    def of(self, ticker: str, names: tuple[str, ...]) -> np.ndarray:
        """Return the values of one ticker and some features, shape [date, feature]."""
        columns = [self.names.index(name) for name in names]
        return self.values[self.tickers.index(ticker)][:, columns]


def resolve_sets(own: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Combine the study's own feature sets with the built-in ones, whose names are reserved.

    A set may name other sets, which stand for their features.

    Raises
    ------
    StudyError
        If a name is reserved, or a set is empty, has a feature twice, or has itself inside.
    """
    every = {**FEATURE_SETS, **own}
    for name in own:
        if name in FEATURE_SETS:
            raise StudyError(f"feature_sets.{name}: the name is reserved for a built-in set; choose another")
    return {**FEATURE_SETS, **{name: _spelled_out(name, every) for name in own}}


def _spelled_out(name: str, every: Mapping[str, Sequence[str]], above: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the features of a set, with those of the sets that it names."""
    if name in above:
        raise StudyError(f"feature_sets.{name}: the set has itself inside, by way of {above[-1]}")
    found: list[str] = []
    for one in every[name]:
        found += _spelled_out(one, every, (*above, name)) if one in every and one != name else [one]
    if not found or len(set(found)) < len(found):
        doubled = [one for one in found if found.count(one) > 1]
        why = f"; {doubled[0]} is there twice" if doubled else ""
        raise StudyError(
            f"feature_sets.{name}: expected one or more features, each once, got {listed(every[name])}{why}"
        )
    return tuple(found)


def compute_features(
    panel: Panel, names: Collection[str], *, catalog: Mapping[str, Feature] = HOUSE, warmup: int = WARMUP,
    meant: Mapping[str, str] = NOTHING,
) -> Features:  # fmt: skip
    """Compute features of every ticker of a panel.

    Parameters
    ----------
    panel
        The bars.
    names
        Features of the catalog, or numeric columns that the bars carry beyond the required ones. Such a column is used
        unchanged: the user guarantees that its row ``t`` uses nothing later than the close of ``t``.
    catalog
        The features that are computed from bars, by name.
    warmup
        Rows to drop at the start; more only if a user's column begins later.
    meant
        For a name that is both in the catalog and a column of the bars: ``bars`` or ``catalog``.

    Raises
    ------
    StudyError
        If a name is unknown or ambiguous, or a feature needs a longer warm-up.
    DataError
        If a feature has a value that is not finite after its warm-up, or cannot be computed.
    """
    columns = _own_columns(panel.frame)
    chosen = tuple(dict.fromkeys(names))
    own = [name for name in chosen if _is_column(name, columns, catalog, meant, panel)]
    used = {name: catalog[name] for name in chosen if name not in own}
    _check_warmup(used, warmup)
    table = _with_market(panel, used).filter(pl.col("ticker").is_in(panel.tickers))
    shape = (len(panel.tickers), len(panel.dates))
    columns_of = [_column(table, name, used.get(name)) for name in chosen]
    values = np.stack([column.to_numpy().reshape(shape) for column in columns_of], axis=-1)
    at = [chosen.index(name) for name in own]
    gap = _leading_gap(values[..., at])
    notes = _late_columns(values, own, at, warmup) if gap > warmup else ()
    origins = {name: f"a column of {panel.joined.get(name, 'the bars')}" for name in own}
    features = Features(chosen, panel.tickers, values, max(warmup, gap), origins, notes)
    _check_finite(features, panel, used)
    return features


def _with_market(panel: Panel, used: Mapping[str, Feature]) -> pl.DataFrame:
    """Put the market's adjusted close beside the bars, if there is a market; refuse the features that need one."""
    if panel.market:
        market = panel.of(panel.market).select("date", market_adj_close="adj_close")
        return panel.frame.join(market, on="date", how="left", maintain_order="left")
    for name, feature in used.items():
        if isinstance(feature.expression, pl.Expr) and MARKET in feature.expression.meta.root_names():
            raise StudyError(f"{panel.source}: feature {name} {NEEDS_MARKET}")
    return panel.frame


def _own_columns(frame: pl.DataFrame) -> dict[str, pl.DataType]:
    return {name: kind for name, kind in frame.schema.items() if name not in COLUMNS}


def _is_column(
    name: str,
    columns: Mapping[str, pl.DataType],
    catalog: Mapping[str, Feature],
    meant: Mapping[str, str],
    panel: Panel,
) -> bool:
    """Return whether a name means a column of the bars, and refuse one that is unknown or could mean two things."""
    if name in columns and name in catalog:
        if name not in meant:
            raise StudyError(
                f"{panel.source}: the bars have a column {name}, which is also a feature of nextday or of a plugin; "
                f"rename the column, or set features_from: {{{name}: bars}} or {{{name}: catalog}}"
            )
        return meant[name] == "bars"
    if name in catalog:
        return False
    if name not in columns:
        numbers = [column for column, kind in columns.items() if _is_number(kind)]
        raise StudyError(f"unknown feature {name!r}; {known(name, [*catalog, *numbers])}")
    if not _is_number(columns[name]):
        raise StudyError(f"{panel.source}: column {name} is {columns[name]}; a feature must be numeric or boolean")
    return True


def _is_number(kind: pl.DataType) -> bool:
    return kind.is_numeric() or kind == pl.Boolean


def _check_warmup(used: Mapping[str, Feature], warmup: int) -> None:
    """Name the features that need more sessions before their first value than the study leaves out."""
    late = {name: feature.warmup for name, feature in used.items() if feature.warmup > warmup}
    if late:
        most = max(late.values())
        each = ", ".join(f"{name} needs {rows}" for name, rows in late.items())
        raise StudyError(f"warmup: {plural(warmup, 'session')} dropped at the start, but {each}; set warmup: {most}")


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


def _late_columns(values: np.ndarray, own: Sequence[str], at: Sequence[int], warmup: int) -> tuple[str, ...]:
    """Name the columns of the user's own that begin after the warm-up, with the sessions they cost."""
    gaps = {name: _leading_gap(values[..., [index]]) for name, index in zip(own, at, strict=True)}
    return tuple(
        f"column {name} has its first value after {plural(gap, 'session')}; every variant loses "
        f"{plural(gap - warmup, 'session')}"
        for name, gap in gaps.items()
        if gap > warmup
    )


def check_causality(
    panel: Panel, features: Features, *, catalog: Mapping[str, Feature] = HOUSE, meant: Mapping[str, str] = NOTHING
) -> str:
    """Recompute the features without the last third of the bars, and check that earlier values do not change.

    Raises
    ------
    DataError
        If a feature uses data after its own date.
    """
    known = len(panel.dates) * 2 // 3
    last = panel.dates[known - 1]
    cut = replace(panel, frame=panel.frame.filter(pl.col("date") <= last), dates=panel.dates[:known])
    again = compute_features(cut, features.names, catalog=catalog, warmup=features.warmup, meant=meant).values
    before = features.values[:, :known]
    moved = ((before != again) & ~(np.isnan(before) & np.isnan(again))).any(axis=(0, 1))
    if moved.any():
        name = features.names[int(moved.argmax())]
        where = f"{catalog[name].source}: " if name in catalog and catalog[name].source else ""
        raise DataError(f"{where}feature {name} uses data after its own date: it changes with later bars")
    own = features.own
    source = " and further files" if panel.joined.keys() & own.keys() else ""
    unseen = f"; not checked, as columns of the bars{source}: {', '.join(own)}" if own else ""
    count = len(features.names) - len(own)
    return f"{plural(count, 'feature')} up to {last} unchanged without the later bars{unseen}"


def _leading_gap(values: np.ndarray) -> int:
    """Count the rows before every ticker has a finite value; shape [ticker, date, feature]."""
    if not values.size:
        return 0
    started = np.isfinite(values).any(axis=1)
    first = np.isfinite(values).argmax(axis=1)
    return int(np.where(started, first, 0).max())


def _check_finite(features: Features, panel: Panel, used: Mapping[str, Feature]) -> None:
    bad = np.argwhere(~np.isfinite(features.values[:, features.warmup :]))
    if len(bad):
        ticker, date, feature = bad[0]
        name, day = features.names[feature], panel.dates[features.warmup + date]
        where = (used[name].source if name in used else "") or panel.source
        values = features.values[ticker, :, feature]
        raise DataError(
            f"{where}: feature {name} of {panel.tickers[ticker]} on {day} is {values[features.warmup + date]} "
            f"({plural(len(bad), 'such value')}); {_way_out(panel, name, panel.tickers[ticker], values)}"
        )


def _way_out(panel: Panel, name: str, ticker: str, values: np.ndarray) -> str:
    """Describe what can be done about missing values: most come with a further file that is not carried on."""
    if name not in panel.joined or np.isinf(values).any():
        return "nextday does not impute values"
    one = panel.joined[name]
    if not np.isfinite(values).any():
        return f"{one.file} has none for this ticker; leave {ticker} out with --tickers"
    if one.fill == "none":
        return f"set fill: forward beside the lag of {one.file} to carry the last known value on"
    return f"{one.file} has no newer value within the limit of {one.limit} sessions; raise it, or leave {ticker} out"
