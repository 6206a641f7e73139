"""The command line of bars: what it shows, what it refuses, and what a run leaves out only when told to."""

import json
import re

import polars as pl
import pytest

from nextday.cli.look import look, own_table
from nextday.data import load_bars, random_walk
from nextday.data.own import describe_own
from nextday.errors import DataError
from nextday.pipeline import forecast
from nextday.settings import BarsSettings
from nextday.study import Study
from suspended import suspended
from test_cli import QUICK, nextday


@pytest.fixture
def bad(tmp_path):
    """Bars of which one ticker has a split that was not applied, and one ends early."""
    frame = random_walk(tickers=("AAA", "BBB", "CCC", "MKT"), sessions=120, seed=4).frame
    row = pl.int_range(pl.len()).over("ticker")
    prices = [
        pl.col(name) / pl.when((pl.col("ticker") == "BBB") & (row >= 60)).then(4).otherwise(1)
        for name in frame.columns[2:7]
    ]
    frame.with_columns(prices).filter(~((pl.col("ticker") == "CCC") & (row > 110))).write_parquet(
        tmp_path / "bars.parquet"
    )
    return tmp_path


def test_check_shows_what_it_finds_and_fails_on_bad_bars(bad):
    done = nextday("data", "check", "bars.parquet", "--market", "MKT", folder=bad, status=1)
    for text in ("split not applied", "looks like a split of 4", "ends early", "9 sessions follow until"):
        assert text in re.sub(r"[\s│]+", " ", done.stdout), "a cell may be several lines"
    assert done.stderr.startswith("nextday: bars.parquet: bars of BBB cannot be used; fix them, or exclude")
    assert done.stderr.endswith("with --drop-bad, or accept jumps as real with --accept BBB\n")
    assert done.stderr.count("\n") == 1


def test_check_can_accept_fail_on_any_finding_and_speak_json(bad):
    check = ["data", "check", "bars.parquet", "--market", "MKT", "--accept", "BBB"]
    assert "3 tickers and the market MKT on 111 common sessions" in nextday(*check, folder=bad).stdout
    assert "1 finding, and --strict fails on any" in nextday(*check, "--strict", folder=bad, status=1).stderr
    said = json.loads(nextday(*check, "--json", "--exchange", "XNYS", folder=bad).stdout)
    assert {finding["rule"] for finding in said["findings"]} == {"ends early", "not a session"}
    assert said["findings"][0].keys() == {"ticker", "rule", "on", "bars", "evidence", "fatal"}


@pytest.fixture
def many(tmp_path):
    """Bars of 100 tickers, of which 80 end early."""
    names = tuple(f"T{at:02}" for at in range(100))
    frame = random_walk(tickers=("MKT", *names), sessions=120, seed=4).frame
    ends = pl.when(pl.col("ticker").is_in(names[:80])).then(100).otherwise(120)
    frame.filter(pl.int_range(pl.len()).over("ticker") < ends).write_parquet(tmp_path / "bars.parquet")
    return tmp_path


def test_of_many_tickers_check_prints_some_of_each_finding_and_json_has_all(many):
    """A terminal is read by people, who do not read a thousand lines."""
    check = ["data", "check", "bars.parquet", "--market", "MKT"]
    done = nextday(*check, folder=many)
    assert done.stdout.count("20 sessions follow until") == 6
    assert re.search(r"74 more +│ ends early", done.stdout)
    lines = done.stdout.splitlines()
    assert len(lines) < 40
    excluded = [line for line in lines if "sessions would be excluded" in line]
    said = json.loads(nextday(*check, "--json", folder=many).stdout)
    assert len(said["findings"]) == 80
    every = [line for line in said["remarks"] if "sessions would be excluded" in line]
    assert every[: len(excluded)] == excluded
    assert lines[-1] == f"{len(every) - len(excluded)} more: --json shows all"


def test_show_lists_some_of_many_tickers_and_those_that_are_named(many):
    done = nextday("data", "show", "--data", "bars.parquet", folder=many)
    assert len(re.findall(r"│ T\d\d", done.stdout)) == 39
    assert "40 of 101 tickers; --tickers names others" in done.stdout
    named = nextday("data", "show", "--data", "bars.parquet", "--tickers", "T98,T99", folder=many)
    assert re.findall(r"│ (T\d\d)", named.stdout) == ["T98", "T99"]


@pytest.mark.usefixtures("one_undrawn")
def test_a_run_refuses_bad_bars_unless_told_to_drop_or_accept_them(bad):
    run = ["run", "stage1", "--data", "bars.parquet", *QUICK, "--set", "variants.ARIMA.options.max_order=1"]
    assert "BBB on " in nextday(*run, folder=bad, status=1).stderr
    dropped = nextday(*run, "--drop-bad", folder=bad)
    assert "note: left out BBB on " in dropped.stdout
    manifest = json.loads((bad / "results/stage1/manifest.json").read_text())
    assert manifest["data"]["tickers"] == ["AAA", "CCC"]
    assert manifest["study"]["drop_bad"] is True
    assert any(note.startswith("left out BBB on ") for note in manifest["notes"])
    accepted = nextday(*run, "--set", "accept=BBB", folder=bad)
    assert "left out BBB" not in accepted.stdout


@pytest.mark.usefixtures("one_undrawn")
def test_check_and_run_say_what_a_suspension_costs(tmp_path):
    frame = suspended().frame
    frame.write_parquet(tmp_path / "bars.parquet")
    first = frame.filter(ticker="AAA")["date"][100]
    said = f"BBB has no bar on 12 sessions from {first}, the longest of its 4 gaps (5 gaps in all): "
    done = nextday("data", "check", "bars.parquet", "--market", "MKT", folder=tmp_path)
    assert said + "targets and windows that span gaps would be left out\n" in done.stdout
    run = ["run", "stage1", "--data", "bars.parquet", "--market", "MKT", "--workers", "0", "--out", "results"]
    done = nextday(*run, "--set", "variants.ARIMA.options.max_order=0", folder=tmp_path)
    notes = json.loads((tmp_path / "results/stage1/manifest.json").read_text())["notes"]
    assert said + "5 targets and 78 windows that span gaps are left out" in notes
    assert "BBB has no bar on 12 sessions" in done.stdout


def test_looking_at_yahoo_fetches_nothing(tmp_path):
    done = nextday("data", "check", "yahoo", folder=tmp_path, status=1)
    assert done.stderr == "nextday: there is no snapshot of Yahoo's bars in bars; make one with nextday data fetch\n"


STUDY = """
name: mine
data: bars.parquet
market: MKT
feature_sets: {moody: [log_return, mood]}
variants: {A: {model: linear_regression, features: moody}, Zero: {model: zero, features: raw}}
also: {file: mood.csv, lag: 1}
"""


@pytest.fixture
def studied(tmp_path):
    """A study with a further file beside it, which has a value on every fifth session."""
    frame = random_walk(tickers=("AAA", "BBB", "MKT"), sessions=200, seed=4).frame
    frame.with_columns(own=pl.col("close"), note=pl.lit("x")).write_parquet(tmp_path / "bars.parquet")
    dates = frame["date"].unique().sort()[::5]
    pl.DataFrame({"date": dates, "mood": range(len(dates))}).write_csv(tmp_path / "mood.csv")
    (tmp_path / "mine.yaml").write_text(STUDY)
    return tmp_path


def wanted(folder, more="", **changes):
    (folder / "mine.yaml").write_text(STUDY.replace("lag: 1", f"lag: 1{more}"))
    return Study.load(folder / "mine.yaml", changes)


def test_check_of_a_study_says_what_its_run_would_refuse(studied):
    seen = look(wanted(studied))
    assert str(seen.refused).endswith("to carry the last known value on")
    assert len(seen.used) == 1  # the bars themselves can be used
    with pytest.raises(DataError) as error:
        forecast(wanted(studied), out=studied, workers=0)
    assert str(error.value) == str(seen.refused)
    carried = look(wanted(studied, ", fill: forward"))
    assert carried.refused is None
    assert carried.used[1].startswith("mine: 2 variants, 4 units to fit; 1 feature unchanged at 8 places ")
    assert carried.used[1].endswith("audited from data alone, as columns of the bars and further files: mood")


def test_check_of_a_study_takes_its_settings_and_says_what_they_lack(studied):
    few = look(wanted(studied, ", fill: forward", lookback="185"))
    assert "200 common sessions are too few" in str(few.refused)
    unknown = look(wanted(studied, **{"feature_sets.moody": ["log_return", "modo"]}))
    assert "unknown feature 'modo'; did you mean mood?" in str(unknown.refused)
    assert {one.column for one in look(wanted(studied, tickers="BBB")).own} == {"own", "note", "mood"}
    assert {one.ticker for one in look(wanted(studied, tickers="BBB")).own} == {"", "BBB"}


def test_check_shows_columns_of_ones_own_and_the_file_by_its_name(studied):
    done = nextday("data", "check", "mine.yaml", "--set", "tickers=AAA", folder=studied, status=1)
    table = " ".join(done.stdout.split())
    assert "further columns: bars.parquet" in table
    assert "│ mood │ AAA │ 80.0 │ 2000-01-04 │ 159 values missing after the first: refused as a feature │" in table
    assert "│ note │ │ 0.0 │ │ no number: cannot be a feature │" in table
    assert "feature mood of AAA" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "frame" not in done.stdout + done.stderr
    said = json.loads(nextday("data", "check", "bars.parquet", "--market", "none", "--json", folder=studied).stdout)
    assert said["refused"] == ""
    assert [one["ticker"] for one in said["columns"]] == ["AAA", "BBB", "MKT", ""]
    assert "3 tickers without a market on 200 common sessions" in said["remarks"][-1]


def test_many_tickers_of_which_the_same_can_be_said_are_one_row():
    names = tuple(f"T{at:02d}" for at in range(20))
    row = pl.int_range(pl.len()).over("ticker")
    frame = random_walk(tickers=names, sessions=40, seed=1).frame.with_columns(
        mood=pl.col("close"), late=pl.when(row > pl.col("ticker").str.slice(1).cast(pl.Int64)).then("close")
    )
    table = own_table(describe_own(frame), "x")
    assert len(table.rows) == 1 + 7
    assert next(iter(table.columns[1].cells)).plain == "T00, T01, T02, T03, T04, T05 and 14 more"
    assert list(table.columns[1].cells)[-1] == "14 more, with fewer missing"
    assert list(table.columns[2].cells)[1:3] == ["50.0", "47.5"]


def test_check_leaves_bad_tickers_out_when_told_to(bad):
    settings = BarsSettings(data=str(bad / "bars.parquet"), market="MKT", drop_bad=True)
    seen = look(settings)
    assert seen.refused is None
    assert seen.used[0].endswith("they can be used")
    assert "2 tickers and the market MKT" in seen.used[0]


def test_a_young_ticker_is_named_in_place_of_those_it_costs(tmp_path):
    frame = random_walk(tickers=("KO", "NEWCO", "PEP", "SPY"), sessions=300, seed=1).frame
    row = pl.int_range(pl.len()).over("ticker")
    frame.filter((pl.col("ticker") != "NEWCO") | (row >= 220)).write_parquet(tmp_path / "bars.parquet")
    seen = look(BarsSettings(data=str(tmp_path / "bars.parquet")))
    assert seen.used[1:] == [
        "NEWCO begins 2000-11-06 and costs the others 220 of 300 sessions; exclude it with --tickers, or set balance: each"
    ]


def test_convert_writes_what_was_read_so_that_no_option_is_needed_again(tmp_path):
    frame = random_walk(tickers=("KO", "PEP", "SPY"), sessions=60, seed=1).frame.with_columns(mood=pl.col("close") / 3)
    german = frame.rename({"volume": "shares"}).with_columns(
        pl.col("date").dt.strftime("%d/%m/%Y"),
        pl.col(pl.Float64).map_elements(lambda x: f"{x!r}".replace(".", ","), str),
    )
    german.drop("adj_close").write_csv(tmp_path / "bars.csv", separator=";")
    options = ["--date-format", "%d/%m/%Y", "--decimal", ",", "--adjusted", "--columns", "volume=shares"]
    done = nextday("data", "convert", "bars.csv", "out/bars.parquet", *options, folder=tmp_path)
    assert done.stdout.startswith("out/bars.parquet: 180 bars of 3 tickers, 2000-01-03 to 2000-03-24\n")
    path = tmp_path / "out" / "bars.parquet"
    form = {"date_format": "%d/%m/%Y", "decimal": ",", "adjusted": True, "columns": {"volume": "shares"}}
    assert load_bars(path).frame.equals(load_bars(tmp_path / "bars.csv", **form).frame)
    assert load_bars(path).frame.drop("mood", strict=False).equals(frame.drop("mood"))
    again = nextday("data", "convert", "out/bars.parquet", "out/bars.parquet", folder=tmp_path, status=1)
    assert again.stderr == "nextday: out/bars.parquet is there already; --force writes over it\n"
    nextday("data", "convert", "out/bars.parquet", "out/bars.parquet", "--force", "--tickers", "KO", folder=tmp_path)
    assert load_bars(path).tickers == ["KO", "SPY"]


def test_convert_refuses_what_a_run_refuses(bad):
    refused = nextday("data", "convert", "bars.parquet", "good.parquet", "--market", "MKT", folder=bad, status=1)
    assert "BBB on " in refused.stderr
    assert not (bad / "good.parquet").exists()
    done = nextday("data", "convert", "bars.parquet", "good.parquet", "--market", "MKT", "--drop-bad", folder=bad)
    assert "note: left out BBB on " in " ".join(done.stdout.split())
    assert load_bars(bad / "good.parquet", market="MKT").tickers == ["AAA", "CCC", "MKT"]


def test_check_takes_a_preset_with_other_bars_and_says_that_files_have_no_data_option(studied):
    done = nextday("data", "check", "stage2", "--data", "bars.parquet", "--market", "MKT", folder=studied)
    assert "stage2: 3 variants, 18 units to fit; " in " ".join(done.stdout.split())
    refused = nextday("data", "check", "bars.parquet", "--data", "bars.parquet", folder=studied, status=1)
    assert refused.stderr.startswith("nextday: --data is for a study; bars.parquet names bars, or is no study")
    set_to = nextday(
        "data", "check", "bars.parquet", "--set", "market=MKT", "--set", "colums=x", folder=studied, status=2
    )
    assert "unknown key 'colums'; did you mean columns?" in set_to.stderr
