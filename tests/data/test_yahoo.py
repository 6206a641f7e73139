"""Answers of Yahoo as yfinance gives them: each known defect planted by itself, found and named."""

import json
import logging
import sys
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest

from nextday.data.yahoo.bars import differences, to_bars
from nextday.data.yahoo.client import END, MARKET, START, UNIVERSE, Unreachable, Yahoo
from nextday.errors import DataError

FIRST, LAST, NOW = date(2024, 1, 2), date(2024, 3, 25), datetime(2024, 6, 3, 15, tzinfo=UTC)
AT = 30  # the bar that is spoiled: 2024-02-13, a Tuesday
PRICES = ["Open", "High", "Low", "Close", "Adj Close"]


def answer(tz="America/New_York"):
    """Sixty sessions as Ticker.history gives them; yf.download takes the timezone away unless told not to."""
    index = pd.bdate_range(FIRST, LAST, tz=tz, name="Date")
    rng = np.random.default_rng(1)
    close = 100 * np.exp(0.01 * rng.standard_normal(len(index)).cumsum())
    opened = close * np.exp(0.003 * rng.standard_normal(len(index)))
    return pd.DataFrame(
        {
            "Open": opened, "High": np.maximum(opened, close) * 1.005, "Low": np.minimum(opened, close) * 0.995,
            "Close": close, "Adj Close": 0.97 * close, "Volume": rng.integers(10**6, 10**7, len(index)),
            "Dividends": 0.0, "Stock Splits": 0.0,
        },
        index=index,
    )  # fmt: skip


def read(frame, **options):
    return to_bars(frame, "KO", **({"start": FIRST, "end": LAST, "now": NOW} | options))


def refusal(frame, **options):
    with pytest.raises(DataError) as caught:
        read(frame, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def scale(frame, columns, rows, factor):
    frame.loc[frame.index[rows], columns] *= factor
    return frame


def put(frame, column, row, value):
    frame[column] = frame[column].astype(float)
    frame.loc[frame.index[row], column] = value
    return frame


def repeat_last(frame, **changes):
    return pd.concat([frame, frame.iloc[-1:].assign(**changes)])


@pytest.mark.parametrize("tz", [None, "UTC", "America/New_York", "Asia/Tokyo", "Pacific/Auckland"])
def test_a_clean_answer_gives_its_bars_and_no_report(tz):
    frame = answer(tz)
    bars, reports = read(frame)
    assert reports == []
    assert bars.columns == ["date", "ticker", "open", "high", "low", "close", "adj_close", "volume", "split"]
    assert bars.dtypes == [pl.Date, pl.String, *[pl.Float64] * 7]
    assert bars["date"].to_list() == [day.date() for day in pd.bdate_range(FIRST, LAST)]
    assert bars["ticker"].unique().to_list() == ["KO"]
    for column, field in {"open": "Open", "adj_close": "Adj Close", "volume": "Volume"}.items():
        np.testing.assert_array_equal(bars[column], frame[field])


def test_columns_come_in_any_order_and_with_levels():
    frame = answer()
    for columns in (sorted(frame.columns), [*frame.columns, "Capital Gains"]):
        assert read(frame.assign(**{"Capital Gains": 0.0})[columns])[0].equals(read(frame)[0])
    for order in ([0, 1], [1, 0]):
        wide = pd.concat({"KO": frame, "SPY": frame * 2}, axis=1, names=["Ticker", "Price"])
        assert read(wide.reorder_levels(order, axis=1))[0].equals(read(frame)[0])


def test_a_recorded_split_that_was_applied_is_kept_as_a_column():
    bars, reports = read(put(answer(), "Stock Splits", AT, 4.0))
    assert reports == []
    assert bars.filter(pl.col("split") != 0)["date"].to_list() == [date(2024, 2, 13)]
    assert bars["split"].sum() == 4


REFUSED = {
    "no rows": (lambda frame: frame.iloc[:0], "KO: no bars came back for 2024-01-02 to 2024-03-25; check"),
    "what yfinance makes of a failure": (
        lambda _: pd.DataFrame(index=pd.Index([], name="Date"), columns=[*PRICES, "Volume"]),
        "KO: no bars came back",
    ),
    "a failed ticker among others": (
        lambda frame: frame.assign(**dict.fromkeys(frame.columns, np.nan)),
        "KO: no bars came back for 2024-01-02 to 2024-03-25; KO on 2024-01-02: no price and no volume, left out (59 more",
    ),
    "columns of another ticker": (
        lambda frame: pd.concat({"PEP": frame}, axis=1), "KO: the answer has no columns of it, but of PEP",
    ),
    "no Adj Close": (lambda frame: frame.drop(columns="Adj Close"), "no column Adj Close; its prices may be adjusted"),
    "no splits": (lambda frame: frame.drop(columns="Stock Splits"), "no column Stock Splits"),
    "no dates": (lambda frame: frame.reset_index(drop=True), "not one row per date"),
    "a column twice": (lambda frame: pd.concat([frame, frame[["Close"]]], axis=1), "one column per field"),
    "text": (lambda frame: frame.assign(Close="x"), "the answer is not all numbers"),
    "a price missing with volume": (
        lambda frame: put(put(frame, "Close", AT, np.nan), "Volume", AT, 1234.0),
        "KO on 2024-02-13: a price is missing: open 100.398, high 100.9, low 99.6342, close missing, adj_close 97.1308, volume 1234",
    ),
    "all prices missing with volume": (
        lambda frame: put(put(frame, PRICES, AT, np.nan), "Volume", AT, 1234.0),
        "KO on 2024-02-13: a price is missing: open missing, high missing, low missing, close missing, adj_close missing, volume 1234",
    ),
    "a split on a day without prices": (
        lambda frame: put(put(put(frame, PRICES, AT, np.nan), "Volume", AT, 0.0), "Stock Splits", AT, 2.0),
        "KO on 2024-02-13: a price is missing",
    ),
    "a price of nothing": (lambda frame: put(frame, "Low", AT, 0.0), "KO on 2024-02-13: a price is not a positive"),
    "an infinite price": (lambda frame: put(frame, "Adj Close", AT, np.inf), "adj_close inf"),
    "no volume at all": (lambda frame: put(frame, "Volume", AT, np.nan), "KO on 2024-02-13: volume missing is not"),
    "a volume below nothing": (lambda frame: put(frame, "Volume", AT, -5.0), "KO on 2024-02-13: volume -5 is not"),
    "high below low": (lambda frame: put(frame, "High", AT, 50.0), "KO on 2024-02-13: high 50 is below the low"),
    "two bars for a day": (
        lambda frame: repeat_last(frame, Volume=7), "KO on 2024-03-25: two bars that differ, close",
    ),
    "a day in pence": (
        lambda frame: scale(frame, PRICES, [AT], 100),
        "KO on 2024-02-13: open 98.1743 on 2024-02-12, then 10039.8, which is followed by 99.1037 on 2024-02-14: units",
    ),
    "the first day in pence": (
        lambda frame: scale(frame, PRICES, [0], 100), "KO on 2024-01-03: open 10036.2 on 2024-01-02, then 101.257",
    ),
    "the last day in pence": (
        lambda frame: scale(frame, PRICES, [59], 100), "which is the last bar: units differ by 100",
    ),
    "a single price in pence": (
        lambda frame: scale(frame, ["High"], [AT], 100), "KO on 2024-02-13: high 98.6652 on 2024-02-12, then 10090",
    ),
    "pounds from a day on": (
        lambda frame: scale(frame, PRICES, range(AT, 60), 0.01),
        "KO on 2024-02-13: open 98.1743 on 2024-02-12, then 1.00398, which is followed by 0.991037 on 2024-02-14",
    ),
    "a split not applied on the second day": (
        lambda frame: scale(frame, PRICES, [0], 4), "looks like 4:1, and no split is recorded",
    ),
    "a split not applied on the last day": (
        lambda frame: scale(frame, PRICES, range(59), 4), "looks like 4:1, and no split is recorded",
    ),
    "a split not applied": (
        lambda frame: scale(frame, PRICES, range(AT), 4), "then 97.1308: a factor of 0.255, looks like 4:1, and no split is recorded",
    ),
    "a reverse split not applied": (
        lambda frame: scale(frame, PRICES, range(AT), 0.1), "looks like 1:10, and no split is recorded within 3 sessions",
    ),
    "a recorded split not applied": (
        lambda frame: put(scale(frame, PRICES, range(AT), 4), "Stock Splits", AT, 4.0),
        "looks like 4:1; a split of that ratio is recorded within 3 sessions, but not applied",
    ),
    "a recorded split three sessions off": (
        lambda frame: put(scale(frame, PRICES, range(AT), 3 / 2), "Stock Splits", AT - 3, 1.5), "but not applied",
    ),
    "a recorded split of 100 not applied": (
        lambda frame: put(scale(frame, PRICES, range(AT), 100), "Stock Splits", AT, 100.0), "but not applied",
    ),
    "a recorded split four sessions off": (
        lambda frame: put(scale(frame, PRICES, range(AT), 4), "Stock Splits", AT - 4, 4.0), "no split is recorded",
    ),
    "a rise overnight": (
        lambda frame: scale(frame, PRICES, range(AT), 0.55), "a factor of 1.86, looks like 1:2, and no split is recorded",
    ),
    "a broken adjustment": (
        lambda frame: scale(frame, ["Adj Close"], range(AT), 0.5), "looks like 1:2, and no split is recorded",
    ),
}  # fmt: skip


@pytest.mark.parametrize("defect", REFUSED)
def test_what_cannot_be_trusted_is_refused_and_named(defect):
    spoil, says = REFUSED[defect]
    said = refusal(spoil(answer()))
    assert says in said
    assert said.startswith("KO")


def test_a_split_that_was_not_applied_is_shown_with_both_closes():
    frame = scale(answer(), PRICES, range(AT), 4)
    before, then = frame["Close"].iloc[AT - 1], frame["Close"].iloc[AT]
    assert f"KO on 2024-02-13: close {before:.6g} on 2024-02-12, then {then:.6g}; adj_close" in refusal(frame)


REPORTED = {
    "a holiday row": (
        lambda frame: put(put(frame, PRICES, AT, np.nan), "Volume", AT, 0.0),
        "KO on 2024-02-13: no price and no volume, left out", 59,
    ),
    "the last day twice": (
        repeat_last, "KO on 2024-03-25: came twice with equal values, close 97.1106; one kept", 60,
    ),
    "a day beyond the end": (
        lambda frame: frame.set_axis(frame.index[:-1].append(pd.DatetimeIndex(["2024-04-02"], tz=frame.index.tz))),
        "KO on 2024-04-02: left out, 2024-01-02 to 2024-03-25 was asked for", 59,
    ),
    "a day without volume": (
        lambda frame: put(put(frame, "Volume", AT, 0.0), "Volume", 40, 0.0),
        "KO on 2024-02-13: no volume (1 more such bar)", 60,
    ),
    "last days missing": (
        lambda frame: frame.iloc[:-5],
        "KO on 2024-03-18: the last bar, though there should be some until 2024-03-25", 55,
    ),
    "first days missing": (
        lambda frame: frame.iloc[5:], "KO on 2024-01-09: the first bar, though 2024-01-02 was asked for", 55,
    ),
    "another move beside a recorded split": (
        lambda frame: put(scale(frame, PRICES, range(AT), 1.8), "Stock Splits", AT, 10.0), "then 97.1308: a factor of 0.567, looks like 1.67:1; kept", 60,
    ),
    "a fall within the day": (
        lambda frame: scale(scale(frame, PRICES, range(AT), 1.7), ["Open", "High"], [AT], 1.7), "; kept", 60,
    ),
}  # fmt: skip


@pytest.mark.parametrize("defect", REPORTED)
def test_what_is_odd_is_reported_once(defect):
    spoil, says, rows = REPORTED[defect]
    bars, reports = read(spoil(answer()))
    assert len(reports) == 1
    assert says in reports[0]
    assert reports[0].startswith("KO on 2024-")
    assert len(bars) == rows
    assert bars["date"].is_unique().all()


def test_bitcoin_on_the_twelfth_of_march_2020_is_real():
    days = pd.DatetimeIndex(["2020-03-11", "2020-03-12", "2020-03-13"], name="Date")
    frame = pd.DataFrame(
        {
            "Open": [7910.09, 7913.62, 5017.83], "High": [7950.81, 7929.12, 5838.11], "Low": [7642.81, 4860.35, 4106.98],
            "Close": [7911.43, 4970.79, 5563.71], "Adj Close": [7911.43, 4970.79, 5563.71],
            "Volume": [38682762605, 53980357243, 74156772075], "Dividends": 0.0, "Stock Splits": 0.0,
        },
        index=days,
    )  # fmt: skip
    bars, reports = to_bars(frame, "BTC-USD", start=date(2020, 3, 11), end=date(2020, 3, 13), now=NOW)
    assert len(bars) == 3
    assert reports == [
        "BTC-USD on 2020-03-12: close 7911.43 on 2020-03-11, then 4970.79; adj_close 7911.43 on 2020-03-11, then "
        "4970.79: a factor of 0.628, looks like 1.67:1; kept"
    ]


def test_an_accepted_jump_is_kept_and_reported():
    frame = scale(answer(), PRICES, range(AT), 2)
    assert "looks like 2:1, and no split" in refusal(frame)
    bars, reports = read(frame, accept=True)
    assert len(bars) == 60
    assert [report.endswith("; kept") for report in reports] == [True]


@pytest.mark.parametrize(
    ("tz", "now", "kept"),
    [
        ("America/New_York", datetime(2024, 3, 25, 15, tzinfo=UTC), 59),
        ("America/New_York", datetime(2024, 3, 26, 3, tzinfo=UTC), 59),  # still the 25th there
        ("America/New_York", datetime(2024, 3, 26, 5, tzinfo=UTC), 60),
        ("Asia/Tokyo", datetime(2024, 3, 25, 3, tzinfo=UTC), 59),
        ("Asia/Tokyo", datetime(2024, 3, 25, 16, tzinfo=UTC), 60),  # the 26th there
        (None, datetime(2024, 3, 25, 15, tzinfo=UTC), 59),
        (None, datetime(2024, 3, 26, 0, tzinfo=UTC), 60),
    ],
)
def test_a_session_that_may_not_be_over_is_left_out(tz, now, kept):
    bars, reports = read(answer(tz), now=now)
    assert len(bars) == kept
    said = "KO on 2024-03-25: close 97.1106 left out, the session may not be over (2024-03-25 is today)"
    assert reports == ([said] if kept == 59 else [])


def test_no_later_bar_is_expected_than_today():
    assert read(answer(), end=date(2030, 1, 1), now=datetime(2024, 3, 30, tzinfo=UTC))[1] == []
    assert "until 2024-04-20" in read(answer(), end=date(2030, 1, 1), now=datetime(2024, 4, 20, 12, tzinfo=UTC))[1][0]


def test_equal_answers_do_not_differ():
    first = read(answer())[0]
    assert differences(first, read(answer())[0]) == ""
    assert differences(first, first.with_columns(pl.col("adj_close") * (1 + 5e-7))) == ""


@pytest.mark.parametrize("column", ["open", "close", "adj_close", "volume", "split"])
def test_the_first_difference_is_named_with_both_values(column):
    first = read(answer())[0]
    changed = pl.when(pl.int_range(pl.len()) >= AT).then(pl.col(column) * (1 + 1e-5) + 1e-3).otherwise(column)
    said = differences(first, first.with_columns(changed.alias(column)))
    value = first[column][AT]
    assert said.startswith(
        f"first on 2024-02-13: {column} {value!r}, then {value * (1 + 1e-5) + 1e-3!r}; 30 values on 30"
    )


def test_a_bar_that_only_one_answer_has_is_a_difference():
    first = read(answer())[0]
    less = first.filter(pl.col("date") != date(2024, 2, 13))
    assert differences(first, less).startswith(
        f"first on 2024-02-13: open {first['open'][AT]!r}, then no bar; 7 values"
    )
    assert "open no bar, then" in differences(less, first)


def test_the_preset_is_the_universe_of_the_study():
    assert len(UNIVERSE) == len(set(UNIVERSE)) == 11
    assert MARKET not in UNIVERSE
    assert (str(START), str(END)) == ("2010-01-01", "2024-12-31")


@pytest.fixture
def library():
    return pytest.importorskip("yfinance")


class Reply:
    """What Yahoo replies to a request for a chart."""

    url, status_code = "https://query2.finance.yahoo.com/v8/finance/chart/KO", 200

    def __init__(self, chart):
        self.text = json.dumps(chart)

    def json(self):
        return json.loads(self.text)


def chart(frame, **events):
    """Bars as Yahoo writes them: seconds of the opening of New York, null where there is nothing."""
    listed = {field: [None if np.isnan(value) else value for value in frame[field]] for field in [*PRICES, "Volume"]}
    quote = {field.lower(): listed[field] for field in ["Open", "High", "Low", "Close", "Volume"]}
    result = {
        "meta": {
            "instrumentType": "EQUITY", "exchangeTimezoneName": "America/New_York", "currency": "USD", "symbol": "KO",
        },
        "timestamp": [int((day + pd.Timedelta(hours=9.5)).timestamp()) for day in frame.index],
        "indicators": {"quote": [quote], "adjclose": [{"adjclose": listed["Adj Close"]}]}, "events": events,
    }  # fmt: skip
    return {"chart": {"result": [result], "error": None}}


@pytest.fixture
def wire(library, monkeypatch):
    """Replace the lowest layer of yfinance, so that all else is as it will be: replies in turn, the last for ever."""

    class Forgetful:
        lookup = staticmethod(lambda _: None)
        store = staticmethod(lambda *_: None)

    def plan(*replies):
        replies, asked = list(replies), []

        def request(self, url, request_method, params=None, **_):
            asked.append((url, params))
            reply = replies.pop(0) if len(replies) > 1 else replies[0]
            if isinstance(reply, Exception):
                raise reply
            return Reply(reply)

        monkeypatch.setattr(library.data.YfData, "_make_request", request)
        return asked

    monkeypatch.setattr(library.cache, "get_tz_cache", Forgetful)
    library.data.YfData.cache_get.cache_clear()
    yield plan
    library.data.YfData.cache_get.cache_clear()


def test_bars_come_through_yfinance_as_yahoo_wrote_them(wire):
    frame = put(put(answer(), PRICES, AT, np.nan), "Volume", AT, np.nan)  # yfinance itself would leave this row out
    day = int(pd.Timestamp("2024-02-20 09:30", tz="America/New_York").timestamp())
    asked = wire(chart(frame, splits={str(day): {"date": day, "numerator": 2, "denominator": 1, "splitRatio": "2:1"}}))
    bars, reports = read(Yahoo().history("KO", FIRST, LAST))
    assert reports == ["KO on 2024-02-13: no price and no volume, left out"]
    kept = frame.drop(frame.index[AT])
    for column, field in {"open": "Open", "close": "Close", "adj_close": "Adj Close", "volume": "Volume"}.items():
        np.testing.assert_array_equal(bars[column], kept[field])
    assert bars["date"].to_list() == [day.date() for day in kept.index]
    assert bars.filter(pl.col("split") != 0).select("date", "split").row(0) == (date(2024, 2, 20), 2.0)
    url, params = asked[-1]
    assert url == "https://query2.finance.yahoo.com/v8/finance/chart/KO"
    bounds = [pd.Timestamp(params[name], unit="s", tz="UTC") for name in ("period1", "period2")]
    assert [str(bound.tz_convert("America/New_York").date()) for bound in bounds] == ["2024-01-02", "2024-03-26"]


def test_a_second_download_asks_yahoo_again(wire):
    changed = scale(answer(), ["Close"], [AT], 1.001)
    wire(chart(answer()), chart(answer()), chart(answer()), chart(changed))
    yahoo = Yahoo()
    first, second = (read(yahoo.history("KO", FIRST, LAST))[0] for _ in range(2))
    assert "first on 2024-02-13: close" in differences(first, second)


def test_failures_come_through_yfinance_as_what_they_are(wire, library):
    yahoo = Yahoo()
    dns = library.data.requests.exceptions.ConnectionError("curl: (6) Could not resolve host: query2.finance.yahoo.com")
    for replies in ([dns], [chart(answer()), dns]):
        wire(*replies)
        with pytest.raises(Unreachable, match="Could not resolve host"):
            yahoo.history("KO", FIRST, LAST)
    for replies in ([library.exceptions.YFRateLimitError()], [chart(answer()), library.exceptions.YFRateLimitError()]):
        wire(*replies)
        with pytest.raises(DataError, match="answered with an error .*Too Many Requests") as caught:
            yahoo.history("KO", FIRST, LAST)
        assert not isinstance(caught.value, Unreachable)
    why = "Data doesn't exist for startDate = 1704171600, endDate = 1711425600"
    wire(chart(answer()), {"chart": {"result": None, "error": {"code": "Bad Request", "description": why}}})
    assert why in refusal(yahoo.history("KO", FIRST, LAST))


def failing(*messages):
    """Act as yf.download does when a ticker fails: errors are logged, the frame is empty."""

    def download(tickers, **_):
        for message in messages:
            logging.getLogger("yfinance").error(message)
        empty = pd.DataFrame(index=pd.DatetimeIndex([]), columns=[*PRICES, "Volume"], dtype=float)
        return empty.rename_axis("Date")

    return download


def test_yahoo_is_asked_for_prices_as_traded_until_the_last_day(library, monkeypatch):
    asked = {}

    def download(tickers, **options):
        asked.update(options, tickers=tickers, hidden=library.config.debug.hide_exceptions)
        return answer(None)

    monkeypatch.setattr(library, "download", download)
    yahoo = Yahoo()
    assert read(yahoo.history("KO", FIRST, LAST))[0].equals(read(answer())[0])
    assert asked["tickers"] == ["KO"]
    assert (asked["start"], asked["end"]) == ("2024-01-02", "2024-03-26")
    assert (asked["auto_adjust"], asked["actions"], asked["keepna"], asked["threads"]) == (False, True, True, False)
    assert asked["hidden"] is False
    assert library.config.debug.hide_exceptions is True
    assert yahoo.version == f"yfinance {library.__version__}"


def test_the_options_are_those_of_the_installed_yfinance(library, monkeypatch):
    import inspect

    real = inspect.signature(library.download)

    def download(*args, **options):
        real.bind(*args, **options)
        return answer(None)

    monkeypatch.setattr(library, "download", download)
    assert len(Yahoo().history("KO", FIRST, LAST)) == 60


def test_an_answer_is_never_taken_from_the_memory_of_yfinance(library, monkeypatch):
    cleared = []
    monkeypatch.setattr(library.data.YfData.cache_get, "cache_clear", lambda: cleared.append(1))
    monkeypatch.setattr(library, "download", lambda *_, **__: answer(None))
    yahoo = Yahoo()
    for _ in range(2):
        yahoo.history("KO", FIRST, LAST)
    assert len(cleared) == 2


@pytest.mark.parametrize(
    "message",
    [
        "['KO']: DNSError('Failed to perform, curl: (6) Could not resolve host: query2.finance.yahoo.com.')",
        "['KO']: Timeout('Failed to perform, curl: (28) Operation timed out after 10002 milliseconds')",
        "['KO']: ProxyError('Failed to perform, curl: (56) CONNECT tunnel failed, response 403.')",
        "Failed to get ticker 'KO' reason: Failed to perform, curl: (7) Failed to connect",
        "['KO']: ConnectTimeout(MaxRetryError())",
        "['KO']: OSError(101, 'Network is unreachable')",
    ],
)
def test_a_missing_network_is_not_an_empty_answer(library, monkeypatch, caplog, message):
    hidden = "['KO']: possibly delisted; no timezone found"  # what yfinance makes of it, unless told not to
    monkeypatch.setattr(library, "download", failing(message, "\n1 Failed download:", hidden))
    with pytest.raises(Unreachable, match=r"^query2.finance.yahoo.com cannot be reached \(.+\)$") as caught:
        Yahoo().history("KO", FIRST, LAST)
    assert "delisted" not in str(caught.value)
    assert caplog.records == []  # it is said once, by the error


def test_a_network_error_that_yfinance_lets_through_is_unreachable_too(library, monkeypatch):
    def download(*_, **__):
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(library, "download", download)
    with pytest.raises(Unreachable, match="Connection refused"):
        Yahoo().history("KO", FIRST, LAST)


@pytest.mark.parametrize(
    "message",
    [
        "['KO']: YFPricesMissingError('$KO: possibly delisted; no price data found  (1d 2024-01-02 -> 2024-03-26)')",
        "['KO']: possibly delisted; no timezone found",
    ],
)
def test_no_prices_is_an_answer_without_rows(library, monkeypatch, message):
    monkeypatch.setattr(library, "download", failing("\n1 Failed download:", message))
    said = refusal(Yahoo().history("KO", FIRST, LAST))
    assert said.startswith("KO: no bars came back for 2024-01-02 to 2024-03-25 (")
    assert "delisted" not in said


@pytest.mark.parametrize(
    "message",
    [
        "['KO']: YFRateLimitError('Too Many Requests. Rate limited. Try after a while.')",
        "['KO']: JSONDecodeError('Expecting value: line 1 column 1 (char 0)')",
    ],
)
def test_an_error_of_the_host_is_neither(library, monkeypatch, message):
    monkeypatch.setattr(library, "download", failing("\n1 Failed download:", message))
    with pytest.raises(DataError, match=r"^KO: query2.finance.yahoo.com answered with an error \(") as caught:
        Yahoo().history("KO", FIRST, LAST)
    assert not isinstance(caught.value, Unreachable)
    monkeypatch.setattr(library, "download", lambda *_, **__: None)
    with pytest.raises(DataError, match="^KO: yfinance gave nothing back"):
        Yahoo().history("KO", FIRST, LAST)


@pytest.mark.parametrize("ticker", ["../../etc/x", "KO?x=1", "KO#", "KO SPY", "KO,SPY", "", "..", "K%4F", "KO\n"])
def test_a_ticker_that_would_change_the_address_is_refused(library, monkeypatch, ticker):
    monkeypatch.setattr(library, "download", lambda *_, **__: pytest.fail("was asked"))
    with pytest.raises(DataError, match="is not a ticker of Yahoo"):
        Yahoo().history(ticker, FIRST, LAST)


def test_without_yfinance_the_way_out_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "yfinance", None)
    with pytest.raises(DataError, match=r"pip install 'nextday\[yahoo\]'"):
        Yahoo()
