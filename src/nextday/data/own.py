"""Columns of one's own, beyond what bars must have: how much of them is there, and what a run would make of it."""

from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from datetime import date

import polars as pl

from nextday.settings import COLUMNS
from nextday.words import plural


@dataclass(frozen=True, slots=True)
class Own:
    """A column of one's own in the bars of one ticker.

    Attributes
    ----------
    column, ticker
        Whose it is; a column of text is no ticker's.
    bars, missing
        Bars of the ticker, and those without a value.
    first
        Date of the first value, if there is one.
    holes
        Bars without a value after the first.
    infinite
        Values that are not finite.
    still
        The value never moves.
    """

    column: str
    ticker: str
    bars: int
    missing: int
    first: date | None
    holes: int
    infinite: int
    still: bool

    @property
    def remark(self) -> str:
        """What a run would refuse, or what tells it nothing; empty where all is well."""
        if not self.ticker:
            return "no number: cannot be a feature"
        said = [
            "no value: refused as a feature" if self.first is None else "",
            f"{plural(self.infinite, 'value')} not finite: refused as a feature" if self.infinite else "",
            f"{plural(self.holes, 'value')} missing after the first: refused as a feature" if self.holes else "",
            "never moves" if self.still else "",
        ]
        return "; ".join(filter(None, said))

    def as_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return asdict(self) | {"first": None if self.first is None else str(self.first), "remark": self.remark}


def describe_own(frame: pl.DataFrame, tickers: Collection[str] = ()) -> list[Own]:
    """Look at every column of one's own, ticker by ticker.

    Parameters
    ----------
    frame
        Bars, those of a ticker in the order of dates.
    tickers
        Whose bars to look at; none are all.
    """
    chosen = frame.filter(pl.col("ticker").is_in(tickers)) if tickers else frame
    return [one for name in frame.columns if name not in COLUMNS for one in _describe(chosen, name)]


def _describe(frame: pl.DataFrame, name: str) -> Iterator[Own]:
    kind = frame.schema[name]
    if not (kind.is_numeric() or kind == pl.Boolean):
        yield Own(name, "", len(frame), frame[name].null_count(), None, 0, 0, still=False)
        return
    value = pl.col(name).cast(pl.Float64)
    there = value.is_not_null() & value.is_not_nan()
    known = value.filter(there)
    table = frame.group_by("ticker", maintain_order=True).agg(
        bars=pl.len(), missing=(~there).sum(), first=pl.col("date").filter(there).first(),
        holes=(~there & there.cum_max()).sum(), infinite=known.is_infinite().sum(),
        still=(known.len() > 1) & (known.min() == known.max()),
    )  # fmt: skip
    for ticker, bars, missing, first, holes, infinite, still in table.iter_rows():
        yield Own(name, ticker, bars, missing, first, holes, infinite, still)
