"""Daily bars: one row per ticker and date, checked when made. Nothing is filled in or left out here."""

from dataclasses import dataclass

import polars as pl

from nextday.errors import DataError

PRICES = ("open", "high", "low", "close", "adj_close")
COLUMNS = ("date", "ticker", *PRICES, "volume")


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

    Raises
    ------
    DataError
        At the first defect, with its ticker, date and value: no rows, a missing date, ticker or number, dates that
        go back or come twice, a price that is not positive, a negative volume, a high below its low.
    """

    frame: pl.DataFrame
    source: str

    def __post_init__(self) -> None:
        if self.frame.is_empty():
            raise DataError(f"{self.source}: no rows; expected one row per ticker and date")
        self._check_keys()
        self._check_order()
        self._check_numbers()
        object.__setattr__(self, "frame", self.frame.sort("ticker", maintain_order=True))

    @property
    def tickers(self) -> list[str]:
        """Every ticker, in alphabetical order."""
        return self.frame["ticker"].unique().sort().to_list()

    def _check_keys(self) -> None:
        for column in ("ticker", "date"):
            missing = self.frame[column].is_null() | (self.frame[column].cast(pl.String) == "")
            if missing.any():
                row = missing.arg_true()[0]
                other = {"ticker": "date", "date": "ticker"}[column]
                hint = (
                    "; pandas reads the ticker NA as missing unless keep_default_na=False" if column == "ticker" else ""
                )
                raise DataError(
                    f"{self.source}: {column} is missing in {missing.sum()} rows; first: row {row + 1} "
                    f"({other} {self.frame[other][row]}){hint}"
                )

    def _check_order(self) -> None:
        before = pl.col("date").shift(1).over("ticker")
        wrong = self.frame.select("ticker", "date", before=before).filter(pl.col("date") <= pl.col("before"))
        if wrong.is_empty():
            return
        first = wrong.row(0, named=True)
        if first["date"] == first["before"] or self.frame.select("ticker", "date").is_duplicated().any():
            twice = self.frame.filter(pl.struct("ticker", "date").is_duplicated()).row(0, named=True)
            raise DataError(
                f"{self.source}: {twice['ticker']} has more than one bar on {twice['date']} "
                f"(first close {twice['close']}); keep one bar per ticker and date"
            )
        raise DataError(
            f"{self.source}: the dates of {first['ticker']} go back: {first['date']} follows {first['before']}; "
            "sort the bars by date"
        )

    def _check_numbers(self) -> None:
        for column in PRICES:
            self._refuse(~(pl.col(column).is_finite() & (pl.col(column) > 0)), column, "is not a positive number")
        self._refuse(~(pl.col("volume").is_finite() & (pl.col("volume") >= 0)), "volume", "is not a number from 0 up")
        self._refuse(pl.col("high") < pl.col("low"), "high", "is below the low {low}")

    def _refuse(self, wrong: pl.Expr, column: str, says: str) -> None:
        found = self.frame.filter(wrong.fill_null(value=True))
        if found.is_empty():
            return
        first = found.row(0, named=True)
        value = "missing" if first[column] is None else first[column]
        more = f" ({len(found) - 1} more such bars)" if len(found) > 1 else ""
        raise DataError(
            f"{self.source}: {first['ticker']} on {first['date']}: {column} {value} {says.format(**first)}{more}; "
            "mend or remove the bar, nextday fills nothing in"
        )
