"""The command line of bars: what it shows, what it refuses, and what a run leaves out only when told to."""

import json
import re

import polars as pl
import pytest

from nextday.data import random_walk
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
    assert done.stderr.startswith("nextday: bars.parquet: bars of BBB cannot be used; mend them, or leave")
    assert done.stderr.endswith("with --drop-bad, or say that jumps are real with --set accept=BBB\n")
    assert done.stderr.count("\n") == 1


def test_check_can_accept_fail_on_any_finding_and_speak_json(bad):
    check = ["data", "check", "bars.parquet", "--market", "MKT", "--accept", "BBB"]
    assert "3 tickers and the market MKT on 111 common sessions" in nextday(*check, folder=bad).stdout
    assert "findings, and --strict fails on any" in nextday(*check, "--strict", folder=bad, status=1).stderr
    said = json.loads(nextday(*check, "--json", "--exchange", "XNYS", folder=bad).stdout)
    assert {finding["rule"] for finding in said["findings"]} == {"ends early", "not a session"}
    assert said["findings"][0].keys() == {"ticker", "rule", "on", "bars", "evidence", "fatal"}


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


def test_looking_at_yahoo_fetches_nothing(tmp_path):
    done = nextday("data", "check", "yahoo", folder=tmp_path, status=1)
    assert done.stderr == "nextday: there is no snapshot of Yahoo's bars in bars; make one with nextday data fetch\n"


def test_all_survivors_are_remarked(tmp_path):
    assert "none went under or was delisted" in nextday("data", "check", folder=tmp_path).stdout
