"""From one answer of Yahoo to bars: what is no bar is left out and said, what cannot be trusted is refused.

Yahoo changes its past without notice, so ``differences`` compares two answers to one question.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from math import exp, log
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import polars as pl

from nextday.data.checks import PRICES
from nextday.data.jumps import JUMP, SPLITS
from nextday.errors import DataError
from nextday.words import plural

if TYPE_CHECKING:
    import pandas as pd

FIELDS = {
    "Open": "open", "High": "high", "Low": "low", "Close": "close", "Adj Close": "adj_close", "Volume": "volume",
    "Stock Splits": "split",
}  # fmt: skip
LATE = timedelta(days=5)  # a weekend with holidays on both sides is shorter
SPLIT_DAYS = 3  # sessions around a jump in which a recorded split may explain it
NOISE = 0.1  # of a log return beside a split
UNITS = 0.25  # of a log return beside a factor of 100
NOT_NEEDED = ("Dividends", "Capital Gains", "Repaired?")
Row = dict[str, Any]


def to_bars(
    frame: "pd.DataFrame", ticker: str, *, start: date, end: date, now: datetime, accept: bool = False
) -> tuple[pl.DataFrame, list[str]]:
    """Bring an answer for one ticker to bars.

    Parameters
    ----------
    frame
        What yfinance gave, one row per session, its dates in the index.
    ticker
        Whose bars they are.
    start, end
        The days that were asked for, both included.
    now
        When the answer came, with a timezone: a bar of that day is left out, its session may not be over. For an index
        without a timezone the day is that of UTC, which no session outruns.
    accept
        Keep jumps that look like a split that was not applied.

    Returns
    -------
    polars.DataFrame
        ``date, ticker, open, high, low, close, adj_close, volume``, and ``split``: the ratio of a split on that day, 0
        without one.
    list of str
        What was left out or is odd, one line each.

    Raises
    ------
    DataError
        If the bars cannot be trusted, with the ticker, the date and the values that show it.
    """
    bars, timezone = _columns(frame, ticker, f"no bars came back for {start} to {end}")
    today = now.astimezone(timezone or UTC).date()
    reports: list[str] = []
    for which, says in _left_out(start, end, today):
        reports += _lines(ticker, bars, ((which, says),))
        bars = bars.filter(~which)
    if bars.is_empty():
        raise DataError("; ".join([f"{ticker}: no bars came back for {start} to {end}", *reports]))
    seen = _with_neighbours(bars.sort("date", maintain_order=True))
    for line in _lines(ticker, seen, (*DEFECTS, *(() if accept else JUMPS))):
        raise DataError(line)
    reports += [*_lines(ticker, seen, ODD), *_ends(seen["date"], ticker, start, min(end, today))]
    return seen.select("date", pl.lit(ticker).alias("ticker"), *FIELDS.values()), reports


def differences(first: pl.DataFrame, second: pl.DataFrame) -> str:
    """Compare the bars of two answers to one question; empty if they are the same.

    Only ``adj_close`` may differ, by a millionth of it: Yahoo computes it anew each time.
    """
    columns = [name for name in first.columns if name not in ("date", "ticker")]
    both = first.join(second, on="date", how="full", coalesce=True, suffix="_again").sort("date")
    marks = both.select(
        (
            pl.col(name).is_null()
            | pl.col(f"{name}_again").is_null()
            | ((pl.col(name) - pl.col(f"{name}_again")).abs() > (1e-6 * pl.col(name) if name == "adj_close" else 0))
        ).alias(name)
        for name in columns
    )
    days = marks.select(pl.any_horizontal(columns)).to_series().arg_true()
    if not len(days):
        return ""
    row = both.row(days[0], named=True)
    name = next(name for name in columns if marks[name][days[0]])
    shown = ["no bar" if value is None else repr(value) for value in (row[name], row[f"{name}_again"])]
    count = sum(marks[name].sum() for name in columns)
    return f"first on {row['date']}: {name} {shown[0]}, then {shown[1]}; {count} values on {len(days)} days in all"


def _columns(frame: "pd.DataFrame", ticker: str, nothing: str) -> tuple[pl.DataFrame, tzinfo | None]:
    """Take the columns of one ticker, and the timezone; dates are those of the exchange, whatever the timezone."""
    if not len(frame):
        said = f" ({frame.attrs['said']})" if frame.attrs.get("said") else ""
        raise DataError(f"{ticker}: {nothing}{said}; check the ticker and the days")
    chosen = _of_ticker(frame, ticker) if frame.columns.nlevels > 1 else frame
    missing = [name for name in FIELDS if name not in chosen.columns]
    if missing:
        why = "; its prices may be adjusted already, ask with auto_adjust=False" if "Adj Close" in missing else ""
        raise DataError(f"{ticker}: the answer has no column {', '.join(missing)}{why}")
    index: Any = chosen.index
    if not hasattr(index, "tz") or index.hasnans or not chosen.columns.is_unique:
        raise DataError(f"{ticker}: the answer is not one row per date and one column per field; update yfinance")
    try:
        numbers = [
            pl.Series(name, chosen[field].to_numpy(dtype="float64", na_value=float("nan"))).fill_nan(None)
            for field, name in FIELDS.items()
        ]
    except (TypeError, ValueError) as error:
        raise DataError(f"{ticker}: the answer is not all numbers ({error}); update yfinance") from None
    dates = pl.Series("date", index.date.tolist(), dtype=pl.Date)
    return pl.DataFrame([dates, *numbers]).with_columns(pl.col("split").fill_null(0)), index.tz


def _of_ticker(frame: "pd.DataFrame", ticker: str) -> Any:  # noqa: ANN401 - a frame, by every version of pandas' types
    levels = [level for level in range(frame.columns.nlevels) if ticker in frame.columns.get_level_values(level)]
    if not levels:
        found = sorted({str(name) for names in frame.columns for name in names} - {*FIELDS, *NOT_NEEDED})
        raise DataError(f"{ticker}: the answer has no columns of it, but of {shorten(', '.join(found), 80)}")
    return frame.xs(ticker, axis=1, level=levels[0])


def _left_out(start: date, end: date, today: date) -> tuple["Rule", ...]:
    """Return the rules for rows that are no bars; yfinance drops the first and last kinds itself, without a word."""
    empty = pl.all_horizontal(pl.col(PRICES).is_null(), pl.col("volume").fill_null(0) == 0, pl.col("split") == 0)
    again = pl.struct(pl.all()).is_duplicated() & ~pl.struct(pl.all()).is_first_distinct()
    return (
        (empty, lambda _: "no price and no volume, left out"),
        (
            pl.col("date") >= today,
            lambda row: f"close {_shown(row['close'])} left out, the session may not be over ({today} is today)",
        ),
        (~pl.col("date").is_between(start, end), lambda _: f"left out, {start} to {end} was asked for"),
        (again, lambda row: f"came twice with equal values, close {_shown(row['close'])}; one kept"),
    )


def _with_neighbours(bars: pl.DataFrame) -> pl.DataFrame:
    return bars.with_columns(
        pl.all().shift(1).name.prefix("before_"), pl.all().shift(-1).name.prefix("after_")
    ).with_columns(move=_log_ratio("adj_close"))


def _log_ratio(name: str) -> pl.Expr:
    return (pl.col(name) / pl.col(f"before_{name}")).log()


def _lines(ticker: str, bars: pl.DataFrame, rules: Iterable["Rule"]) -> Iterator[str]:
    """Describe for each rule that matches where it does first, what is there, and how often it does."""
    for which, says in rules:
        found = bars.filter(which)
        if len(found):
            row = found.row(0, named=True)
            more = f" ({plural(len(found) - 1, 'more such bar')})" if len(found) > 1 else ""
            yield f"{ticker} on {row['date']}: {says(row)}{more}"


def _ends(dates: pl.Series, ticker: str, start: date, end: date) -> Iterator[str]:
    first, last = dates[0], dates[-1]
    if first > start + LATE:
        yield f"{ticker} on {first}: the first bar, though {start} was asked for"
    if last < end - LATE:
        yield f"{ticker} on {last}: the last bar, though there should be some until {end}"


def _shown(value: float | None) -> str:
    return "missing" if value is None else f"{value:.6g}"


def _values(row: Row) -> str:
    return ", ".join(f"{name} {_shown(row[name])}" for name in (*PRICES, "volume"))


def _twice(row: Row) -> str:
    shown = [f"close {_shown(row[f'{of}close'])} volume {_shown(row[f'{of}volume'])}" for of in ("", "after_")]
    return f"two bars that differ, {shown[0]} and {shown[1]}; which one is right is unknown"


def _jump(row: Row) -> str:
    ratio = min(SPLITS, key=lambda ratio: abs(log(ratio) - abs(row["move"])))
    looks = f"a factor of {exp(row['move']):.3g}"
    if abs(log(ratio) - abs(row["move"])) < NOISE:
        looks += f", looks like {ratio:.3g}:1" if row["move"] < 0 else f", looks like 1:{ratio:.3g}"
    pairs = [
        f"{name} {_shown(row[f'before_{name}'])} on {row['before_date']}, then {_shown(row[name])}"
        for name in ("close", "adj_close")
    ]
    return f"{'; '.join(pairs)}: {looks}"


def _is_hundred(row: Row, name: str) -> bool:
    return abs(abs(log(row[name] / row[f"before_{name}"])) - log(100)) < UNITS


def _hundred(row: Row) -> str:
    name = next(name for name in PRICES if _is_hundred(row, name))
    before, value, after = row[f"before_{name}"], row[name], row[f"after_{name}"]
    then = "is the last bar"
    if after is not None:
        then = f"is followed by {_shown(after)} on {row['after_date']}"
    return f"{name} {_shown(before)} on {row['before_date']}, then {_shown(value)}, which {then}: units differ by 100"


_SPLIT_LOGS = [pl.col("split").shift(days, fill_value=0).log().abs() for days in range(-SPLIT_DAYS, SPLIT_DAYS + 1)]
_RECORDED = pl.any_horizontal(
    (split > 0.25) & ((split - pl.col("move").abs()).abs() < NOISE) for split in _SPLIT_LOGS
)  # infinite where there is none
_NEAR_SPLIT = pl.any_horizontal(split.is_finite() for split in _SPLIT_LOGS)
_WITHIN_DAY = (
    (pl.col("low") * 0.97 <= pl.col("before_close"))
    & (pl.col("before_close") <= pl.col("high") * 1.03)
    & ((_log_ratio("close") - pl.col("move")).abs() < NOISE)
)
_JUMPS = pl.col("move").abs() > JUMP
_BY_100 = pl.any_horizontal((_log_ratio(name).abs() - log(100)).abs() < UNITS for name in PRICES)

Says = Callable[[Row], str]
Rule = tuple[pl.Expr, Says]
DEFECTS: tuple[Rule, ...] = (
    (pl.col("date") == pl.col("after_date"), _twice),
    (pl.any_horizontal(pl.col(PRICES).is_null()), lambda row: f"a price is missing: {_values(row)}"),
    (
        ~pl.all_horizontal(pl.col(PRICES).is_finite(), pl.col(PRICES) > 0),
        lambda row: f"a price is not a positive number: {_values(row)}",
    ),
    (
        ~(pl.col("volume").is_finite() & (pl.col("volume") >= 0)).fill_null(value=False),
        lambda row: f"volume {_shown(row['volume'])} is not a number from 0 up",
    ),
    (pl.col("high") < pl.col("low"), lambda row: "high {high:.6g} is below the low {low:.6g}".format(**row)),
    (_BY_100 & ~_RECORDED, _hundred),
)  # fmt: skip
JUMPS: tuple[Rule, ...] = (
    (
        _RECORDED & ~_WITHIN_DAY,
        lambda row: f"{_jump(row)}; a split of that ratio is recorded within {SPLIT_DAYS} sessions, but not applied",
    ),
    (
        _JUMPS & ~_NEAR_SPLIT & ~_WITHIN_DAY,
        lambda row: f"{_jump(row)}, and no split is recorded within {SPLIT_DAYS} sessions",
    ),
)
ODD: tuple[Rule, ...] = (
    (_JUMPS, lambda row: f"{_jump(row)}; kept"),
    (pl.col("volume") == 0, lambda _: "no volume"),
)
