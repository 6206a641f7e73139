"""Bars with sessions missing: a ticker that was suspended, long and short, and a market that lacks a day."""

from collections.abc import Mapping, Sequence

import polars as pl

from nextday.data import Bars, random_walk

HOLES = {"BBB": [(100, 111), (160, 160), (290, 291), (350, 357)], "MKT": [(330, 330)]}  # rows from and to, inclusive


def without_rows(frame: pl.DataFrame, holes: Mapping[str, Sequence[tuple[int, int]]]) -> pl.DataFrame:
    """Leave out rows of tickers, counted from their first."""
    row = pl.int_range(pl.len()).over("ticker")
    missing = [
        (pl.col("ticker") == ticker) & row.is_between(first, last)
        for ticker, spans in holes.items()
        for first, last in spans
    ]
    return frame.filter(~pl.any_horizontal(missing))


def suspended(holes: Mapping[str, Sequence[tuple[int, int]]] = HOLES, *, sessions: int = 400, seed: int = 0) -> Bars:
    """Draw two tickers and a market that lack some rows."""
    whole = random_walk(tickers=("AAA", "BBB", "MKT"), sessions=sessions, seed=seed)
    return Bars(without_rows(whole.frame, holes), "suspended", accept=("*",))
