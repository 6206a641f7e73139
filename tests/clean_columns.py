"""Columns that use nothing later than the close of their day, as users have them.

Every maker maps bars of all tickers, in the order of ticker and date and with the market's adjusted close as
``market_adj_close``, to a column. Some are drawn: the draws depend on the first bar alone, so that bars which are cut
have the same ones.
"""

from collections.abc import Callable
from zlib import crc32

import numpy as np
import polars as pl

from nextday.features import FEATURES

Made = pl.Expr | pl.Series
Maker = Callable[[pl.DataFrame], Made]

LITTLE = 1e-12  # where a denominator may be zero
RETURN = (pl.col("adj_close") / pl.col("adj_close").shift(1)).log()
MARKET = (pl.col("market_adj_close") / pl.col("market_adj_close").shift(1)).log()
PRICE = pl.col("adj_close").log()
FACTOR = pl.col("adj_close") / pl.col("close")
OPEN, HIGH, LOW, CLOSE = (pl.col(name) for name in ("open", "high", "low", "close"))
RANGE = (HIGH / LOW).log()
VOLUME = pl.col("volume").log1p()
GAP = (OPEN * FACTOR / pl.col("adj_close").shift(1)).log()
TURNOVER = pl.col("volume") * CLOSE
DAY = pl.col("date").dt


def per_ticker(expression: pl.Expr) -> Maker:
    """Evaluate an expression on the bars of each ticker."""
    return lambda _: expression.over("ticker")


def across(expression: pl.Expr) -> Maker:
    """Rank the values of an expression among the tickers of a day, 0 to 1."""

    def make(frame: pl.DataFrame) -> pl.Series:
        ranked = pl.col("value").rank().over("date") / pl.len().over("date")
        return frame.select("date", value=expression.over("ticker")).select(ranked).to_series()

    return make


def _excess_over_mean(frame: pl.DataFrame) -> pl.Series:
    returns = frame.select("date", value=RETURN.over("ticker"))
    return returns.select(pl.col("value") - pl.col("value").mean().over("date")).to_series()


def each(compute: Callable[[pl.DataFrame], np.ndarray]) -> Maker:
    """Compute an array from the bars of each ticker."""

    def make(frame: pl.DataFrame) -> pl.Series:
        parts = frame.partition_by("ticker", maintain_order=True)
        return pl.Series(np.concatenate([np.asarray(compute(part), float) for part in parts]))

    return make


def by_date(compute: Callable[[pl.DataFrame], np.ndarray]) -> Maker:
    """Compute an array from one row per day, with ``date`` and ``market_adj_close``, for all tickers alike."""

    def make(frame: pl.DataFrame) -> pl.Series:
        days = frame.sort("date", "ticker").unique("date", keep="first", maintain_order=True)
        return pl.Series(np.asarray(compute(days), float)[days["date"].search_sorted(frame["date"])])

    return make


def rng_of(part: pl.DataFrame, salt: int) -> np.random.Generator:
    """Return a generator that depends on the first bar and on a number of one's own."""
    first = part.row(0, named=True)
    return np.random.default_rng([salt, crc32(first["ticker"].encode()), int(1e4 * first["close"])])


def log_returns(part: pl.DataFrame, price: str = "adj_close") -> np.ndarray:
    """Return the log returns of one ticker, the first missing."""
    return np.diff(np.log(part[price].to_numpy()), prepend=np.nan)


def periods(part: pl.DataFrame, every: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of the week or month of every row, and the first row of each, shape [period]."""
    starts = part["date"].dt.truncate(every).to_numpy()
    _, first, number = np.unique(starts, return_index=True, return_inverse=True)
    return number, first


def period_returns(part: pl.DataFrame, every: str) -> np.ndarray:
    """Return the log return of every week or month, from the last close before it; the first from its own first."""
    price, (_, first) = np.log(part["adj_close"].to_numpy()), periods(part, every)
    before, last = np.maximum(first - 1, 0), np.append(first[1:], len(price)) - 1
    return price[last] - price[before]


def _last_return(every: str) -> Maker:
    def compute(part: pl.DataFrame) -> np.ndarray:
        number = periods(part, every)[0]
        return np.where(number > 0, period_returns(part, every)[number - 1], np.nan)

    return each(compute)


def _to_date(every: str) -> Maker:
    def compute(part: pl.DataFrame) -> np.ndarray:
        price, (number, first) = np.log(part["adj_close"].to_numpy()), periods(part, every)
        return price - price[np.maximum(first - 1, 0)][number]

    return each(compute)


def quarter_figures(part: pl.DataFrame, salt: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw a company's figures: the ends of quarters, the days of publication 25 to 60 days later, and the values."""
    quarters = np.arange(np.datetime64("1999-01", "M"), part["date"].to_numpy()[-1].astype("datetime64[M]") + 4, 3)
    rng = rng_of(part, salt)
    draws = np.array([(rng.integers(25, 60), rng.standard_normal()) for _ in quarters])
    ends = quarters.astype("datetime64[D]") - 1
    return ends, ends + draws[:, 0].astype(int), draws[:, 1].cumsum()


def _published(part: pl.DataFrame, salt: int = 1) -> np.ndarray:
    _, public, values = quarter_figures(part, salt)
    return values[np.searchsorted(public, part["date"].to_numpy(), "right") - 1]


def _surprise(part: pl.DataFrame) -> np.ndarray:
    """Return what the market made of the last publication: the return of its day, and some noise, held."""
    _, public, noise = quarter_figures(part, 2)
    last = np.searchsorted(public, part["date"].to_numpy(), "right") - 1
    returns, fresh = log_returns(part), np.diff(last, prepend=last[0]) != 0
    first = np.maximum.accumulate(np.where(fresh, np.arange(len(last)), -1))
    return np.where(first >= 0, returns[first] + 0.005 * np.diff(noise, prepend=0)[last], np.nan)


def _rating(part: pl.DataFrame) -> np.ndarray:
    """Return a rating of 1 to 5 that an analyst revises on random days, after what the price did."""
    rng, price = rng_of(part, 3), np.log(part["adj_close"].to_numpy())
    days = rng.random(len(price)) < 1 / 50
    rating = np.cumsum(np.where(days, np.sign(price - price[np.maximum(np.arange(len(price)) - 60, 0)]), 0))
    return 3 + 2 * np.tanh(rating / 4)


def _random_walk(salt: int, persistence: float = 1.0) -> Callable[[pl.DataFrame], np.ndarray]:
    def compute(part: pl.DataFrame) -> np.ndarray:
        drawn, value = rng_of(part, salt).standard_normal(len(part)), 0.0
        return np.array([value := persistence * value + one for one in drawn])

    return compute


def drawn_by_day(days: pl.DataFrame, salt: int) -> np.random.Generator:
    """Return a generator of what is the same for all tickers, which depends on the first day alone."""
    return np.random.default_rng([salt, int(1e4 * days["market_adj_close"][0])])


def _asian_close(days: pl.DataFrame) -> np.ndarray:
    """Return the return of an exchange that closes before this day's session and follows the last one here."""
    market = log_returns(days, "market_adj_close")
    return 0.6 * np.append(np.nan, market[:-1]) + 0.008 * drawn_by_day(days, 4).standard_normal(len(days))


def _policy_rate(days: pl.DataFrame) -> np.ndarray:
    moves = drawn_by_day(days, 5).random((len(days), 2))
    return 3 + 0.25 * np.cumsum(np.where(moves[:, 0] < 1 / 30, np.sign(moves[:, 1] - 0.5), 0))


def _days_since_high(part: pl.DataFrame) -> np.ndarray:
    before = np.concatenate([np.zeros(249), part["adj_close"].to_numpy()])
    since = np.lib.stride_tricks.sliding_window_view(before, 250)[:, ::-1].argmax(1)
    return np.where(np.arange(len(part)) >= 249, since, np.nan)


def _streak(part: pl.DataFrame) -> np.ndarray:
    signs, run = np.sign(np.nan_to_num(log_returns(part))), 0.0
    return np.array([run := run + one if one * run > 0 else one for one in signs])


def _garch(part: pl.DataFrame) -> np.ndarray:
    """Return the volatility that a GARCH(1,1) of given parameters forecasts for the next day."""
    squares, variance = np.nan_to_num(log_returns(part)) ** 2, 4e-4
    return np.array([variance := 4e-6 + 0.08 * one + 0.91 * variance for one in squares]) ** 0.5


def _fractional(part: pl.DataFrame) -> np.ndarray:
    weights = np.cumprod(np.r_[1.0, (np.arange(1, 100) - 1.4) / np.arange(1, 100)])
    whole = np.convolve(np.log(part["adj_close"].to_numpy()), weights)[: len(part)]
    return np.where(np.arange(len(part)) >= 99, whole, np.nan)


def _industry(part: pl.DataFrame) -> np.ndarray:
    return np.full(len(part), float(crc32(part["ticker"][0].encode()) % 7))


def _wilder(value: pl.Expr, days: int) -> pl.Expr:
    return value.ewm_mean(alpha=1 / days, adjust=False, min_samples=days)


def rsi(days: int) -> pl.Expr:
    """Return the relative strength index."""
    gain, loss = _wilder(RETURN.clip(lower_bound=0), days), _wilder(-RETURN.clip(upper_bound=0), days)
    return 100 * (gain + LITTLE) / (gain + loss + 2 * LITTLE)


def _place(value: pl.Expr, high: pl.Expr, low: pl.Expr, days: int) -> pl.Expr:
    bottom = low.rolling_min(days)
    return (value - bottom) / (high.rolling_max(days) - bottom + LITTLE)


def _correlation(one: pl.Expr, other: pl.Expr, days: int) -> pl.Expr:
    return pl.rolling_corr(one, other, window_size=days, min_samples=days).fill_nan(0.0)


_MACD = (PRICE.ewm_mean(span=12, adjust=False) - PRICE.ewm_mean(span=26, adjust=False)).alias("macd")
_TRUE_RANGE = RANGE.clip(lower_bound=GAP.abs()) + 0 * RETURN
_OBV = (RETURN.sign().fill_null(0) * pl.col("volume")).cum_sum()
_BETA = pl.rolling_cov(RETURN, MARKET, window_size=60) / (MARKET.rolling_var(60) + LITTLE)
_LAGGED = RETURN.shift(1)
_AR = pl.rolling_cov(RETURN, _LAGGED, window_size=250) / (_LAGGED.rolling_var(250) + LITTLE)
_PRICES = ((HIGH + LOW + CLOSE) / 3 * FACTOR).alias("typical")
_MONEY_UP = pl.when(_PRICES.shift(1) < _PRICES).then(TURNOVER).otherwise(0.0)
_SQUARES = RETURN**2

EXPRESSIONS: dict[str, pl.Expr] = {
    **{f"catalog_{name}": one.expression for name, one in FEATURES.items() if isinstance(one.expression, pl.Expr)},
    "rsi_2": rsi(2), "rsi_14": rsi(14), "macd": _MACD, "macd_signal": _MACD.ewm_mean(span=9, adjust=False),
    **{f"momentum_{days}": PRICE.diff(days) for days in (5, 10, 20, 60, 120, 250)},
    "momentum_12_1": PRICE.shift(21) - PRICE.shift(250), "gap": GAP, "gap_sum_5": GAP.rolling_sum(5),
    "open_to_close": (CLOSE / OPEN).log(),
    "parkinson": ((RANGE**2).rolling_mean(20) / (4 * np.log(2))).sqrt(),
    "garman_klass": (0.5 * RANGE**2 - 0.386 * (CLOSE / OPEN).log() ** 2).rolling_mean(20).abs().sqrt(),
    "rogers_satchell": (
        (HIGH / CLOSE).log() * (HIGH / OPEN).log() + (LOW / CLOSE).log() * (LOW / OPEN).log()
    ).rolling_mean(20).abs().sqrt(),
    "atr_14": _wilder(_TRUE_RANGE, 14), "ewma_volatility": (_SQUARES.ewm_mean(alpha=0.06, adjust=False)).sqrt(),
    "downside_volatility": (RETURN.clip(upper_bound=0) ** 2).rolling_mean(20).sqrt(),
    "har_forecast": (0.35 * _SQUARES + 0.35 * _SQUARES.rolling_mean(5) + 0.3 * _SQUARES.rolling_mean(22) + 1e-8).log(),
    "volatility_of_volatility": RANGE.rolling_std(20), "variance_ratio": PRICE.diff(5).rolling_var(60)
    / (5 * RETURN.rolling_var(60) + LITTLE), "hurst": (
        (PRICE.diff(16).rolling_var(120) + LITTLE) / (RETURN.rolling_var(120) + LITTLE)
    ).log() / (2 * np.log(16)),
    "bollinger": (PRICE - PRICE.rolling_mean(20)) / (PRICE.rolling_std(20) + LITTLE),
    "bollinger_width": PRICE.rolling_std(20), "amihud": (RETURN.abs() / (TURNOVER + 1) * 1e9).rolling_mean(20),
    "beta": _BETA, "idiosyncratic_volatility": (RETURN - MARKET).rolling_std(60), "skew": RETURN.rolling_skew(60),
    "kurtosis": (((RETURN - RETURN.rolling_mean(60)) / (RETURN.rolling_std(60) + LITTLE)) ** 4).rolling_mean(60),
    "obv": _OBV, "obv_change": _OBV.diff(20) / (pl.col("volume").rolling_sum(20) + 1),
    "stochastic_k": _place(CLOSE * FACTOR, HIGH * FACTOR, LOW * FACTOR, 14),
    "stochastic_d": _place(CLOSE * FACTOR, HIGH * FACTOR, LOW * FACTOR, 14).rolling_mean(3),
    "cci": (_PRICES - _PRICES.rolling_mean(20)) / (_PRICES.rolling_std(20) + LITTLE),
    "money_flow": _MONEY_UP.rolling_sum(14) / (TURNOVER.rolling_sum(14) + 1),
    "donchian": _place(PRICE, PRICE, PRICE, 55), "year_range": _place(PRICE, PRICE, PRICE, 250),
    "breakout": (PRICE.rolling_max(20) <= PRICE).cast(pl.Float64),
    "moving_average_50": PRICE - PRICE.rolling_mean(50), "moving_average_200": PRICE - PRICE.rolling_mean(200),
    "golden_cross": (PRICE.rolling_mean(20) > PRICE.rolling_mean(100)).cast(pl.Float64),
    "vwap_distance": PRICE - ((PRICE * pl.col("volume")).rolling_sum(20) / (pl.col("volume").rolling_sum(20) + LITTLE)),
    "up_days": (RETURN > 0).cast(pl.Float64).rolling_mean(10), "largest_of_month": RETURN.rolling_max(21),
    "autocorrelation": _correlation(RETURN, _LAGGED, 60), "ar_forecast": _AR * RETURN,
    "volume_price_correlation": _correlation(RETURN, VOLUME.diff(), 20), "volume_ratio": VOLUME - VOLUME.rolling_mean(60),
    "dollar_volume": (TURNOVER + 1).log(), "log_close": CLOSE.log(),
    "expanding_mean": RETURN.cum_sum() / RETURN.cum_count(),
    "expanding_volatility": (_SQUARES.cum_sum() / RETURN.cum_count()).sqrt(),
    "expanding_score": (VOLUME - VOLUME.cum_sum() / VOLUME.cum_count()), "drawdown": PRICE - PRICE.cum_max(),
    "high_volatility": (RETURN.rolling_std(20) > RETURN.rolling_std(250)).cast(pl.Float64),
    "market_volatility": MARKET.rolling_std(20), "market_momentum": MARKET.rolling_sum(60),
    "market_correlation": _correlation(RETURN, MARKET, 60), "relative_strength": (RETURN - MARKET).rolling_sum(60),
    "monday": (DAY.weekday() == 1).cast(pl.Float64), "friday": (DAY.weekday() == 5).cast(pl.Float64),
    "weekday": DAY.weekday().cast(pl.Float64), "month": DAY.month().cast(pl.Float64),
    "january": (DAY.month() == 1).cast(pl.Float64), "season": (DAY.ordinal_day() * (2 * np.pi / 365.25)).sin(),
    "turn_of_month": ((DAY.day() <= 3) | (DAY.day() >= 28)).cast(pl.Float64),
    "quarter_end": ((DAY.month() % 3 == 0) & (DAY.day() >= 25)).cast(pl.Float64),
    "time": (DAY.year() - 2000 + DAY.ordinal_day() / 366).cast(pl.Float64),
}  # fmt: skip

# States that last until the price turns: their runs end with a return against them, which is no knowledge of returns.
STATES: dict[str, pl.Expr] = {
    "above_average_5": PRICE.rolling_mean(5) < PRICE, "above_average_20": PRICE.rolling_mean(20) < PRICE,
    "above_average_50": PRICE.rolling_mean(50) < PRICE, "above_average_200": PRICE.rolling_mean(200) < PRICE,
    "rsi_above_50": rsi(14) > 50, "rsi_in_steps": (rsi(14) / 20).floor(), "up_over_5_days": PRICE.diff(5) > 0,
    "macd_above_signal": _MACD.ewm_mean(span=9, adjust=False) < _MACD,
    "averages_crossed": PRICE.rolling_mean(5) > PRICE.rolling_mean(20),
    "near_high": PRICE.rolling_max(250) - 0.05 < PRICE, "off_low": PRICE.rolling_min(20) + 0.05 < PRICE,
}  # fmt: skip

CLEAN: dict[str, Maker] = {
    **{name: per_ticker(expression) for name, expression in EXPRESSIONS.items()},
    **{name: per_ticker(state.cast(pl.Float64)) for name, state in STATES.items()},
    "rank_of_return": across(RETURN), "rank_of_reversal": across(-PRICE.diff(5)),
    "rank_of_momentum": across(PRICE.shift(21) - PRICE.shift(250)), "rank_of_turnover": across(TURNOVER.rolling_mean(20)),
    "rank_of_volatility": across(RETURN.rolling_std(20)), "rank_of_volume": across(VOLUME - VOLUME.rolling_mean(60)),
    "excess_over_mean": _excess_over_mean, "last_week": _last_return("1w"), "last_month": _last_return("1mo"), "last_quarter": _last_return("1q"),
    "week_to_date": _to_date("1w"), "month_to_date": _to_date("1mo"),
    "eps_published": each(_published), "surprise": each(_surprise), "rating": each(_rating),
    "book_to_price": each(lambda part: np.exp(_published(part, 6) / 10) / part["adj_close"].to_numpy()),
    "asian_close": by_date(_asian_close), "policy_rate": by_date(_policy_rate),
    "market_noise": by_date(lambda days: drawn_by_day(days, 7).standard_normal(len(days))),
    "sentiment": each(_random_walk(8)), "attention": each(_random_walk(9, 0.9)), "noise": each(_random_walk(10, 0.0)),
    "days_since_high": each(_days_since_high), "streak": each(_streak), "garch": each(_garch),
    "fractional_difference": each(_fractional), "industry": each(_industry),
}  # fmt: skip
