"""The feature sets that a study can name, the groups in them, and the features of sets that are made when named."""

from collections.abc import Collection, Mapping
from functools import cache
from importlib.util import find_spec
from types import MappingProxyType

from nextday.errors import MissingError, StudyError
from nextday.features.alpha101 import ALPHA101
from nextday.features.alpha158 import ALPHA158
from nextday.features.alpha360 import ALPHA360
from nextday.features.catalog import FEATURES, Feature, FeatureSet
from nextday.features.price import GKX_PRICE, HAR, RANGES, TSMOM
from nextday.features.talib import TALIB
from nextday.names import MANY, known, listed
from nextday.words import plural

INSTALL = "pip install 'nextday[features]'"


def _house(**groups: tuple[str, ...]) -> FeatureSet:
    """Make a set of features that every catalog holds."""
    names = [name for group in groups.values() for name in group]
    return FeatureSet(groups, lambda: FEATURES, max(FEATURES[name].warmup for name in names))


LAGS = ("ret_lag1", "ret_lag2", "ret_lag5")
ROLLING = {"volatility": ("roll_vol", "range_norm"), "volume": ("vol_zscore",), "market": ("mkt_return",)}

# where two sets have a feature of one name, it is the same, made by the first: alpha360 needs no library
SETS: Mapping[str, FeatureSet] = MappingProxyType(
    {
        "raw": _house(returns=("log_return",)),
        "ohlcv": _house(
            returns=("log_return", "oc_return"), range=("hl_range", "close_pos"), volume=("log_vol", "vol_change")
        ),
        "engineered": _house(returns=("log_return",), **ROLLING),
        "lags": _house(returns=LAGS, **ROLLING),
        "har": HAR,
        "ranges": RANGES,
        "tsmom": TSMOM,
        "gkx_price": GKX_PRICE,
        "alpha360": ALPHA360,
        "alpha158": ALPHA158,
        "alpha101": ALPHA101,
        "talib": TALIB,
    }
)
FEATURE_SETS: dict[str, tuple[str, ...]] = {name: one.names for name, one in SETS.items()} | {
    f"{name}:{group}": members
    for name, one in SETS.items()
    for group, members in one.groups.items()
    if len(one.groups) > 1
}
REFUSED: Mapping[str, str] = MappingProxyType(
    {feature: reason for one in SETS.values() for feature, reason in one.refused.items()}
)
_SET_OF = {feature: name for name, one in reversed([*SETS.items()]) for feature in one.names}


def groups_of(name: str) -> dict[str, tuple[str, ...]]:
    """Return the groups of a built-in feature set, and the features of each.

    Parameters
    ----------
    name
        A set, or one group of it, as ``alpha158:volume``.

    Returns
    -------
    Names of features by group, in the order of the set.

    Raises
    ------
    StudyError
        If there is no such set.

    Examples
    --------
    >>> groups_of("gkx_price")["momentum"]
    ('mom1m', 'mom6m', 'mom12m')
    >>> list(groups_of("alpha158"))
    ['kbar', 'trend', 'position', 'correlation', 'volume']
    """
    if name not in FEATURE_SETS:
        raise StudyError(f"unknown feature set {name!r}; {known(name, FEATURE_SETS)}")
    one, _, group = name.partition(":")
    every = SETS[one].groups
    return {group: every[group]} if group else dict(every)


def describe_set(one: FeatureSet) -> str:
    """Describe a set in a line: its features or groups, warm-up, paper and extra."""
    many = len(one.names) > MANY
    held = (
        f"{plural(len(one.names), 'feature')} in the groups {', '.join(one.groups)}" if many else ", ".join(one.names)
    )
    installed = f"; {INSTALL}" if one.package else ""
    return f"{held}; warm-up {one.warmup}{f'; {one.paper}' if one.paper else ''}{installed}"


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


def _spelled_out(name: str, every: Mapping[str, tuple[str, ...]], above: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the features of a set, with those of the sets that it names."""
    if name in above:
        raise StudyError(f"feature_sets.{name}: the set has itself inside, by way of {above[-1]}")
    found: list[str] = []
    for one in every[name]:
        found += _spelled_out(one, every, (*above, name)) if one in every and one != name else [one]
    if not found or len(set(found)) < len(found):
        doubled = [one for one in found if found.count(one) > 1]
        given = f"{listed(every[name])}{f'; {doubled[0]} is there twice' if doubled else ''}"
        raise StudyError(f"feature_sets.{name}: expected one or more features, each once, got {given}")
    return tuple(found)


def require_library(name: str) -> None:
    """Refuse a feature set, built-in or not, whose library is not installed.

    Raises
    ------
    MissingError
        With the extra to install.
    """
    base = name.partition(":")[0]
    package = SETS[base].package if base in SETS else ""
    if package and find_spec(package) is None:
        raise MissingError(f"feature set {base} needs {package}, which is not installed: {INSTALL}")


def find_feature(name: str, catalog: Mapping[str, Feature]) -> Feature | None:
    """Return a feature of the catalog, or else of a built-in set; None if neither has it.

    Raises
    ------
    StudyError
        If the published set has it and nextday refuses it.
    MissingError
        If the set's library is not installed.
    """
    if name in catalog:
        return catalog[name]
    if name in REFUSED:
        raise StudyError(f"feature {name} is refused: it {REFUSED[name]}")
    return _made(_SET_OF[name])[name] if name in _SET_OF else None


def refuse_doubles(
    named: Collection[str], catalog: Mapping[str, Feature], columns: Collection[str], meant: Collection[str]
) -> None:
    """Refuse a built-in set one of whose features has the name of a guest, or of a column that nobody decided on.

    Raises
    ------
    StudyError
        With the name and how to decide.
    """
    for one in named:
        for feature in FEATURE_SETS.get(one, ()):
            guest = catalog.get(feature)
            if guest is not None and feature not in FEATURES:
                owner = guest.source or "the features that were passed"
                raise StudyError(f"feature set {one}: {feature} is also a feature of {owner}; rename that one")
            if feature in columns and feature not in meant and feature not in FEATURES:
                raise StudyError(
                    f"feature set {one}: the bars have a column {feature}, too; rename it, or set features_from: "
                    f"{{{feature}: bars}} or {{{feature}: catalog}}"
                )


@cache
def _made(name: str) -> Mapping[str, Feature]:
    require_library(name)
    return SETS[name].build()
