"""Stage 4 from bars to files, on returns whose quantiles are known."""

import numpy as np
import polars as pl
import pytest

import nextday
from evaluate.test_quantiles import garch
from nextday.data import random_walk
from nextday.errors import StudyError
from nextday.study import Study
from undrawn import undrawn

TICKERS = ("AAA", "BBB", "MKT")
DRAWN = ("fan", "reliability", "pit", "coverage")


def bars_of(sessions):
    returns, _ = garch(np.random.default_rng(5), tickers=len(TICKERS), days=sessions)
    return random_walk(tickers=TICKERS, sessions=sessions, seed=1, returns=returns)


@pytest.fixture(scope="module")
def bars():
    return bars_of(1000)


def run(bars, out, **changes):
    small = {
        "market": "MKT", "accept": "*", "seeds": "1", "training.learning_rate": 4e-3, "training.patience": 4,
        "training.max_epochs": 6,
        "variants.LSTM-Prob.options": {"head": "quantiles", "hidden": 16},
        "variants.Trans-Prob.options": {"head": "quantiles", "width": 16, "heads": 2, "feedforward": 32},
    }  # fmt: skip
    return nextday.run(Study.load("stage4", small | changes), bars=bars.frame, out=out, workers=0)


@pytest.fixture(scope="module")
def results(bars, tmp_path_factory):
    with undrawn():
        return run(bars, tmp_path_factory.mktemp("out"))


def assert_covered(results, names, margin):
    covered = dict(results.findings["uncertainty"].select("variant", "Coverage").iter_rows())
    for name in names:
        assert covered[name] == pytest.approx(0.9, abs=margin), covered


def test_the_interval_covers_as_it_should_where_the_truth_is_known(results):
    """Two tickers of 194 days: a coverage of 90 % has a standard error of about 1.7 %; an interval learns its width first."""
    assert_covered(results, ("LSTM-Prob", "Trans-Prob", "GARCH"), 0.045)


@pytest.mark.slow
@pytest.mark.usefixtures("one_undrawn")
def test_networks_cover_as_they_should_where_the_truth_is_known(tmp_path):
    """Two tickers of 494 days: a coverage of 90 % has a standard error of about 1.1 %."""
    own = {
        f"variants.LSTM-{name.title()}": {"model": "lstm", "features": "engineered", "options": {"head": head, "hidden": 16}}
        for name, head in (("normal", "gaussian"), ("student", "student"))
    }  # fmt: skip
    results = run(bars_of(2500), tmp_path, **own)
    assert_covered(results, ("LSTM-Prob", "Trans-Prob", "LSTM-Normal", "LSTM-Student", "GARCH"), 0.03)


def test_the_files_hold_a_column_per_level_and_coverage_beside_the_errors(results):
    table = pl.read_csv(results.out / "stage4_results.csv")
    assert table.columns[:5] == ["Ticker", "Model", "MAE", "RMSE", "Coverage"]
    assert set(table["Model"]) == {*results.study.variants, *results.study.conformal}
    predictions = pl.read_csv(results.out / "stage4_all_predictions.csv")
    assert {"q0.05", "q0.5", "q0.95"} < set(predictions.columns)
    held = predictions.with_columns(inside=pl.col("Actual").is_between("q0.05", "q0.95"))
    again = held.group_by("Ticker", "Model").agg(pl.col("inside").mean())
    joined = table.join(again, on=["Ticker", "Model"])
    np.testing.assert_allclose(joined["Coverage"], joined["inside"], atol=1e-9)
    page = (results.out / "report.html").read_text()
    assert page.count('<img src="data:image/png;base64') == 5
    assert "coverage of 90 %" in page


def test_the_verdict_rests_on_pinball_loss_against_constant_quantiles(results):
    losses = results.comparison.losses
    assert (losses.loss, losses.benchmark) == ("pinball", "ConstantQuantile")
    scores = results.scores.group_by("variant", "ticker").agg(pl.col("Pinball").mean())
    scales = pl.read_parquet(results.out / "folds.parquet").select("ticker", "train_deviation")
    scaled = scores.join(scales, on="ticker").with_columns(pl.col("Pinball") / pl.col("train_deviation"))
    mean = dict(scaled.group_by("variant").agg(pl.col("Pinball").mean()).iter_rows())
    for contrast in results.comparison.against_benchmark:
        assert contrast.estimate == pytest.approx(1 - mean[contrast.first] / mean["ConstantQuantile"], abs=1e-9)
    garch = next(one for one in results.comparison.against_benchmark if one.first == "GARCH")
    assert garch.estimate > 0  # volatility clusters in this world


def test_conformal_variants_stand_beside_what_they_calibrate(results):
    both = results.forecasts.filter(pl.col("variant").is_in(["LSTM-Prob", "LSTM-Prob-Split"]))
    one, two = both.partition_by("variant", maintain_order=True)
    shift = (two["q0.05"] - one["q0.05"]).round(12)
    assert one.with_columns(shift=shift).group_by("ticker").agg(pl.col("shift").n_unique())["shift"].to_list() == [1, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"levels": "0.05,1"}, "levels are strictly between 0 and 1, got 1"),
        ({"levels": "0.5,0.05"}, "levels must increase, got 0.5, 0.05"),
        ({"levels": "0.05,0.05,0.5"}, "levels must increase, got 0.05, 0.05, 0.5"),
        ({"levels": "a"}, "levels.0: expected a number, got 'a'"),
        ({"interval": 0.8}, "interval 0.8 needs the levels 0.1 and 0.9, got 0.05, 0.5, 0.95"),
        ({"levels": ""}, "levels.0: expected a number, got ''"),
        ({"verdict.benchmark": ""}, "verdict.loss pinball needs levels, and a variant as verdict.benchmark"),
        (
            {"conformal.New": {"of": "LSTM", "method": "split"}},
            r"conformal.New: 'LSTM' is no variant; did you mean LSTM-Prob\? variants: Constant",
        ),
        ({"conformal.GARCH": {"of": "EWMA", "method": "split"}}, "conformal.GARCH: 'GARCH' is a variant"),
        ({"conformal.New": {"of": "EWMA", "method": "magic"}}, "conformal.New.method: expected 'split' or"),
    ],
)
def test_levels_and_intervals_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(StudyError, match=message):
        Study.load("stage4", changes)


def test_the_interval_to_report_is_chosen_among_those_there_and_drawn(bars, tmp_path):
    changes = {
        "market": "MKT", "accept": "*", "tickers": "AAA", "levels": "0.05,0.1,0.5,0.9,0.95", "interval": 0.8,
        "variants": {"ConstantQuantile": {"model": "constant_quantile", "features": "raw"}, "EWMA": {"model": "ewma", "features": "raw"}},
        "conformal": {}, "verdict.ask": "EWMA - zero",
    }  # fmt: skip
    with undrawn(*DRAWN):
        results = nextday.run(Study.load("stage4", changes), bars=bars.frame, out=tmp_path, workers=0)
    assert results.findings["uncertainty"]["Nominal"].to_list() == [0.8, 0.8]
    table = pl.read_csv(results.out / "stage4_results.csv")
    np.testing.assert_allclose(table["Coverage"], table["Coverage@0.8"])
    assert (table["Coverage@0.9"] > table["Coverage"]).all()
    for plot in DRAWN:
        assert (results.out / f"stage4_{plot}.png").stat().st_size > 10_000
    assert (results.out / "report.html").read_text().count('<img src="data:image/png;base64,iVBOR') == len(DRAWN)
