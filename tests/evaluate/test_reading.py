"""Reading: whatever a forecasts table is written in, it says the same, or one line says what it lacks."""

import gzip
import io
from datetime import date

import numpy as np
import pandas as pd
import polars as pl
import pytest

import worlds
from nextday.errors import VerdictError
from nextday.evaluate import load_forecasts, measure, prepare, reading, score
from nextday.evaluate.dates import read_days
from nextday.reporting import write_csv


@pytest.fixture(scope="module")
def table():
    return worlds.draw(worlds.World(tickers=2, days=60, seeds=3), 0)


def same(losses, table, **options):
    plain = measure(table, **options)
    np.testing.assert_array_equal(losses.dates, plain.dates)
    np.testing.assert_allclose(losses.grid, plain.grid, rtol=1e-9)
    assert losses.seeds == plain.seeds


def dated(table, form):
    return table.with_columns(pl.col("origin").dt.strftime(form))


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "tsv", "parquet", "arrow", "feather", "without"])
def test_every_format_says_the_same(table, tmp_path, ending):
    path = tmp_path / f"forecasts.{ending}"
    if ending == "parquet":
        table.write_parquet(path)
    elif ending in ("arrow", "feather"):
        table.write_ipc(path)
    else:
        text = table.write_csv(separator="\t" if ending == "tsv" else ",").encode()
        path.write_bytes(gzip.compress(text) if ending == "csv.gz" else text)
    same(measure(load_forecasts(path)), table)


def test_a_table_of_a_spreadsheet_has_semicolons_and_decimal_commas(table, tmp_path):
    path = tmp_path / "forecasts.csv"
    path.write_bytes(b"\xef\xbb\xbf" + table.write_csv(separator=";", decimal_comma=True, quote_style="never").encode())
    same(measure(load_forecasts(path)), table)


def test_standard_input_is_a_table(table, monkeypatch):
    for content in (table.write_csv().encode(), gzip.compress(table.write_csv().encode())):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
        same(measure(load_forecasts("-")), table)


def test_the_predictions_that_a_study_writes_are_read_back(table, tmp_path):
    forecasts = table.with_columns(fold=0, date=pl.col("origin") + pl.duration(days=1), contaminated=False)
    none = forecasts.filter(variant="A", seed=0).with_columns(variant=pl.lit("Lin"), seed=pl.lit(None, pl.Int64))
    forecasts = pl.concat([forecasts, none])
    folds = pl.DataFrame({"ticker": ["T000", "T001"], "fold": 0, "historical_mean": 0.0, "train_variance": 1e-4})
    scores = score(forecasts, folds)
    write_csv(tmp_path, "mine", forecasts=forecasts, scores=scores)
    losses = measure(load_forecasts(tmp_path / "mine_all_predictions.csv"))
    same(losses, forecasts)
    assert losses.seeds[2] == ()


def test_columns_may_be_written_in_any_case_and_a_model_is_a_variant(table):
    same(measure(table.rename({"variant": "Model", "ticker": "TICKER", "predicted": " Predicted"})), table)
    both = table.with_columns(Model=pl.lit("x"))
    assert measure(both).variants == ("A", "B")
    with pytest.raises(VerdictError, match="columns 'Actual' and 'ACTUAL' differ only in case"):
        prepare(table.rename({"actual": "Actual"}).with_columns(ACTUAL=0.1))


@pytest.mark.parametrize(
    "form",
    [
        "%Y-%m-%d",
        "%d-%b-%Y",
        "%e-%b-%Y",
        "%d %B %Y",
        "%b %d, %Y",
        "%Y/%m/%d",
        "%Y%m%d",
        "%Y.%m.%d",
        "%Y-%m-%dT00:00:00",
        "%Y-%m-%d 00:00:00+00:00",
    ],
)
def test_dates_that_can_mean_one_thing_only_are_read(table, form):
    losses = measure(dated(table, form))
    same(losses, table)
    assert losses.notes == ()


@pytest.mark.parametrize(("form", "order"), [("%m/%d/%Y", "month/day/year"), ("%d.%m.%Y", "day/month/year")])
def test_the_order_of_day_and_month_is_told_by_the_days_past_12(table, form, order):
    losses = measure(dated(table, form))
    same(losses, table)
    assert len(losses.notes) == 1
    assert losses.notes[0].startswith(f"origin is read as {order}, because of '")


def test_an_order_of_day_and_month_that_nothing_tells_is_refused(table):
    early = table.filter(pl.col("origin").dt.day() <= 12)
    with pytest.raises(
        VerdictError, match=r"'01/03/2000' may be day/month or month/day, .*; write dates as YYYY-MM-DD"
    ):
        measure(dated(early, "%m/%d/%Y"))


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["13/01/2018", "01/13/2018"], "mixes day/month and month/day: '13/01/2018' and '01/13/2018'"),
        (["2018-01-03", "04-Jan-2018"], "mixes notations of dates, such as '2018-01-03' and '04-Jan-2018'"),
        (["yesterday"], "holds 'yesterday', which is neither a date nor a position"),
        (["31/02/2018"], "holds '31/02/2018', which cannot be read as a date"),
        (["03-Jan-18"], "holds '03-Jan-18', which is neither a date nor a position"),
        (["3-Foo-2018"], "holds '3-Foo-2018', which cannot be read as a date"),
    ],
)
def test_a_date_without_a_meaning_is_shown(texts, says):
    with pytest.raises(VerdictError, match=says) as error:
        read_days(texts, "origin")
    assert str(error.value).endswith("; write dates as YYYY-MM-DD")


def test_positions_that_are_text_are_sorted_as_numbers(table):
    position = pl.col("origin").rank("dense")
    losses = measure(table.with_columns(origin=position.cast(pl.String)))
    np.testing.assert_array_equal(losses.dates, np.arange(1, 61))
    np.testing.assert_allclose(losses.grid, measure(table).grid)


def test_whole_numbers_that_are_days_are_read_as_days(table):
    numbers = table.with_columns(pl.col("origin").dt.strftime("%Y%m%d").cast(pl.Int64))
    same(measure(numbers), table)


def test_a_ticker_stays_text_and_a_seed_becomes_a_number(table, tmp_path):
    path = tmp_path / "forecasts.csv"
    named = table.with_columns(pl.col("ticker").replace({"T000": "0700", "T001": "TRUE"}))
    named.write_csv(path)
    losses = measure(load_forecasts(path))
    assert losses.tickers == ("0700", "TRUE")
    assert losses.seeds == ((0, 1, 2), (0, 1, 2))


@pytest.mark.parametrize("indexed", [False, True])
def test_a_pandas_frame_is_read_like_any_other(table, indexed):
    frame = pd.DataFrame(table.to_dict(as_series=False))
    plain = frame[(frame["variant"] == "A") & (frame["seed"] == 0)].assign(variant="Lin", seed=np.nan)
    frame = pd.concat([frame, plain], ignore_index=True)  # seeds are floats now
    if indexed:
        frame = frame.set_index(["variant", "origin"])
    losses = measure(frame)
    assert losses.variants == ("A", "B", "Lin")
    assert losses.seeds == ((0, 1, 2), (0, 1, 2), ())
    np.testing.assert_array_equal(losses.grid[:2], measure(table).grid)
    frame = frame.reset_index(drop=not indexed).assign(
        origin=lambda rows: pd.to_datetime(rows["origin"]).dt.strftime("%m/%d/%Y")
    )
    assert measure(frame).notes[0].startswith("origin is read as month/day/year")


def test_what_is_no_table_is_refused_in_one_line(tmp_path):
    text, empty = tmp_path / "x.parquet", tmp_path / "empty.csv"
    text.write_text("not a table")
    empty.write_text("")
    for path in (text, empty, tmp_path / "nowhere.csv"):
        with pytest.raises(VerdictError, match=f"{path.name} cannot be read as a forecasts table: "):
            load_forecasts(path)
    with pytest.raises(VerdictError, match="forecasts must be a Polars or a pandas frame, not list"):
        prepare([1, 2])


def test_a_table_is_read_once_unless_it_is_too_large_to_be_held(table, monkeypatch):
    held = prepare(table).at_hand()
    assert held.rows.collect().equals(table)
    whole = measure(held)
    monkeypatch.setattr(reading, "AT_ONCE", 10)
    rows = prepare(table.lazy())
    assert rows.at_hand() is rows
    assert np.array_equal(measure(rows).grid, whole.grid)


def test_preparing_twice_changes_nothing(table):
    once = prepare(dated(table, "%m/%d/%Y"))
    assert prepare(once) is once
    assert once.rows.collect()["origin"].min() == date(2000, 1, 3)
    same(measure(once), table)
    same(measure(once.rows), table)
