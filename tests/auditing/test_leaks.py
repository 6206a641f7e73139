"""Every leak that data can show is found, and no clean column; and both are what they are called."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from leaks import AHEAD, CLEAN, LEAKS, audited, missed, simulated, with_columns
from nextday.data import align, random_walk

DAYS = 900
CUTS = (40, 130, 601, 888)  # rows that are kept
ALL_LEAKS = {name: leak.make for name, leak in LEAKS.items()}


@pytest.fixture(scope="module")
def walk():
    return align(random_walk(tickers=("AAA", "BBB", "CCC", "MKT"), sessions=DAYS, seed=7), market="MKT")


@pytest.fixture(scope="module")
def clustered():
    return simulated(7, tickers=3, days=DAYS)


def values_of(panel, makers):
    return (
        with_columns(panel, makers)
        .frame.select(list(makers))
        .to_numpy()
        .reshape(len(panel.tickers) + 1, -1, len(makers))
    )


def moved_by_cuts(panel, makers):
    """Names of the columns whose values of the past depend on whether the future is there."""
    whole, moved = values_of(panel, makers), set()
    for rows in CUTS:
        kept = panel.frame.filter(pl.col("date") <= pl.lit(panel.dates[rows - 1]))
        short = values_of(replace(panel, frame=kept, dates=panel.dates[:rows]), makers)
        same = np.isclose(whole[:, :rows], short, rtol=1e-9, atol=1e-12, equal_nan=True).all((0, 1))
        moved |= {name for name, is_same in zip(makers, same, strict=True) if not is_same}
    return moved


def finite_between(values):
    """Whether the values of a ticker, shape [row, column], have no hole between their first and last."""
    there = np.isfinite(values)
    inside = np.maximum.accumulate(there) & np.maximum.accumulate(there[::-1])[::-1]
    return (there | ~inside).all(0)


def test_there_are_as_many_of_each_as_were_promised():
    assert len(CLEAN) >= 67
    assert len(LEAKS) >= 45
    assert not CLEAN.keys() & LEAKS.keys()


@pytest.mark.parametrize("name", ["walk", "clustered"])
def test_clean_columns_do_not_move_when_the_bars_are_cut_and_leaks_do(name, request):
    panel = request.getfixturevalue(name)
    makers = {**CLEAN, **AHEAD, **ALL_LEAKS}
    assert moved_by_cuts(panel, makers) == {name for name, leak in LEAKS.items() if leak.moves}


def test_columns_have_no_holes(clustered):
    makers = {**CLEAN, **ALL_LEAKS}
    values = values_of(clustered, makers)
    whole = np.all([finite_between(one) for one in values], axis=0)
    assert [name for name, is_whole in zip(makers, whole, strict=True) if not is_whole] == []
    late = np.isfinite(values[:, 300:, : len(CLEAN)]).all((0, 1))
    assert [name for name, is_there in zip(CLEAN, late, strict=True) if not is_there] == []


@pytest.mark.parametrize("name", ["walk", "clustered"])
def test_clean_columns_raise_no_alarm(name, request):
    found = audited(request.getfixturevalue(name), CLEAN)
    assert [(one.name, one.sentence) for one in found if one.is_open] == []


def test_leaks_are_found_on_a_random_walk(walk):
    leaks = {name: leak for name, leak in LEAKS.items() if not leak.lifelike}
    assert [name for name in missed(walk, leaks) if leaks[name].detectable] == []


def test_leaks_are_found_on_clustered_bars(clustered):
    assert [name for name in missed(clustered, LEAKS) if LEAKS[name].detectable] == []
