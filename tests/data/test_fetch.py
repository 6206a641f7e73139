"""Fetching: patience, what stays on disk, and the one line that says what is wrong."""

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest

from nextday.data import load_bars
from nextday.data.fetch import fetch
from nextday.data.snapshot import verify_snapshot
from nextday.data.yahoo.client import Unreachable
from nextday.data.yahoo.preset import TICKERS, latest_snapshot, yahoo_snapshot
from nextday.errors import DataError, OutputError

FIRST, LAST, NOW = date(2024, 1, 2), date(2024, 1, 31), datetime(2024, 6, 3, 15, tzinfo=UTC)
OFFLINE = Unreachable("query2.finance.yahoo.com cannot be reached (no DNS)")


def answer(ticker="KO", level=100.0):
    index = pd.bdate_range(FIRST, LAST, name="Date")
    close = level + len(ticker) + np.sin(np.arange(len(index)))
    prices = {"Open": close, "High": close + 1, "Low": close - 1, "Close": close, "Adj Close": 0.9 * close}
    return pd.DataFrame(prices | {"Volume": 1000, "Dividends": 0.0, "Stock Splits": 0.0}, index=index)


class Replay:
    """A source that gives what was planned for a ticker, one answer after the other, then good ones."""

    name, host, version = "replay", "query2.finance.yahoo.com", "replay 1"

    def __init__(self, **plans):
        self.plans = {ticker: list(plan) for ticker, plan in plans.items()}
        self.calls = []

    def history(self, ticker, start, end):
        self.calls.append(ticker)
        assert (start, end) == (FIRST, LAST)
        plan = self.plans.get(ticker, [])
        given = plan.pop(0) if plan else answer(ticker)
        if isinstance(given, BaseException):
            raise given
        return given


@pytest.fixture
def ask(tmp_path):
    def call(source, *tickers, **options):
        pauses = []
        settings = {
            "start": FIRST, "end": LAST, "folder": tmp_path, "random": 1, "now": lambda: NOW, "pause": pauses.append,
        }  # fmt: skip
        call.pauses = pauses
        return fetch(tickers or ("KO", "SPY"), source=source, **(settings | options))

    return call


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def refusal(ask, *args, kind=DataError, **options):
    with pytest.raises(kind) as caught:
        ask(*args, **options)
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_a_snapshot_holds_every_ticker_and_says_what_it_is(ask, tmp_path):
    source = Replay()
    path = ask(source, "SPY", "ko", "KO")
    assert source.calls == ["SPY", "SPY", "KO", "KO"]
    bars, manifest = pl.read_parquet(path), verify_snapshot(path)
    assert bars["ticker"].unique().sort().to_list() == manifest["tickers"] == ["KO", "SPY"]
    assert bars.equals(bars.sort("ticker", "date"))
    assert (manifest["start"], manifest["end"], manifest["rows"]) == ("2024-01-02", "2024-01-31", 44)
    assert (manifest["source"], manifest["version"]) == ("replay", "replay 1")
    assert (manifest["time"], manifest["notes"]) == ("2024-06-03T15:00:00Z", [])
    assert manifest["settings"] == {"twice": True, "accept": []}
    assert files(tmp_path) == [path.with_suffix(".json").name, path.name]  # the parts are gone
    assert ask.pauses == []


def test_once_asks_once(ask):
    source = Replay()
    assert verify_snapshot(ask(source, twice=False))["settings"]["twice"] is False
    assert source.calls == ["KO", "SPY"]


def test_reports_become_notes(ask):
    bars = answer()
    bars.iloc[3, bars.columns.get_loc("Volume")] = 0
    assert verify_snapshot(ask(Replay(KO=[bars, bars])))["notes"] == ["KO on 2024-01-05: no volume"]


def test_two_answers_that_differ_are_refused(ask):
    changed = answer()
    changed.iloc[4, changed.columns.get_loc("Close")] += 0.25
    said = refusal(ask, Replay(KO=[answer(), changed]))
    assert "1 of 2 tickers failed: KO (two downloads differ: first on 2024-01-08: close" in said
    assert "; 1 values on 1 days in all)" in said


@pytest.mark.parametrize("error", [OFFLINE, DataError("KO: answered with an error (Too Many Requests)")])
def test_errors_are_asked_again_after_growing_random_pauses(ask, error):
    source = Replay(KO=[error, error, error])
    ask(source, attempts=4)
    assert source.calls == ["KO"] * 5 + ["SPY"] * 2
    drawn = ask.pauses
    assert len(drawn) == 3
    ask(Replay(KO=[error, error, error]), random=1)
    assert ask.pauses == drawn


def test_pauses_are_anything_up_to_a_bound_that_doubles(ask):
    many = []
    for seed in range(40):
        refusal(ask, Replay(KO=[OFFLINE] * 4), random=seed, kind=Unreachable)
        many.append(ask.pauses)
    many = np.array(many)
    assert (many >= 0).all()
    for attempt, bound in enumerate([2, 4, 8]):
        assert 0.8 * bound < many[:, attempt].max() <= bound
        assert many[:, attempt].min() < 0.2 * bound


def test_pauses_are_bounded(ask):
    ask(Replay(KO=[OFFLINE] * 19), attempts=20)
    assert 30 < max(ask.pauses) <= 60


def test_an_answer_is_not_asked_again(ask):
    source = Replay(KO=[answer().iloc[:0]] * 4)
    refusal(ask, source)
    assert source.calls == ["KO", "KO", "SPY", "SPY"]
    assert ask.pauses == []


def test_failed_tickers_are_named_in_one_line_and_the_others_kept(ask, tmp_path):
    empty = answer().iloc[:0]
    source = Replay(BAD=[empty, empty], WORSE=[DataError("WORSE: odd\n\x1b[2J" + "x " * 900)] * 4)
    said = refusal(ask, source, "KO", "BAD", "SPY", "WORSE")
    assert said.startswith("2 of 4 tickers failed: BAD (no bars came back for 2024-01-02 to 2024-01-31; check")
    assert "; WORSE (odd [2Jx x x" in said
    assert len(said) < 800
    assert "the other 2 are kept in " in said
    assert said.endswith("try again, or leave such tickers out with --drop-bad")
    again = Replay()
    assert verify_snapshot(ask(again, "KO", "BAD", "SPY"))["tickers"] == ["BAD", "KO", "SPY"]
    assert again.calls == ["BAD", "BAD"]
    assert len(files(tmp_path)) == 2


def test_bad_tickers_are_dropped_on_demand_and_noted(ask):
    empty = answer().iloc[:0]
    manifest = verify_snapshot(ask(Replay(BAD=[empty, empty]), "KO", "BAD", "SPY", on_problem="drop"))
    assert manifest["tickers"] == ["KO", "SPY"]
    assert manifest["notes"][0].startswith("BAD was left out: no bars came back")
    assert "1 of 1 tickers failed" in refusal(ask, Replay(BAD=[empty, empty]), "BAD", on_problem="drop")


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), RuntimeError("a bug"), OFFLINE])
def test_an_interrupted_fetch_goes_on_where_it_stopped(ask, tmp_path, stop):
    tickers = ("AAPL", "KO", "MSFT", "SPY")
    with pytest.raises(type(stop)):
        ask(Replay(MSFT=[answer("MSFT"), stop]), *tickers, attempts=1)
    assert [name.split("/")[1] for name in files(tmp_path)] == ["AAPL.json", "AAPL.parquet", "KO.json", "KO.parquet"]
    seen = []
    source = Replay()
    resumed = ask(
        source, *tickers, watch=lambda fetched, total: (seen.append((total, each)) or each for each in fetched)
    )
    assert source.calls == ["MSFT", "MSFT", "SPY", "SPY"]
    assert [(total, each.unit, each.reused) for total, each in seen] == [
        (4, "AAPL", True), (4, "KO", True), (4, "MSFT", False), (4, "SPY", False),
    ]  # fmt: skip
    bars = pl.read_parquet(resumed)
    assert bars.equals(pl.read_parquet(ask(Replay(), *tickers)))


@pytest.mark.parametrize("damage", ["cut", "no manifest", "other ticker"])
def test_a_damaged_part_is_fetched_again(ask, tmp_path, damage):
    with pytest.raises(KeyboardInterrupt):
        ask(Replay(SPY=[KeyboardInterrupt()]), "AAPL", "KO", "SPY")
    part = next(tmp_path.rglob("KO.parquet"))
    if damage == "cut":
        part.write_bytes(part.read_bytes()[:-9])
    elif damage == "no manifest":
        part.with_suffix(".json").unlink()
    else:
        for suffix in (".parquet", ".json"):
            part.with_suffix(suffix).write_bytes(part.with_name(f"AAPL{suffix}").read_bytes())
    source = Replay()
    path = ask(source, "AAPL", "KO", "SPY")
    assert source.calls == ["KO", "KO", "SPY", "SPY"]
    assert pl.read_parquet(path)["ticker"].n_unique() == 3


def test_parts_serve_only_the_request_they_were_fetched_for(ask):
    with pytest.raises(KeyboardInterrupt):
        ask(Replay(SPY=[KeyboardInterrupt()]))
    source = Replay()
    ask(source, twice=False)
    assert source.calls == ["KO", "SPY"]


def test_while_its_end_is_not_over_a_request_is_that_of_the_day(ask, tmp_path):
    for hour, calls in ((15, ["KO", "SPY"]), (16, ["SPY"]), (40, ["KO", "SPY"])):
        source = Replay(SPY=[KeyboardInterrupt()])
        now = datetime(2024, 1, 30 + hour // 24, hour % 24, tzinfo=UTC)
        with pytest.raises(KeyboardInterrupt):
            ask(source, twice=False, now=lambda now=now: now)
        assert source.calls == calls


def test_an_accepted_jump_does_not_pass_a_stricter_fetch(ask):
    jump = answer()
    jump.iloc[:5, :5] *= 2
    assert "looks like 2:1" in refusal(ask, Replay(KO=[jump, jump]))
    with pytest.raises(KeyboardInterrupt):
        ask(Replay(KO=[jump, jump], ZZZ=[KeyboardInterrupt()]), "KO", "SPY", "ZZZ", accept=["KO"])
    assert "looks like 2:1" in refusal(ask, Replay(KO=[jump, jump]))
    source = Replay()
    notes = verify_snapshot(ask(source, accept=["ko"]))["notes"]
    assert source.calls == []
    assert len(notes) == 1
    assert notes[0].endswith("looks like 2:1; kept")


def test_without_a_network_one_line_says_what_is_there_and_the_way_out(ask, tmp_path):
    assert refusal(ask, Replay(KO=[OFFLINE] * 4), kind=Unreachable) == (
        "query2.finance.yahoo.com cannot be reached (no DNS); 0 of 2 tickers are there already; "
        "go on where there is a network, or use --data sample or --data with a file of bars"
    )
    assert len(ask.pauses) == 3
    path = ask(Replay())
    source = Replay(SPY=[OFFLINE] * 4)
    said = refusal(ask, source, kind=Unreachable)
    assert f"(no DNS); 1 of 2 tickers are there already: KO; --data {path} is an earlier snapshot; go on" in said
    assert source.calls == ["KO"] * 2 + ["SPY"] * 4


def test_the_first_missing_answer_ends_the_fetch(ask):
    source = Replay(KO=[OFFLINE] * 9, SPY=[OFFLINE] * 9)
    refusal(ask, source, kind=Unreachable, on_problem="drop")
    assert source.calls == ["KO"] * 4


@pytest.mark.parametrize(
    "ticker", ["../../etc/x", "/etc/x", "..", ".", "^GSPC", "BRK/B", "BRK.B", "A%2FB", "~", "a\\b"]
)
def test_no_ticker_leads_out_of_the_folder(ask, tmp_path, ticker):
    folder = tmp_path / "in"
    with pytest.raises(KeyboardInterrupt):
        ask(Replay(SPY=[KeyboardInterrupt()]), ticker, "A/B", "SPY", folder=folder)
    parts = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(parts) == 4
    assert len({path.parent for path in parts}) == 1
    assert parts[0].parent.parent == folder
    source = Replay()
    path = ask(source, ticker, "A/B", "SPY", folder=folder)
    assert source.calls == ["SPY", "SPY"]
    assert ticker.upper() in pl.read_parquet(path)["ticker"].to_list()
    assert {file.parent for file in tmp_path.rglob("*") if file.is_file()} == {folder}


@pytest.mark.parametrize(
    ("tickers", "says"),
    [(["KO", " "], "is not a ticker"), (["K\nO"], "is not a ticker"), (["K" * 99], "is not a ticker")],
)
def test_what_is_no_ticker_is_refused_before_anything_is_asked(ask, tickers, says):
    source = Replay()
    assert says in refusal(ask, source, *tickers)
    assert source.calls == []


def test_a_request_for_nothing_is_refused(ask, tmp_path):
    with pytest.raises(DataError, match="there is no ticker to fetch"):
        fetch([], start=FIRST, end=LAST, source=Replay(), folder=tmp_path)
    assert "there is no day from 2024-02-01 to 2024-01-31" in refusal(ask, Replay(), start=date(2024, 2, 1))


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_asked(ask, tmp_path):
    (tmp_path / "file").touch()
    source = Replay()
    refusal(ask, source, folder=tmp_path / "file" / "in", kind=OutputError)
    assert source.calls == []


def test_the_preset_is_fetched_once_and_other_tickers_are_not_taken_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr("nextday.data.yahoo.preset.START", FIRST)
    monkeypatch.setattr("nextday.data.yahoo.preset.END", LAST)
    source = Replay()
    source.name = "yahoo"
    assert latest_snapshot(tmp_path) is None
    other = fetch(["KO", "SPY"], start=FIRST, end=LAST, source=source, folder=tmp_path, now=lambda: NOW)
    assert other.name.startswith("yahoo_2024-01-02_2024-01-31_")
    assert latest_snapshot(tmp_path) is None
    path = yahoo_snapshot(tmp_path, source=source)
    calls = len(source.calls)
    assert yahoo_snapshot(tmp_path, source=source) == latest_snapshot(tmp_path) == path
    assert len(source.calls) == calls
    bars = load_bars(path)
    assert bars.tickers == sorted(TICKERS)
    assert "split" in bars.frame.columns
