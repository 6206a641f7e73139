"""Daily bars from Yahoo Finance through yfinance, and whom else one might ask.

One ticker is one answer, as yfinance gives it; ``answers`` makes bars of it.
"""

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from importlib import import_module
from textwrap import shorten
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

from nextday.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

UNIVERSE = ("AAPL", "MSFT", "NVDA", "JPM", "GS", "JNJ", "UNH", "KO", "MCD", "XOM", "BTC-USD")
MARKET = "SPY"
START, END = date(2010, 1, 1), date(2024, 12, 31)

SYMBOL = re.compile(r"(?=.*[A-Z0-9])[A-Z0-9.^=&$*@!_-]+", re.IGNORECASE)  # anything else would change the address
NETWORK = re.compile(
    r"curl: \(|Could not resolve|gaierror|\b(DNS|Connection|Proxy|SSL|CertificateVerify|Timeout|MaxRetry|OS)Error\(|"
    r"\b(Connect|Read)?Timeout\(|Connection(Reset|Refused|Aborted)Error\("
)
NOTHING = re.compile(r"YF(PricesMissing|TzMissing)Error|no price data found|no timezone found|HTTP Error 404")


class Unreachable(DataError):
    """There was no answer at all: the network is missing, or the host does not take part."""


class PriceSource(Protocol):
    """Daily bars of a ticker as yfinance has them.

    Attributes
    ----------
    name, host
        For messages and file names.
    version
        The library and its version.
    """

    name: str
    host: str
    version: str

    def history(self, ticker: str, start: date, end: date) -> "pd.DataFrame":
        """Ask for the bars of one ticker, both days included; a frame without rows says that there are none.

        Raises
        ------
        Unreachable
            If there was no answer.
        DataError
            If the answer was an error.
        """
        ...


class Yahoo:
    """Yahoo Finance through yfinance, which is imported when this is made.

    Raises
    ------
    DataError
        If yfinance is not installed.
    """

    name = "yahoo"
    host = "query2.finance.yahoo.com"

    def __init__(self) -> None:
        try:
            self._library = import_module("yfinance")
        except ImportError as error:
            raise DataError(
                f"yfinance, which asks Yahoo, cannot be loaded ({error}): pip install 'nextday[yahoo]'"
            ) from None
        self.version = f"yfinance {self._library.__version__}"

    def history(self, ticker: str, start: date, end: date) -> "pd.DataFrame":
        """Ask for the bars of one ticker; prices as traded but for splits, and empty rows as they come."""
        if not SYMBOL.fullmatch(ticker):
            raise DataError(f"{ticker!r} is not a ticker of Yahoo, which writes ^GSPC, BRK-B, 0700.HK or BTC-USD")
        with _outspoken(self._library) as said:
            frame = None
            try:
                frame = self._library.download(
                    [ticker], start=start.isoformat(), end=(end + timedelta(days=1)).isoformat(), interval="1d",
                    auto_adjust=False, actions=True, keepna=True, ignore_tz=True, multi_level_index=False,
                    progress=False, threads=False,
                )  # fmt: skip
            except (OSError, ValueError, self._library.exceptions.YFException) as error:
                said.append(repr(error))
        if frame is not None and len(frame):
            return frame
        return self._explain(frame, ticker, " ".join(said))

    def _explain(self, frame: "pd.DataFrame | None", ticker: str, said: str) -> "pd.DataFrame":
        """Tell why there are no rows; yfinance calls whatever happened possibly delisted."""
        why = shorten(re.sub(r"\d+ Failed downloads?:|\[[^]]*\]: |possibly delisted; ", "", said), 160)
        if NETWORK.search(said):
            raise Unreachable(f"{self.host} cannot be reached ({why})")
        if said and not NOTHING.search(said):
            raise DataError(f"{ticker}: {self.host} answered with an error ({why})")
        if frame is None:
            raise DataError(f"{ticker}: yfinance gave nothing back; try again later")
        frame.attrs["said"] = why
        return frame


class _Listener(logging.Handler):
    """Collects messages."""

    def __init__(self, said: list[str]) -> None:
        super().__init__(logging.ERROR)
        self.said = said

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@contextmanager
def _outspoken(library: ModuleType) -> Iterator[list[str]]:
    """Ask anew rather than from memory, and collect the errors of yfinance, which it only logs.

    yfinance keeps answers for ranges of the past, errors among them, so that asking twice would compare an answer with
    itself. And unless told not to hide exceptions it logs a missing network as a ticker without a timezone.
    """
    said: list[str] = []
    logger, listener, debug = logging.getLogger("yfinance"), _Listener(said), library.config.debug
    before = logger.level, logger.propagate, debug.hide_exceptions
    library.data.YfData.cache_get.cache_clear()
    logger.addHandler(listener)
    logger.setLevel(logging.ERROR)
    logger.propagate, debug.hide_exceptions = False, False
    try:
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # of pandas, for yfinance to fix
            yield said
    finally:
        logger.removeHandler(listener)
        logger.setLevel(before[0])
        logger.propagate, debug.hide_exceptions = before[1:]
