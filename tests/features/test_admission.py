"""Which features are admitted: the table of those that are refused is exactly what fails."""

from dataclasses import replace

import polars as pl
import pytest

from nextday.auditing.admission import faults_of_features
from nextday.data import align, load_bars, random_walk
from nextday.features import SETS, Feature
from nextday.features.alpha101 import CAPITALISATION, INDUSTRY, VWAP
from nextday.features.catalog import Together

MADE = [name for name, one in SETS.items() if name not in ("ohlcv", "engineered", "lags")]  # raw makes all of these
SESSIONS = 450


def cut(panel, sessions):
    """The first sessions of a panel."""
    frame = panel.frame.filter(pl.col("date") <= panel.dates[sessions - 1])
    return replace(panel, frame=frame, dates=panel.dates[:sessions])


@pytest.fixture(scope="module")
def embedded():
    return align(load_bars("sample"))


def failing(panel, name):
    return faults_of_features(panel, SETS[name].build())


def refused_by_tests(name):
    """The refused features that can be computed from bars at all."""
    return {feature for feature in SETS[name].refused if feature in SETS[name].build()}


@pytest.mark.parametrize("name", MADE)
def test_the_refused_features_are_exactly_those_that_fail(embedded, name):
    faults = failing(cut(embedded, SESSIONS), name)
    assert set(faults) == refused_by_tests(name)
    for feature, fault in faults.items():
        expected = "unit of volume" if "unit of volume" in fault else "unit of" if "unit of" in fault else "0 / 0"
        assert expected in SETS[name].refused[feature], fault


@pytest.mark.slow
@pytest.mark.parametrize("name", MADE)
def test_so_they_are_on_the_whole_embedded_panel(embedded, name):
    assert set(failing(embedded, name)) == refused_by_tests(name)


def test_the_features_that_need_more_than_bars_are_those_that_the_library_says():
    import qweave

    inputs = {one.output_name(): set(one.collect_inputs()) for one in qweave.worldquant_alpha101({})}
    bars = {"open", "high", "low", "close", "volume"}
    assert {f"alpha{number}" for number in (*INDUSTRY, *CAPITALISATION, *VWAP)} == {
        name for name, columns in inputs.items() if columns - bars
    }
    assert {f"alpha{number}" for number in CAPITALISATION} == {name for name in inputs if "cap" in inputs[name]}
    industries = {"industry", "sector", "subindustry"}
    assert {f"alpha{number}" for number in INDUSTRY} == {name for name in inputs if industries & inputs[name]}
    published = {one.output_name() for one in qweave.qlib_alpha158({})}
    assert published == {*SETS["alpha158"].names, *SETS["alpha158"].refused}


def ranks(bars, names):
    return bars.select(pl.col("close").rank().over("date").alias(name) for name in names)


close, adjusted = pl.col("close"), pl.col("adj_close")
PLANTED = {
    "tomorrow": (Feature(adjusted.shift(-1) / adjusted, 0), r"is nan, after its warm-up of 0"),
    "tomorrow filled": (Feature((adjusted.shift(-1) / adjusted).fill_null(1.0), 0), "uses data after its own date"),
    "its whole mean": (Feature(close / close.mean(), 0), "uses data after its own date"),
    "late": (Feature(close.rolling_mean(9) / close, 5), "is nan, after its warm-up of 5"),
    "infinite": (Feature(1 / (close - close), 0), "is inf, after its warm-up of 0"),
    "an adjusted price against one as traded": (Feature(adjusted - close, 0), "depends on the unit of prices"),
    "a price and a constant": (Feature((close - pl.col("open")) / (100 + close), 0), "depends on the unit of prices"),
    "volume and a constant": (Feature(pl.col("volume") / (1e6 + pl.col("volume")), 0), "depends on the unit of volume"),
    "a rank of prices": (Feature(Together(ranks, across=True), 0), "depends on the unit of prices"),
    "a rank that is not declared": (Feature(Together(ranks), 0), "depends on the other tickers"),
    "the time of day": (Feature(lambda bars, calls=[0]: calls.append(0) or [len(calls)] * len(bars), 0), "again"),
}  # fmt: skip


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_fault_is_found(what):
    feature, says = PLANTED[what]
    panel = align(load_bars(random_walk(tickers=("AAA", "BBB", "MKT"), sessions=120, seed=1).frame), market="MKT")
    fine = Feature(adjusted.log().diff(), 1)
    faults = faults_of_features(panel, {"fine": fine, "bad": feature})
    assert set(faults) == {"bad"}
    assert says in faults["bad"]
