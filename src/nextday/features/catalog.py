"""The features and feature sets that a study can name. A new feature is a new line here.

Row ``t`` of every feature uses nothing later than the close of ``t``. No feature is shifted: the window supplies the
lag. An expression reads the bars of one ticker in the order of dates, and the market's adjusted close as
``market_adj_close``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl

WINDOW = 20  # sessions in every rolling statistic


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature of a ticker's bars.

    Attributes
    ----------
    expression
        A Polars expression, or a function that maps the bars of one ticker, in the order of dates and with the market's
        adjusted close as ``market_adj_close``, to a column (a Polars Series, an array) or to an expression. Row ``t``
        may use nothing later than the close of ``t``.
    warmup
        Rows before its first value.
    formula
        Formula for readers.
    source
        The plugin that registered it; empty for built-in features.

    Examples
    --------
    >>> Feature(pl.col("close").log().diff(5), 5, "ln(close[t] / close[t-5])").warmup
    5
    """

    expression: pl.Expr | Callable[[pl.DataFrame], Any]
    warmup: int
    formula: str = ""
    source: str = ""


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

FEATURE_SETS: dict[str, tuple[str, ...]] = {
    "raw": ("log_return",),
    "ohlcv": ("log_return", "oc_return", "hl_range", "close_pos", "log_vol", "vol_change"),
    "engineered": ("log_return", "roll_vol", "range_norm", "vol_zscore", "mkt_return"),
    "lags": ("ret_lag1", "ret_lag2", "ret_lag5", "roll_vol", "range_norm", "vol_zscore", "mkt_return"),
}
