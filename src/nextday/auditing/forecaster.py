"""Audit a pipeline of others, from bars to forecasts: whether a forecast uses bars of days after its origin."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from nextday.auditing.findings import Finding
from nextday.auditing.foreign import KEYS, Function, adapt, keyed, name_of
from nextday.auditing.functions import later_days
from nextday.auditing.perturb import rewritten
from nextday.data.frames import read_frame
from nextday.errors import DataError
from nextday.words import plural

REWRITES = 4
TOLERANCE = 1e-12  # of a variant's largest absolute forecast
LAST = 0.9  # share of the origins before the last place
FEW = 5  # sessions; a longer reach is that of something fitted
UNNAMED = "forecasts"


@dataclass(frozen=True, slots=True)
class _Place:
    """What moved when the bars after a day were rewritten: the origins of each variant, before the day and after."""

    after: date
    before: dict[str, list[date]]
    later: frozenset[str]


def audit_forecaster(frame: object, forecaster: Function, *, rewrites: int = REWRITES) -> tuple[Finding, ...]:
    """Rewrite the bars after several origins, and find the variants whose forecasts of the days before change.

    A forecast must not change with bars after its origin. Scaling with all days, choosing features or epochs by the
    test set, shuffling days before they are split, and normalising a batch of test days all change it.

    Parameters
    ----------
    frame
        Bars with ``ticker`` and ``date``, of Polars or pandas.
    forecaster
        Maps such bars to a table of forecasts with ``ticker``, ``origin`` (or else ``date``), ``predicted`` and, where
        there are several, ``variant``, ``fold`` and ``seed``. It must fit everything anew at every call.
    rewrites
        Number of places; the first is the first origin, so that training that ends after it is seen, too.

    Returns
    -------
    The findings, by variant: ``F0`` not deterministic, ``F4`` reads no bars, ``F5`` uses bars after the origin.

    Raises
    ------
    DataError
        If the forecaster fails, or returns no such table.
    """
    return run_forecaster(frame, forecaster, rewrites=rewrites)[0]


def run_forecaster(
    frame: object, forecaster: Function, *, rewrites: int = REWRITES
) -> tuple[tuple[Finding, ...], pl.DataFrame]:  # fmt: skip
    """Audit a forecaster as ``audit_forecaster`` does, and return also its table of the bars as they are."""
    bars, name = keyed(read_frame(frame), "the bars").sort(KEYS), name_of(forecaster)
    run, first = adapt(forecaster, bars)
    table = _forecasts(first, name)
    unstable = set(_moved(table, _forecasts(run(bars), name))["variant"])
    origins = table["origin"].unique().sort().to_list()
    at = np.unique(np.linspace(0, LAST * (len(origins) - 1), rewrites).astype(int))
    places = []
    for place in at:
        after = origins[place]
        moved = _moved(table, _forecasts(run(rewritten(bars, after, seed=int(place))), name))
        early = moved.filter(pl.col("origin") <= after).sort("origin")
        before = dict(early.group_by("variant").agg("origin").iter_rows())
        places.append(_Place(after, before, frozenset(moved["variant"])))
    dates = bars["date"].unique().sort().to_numpy()
    return tuple(_judged(table, unstable, places, dates)), first


def _judged(
    table: pl.DataFrame, unstable: set[str], places: Sequence[_Place], dates: np.ndarray
) -> Iterator[Finding]:  # fmt: skip
    for (variant,), own in table.group_by("variant", maintain_order=True):
        name = str(variant)
        those = "the forecasts" if name == UNNAMED else f"{name}: its forecasts"
        if name in unstable:
            sentence = f"{those} differ when they are computed twice from the same bars; fix the seeds to be judged."
            yield Finding(name, "question", "F0", sentence)
        elif any(name in place.before for place in places):
            yield _alarm(name, those, own["origin"].min(), places, dates)
        elif own["predicted"].n_unique() > own["ticker"].n_unique() and not any(name in one.later for one in places):
            sentence = f"{those} do not change when the bars are rewritten: they read no bars and cannot be judged."
            yield Finding(name, "question", "F4", sentence)


def _alarm(name: str, those: str, start: object, places: Sequence[_Place], dates: np.ndarray) -> Finding:
    """Return the alarm: short reaches are days that were read ahead, others are of something fitted."""
    hit = [(place.after, min(place.before[name])) for place in places if name in place.before]
    reach = max(
        int(np.diff(np.searchsorted(dates, np.array([first, after], dates.dtype)))[0]) + 1 for after, first in hit
    )
    is_ahead = len(hit) > 1 and reach <= FEW and all(first > start for _, first in hit[1:])  # type: ignore[operator]
    days = later_days(reach) if is_ahead else "later days"
    cause = "its inputs" if name != UNNAMED else "the inputs"
    why = (
        f"{cause} have rows of days still to come"
        if is_ahead
        else "something is fitted, scaled, selected or stopped on days still to come"
    )
    sentence = (
        f"{those} of a day change when bars of {days} change (first on {min(first for _, first in hit)}, at "
        f"{len(hit)} of {plural(len(places), 'place')}): {why}."
    )
    return Finding(name, "alarm", "F5", sentence, {"reach": reach, "moved": len(hit), "places": len(places)})


def _forecasts(table: pl.DataFrame, name: str) -> pl.DataFrame:
    """Bring a table to its keys and ``predicted``; a forecast without an origin is of the day before its date."""
    if "origin" not in table.columns and "date" in table.columns:
        table = table.rename({"date": "origin"})
    if "predicted" not in table.columns:
        raise DataError(f"{name} returned no column predicted; it has {', '.join(table.columns)}")
    if table.is_empty():
        raise DataError(f"{name} returned no forecasts")
    if "variant" not in table.columns:
        table = table.with_columns(variant=pl.lit(UNNAMED))
    keys = [key for key in ("variant", "ticker", "fold", "seed", "origin") if key in table.columns]
    return keyed(table, name, keys, day="origin").select(*keys, pl.col("predicted").cast(pl.Float64).fill_null(np.nan))


def _moved(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Return variant and origin of the forecasts that differ, or that only one of two tables has."""
    keys = before.columns[:-1]
    both = before.join(after, on=keys, how="full", coalesce=True, nulls_equal=True, suffix="_after")
    one, two = pl.col("predicted"), pl.col("predicted_after")
    limit = TOLERANCE * pl.when(one.is_finite()).then(one.abs()).max().over("variant").fill_null(0)
    same = (one.is_nan() & two.is_nan()) | (one == two) | ((one - two).abs() <= limit)
    return both.filter(~same.fill_null(value=False)).select(pl.col("variant").cast(pl.String), "origin")
