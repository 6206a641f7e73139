"""Tickers that come and go: each is trained, forecast and scored on its own sessions, cut at dates that all share."""

import numpy as np
import polars as pl
import pytest

import nextday as nd
from nextday.data import align, load_bars, random_walk
from nextday.engine import make_plan
from nextday.errors import DataError, StudyError
from nextday.evaluate import compare, measure
from nextday.study import Study
from test_cli import nextday

pytestmark = pytest.mark.usefixtures("undrawn")
NAMES = ("AAA", "BBB", "CCC", "DDD", "EEE")
VARIANTS = {
    "Ridge": {"model": "ridge", "features": "engineered"}, "Reg": {"model": "linear_regression", "features": "ohlcv"},
}  # fmt: skip


def uneven(seed=0, sessions=600):
    """Bars of which AAA is complete, BBB listed late, CCC ended, DDD was suspended, and EEE lacks single days."""
    frame = random_walk(tickers=(*NAMES, "MKT"), sessions=sessions, seed=seed).frame
    days = frame["date"].unique().sort()
    kept = (
        ~((pl.col("ticker") == "BBB") & (pl.col("date") < days[150]))
        & ~((pl.col("ticker") == "CCC") & (pl.col("date") > days[540]))
        & ~((pl.col("ticker") == "DDD") & pl.col("date").is_between(days[300], days[340]))
        & ~((pl.col("ticker") == "EEE") & pl.col("date").is_in(days[[100, 250, 251, 520]].implode()))
    )
    return frame.filter(kept), days


def study(**changes):
    values = {
        "name": "uneven", "market": "MKT", "balance": "each", "accept": ["*"], "lookback": 5, "variants": VARIANTS,
        "split": {"history": 100},
    }  # fmt: skip
    return Study.from_values(values | changes)


def forecasts(frame, tmp_path, **changes):
    return nd.run(study(**changes), bars=frame, out=tmp_path, workers=0, watch=False, fresh=True).forecasts


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    frame, _ = uneven()
    return nd.run(study(), bars=frame, out=tmp_path_factory.mktemp("uneven"), workers=0, watch=False)


def test_complete_bars_give_the_same_forecasts_and_figures_as_common_sessions(tmp_path):
    frame = random_walk(tickers=(*NAMES, "MKT"), sessions=400, seed=1).frame
    each, common = (
        nd.run(study(balance=how), bars=frame, out=tmp_path / how, workers=0, watch=False) for how in ("each", "common")
    )
    assert each.forecasts.equals(common.forecasts)
    assert each.scores.equals(common.scores)
    assert each.comparison.contrasts == common.comparison.contrasts
    assert each.verdict.sentence == common.verdict.sentence


def test_each_ticker_is_scored_on_its_own_days(found):
    frame, days = uneven()
    rows = found.forecasts.filter(variant="Ridge")
    test = rows.filter(ticker="AAA")["origin"]
    assert len(test) > 100
    for ticker in NAMES:
        own = frame.filter(ticker=ticker).sort("date")
        expected = own.select(
            origin="date", date=pl.col("date").shift(-1), actual=pl.col("adj_close").log().diff().shift(-1)
        ).filter(pl.col("origin").is_in(test.implode()))
        steps = dict(zip(days, range(len(days)), strict=True))
        following = [
            ahead is not None and steps[ahead] == steps[origin] + 1
            for origin, ahead in expected.select("origin", "date").iter_rows()
        ]
        expected = expected.filter(pl.Series(following))  # not over a day that is missing
        made = rows.filter(ticker=ticker).sort("origin")
        assert made["origin"].to_list() == expected["origin"].to_list(), ticker
        assert made["date"].to_list() == expected["date"].to_list(), ticker
        np.testing.assert_allclose(made["actual"], expected["actual"], rtol=1e-12, atol=1e-15)
    assert rows.filter(ticker="CCC")["date"].max() == days[540]  # the last return of a ticker that ended counts


def test_parts_are_cut_at_the_same_dates(found):
    folds = pl.read_parquet(found.out / "folds.parquet")
    whole = folds.filter(ticker="AAA").row(0, named=True)
    for row in folds.iter_rows(named=True):
        assert whole["train_from"] <= row["train_from"] <= row["train_to"] <= whole["train_to"]
        assert whole["valid_from"] <= row["valid_from"] <= row["valid_to"] <= whole["valid_to"]
        assert whole["test_from"] <= row["test_from"] <= row["test_to"] <= whole["test_to"]
    late = folds.filter(ticker="BBB").row(0, named=True)
    assert late["train"] < whole["train"]
    assert late["valid"] == whole["valid"]


def test_the_mean_of_a_day_is_over_who_is_there(found):
    rows, folds = found.forecasts, pl.read_parquet(found.out / "folds.parquet")
    scaled = rows.join(folds.select("ticker", "train_variance"), on="ticker").with_columns(
        loss=(pl.col("actual") - pl.col("predicted")) ** 2 / pl.col("train_variance"),
        zero=pl.col("actual") ** 2 / pl.col("train_variance"),
    )
    daily = scaled.group_by("variant", "origin").agg(pl.col("loss", "zero").mean())
    means = daily.group_by("variant").agg(pl.col("loss", "zero").mean())
    expected = {name: 1 - np.sqrt(loss / zero) for name, loss, zero in means.iter_rows()}
    for one in found.comparison.against_benchmark:
        assert one.estimate == pytest.approx(expected[one.first], abs=1e-12)


def test_removing_a_ticker_changes_no_other_forecast(found, tmp_path):
    frame, _ = uneven()
    fewer = forecasts(frame.filter(pl.col("ticker") != "BBB"), tmp_path)
    assert fewer.equals(found.forecasts.filter(pl.col("ticker") != "BBB"))


def test_a_late_ticker_moves_no_forecast(found, tmp_path):
    frame, days = uneven()
    young = frame.filter((pl.col("ticker") == "AAA") & (pl.col("date") >= days[260])).with_columns(ticker=pl.lit("NEW"))
    more = forecasts(pl.concat([frame, young]), tmp_path)
    assert more.filter(pl.col("ticker") != "NEW").equals(found.forecasts)
    assert more.filter(ticker="NEW")["origin"].n_unique() > 50


@pytest.mark.parametrize("ticker", ["BBB", "CCC"])
def test_rewriting_the_future_of_one_ticker_moves_nothing_before_and_no_other(found, tmp_path, ticker):
    frame, _ = uneven()
    date = found.forecasts["origin"].unique().sort()[20]
    rng = np.random.default_rng(0)
    factor = pl.Series(np.exp(rng.normal(0, 0.2, len(frame))))
    later = (pl.col("date") > date) & (pl.col("ticker") == ticker)
    prices = ("open", "high", "low", "close", "adj_close")
    changed = frame.with_columns(
        pl.when(later).then(pl.col(name) * factor).otherwise(name).alias(name) for name in prices
    )
    rewritten = forecasts(changed, tmp_path).drop("actual")
    known = (pl.col("ticker") != ticker) | (pl.col("origin") <= date)
    original = found.forecasts.drop("actual")
    assert rewritten.filter(known).equals(original.filter(known))
    assert not rewritten.filter(~known).equals(original.filter(~known))


def test_pooled_networks_take_the_windows_that_there_are(tmp_path):
    frame, _ = uneven()
    pooled = {"Pooled": {"model": "lstm", "features": "ohlcv", "options": {"hidden": 4, "pooled": True}}}
    quick = {"max_epochs": 2, "patience": 2}
    made = forecasts(frame, tmp_path / "a", variants=pooled, training=quick, seeds=[1], split={"history": 1})
    assert set(made["ticker"]) == {*NAMES}
    date = made["origin"].unique().sort()[20]
    later = (pl.col("date") > date) & (pl.col("ticker") == "CCC")
    prices = ("open", "high", "low", "close", "adj_close")
    changed = frame.with_columns(pl.when(later).then(pl.col(name) * 3).otherwise(name).alias(name) for name in prices)
    again = forecasts(changed, tmp_path / "b", variants=pooled, training=quick, seeds=[1], split={"history": 1})
    known = pl.col("origin") <= date
    assert again.drop("actual").filter(known).equals(made.drop("actual").filter(known))


def test_a_ticker_with_too_little_history_is_left_out_and_named(tmp_path):
    frame, days = uneven()
    young = frame.filter((pl.col("ticker") == "AAA") & (pl.col("date") >= days[400])).with_columns(ticker=pl.lit("NEW"))
    results = nd.run(study(), bars=pl.concat([frame, young]), out=tmp_path, workers=0, watch=False)
    assert "NEW" not in set(results.forecasts["ticker"])
    assert any(
        note.startswith("left out of the study, with fewer than 100 training samples")
        and note.endswith("1 ticker, NEW")
        for note in results.notes
    )


LSTM = {"model": "lstm", "features": "ohlcv", "options": {"hidden": 4, "pooled": True}}
QUICK = {"training": {"max_epochs": 1}, "seeds": [1]}


def with_young_and_ended():
    """Bars with NEW, of few training days, and OLD, which ended before the test set."""
    frame, days = uneven()
    whole = frame.filter(pl.col("ticker") == "AAA")
    young = whole.filter(pl.col("date") >= days[400]).with_columns(ticker=pl.lit("NEW"))
    ended = whole.filter(pl.col("date") < days[350]).with_columns(ticker=pl.lit("OLD"))
    return pl.concat([frame, young, ended])


def test_pooled_models_learn_from_tickers_that_are_not_tested(tmp_path):
    frame, variants = with_young_and_ended(), {"Pooled": LSTM, "Ridge": VARIANTS["Ridge"]}
    results = nd.run(study(variants=variants, **QUICK), bars=frame, out=tmp_path / "a", workers=0, watch=False)
    assert set(results.forecasts["ticker"]) == {*NAMES}
    assert any(
        note
        == "not tested in the study, but in the training set of pooled models, with fewer than 100 training samples, no "
        "test sample, or returns that never move: 2 tickers, NEW, OLD"
        for note in results.notes
    )
    rewritten = pl.col("ticker") == "OLD"
    prices = ("open", "high", "low", "close", "adj_close")
    noise = pl.Series(np.random.default_rng(0).normal(1, 0.02, len(frame)).clip(0.9, 1.1))
    other = frame.with_columns(
        pl.when(rewritten).then(pl.col(name) * noise).otherwise(name).alias(name) for name in prices
    )
    other = other.with_columns(
        high=pl.max_horizontal("open", "high", "low", "close"), low=pl.min_horizontal("open", "high", "low", "close")
    )
    again = nd.run(study(variants=variants, **QUICK), bars=other, out=tmp_path / "b", workers=0, watch=False)
    for name, same in (("Pooled", False), ("Ridge", True)):
        before, after = (one.forecasts.filter(variant=name)["predicted"] for one in (results, again))
        assert before.equals(after) is same


def test_where_all_models_are_pooled_a_ticker_needs_no_history(tmp_path):
    made = forecasts(with_young_and_ended(), tmp_path, variants={"Pooled": LSTM}, split={}, **QUICK)
    assert set(made["ticker"]) == {*NAMES, "NEW"}


def test_a_ticker_that_learns_and_is_not_tested_is_in_no_table(tmp_path):
    quantiles = {"Pooled": LSTM | {"options": {"hidden": 4, "pooled": True, "head": "quantiles"}}}
    results = nd.run(
        study(variants=quantiles, levels=(0.1, 0.5, 0.9), **QUICK), bars=with_young_and_ended(), out=tmp_path,
        workers=0, watch=False,
    )  # fmt: skip
    for table in ("forecasts", "valid", "folds"):
        assert set(pl.read_parquet(tmp_path / "uneven" / f"{table}.parquet")["ticker"]) == {*NAMES}, table
    assert len(results.forecasts)


def test_tickers_take_part_in_the_folds_for_which_they_have_a_history(tmp_path):
    frame, _ = uneven()
    walk = {"scheme": "walk_forward", "folds": 3, "history": 120}
    made = forecasts(frame, tmp_path, split=walk)
    folds = dict(made.group_by("ticker").agg(pl.col("fold").n_unique()).iter_rows())
    assert folds["AAA"] == 3
    assert folds["BBB"] < 3
    assert made.group_by("variant", "ticker", "origin").len()["len"].max() == 1


def test_no_ticker_with_enough_history_is_refused(tmp_path):
    frame, _ = uneven()
    with pytest.raises(
        StudyError, match=r"no ticker has 5000 training samples and a test sample; set split.history lower"
    ):
        forecasts(frame, tmp_path, split={"history": 5000})


def test_a_ticker_is_tested_while_it_is_a_member_and_trained_on_what_was_before(found, tmp_path):
    frame, _ = uneven()
    joined = found.forecasts["origin"].unique().sort()[40]
    member = frame.with_columns(member=(pl.col("ticker") != "AAA") | (pl.col("date") >= joined))
    made = forecasts(member, tmp_path)
    others = pl.col("ticker") != "AAA"
    assert made.filter(others).equals(found.forecasts.filter(others))
    expected = found.forecasts.filter(~others & (pl.col("origin") >= joined))
    assert made.filter(~others).equals(expected)


def test_a_column_of_membership_with_gaps_is_refused():
    frame, days = uneven()
    member = frame.with_columns(member=pl.when((pl.col("ticker") != "BBB") | (pl.col("date") != days[200])).then(True))
    with pytest.raises(
        DataError, match=f"member of BBB on {days[200]} is missing; expected true or false on every bar"
    ):
        align(load_bars(member, accept=("*",)), market="MKT", balance="each")


def test_without_a_market_days_are_those_of_most_tickers():
    frame, days = uneven()
    frame = frame.filter(pl.col("ticker") != "MKT")
    weekend = frame.filter((pl.col("ticker") == "AAA") & (pl.col("date") == days[10]))
    odd = weekend.with_columns(date=pl.lit(days[10]).dt.offset_by("1d"))
    odd = odd.filter(~pl.col("date").is_in(days.implode()))
    panel = align(load_bars(pl.concat([frame, odd]), accept=("*",)), market="", balance="each")
    assert panel.dates.tolist() == days.to_list()


def test_seed_errors_weigh_tickers_by_their_days(found):
    rows = pl.concat([
        found.forecasts.filter(variant="Reg").with_columns(
            predicted=pl.col("predicted") + 0.002 * pl.Series(np.random.default_rng(seed).standard_normal(
                len(found.forecasts.filter(variant="Reg")))), seed=pl.lit(seed, pl.Int64),
        )
        for seed in range(4)
    ])  # fmt: skip
    losses = measure(rows)
    (one,) = compare(losses).against_benchmark
    assert losses.by_seed[0].mean() == pytest.approx(np.nanmean(losses.daily_by_seed[0]), rel=1e-12)
    assert one.seed_error > 0


def test_plans_count_the_units_of_who_takes_part():
    frame, _ = uneven()
    panel = align(load_bars(frame, accept=("*",)), market="MKT", balance="each")
    plan = make_plan(study(), panel)
    assert len(plan.units) == 2 * 5
    assert {unit.ticker for unit in plan.units} == {*NAMES}


def test_the_command_line_takes_each_tickers_own_sessions(tmp_path):
    frame, _ = uneven()
    frame.write_parquet(tmp_path / "bars.parquet")
    said = nextday(
        "data", "check", "bars.parquet", "--market", "MKT", "--balance", "each", "--accept", "*", folder=tmp_path
    )
    assert "5 tickers and the market MKT on 600 sessions" in said.stdout
    assert "each ticker on its own; they can be used" in said.stdout
    wrong = nextday("data", "check", "bars.parquet", "--balance", "all", folder=tmp_path, status=2)
    assert "balance" in wrong.stderr
