"""The features and feature sets that a study can name. A new feature is a new line here.

Row ``t`` of every feature uses nothing later than the close of ``t``. No feature is shifted: the window supplies the
lag. An expression reads the bars of one ticker in the order of dates, and the market's adjusted close as
``market_adj_close``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import polars as pl

WINDOW = 20  # sessions in every rolling statistic


@dataclass(frozen=True, slots=True)
class Together:
    """What computes several features at once, as a library does that shares their intermediate steps.

    Attributes
    ----------
    compute
        Maps the bars of all tickers, in the order of ticker and date, and names of features to a frame with a column
        for each name and the same rows.
    across
        Whether a value compares the tickers of a day, so that it depends on which tickers a study forecasts.
    """

    compute: Callable[[pl.DataFrame, Sequence[str]], pl.DataFrame]
    across: bool = False


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature of a ticker's bars.

    Attributes
    ----------
    expression
        A Polars expression, or a function that maps the bars of one ticker, in the order of dates and with the market's
        adjusted close as ``market_adj_close``, to a column (a Polars Series, an array) or to an expression. Row ``t``
        may use nothing later than the close of ``t``. Features of a library that computes all tickers and several
        features at once are a ``Together``.
    warmup
        Rows before its first value.
    formula
        Formula for readers.
    source
        The plugin that registered it; empty for built-in features.
    paper
        Where the formula was published; empty where it needs no reference.

    Examples
    --------
    >>> Feature(pl.col("close").log().diff(5), 5, "ln(close[t] / close[t-5])").warmup
    5
    """

    expression: pl.Expr | Callable[[pl.DataFrame], Any] | Together
    warmup: int
    formula: str = ""
    source: str = ""
    paper: str = ""


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """A named set of features.

    Attributes
    ----------
    groups
        Its features, by group; a study may also name one group, as ``alpha158:volume``.
    build
        Makes the features, by name; the library that computes them is imported here and not before.
    warmup
        Rows before all of them have a value.
    paper
        Where the set was published.
    package
        The module that computes it, of the extra ``features``; empty if it takes none.
    refused
        Features of the published set that it leaves out, each with the reason.
    """

    groups: Mapping[str, tuple[str, ...]]
    build: Callable[[], Mapping[str, Feature]]
    warmup: int
    paper: str = ""
    package: str = ""
    refused: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def names(self) -> tuple[str, ...]:
        """Every feature once, in the order of the groups; one may be in several."""
        return tuple(dict.fromkeys(name for group in self.groups.values() for name in group))


def _log_return(price: str) -> pl.Expr:
    return (pl.col(price) / pl.col(price).shift(1)).log()


def _zscore(value: pl.Expr) -> pl.Expr:
    """Deviation from the rolling mean in rolling standard deviations; 0 where the window is constant."""
    constant = value.rolling_max(WINDOW) == value.rolling_min(WINDOW)  # exact, as a computed deviation is not
    score = (value - value.rolling_mean(WINDOW)) / value.rolling_std(WINDOW, ddof=1)
    return pl.when(constant).then(0.0).otherwise(score)


_LOG_RETURN = _log_return("adj_close")
_HL_RANGE = (pl.col("high") - pl.col("low")) / pl.col("close")
_LOG_VOL = pl.col("volume").log1p()

FEATURES: dict[str, Feature] = {
    "log_return": Feature(_LOG_RETURN, 1, "ln(adj_close[t] / adj_close[t-1])"),
    "oc_return": Feature((pl.col("close") - pl.col("open")) / pl.col("open"), 0, "(close - open) / open"),
    "hl_range": Feature(_HL_RANGE, 0, "(high - low) / close"),
    "close_pos": Feature(
        pl.when(pl.col("high") == pl.col("low"))
        .then(0.5)
        .otherwise((pl.col("close") - pl.col("low")) / (pl.col("high") - pl.col("low"))),
        0,
        "(close - low) / (high - low), 0.5 where high == low",
    ),
    "log_vol": Feature(_LOG_VOL, 0, "ln(1 + volume)"),
    "vol_change": Feature(_LOG_VOL.diff(), 1, "ln(1 + volume[t]) - ln(1 + volume[t-1])"),
    "roll_vol": Feature(
        _LOG_RETURN.rolling_std(WINDOW, ddof=1), WINDOW, "standard deviation of log_return over t-19..t"
    ),
    "range_norm": Feature(_HL_RANGE.rolling_mean(WINDOW), WINDOW - 1, "mean of hl_range over t-19..t"),
    "vol_zscore": Feature(_zscore(_LOG_VOL), WINDOW - 1, "(log_vol - its mean) / its standard deviation, over t-19..t"),
    "mkt_return": Feature(_log_return("market_adj_close"), 1, "log_return of the market at t"),
    "ret_lag1": Feature(_LOG_RETURN, 1, "log_return at t, one session before the target"),
    "ret_lag2": Feature(_LOG_RETURN.shift(1), 2, "log_return at t-1, two sessions before the target"),
    "ret_lag5": Feature(_LOG_RETURN.shift(4), 5, "log_return at t-4, five sessions before the target"),
}
