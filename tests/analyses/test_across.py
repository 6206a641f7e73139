"""Forecasts across tickers, in the results and the report of a study."""

import numpy as np
import polars as pl
import pytest

import nextday as nd
from nextday.analyses.across import summarise
from nextday.data import random_walk
from nextday.errors import StudyError
from nextday.evaluate.cross_section import compare_across, daily_scores, decay, line_of
from undrawn import undrawn


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Ridge regressions of twelve tickers, one of which listed late in the table that is compared."""
    bars = random_walk(tickers=tuple(f"T{at:02}" for at in range(12)), sessions=500, seed=3).frame
    study = nd.Study.from_values({
        "name": "many", "market": "none", "lookback": 5,
        "variants": {
            "A": {"model": "ridge", "features": "ohlcv"}, "B": {"model": "ridge", "features": "raw"},
            "Zero": {"model": "zero", "features": "raw"},
        },
        "verdict": {"ask": ["A - B"]},
    })  # fmt: skip
    with undrawn("across"):
        return nd.run(study, bars=bars, out=tmp_path_factory.mktemp("across"), workers=0, watch=False)


def test_the_verdict_says_what_forecasts_are_worth_across_tickers(found):
    (line,) = (one for one in found.verdict.context if one.startswith("Across tickers"))
    assert "rank IC" in line


def test_the_table_of_days_is_that_of_an_independent_computation(found):
    written = pl.read_csv(found.out / "many_cross_section.csv", try_parse_dates=True)
    assert written.columns == ["date", "variant", "seed", "ic", "rank_ic", "spread", "turnover", "names"]
    expected = found.forecasts.group_by("variant", "origin").agg(
        ic=pl.corr("predicted", "actual"), rank=pl.corr("predicted", "actual", method="spearman"), names=pl.len()
    )
    both = written.join(expected, left_on=["variant", "date"], right_on=["variant", "origin"]).filter(variant="A")
    assert len(both) == found.forecasts["origin"].n_unique()
    np.testing.assert_allclose(both["ic"], both["ic_right"], atol=1e-12)
    np.testing.assert_allclose(both["rank_ic"], both["rank"], atol=1e-12)
    assert (written["names"] == 12).all()
    assert written.filter(variant="Zero")["rank_ic"].abs().max() == 0
    assert written.filter(variant="Zero")["turnover"].max() == 0


def test_results_have_means_over_days_and_the_decay(found):
    summary = found.findings["across"]
    days = found.findings["daily_across"]
    assert summary.columns == ["variant", "rank_ic", "ir", "ic", "spread", "net", "turnover", "names", "days"]
    own = days.filter(variant="A")
    assert summary.filter(variant="A")["rank_ic"].item() == pytest.approx(own["rank_ic"].mean())
    gap = summary.filter(variant="A").select(pl.col("spread") - pl.col("net")).item()
    assert gap == pytest.approx(0.001 * own["turnover"].mean())
    assert found.findings["decay"].columns == ["variant", "1", "2", "3", "4", "5"]
    assert found.findings["decay"].filter(variant="A")["1"].item() == pytest.approx(own["rank_ic"].mean())


def test_decay_is_the_correlation_with_later_returns(found):
    rows = found.forecasts.filter(variant="A").sort("ticker", "origin")
    later = rows.with_columns(later=pl.col("actual").shift(-2).over("ticker")).drop_nulls("later")
    by_day = later.group_by("origin").agg(ic=pl.corr("predicted", "later", method="spearman"))
    assert decay(rows)["3"].item() == pytest.approx(by_day["ic"].mean(), abs=1e-12)


def test_the_report_has_a_section_and_the_terminal_one_table(found):
    page = (found.out / "report.html").read_text("utf-8")
    for text in ("Across tickers", "Contrasts across tickers", "Rank IC by year", "Rank IC by days ahead"):
        assert text in page
    assert [one.heading for one in found.exhibits if one.printed] == ["Across tickers"]
    assert "across" in found.figures
    assert (found.out / "many_across.png").stat().st_size > 10_000


def test_fewer_than_ten_tickers_say_nothing(found):
    few = found.forecasts.filter(pl.col("ticker") < "T09")
    assert compare_across(few, found.comparison) is None
    assert daily_scores(few).is_empty()


def test_a_late_listing_counts_from_its_first_day(found):
    late = found.forecasts.filter((pl.col("ticker") != "T11") | (pl.col("origin") > pl.col("origin").median()))
    days = daily_scores(late).filter(variant="A")
    assert set(days["names"]) == {11, 12}
    assert len(days) == found.forecasts["origin"].n_unique()
    assert summarise(days)["days"].item() == len(days)


def test_a_forecast_of_the_returns_has_a_coefficient_of_one(found):
    perfect = found.forecasts.filter(variant="A").with_columns(predicted=2 * pl.col("actual"))
    judged = nd.verdict(perfect.with_columns(predicted=pl.col("predicted")), loss="rank_ic")
    assert judged.contrasts[0].estimate == pytest.approx(1)
    line = line_of(judged.comparison, found.comparison)
    assert line_of(judged.comparison, judged.comparison) == ""
    assert line.startswith("Across tickers: rank IC of A +1.000")


def test_three_days_have_no_decay_over_five(found):
    few = found.forecasts.filter(pl.col("origin") < found.forecasts["origin"].unique().sort()[3])
    ahead = decay(few.filter(variant="A"))
    assert np.isfinite(ahead["3"].item())
    assert np.isnan(ahead["4"].item())
    assert np.isnan(ahead["5"].item())


def test_too_few_tickers_for_the_loss_are_refused_before_anything_is_fitted(tmp_path):
    bars = random_walk(tickers=("AAA", "BBB"), sessions=300, seed=0).frame
    study = nd.Study.from_values({
        "name": "few", "market": "none", "variants": {"A": {"model": "ridge", "features": "raw"}},
        "verdict": {"loss": "spread@10bp"},
    })  # fmt: skip
    with pytest.raises(
        StudyError, match="verdict.loss spread@10bp compares the tickers of a day and needs 10 of them; the study has 2"
    ):
        nd.run(study, bars=bars, out=tmp_path, workers=0, watch=False)
    assert not list(tmp_path.rglob("*.safetensors"))
