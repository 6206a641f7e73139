"""Bars as vendors hand them out: what loads without a word, what loads with one that the line names, what is refused."""

import datetime

import polars as pl
import pytest

from data import forms
from nextday.data import COLUMNS, load_bars
from nextday.errors import DataError

BY_ITSELF = {
    "offsets of the exchange's clock": forms.with_offsets,
    "newest first": forms.edited(lambda frame: frame.reverse()),
    "alpha vantage": forms.alpha_vantage,
    "three header rows of yf.download": forms.yahoo_levels,
    "semicolons": lambda frame, folder: forms.semicolons(frame, folder, comma=False),
    "thousands": forms.thousands,
    "byte order mark": lambda frame, folder: forms.csv(folder / "bars.csv", forms.text(frame), include_bom=True),
    "compact dates": forms.dated("%Y%m%d"),
    "slashes, year first": forms.dated("%Y/%m/%d"),
    "named months": forms.dated("%d-%b-%Y"),
    "no leading zeros": forms.dated("%Y-%-m-%-d"),
    "midnights of UTC": forms.tiingo,
    "sharadar": forms.sharadar,
    "a column with a dash": forms.edited(lambda frame: frame.with_columns(series=pl.lit("EQ"), delivered=pl.lit("-"))),
    "gz": forms.packed,
    "zip": forms.zipped,
    "a folder": forms.of_folder("{}.csv"),
    "folders below a folder, packed": forms.of_folder("daily/{}.csv.gz", "gz"),
    "hive": forms.of_folder("ticker={}/part-0.parquet", "parquet"),
    "spark": forms.spark,
    "feather": forms.feather,
    "system files beside": forms.junk,
    "commas behind the last row": forms.appended(",,,,,,,\n,,,,,,,\n"),
    "a footer": forms.appended("# data from somewhere\n"),
    "a row of null": forms.appended("2000-03-20,KO,null,null,null,null,null,null\n"),
    "a row without a trade": forms.appended("2000-03-20,KO,,,,,,\n"),
    "the exact name beside a usual one": forms.edited(lambda frame: frame.with_columns(timestamp=pl.lit(1), vol=pl.lit(2))),
    "the header between the rows": lambda frame, folder: forms.appended(forms.text(frame)[:0].write_csv())(frame, folder),
    "the last bar twice": lambda frame, folder: forms.appended(forms.text(frame)[-1:].write_csv(include_header=False))(
        frame, folder
    ),
}  # fmt: skip
WITH_A_WORD = {  # the option that opens a form, as its line names it
    "auto-adjusted": (forms.edited(lambda frame: frame.drop("adj_close")), "--adjusted", {"adjusted": True}),
    "kaggle": (forms.kaggle, "--adjusted", {"adjusted": True}),
    "stooq": (forms.stooq, "--adjusted", {"adjusted": True}),
    "metatrader": (forms.metatrader, "--adjusted", {"adjusted": True}),
    "metatrader in UTF-16": (
        lambda frame, folder: forms.metatrader(frame, folder, "utf-16"), "--adjusted", {"adjusted": True},
    ),
    "akshare": (forms.chinese, "--adjusted", {"adjusted": True}),
    "tushare": (forms.tushare, "--adjusted", {"adjusted": True}),
    "decimal comma": (
        lambda frame, folder: forms.semicolons(frame, folder, comma=True), "--decimal ,", {"decimal": ","},
    ),
    "day first": (forms.dated("%d/%m/%Y"), "--date-format %d/%m/%Y", {"date_format": "%d/%m/%Y"}),
    "month first": (forms.dated("%m/%d/%Y"), "--date-format %m/%d/%Y", {"date_format": "%m/%d/%Y"}),
    "two-digit years": (forms.dated("%d-%m-%y"), "%d-%m-%y", {"date_format": "%d-%m-%y"}),
    "counted since 1970": (forms.epoch, "--timezone America/New_York", {"timezone": "UTC"}),
    "Seoul's midnights in UTC": (forms.stamps("Asia/Seoul", 0), "--timezone America/New_York", {"timezone": "Asia/Seoul"}),
    "Berlin's midnights in UTC": (
        forms.stamps("Europe/Berlin", 0), "--timezone America/New_York", {"timezone": "Europe/Berlin"},
    ),
    "a name of nobody else": (
        forms.edited(lambda frame: frame.rename({"volume": "turnover"})), "--columns volume=NAME",
        {"columns": {"volume": "turnover"}},
    ),
}  # fmt: skip
WITH_SEVERAL = {
    "polygon": (forms.polygon, {"adjusted": True, "timezone": "America/New_York"}),
    "nasdaq": (forms.nasdaq, {"adjusted": True, "date_format": "%m/%d/%Y"}),
}


@pytest.fixture
def frame():
    return forms.walk()


def plain(frame):
    """Order and names that ``Bars`` has, tickers as text."""
    return frame.select(COLUMNS).sort("ticker", "date")


def same(found, frame, *, adjusted=False):
    """The values of the raw file, exactly; of a file of one ticker those of KO."""
    tickers = found["ticker"].unique().to_list()
    expected = plain(frame.with_columns(adj_close="close") if adjusted else frame)
    if len(tickers) == 1:
        expected = expected.filter(ticker="KO")
    elif "ko.us" in [ticker.lower() for ticker in tickers]:
        found = found.with_columns(pl.col("ticker").str.to_uppercase().str.strip_suffix(".US"))
    assert plain(found).equals(expected)


@pytest.mark.parametrize("form", BY_ITSELF)
def test_a_form_that_means_one_thing_loads_without_a_word(form, frame, tmp_path):
    same(load_bars(BY_ITSELF[form](frame, tmp_path)).frame, frame)


@pytest.mark.parametrize("form", WITH_A_WORD)
def test_a_form_that_lacks_a_word_says_which_and_loads_with_it(form, frame, tmp_path):
    make, word, options = WITH_A_WORD[form]
    path = make(frame, tmp_path)
    with pytest.raises(DataError) as error:
        load_bars(path)
    assert word in str(error.value), error.value
    assert "frame" not in str(error.value)
    assert str(path) in str(error.value)
    same(load_bars(path, **options).frame, frame, adjusted="adjusted" in options)


@pytest.mark.parametrize("form", WITH_SEVERAL)
def test_a_form_that_lacks_several_words_asks_for_one_after_the_other(form, frame, tmp_path):
    make, options = WITH_SEVERAL[form]
    path, given = make(frame, tmp_path), {}
    for option, value in options.items():
        with pytest.raises(DataError, match="--" + option.replace("_", "-")):
            load_bars(path, **given)
        given[option] = value
    same(load_bars(path, **given).frame, frame, adjusted=True)


def test_days_in_utc_are_taken_where_the_user_says_so(frame, tmp_path):
    path = forms.stamps("Asia/Seoul", 0)(frame, tmp_path)
    early = load_bars(path, timezone="UTC", accept=("*",)).frame
    assert early["date"].to_list() == [day - datetime.timedelta(days=1) for day in plain(frame)["date"]]


def write(folder, content, name="bars.csv"):
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder / name


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda f, d: write(d, forms.text(f).with_columns(n=pl.lit("Nestlé")).write_csv().encode("cp1252")), "row 1: the byte 0xe9 is not UTF-8"),
        (lambda f, d: write(d, forms.text(f).write_csv().encode("utf-16-le")), "not UTF-8 but perhaps UTF-16"),
        (lambda f, d: write(d, forms.text(f).write_csv().replace("adj_close", "close", 1)), "'close' is in the header twice; keep one"),
        (lambda f, d: write(d, forms.text(f).write_csv().replace("ticker", "tick;er", 1)), r"',' or ';' may separate the columns; say which: --separator"),
        (lambda f, d: write(d, "Date,KO,SPY\n2000-01-03,1.5,2.5\n"), "no column open, high.*one row per ticker and date"),
        (lambda f, d: write(d, "no workbook", "bars.xlsx"), "cannot be read as xlsx"),
        (lambda f, d: forms.csv(d / "bars.csv", forms.text(f).with_columns(date=pl.col("date") + pl.lit(" 10:00:00")).vstack(forms.text(f).with_columns(date=pl.col("date") + pl.lit(" 11:00:00"))).sort("ticker", "date")), "hourly bars"),
        (lambda f, d: forms.appended("2000-02-25,SPY,1,1,1,1,1,1\n")(f, d), "more than one bar"),
        (lambda f, d: forms.csv(d / "bars.csv", forms.text(f).with_columns(open=pl.lit("1,154"))), "row 1: open '1,154' may be 1.154 or 1154; say which"),
        (lambda f, d: forms.csv(d / "bars.csv", forms.text(f).with_columns(adjusted=pl.lit(1.0)).drop("adj_close").with_columns(closeadj=pl.lit(1.0))), "'adjusted' and 'closeadj' both read as adj_close; say which is meant"),
    ],
)  # fmt: skip
def test_what_may_mean_two_things_or_nothing_is_one_line(make, says, frame, tmp_path):
    path = make(frame, tmp_path)
    with pytest.raises(DataError, match=says) as error:
        load_bars(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def test_what_was_left_out_or_taken_once_is_said_with_its_number(frame, tmp_path):
    said = {name: load_bars(BY_ITSELF[name](frame, tmp_path / str(at))).notes for at, name in enumerate(
        ("newest first", "commas behind the last row", "a row of null", "the last bar twice", "system files beside")
    ) if not (tmp_path / str(at)).mkdir()}  # fmt: skip
    assert "came newest first" in said["newest first"][0]
    assert said["commas behind the last row"] == ("2 rows without prices or volume left out",)
    assert said["a row of null"] == ("KO: 1 row without prices or volume left out, the first on 2000-03-20",)
    assert said["the last bar twice"] == (
        "SPY: 1 bar that was given twice with equal values taken once, the first on 2000-02-25",
    )
    assert said["system files beside"] == ("left out, as no table: etf.list", "left out, as empty: notes.csv")


def test_options_that_are_wrong_are_one_line(frame, tmp_path):
    path = forms.dated("%Y-%m-%d")(frame, tmp_path)
    for options, says in (
        ({"timezone": "Mars"}, "timezone: expected a name of the tz database"),
        ({"separator": "::"}, "separator: expected one character"),
        ({"columns": {"dat": "x"}}, "columns: expected NAME=COLUMN"),
        ({"columns": {"date": "day"}}, "there is no column 'day' to take as date; the file has date, ticker"),
        ({"date_format": "%d/%m/%Y"}, "row 1: '2000-01-03' is not a date of the form %d/%m/%Y"),
        ({"adjusted": True}, "there is a column adj_close"),
    ):
        with pytest.raises(DataError, match=says):
            load_bars(path, **options)


def test_an_own_column_with_decimal_commas_and_gaps_is_one_of_numbers(frame, tmp_path):
    own = pl.when(pl.int_range(pl.len()) % 7 > 0).then(pl.lit("1.234,5"))
    path = forms.semicolons(frame.with_columns(own=own), tmp_path, comma=True)
    found = load_bars(path, decimal=",").frame["own"]
    assert found.drop_nulls().unique().to_list() == [1234.5]
    assert found.null_count() == len([row for row in range(len(frame)) if row % 7 == 0])


def test_a_market_needs_dates_and_adjusted_closes_alone(frame, tmp_path):
    index = pl.when(pl.col("ticker") == "KO").then("volume").alias("volume")
    path = forms.edited(lambda own: own.with_columns(index))(frame, tmp_path)
    with pytest.raises(DataError, match="SPY on 2000-01-03: volume missing"):
        load_bars(path)
    assert load_bars(path, market="SPY").tickers == ["KO", "SPY"]
    folder = forms.of_folder("{}.csv")(frame, tmp_path / "files")
    pl.read_csv(folder / "SPY.csv").select("date", "adj_close").write_csv(folder / "SPY.csv")
    assert load_bars(folder, market="SPY").frame.filter(ticker="SPY")["volume"].null_count() == 40


def test_a_column_that_the_user_names_goes_before_one_that_is_known(frame, tmp_path):
    own = forms.text(frame).with_columns(tickvol=pl.col("volume") * 2)
    found = load_bars(forms.csv(tmp_path / "bars.csv", own), columns={"volume": "tickvol"}).frame
    assert found["volume"].equals(plain(frame)["volume"] * 2)


def test_excel_files_load(frame, tmp_path):
    frame.write_excel(tmp_path / "bars.xlsx")
    same(load_bars(tmp_path / "bars.xlsx").frame, frame)


def test_excel_without_its_reader_says_what_to_install(frame, tmp_path, monkeypatch):
    frame.write_excel(tmp_path / "bars.xlsx")
    monkeypatch.setitem(__import__("sys").modules, "fastexcel", None)
    with pytest.raises(DataError, match=r"bars.xlsx: Excel files need another package: pip install 'nextday\[excel\]'"):
        load_bars(tmp_path / "bars.xlsx")
