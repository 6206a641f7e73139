"""What a feature must pass: causality, scale, warm-up, finiteness; of several features at once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from nextday.auditing.causality import computing
from nextday.auditing.perturb import differing, find_moved, places_of
from nextday.data import Panel
from nextday.features.catalog import Feature, Together
from nextday.features.values import compute_values

PLACES = 5  # where later bars are cut off and rewritten
PRICES = ("open", "high", "low", "close", "adj_close")
# a dividend or split of tomorrow rescales adj_close, a vendor may count in other units; powers of 2 round nothing
UNITS = ({"adj_close": 0.25}, dict.fromkeys(PRICES, 8.0), {"volume": 4.0})
SAME = 0.01  # standard deviations by which rounding, and 1 + volume in a logarithm, may move a standardised value


def faults_of_features(panel: Panel, features: Mapping[str, Feature]) -> dict[str, str]:
    """Compute features in changed circumstances, and return the first fault of each that has one, in one line.

    A feature returns one finite number per bar after its warm-up; the same again, whatever other tickers there are,
    unless it compares tickers; no value moves when later bars change or are missing. A change of the unit of prices
    or volume, another for each ticker, changes nothing but its own location and scale, which standardisation removes:
    otherwise a later split or dividend, which rescales all earlier adjusted closes, would change it.

    Raises
    ------
    NextdayError
        If a feature cannot be computed.
    """
    values, names = compute_values(panel, features), list(features)
    faults: dict[str, str] = {}
    for name, fault in _faults(panel, features, values):
        faults.setdefault(name, f"{features[name].source}: {fault}" if features[name].source else fault)
    return {name: faults[name] for name in names if name in faults}


def _faults(panel: Panel, features: Mapping[str, Feature], values: np.ndarray) -> Iterator[tuple[str, str]]:
    names = list(features)
    for at, name in enumerate(names):
        if said := _not_finite(panel, values[..., at], features[name].warmup):
            yield name, f"feature {name} {said}"
    for name in _moved(names, values, compute_values(panel, features)):
        yield name, f"feature {name} differs when it is computed again"
    yield from _in_company(panel, features, values)
    for one in find_moved(
        computing(panel, features), panel.frame, panel.dates, places_of(len(panel.dates), count=PLACES),
        before=values, tolerance=0,
    ):  # fmt: skip
        name, day = names[one.column], panel.dates[one.first]
        yield name, f"feature {name} uses data after its own date: on {day} it changes with later bars"
    for name, unit in _moved_by_units(panel, features, values):
        yield name, f"feature {name} depends on the unit of {unit}, which later splits or dividends change; use ratios"


def _not_finite(panel: Panel, values: np.ndarray, warmup: int) -> str:
    """Say where a feature has no value, or has one before it says; values have the shape [ticker, date]."""
    bad = np.argwhere(~np.isfinite(values[:, warmup:]))
    if not len(bad):
        return ""
    ticker, date = bad[0]
    value = values[ticker, warmup + date]
    return f"of {panel.tickers[ticker]} on {panel.dates[warmup + date]} is {value}, after its warm-up of {warmup}"


def _in_company(
    panel: Panel, features: Mapping[str, Feature], values: np.ndarray,
) -> Iterator[tuple[str, str]]:  # fmt: skip
    """Compute the first ticker alone."""
    alone = {name: one for name, one in features.items() if not _across(one)}
    at = [column for column, one in enumerate(features.values()) if not _across(one)]
    single = compute_values(replace(panel, tickers=panel.tickers[:1]), alone)
    for name in _moved(list(alone), values[:1][..., at], single):
        yield name, f"feature {name} of a ticker depends on the other tickers"


def _moved_by_units(
    panel: Panel, features: Mapping[str, Feature], values: np.ndarray,
) -> Iterator[tuple[str, str]]:  # fmt: skip
    """Count prices or volume in other units, others for each ticker, and compare standardised values."""
    steps = pl.col("ticker").rle_id().cast(pl.Float64) % 3 + 1  # powers of the factor, by ticker
    for factors in UNITS:
        changed = [pl.col(column) * pl.lit(factor).pow(steps) for column, factor in factors.items()]
        after = compute_values(replace(panel, frame=panel.frame.with_columns(changed)), features)
        for at, (name, feature) in enumerate(features.items()):
            one, two = (some[:, feature.warmup :, at] for some in (values, after))
            if np.isfinite(one).all() and not _same_but_for_unit(one, two):
                yield name, "volume" if "volume" in factors else "prices"


def _same_but_for_unit(one: np.ndarray, two: np.ndarray) -> bool:
    return bool(np.isfinite(two).all()) and np.allclose(_standardised(one), _standardised(two), rtol=0, atol=SAME)


def _standardised(values: np.ndarray) -> np.ndarray:
    """Remove each ticker's mean and deviation; a constant is left at 0. Shape [ticker, date]."""
    exact = values.astype(np.float64)
    centred = exact - exact.mean(axis=1, keepdims=True)
    deviation = exact.std(axis=1, keepdims=True)
    rounding = 1e-6 * np.abs(exact).max(axis=1, keepdims=True)
    return np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > rounding)


def _across(feature: Feature) -> bool:
    return isinstance(feature.expression, Together) and feature.expression.across


def _moved(names: Sequence[str], before: np.ndarray, after: np.ndarray) -> list[str]:
    moved = np.flatnonzero(differing(before, after).any(axis=(0, 1)))
    return [names[int(at)] for at in moved]
