"""What forecasts are worth across tickers: scores of each day, and the contrasts of a study by rank coefficient."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from nextday.evaluate.across import information, turnover_of, weights_of
from nextday.evaluate.answers import MOST_NAMED
from nextday.evaluate.ask import Ask
from nextday.evaluate.contrasts import Comparison, Contrast, relation
from nextday.evaluate.guards import is_size
from nextday.evaluate.inference import ask_of, compare
from nextday.evaluate.losses import OF_RETURNS, ZERO, average, loss_named
from nextday.evaluate.table import measure
from nextday.evaluate.wording import join
from nextday.study import LEAST_NAMES
from nextday.words import signed

DRAWS = 2000  # of dates, for what stands beside a verdict
AHEAD = 5  # days over which the decay of a coefficient is followed
SCORES = {
    "origin": pl.Date, "variant": pl.String, "seed": pl.Int64, "ic": pl.Float64, "rank_ic": pl.Float64,
    "spread": pl.Float64, "turnover": pl.Float64, "names": pl.Int64,
}  # fmt: skip


def compare_across(forecasts: pl.DataFrame, comparison: Comparison, loss: str = "rank_ic") -> Comparison | None:
    """Repeat the asked contrasts of a comparison by a loss of the cross-section.

    Returns
    -------
    None where no day has ten tickers, actual values are no returns, or the comparison is by a loss that has no such
    counterpart.
    """
    named = comparison.losses
    fits = named.loss in OF_RETURNS or loss_named(named.loss).across
    if not fits or most_names(forecasts) < LEAST_NAMES or is_size(forecasts):
        return None
    asks: list[Ask] = [ask_of(one, comparison) for one in comparison.asked]
    benchmark = None if named.benchmark == ZERO else named.benchmark
    return compare(
        measure(forecasts, loss=loss, benchmark=benchmark), ask=asks, alpha=comparison.alpha, replicates=DRAWS,
        other_blocks=(), explore=_of(asks, named.variants), others={}, alike=comparison.alike,
    )  # fmt: skip


def _of(asks: Sequence[Ask], variants: Sequence[str]) -> list[str]:
    """Return the variants that are asked of, in the order of the table."""
    used = {name for ask in asks for name in ask.variants}
    return [name for name in variants if name in used]


def most_names(forecasts: pl.DataFrame) -> int:
    """Count the tickers of the day that has most."""
    days = forecasts.lazy().group_by("origin").agg(pl.col("ticker").n_unique())
    return days.select(pl.col("ticker").max()).collect().item() or 0


def line_of(ranked: Comparison | None, comparison: Comparison) -> str:
    """Return a line on whether any variant orders the returns of a day; empty where the verdict is about that."""
    if ranked is None or loss_named(comparison.losses.loss).across:
        return ""
    bench = ranked.losses.benchmark
    beyond = "" if bench == ZERO else f" beyond that of {bench}"
    known = [one for one in ranked.against_benchmark if not one.withheld]
    if not known:
        why = next((one.withheld for one in ranked.against_benchmark), "")
        return f"Across tickers: withheld ({why})." if why else ""
    better = sorted((one for one in known if relation(one) == ">"), key=lambda one: -one.estimate)
    if better:
        more = [f"{len(better) - MOST_NAMED} more"] if len(better) > MOST_NAMED else []
        each = [f"{one.first} {coefficient(one)}" for one in better[:MOST_NAMED]]
        return f"Across tickers: rank IC{beyond} of {join(each + more)}."
    top = max(known, key=lambda one: one.estimate)
    return (
        f"Across tickers: no variant has a rank IC{beyond} significantly above zero; best in sample: {top.first}, "
        f"{coefficient(top)}."
    )


def clause_of(ranked: Comparison | None, comparison: Comparison) -> str:
    """Return the best variant with a rank IC above zero, for a headline; empty where there is none or it is said."""
    if ranked is None or ranked.losses.benchmark != ZERO or loss_named(comparison.losses.loss).across:
        return ""
    better = [one for one in ranked.against_benchmark if not one.withheld and relation(one) == ">"]
    if not better:
        return ""
    top = max(better, key=lambda one: one.estimate)
    return f"across tickers {top.first} has a rank IC of {coefficient(top)}"


def coefficient(contrast: Contrast) -> str:
    """Write a coefficient and its interval.

    Examples
    --------
    >>> coefficient(Contrast("a", "", 0.035, 0, 0, 0, 0.021, 0.049, 0, 0, 0, 0))
    '+0.035 (+0.021 to +0.049)'
    """
    estimate, low, high = signed(contrast.estimate, contrast.low, contrast.high, digits=3)
    return f"{estimate} ({low} to {high})"


def daily_scores(forecasts: pl.DataFrame) -> pl.DataFrame:
    """Compute the scores of every day with ten tickers or more.

    Returns
    -------
    One row per variant, seed and origin: ``ic`` and ``rank_ic``; ``spread``, the return of the highest fifth less that
    of the lowest; ``turnover``, the sum of absolute changes of its weights; ``names``, the tickers of the day.
    """
    parts = [pl.DataFrame(schema=SCORES)]
    for grid in grids(forecasts):
        actual, predicted = grid.actual, grid.predicted
        names = (~np.isnan(actual)).sum(axis=0)
        days, weights = np.flatnonzero(names >= LEAST_NAMES), weights_of(predicted)
        columns = {
            "ic": average(information(actual, predicted, ranks=False), axis=1),
            "rank_ic": average(information(actual, predicted, ranks=True), axis=1),
            "spread": np.nansum(weights * actual, axis=1), "turnover": turnover_of(weights),
        }  # fmt: skip
        parts += [
            pl.DataFrame(
                {"origin": grid.origins.gather(days), "variant": grid.variant, "seed": seed}
                | {name: values[at, days] for name, values in columns.items()} | {"names": names[days]},
                schema_overrides=SCORES,
            ).select(*SCORES)
            for at, seed in enumerate(grid.seeds)
        ]  # fmt: skip
    return pl.concat(parts)


def decay(forecasts: pl.DataFrame, days: int = AHEAD) -> pl.DataFrame:
    """Compute the mean rank IC of forecasts with the returns of each of some days.

    Returns
    -------
    One row per variant: ``variant``, and ``1`` to ``days``, means over seeds and days; 1 is the day that is forecast.
    """
    rows = []
    for grid in grids(forecasts):
        found = []
        for ahead in range(days):
            later = np.full_like(grid.actual, np.nan)
            later[:, : max(later.shape[1] - ahead, 0)] = grid.actual[:, ahead:]
            later = np.where(np.isnan(grid.actual), np.nan, later)
            known = np.where(np.isnan(later), np.nan, grid.predicted)
            daily = average(information(later, known, ranks=True), axis=1)
            found.append(float(average(daily.ravel(), axis=0)))
        rows.append({"variant": grid.variant} | {str(at): value for at, value in enumerate(found, 1)})
    return pl.DataFrame(rows)


@dataclass(frozen=True, slots=True)
class Grid:
    """The forecasts of one variant: ``actual`` of shape [ticker, date], ``predicted`` of shape [seed, ticker, date]."""

    variant: str
    seeds: list[int | None]
    origins: pl.Series
    actual: np.ndarray
    predicted: np.ndarray


def grids(forecasts: pl.DataFrame) -> Iterator[Grid]:
    """Yield the forecasts of each variant beside returns, on the tickers and origins of all."""
    tickers = forecasts["ticker"].cast(pl.String).unique().sort()
    origins = forecasts["origin"].unique().sort()
    realised = "realised_return" if "realised_return" in forecasts.columns else "actual"
    for (variant,), rows in forecasts.group_by("variant", maintain_order=True):
        seeds = rows["seed"].unique().sort().to_list() if "seed" in rows.columns else [None]
        actual = np.full((len(tickers), len(origins)), np.nan)
        predicted = np.full((len(seeds), *actual.shape), np.nan)
        for seed, made in zip(seeds, predicted, strict=True):
            own = rows if len(seeds) == 1 else rows.filter(pl.col("seed") == seed)
            ticker = np.asarray(tickers.search_sorted(own["ticker"].cast(pl.String)))
            day = np.asarray(origins.search_sorted(own["origin"]))
            actual[ticker, day], made[ticker, day] = own[realised].to_numpy(), own["predicted"].to_numpy()
        yield Grid(str(variant), seeds, origins, actual, predicted)
