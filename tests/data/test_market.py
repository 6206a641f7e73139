"""One ticker needs no market where no feature does; what does is refused in one line."""

import polars as pl
import pytest

from nextday.auditing.causality import check_causality
from nextday.data import load, panel_of, random_walk
from nextday.errors import DataError, StudyError
from nextday.features import FEATURE_SETS, Feature, compute_features
from nextday.pipeline import forecast
from nextday.settings import BarsSettings
from nextday.study import Study

ONE = random_walk(tickers=("KO",), sessions=120, seed=1).frame
TWO = random_walk(tickers=("KO", "PEP"), sessions=60, seed=1).frame


def panel(frame, **settings):
    wanted = BarsSettings(**settings)
    return panel_of(load(wanted, frame), wanted)


def test_one_ticker_has_no_market_unless_one_is_named():
    alone = panel(ONE)
    assert (alone.tickers, alone.market, len(alone.dates)) == (("KO",), "", 120)
    assert alone.notes == ("KO is the only ticker: there is no market",)
    with pytest.raises(
        DataError, match="market 'SPY' is not in the bars; name one of them with --market: KO; or --mar"
    ):
        panel(ONE, market="SPY")


def test_an_index_alone_is_forecast():
    assert panel(ONE.with_columns(ticker=pl.lit("SPY"))).tickers == ("SPY",)


def test_several_tickers_do_without_a_market_only_if_told_to():
    with pytest.raises(
        DataError, match="market 'SPY' is not in the bars; .*or --market none, where no feature needs one"
    ):
        panel(TWO)
    without = panel(TWO, market="none")
    assert (without.tickers, without.market, without.notes) == (("KO", "PEP"), "", ())
    assert set(without.frame["ticker"]) == {"KO", "PEP"}


def test_without_a_market_every_ticker_needs_prices_and_volume():
    lacking = ONE.with_columns(ticker=pl.lit("SPY"), volume=None)
    with pytest.raises(DataError, match="volume missing"):
        panel(lacking, market="none")


def test_features_of_bars_work_without_a_market_and_those_of_a_market_say_what_to_do():
    alone, both = panel(ONE), panel(TWO, market="none")
    assert compute_features(alone, FEATURE_SETS["ohlcv"]).values.shape == (1, 120, 6)
    features = compute_features(both, FEATURE_SETS["raw"])
    assert check_causality(both, features).startswith("1 feature unchanged at 8 places")
    says = (
        "feature mkt_return needs a market, and there is none; add the bars of an index and name it with --market, or"
    )
    with pytest.raises(StudyError, match=says):
        compute_features(alone, FEATURE_SETS["engineered"])


def test_a_function_of_a_plugin_sees_bars_without_a_market():
    catalog = {
        "range": Feature(lambda bars: bars["high"] - bars["low"], 0),
        "beta": Feature(lambda bars: bars["close"] / bars["market_adj_close"], 0, source="lab.py"),
        "gap": Feature(lambda bars: pl.col("close") / pl.col("market_adj_close"), 0, source="lab.py"),
    }
    assert compute_features(panel(ONE), ["range"], catalog=catalog).values.shape == (1, 120, 1)
    for name in ("beta", "gap"):
        with pytest.raises(StudyError, match=f"lab.py: feature {name} needs a market, and there is none"):
            compute_features(panel(ONE), [name], catalog=catalog)


def test_a_study_of_one_ticker_runs_and_its_preset_says_why_it_cannot(tmp_path):
    raw = {"name": "mine", "variants": {"A": {"model": "historical_mean", "features": "raw"}}}
    folder = forecast(Study.from_values(raw), bars=ONE, out=tmp_path, workers=0)
    assert pl.read_parquet(folder / "forecasts.parquet")["ticker"].unique().to_list() == ["KO"]
    text = (folder / "manifest.json").read_text()
    assert '"market": ""' in text
    assert "KO is the only ticker: there is no market" in text
    with pytest.raises(StudyError, match="feature mkt_return needs a market"):
        forecast(Study.load("stage1"), bars=ONE, out=tmp_path, workers=0)
