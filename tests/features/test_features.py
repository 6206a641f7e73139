import numpy as np
import polars as pl
import pytest

import oracles
from nextday.auditing.causality import check_causality
from nextday.data import align, load, load_bars, random_walk
from nextday.errors import DataError, StudyError
from nextday.features import (
    FEATURE_SETS,
    FEATURES,
    Feature,
    compute_features,
    find_feature,
    resolve_sets,
)
from nextday.settings import BarsSettings


def panel_of(frame):
    return align(load_bars(frame, accept=("*",)), market="MKT")


@pytest.fixture(scope="module")
def frame():
    """Bars with what features must survive: still days, zero volume, a stretch of constant volume."""
    bars = random_walk(tickers=("AAA", "MKT"), sessions=90, seed=3).frame
    row = pl.int_range(pl.len()).over("ticker")
    still = row == 40
    return bars.with_columns(
        *[pl.when(still).then(pl.col("close")).otherwise(name).alias(name) for name in ("open", "high", "low")],
        volume=pl.when(row.is_between(45, 75)).then(1000.0).when(row == 10).then(0.0).otherwise("volume"),
    )


def test_every_feature_agrees_with_its_formula(frame):
    features = compute_features(panel_of(frame), FEATURES)
    tables = {ticker: frame.filter(pl.col("ticker") == ticker).to_pandas() for ticker in ("AAA", "MKT")}
    expected = oracles.features(tables["AAA"], tables["MKT"])
    for at, name in enumerate(features.names):
        np.testing.assert_allclose(features.values[0, :, at], expected[name], rtol=2e-5, atol=1e-7, err_msg=name)
        assert np.isfinite(features.values[0, :, at]).argmax() == FEATURES[name].warmup, name


def test_degenerate_bars_give_the_documented_values(frame):
    values = compute_features(panel_of(frame), ("close_pos", "vol_change", "vol_zscore")).values[0]
    assert values[40, 0] == 0.5
    assert np.isfinite(values[10:12, 1]).all()
    assert (values[65:75, 2] == 0).all()


@pytest.mark.parametrize("today", [25, 50, 88])
def test_no_feature_sees_past_its_own_date(frame, today):
    row = pl.int_range(pl.len()).over("ticker")
    garbage = [
        pl.when(row > today).then(pl.col(name) * factor).otherwise(name).alias(name)
        for name, factor in {
            "open": 3.0,
            "high": 9.0,
            "low": 0.5,
            "close": 3.0,
            "adj_close": 5.0,
            "volume": 0.0,
        }.items()
    ]
    before, after = (
        compute_features(panel_of(frame), FEATURES),
        compute_features(panel_of(frame.with_columns(garbage)), FEATURES),
    )
    np.testing.assert_array_equal(before.values[:, : today + 1], after.values[:, : today + 1])


def test_the_check_at_run_time_passes_the_catalog_and_catches_a_leak(frame, monkeypatch):
    panel = panel_of(frame.with_columns(own=pl.col("close")))
    said = check_causality(panel, compute_features(panel, [*FEATURES, "own"]))
    assert said.startswith(
        f"{len(FEATURES)} features unchanged at 8 places (4 in the test range) when later bars are cut"
    )
    assert said.endswith("; audited from data alone, as columns of the bars: own")
    leak = Feature(pl.col("adj_close").shift(-1), 0, "tomorrow's close")
    monkeypatch.setitem(FEATURES, "leak", leak)
    monkeypatch.setattr("nextday.features.compute._check_finite", lambda *_: None)
    with pytest.raises(DataError, match="feature leak uses data after its own date"):
        check_causality(panel, compute_features(panel, ["log_return", "leak"]))


def test_no_feature_is_shifted(frame):
    """Every feature of a date moves when the bar of that date does, but the two that are lags by name."""
    row = pl.int_range(pl.len()).over("ticker")
    moved = [
        pl.when(row == 80).then(pl.col(name) * factor).otherwise(name).alias(name)
        for name, factor in {"high": 1.5, "close": 1.1, "adj_close": 1.1, "volume": 2.0}.items()
    ]
    before, after = (
        compute_features(panel_of(frame), FEATURES),
        compute_features(panel_of(frame.with_columns(moved)), FEATURES),
    )
    unmoved = [name for at, name in enumerate(before.names) if before.values[0, 80, at] == after.values[0, 80, at]]
    assert unmoved == ["ret_lag2", "ret_lag5"]


def test_the_warm_up_does_not_depend_on_the_features_chosen(frame):
    assert (
        compute_features(panel_of(frame), ("log_return",)).warmup == compute_features(panel_of(frame), FEATURES).warmup
    )


def test_sets_hold_known_features():
    assert all(find_feature(name, FEATURES) for names in FEATURE_SETS.values() for name in names)


def test_a_column_of_the_users_own_is_a_feature_and_its_gap_is_warm_up(frame):
    row = pl.int_range(pl.len()).over("ticker")
    own = frame.with_columns(signal=pl.when(row >= 30).then(row.cast(pl.Float64)))
    features = compute_features(panel_of(own), ("log_return", "signal"))
    assert features.warmup == 30
    assert features.values[0, 50, 1] == 50
    hole = own.with_columns(signal=pl.when(row == 60).then(None).otherwise("signal"))
    with pytest.raises(DataError, match="feature signal of AAA on 2000-03-27 is nan"):
        compute_features(panel_of(hole), ("signal",))


def test_missing_values_of_a_further_file_name_the_key_that_carries_them_on(frame, tmp_path):
    dates = frame["date"].unique().sort()
    table = pl.DataFrame({"date": dates, "mood": 1.0 + np.arange(len(dates))})
    table.filter(pl.col("date") != dates[60]).write_csv(tmp_path / "mood.csv")

    def compute(**settings):
        also = {"file": str(tmp_path / "mood.csv"), "lag": 1} | settings
        bars = load(BarsSettings(market="MKT", accept="*", also=[also]), frame)
        return compute_features(align(bars, market="MKT"), ("log_return", "mood"))

    with pytest.raises(
        DataError, match=r"mood of AAA on 2000-03-28 is nan .*set fill: forward beside the lag of .*mood"
    ):
        compute()
    features = compute(fill="forward")
    assert features.own == {"mood": "a column of mood.csv, lag 1, fill forward"}
    assert features.values[0, 60:63, 1].tolist() == [60, 60, 62]
    table.filter(pl.col("date") < dates[60]).write_csv(tmp_path / "mood.csv")
    with pytest.raises(DataError, match=r"mood.csv has no newer value within the limit of 3 sessions; raise it, or"):
        compute(fill="forward", limit=3)


def test_a_ticker_that_a_further_file_does_not_have_is_named(tmp_path):
    frame = random_walk(tickers=("AAA", "BBB", "MKT"), sessions=60, seed=3).frame
    frame.filter(ticker="AAA").select("date", "ticker", mood="close").write_csv(tmp_path / "mood.csv")
    also = [{"file": str(tmp_path / "mood.csv"), "lag": 0}]
    panel = align(load(BarsSettings(market="MKT", accept="*", also=also), frame), market="MKT")
    with pytest.raises(
        DataError, match=r"mood of BBB .*mood.csv has none for this ticker; leave BBB out with --tickers"
    ):
        compute_features(panel, ("mood",))


def test_an_unknown_feature_lists_the_known_ones(frame):
    with pytest.raises(StudyError, match=r"unknown feature 'rol_vol'; did you mean roll_vol\?"):
        compute_features(panel_of(frame), ("rol_vol",))


def test_a_feature_set_cannot_take_a_built_in_name_or_be_empty():
    with pytest.raises(StudyError, match=r"feature_sets\.raw: the name is reserved"):
        resolve_sets({"raw": ("log_vol",)})
    with pytest.raises(StudyError, match=r"feature_sets\.mine: expected one or more features"):
        resolve_sets({"mine": ()})


def test_true_and_false_are_numbers_and_texts_are_no_features(frame):
    day = pl.col("date").dt.weekday()
    panel = panel_of(frame.with_columns(monday=day == 1, sector=pl.lit("energy")))
    assert set(compute_features(panel, ["monday"]).values.ravel()) == {0.0, 1.0}
    with pytest.raises(StudyError, match="column sector is String; a feature must be numeric or boolean"):
        compute_features(panel, ["sector"])


def test_a_column_that_begins_late_is_named_with_what_it_costs(frame):
    late = pl.when(pl.int_range(pl.len()).over("ticker") >= 33).then(pl.col("close"))
    features = compute_features(panel_of(frame.with_columns(pe=late)), ["log_return", "pe"])
    assert features.warmup == 33
    assert features.notes == ("column pe has its first value after 33 sessions; every variant loses 13 sessions",)
