"""An audit as a user meets it: on the command line, in Python, in a run and in its report."""

import json

import numpy as np
import polars as pl
import pytest

import nextday
from auditing.pipelines import clean, label_off_by_one, pipeline
from leaks import CLEAN, LEAKS, with_columns
from nextday.cli.main import main
from nextday.data import COLUMNS, align, random_walk
from nextday.errors import DataError, PluginError
from nextday.plugins import load_function
from nextday.storage.folder import StudyFolder
from nextday.study import Study

pytestmark = pytest.mark.usefixtures("undrawn")
TICKERS = ("AAA", "BBB", "CCC", "MKT")
MOVE = (pl.col("adj_close") / pl.col("adj_close").shift(1)).log()
MINE = """
import polars as pl
move = (pl.col("adj_close") / pl.col("adj_close").shift(1)).log()
def features(bars):
    return bars.select("date", "ticker", past=move.over("ticker"), peek=move.shift(-1).over("ticker"))
def honest(bars):
    return bars.select("date", "ticker", past=move.rolling_sum(5).over("ticker"))
def forecasts(bars):
    rows = bars.with_columns(x=move.over("ticker"), actual=move.shift(-1).over("ticker")).drop_nulls()
    return rows.select("ticker", origin="date", actual="actual", variant=pl.lit("mine"), predicted=pl.col("x") - pl.col("x").mean())
"""


@pytest.fixture(scope="module")
def frame():
    bars = random_walk(tickers=TICKERS, sessions=900, seed=5).frame
    return bars.with_columns(
        future=MOVE.shift(-1).over("ticker").fill_null(0.0), past=MOVE.rolling_sum(5).over("ticker").fill_null(0.0)
    )


@pytest.fixture(scope="module")
def files(frame, tmp_path_factory):
    folder = tmp_path_factory.mktemp("audit")
    frame.write_parquet(folder / "mine.parquet")
    frame.drop("future").write_parquet(folder / "clean.parquet")
    (folder / "mine.py").write_text(MINE)
    return folder


def study(**changes):
    values = {
        "name": "own", "market": "MKT", "accept": ["*"], "lookback": 5, "seeds": [1],
        "feature_sets": {"peek": ["log_return", "future"], "mine": ["log_return", "past"]},
        "variants": {
            "Raw": {"model": "linear_regression", "features": "raw"},
            "Peek": {"model": "linear_regression", "features": "peek"},
            "Mine": {"model": "linear_regression", "features": "mine"},
        },
    }  # fmt: skip
    return Study.from_values(values | changes)


def said(capsys, *words):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["nextday", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
    shown = capsys.readouterr()
    return ended.value.code, shown.out, shown.err


def test_own_columns_are_audited_and_the_exit_status_says_so(files, capsys):
    status, out, _ = said(capsys, "audit", files / "mine.parquet", "--market", "MKT", "--accept", "*")
    assert status == 1
    assert "alarm T1: future knows the next returns" in out
    status, out, _ = said(capsys, "audit", files / "clean.parquet", "--market", "MKT", "--accept", "*")
    assert status == 0
    assert "Nothing found in 1 column" in out
    assert "no alarm, no question." in out
    assert (
        "note" not in said(capsys, "audit", files / "clean.parquet", "--market", "MKT", "--accept", "*", "--quiet")[1]
    )


def test_an_alarm_is_accepted_by_name_and_json_records_it(files, capsys):
    options = ("--market", "MKT", "--accept", "*", "--allow", "future", "--json")
    status, out, _ = said(capsys, "audit", files / "mine.parquet", *options)
    found = json.loads(out)
    assert (status, found["schema"], found["alarms"]) == (0, "nextday/audit/1", 0)
    assert [one["accepted"] for one in found["findings"] if one["name"] == "future"] == [True]


def test_functions_and_pipelines_are_run_on_other_futures(files, capsys):
    bars = (files / "clean.parquet", "--market", "MKT", "--accept", "*")
    status, out, _ = said(capsys, "audit", *bars, "--features", f"{files / 'mine.py'}:features", "--cuts", "8")
    assert status == 1
    assert "peek of a day changes when bars of the next day change" in out
    assert said(capsys, "audit", *bars, "--features", f"{files / 'mine.py'}:honest", "--cuts", "8")[0] == 0
    status, out, _ = said(capsys, "audit", *bars, "--forecaster", f"{files / 'mine.py'}:forecasts")
    assert status == 1
    assert "mine: its forecasts of a day change when bars of later days change" in out


def test_a_function_that_is_not_there_is_one_line(files, capsys):
    status, _, err = said(capsys, "audit", "sample", "--features", f"{files / 'mine.py'}:feature")
    assert status == 1
    assert err.strip().endswith("mine.py has no function 'feature'")
    with pytest.raises(PluginError, match=r"mine: expected FILE.py:NAME, such as mine.py:features"):
        load_function("mine")
    with pytest.raises(DataError, match="no numeric column 'futur' beyond prices and volume; did you mean future"):
        nextday.audit(pl.read_parquet(files / "mine.parquet"), columns=["futur"], settings=study())


def test_a_table_is_audited_and_with_bars_the_day_of_its_actual_values(frame, files, capsys):
    rows = frame.filter(pl.col("ticker") != "MKT").with_columns(
        right=MOVE.shift(-1).over("ticker"), late=MOVE.shift(-2).over("ticker"), today=MOVE.over("ticker")
    )
    rows = rows.drop_nulls().filter(pl.col("date") > pl.lit(frame["date"][50]))
    for column, day in {"right": 1, "late": 2, "today": 0}.items():
        table = rows.select(
            "ticker", variant=pl.lit("mine"), origin="date", actual=column,
            predicted=pl.Series(np.random.default_rng(1).normal(0, 1e-4, len(rows))),
        )  # fmt: skip
        found = nextday.audit(table, bars=frame, settings=study())
        assert [one.code for one in found.alarms] == ([] if day == 1 else ["C5"])
    assert "Actual values are the returns on the day of the origin in " in str(found)
    table.with_columns(predicted=pl.col("actual")).write_csv(files / "table.csv")
    status, out, _ = said(capsys, "audit", files / "table.csv")
    assert status == 1
    assert "alarm C1: mine copies the actual values in 100 % of rows." in out
    assert "The table has 1 variant." in out


def test_the_file_of_before_says_what_moved(frame, files, capsys):
    older = frame.filter(pl.col("date") < frame["date"].max()).with_columns(past=pl.col("past") * 1.5 + 1)
    older.write_parquet(files / "older.parquet")
    options = ("--market", "MKT", "--accept", "*", "--before", files / "older.parquet")
    status, out, _ = said(capsys, "audit", files / "clean.parquet", *options)
    assert status == 1
    assert "alarm V2: past" in " ".join(out.split())


def test_it_is_shown_in_a_notebook_and_as_a_frame(frame):
    found = nextday.audit(frame, settings=study())
    assert found.status == 1
    assert found.frame().columns == ["name", "level", "code", "sentence", "accepted"]
    assert "<td" in found._repr_html_()
    assert str(found).splitlines()[0].startswith("alarm T1: future ")
    assert found.to_pandas().shape == found.frame().shape


@pytest.fixture(scope="module")
def ran(frame, tmp_path_factory):
    return nextday.run(study(), bars=frame, out=tmp_path_factory.mktemp("ran"), workers=0, watch=False)


def test_a_run_with_a_column_of_the_future_is_not_to_be_trusted(ran):
    assert ran.verdict.code == "leak"
    assert ran.verdict.sentence.startswith("Not to be trusted: future knows the next returns: its correlation with ")
    assert {one.code for one in ran.verdict.findings if one.is_open} >= {"T1"}
    manifest = StudyFolder(ran.out).manifest()
    assert [one["code"] for one in manifest["audit"] if one["level"] == "alarm"] == ["T1"]
    assert "audit, alarm: future knows the next returns" in (ran.out / "run.log").read_text()
    page = (ran.out / "report.html").read_text("utf-8")
    assert 'class="verdict leak"' in page
    assert page.count("future knows the next returns") == 2  # in the headline and in the section of the audit
    assert json.loads((ran.out / "verdict.json").read_text())["verdict"]["code"] == "leak"


def test_accepting_changes_the_sentence_and_the_code_and_nothing_else(ran, frame, tmp_path):
    accepted = study(allow=["future", "Peek"])
    again = nextday.run(accepted, bars=frame, out=tmp_path, workers=0, watch=False)
    assert again.verdict.code != "leak"
    assert ran.verdict.sentence.endswith(again.verdict.sentence)
    assert again.verdict.answers == ran.verdict.answers
    assert again.verdict.remarks[0].startswith("Accepted: future knows the next returns")
    assert again.forecasts.equals(ran.forecasts)


def test_clean_columns_change_nothing(frame, tmp_path):
    clean = study(variants={name: one for name, one in study().variants.items() if name != "Peek"})
    judged = nextday.run(clean, bars=frame, out=tmp_path, workers=0, watch=False).verdict
    assert judged.code != "leak"
    assert [one.level for one in judged.findings if one.code != "T3"] == ["note"]


def test_skill_that_is_too_good_is_a_question_where_all_columns_passed(tmp_path):
    """Returns that remember: the answer stands, with a question about bars and costs."""
    rng = np.random.default_rng(0)
    moves = np.zeros((4, 900))
    for day in range(1, 900):
        moves[:, day] = 0.6 * moves[:, day - 1] + 0.02 * rng.normal(size=4)
    bars = random_walk(tickers=TICKERS, sessions=900, seed=5, returns=moves).frame
    bars = bars.with_columns(noise=pl.Series(rng.normal(size=len(bars))))
    found = study(feature_sets={"mine": ["log_return", "noise"]}, variants={
        "Raw": {"model": "linear_regression", "features": "raw"},
        "Mine": {"model": "linear_regression", "features": "mine"},
    })  # fmt: skip
    judged = nextday.run(found, bars=bars, out=tmp_path, workers=0, watch=False).verdict
    assert judged.code != "leak"
    questions = [one for one in judged.findings if one.level == "question"]
    assert {one.code for one in questions} == {"C2"}
    assert questions[0].sentence in judged.remarks


def test_data_check_audits_every_further_column(files, capsys):
    status, out, _ = said(capsys, "data", "check", files / "mine.parquet", "--market", "MKT", "--accept", "*")
    assert status == 0
    assert "alarm T1: future knows the next returns" in out
    options = ("--market", "MKT", "--accept", "*", "--strict")
    assert said(capsys, "data", "check", files / "mine.parquet", *options)[0] == 1
    status, out, _ = said(capsys, "data", "check", files / "mine.parquet", *options[:-1], "--json")
    assert [one["code"] for one in json.loads(out)["audit"] if one["level"] == "alarm"] == ["T1"]


def run_of(panel, makers, tmp_path):
    """Run a regression on columns that are made from bars, each a feature of its own."""
    whole = pl.col(list(makers)).fill_nan(None).forward_fill().over("ticker")  # a run refuses holes, also at the end
    bars = with_columns(panel, makers).frame.with_columns(whole)
    sets = {"mine": ["log_return", *makers]}
    found = study(feature_sets=sets, variants={
        "Raw": {"model": "linear_regression", "features": "raw"},
        "Mine": {"model": "linear_regression", "features": "mine"},
    })  # fmt: skip
    return nextday.run(found, bars=bars, out=tmp_path, workers=0, watch=False).verdict


@pytest.mark.slow
def test_on_a_random_walk_every_detectable_leak_is_named_in_a_run_and_no_clean_column(tmp_path):
    panel = align(random_walk(tickers=TICKERS, sessions=1200, seed=5), market="MKT")
    detectable = [name for name, one in LEAKS.items() if one.detectable and not one.lifelike and one.level == "alarm"]
    pair = {"component_2": LEAKS["component_2"].make}  # which tells on the first
    leaking = run_of(panel, {name: LEAKS[name].make for name in detectable} | pair, tmp_path / "leaks")
    assert leaking.sentence.startswith("Not to be trusted: ")
    named = {one.name for one in leaking.findings if one.is_open}
    assert [name for name in detectable if name not in named] == []
    clean = run_of(panel, CLEAN, tmp_path / "clean")
    assert clean.code != "leak"


def test_a_column_that_lacks_its_last_value_is_refused_with_what_it_knows(frame, tmp_path):
    cut = frame.with_columns(future=MOVE.shift(-1).over("ticker"))
    with pytest.raises(DataError, match=r"feature future of AAA on .* is nan .*future knows the next returns") as error:
        nextday.run(study(), bars=cut, out=tmp_path, workers=0, watch=False)
    assert "\n" not in str(error.value)


def test_a_label_off_by_one_is_found_in_the_table_and_by_the_bars_beside_it(frame):
    """Trained on the return of today and scored by it: no later bar is used, so other futures cannot show it."""

    def late(bars):
        today = bars.select("ticker", pl.col("date").alias("origin"), actual=MOVE.over("ticker"))
        return pipeline(label_off_by_one)(bars).drop("actual").join(today, on=["ticker", "origin"])

    bars = frame.select(COLUMNS)
    codes = {one.code for one in nextday.audit(bars, forecaster=late, settings=study()).alarms}
    assert codes & {"C1", "C2"}
    assert "C5" in codes
    assert "F5" not in codes
    assert nextday.audit(bars, forecaster=pipeline(clean), settings=study()).status == 0
