"""The command line as a person uses it: what it prints, how it ends; whole processes where these matter."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import worlds
from nextday.cli.main import main
from nextday.data import random_walk
from undrawn import undrawn
from verdict_schema import check

NEXTDAY = [str(Path(sys.executable).parent / "nextday")]
SMALL = ["--set", "training.max_epochs=1", "--set", "lookback=5", "--market", "MKT"]
QUICK = [*SMALL, "--workers", "0"]
LOOKED_AT = "ablation_bars"  # of the pictures


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("bars") / "bars.parquet"
    random_walk(tickers=("$x_{", "AAA", "MKT"), sessions=120, seed=4).frame.write_parquet(path)
    return path


def nextday(*arguments, folder, status=0):
    """Run a command in this process, which has its libraries loaded."""
    out, error = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch, chdir(folder), redirect_stdout(out), redirect_stderr(error):
        patch.setattr(sys, "argv", ["nextday", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
    said = [stream.buffer.getvalue().decode() for stream in (out, error)]
    assert ended.value.code == status, said[1]
    return subprocess.CompletedProcess(arguments, status, *said)


def whole(*arguments, folder, status=0):
    """Run a command in a process of its own."""
    done = subprocess.run([*NEXTDAY, *map(str, arguments)], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return done


@pytest.fixture(scope="module")
def climbed(data, tmp_path_factory):
    """Stage 1 and Stage 2 on small bars, as ``make study`` runs them; ARIMA chooses among a few orders."""
    folder, few = tmp_path_factory.mktemp("study"), ["--set", "variants.ARIMA.options.max_order=1"]
    with undrawn(LOOKED_AT):
        first = nextday("run", "stage1", *few, "--data", data, *QUICK, folder=folder)
        second = nextday("run", "stage2", "--data", data, *QUICK, folder=folder)
    return folder / "results", [first.stdout, second.stdout]


def test_a_study_prints_its_summary_and_where_its_files_are(climbed):
    _, (first, second) = climbed
    for variant in ("Zero", "HistoricalMean", "Persistence", "RollingMean", "LinearReg", "HistGB", "ARIMA"):
        assert variant in first
    for variant in ("LSTM-Raw", "LSTM-OHLCV", "LSTM-Feat", "always-long", "R2 vs zero", "results/stage2"):
        assert variant in second


def test_a_study_writes_the_documented_files(climbed):
    results, _ = climbed
    plots = ("bars", "per_ticker", "curves", "predictions", "heatmap")
    expected = {f"stage2_ablation_{plot}.png" for plot in plots} | {"stage2_full_comparison.png", "stage2_verdict.png"}
    expected |= {"stage2_results.csv", "stage2_results_by_seed.csv", "stage2_all_predictions.csv"}
    expected |= {"study.yaml", "forecasts.parquet", "history.parquet", "folds.parquet"}  # the tables that have rows
    expected |= {"manifest.json", "units", "verdict.json", "report.html", "run.log"}
    assert {path.name for path in (results / "stage2").iterdir()} == expected
    assert "stage1_full_comparison.png" not in {path.name for path in (results / "stage1").iterdir()}


def test_metrics_recomputed_from_the_predictions_agree(climbed):
    folder = climbed[0] / "stage2"
    predictions = pl.read_csv(folder / "stage2_all_predictions.csv", schema_overrides={"Ticker": pl.String})
    by_seed = pl.read_csv(folder / "stage2_results_by_seed.csv", schema_overrides={"Ticker": pl.String})
    results = pl.read_csv(folder / "stage2_results.csv", schema_overrides={"Ticker": pl.String})
    assert predictions.columns == ["Date", "Origin", "Ticker", "Model", "Seed", "Actual", "Predicted", "Contaminated"]
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
    assert (
        "unchanged at 8 places (4 in the test range) when later bars are cut or rewritten"
        in manifest["checks"]["causality of features"]
    )


def test_the_verdict_is_printed_with_what_is_asked_and_is_in_the_json_with_all_else(climbed):
    shown = climbed[1][1]
    said = check((climbed[0] / "stage2" / "verdict.json").read_text())
    assert said["verdict"]["sentence"] in " ".join(shown.split())
    for pair in ("LSTM-Feat - LSTM-Raw", "LSTM-OHLCV - LSTM-Raw", "LSTM-Feat - LSTM-OHLCV"):
        assert pair in shown
    assert "LSTM-Raw - zero forecast" not in shown
    assert [len(said[family]) for family in ("asked", "against_benchmark", "others")] == [3, 3, 0]
    check((climbed[0] / "stage1" / "verdict.json").read_text())


@pytest.mark.usefixtures("one_undrawn")
def test_a_run_asks_what_the_command_line_asks_and_its_exit_status_says_whether_it_holds(climbed, data, tmp_path):
    shutil.copytree(climbed[0], tmp_path / "results")
    again = ["run", "stage2", "--data", data, *QUICK]
    asks = ["--ask", "LSTM-Feat - zero", "--expect", "LSTM-Raw > LSTM-Feat"]
    shown = nextday(*again, *asks, folder=tmp_path, status=4).stdout
    assert "expected LSTM-Raw > LSTM-Feat: undecided, " in shown
    assert "LSTM-Feat - zero forecast" in shown
    assert "LSTM-OHLCV - LSTM-Raw" not in shown
    manifest = json.loads((tmp_path / "results" / "stage2" / "manifest.json").read_text())
    asked = [question["contrast"] for question in manifest["study"]["verdict"]["ask"]]
    assert asked == ["LSTM-Feat - zero", "LSTM-Raw - LSTM-Feat"]
    assert manifest["units"]["fitted"] == 0
    said = check((tmp_path / "results" / "stage2" / "verdict.json").read_text())
    assert [(one["first"], one["second"]) for one in said["asked"]] == [
        ("LSTM-Feat", "zero forecast"),
        ("LSTM-Raw", "LSTM-Feat"),
    ]


def test_report_writes_everything_anew_from_the_tables_without_fitting(climbed, tmp_path):
    folder = tmp_path / "stage2"
    shutil.copytree(
        climbed[0] / "stage2",
        folder,
        ignore=shutil.ignore_patterns("units", "*.png", "*.csv", "report.html", "verdict.json"),
    )
    with undrawn(LOOKED_AT):
        shown = nextday("report", folder, folder=tmp_path).stdout
    assert "LSTM-OHLCV" in shown
    for name in ("stage2_results.csv", "stage2_all_predictions.csv", "verdict.json", f"stage2_{LOOKED_AT}.png"):
        assert (folder / name).read_bytes() == (climbed[0] / "stage2" / name).read_bytes(), name
    assert (folder / "report.html").exists()


@pytest.mark.usefixtures("one_undrawn")
def test_walking_forward_from_the_command_line(data, tmp_path):
    options = ["--seeds", "1", "--tickers", "AAA", "--folds", "2", "--out", tmp_path]
    nextday("run", "stage2", "--data", data, *QUICK, *options, folder=tmp_path)
    folds = pl.read_parquet(tmp_path / "stage2" / "folds.parquet")
    assert folds["fold"].to_list() == [0, 1]
    assert folds["test_from"][1] > folds["test_to"][0]
    assert folds["train"][1] > folds["train"][0]
    forecasts = pl.read_parquet(tmp_path / "stage2" / "forecasts.parquet")
    assert (
        forecasts.group_by("variant", "ticker")
        .agg(pl.col("origin").n_unique(), pl.len())
        .select(pl.col("origin") == pl.col("len"))["origin"]
        .all()
    )


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """Forecasts that did not come from nextday."""
    path = tmp_path_factory.mktemp("elsewhere") / "forecasts.parquet"
    world = worlds.World(
        days=250, tickers=4, signal=0.2, bias=0.01, strengths={"mine": 1.0, "other": 0.2, "near": 0.5, "nearer": 0.5}
    )
    worlds.draw(world, 0).write_parquet(path)
    return path


def test_verdict_compares_forecasts_made_elsewhere(elsewhere, tmp_path):
    assert "mine is significantly better than near, +" in nextday("verdict", elsewhere, folder=tmp_path).stdout
    found = check(nextday("verdict", elsewhere, "--json", folder=tmp_path).stdout)
    assert found["verdict"]["code"] == "leak", "nobody forecasts a fifth of the variance"
    found = check(nextday("verdict", elsewhere, "--json", "--allow", "mine,near,nearer,other", folder=tmp_path).stdout)
    assert found["verdict"]["code"] == "resolved"
    assert found["counts"]["days"] == 250
    csv = tmp_path / "forecasts.csv"
    pl.read_parquet(elsewhere).write_csv(csv)
    again = check(nextday("verdict", csv, "--json", folder=tmp_path).stdout)
    assert [c["estimate"] for c in again["asked"]] == pytest.approx([c["estimate"] for c in found["asked"]])


@pytest.mark.parametrize(
    ("expected", "status", "says"),
    [
        (["mine > other"], 0, "expected mine > other: holds, +"),
        (["mine < other"], 3, "expected mine < other: refuted, +"),
        (["mine = other"], 3, "expected mine = other: refuted, +"),
        (["near > nearer"], 4, "expected near > nearer: undecided, "),
        (["near > nearer", "other > mine"], 3, "expected other > mine: refuted, -"),
    ],
)
def test_the_verdict_is_a_gate(elsewhere, tmp_path, expected, status, says):
    options = ["--margin", "0.00001", *(part for text in expected for part in ("--expect", text))]
    shown = nextday("verdict", elsewhere, *options, folder=tmp_path, status=status).stdout
    assert says in shown
    assert shown.count("expected ") == len(expected)
    done = nextday("verdict", elsewhere, *options, "--json", folder=tmp_path, status=status)
    assert [one["sentence"] for one in check(done.stdout)["expectations"]] == done.stderr.splitlines()


def test_what_is_asked_may_come_from_a_file(elsewhere, tmp_path):
    (tmp_path / "asks.txt").write_text("# of the paper\n\nmine - other\n  near - zero \n")
    said = check(
        nextday("verdict", elsewhere, "--ask", "@asks.txt", "--ask", "nearer - near", "--json", folder=tmp_path).stdout
    )
    assert [(one["first"], one["second"]) for one in said["asked"]] == [
        ("mine", "other"),
        ("near", "zero forecast"),
        ("nearer", "near"),
    ]


def test_forty_ablations_fit_on_a_screen(tmp_path):
    names = [f"without_{number:02d}" for number in range(40)]
    strengths = {"full": 1.0} | dict.fromkeys(names, 1.0) | {names[7]: 0.0, names[23]: 0.1}
    world = worlds.World(days=250, tickers=3, seeds=3, signal=0.1, bias=0.02, wiggle=0.02, strengths=strengths)
    worlds.draw(world, 0).write_parquet(tmp_path / "table.parquet")
    (tmp_path / "asks").write_text("\n".join(f"full - {name}" for name in names))
    shown = nextday("verdict", "table.parquet", "--ask", "@asks", folder=tmp_path).stdout
    assert len(shown.splitlines()) < 60
    assert "full is significantly better than without_23" in " ".join(shown.split())
    found = {line.split()[0]: line.split()[1] for line in shown.splitlines() if line.startswith("without_")}
    assert set(found) == set(names)
    assert {name for name, finding in found.items() if finding == "better"} == {names[7], names[23]}


@pytest.mark.usefixtures("one_undrawn")
def test_quiet_leaves_out_progress_and_notes_and_nothing_else(climbed, elsewhere, data, tmp_path):
    shutil.copytree(climbed[0], tmp_path / "results")
    again = ["run", "stage2", "--data", data, *QUICK]
    loud, quiet = nextday(*again, folder=tmp_path), nextday(*again, "--quiet", folder=tmp_path)
    assert "stage2: 18/18 units, 0:0" in loud.stderr
    assert quiet.stderr == ""
    kept = [line for line in quiet.stdout.splitlines() if line not in loud.stdout.splitlines()]
    assert kept == []
    assert "- The verdict is conditional on the sample" in loud.stdout
    for gone in ("- The verdict is conditional on the sample", "note: "):
        assert gone not in quiet.stdout
    assert quiet.stdout == nextday("report", "results/stage2", "-q", folder=tmp_path).stdout
    judged = ["verdict", elsewhere, "--expect", "mine > other"]
    assert "- The verdict is conditional" in nextday(*judged, folder=tmp_path).stdout
    shown = nextday(*judged, "-q", folder=tmp_path).stdout
    assert "- The verdict is conditional" not in shown
    assert "expected mine > other: holds" in shown


def test_a_plan_says_what_a_study_would_take_and_see(climbed, data, tmp_path):
    options = ["--data", data, *QUICK, "--from", climbed[0] / "stage2", "--seeds", "42,43,44,45"]
    shown = nextday("plan", "stage2", *options, folder=tmp_path).stdout
    for text in ("24 units", "LSTM-OHLCV", "LSTM-Feat - LSTM-Raw", "4 seeds", "extrapolated (seeds 3 to 4)"):
        assert text in shown
    assert not (tmp_path / "results").exists()
    said = json.loads(nextday("plan", "stage2", *options, "--ask", "LSTM-Raw - zero", "--json", folder=tmp_path).stdout)
    assert [(one["first"], one["second"]) for one in said["foresights"]] == [("LSTM-Raw", "zero forecast")]
    assert said["units"] == 24


@pytest.mark.parametrize(
    ("options", "key", "value"),
    [
        (["--benchmark", "other"], "benchmark", "other"),
        (["--loss", "miss"], "loss", "miss"),
        (["--margin", "0.02"], "margin", 0.02),
        (["--alpha", "0.2"], "alpha", 0.2),
        (["--scale", "predicted"], "scale", "predicted"),
    ],
)
def test_options_of_the_verdict_are_heard(elsewhere, tmp_path, options, key, value):
    found = json.loads(nextday("verdict", elsewhere, "--json", *options, folder=tmp_path).stdout)
    assert found[key] == value


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "stage9"], "unknown study 'stage9'; known: stage1, stage2"),
        (["run", "stage2", "--tickers", "XXX", "--workers", "1"], "unknown ticker 'XXX'; known: AAPL"),
        (["run", "stage2", "--market", "QQQ"], "market 'QQQ' is not in the bars"),
        (["run", "stage2", "--data", "nowhere.csv"], "nowhere.csv does not exist"),
        (["run", "stage2", "--data", "{text}"], "cannot be read as parquet"),
        (["run", "stage2", "--set", "lookback=4000"], "3169 common sessions are too few: 20 warm up"),
        (["run", "stage2", "--out", "{text}"], "Not a directory; name another folder with --out"),
        (["run", "stage2", "--out", "/proc/none"], "cannot be written"),
        (["report", "nowhere"], "nowhere does not contain a finished study"),
        (["verdict", "nowhere.parquet"], "nowhere.parquet cannot be read as a forecasts table"),
        (["verdict", "{text}"], "cannot be read as a forecasts table"),
        (["verdict", "{bars}"], "the forecasts table has no column 'variant'; it has date, ticker"),
        (["run", "stage2", "--store", "unknown://x"], "--store unknown://: Protocol not known"),
        (["plan", "stage2", "--from", "nowhere"], "nowhere does not contain a finished study to go by"),
        (["data", "show", "--data", "{text}"], "cannot be read as parquet"),
    ],
)
def test_a_mistake_is_answered_by_one_line_and_status_1(tmp_path, data, arguments, says):
    text = tmp_path / "text.parquet"
    text.write_text("not bars")
    alone = ["--workers", "0"] if "run" in arguments and "--workers" not in arguments else []
    call = [argument.format(text=text, bars=data) for argument in (*arguments, *alone)]
    done = nextday(*call, folder=tmp_path, status=1)
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("nextday: ")
    assert done.stdout == ""


@pytest.mark.parametrize(("arguments", "status"), [(["run", "stage9"], 1), (["run"], 2)])
def test_a_process_ends_with_the_status_and_the_line(tmp_path, arguments, status):
    done = whole(*arguments, folder=tmp_path, status=status)
    assert done.stderr == nextday(*arguments, folder=tmp_path, status=status).stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "stage2", "--device", "tpu"], "'tpu' is not one of 'auto', 'cpu', 'cuda'"),
        (["run", "stage2", "--precision", "fp8"], "'fp8' is not one of 'float32', 'bf16'"),
        (["run", "stage2", "--bogus"], "No such option: --bogus"),
        (["run"], "Missing argument"),
        (["verdict", "{bars}", "--margin", "0"], "--margin"),
        (["verdict", "{bars}", "--alpha", "2"], "--alpha"),
        (["verdict", "{bars}", "--scale", "none"], "'none' is not one of 'training', 'predicted'"),
        (["plan"], "Missing argument"),
        (["nothing"], "No such command 'nothing'"),
        (
            ["run", "stage2", "--set", "training.max_epoch=3"],
            "unknown key 'training.max_epoch'; did you mean max_epochs?",
        ),
        (["run", "stage7", "--precision", "bf16"], "stage7 compares the studies in --out and takes no other option"),
        (["run", "stage7", "--cluster", "auto"], "takes no other option"),
        (["run", "stage2", "--folds", "0"], "--folds"),
        (["run", "stage2", "--set", "verdict.margin=0"], "verdict.margin: expected more than 0, got 0"),
        (["run", "stage2", "--set", "verdict.benchmark=X"], "verdict.benchmark: unknown variant 'X'; known: LSTM-Raw"),
        (["run", "stage2", "--ask", "LSTM-Raw - X"], "'X' is no variant; expected 'A - B', of LSTM-Raw, LSTM-OHLCV"),
        (["run", "stage2", "--expect", "LSTM-Raw - LSTM-Feat"], "expected 'A > B' or 'A < B' or 'A = B'"),
    ],
)
def test_wrong_usage_is_answered_by_one_line_and_status_2(tmp_path, data, arguments, says):
    done = nextday(*[argument.format(bars=data) for argument in arguments], folder=tmp_path, status=2)
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.usefixtures("one_undrawn")
def test_precision_is_taken_from_the_command_line(climbed, data, tmp_path):
    nextday("run", "stage2", "--data", data, *QUICK, "--precision", "bf16", "--out", tmp_path, folder=tmp_path)
    said = json.loads((tmp_path / "stage2" / "manifest.json").read_text())
    assert said["study"]["training"]["precision"] == "bf16"
    narrow, wide = (
        pl.read_parquet(one / "stage2" / "forecasts.parquet")["predicted"] for one in (tmp_path, climbed[0])
    )
    assert (narrow != wide).all()


def test_list_shows_what_a_study_can_name(tmp_path):
    shown = nextday("list", folder=tmp_path).stdout
    for name in ("stage2", "hist_gradient_boosting", "engineered", "vol_zscore", "ln(1 + volume)"):
        assert name in shown
    assert "157 features in the groups kbar, trend, position, correlation, volume; warm-up 60; Yang et al." in shown
    assert "tsmom21, tsmom63, tsmom252; warm-up 252; Moskowitz, Ooi and Pedersen (2012)" in shown


def test_data_show_and_check(tmp_path, data):
    assert "-73.14" in nextday("data", "show", folder=tmp_path).stdout  # AAPL on 2000-09-29, genuine
    checked = nextday("data", "check", data, "--market", "MKT", folder=tmp_path).stdout
    assert "2 tickers and the market MKT on 120 common sessions" in checked


@pytest.mark.usefixtures("one_undrawn")
def test_ctrl_c_ends_with_130_and_the_next_run_goes_on(data, tmp_path):
    """The second run has few of the first's units, which has so many that it is stopped before its last."""
    command = ["run", "stage2", "--data", data, *SMALL]
    process = subprocess.Popen(
        [*NEXTDAY, *command, "--workers", "1", "--seeds", "1-99"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    units = tmp_path / "results" / "stage2" / "units"
    while len(list(units.glob("*.json"))) < 3:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=20)
    assert process.returncode == 130
    assert error.splitlines()[-1] == "nextday: stopped; finished units are reused when you run the same command again"
    assert "Traceback" not in error
    assert workers
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert not (tmp_path / "results" / "stage2" / "manifest.json").exists()
    assert not [name for name in os.listdir(units) if name.startswith(".")]
    kept = len(list(units.glob("*.json")))
    nextday(*command, "--workers", "0", "--seeds", "1", folder=tmp_path)
    manifest = json.loads((tmp_path / "results" / "stage2" / "manifest.json").read_text())
    assert 0 < manifest["units"]["reused"] <= kept
