"""Targets that compare the tickers of a day: what they are, what is scored, and that none of them sees the future."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import rankdata

import nextday as nd
from nextday.data import align, random_walk
from nextday.errors import StudyError
from nextday.evaluate import measure
from nextday.evaluate.cross_section import daily_scores
from nextday.samples import make_folds
from nextday.samples.targets import targets_of
from nextday.study import SplitSettings, Study

pytestmark = pytest.mark.usefixtures("undrawn")
NAMES = tuple(f"T{at:02}" for at in range(12))
BOTH = ("excess", "rank")


def bars(sessions=300, seed=0):
    return random_walk(tickers=(*NAMES, "MKT"), sessions=sessions, seed=seed).frame


def study(target, **changes):
    values = {
        "name": target, "market": "MKT", "accept": ["*"], "lookback": 5, "target": target, "seeds": [1, 2],
        "variants": {
            "Ridge-Raw": {"model": "ridge", "features": "raw"}, "Ridge-Feat": {"model": "ridge", "features": "engineered"},
        },
    }  # fmt: skip
    return Study.from_values(values | changes)


def run(target, frame, out, **changes):
    return nd.run(study(target, **changes), bars=frame, out=out, workers=0, watch=False, fresh=True)


def forecasts_of(target, frame, out, **changes):
    folder = nd.forecast(study(target, **changes), bars=frame, out=out, workers=0, watch=False)
    return pl.read_parquet(folder / "forecasts.parquet")


def panel(frame, **changes):
    return align(nd.data.load_bars(frame), market="MKT", **changes)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return {target: run(target, bars(), tmp_path_factory.mktemp(target)) for target in ("return", *BOTH)}


def test_the_excess_is_the_return_less_the_mean_of_its_day(found):
    plain, excess = (found[name].forecasts.sort("variant", "ticker", "origin") for name in ("return", "excess"))
    mean = plain["actual"] - plain.select(pl.col("actual").mean().over("variant", "origin")).to_series()
    assert np.allclose(excess["actual"], mean, rtol=0, atol=1e-15)
    assert excess["realised_return"].equals(plain["actual"].alias("realised_return"))
    assert "realised_return" not in plain.columns


def test_ranks_are_those_of_scipy(found):
    rows = found["rank"].forecasts.filter(pl.col("variant") == "Ridge-Raw").sort("origin", "ticker")
    returns, ranks = (rows[name].to_numpy().reshape(-1, len(NAMES)) for name in ("realised_return", "actual"))
    assert np.allclose(ranks, (rankdata(returns, axis=1) - 0.5) / len(NAMES) - 0.5, rtol=0, atol=1e-15)
    assert np.allclose(ranks.sum(axis=1), 0, atol=1e-12)


def test_models_are_trained_on_the_target(found):
    for target in BOTH:
        fitted = found[target].forecasts["predicted"]
        assert not np.allclose(fitted, found["return"].forecasts["predicted"])
    assert found["rank"].forecasts["predicted"].abs().mean() > found["excess"].forecasts["predicted"].abs().mean()


def test_across_tickers_forecasts_are_scored_by_returns(found):
    rows = found["rank"].forecasts
    by_hand = rows.with_columns(actual=pl.col("realised_return")).drop("realised_return")
    assert daily_scores(rows).equals(daily_scores(by_hand))
    for loss in ("ic", "rank_ic", "spread@10bp"):
        assert np.array_equal(measure(rows, loss=loss).grid, measure(by_hand, loss=loss).grid, equal_nan=True)


def test_the_rank_ic_of_ranks_is_that_of_returns(found):
    rows = found["rank"].forecasts
    same = measure(rows.drop("realised_return"), loss="rank_ic").grid
    assert np.allclose(measure(rows, loss="rank_ic").grid, same, atol=1e-12)


@pytest.mark.parametrize("target", BOTH)
def test_a_rewritten_future_moves_no_earlier_target(target):
    frame = bars()
    cut = frame["date"].unique().sort()[200]
    late = (pl.col("ticker") == "T03") & (pl.col("date") > cut)
    prices = [pl.when(late).then(pl.col(name) * 1.3).otherwise(name).alias(name) for name in ("adj_close", "close")]
    before, after = (targets_of(panel(one), target) for one in (frame, frame.with_columns(prices)))
    for ticker in NAMES:
        assert np.array_equal(before[ticker][:200], after[ticker][:200])
    assert any(not np.array_equal(before[ticker][200:-1], after[ticker][200:-1]) for ticker in NAMES)


@pytest.mark.parametrize("target", BOTH)
def test_no_forecast_sees_past_its_origin(target, tmp_path):
    frame, split = bars(), {"scheme": "walk_forward", "folds": 3}
    plain = forecasts_of(target, frame, tmp_path / "plain", split=split)
    cut = plain["origin"].unique().sort()[60]
    after = pl.col("date") > cut
    noise = pl.Series(np.random.default_rng(0).normal(1, 0.05, len(frame)).clip(0.8, 1.2))
    prices = [
        pl.when(after).then(pl.col(name) * noise).otherwise(name).alias(name)
        for name in ("open", "high", "low", "close", "adj_close") if name in frame.columns
    ]  # fmt: skip
    moved = frame.with_columns(prices).with_columns(
        high=pl.max_horizontal("open", "high", "low", "close"), low=pl.min_horizontal("open", "high", "low", "close")
    )
    other = forecasts_of(target, moved, tmp_path / "moved", split=split)
    known = pl.col("origin") <= cut
    assert plain.filter(known)["predicted"].equals(other.filter(known)["predicted"])
    assert not plain.filter(~known)["predicted"].equals(other.filter(~known)["predicted"])


def uneven(first=11):
    """Bars of which all but ``first`` tickers are listed late."""
    frame = bars(600)
    days = frame["date"].unique().sort()
    return frame.filter(~(pl.col("ticker").is_in(NAMES[first:]) & (pl.col("date") < days[150])))


@pytest.mark.parametrize("target", BOTH)
def test_tickers_that_come_late_are_compared_from_then_on(target):
    found = targets_of(panel(uneven(), balance="each"), target)
    whole = targets_of(panel(bars(600)), target)
    assert np.allclose(found["T00"][150:-1], whole["T00"][150:-1])
    assert not np.allclose(found["T00"][:150], whole["T00"][:150])


def test_days_with_fewer_than_ten_tickers_are_left_out_and_counted():
    few = panel(uneven(first=9), balance="each")
    found = targets_of(few, "excess")["T00"]
    assert np.isnan(found[:150]).all()
    assert not np.isnan(found[150:-1]).any()
    folds = make_folds(few, SplitSettings(history=50), lookback=5, warmup=20, target="excess")
    assert min(fold.origins[0] for fold in folds if fold.ticker == "T00") == 150
    plan = nd.engine.make_plan(study("excess", balance="each", split={"history": 50}), few)
    assert "150 days with fewer than 10 tickers have no such target and are left out" in plan.notes


def test_those_outside_the_universe_are_compared_with_its_members():
    frame = bars()
    early = pl.col("date") < frame["date"].unique().sort()[100]
    frame = frame.with_columns(member=~((pl.col("ticker") == "T05") & early))
    found = targets_of(panel(frame, balance="each"), "excess")
    returns = targets_of(panel(frame, balance="each"), "return")
    others = np.mean([returns[name][:100] for name in NAMES if name != "T05"], axis=0)
    assert np.allclose(found["T05"][:100], returns["T05"][:100] - others)
    assert np.allclose(found["T00"][:100], returns["T00"][:100] - others)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tickers": NAMES[:4]}, "target excess compares the tickers of a day and needs 10 of them; the study has 4"),
        (
            {"variants": {"Last": {"model": "persistence", "features": "raw"}}},
            "variants.Last: model persistence continues the series of log_return and forecasts returns; target excess is for "
            "models of features",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(changes, message, tmp_path):
    with pytest.raises(StudyError) as error:
        run("excess", bars(120), tmp_path, **changes)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_the_target_is_named_where_results_are_read(found):
    for target in BOTH:
        assert any(note.startswith("The target is ") for note in found[target].notes)
        assert "percent" not in " ".join(found[target].notes)
    assert not any("target is" in note for note in found["return"].notes)
