import subprocess
import sys
import tomllib
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

import set_oracles
from nextday.data import align, load_bars, random_walk
from nextday.engine import make_plan
from nextday.engine.catalogs import HOUSE
from nextday.engine.plan import inputs_of
from nextday.errors import MissingError, StudyError
from nextday.evaluate.ask import role_of
from nextday.features import FEATURE_SETS, FEATURES, SETS, Feature, compute_features, find_feature, groups_of
from nextday.features import sets as sets_module
from nextday.study import Study

LONGEST = 252


def cut(panel, sessions):
    """The first sessions of a panel."""
    frame = panel.frame.filter(pl.col("date") <= panel.dates[sessions - 1])
    return replace(panel, frame=frame, dates=panel.dates[:sessions])


@pytest.fixture(scope="module")
def panel():
    """Four tickers of the embedded panel, their first 500 sessions; one has days without trades and a still week."""
    whole = cut(align(load_bars("sample"), tickers=("AAPL", "KO", "MCD", "XOM")), 500)
    row, of = pl.int_range(pl.len()).over("ticker"), pl.col("ticker") == "KO"
    still = of & row.is_between(300, 308)
    first = {name: pl.col(name).filter(row == 300).first().over("ticker") for name in ("close", "adj_close")}
    prices = dict.fromkeys(("open", "high", "low", "close"), first["close"]) | {"adj_close": first["adj_close"]}
    frame = whole.frame.with_columns(
        *(pl.when(still).then(price).otherwise(name).alias(name) for name, price in prices.items()),
        volume=pl.when(of & row.is_in([420, 421, 430])).then(0.0).otherwise("volume"),
    )
    return replace(whole, frame=frame)


def values_of(panel, names):
    names = tuple(names)
    found = compute_features(panel, names, warmup=LONGEST)
    return {name: found.values[..., at] for at, name in enumerate(names)}


def tables(panel):
    return {ticker: panel.of(ticker).to_pandas() for ticker in (*panel.tickers, panel.market)}


def test_alpha158_is_what_its_published_formulas_say(panel):
    """By pandas, on days with a still week: there slopes are 0 and correlations and R2, which are 0 / 0, are 0."""
    values = values_of(panel, SETS["alpha158"].names)
    for row, ticker in enumerate(panel.tickers):
        bars = tables(panel)[ticker]
        traded = bars["volume"].rolling(61, min_periods=1).min().to_numpy() > 0  # the formulas divide by volume
        expected = set_oracles.alpha158(bars)
        assert len(expected) >= 20
        for name, series in expected.items():
            ours, theirs = values[name][row], series.to_numpy()
            if name.startswith(("RSQR", "CORR", "CORD")):
                theirs = np.where(np.arange(len(theirs)) < 60, theirs, np.nan_to_num(theirs))
                near_still = ticker == "KO" and name != "CORD30"
                traded = traded & ~(near_still & (np.arange(len(theirs)) > 300) & (np.arange(len(theirs)) < 340))
            np.testing.assert_allclose(ours[traded], theirs[traded], rtol=1e-4, atol=2e-5, err_msg=f"{ticker} {name}")


def test_what_is_0_by_0_in_a_window_without_a_move_is_0():
    """Of tickers that have lost nearly all: of sums that are 0 rounding leaves enough for a ratio of its own."""
    tickers = [f"T{number}" for number in range(40)]
    frame = random_walk(tickers=(*tickers, "MKT"), sessions=120, seed=2).frame
    row = pl.int_range(pl.len()).over("ticker")
    held = {name: pl.col("close").filter(row == 80).first().over("ticker") for name in ("open", "high", "low", "close")}
    still = row.is_between(80, 88) & (pl.col("ticker") != "MKT")
    frame = frame.with_columns(pl.when(still).then(price).otherwise(name).alias(name) for name, price in held.items())
    worth = pl.when(row < 60).then(333.3).otherwise(1 / 300)
    prices = (pl.col("open", "high", "low", "close") * worth).round(2)
    bars = load_bars(frame.with_columns(prices).with_columns(adj_close="close"), accept=("*",))
    names = ("RSQR5", "CORR5", "CORD5", "SUMP5", "SUMN5", "SUMD5")
    values = compute_features(align(bars, market="MKT"), names, warmup=60).values
    assert np.abs(values[:, 86:89]).max() < 1e-9
    assert (values[:, 75] != 0).mean() > 0.8


def test_our_own_sets_are_what_their_papers_say(panel):
    """By NumPy, a row at a time: some before the still week, in it, among days without trades and after."""
    names = [name for one in ("har", "ranges", "tsmom", "gkx_price") for name in SETS[one].names]
    values, bars = values_of(panel, names), tables(panel)
    for row, ticker in enumerate(panel.tickers):
        for t in (LONGEST, 305, 425, 435, 499):
            expected = set_oracles.prices(bars[ticker], bars[panel.market], t)
            assert set(expected) == set(names)
            for name in names:
                assert values[name][row, t] == pytest.approx(expected[name], rel=2e-5, abs=1e-9), (ticker, name, t)


def test_alpha360_are_lags_relative_to_today(panel):
    values, bars = values_of(panel, SETS["alpha360"].names), tables(panel)
    assert len(values) == 298
    for row, ticker in enumerate(panel.tickers):
        prices = set_oracles.adjusted(bars[ticker])
        for name in ("CLOSE59", "OPEN0", "HIGH17", "LOW1", "VOLUME30"):
            column, day = name.rstrip("0123456789").lower(), int(name.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
            by = prices["volume"] + 1e-12 if column == "volume" else prices["close"]
            expected = (prices[column].shift(day) / by).to_numpy()
            np.testing.assert_allclose(values[name][row], expected, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("name", SETS["alpha101"].names)
def test_alpha101_is_what_another_implementation_of_the_paper_computes(name, monkeypatch):
    """alpha101v ranks from 0, divides variances by n and averages dollars; qweave ranks from 1 / n, n - 1, volume."""
    from alpha101v import factors, operators, registry

    for ranked in ("rank", "ts_rank"):
        by = partial(getattr(operators, ranked), normalization="one_over_n")
        monkeypatch.setattr(factors, ranked, by)
    monkeypatch.setattr(factors, "stddev", partial(operators.stddev, ddof=1))
    panel = cut(align(load_bars("sample")), 290)
    frames = {ticker: set_oracles.adjusted(panel.of(ticker).to_pandas()) for ticker in panel.tickers}
    wide = {
        column: pd.DataFrame({ticker: frame[column] for ticker, frame in frames.items()})
        for column in ("open", "high", "low", "close", "volume")
    }
    wide |= {"returns": wide["close"].pct_change(fill_method=None), "amount": wide["volume"]}
    factor = getattr(factors, name)
    expected = factor(**{field: wide[field.lower()] for field in registry.field_names(factor)}).to_numpy().T
    ours, first = compute_features(panel, (name,), warmup=LONGEST).values[..., 0], find_feature(name, {}).warmup
    agree = np.isclose(ours[:, first:], expected[:, first:], rtol=1e-3, atol=1e-5).mean()
    assert agree > 0.999


def test_indicators_are_those_of_their_textbooks(panel):
    values, bars = values_of(panel, ("talib_rsi", "talib_natr", "talib_roc")), tables(panel)
    for row, ticker in enumerate(panel.tickers):
        one = bars[ticker]
        expected = {
            "talib_rsi": set_oracles.rsi(one),
            "talib_natr": set_oracles.natr(one),
            "talib_roc": 100 * (one["adj_close"] / one["adj_close"].shift(10) - 1).to_numpy(),
        }
        for name, theirs in expected.items():
            np.testing.assert_allclose(values[name][row], theirs, rtol=1e-4, atol=1e-5, err_msg=f"{ticker} {name}")


def test_every_feature_has_a_group_a_formula_and_a_warm_up_within_that_of_its_set():
    for name, one in SETS.items():
        assert {feature for group in groups_of(name).values() for feature in group} == set(FEATURE_SETS[name])
        found = [find_feature(feature, FEATURES) for feature in one.names]
        assert all(feature.formula for feature in found)
        assert max(feature.warmup for feature in found) == one.warmup, name
        if name not in ("raw", "ohlcv", "engineered", "lags"):
            assert one.paper
            assert all(feature.paper for feature in found)
    assert list(groups_of("alpha158")) == ["kbar", "trend", "position", "correlation", "volume"]
    assert groups_of("alpha158:kbar") == {"kbar": FEATURE_SETS["alpha158:kbar"]}
    with pytest.raises(StudyError, match=r"unknown feature set 'alpha185'; did you mean alpha158\?"):
        groups_of("alpha185")


def test_libraries_are_imported_when_a_study_names_their_set_and_not_before(monkeypatch):
    code = "import sys, nextday.features as f; f.groups_of('talib'); assert not {'qweave', 'polars_talib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    sets_module._made.cache_clear()
    monkeypatch.setattr(sets_module, "find_spec", lambda _: None)
    line = r"feature set alpha158 needs qweave, which is not installed: pip install 'nextday\[features\]'"
    with pytest.raises(MissingError, match=line):
        find_feature("KMID", {})
    with pytest.raises(MissingError, match=line):
        make_plan(study("alpha158:volume"), None)
    ablation = {"model": "ridge", "groups": "alpha158"}  # names the set inside its own sets; no bars are read yet
    with pytest.raises(MissingError, match=line):
        make_plan(Study.from_values({"name": "a", "ablation": ablation}), None)
    assert find_feature("mom1m", {}).warmup == 21


def test_the_extra_holds_every_library():
    extras = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    named = {one.partition(">")[0].replace("-", "_") for one in extras["optional-dependencies"]["features"]}
    assert named == {one.package for one in SETS.values()} - {""}


def study(features, **more):
    variants = {"A": {"model": "linear_regression", "features": features}, "B": {"model": "zero", "features": "raw"}}
    return Study.from_values({"name": "sets", "market": "SPY", "lookback": 5, "variants": variants} | more)


def test_a_study_names_a_set_or_a_group_and_needs_its_warm_up(panel):
    plan = make_plan(study("talib:momentum", warmup=88), panel)
    assert plan.features.names == (*FEATURE_SETS["talib:momentum"], "log_return")
    assert inputs_of(plan)["talib:momentum"]["talib_rsi"] == "relative strength index, 14 days"
    with pytest.raises(
        StudyError, match=r"dropped at the start, but mom1m needs 21, mom6m needs 126, .*; set warmup: 252"
    ):
        make_plan(study("gkx_price"), panel)
    own = {"mine": ("log_return", "KMID", "har_week")}
    assert make_plan(study("mine", feature_sets=own), panel).features.names == own["mine"]
    with pytest.raises(StudyError, match=r"feature_sets\.har: the name is reserved for a built-in set"):
        make_plan(study("har", feature_sets={"har": ("log_return",)}), panel)


def test_a_refused_feature_says_why(panel):
    for name, why in {
        "alpha48": "needs the industries",
        "VWAP0": r"needs the average price of trades \(vwap\)",
    }.items():
        with pytest.raises(StudyError, match=f"feature {name} is refused: it {why}"):
            compute_features(panel, (name,))


def test_ranks_across_tickers_need_tickers(panel):
    alone = replace(panel, tickers=("KO",))
    with pytest.raises(StudyError, match=r"alpha2 rank the tickers of a day .* only KO is forecast; name more tickers"):
        compute_features(alone, ("alpha2",))
    assert compute_features(alone, ("alpha9",)).values.shape == (1, 500, 1)


def test_a_name_that_means_two_things_is_refused(panel):
    named = replace(panel, frame=panel.frame.with_columns(beta=pl.col("close")))
    with pytest.raises(
        StudyError, match=r"feature set gkx_price:risk: the bars have a column beta, too; rename it, or"
    ):
        make_plan(study("gkx_price:risk", warmup=252), named)
    for meant, same in {"bars": True, "catalog": False}.items():
        features = make_plan(study("gkx_price:risk", warmup=252, features_from={"beta": meant}), named).features
        assert np.array_equal(features.of("KO", ("beta",))[:, 0], named.of("KO")["close"].cast(pl.Float32)) is same
    own = study("own", feature_sets={"own": ("beta",)})
    assert make_plan(own, named).features.own == {"beta": "a column of the bars"}
    guest = Feature(pl.col("close").log(), 0, source="mine.py")
    with pytest.raises(StudyError, match=r"feature set gkx_price: beta is also a feature of mine.py; rename that one"):
        make_plan(
            study("gkx_price", warmup=252), panel, catalogs=replace(HOUSE, features={**HOUSE.features, "beta": guest})
        )


def test_the_roles_of_sets_are_known():
    found = {name: role_of(name, {}, FEATURE_SETS) for name in FEATURE_SETS}
    assert {name for name, role in found.items() if role == "rich"} == {
        name for name in found if name.partition(":")[0] in ("ohlcv", "alpha360")
    }
    assert {name for name, role in found.items() if role == "raw"} == {"raw"}
