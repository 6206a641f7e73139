"""Bars as people have them: what is accepted, and the one line that answers each defect."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest

from nextday.data import COLUMNS, align, load_bars, random_walk
from nextday.errors import DataError


@pytest.fixture
def frame():
    return random_walk(tickers=("KO", "SPY"), sessions=30, seed=1).frame


def defect(frame, name, value, row=7, ticker="KO"):
    at = (pl.int_range(pl.len()).over("ticker") == row) & (pl.col("ticker") == ticker)
    return frame.with_columns(pl.when(at).then(value).otherwise(name).alias(name))


def test_the_sample_is_eleven_tickers_and_the_market():
    panel = align(load_bars("sample"))
    assert len(panel.tickers) == 11
    assert panel.market == "SPY"
    assert "SPY" not in panel.tickers
    assert len(panel.dates) == 3169
    assert (str(panel.dates[0]), str(panel.dates[-1])) == ("2000-02-01", "2012-09-12")


def test_a_damaged_sample_is_refused(monkeypatch):
    monkeypatch.setattr("nextday.data.sources.SAMPLE_SHA256", "0" * 64)
    with pytest.raises(DataError, match="the embedded sample is damaged"):
        load_bars("sample")


@pytest.mark.parametrize("kind", ["parquet", "csv", "folder", "polars", "pandas", "pandas by date"])
def test_every_door_gives_the_same_bars(frame, tmp_path, kind):
    path = tmp_path / f"bars.{kind}"
    if kind == "parquet":
        frame.write_parquet(path)
    elif kind == "csv":
        frame.write_csv(path)
    elif kind == "folder":
        path.mkdir()
        frame.filter(pl.col("ticker") == "KO").drop("ticker").write_csv(path / "KO.csv")
        frame.filter(pl.col("ticker") == "SPY").drop("ticker").write_parquet(path / "SPY.parquet")
    source = {
        "polars": frame, "pandas": frame.to_pandas(), "pandas by date": frame.to_pandas().set_index("date"),
    }.get(kind, path)  # fmt: skip
    assert load_bars(source).frame.select(COLUMNS).equals(frame.select(COLUMNS))


def test_columns_are_found_whatever_their_case_and_spacing(frame):
    names = {"adj_close": "Adj Close", "date": "Date", "ticker": "Symbol", "open": "OPEN", "volume": " Volume "}
    assert load_bars(frame.rename(names)).frame.equals(load_bars(frame).frame)
    with pytest.raises(DataError, match="columns 'adj_close' and 'Adj Close' both read as adj_close"):
        load_bars(frame.with_columns(pl.col("adj_close").alias("Adj Close")))


def test_tickers_stay_text(tmp_path):
    tickers = ("NA", "NO", "ON", "SPY", "TRUE", "123", "1e5", "nan")
    frame = random_walk(tickers=tickers, sessions=5, seed=0).frame
    frame.write_csv(tmp_path / "bars.csv")
    assert load_bars(tmp_path / "bars.csv").tickers == sorted(tickers)
    assert load_bars(frame.to_pandas()).tickers == sorted(tickers)


def test_a_ticker_that_pandas_lost_is_missing_not_nan(frame):
    lost = frame.to_pandas()
    lost.loc[3, "ticker"] = np.nan
    with pytest.raises(DataError, match=r"ticker is missing in 1 rows; first: row 4 \(date 2000-01-06\); pandas reads"):
        load_bars(lost)


def test_other_columns_are_kept_numbers_as_possible_features_and_texts_to_be_named(frame):
    more = frame.with_columns(signal=pl.col("close") * 2, note=pl.lit("x"), monday=pl.col("close") > 0)
    assert load_bars(more).frame.columns == [*COLUMNS, "signal", "note", "monday"]


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), 0.0, -1.5])
@pytest.mark.parametrize("name", ["open", "high", "low", "close", "adj_close"])
def test_a_price_that_is_not_a_positive_number_is_named(frame, name, value):
    shown = "missing" if value is None or np.isnan(value) else value
    with pytest.raises(DataError, match=rf"frame: KO on 2000-01-12: {name} {shown} is not a positive number.*; fix"):
        load_bars(defect(frame, name, value))


def test_a_negative_volume_is_named(frame):
    with pytest.raises(DataError, match=r"KO on 2000-01-12: volume -5.0 is not a number from 0 up"):
        load_bars(defect(frame, "volume", -5.0))


def test_a_high_below_the_low_is_named(frame):
    with pytest.raises(DataError, match=r"KO on 2000-01-12: high 1.0 is below the low \d+"):
        load_bars(defect(frame, "high", 1.0))


def test_a_missing_date_is_named(frame):
    with pytest.raises(DataError, match=r"date is missing in 1 rows; first: row 8 \(ticker KO\)"):
        load_bars(defect(frame, "date", None))


def test_a_missing_date_is_named_beside_a_bar_given_twice(frame):
    twice = pl.concat([frame.with_columns(date=pl.when(pl.int_range(pl.len()) != 7).then("date")), frame.tail(1)])
    with pytest.raises(DataError, match=r"date is missing in 1 rows; first: row 8"):
        load_bars(twice)


def test_a_date_given_twice_is_named(frame):
    with pytest.raises(DataError, match=r"KO on 2000-01-11: more than one bar"):
        load_bars(defect(frame, "date", datetime.date(2000, 1, 11)))


def test_dates_that_go_back_are_named(frame):
    with pytest.raises(DataError, match=r"the date goes back, it follows 2000-02-"):
        load_bars(frame.sample(fraction=1.0, shuffle=True, seed=2))


def test_text_that_is_no_number_or_date_is_named_with_its_row(frame, tmp_path):
    text = frame.cast(pl.String)
    defect(text, "volume", pl.lit("many")).write_csv(tmp_path / "a.csv")
    with pytest.raises(DataError, match=r"a.csv: row 8: volume 'many' is not a number"):
        load_bars(tmp_path / "a.csv")
    defect(text, "date", pl.lit("12/31/2000")).write_csv(tmp_path / "b.csv")
    with pytest.raises(DataError, match=r"b.csv: row 8: '12/31/2000' is not a date of the form 2010-01-31"):
        load_bars(tmp_path / "b.csv")


def test_files_that_are_not_bars_are_refused(tmp_path):
    (tmp_path / "a.parquet").write_text("not parquet")
    (tmp_path / "b.csv").write_text("date,close\n2000-01-03,5\n")
    (tmp_path / "c.csv").write_text("")
    (tmp_path / "d.xlsx").write_text("")
    (tmp_path / "e.csv").write_text(",".join(COLUMNS) + "\n")
    (tmp_path / "empty").mkdir()
    for name, says in {
        "a.parquet": "a.parquet cannot be read as parquet", "b.csv": "b.csv: no column open, high, low, adj_close, volume; the file has date, close; name yours: --columns open=NAME",
        "c.csv": "c.csv cannot be read as csv", "d.xlsx": "d.xlsx cannot be read as xlsx|Excel files need another package", "e.csv": "e.csv: no rows",
        "empty": "holds no table of bars", "nowhere": "does not exist",
    }.items():  # fmt: skip
        with pytest.raises(DataError, match=says):
            load_bars(tmp_path / name)
    with pytest.raises(DataError, match="bars must be a path, a Polars frame or a pandas frame, not list"):
        load_bars([1, 2])
    with pytest.raises(DataError, match="column levels that are not fields and tickers"):
        load_bars(pd.DataFrame([[1.0]], columns=pd.MultiIndex.from_tuples([("Price", "KO")])))


def test_a_ticker_in_two_files_is_named(frame, tmp_path):
    for name in ("one.csv", "two.csv"):
        frame.write_csv(tmp_path / name)
    with pytest.raises(DataError, match=r"KO is in both .*one.csv and .*two.csv"):
        load_bars(tmp_path)


def test_the_panel_holds_common_sessions_and_counts_what_it_leaves_out():
    frame = random_walk(tickers=("BTC", "KO", "SPY"), sessions=40, seed=0).frame
    holes = frame.filter(
        ~((pl.col("ticker") == "KO") & pl.col("date").is_in([datetime.date(2000, 1, 5), datetime.date(2000, 1, 12)]))
    )
    panel = align(load_bars(holes))
    assert len(panel.dates) == 38
    assert panel.dropped == {"BTC": 2, "KO": 0, "SPY": 2}
    assert panel.of("BTC").height == panel.of("KO").height == 38


def test_a_missing_market_and_an_unknown_ticker_list_what_there_is(frame):
    with pytest.raises(DataError, match="market 'QQQ' is not in the bars; name one of them with --market: KO, SPY"):
        align(load_bars(frame), market="QQQ")
    with pytest.raises(DataError, match="unknown ticker 'PEP'; known: KO, SPY"):
        align(load_bars(frame), tickers=["PEP"])
    with pytest.raises(DataError, match="no ticker to forecast beside the market SPY"):
        align(load_bars(frame.filter(pl.col("ticker") == "SPY")))


def test_the_market_is_forecast_only_when_named(frame):
    assert align(load_bars(frame), tickers=["SPY", "KO"]).tickers == ("KO", "SPY")


def test_prices_that_never_move_are_refused(frame):
    flat = frame.with_columns(adj_close=pl.when(pl.col("ticker") == "KO").then(5.0).otherwise("adj_close"))
    with pytest.raises(DataError, match="adj_close of KO is 5.0 on every session"):
        align(load_bars(flat))


def test_tickers_without_a_common_session_are_refused(frame):
    shifted = frame.with_columns(
        date=pl.when(pl.col("ticker") == "KO").then(pl.col("date").dt.offset_by("520w")).otherwise("date")
    )
    with pytest.raises(DataError, match="KO, SPY have no session in common"):
        align(load_bars(shifted))


# Frames and dates as programs and vendors have them


@pytest.fixture
def pandas_frame(frame):
    return frame.to_pandas()


def stamped(pandas_frame, zone):
    """The same bars, each stamped at the midnight of the exchange's own clock."""
    return pandas_frame.assign(date=pandas_frame["date"].astype("datetime64[ns]").dt.tz_localize(zone))


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Seoul", "UTC"])
@pytest.mark.parametrize("indexed", [True, False])
def test_dates_with_a_time_zone_are_those_of_the_exchange(frame, pandas_frame, zone, indexed):
    found = stamped(pandas_frame, zone)
    assert load_bars(found.set_index("date") if indexed else found).frame.equals(load_bars(frame).frame)


def test_frames_of_every_kind_give_the_same_bars(frame, pandas_frame):
    expected, dated = load_bars(frame).frame, pandas_frame.assign(date=pandas_frame["date"].astype("datetime64[ns]"))
    kinds = {
        "seconds": dated.assign(date=dated["date"].astype("datetime64[s]")),
        "index and column": dated.set_index("date", drop=False),
        "unnamed index": dated.set_index("date").rename_axis(None),
        "lazy": frame.lazy(),
        "arrow": frame.to_arrow(),
        "floats for nothing": pandas_frame,
    }
    for name, kind in kinds.items():
        assert load_bars(kind).frame.equals(expected), name


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda frame: frame["close"], "bars are a single column"),
        (lambda frame: {"KO": frame}, "bars are a dict; join its frames"),
        (lambda frame: frame[[*frame.columns, "close"]], "the frame has column 'close' more than once"),
        (
            lambda frame: frame.set_index(frame["date"].shift(1).rename("date")),
            "date in its index and, with other values, as a column",
        ),
        (lambda frame: 3, "bars must be a path, a Polars frame or a pandas frame, not int"),
    ],
)
def test_what_is_no_frame_of_bars_is_one_line(pandas_frame, make, says):
    with pytest.raises(DataError, match=says) as error:
        load_bars(make(pandas_frame))
    assert "\n" not in str(error.value)


def test_rows_that_come_newest_first_are_turned_and_that_is_said(frame):
    turned = load_bars(frame.reverse())
    assert turned.frame.equals(load_bars(frame).frame)
    assert "the rows came newest first and were reversed" in turned.notes[0]


@pytest.mark.parametrize(
    "form", ["%Y%m%d", "%Y/%m/%d", "%Y.%m.%d", "%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%Y-%m-%d 00:00:00"]
)
def test_dates_that_mean_one_day_need_no_word(frame, form):
    assert load_bars(frame.with_columns(pl.col("date").dt.strftime(form))).frame.equals(load_bars(frame).frame)


@pytest.mark.parametrize("form", ["%d/%m/%Y", "%d-%m-%y", "%y%m%d"])
def test_dates_that_may_mean_two_days_are_refused(frame, form):
    with pytest.raises(DataError, match="is not a date"):
        load_bars(frame.with_columns(pl.col("date").dt.strftime(form)))


def test_seconds_since_1970_are_named_as_such(frame):
    with pytest.raises(DataError, match="counts seconds or milliseconds since 1970"):
        load_bars(frame.with_columns(pl.col("date").dt.epoch("s").cast(pl.String)))


def test_tickers_that_are_numbers_keep_their_form(frame):
    numbers = {"KO": 700.0, "SPY": 2800.0}
    known = frame.with_columns(pl.col("ticker").replace_strict(numbers, default=5.0, return_dtype=pl.Float64))
    assert set(load_bars(known).tickers) <= {"700", "2800", "5"}
    with pytest.raises(DataError, match="ticker 7.5 is not a text or a whole number"):
        load_bars(known.with_columns(ticker=pl.lit(7.5)))


def test_a_column_that_is_not_all_numbers_is_no_feature_and_stops_nothing(frame, tmp_path):
    more = frame.with_columns(extra=pl.when(pl.int_range(pl.len()) == 3).then(pl.lit("-")).otherwise(pl.lit("1.5")))
    more.write_csv(tmp_path / "bars.csv")
    assert load_bars(tmp_path / "bars.csv").frame.schema["extra"] == pl.String


def test_closes_that_are_adjusted_already_take_one_word(frame, tmp_path):
    plain = frame.drop("adj_close")
    plain.write_csv(tmp_path / "bars.csv")
    with pytest.raises(DataError, match=r"bars.csv: no column adj_close; if close is adjusted .* say so: --adjusted"):
        load_bars(tmp_path / "bars.csv")
    for source in (plain, tmp_path / "bars.csv"):
        found = load_bars(source, adjusted=True).frame
        assert found["adj_close"].equals(found["close"].alias("adj_close"))
    with pytest.raises(DataError, match="there is a column adj_close, so close is not adjusted; leave --adjusted out"):
        load_bars(frame, adjusted=True)


def test_weekends_that_repeat_fridays_bar_are_no_sessions(frame):
    friday = frame.filter(pl.col("date").dt.weekday() == 5).head(1)
    weekend = [friday.with_columns(pl.col("date") + pl.duration(days=days)) for days in (1, 2)]
    filled = pl.concat([frame, *weekend]).sort("ticker", "date")
    with pytest.raises(
        DataError, match=r"a weekend bar that repeats that of .*: filled in, not traded \(1 more such bar\)"
    ):
        load_bars(filled)
    real = pl.concat([frame, weekend[0].with_columns(close=pl.col("close") * 0.999)]).sort("ticker", "date")
    assert len(load_bars(real).frame) == len(frame) + 1, "crypto trades at weekends"


@pytest.mark.parametrize("value", [[1.0], datetime.timedelta(1), {"a": 1}], ids=["list", "duration", "struct"])
@pytest.mark.parametrize(("name", "of"), [("close", "numbers"), ("date", "dates"), ("ticker", "tickers")])
def test_columns_of_kinds_that_hold_no_bars_are_one_line(frame, value, name, of):
    with pytest.raises(DataError, match=rf"column {name} is of type .*, not of {of}") as error:
        load_bars(frame.with_columns(pl.lit(value).alias(name)))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [[1.0], datetime.timedelta(1), {"a": 1}], ids=["list", "duration", "struct"])
def test_further_columns_of_such_kinds_are_no_features(frame, value):
    assert "extra" not in load_bars(frame.with_columns(pl.lit(value).alias("extra"))).frame.columns
