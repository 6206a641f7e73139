"""Sets of our own: heterogeneous autoregressive volatility, range estimators, momentum, and the Gu-Kelly-Xiu features.

Each feature is one Polars expression, with its paper. Of Gu, Kelly and Xiu (2020) it is the part that prices and
volume determine, with months of 21 sessions and years of 252, so that it has a value every day.
"""

from math import log, sqrt

import polars as pl

from nextday.features.adjusted import OPEN
from nextday.features.catalog import WINDOW, Feature, FeatureSet

WEEK, MONTH, QUARTER, HALF_YEAR, YEAR = 5, 21, 63, 126, 252  # sessions
HAR_MONTH = 22  # sessions, as in Corsi's paper
DEFLATOR = 480_000  # of Liu's measure over one month: keeps the second term below 1 day
GKX = "Gu, Kelly and Xiu (2020), Review of Financial Studies 33"

_CLOSE = pl.col("adj_close")
_RETURN = _CLOSE / _CLOSE.shift(1) - 1
_MARKET = pl.col("market_adj_close") / pl.col("market_adj_close").shift(1) - 1
_HIGH_LOW = (pl.col("high") / pl.col("low")).log()
_OPEN_CLOSE = (pl.col("close") / pl.col("open")).log()
_OVERNIGHT = (OPEN / _CLOSE.shift(1)).log()
_VOLUME = pl.col("volume").cast(pl.Float64)
_DOLLARS = _CLOSE * _VOLUME

_PARKINSON = _HIGH_LOW**2 / (4 * log(2))
_GARMAN_KLASS = 0.5 * _HIGH_LOW**2 - (2 * log(2) - 1) * _OPEN_CLOSE**2
_ROGERS_SATCHELL = (pl.col("high") / pl.col("close")).log() * (pl.col("high") / pl.col("open")).log() + (
    pl.col("low") / pl.col("close")
).log() * (pl.col("low") / pl.col("open")).log()


def _root_mean(variance: pl.Expr) -> pl.Expr:
    """Volatility over the window from a variance a day; rounding may take a zero below zero."""
    return variance.rolling_mean(WINDOW).clip(lower_bound=0).sqrt()


def _yang_zhang() -> pl.Expr:
    weight = 0.34 / (1.34 + (WINDOW + 1) / (WINDOW - 1))
    overnight, day = (one.rolling_var(WINDOW, ddof=1) for one in (_OVERNIGHT, _OPEN_CLOSE))
    total = overnight + weight * day + (1 - weight) * _ROGERS_SATCHELL.rolling_mean(WINDOW)
    return total.clip(lower_bound=0).sqrt()


def _covariance() -> pl.Expr:
    """Covariance of a ticker's and the market's returns over a year, with the divisor of ``rolling_var``."""
    product = (_RETURN * _MARKET).rolling_mean(YEAR) - _RETURN.rolling_mean(YEAR) * _MARKET.rolling_mean(YEAR)
    return product * (YEAR / (YEAR - 1))


_BETA = _covariance() / _MARKET.rolling_var(YEAR, ddof=1)
_TRADED = _VOLUME > 0
_PRICE_IMPACT = pl.when(_TRADED).then(1e6 * _RETURN.abs() / _DOLLARS).otherwise(0.0)
# shares outstanding are not in bars: turnover is relative to the ticker's own volume over the year
_TURNOVER = _VOLUME.rolling_sum(MONTH) / _VOLUME.rolling_mean(YEAR)
_QUIET_DAYS = (~_TRADED).cast(pl.Float64).rolling_sum(MONTH)


def _mean_return(first: int, last: int) -> pl.Expr:
    return _CLOSE.shift(last) / _CLOSE.shift(first) - 1


_PAPERS = {
    "har": "Corsi (2009), Journal of Financial Econometrics 7",
    "parkinson": "Parkinson (1980), Journal of Business 53",
    "garman_klass": "Garman and Klass (1980), Journal of Business 53",
    "rogers_satchell": "Rogers and Satchell (1991), Annals of Applied Probability 1",
    "yang_zhang": "Yang and Zhang (2000), Journal of Business 73",
    "tsmom": "Moskowitz, Ooi and Pedersen (2012), Journal of Financial Economics 104",
    "mom": "Jegadeesh and Titman (1993), Journal of Finance 48",
    "mom1m": "Jegadeesh (1990), Journal of Finance 45",
    "maxret": "Bali, Cakici and Whitelaw (2011), Journal of Financial Economics 99",
    "retvol": "Ang, Hodrick, Xing and Zhang (2006), Journal of Finance 61",
    "idiovol": "Ali, Hwang and Trombley (2003), Journal of Financial Economics 69",
    "beta": "Fama and MacBeth (1973), Journal of Political Economy 81",
    "dolvol": "Chordia, Subrahmanyam and Anshuman (2001), Journal of Financial Economics 59",
    "turn": "Datar, Naik and Radcliffe (1998), Journal of Financial Markets 1",
    "ill": "Amihud (2002), Journal of Financial Markets 5",
    "zerotrade": "Liu (2006), Journal of Financial Economics 82",
}


def _feature(name: str, expression: pl.Expr, warmup: int, formula: str, paper: str = "") -> tuple[str, Feature]:
    return name, Feature(expression, warmup, formula, paper=_PAPERS[paper or name])


def _har() -> dict[str, Feature]:
    day = _HIGH_LOW / sqrt(4 * log(2))
    return dict([
        _feature("har_day", day, 0, "ln(high / low) / sqrt(4 ln 2), the volatility of t by its range", "har"),
        _feature("har_week", day.rolling_mean(WEEK), WEEK - 1, "mean of har_day over t-4..t", "har"),
        _feature("har_month", day.rolling_mean(HAR_MONTH), HAR_MONTH - 1, "mean of har_day over t-21..t", "har"),
    ])  # fmt: skip


def _ranges() -> dict[str, Feature]:
    over = f"over t-{WINDOW - 1}..t"
    return dict([
        _feature("parkinson", _root_mean(_PARKINSON), WINDOW - 1, f"root mean of ln(high / low)^2 / (4 ln 2) {over}"),
        _feature(
            "garman_klass", _root_mean(_GARMAN_KLASS), WINDOW - 1,
            f"root mean of ln(high / low)^2 / 2 - (2 ln 2 - 1) ln(close / open)^2 {over}",
        ),
        _feature(
            "rogers_satchell", _root_mean(_ROGERS_SATCHELL), WINDOW - 1,
            f"root mean of ln(high / close) ln(high / open) + ln(low / close) ln(low / open) {over}",
        ),
        _feature(
            "yang_zhang", _yang_zhang(), WINDOW,
            f"root of var(overnight) + k var(open to close) + (1 - k) rogers_satchell^2 {over}, "
            "k = 0.34 / (1.34 + 21/19)",
        ),
    ])  # fmt: skip


def _tsmom() -> dict[str, Feature]:
    def past_return(days: int) -> tuple[str, Feature]:
        formula = f"ln(adj_close[t] / adj_close[t-{days}])"
        return _feature(f"tsmom{days}", (_CLOSE / _CLOSE.shift(days)).log(), days, formula, "tsmom")

    return dict(past_return(days) for days in (MONTH, QUARTER, YEAR))


def _gkx_price() -> dict[str, Feature]:
    zero_days = _QUIET_DAYS + pl.when(_TURNOVER == 0).then(0.0).otherwise(1 / (_TURNOVER * DEFLATOR))
    residual = _RETURN.rolling_var(YEAR, ddof=1) - _BETA * _covariance()
    impact = _PRICE_IMPACT.rolling_sum(MONTH) / _TRADED.cast(pl.Float64).rolling_sum(MONTH)
    return dict([
        _feature("mom1m", _mean_return(MONTH, 0), MONTH, "adj_close[t] / adj_close[t-21] - 1"),
        _feature("mom6m", _mean_return(HALF_YEAR, MONTH), HALF_YEAR, "adj_close[t-21] / adj_close[t-126] - 1", "mom"),
        _feature("mom12m", _mean_return(YEAR, MONTH), YEAR, "adj_close[t-21] / adj_close[t-252] - 1", "mom"),
        _feature("maxret", _RETURN.rolling_max(MONTH), MONTH, "largest return over t-20..t"),
        _feature("retvol", _RETURN.rolling_std(MONTH, ddof=1), MONTH, "standard deviation of returns over t-20..t"),
        _feature("beta", _BETA, YEAR, "slope of returns on those of the market over t-251..t"),
        _feature(
            "idiovol", residual.clip(lower_bound=0).sqrt(), YEAR,
            "standard deviation of what beta leaves of the returns over t-251..t",
        ),
        _feature(
            "dolvol", _DOLLARS.rolling_mean(MONTH).log1p(), MONTH - 1, "ln(1 + mean of adj_close * volume over t-20..t)"
        ),
        _feature(
            "turn", _VOLUME.rolling_mean(QUARTER) / _VOLUME.rolling_mean(YEAR), YEAR - 1,
            "mean volume over t-62..t / that over t-251..t; bars do not have the shares outstanding",
        ),
        _feature(
            "ill", impact, MONTH,
            "1e6 * mean of abs(return) / (adj_close * volume) over the days with trades of t-20..t",
        ),
        _feature(
            "zerotrade", zero_days, YEAR - 1,
            "days without trades in t-20..t + 1 / (480000 turnover); turnover: volume of t-20..t / mean of t-251..t",
        ),
    ])  # fmt: skip


HAR = FeatureSet({"volatility": ("har_day", "har_week", "har_month")}, _har, HAR_MONTH - 1, _PAPERS["har"])
RANGES = FeatureSet(
    {"volatility": ("parkinson", "garman_klass", "rogers_satchell", "yang_zhang")}, _ranges, WINDOW,
    "Parkinson (1980); Garman and Klass (1980); Rogers and Satchell (1991); Yang and Zhang (2000)",
)  # fmt: skip
TSMOM = FeatureSet({"momentum": ("tsmom21", "tsmom63", "tsmom252")}, _tsmom, YEAR, _PAPERS["tsmom"])
GKX_PRICE = FeatureSet(
    {
        "momentum": ("mom1m", "mom6m", "mom12m"),
        "risk": ("maxret", "retvol", "beta", "idiovol"),
        "liquidity": ("dolvol", "turn", "ill", "zerotrade"),
    },
    _gkx_price, YEAR, GKX,
)  # fmt: skip
