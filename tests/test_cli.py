"""The command line as a person uses it: whole processes, what they print, how they end."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from nextday.data import random_walk

NEXTDAY = [str(Path(sys.executable).parent / "nextday")]
QUICK = ["--set", "training.max_epochs=1", "--set", "lookback=5", "--market", "MKT", "--workers", "1"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("bars") / "bars.parquet"
    random_walk(tickers=("$x_{", "AAA", "MKT"), sessions=120, seed=4).frame.write_parquet(path)
    return path


def nextday(*arguments, folder, status=0):
    done = subprocess.run([*NEXTDAY, *map(str, arguments)], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return done


@pytest.fixture(scope="module")
def climbed(data, tmp_path_factory):
    """Stage 1 and Stage 2 on small bars, as ``make study`` runs them."""
    folder = tmp_path_factory.mktemp("study")
    outputs = [nextday("run", stage, "--data", data, *QUICK, folder=folder).stdout for stage in ("stage1", "stage2")]
    return folder / "results", outputs


def test_a_study_prints_its_summary_and_where_its_files_are(climbed):
    _, (first, second) = climbed
    for variant in ("Zero", "HistoricalMean", "Persistence", "RollingMean", "LinearReg", "HistGB", "ARIMA"):
        assert variant in first
    for variant in ("LSTM-Raw", "LSTM-OHLCV", "LSTM-Feat", "always up", "R2 vs zero", "results/stage2"):
        assert variant in second


def test_a_study_writes_the_documented_files(climbed):
    results, _ = climbed
    plots = ("bars", "per_ticker", "curves", "predictions", "heatmap")
    expected = {f"stage2_ablation_{plot}.png" for plot in plots} | {"stage2_full_comparison.png"}
    expected |= {"stage2_results.csv", "stage2_results_by_seed.csv", "stage2_all_predictions.csv"}
    expected |= {"forecasts.parquet", "history.parquet", "folds.parquet", "manifest.json", "units"}
    assert {path.name for path in (results / "stage2").iterdir()} == expected
    assert "stage1_full_comparison.png" not in {path.name for path in (results / "stage1").iterdir()}


def test_metrics_recomputed_from_the_predictions_agree(climbed):
    folder = climbed[0] / "stage2"
    predictions = pl.read_csv(folder / "stage2_all_predictions.csv", schema_overrides={"Ticker": pl.String})
    by_seed = pl.read_csv(folder / "stage2_results_by_seed.csv", schema_overrides={"Ticker": pl.String})
    results = pl.read_csv(folder / "stage2_results.csv", schema_overrides={"Ticker": pl.String})
    assert predictions.columns == ["Date", "Origin", "Ticker", "Model", "Seed", "Actual", "Predicted"]
    assert results.columns[:5] == ["Ticker", "Model", "MAE", "RMSE", "DirAcc"]
    assert len(results) == 2 * 3
    for row in by_seed.iter_rows(named=True):
        part = predictions.filter(Ticker=row["Ticker"], Model=row["Model"], Seed=row["Seed"])
        actual, predicted = part["Actual"].to_numpy(), part["Predicted"].to_numpy()
        error = actual - predicted
        assert row["MAE"] == pytest.approx(np.abs(error).mean(), abs=1e-9)
        assert row["RMSE"] == pytest.approx(np.sqrt((error**2).mean()), abs=1e-9)
        moved = actual != 0
        hit = np.where(predicted == 0, 0.5, np.sign(predicted) == np.sign(actual))
        assert row["DirAcc"] == pytest.approx(hit[moved].mean(), abs=1e-9)
    means = by_seed.group_by("Ticker", "Model").agg(pl.col("MAE", "RMSE", "DirAcc").mean()).sort("Ticker", "Model")
    shown = results.sort("Ticker", "Model").select("MAE", "RMSE", "DirAcc").to_numpy()
    np.testing.assert_allclose(means.select("MAE", "RMSE", "DirAcc").to_numpy(), shown, atol=1e-9)
    days = predictions.group_by("Ticker", "Model", "Seed").agg(pl.col("Origin").sort().implode())["Origin"]
    assert days.n_unique() == 1


def test_the_manifest_says_what_was_run(climbed):
    manifest = json.loads((climbed[0] / "stage2" / "manifest.json").read_text())
    assert manifest["study"]["training"]["max_epochs"] == 1
    assert manifest["study"]["seeds"] == [42, 43, 44]
    assert manifest["units"]["fitted"] == 18
    assert set(manifest["versions"]) >= {"nextday", "torch", "polars"}
    assert re.fullmatch("[0-9a-f]{64}", manifest["data"]["fingerprint"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "stage9"], "unknown study 'stage9'; known: stage1, stage2"),
        (["run", "stage2", "--seeds", "42,x"], "seeds.1: Input should be a valid integer"),
        (
            ["run", "stage2", "--set", "training.max_epoch=3"],
            "unknown key 'training.max_epoch'; known here: max_epochs",
        ),
        (["run", "stage2", "--set", "training"], "--set training: expected KEY=VALUE"),
        (["run", "stage2", "--tickers", "AAA,,KO"], "tickers holds an empty ticker"),
        (["run", "stage2", "--tickers", "XXX"], "unknown ticker 'XXX'; known: AAPL"),
        (["run", "stage2", "--market", "QQQ"], "market 'QQQ' is not in the bars"),
        (["run", "stage2", "--data", "nowhere.csv"], "nowhere.csv does not exist"),
        (["run", "stage2", "--data", "{text}"], "cannot be read as parquet"),
        (["run", "stage2", "--set", "lookback=4000"], "3169 common sessions are too few: 20 warm up"),
        (["run", "stage2", "--out", "{text}"], "Not a directory; name another folder with --out"),
        (["run", "stage2", "--out", "/proc/none"], "cannot be written"),
        (["run", "stage2", "--device", "tpu"], "'tpu' is not one of 'auto', 'cpu', 'cuda'"),
        (["run", "stage2", "--bogus"], "No such option: --bogus"),
        (["run"], "Missing argument"),
        (["data", "check", "sample", "--market", "X"], "market 'X' is not in the bars"),
        (["data", "show", "--data", "{text}"], "cannot be read as parquet"),
    ],
)
def test_a_mistake_is_answered_by_one_line_and_status_1(tmp_path, arguments, says):
    text = tmp_path / "text.parquet"
    text.write_text("not bars")
    done = nextday(*[argument.format(text=text) for argument in arguments], folder=tmp_path, status=1)
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("nextday: ")
    assert done.stdout == ""


def test_list_shows_what_a_study_can_name(tmp_path):
    shown = nextday("list", folder=tmp_path).stdout
    for name in ("stage2", "hist_gradient_boosting", "engineered", "vol_zscore", "ln(1 + volume)"):
        assert name in shown


def test_data_show_and_check(tmp_path, data):
    assert "-73.14" in nextday("data", "show", folder=tmp_path).stdout  # AAPL on 2000-09-29, genuine
    checked = nextday("data", "check", data, "--market", "MKT", folder=tmp_path).stdout
    assert "2 tickers and the market MKT on 120 common sessions" in checked


def test_ctrl_c_ends_with_130_and_the_next_run_goes_on(tmp_path):
    command = [*NEXTDAY, "run", "stage2", "--set", "training.max_epochs=1", "--workers", "1"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    units = tmp_path / "results" / "stage2" / "units"
    while len(list(units.glob("*.json"))) < 3:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=20)
    assert process.returncode == 130
    assert error.splitlines()[-1] == "nextday: stopped; finished units are kept, the same command goes on from here"
    assert "Traceback" not in error
    assert workers
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert not (tmp_path / "results" / "stage2" / "manifest.json").exists()
    assert not [name for name in os.listdir(units) if name.startswith(".")]
    kept = len(list(units.glob("*.json")))
    nextday(*command[1:], "--seeds", "42", "--tickers", "AAPL,GS", folder=tmp_path)
    manifest = json.loads((tmp_path / "results" / "stage2" / "manifest.json").read_text())
    assert 0 < manifest["units"]["reused"] <= kept
