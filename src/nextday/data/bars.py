"""Daily bars: one row per ticker and date, checked when made. Nothing is filled in or left out here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import polars as pl

from nextday.data.checks import Finding, by_ticker, check_bars
from nextday.data.jumps import REFUSED
from nextday.data.rhythm import DAY_EARLY, NOT_DAILY
from nextday.errors import DataError
from nextday.names import listed
from nextday.settings import Also
from nextday.words import plural

QUESTIONS = 10  # that are written out


@dataclass(frozen=True, slots=True)
class Bars:
    """Daily bars of some tickers, in the order of ticker and date.

    Attributes
    ----------
    frame
        ``date, ticker, open, high, low, close, adj_close, volume``, then any other numeric columns of the source,
        which may be named as features. Prices are as traded, ``adj_close`` carries splits and dividends.
    source
        Where the bars come from, for messages and manifests.
    accept
        Tickers whose jumps are real, however much they look like a split that was not applied; ``*`` accepts all.
    notes
        What was left out when the bars were made, and jumps that may be splits that were not applied.
    market
        Ticker of which dates and adjusted closes are enough; its other columns may be empty.
    joined
        Columns that came with further files, and the settings of each file.

    Raises
    ------
    DataError
        At the first defect, with its ticker, date and value: no rows, a missing date or ticker, and every fatal rule of
        ``checks``.

    Examples
    --------
    >>> from nextday.data import load_bars
    >>> load_bars("sample").tickers[-1]
    'XOM'
    """

    frame: pl.DataFrame
    source: str
    accept: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    market: str = ""
    joined: Mapping[str, Also] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        check_keys(self.frame, self.source)
        object.__setattr__(self, "frame", by_ticker(self.frame))
        found = check_bars(self.frame, accept=self.accept, fatal_only=True, market=self.market)
        bad = [finding for finding in found if finding.fatal]
        if bad:
            others = sorted({finding.ticker for finding in bad} - {bad[0].ticker})
            also = f" (also bad: {', '.join(others[:5])}{' ...' if len(others) > 5 else ''})" if others else ""
            raise DataError(f"{self.source}: {bad[0]}{also}; {_way_out(bad[0])}")
        asked = [note for note in _questions(found) if note not in self.notes]
        object.__setattr__(self, "notes", (*self.notes, *asked))

    @property
    def tickers(self) -> list[str]:
        """Every ticker, in alphabetical order."""
        return self.frame["ticker"].unique().sort().to_list()

    def __repr__(self) -> str:
        first, last = self.frame.select(first=pl.min("date"), last=pl.max("date")).row(0)
        return (
            f"Bars of {listed(self.tickers)}: {plural(len(self.frame), 'row')}, {first} to {last}; from {self.source}"
        )


def check_keys(frame: pl.DataFrame, source: str) -> None:
    """Refuse bars that cannot be distinguished: no rows, or one without its ticker or date."""
    if frame.is_empty():
        raise DataError(f"{source}: no rows; expected one row per ticker and date")
    for column, other in (("ticker", "date"), ("date", "ticker")):
        missing = frame[column].is_null() | (frame[column] == "" if column == "ticker" else False)
        if missing.any():
            row = missing.arg_true()[0]
            hint = "; pandas reads the ticker NA as missing unless keep_default_na=False" if column == "ticker" else ""
            raise DataError(
                f"{source}: {column} is missing in {missing.sum()} rows; first: row {row + 1} "
                f"({other} {frame[other][row]}){hint}"
            )


def _questions(findings: list[Finding]) -> list[str]:
    """Ask what nobody but the user knows; many are counted."""
    asked = [
        f"{finding}; fix it, or accept it as real with --accept {finding.ticker}" for finding in findings[:QUESTIONS]
    ]
    more = len(findings) - len(asked)
    return [*asked, f"{plural(more, 'more such question')}; nextday data check lists all"] if more > 0 else asked


def _way_out(finding: Finding) -> str:
    if finding.rule == "dates go back":
        way_out = "sort the bars by date"
    elif finding.rule == NOT_DAILY:
        way_out = "nextday reads daily bars"
    elif finding.rule == DAY_EARLY:
        way_out = f"read them again with --timezone, or accept them as they are with --accept {finding.ticker}"
    elif finding.rule in REFUSED:
        way_out = f"fix it, or accept it as real with --accept {finding.ticker}"
    else:
        way_out = "fix or remove the bar; nextday does not impute values"
    return f"{way_out}; --drop-bad excludes such tickers"
