"""The check of every run: features are recomputed with later bars cut off and rewritten."""

import time

import polars as pl
import pytest

from nextday import forecast
from nextday.auditing.causality import check_causality, leaks_first
from nextday.cli.look import look
from nextday.data import align, load_bars, random_walk
from nextday.errors import DataError
from nextday.features import FEATURES, Feature, compute_features
from nextday.features.catalog import Together
from nextday.study import Study

BARS = random_walk(tickers=("AAA", "BBB", "MKT"), sessions=700, seed=4).frame
DATES = BARS["date"].unique().sort()
move = pl.col("adj_close").log().diff()
late = pl.when(pl.col("date") > DATES[600]).then(move.shift(-1, fill_value=0.0)).otherwise(move)
STUDY = {
    "name": "mine", "market": "MKT", "lookback": 5, "feature_sets": {"own": ["mine"]},
    "variants": {"A": {"model": "ridge", "features": "own"}},
}  # fmt: skip


@pytest.fixture(scope="module")
def panel():
    return align(load_bars(BARS, accept=("*",)), market="MKT")


def check(panel, expression, **settings):
    catalog = {"fine": FEATURES["roll_vol"], "mine": Feature(expression, 1, source="lab.py")}
    with leaks_first(panel, catalog=catalog):
        features = compute_features(panel, catalog, catalog=catalog)
    return check_causality(panel, features, catalog=catalog, **settings)


def test_the_whole_catalog_of_the_embedded_bars_takes_little_time():
    panel = align(load_bars("sample"))
    features = compute_features(panel, FEATURES)
    started = time.process_time()
    assert check_causality(panel, features) == (
        "13 features unchanged at 8 places (4 in the test range) when later bars are cut or rewritten"
    )
    assert time.process_time() - started < 10  # 0.4 s on an idle machine


def test_a_leak_that_is_confined_to_the_test_range_is_found(panel):
    says = r"^lab.py: feature mine uses data after its own date: it changes with later bars, first on 2002"
    with pytest.raises(DataError, match=says):
        check(panel, late)
    with pytest.raises(DataError, match=says):
        check(panel, late, first_test=DATES[500])


def test_one_that_is_confined_to_the_first_days_is_found(panel):
    with pytest.raises(DataError, match="it changes with later bars, first on 2000-01-10"):
        check(panel, pl.when(pl.col("date") < DATES[10]).then(move.shift(-1)).otherwise(move))


def test_ratios_of_the_prices_of_tomorrow_are_found(panel):
    spread = (pl.col("high") / pl.col("low")).log()
    with pytest.raises(DataError, match="feature mine uses data after its own date"):
        check(panel, spread.shift(-1, fill_value=0.01))


def test_the_leak_is_told_before_the_missing_value_it_leaves(panel):
    with pytest.raises(DataError, match="feature mine uses data after its own date"):
        check(panel, move.shift(-1))
    with pytest.raises(DataError, match="feature mine of AAA on .* is nan"):
        check(panel, pl.when(pl.col("date") != DATES[300]).then(move))


@pytest.mark.parametrize("expression", [late, move.shift(-1)])
def test_a_run_ends_with_the_leak(tmp_path, expression):
    study = Study.from_values(STUDY | {"accept": "*"})
    with pytest.raises(DataError, match="feature mine uses data after its own date"):
        forecast(study, bars=BARS, out=tmp_path, workers=0, features={"mine": Feature(expression, 1)})


def test_a_run_says_where_its_test_range_begins(tmp_path, monkeypatch):
    given = {}

    def spy(panel, features, **settings):
        given.update(settings)
        return check_causality(panel, features, **settings)

    monkeypatch.setattr("nextday.pipeline.check_causality", spy)
    study = Study.from_values(STUDY | {"accept": "*"})
    folder = forecast(study, bars=BARS, out=tmp_path, workers=0, features={"mine": Feature(move, 1)})
    assert given["first_test"] == pl.read_parquet(folder / "forecasts.parquet")["origin"].min()


def test_a_look_at_the_bars_of_a_study_ends_with_the_leak(tmp_path):
    file = tmp_path / "lab.py"
    file.write_text(
        "import nextday\n\n@nextday.feature('mine', warmup=1)\ndef mine(bars):\n    return bars['close'].shift(-1)\n"
    )
    BARS.write_parquet(tmp_path / "bars.parquet")
    study = Study.from_values(STUDY | {"accept": "*", "plugins": [str(file)], "data": str(tmp_path / "bars.parquet")})
    assert "feature mine uses data after its own date" in str(look(study).refused)


def test_of_many_tickers_some_are_computed(monkeypatch):
    bars = random_walk(tickers=tuple(f"T{at:02}" for at in range(40)), sessions=60, seed=1)
    panel = align(load_bars(bars.frame, accept=("*",)), market="")
    monkeypatch.setattr("nextday.auditing.causality.MOST", 60 * 7 * 5)
    seen = set()

    def mine(frame):
        seen.add(frame["ticker"][0])
        return frame["close"].pct_change()

    def ranks(frame, names):
        seen.update(frame["ticker"].unique())
        return frame.select(pl.col("close").rank().over("date").alias(name) for name in names)

    for expression, count in ((mine, 5), (Together(ranks, across=True), 12)):
        catalog = {"mine": Feature(expression, 1)}
        features = compute_features(panel, catalog, catalog=catalog)
        seen.clear()
        said = check_causality(panel, features, catalog=catalog)
        assert said.startswith(f"1 feature unchanged at 8 places (4 in the test range) of {count} of 40 tickers when")
        assert len(seen) == count
        assert {"T00", "T39"} <= seen
