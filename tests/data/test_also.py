"""Further files beside the bars: when a value is known, what is carried on, what is refused."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from nextday.data import load, random_walk
from nextday.data.also import join_also
from nextday.errors import DataError, StudyError
from nextday.settings import Also, BarsSettings
from nextday.study import Study

MONDAY = date(2000, 1, 3)


@pytest.fixture
def bars():
    """Two weeks of weekdays for KO and SPY; KO has no bar on the second day."""
    frame = random_walk(tickers=("KO", "SPY"), sessions=10, seed=1).frame
    return frame.filter((pl.col("ticker") != "KO") | (pl.col("date") != MONDAY + timedelta(1)))


def join(bars, table, tmp_path, name="more.csv", **settings):
    path = tmp_path / name
    table.write_parquet(path) if name.endswith("parquet") else table.write_csv(path)
    return join_also(bars, [Also(file=str(path), **({"lag": 0} | settings))])


def column(joined, name="x", ticker="KO"):
    """Values of a ticker by day of the month."""
    own = joined.filter(ticker=ticker)
    return {day.day: value for day, value in zip(own["date"], own[name], strict=True) if value is not None}


def days(*numbers):
    return [date(2000, 1, number) for number in numbers]


def brute_force(bars, values, ticker, lag, fill, limit):
    """The same by loops over one ticker: where each value falls, the latest of a session, then on."""
    sessions = sorted(bars.filter(ticker=ticker)["date"])
    known = {}
    for day, value in sorted(values):
        at = next((at for at, session in enumerate(sessions) if session >= day), None)
        if at is not None and at + lag < len(sessions):
            known[at + lag] = value
    found = {}
    for at, session in enumerate(sessions):
        back = [k for k in known if k <= at and (k == at or (fill == "forward" and (limit is None or at - k <= limit)))]
        if back:
            found[session.day] = known[max(back)]
    return found


@pytest.mark.parametrize("lag", [0, 1, 3])
@pytest.mark.parametrize(("fill", "limit"), [("none", None), ("forward", None), ("forward", 1), ("forward", 2)])
@pytest.mark.parametrize("macro", [True, False])
def test_values_are_known_where_loops_say(bars, tmp_path, lag, fill, limit, macro):
    rng = np.random.default_rng(lag)
    for trial in range(3):
        drawn = {ticker: sorted(rng.choice(range(-3, 14), 6, replace=False)) for ticker in ("KO", "SPY")}
        if macro:
            drawn["SPY"] = drawn["KO"]
        rows = [(ticker, MONDAY + timedelta(int(day)), 10.0 * day) for ticker, at in drawn.items() for day in at]
        table = pl.DataFrame(rows, schema=["ticker", "date", "x"], orient="row").sample(
            fraction=1, shuffle=True, seed=trial
        )
        table = table.filter(ticker="KO").drop("ticker") if macro else table
        joined, _, _ = join(bars, table, tmp_path, lag=lag, fill=fill, limit=limit)
        for ticker in ("KO", "SPY"):
            values = [(day, x) for name, day, x in rows if name == ticker]
            assert column(joined, ticker=ticker) == brute_force(bars, values, ticker, lag, fill, limit)


def test_a_value_of_a_weekend_is_known_at_the_close_of_monday_and_the_latest_wins(bars, tmp_path):
    table = pl.DataFrame({"date": days(8, 9, 7), "x": [1.0, 2.0, 3.0]})  # Saturday, Sunday, Friday
    assert column(join(bars, table, tmp_path)[0]) == {7: 3.0, 10: 2.0}
    assert column(join(bars, table, tmp_path, lag=1)[0]) == {10: 3.0, 11: 2.0}


def test_sessions_are_those_of_the_ticker_itself(bars, tmp_path):
    table = pl.DataFrame({"date": days(3), "x": [1.0]})
    joined, _, _ = join(bars, table, tmp_path, lag=1)
    assert column(joined, ticker="SPY") == {4: 1.0}
    assert column(joined, ticker="KO") == {5: 1.0}  # it has no bar on the 4th


def test_a_missing_value_is_none_and_each_column_has_its_own(bars, tmp_path):
    table = pl.DataFrame({"date": days(3, 8, 9), "x": [1.0, 2.0, None], "y": [None, None, 5.0]})
    joined, _, _ = join(bars, table, tmp_path)
    assert column(joined, "x") == {3: 1.0, 10: 2.0}  # Sunday has none, so that Saturday's is the latest
    assert column(joined, "y") == {10: 5.0}


def test_bars_keep_their_rows_whatever_their_order(bars, tmp_path):
    table = pl.DataFrame({"date": days(3), "x": [1.0]})
    shuffled = bars.sample(fraction=1, shuffle=True, seed=0)
    joined, origins, _ = join(shuffled, table, tmp_path)
    assert joined.drop("x").equals(shuffled)
    assert str(origins["x"]) == "more.csv, lag 0"


def test_text_columns_are_left_out_with_a_note_and_lone_points_are_missing(bars, tmp_path):
    table = pl.DataFrame({"DATE": ["2000-01-03", "2000-01-04"], "headline": ["up", "2000"], "DGS10": ["6.5", "."]})
    joined, _, notes = join(bars, table, tmp_path)
    assert column(joined, "DGS10", "SPY") == {3: 6.5}
    assert "headline" not in joined.columns
    assert notes == [f"{tmp_path / 'more.csv'}: column headline, which holds no numbers, left out"]


def test_dates_and_numbers_are_read_by_the_readers_of_bars(bars, tmp_path):
    table = pl.DataFrame({"day": ["03/01/2000", "04/01/2000"], "x": ["1,5", "2,5"], "note": ["a", "b"]})
    path = tmp_path / "more.csv"
    table.write_csv(path, separator=";")
    settings = {"file": str(path), "lag": 0, "columns": {"date": "day"}}
    with pytest.raises(DataError, match=r"also: .*more.csv: row 1: x '1,5' is not a number.*decimal: , \(a key beside"):
        join_also(bars, [Also(**settings)])
    with pytest.raises(DataError, match=r"say which form it has: date_format: %d/%m/%Y or %m/%d/%Y \(a key beside its"):
        join_also(bars, [Also(**settings, decimal=",")])
    joined, _, _ = join_also(bars, [Also(**settings, decimal=",", date_format="%d/%m/%Y")])
    assert column(joined, ticker="SPY") == {3: 1.5, 4: 2.5}


def test_columns_are_taken_under_names_of_ones_own(bars, tmp_path):
    table = pl.DataFrame({"date": days(3), "Close": [20.0], "Open": [19.0], "x": [1.0]})
    joined, _, _ = join(bars, table, tmp_path, columns={"vix": "Close"})
    assert joined.columns == [*bars.columns, "vix"]
    with pytest.raises(DataError, match=r"also: .*: a column Close is in the bars, too; .*: columns: {NAME: Close}"):
        join(bars, table, tmp_path)
    with pytest.raises(DataError, match=r"there is no column 'Shut' to take as vix; the file has date, Close, Open, x"):
        join(bars, table, tmp_path, columns={"vix": "Shut"})


def test_a_column_of_two_files_is_refused(bars, tmp_path):
    table = pl.DataFrame({"date": days(3), "x": [1.0]})
    files = [tmp_path / "a.csv", tmp_path / "b.parquet"]
    table.write_csv(files[0])
    table.write_parquet(files[1])
    with pytest.raises(DataError, match=r"also: .*b.parquet: a column x is in .*a.csv, too"):
        join_also(bars, [Also(file=str(file), lag=0) for file in files])


def test_tickers_that_bars_do_not_have_are_counted_and_none_in_common_is_refused(bars, tmp_path):
    table = pl.DataFrame({"date": days(3, 3, 3), "ticker": ["KO", "PEP", "MCD"], "x": [1.0, 2.0, 3.0]})
    _, _, notes = join(bars, table, tmp_path)
    assert notes == [f"{tmp_path / 'more.csv'}: 2 of 3 tickers are not in the bars: MCD, PEP"]
    with pytest.raises(DataError, match=r"none of its tickers \(MCD, PEP\) is in the bars \(KO, SPY\)"):
        join(bars, table[1:], tmp_path)


@pytest.mark.parametrize("year", [1990, 2010])
def test_no_date_in_common_is_refused(bars, tmp_path, year):
    table = pl.DataFrame({"date": [date(year, 1, 3)], "x": [1.0]})
    with pytest.raises(
        DataError, match=rf"is of {year}-01-03 to {year}-01-03, the bars are of 2000-01-03 to 2000-01-14"
    ):
        join(bars, table, tmp_path)


def test_a_lag_beyond_the_bars_is_refused(bars, tmp_path):
    with pytest.raises(DataError, match="no value of x is known on any session of the bars, with lag 10"):
        join(bars, pl.DataFrame({"date": days(3), "x": [1.0]}), tmp_path, lag=10)


def test_a_column_that_only_strangers_have_is_refused(bars, tmp_path):
    table = pl.DataFrame({"date": days(3, 3), "ticker": ["KO", "PEP"], "x": [1.0, None], "y": [None, 2.0]})
    with pytest.raises(DataError, match="no value of y is known on any session of the bars, with lag 0"):
        join(bars, table, tmp_path)


def test_two_values_of_a_day_are_refused_and_equal_ones_taken_once(bars, tmp_path):
    table = pl.DataFrame({"date": days(3, 3), "ticker": ["KO", "KO"], "x": [1.0, 2.0]})
    with pytest.raises(DataError, match="x of KO has several values on 2000-01-03, such as 1 and 2; keep one a day"):
        join(bars, table, tmp_path)
    with pytest.raises(DataError, match="more.csv: x has several values on 2000-01-03, such as 1 and 2"):
        join(bars, table.drop("ticker"), tmp_path)
    assert column(join(bars, table.with_columns(x=1.0), tmp_path)[0]) == {3: 1.0}


def test_a_value_without_its_date_or_ticker_is_refused_and_a_row_without_a_value_is_none(bars, tmp_path):
    table = pl.DataFrame({"date": ["2000-01-03", "Source: me"], "ticker": ["KO", ""], "x": [1.0, None]})
    assert column(join(bars, table, tmp_path)[0]) == {3: 1.0}
    with pytest.raises(DataError, match="row 2 has a value but no ticker"):
        join(bars, table.with_columns(x=1.0, date=pl.lit("2000-01-03")), tmp_path)


def test_what_is_no_table_is_one_line(bars, tmp_path):
    with pytest.raises(DataError, match="also: .*nowhere.csv does not exist; its path is relative to the study's file"):
        join_also(bars, [Also(file=str(tmp_path / "nowhere.csv"), lag=0)])
    with pytest.raises(DataError, match="no column date; the file has day, x; name yours: columns: {date: NAME}"):
        join(bars, pl.DataFrame({"day": days(3), "x": [1.0]}), tmp_path)
    with pytest.raises(DataError, match="no column of numbers beside the date; it has date, x"):
        join(bars, pl.DataFrame({"date": days(3), "x": ["up"]}), tmp_path)


STUDY = "name: mine\ndata: bars.parquet\nvariants: {A: {model: zero, features: raw}}\n"


@pytest.mark.parametrize(
    ("also", "says"),
    [
        (
            "{file: x.csv}",
            "also.0: .*x.csv needs lag, the sessions that pass before a value is known: lag: 0 is known at",
        ),
        ("{file: x.csv, lag: -1}", "also.0.lag: expected at least 0, got '?-1'?"),
        ("{file: x.csv, lag: 1, limit: 5}", "limit is of values that are carried on; it needs fill: forward"),
        ("{file: x.csv, lag: 1, lags: 5}", "unknown key 'also.0.lags'; did you mean lag"),
    ],
)
def test_settings_that_mean_nothing_are_refused(tmp_path, also, says):
    (tmp_path / "mine.yaml").write_text(f"{STUDY}also: [{also}]\n")
    with pytest.raises(StudyError, match=says):
        Study.load(tmp_path / "mine.yaml")


def test_files_are_found_beside_the_study_and_again_from_its_folder(bars, tmp_path, monkeypatch):
    (tmp_path / "mine.yaml").write_text(f"{STUDY}also: {{file: more.csv, lag: 1, fill: forward, limit: 5}}\n")
    bars.write_parquet(tmp_path / "bars.parquet")
    pl.DataFrame({"date": days(3), "x": [1.0]}).write_csv(tmp_path / "more.csv")
    study = Study.load(tmp_path / "mine.yaml")
    loaded = load(study)
    assert column(loaded.frame) == dict.fromkeys((5, 6, 7, 10, 11, 12), 1.0)
    assert str(loaded.joined["x"]) == "more.csv, lag 1, fill forward, limit 5"
    folder = tmp_path / "results" / "mine"
    folder.mkdir(parents=True)
    (folder / "study.yaml").write_text(study.written(folder))
    assert "file: ../../more.csv" in (folder / "study.yaml").read_text()
    again = Study.load(folder / "study.yaml")
    assert load(again).frame.equals(loaded.frame)
    assert again.also[0].model_dump(exclude={"file"}) == study.also[0].model_dump(exclude={"file"})


def test_bars_beside_the_study_are_taken_where_there_are_none_in_the_working_directory(bars, tmp_path, monkeypatch):
    (tmp_path / "mine.yaml").write_text(STUDY)
    assert Study.load(tmp_path / "mine.yaml").data == "bars.parquet"  # nowhere: named as written
    bars.write_parquet(tmp_path / "bars.parquet")
    assert Study.load(tmp_path / "mine.yaml").data == str(tmp_path / "bars.parquet")
    assert Study.load(tmp_path / "mine.yaml", {"data": "other.parquet"}).data == "other.parquet"
    work = tmp_path / "work"
    work.mkdir()
    bars.write_parquet(work / "bars.parquet")
    monkeypatch.chdir(work)
    assert Study.load("../mine.yaml").data == "bars.parquet"


def test_bars_of_a_program_get_the_columns_too(bars, tmp_path):
    pl.DataFrame({"date": days(3), "x": [1.0]}).write_csv(tmp_path / "more.csv")
    settings = BarsSettings(also=({"file": str(tmp_path / "more.csv"), "lag": 0},))
    assert column(load(settings, bars).frame) == {3: 1.0}
