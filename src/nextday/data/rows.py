"""Rows that need a word: what is no bar, what comes newest first, what comes twice. No value is changed."""

import polars as pl

from nextday.data.checks import by_ticker
from nextday.names import listed
from nextday.settings import VALUES
from nextday.words import plural

Tidied = tuple[pl.DataFrame, list[str]]
SHOWN = 5  # tickers in a note


def drop_what_is_no_bar(frame: pl.DataFrame, _: str) -> Tidied:
    """Leave out rows without a single price or volume: no trade, a footer, the commas behind a table."""
    empty = frame.select(pl.all_horizontal(pl.col(VALUES).is_null())).to_series()
    if not empty.any():
        return frame, []
    gone = frame.filter(empty)
    whose = gone["ticker"].drop_nulls().unique().sort().to_list()
    first = gone.filter(pl.col("date").is_not_null()).head(1)
    place = f", the first on {first['date'][0]}" if len(first) else ""
    rows = plural(len(gone), "row")
    return frame.filter(~empty), [
        f"{listed(whose, SHOWN) + ': ' if whose else ''}{rows} without prices or volume left out{place}"
    ]


def oldest_first(frame: pl.DataFrame, _: str) -> Tidied:
    """Turn the rows of tickers that come newest first; any other order is a defect, which the checks name."""
    steps = frame.group_by("ticker", maintain_order=True).agg(step=pl.col("date").diff().max(), rows=pl.len())
    newest = steps.filter((pl.col("rows") > 1) & (pl.col("step") <= pl.duration(days=0)))["ticker"].to_list()
    if not newest:
        return frame, []
    turned = pl.col("ticker").is_in(newest)
    frame = pl.concat([frame.filter(~turned | turned.is_null()), frame.filter(turned).reverse()])
    return frame, [f"{listed(newest, SHOWN)}: the rows came newest first and were reversed"]


def take_once(frame: pl.DataFrame, _: str) -> Tidied:
    """Take a bar once that is given twice with the same values; with other values it is a defect."""
    frame = by_ticker(frame)
    same = frame["date"] == frame["date"].shift(1)
    if not same.any():
        return frame, []
    equal = frame.select(pl.all_horizontal(pl.all().eq_missing(pl.all().shift(1)))).to_series()
    equal &= same.fill_null(value=False)  # a row without a date is refused, not taken for another
    if not equal.any():
        return frame, []
    gone = frame.filter(equal)
    bars = "1 bar that was" if len(gone) == 1 else f"{len(gone)} bars that were"
    place = f"the first on {gone['date'][0]}"
    return frame.filter(~equal), [
        f"{listed(gone['ticker'].unique().sort(), SHOWN)}: {bars} given twice with equal values taken once, {place}"
    ]
