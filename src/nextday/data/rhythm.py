"""The weekdays and the pace of bars: days that are a day early, and bars that are not daily."""

from collections.abc import Iterator
from datetime import date

import polars as pl

NOT_DAILY, DAY_EARLY = "not daily", "a day early"
LEAST = 20  # bars from which a habit shows
WEEK = 5  # days: the steps of daily bars are shorter, by their median
Found = tuple[str, str, date, int, str]  # ticker, rule, first date, number of bars, evidence


def compare_with_weeks(frame: pl.DataFrame) -> Iterator[Found]:
    """Find tickers that trade on Sundays and never on Fridays, and those whose bars are a week or a month apart.

    Bars stamped in UTC put sessions of Asia and Europe on the day before: Monday's on Sunday, Friday's on Thursday. The
    exchanges of Riyadh, Kuwait or, before 2026, Tel Aviv do trade from Sunday to Thursday; such tickers are accepted
    by name.

    Parameters
    ----------
    frame
        Bars in the order of ticker and date.

    Yields
    ------
    Ticker, rule, first date, number of bars, and what shows it.
    """
    frame = _suspects(frame)
    day = pl.col("date").dt.weekday()
    step = pl.col("date").diff().dt.total_days()
    habits = frame.group_by("ticker", maintain_order=True).agg(
        bars=pl.len(), pace=step.median(), sundays=(day == 7).sum(), fridays=(day == 5).sum(),
        saturdays=(day == 6).sum(), first=pl.col("date").first(), sunday=pl.col("date").filter(day == 7).first(),
    )  # fmt: skip
    for row in habits.iter_rows(named=True):
        if row["pace"] >= WEEK:
            pace = f"half of its bars are {row['pace']:.0f} days apart or more: weekly or monthly bars, not daily ones"
            yield row["ticker"], NOT_DAILY, row["first"], row["bars"], pace
        elif row["sundays"] > 0.1 * row["bars"] and max(row["fridays"], row["saturdays"]) < 0.01 * row["bars"]:
            habit = f"{row['sundays']} of {row['bars']} bars are on Sundays and {row['fridays']} on Fridays"
            why = "days of UTC, not of the exchange (--timezone names it), unless it trades from Sunday to Thursday"
            yield row["ticker"], DAY_EARLY, row["sunday"], row["sundays"], f"{habit}: {why}"


def _suspects(frame: pl.DataFrame) -> pl.DataFrame:
    """Keep the bars of tickers that may have such a habit: few, so that looking at them costs nothing."""
    runs = frame["ticker"].rle().struct.unnest().rename({"value": "ticker"})
    ends = runs["len"].cum_sum()
    span = (frame["date"].gather(ends - 1) - frame["date"].gather(ends - runs["len"])).dt.total_days()
    each = runs.with_columns(pace=span / (runs["len"] - 1)).filter(pl.col("len") >= LEAST)
    sundays = frame.filter(pl.col("date").dt.weekday() == 7)["ticker"].unique()
    # a median step of a week makes a mean step of half a week or more
    wanted = each.filter((pl.col("pace") >= WEEK / 2) | pl.col("ticker").is_in(sundays.implode()))["ticker"]
    return frame.filter(pl.col("ticker").is_in(wanted.implode())) if len(wanted) else frame.clear()
