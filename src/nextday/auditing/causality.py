"""Check at run time that no feature of a study uses data after its own date."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl

from nextday.auditing.columns import audit_columns
from nextday.auditing.perturb import TESTED, Compute, find_moved, places_of
from nextday.data import Panel
from nextday.errors import DataError
from nextday.features import Feature, Features, find_feature
from nextday.features.catalog import Together
from nextday.features.compute import HOUSE, NotFinite
from nextday.features.values import compute_values
from nextday.words import plural

MOST = 1_000_000  # values computed at a time; about 12 tickers of 4,000 sessions with all features of the catalog
DRAWN = 6  # columns of bars, which are rewritten at every place
LEAST, COMPANY = 2, 12  # tickers that are computed in any case, and where features compare those of a day


def check_causality(
    panel: Panel, features: Features, *, catalog: Mapping[str, Feature] = HOUSE, first_test: date | None = None
) -> str:
    """Recompute features with later bars cut off and rewritten, at eight places, and compare the days before.

    Of a large panel some tickers are computed, evenly chosen, so that the time is bounded.

    Parameters
    ----------
    panel
        The bars.
    features
        What was computed of them; columns of the user's own are not checked.
    catalog
        The features that are computed from bars, by name.
    first_test
        The first day of the test range, in which four of the places are; unless given, it is the last fifth.

    Returns
    -------
    What was checked, in words.

    Raises
    ------
    DataError
        If a feature uses data after its own date.
    """
    used = {name: find_feature(name, catalog) for name in features.names if name not in features.own}
    dates = panel.dates
    start = int(TESTED * len(dates)) if first_test is None else int(np.searchsorted(dates, np.datetime64(first_test)))
    places = places_of(len(dates), start)
    some = _some(panel, used)
    moved = find_moved(computing(some, used), some.frame, some.dates, places, tolerance=0) if used else []
    if moved:
        first = min(moved, key=lambda one: (one.column, one.first))
        name = list(used)[first.column]
        where = f"{catalog[name].source}: " if name in catalog and catalog[name].source else ""
        raise DataError(
            f"{where}feature {name} uses data after its own date: it changes with later bars, first on "
            f"{dates[first.first]}"
        )
    tested = sum(place >= start for place in places)
    return _in_words(panel, features, f"{plural(len(places), 'place')} ({tested} in the test range){_of(some, panel)}")


def _of(some: Panel, panel: Panel) -> str:
    every = len(panel.tickers)
    return "" if len(some.tickers) == every else f" of {len(some.tickers)} of {plural(every, 'ticker')}"


def _in_words(panel: Panel, features: Features, where: str) -> str:
    own = features.own
    source = " and further files" if panel.joined.keys() & own.keys() else ""
    unseen = f"; audited from data alone, as columns of the bars{source}: {', '.join(own)}" if own else ""
    count = plural(len(features.names) - len(own), "feature")
    return f"{count} unchanged at {where} when later bars are cut or rewritten{unseen}"


@contextmanager
def leaks_first(panel: Panel, *, catalog: Mapping[str, Feature] = HOUSE) -> Iterator[None]:
    """Report a leak rather than the missing values that it leaves at the end of the bars; of a column, both.

    Raises
    ------
    DataError
        If a feature that has missing values, or one beside it, uses data after its own date.
    """
    try:
        yield
    except NotFinite as error:
        check_causality(panel, error.features, catalog=catalog)
        known = [one.sentence for one in audit_columns(panel, tuple(error.features.own)) if one.is_open]
        if known:
            raise DataError(f"{error}. Besides, {known[0]}") from None
        raise


def computing(panel: Panel, features: Mapping[str, Feature | None]) -> Compute:
    """Return a function that computes features of other bars of the panel's tickers."""

    def compute(frame: pl.DataFrame, dates: np.ndarray) -> np.ndarray:
        return compute_values(replace(panel, frame=frame, dates=dates), features)

    return compute


def _some(panel: Panel, features: Mapping[str, Feature | None]) -> Panel:
    """Return the panel of as many of its tickers, evenly chosen, as can be computed in little time."""
    across = any(one and isinstance(one.expression, Together) and one.expression.across for one in features.values())
    wanted = max(MOST // (len(panel.dates) * (len(features) + DRAWN)), COMPANY if across else LEAST)
    if wanted >= len(panel.tickers):
        return panel
    at = np.linspace(0, len(panel.tickers) - 1, wanted).astype(int)
    return panel.only(tuple(panel.tickers[ticker] for ticker in at))
