"""Compute named features of a panel."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import polars as pl

from nextday.data import COLUMNS, Panel
from nextday.errors import DataError, StudyError
from nextday.features.catalog import FEATURES, Feature, Together
from nextday.features.sets import find_feature
from nextday.features.values import compute_values
from nextday.names import known, listed
from nextday.words import plural

HOUSE: Mapping[str, Feature] = MappingProxyType(FEATURES)
NOTHING: Mapping[str, str] = MappingProxyType({})
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
        Float32, shape [ticker, date, feature]; not finite before ``warmup``, and where a ticker has no bar.
    warmup
        Rows of each ticker dropped at its start, the same for every variant: those of the study, or more if a user's
        column begins later.
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


class NotFinite(DataError):
    """A feature has no value after its warm-up.

    Attributes
    ----------
    features
        All that was computed.
    """

    def __init__(self, message: str, features: Features) -> None:
        super().__init__(message)
        self.features = features


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
        Features of the catalog or of a built-in set, or numeric columns that the bars carry beyond the required ones.
        Such a column is used unchanged: the user guarantees that its row ``t`` uses nothing later than the close of
        ``t``.
    catalog
        The features that are computed from bars, by name.
    warmup
        Rows to drop at the start; more only if a user's column begins later.
    meant
        For a name that is both in the catalog and a column of the bars: ``bars`` or ``catalog``.

    Raises
    ------
    StudyError
        If a name is unknown, ambiguous or refused, or a feature needs a longer warm-up or more tickers.
    MissingError
        If a feature needs a library that is not installed.
    NotFinite
        If a feature has a value that is not finite after its warm-up.
    DataError
        If a feature cannot be computed.
    """
    columns = _own_columns(panel.frame)
    chosen = tuple(dict.fromkeys(names))
    catalog = _with_sets(catalog, chosen, columns, meant)
    own = [name for name in chosen if _is_column(name, columns, catalog, meant, panel)]
    used = {name: catalog[name] for name in chosen if name not in own}
    _check_warmup(used, warmup)
    _check_company(used, panel)
    values = compute_values(panel, {name: used.get(name) for name in chosen})
    at = [chosen.index(name) for name in own]
    sessions = [panel.sessions(ticker) for ticker in panel.tickers]
    gap = _leading_gap(values[..., at], sessions)
    notes = _late_columns(values, sessions, own, at, warmup) if gap > warmup else ()
    origins = {name: f"a column of {panel.joined.get(name, 'the bars')}" for name in own}
    features = Features(chosen, panel.tickers, values, max(warmup, gap), origins, notes)
    _check_finite(features, panel, used, sessions)
    return features


def _with_sets(
    catalog: Mapping[str, Feature], names: Sequence[str], columns: Collection[str], meant: Mapping[str, str]
) -> dict[str, Feature]:
    """Add the named features of built-in sets; a column of the bars goes before them unless the catalog is meant."""
    wanted = [name for name in names if name not in columns or meant.get(name) == "catalog"]
    found = {name: find_feature(name, catalog) for name in wanted}
    return {**catalog, **{name: feature for name, feature in found.items() if feature}}


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
        each = listed([f"{name} needs {rows}" for name, rows in late.items()])
        raise StudyError(f"warmup: {plural(warmup, 'session')} dropped at the start, but {each}; set warmup: {most}")


def _check_company(used: Mapping[str, Feature], panel: Panel) -> None:
    """Refuse features that compare the tickers of a day where there is one."""
    across = [name for name, one in used.items() if isinstance(one.expression, Together) and one.expression.across]
    if across and len(panel.tickers) == 1:
        raise StudyError(
            f"{panel.source}: {listed(across, 3)} rank the tickers of a day against each other, and only "
            f"{panel.tickers[0]} is forecast; name more tickers, or take features that need none, as alpha101:alone"
        )


def _late_columns(
    values: np.ndarray, sessions: Sequence[np.ndarray], own: Sequence[str], at: Sequence[int], warmup: int
) -> tuple[str, ...]:
    """Name the columns of the user's own that begin after the warm-up, with the sessions they cost."""
    gaps = {name: _leading_gap(values[..., [index]], sessions) for name, index in zip(own, at, strict=True)}
    return tuple(
        f"column {name} has its first value after {plural(gap, 'session')}; every variant loses "
        f"{plural(gap - warmup, 'session')}"
        for name, gap in gaps.items()
        if gap > warmup
    )


def _leading_gap(values: np.ndarray, sessions: Sequence[np.ndarray]) -> int:
    """Count the sessions before every ticker has a finite value; shape [ticker, date, feature]."""
    if not values.size:
        return 0
    firsts = [0]
    for own, at in zip(values, sessions, strict=True):
        finite = np.isfinite(own[at])
        firsts += finite.argmax(axis=0)[finite.any(axis=0)].tolist() if len(at) else []
    return max(firsts)


def _check_finite(
    features: Features, panel: Panel, used: Mapping[str, Feature], sessions: Sequence[np.ndarray]
) -> None:
    due = np.zeros(features.values.shape[:2], bool)
    for own, at in zip(due, sessions, strict=True):
        own[at[features.warmup :]] = True
    bad = np.argwhere(~np.isfinite(features.values) & due[..., None])
    if len(bad):
        ticker, date, feature = bad[0]
        name, day = features.names[feature], panel.dates[date]
        where = (used[name].source if name in used else "") or panel.source
        values = features.values[ticker, :, feature]
        raise NotFinite(
            f"{where}: feature {name} of {panel.tickers[ticker]} on {day} is {values[date]} "
            f"({plural(len(bad), 'such value')}); {_way_out(panel, name, panel.tickers[ticker], values)}",
            features,
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
