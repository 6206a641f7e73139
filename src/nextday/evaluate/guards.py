"""Checks of a forecasts table: a note for each defect that can be worked around, an error for the others."""

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

import numpy as np
import polars as pl

from nextday.errors import VerdictError
from nextday.evaluate.losses import Losses
from nextday.evaluate.quantiles import columns_of
from nextday.names import known
from nextday.words import plural

PRICE = 0.2  # no ticker's daily returns are all positive with this median
PERCENT = 0.1  # nor is its typical daily return 10 %
HALF = 0.5  # the largest rank; days of daily returns in percent go beyond
SAME_FLOAT = 1e-6  # relative; float32 keeps 6e-8
DECIMALS = range(4, 10)  # of printed returns; three decimals are too few to be the same return
ENOUGH = 20  # origins or rows below which nothing is said


def known_pooled(pooled: Collection[str], variants: Sequence[str]) -> frozenset[str]:
    """Strip the names of pooled variants; refuse one that the table does not contain."""
    names = frozenset(name.strip() for name in pooled if name.strip())
    unknown = sorted(names - set(variants))
    if unknown:
        raise VerdictError(f"pooled: {unknown[0]!r} is not in the table; {known(unknown[0], variants, head='it has')}")
    return names


def check_actual(actual: np.ndarray, tickers: Sequence[str]) -> str:
    """Refuse actual values [ticker, date] that are prices; return a note if they are in percent."""
    for ticker, row in zip(tickers, actual, strict=True):
        values = row[~np.isnan(row)]
        if len(values) >= 2 and values.min() > 0 and np.median(values) > PRICE:
            raise VerdictError(
                f"actual values look like prices ({ticker}: median {np.median(values):.1f}); log returns are expected"
            )
    if not in_percent(actual):
        return ""
    typical = typical_size(actual)
    return f"actual values look like percent (median size {typical:.2g}); skill does not depend on the unit"


def is_size(rows: pl.DataFrame | pl.LazyFrame) -> bool:
    """Whether no actual value is negative: a log range or an absolute return, which has no direction to forecast."""
    if "actual" not in rows.lazy().collect_schema():
        return False
    least, count = rows.lazy().select(pl.col("actual").min(), pl.len().alias("count")).collect().row(0)
    return count >= ENOUGH and least is not None and least >= 0


def in_percent(actual: np.ndarray) -> bool:
    """Whether returns are in percent, by their typical size; ranks stay within a half."""
    return typical_size(actual) > PERCENT and float(np.nanmax(np.abs(actual))) > HALF


def typical_size(values: np.ndarray) -> float:
    """Return the median size of values that are neither missing nor zero; robust to a few outliers."""
    sizes = np.abs(values[~np.isnan(values) & (values != 0)])
    return float(np.median(sizes)) if len(sizes) else 0.0


def say_diverged(
    variant: str, seeds: Sequence[int | None], predicted: np.ndarray, tickers: Sequence[str], dates: np.ndarray,
    actual: np.ndarray,
) -> str:  # fmt: skip
    """Name the largest forecast [seed, ticker, date] if it is beyond 100 % a day; empty if none is."""
    sizes = np.abs(np.where(np.isnan(predicted), 0, predicted))
    unit = 100 if in_percent(actual) else 1
    if not sizes.max(initial=0) > unit:
        return ""
    seed, ticker, date = (int(at) for at in np.unravel_index(sizes.argmax(), sizes.shape))
    value = predicted[seed, ticker, date]
    percent = 100 * value / unit if abs(value) < 1e300 else value
    written = f"{percent:,.0f} %" if abs(percent) < 1e6 else f"{percent:.3g} %"
    who = variant if seeds[seed] is None else f"{variant}, seed {seeds[seed]}"
    count = int((sizes > unit).sum())
    more = f"; {count} forecasts exceed 100 % a day" if count > 1 else ""
    return f"training diverged: {who}: {tickers[ticker]} forecasts {value:.3g} ({written}) at {day(dates[date])}{more}"


def day(date: object) -> str:
    """Write an origin, without the time of midnight."""
    return str(date).removesuffix("T00:00:00.000000").removesuffix("T00:00:00.000000000")


def distinct_seeds(variant: str, seeds: Sequence[int | None], *forecasts: np.ndarray) -> tuple[list[int], str]:
    """Find the seeds whose forecasts [seed, ...] are distinct, and name the others."""
    kept: list[int] = []
    groups: dict[bytes, int] = {}
    for at in range(len(seeds)):
        key = b"".join(np.ascontiguousarray(array[at] + 0.0).tobytes() for array in forecasts)
        if key not in groups:
            groups[key] = at
            kept.append(at)
    if len(kept) == len(seeds):
        return kept, ""
    if len(kept) == 1:
        way_out = f"if {variant} is deterministic, leave its seed empty"
        return kept, f"all {len(seeds)} seeds of {variant} make identical forecasts and count as one; {way_out}"
    repeated = [str(seed) for at, seed in enumerate(seeds) if at not in kept]
    verb = "repeats the forecasts of another seed" if len(repeated) == 1 else "repeat the forecasts of other seeds"
    noun = "seed" if len(repeated) == 1 else "seeds"
    return kept, (
        f"{noun} {', '.join(repeated)} of {variant} {verb} everywhere: its {len(seeds)} seeds count as {len(kept)}"
    )


def say_crossing(rows: pl.LazyFrame) -> str:
    """Count the rows whose quantiles cross, and name the first; empty if none does or there are no quantiles."""
    names = list(columns_of(rows.head(0).collect()).values())
    crossed = [pl.col(low) > pl.col(high) for low, high in pairwise(names)]
    if not crossed:
        return ""
    keys = [name for name in ("ticker", "seed", "origin") if name in rows.collect_schema()]
    wrong = rows.filter(pl.any_horizontal(crossed)).select("variant", *keys, *names).collect()
    if wrong.is_empty():
        return ""
    first = wrong.row(0, named=True)
    total = rows.filter(pl.col("variant") == first["variant"]).select(pl.len()).collect().item()
    count = wrong.filter(pl.col("variant") == first["variant"]).height
    low, high = next((a, b) for a, b in pairwise(names) if None not in (first[a], first[b]) and first[a] > first[b])
    where = ", ".join(f"{name} {first[name]}" for name in keys if first[name] is not None)
    return (
        f"{first['variant']}: quantiles cross in {count} of {plural(total, 'row')}; first: {where}: "
        f"{low} {first[low]:.4g} > {high} {first[high]:.4g}; sort the quantiles of each row"
    )


def agreement(reference: np.ndarray, actual: np.ndarray) -> str | None:
    """Return the precision to which actual values agree; empty if they are equal, None if they do not agree."""
    known = ~np.isnan(reference)
    one, other = reference[known], actual[known]
    gap = np.abs(one - other)
    if not gap.any():
        return ""
    if (gap <= SAME_FLOAT * np.maximum(np.abs(one), np.abs(other))).all():
        return "single precision"
    printed = [decimals for decimals in DECIMALS if _printed(one, decimals) or _printed(other, decimals)]
    if printed and (gap <= 0.5001 * 10.0 ** -printed[0]).all():
        return f"{printed[0]} decimals"
    return None


def _printed(values: np.ndarray, decimals: int) -> bool:
    return bool((np.abs(np.round(values, decimals) - values) < 1e-12).all())


def fineness(rows: pl.LazyFrame) -> pl.DataFrame:
    """Rank every variant and seed by the precision of its actual values, the most precise first; ties in order."""
    actual = pl.col("actual")
    shortest = [pl.when((actual.round(d) - actual).abs().max() < 1e-12).then(d) for d in DECIMALS]
    single = pl.when((actual.cast(pl.Float32).cast(pl.Float64) == actual).all()).then(50)
    ranked = rows.group_by("variant", "seed", maintain_order=True).agg(pl.coalesce(*shortest, single, 99).alias("rank"))
    return ranked.collect().sort("rank", descending=True, maintain_order=True)


def check_units(sizes: Mapping[str, Sequence[float]], actual: float, *, refuse: bool) -> str:
    """Find a variant whose forecasts are in percent while those of the others are fractions.

    The typical forecast of every seed is 5 times as large as the actual values, which persistence is not, and 30 to 300
    times as large as those of the others.

    Parameters
    ----------
    sizes
        Per variant the typical size of the forecasts of each seed.
    actual
        That of the actual values.
    refuse
        Whether to refuse such a table; a study's own forecasts are in the unit of its returns, so there they are
        outliers.
    """
    for name, own in sizes.items():
        others = [size for other, each in sizes.items() if other != name for size in each if size > 0]
        if not others or not min(own, default=0.0) > 0:
            continue
        times = [size / float(np.median(others)) for size in own]
        if min(own) > 5 * actual > 0 and all(30 <= ratio <= 300 for ratio in times):
            said = (
                f"forecasts of {name} are typically {np.median(times):.0f} times those of the others and "
                f"{np.median(own) / actual:.2g} times the actual values"
            )
            if refuse:
                raise VerdictError(f"{said}; they look like percent; divide them by 100")
            return said
    return ""


def twins(losses: Losses) -> tuple[tuple[str, ...], ...]:
    """Group the variants whose losses are equal everywhere, in the order of the table."""
    groups: dict[bytes, list[str]] = {}
    for name, grid in zip(losses.variants, losses.grid, strict=True):
        groups.setdefault((grid + 0.0).tobytes(), []).append(name)
    return tuple(tuple(names) for names in groups.values() if len(names) > 1)
