"""Wrong data that used to pass without a word, each kind planted eight times: all are refused, or named."""

import polars as pl
import pytest

from data import forms
from nextday.data import align, load_bars
from nextday.errors import DataError
from suspended import without_rows

SEEDS = (0, 1, 2, 3, 5, 8, 13, 19)  # each variety of a kind


def walk(seed):
    return forms.walk(sessions=60 + seed)


def weekends(frame, seed, folder):
    """Friday's bars again on Saturday, and on Sunday every other time."""
    days = (1, 2) if seed % 2 else (1,)
    fridays = frame.filter(pl.col("date").dt.weekday() == 5)
    filled = [fridays.with_columns(pl.col("date") + pl.duration(days=day)) for day in days]
    return pl.concat([frame, *filled]).sort("ticker", "date")


def utc(frame, seed, folder):
    """Stamps of the exchange's midnight, in UTC."""
    return forms.stamps(("Asia/Tokyo", "Asia/Seoul", "Europe/Berlin", "Australia/Sydney")[seed % 4], 0)(frame, folder)


def early(frame, seed, folder):
    """Days of UTC, the time cut off."""
    return frame.with_columns(pl.col("date") - pl.duration(days=1))


def short_years(frame, seed, folder):
    return forms.dated(("%d-%m-%y", "%m/%d/%y", "%y-%m-%d", "%y%m%d")[seed % 4])(frame, folder)


def sorted_as_text(frame, seed, folder):
    text = forms.text(frame, ("%d %b %Y", "%b %d, %Y", "%d-%b-%Y")[seed % 3])
    return forms.csv(folder / "bars.csv", text.sort("ticker", "date"))


def header_twice(frame, seed, folder):
    name = ("open", "high", "low", "close", "volume")[seed % 5]
    text = forms.text(frame).write_csv().replace("adj_close", name, 1)
    (folder / "bars.csv").write_text(text)
    return folder / "bars.csv"


REFUSED = {
    weekends: "a weekend bar that repeats",
    utc: "time stamps are in UTC, such as .*--timezone",
    early: "bars are on Sundays and 0 on Fridays",
    short_years: "is not a date of the form 2010-01-31",
    sorted_as_text: "the date goes back",
    header_twice: "is in the header twice",
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("plant", REFUSED, ids=lambda plant: plant.__name__)
def test_what_is_wrong_is_refused(plant, seed, tmp_path):
    with pytest.raises(DataError, match=REFUSED[plant]) as error:
        load_bars(plant(walk(seed), seed, tmp_path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("seed", SEEDS)
def test_tickers_that_are_numbers_stay_whole(seed, tmp_path):
    numbers = walk(seed).with_columns(ticker=pl.when(pl.col("ticker") == "KO").then(700.0 + seed).otherwise(2800.0))
    assert set(load_bars(numbers).tickers) == {str(700 + seed), "2800"}


@pytest.mark.parametrize("seed", SEEDS)
def test_no_file_of_a_folder_is_passed_over_in_silence(seed, tmp_path):
    names = ["KO.csv", "more/PEP.csv.gz", "txt/MCD.txt", "deep/er/IBM.tsv", "SPY.parquet"][: 2 + seed % 4]
    for at, name in enumerate(names):
        own = forms.text(walk(at)).filter(ticker="KO").drop("ticker")
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".parquet"):
            own.with_columns(pl.col("date").str.to_date()).write_parquet(path)
        elif name.endswith(".gz"):
            path.write_bytes(forms.gzip.compress(own.write_csv().encode()))
        else:
            own.write_csv(path, separator="\t" if name.endswith(".tsv") else ",")
    (tmp_path / "list.dat").write_text("KO\n")
    bars = load_bars(tmp_path)
    assert bars.tickers == sorted(name.split("/")[-1].split(".")[0] for name in names)
    assert bars.notes == ("left out, as no table: list.dat",)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_suspension_is_named_with_its_length(seed):
    start, length = 20 + seed, 1 + seed
    panel = align(load_bars(without_rows(walk(seed), {"KO": [(start, start + length - 1)]})))
    assert [(gap.sessions, gap.tickers) for gap in panel.gaps] == [(length, ("KO",))]
