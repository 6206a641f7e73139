"""Columns that know the future, as users make them by mistake, and panels on which they and clean ones are audited."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from zlib import crc32

import numpy as np
import polars as pl
from scipy.linalg import solveh_banded
from scipy.ndimage import gaussian_filter1d
from scipy.signal import butter, filtfilt, savgol_filter
from scipy.stats import norm, rankdata
from sklearn.tree import DecisionTreeRegressor

from clean_columns import (
    CLEAN,
    CLOSE,
    FACTOR,
    GAP,
    HIGH,
    LITTLE,
    LOW,
    MARKET,
    PRICE,
    RANGE,
    RETURN,
    VOLUME,
    Maker,
    across,
    by_date,
    drawn_by_day,
    each,
    log_returns,
    per_ticker,
    period_returns,
    periods,
    quarter_figures,
    rng_of,
    rsi,
)
from nextday.auditing.columns import audit_columns
from nextday.auditing.findings import Finding
from nextday.data import Bars, Panel, align, load_bars

__all__ = [
    "AHEAD", "CLEAN", "LEAKS", "Leak",
    "any_simulated", "audited", "forecast_with", "missed", "real", "simulated", "with_columns",
]  # fmt: skip

NEXT = RETURN.shift(-1)
UP = (NEXT > 0).cast(pl.Float64)
EVENT_DAYS = 63  # sessions from one report of a company to the next
MARKET_NAME = "MKT"


@dataclass(frozen=True, slots=True)
class Leak:
    """A column that knows the future.

    Attributes
    ----------
    make
        Makes it.
    detectable
        Whether data alone show it: an alarm, or a note or a question where ``level`` says so.
    rule
        The rule that is meant to find it; empty where none can.
    lifelike
        Whether that takes bars unlike a random walk: ranges, volumes and absolute returns move together, and there are
        dividends or splits.
    moves
        Whether the column changes when the bars are cut; not where what it knows is not in the bars.
    level
        How loud it is at least.
    """

    make: Maker
    detectable: bool
    rule: str
    lifelike: bool = False
    moves: bool = True
    level: str = "alarm"


def _t1(make: Maker | pl.Expr) -> Leak:
    return Leak(per_ticker(make) if isinstance(make, pl.Expr) else make, detectable=True, rule="T1")


def _t2(make: Maker | pl.Expr) -> Leak:
    return replace(_t1(make), rule="T2", lifelike=True)


def _t3(make: Maker | pl.Expr, level: str = "alarm") -> Leak:
    return replace(_t1(make), rule="T3", level=level)


def _t4(make: Maker) -> Leak:
    return replace(_t1(make), rule="T4")


def _hidden(make: Maker | pl.Expr, *, moves: bool = True) -> Leak:
    return replace(_t1(make), detectable=False, rule="", moves=moves)


def _question(make: Maker | pl.Expr, rule: str, *, moves: bool = False) -> Leak:
    return replace(_t1(make), rule=rule, moves=moves, level="question", lifelike=rule == "Q3")


def forecast_with(r2: float, salt: int = 20) -> Maker:
    """Return tomorrow's return and noise: what it explains of the return is ``r2``."""

    def compute(part: pl.DataFrame) -> np.ndarray:
        ahead = np.append(log_returns(part)[1:], np.nan)
        return ahead + np.nanstd(ahead) * np.sqrt(1 / r2 - 1) * rng_of(part, salt).standard_normal(len(part))

    return each(compute)


def of_prices(smooth: Callable[[np.ndarray], np.ndarray]) -> Maker:
    """Smooth log prices, and return how far the price is above."""

    def compute(part: pl.DataFrame) -> np.ndarray:
        price = np.log(part["adj_close"].to_numpy())
        return price - smooth(price)

    return each(compute)


def of_returns(smooth: Callable[[np.ndarray], np.ndarray]) -> Maker:
    """Smooth returns."""
    return each(lambda part: smooth(np.nan_to_num(log_returns(part))))


def of_next(days: int, summary: Callable[[np.ndarray], np.ndarray]) -> Maker:
    """Summarise the log prices of the next days less today's, shape [row, day]; the last rows are missing."""

    def compute(part: pl.DataFrame) -> np.ndarray:
        windows = np.lib.stride_tricks.sliding_window_view(np.log(part["adj_close"].to_numpy()), days + 1)
        return np.r_[summary(windows[:, 1:] - windows[:, :1]), np.full(days, np.nan)]

    return each(compute)


def _two_sided(values: np.ndarray, alpha: float = 0.2) -> np.ndarray:
    before = pl.Series(values).ewm_mean(alpha=alpha, adjust=False).to_numpy()
    after = pl.Series(values[::-1]).ewm_mean(alpha=alpha, adjust=False).to_numpy()[::-1]
    return (before + after) / 2


def _hodrick_prescott(values: np.ndarray, penalty: float = 1e4) -> np.ndarray:
    second = np.diff(np.eye(7), 2, axis=0)
    rows = second.T @ second  # ends and middle of the penalty are those of any length
    banded = np.zeros((3, len(values)))
    for at in range(3):
        band, size = np.diag(rows, at), len(values) - at
        whole = np.full(size, band[len(band) // 2])
        whole[:2], whole[-2:] = band[:2], band[-2:]
        banded[2 - at, at:] = penalty * whole
    banded[2] += 1
    return solveh_banded(banded, values)


def _haar(values: np.ndarray, size: int = 8) -> np.ndarray:
    """Return the coarse part of a wavelet transform: the mean of every block."""
    blocks = np.arange(len(values)) // size
    return (np.bincount(blocks, values) / np.bincount(blocks))[blocks]


def _low_pass(values: np.ndarray) -> np.ndarray:
    spectrum = np.fft.rfft(values)
    spectrum[len(spectrum) // 8 :] = 0
    return np.fft.irfft(spectrum, len(values))


def _trend_residual(values: np.ndarray) -> np.ndarray:
    days = np.arange(len(values))
    return np.polyval(np.polyfit(days, values, 1), days)


def _interpolated(part: pl.DataFrame) -> np.ndarray:
    """Return log prices of the ends of months, interpolated in between."""
    last = np.append(periods(part, "1mo")[1][1:], len(part)) - 1
    return np.interp(np.arange(len(part)), last, np.log(part["adj_close"].to_numpy())[last])


def _at_start(every: str) -> Maker:
    return each(lambda part: period_returns(part, every)[periods(part, every)[0]])


def _close_of(every: str) -> Maker:
    """Return the close of the week's end over today's."""

    def compute(part: pl.DataFrame) -> np.ndarray:
        price, (number, first) = np.log(part["adj_close"].to_numpy()), periods(part, every)
        return price[np.append(first[1:], len(price)) - 1][number] - price

    return each(compute)


def _nearest(part: pl.DataFrame) -> np.ndarray:
    """Return the return of the week whose end is nearest, before or after."""
    last = np.append(periods(part, "1w")[1][1:], len(part)) - 1
    middles = (last[1:] + last[:-1]) / 2
    return period_returns(part, "1w")[np.searchsorted(middles, np.arange(len(part)))]


def _sparse(part: pl.DataFrame) -> np.ndarray:
    """Return a price that is known on every tenth day, filled backward, over today's."""
    price = np.log(part["adj_close"].to_numpy())
    return price[np.minimum(-(-np.arange(len(price)) // 10) * 10, len(price) - 1)] - price


def _component(which: int) -> Maker:
    """Return a principal component of three features over the whole sample."""

    def compute(part: pl.DataFrame) -> np.ndarray:
        table = part.select(RETURN.fill_null(0.0), RANGE, VOLUME).to_numpy()
        scaled = (table - table.mean(0)) / table.std(0)
        return scaled @ np.linalg.svd(scaled, full_matrices=False)[2][which]

    return each(compute)


def _by_weekday(part: pl.DataFrame) -> np.ndarray:
    return part.select(NEXT.mean().over(pl.col("date").dt.weekday())).to_series().to_numpy()


def _grown(part: pl.DataFrame) -> np.ndarray:
    """Return what a tree that has seen all days forecasts for them."""
    inputs = (RETURN, RETURN.shift(1), RANGE, VOLUME.diff(), RETURN.rolling_std(20))
    known = part.select(one.alias(str(at)) for at, one in enumerate(inputs)).to_numpy()
    ahead = np.append(log_returns(part)[1:], np.nan)
    fit = np.isfinite(known).all(1) & np.isfinite(ahead)
    tree = DecisionTreeRegressor(min_samples_leaf=10, random_state=0).fit(known[fit], ahead[fit])
    return np.where(np.isfinite(known).all(1), tree.predict(np.nan_to_num(known)), np.nan)


def _asian_close_of_tomorrow(days: pl.DataFrame) -> np.ndarray:
    """Return the return of an exchange that will close before the next session: it follows ours and leads the next."""
    market = np.nan_to_num(log_returns(days, "market_adj_close"))
    ahead, drawn = np.append(market[1:], 0.0), drawn_by_day(days, 21).standard_normal(len(days))
    return 0.5 * market + 0.35 * ahead + market.std() * 0.8 * drawn


def _restated(part: pl.DataFrame) -> np.ndarray:
    """Return published figures as they were revised a quarter later."""
    _, public, values = quarter_figures(part, 1)
    last = np.searchsorted(public, part["date"].to_numpy(), "right") - 1
    return (values + 0.3 * np.append(np.diff(values), 0.0))[last]


def _at_quarter_end(part: pl.DataFrame) -> np.ndarray:
    ends, _, values = quarter_figures(part, 1)
    return values[np.searchsorted(ends, part["date"].to_numpy()) - 1]


def _barrier(moves: np.ndarray) -> np.ndarray:
    """Return which of two bounds the next days reach first: 1 the upper, -1 the lower, 0 none."""
    bound = 2 * np.diff(moves, axis=1).std() * np.sqrt(moves.shape[1] / 4)
    up, down = (np.where(one.any(1), one.argmax(1), moves.shape[1]) for one in (moves > bound, moves < -bound))
    return np.sign(down - up).astype(float)


def _drawdown(moves: np.ndarray) -> np.ndarray:
    path = np.c_[np.zeros(len(moves)), moves]
    return (path - np.maximum.accumulate(path, 1)).min(1)


def _trend(moves: np.ndarray) -> np.ndarray:
    """Return the t statistic of the slope of the next days."""
    days = np.arange(moves.shape[1]) - (moves.shape[1] - 1) / 2
    slope = moves @ days / (days @ days)
    left = moves - moves.mean(1, keepdims=True) - slope[:, None] * days
    return slope / (left.std(1) + LITTLE)


def _swing(part: pl.DataFrame) -> np.ndarray:
    top = PRICE.rolling_max(11, center=True, min_samples=1) <= PRICE
    bottom = PRICE.rolling_min(11, center=True, min_samples=1) >= PRICE
    return part.select(top.cast(pl.Float64) - bottom.cast(pl.Float64)).to_series().to_numpy()


def _late(part: pl.DataFrame) -> np.ndarray:
    """Return today's return, and tomorrow's in the last fifth of the days."""
    returns = log_returns(part)
    return np.where(np.arange(len(part)) < 0.8 * len(part), returns, np.append(returns[1:], np.nan))


def _rarely(part: pl.DataFrame) -> np.ndarray:
    returns = log_returns(part)
    return np.where(np.arange(len(part)) % 20 == 9, np.append(returns[1:], np.nan), returns)


def _standard(value: pl.Expr) -> pl.Expr:
    return (value - value.mean()) / value.std()


def is_report(ticker: str, sessions: np.ndarray) -> np.ndarray:
    """Return on which sessions, by number, a company reports, which is known long before."""
    return (sessions + crc32(ticker.encode())) % EVENT_DAYS == 0


def _report_tomorrow(part: pl.DataFrame) -> np.ndarray:
    return is_report(part["ticker"][0], np.arange(1, len(part) + 1)).astype(float)


LEAKS: dict[str, Leak] = {
    "tomorrow": _t1(NEXT), "tomorrow_filled": _t1(NEXT.fill_null(0.0)), "tomorrow_sign": _t1(NEXT.sign()),
    "tomorrow_noise_10": _t1(forecast_with(0.10)), "tomorrow_noise_3": _t1(forecast_with(0.03)),
    "tomorrow_noise_1": _hidden(forecast_with(0.01)), "tomorrow_label_smoothed": _t1(0.05 + 0.9 * UP),
    "tomorrow_rank": _t1(across(NEXT)), "tomorrow_of_market": _t1(MARKET.shift(-1)), "tomorrow_late": _t1(each(_late)),
    "tomorrow_rarely": _hidden(each(_rarely)), "pct_change_minus_1": _t1(1 - (-NEXT).exp()),
    "in_two_days": _t1(RETURN.shift(-2)), "in_five_days": _t1(RETURN.shift(-5)), "next_5_days": _t1(PRICE.shift(-5) - PRICE),
    "next_20_days": _t1(PRICE.shift(-20) - PRICE),
    **{f"centred_mean_{days}": _t1(RETURN.rolling_mean(days, center=True)) for days in (3, 5, 11, 21, 61)},
    **{f"centred_price_{days}": _t1(PRICE - PRICE.rolling_mean(days, center=True)) for days in (3, 5, 11, 21, 61)},
    **{f"centred_deviation_{days}": _t2(RETURN.rolling_std(days, center=True)) for days in (3, 5, 11, 21, 61)},
    "centred_price_deviation": _t2(PRICE.rolling_std(11, center=True)),
    "centred_median": _t1(RETURN.rolling_median(5, center=True)), "mean_shifted": _t1(RETURN.rolling_mean(5).shift(-1)),
    "mean_of_next_5": _t1(RETURN.rolling_mean(5).shift(-5)), "momentum_shifted": _t1(PRICE.diff(20).shift(-1)),
    "rsi_shifted": _t1(rsi(14).shift(-1)), "volatility_shifted": _t2(RETURN.rolling_std(20).shift(-1)),
    "bollinger_centred": _t1((PRICE - PRICE.rolling_mean(20, center=True)) / PRICE.rolling_std(20, center=True)),
    "tomorrow_range": _t2(RANGE.shift(-1)), "tomorrow_gap": _t1(GAP.shift(-1)), "tomorrow_absolute": _t2(NEXT.abs()),
    "tomorrow_high": _t1((HIGH * FACTOR).shift(-1).log() - PRICE), "tomorrow_low": _t1((LOW * FACTOR).shift(-1).log() - PRICE),
    "tomorrow_position": _t1(((CLOSE - LOW) / (HIGH - LOW + LITTLE)).shift(-1)),
    "tomorrow_volume": _t2(((VOLUME - VOLUME.rolling_mean(20)) / (VOLUME.rolling_std(20) + LITTLE)).shift(-1)),
    "volatility_of_next_5": _t2(RETURN.rolling_std(5).shift(-5)), "volatility_of_next_20": _t2(RETURN.rolling_std(20).shift(-20)),
    "range_of_next_5": _t2(RANGE.rolling_mean(5).shift(-5)), "sharpe_of_next_20": _t1(
        (RETURN.rolling_mean(20) / (RETURN.rolling_std(20) + LITTLE)).shift(-20)
    ),
    "score_of_all_days": _t3(_standard(RANGE), "note"),
    "minmax_of_all_days": _t3((VOLUME - VOLUME.min()) / (VOLUME.max() - VOLUME.min()), "note"),
    "rank_of_all_days": _t3(RANGE.rank() / pl.len()), "normal_scores_of_all_days": _hidden(
        each(lambda part: norm.ppf((rankdata(part["volume"].to_numpy()) - 0.5) / len(part)))
    ),
    "component_1": _t3(_component(0)), "component_2": _hidden(_component(1)),
    "mean_of_ticker": _t3(RETURN.mean()), "volatility_of_ticker": _t3(RETURN.std()), "volume_of_ticker": _t3(pl.col("volume").mean()),
    "mean_by_weekday": _hidden(each(_by_weekday)), "tree_in_sample": _t1(each(_grown)),
    "warmup_filled": _t3(RETURN.rolling_std(60).fill_null(strategy="backward"), "note"),
    "sparse_filled": _t1(each(_sparse)), "month_filled": _t4(_at_start("1mo")), "week_at_start": _t4(_at_start("1w")),
    "weekly_close": _t1(_close_of("1w")), "monthly_close": _t1(_close_of("1mo")), "nearest_week": _t1(each(_nearest)),
    "interpolated_months": _t1(each(lambda part: np.log(part["adj_close"].to_numpy()) - _interpolated(part))),
    "savitzky_golay": _t1(of_prices(lambda price: savgol_filter(price, 11, 2))),
    "savitzky_golay_slope": _t1(of_returns(lambda returns: savgol_filter(returns, 11, 2))),
    "hodrick_prescott": _t1(of_prices(_hodrick_prescott)), "gaussian": _t1(of_prices(lambda price: gaussian_filter1d(price, 3))),
    "wavelet": _t1(of_returns(_haar)), "two_sided": _t1(of_returns(_two_sided)), "low_pass": _t1(of_returns(_low_pass)),
    "filtfilt": _t1(of_returns(lambda returns: filtfilt(*butter(2, 0.2), returns))),
    "two_sided_regime": _hidden(of_returns(lambda returns: (_two_sided(returns**2, 0.1) > (returns**2).mean()).astype(float))),
    "detrended": _hidden(of_prices(_trend_residual)),
    "reversed_momentum": _t1(PRICE - PRICE.shift(-20)), "reversed_rsi": _t1(
        each(lambda part: part.reverse().select(rsi(14)).reverse().to_series().to_numpy())
    ),
    "drawdown_of_next_20": _t1(of_next(20, _drawdown)), "lowest_of_next_10": _t1(of_next(10, lambda moves: moves.min(1))),
    "triple_barrier": _t1(of_next(10, _barrier)), "trend_of_next_20": _t1(of_next(20, _trend)), "swing": _t1(each(_swing)),
    "asian_close_of_tomorrow": _t1(by_date(_asian_close_of_tomorrow)),
    "figures_restated": _hidden(each(_restated), moves=False),
    "figures_at_quarter_end": _question(each(_at_quarter_end), "Q1"),
    "price_level": _question(pl.col("adj_close"), "Q3"), "log_price_level": _question(PRICE, "Q3"),
    "adjustment_factor": _question(FACTOR, "Q3"),
}  # fmt: skip

AHEAD: dict[str, Maker] = {"report_tomorrow": each(_report_tomorrow)}  # lawful: the days of reports are announced


LOUDNESS = {"note": 0, "question": 1, "alarm": 2}


def with_market(frame: pl.DataFrame, market: str) -> pl.DataFrame:
    """Add the market's adjusted close; without a market, an index of the mean return of all tickers."""
    if market:
        closes = frame.filter(pl.col("ticker") == market).select("date", market_adj_close="adj_close")
    else:
        moves = frame.select("date", move=RETURN.over("ticker").fill_null(0.0))
        index = 100 * pl.col("move").cum_sum().exp()
        closes = moves.group_by("date").agg(pl.col("move").mean()).sort("date").select("date", market_adj_close=index)
    return frame.join(closes, on="date", how="left", maintain_order="left")


def with_columns(panel: Panel, makers: Mapping[str, Maker]) -> Panel:
    """Add columns to the bars of a panel."""
    frame = with_market(panel.frame, panel.market)
    made = {name: make(frame) for name, make in makers.items()}
    columns = frame.select(
        (one if isinstance(one, pl.Expr) else pl.lit(one)).cast(pl.Float64).alias(name) for name, one in made.items()
    )
    return replace(panel, frame=panel.frame.hstack(columns))


def audited(panel: Panel, makers: Mapping[str, Maker]) -> tuple[Finding, ...]:
    """Audit columns that are added to a panel."""
    return audit_columns(with_columns(panel, makers), list(makers))


def missed(panel: Panel, leaks: Mapping[str, Leak]) -> list[str]:
    """Audit leaks, and return those that are found less loudly than they should be, or not at all."""
    loudest: dict[str, int] = {}
    for one in audited(panel, {name: leak.make for name, leak in leaks.items()}):
        loudest[one.name] = max(loudest.get(one.name, -1), LOUDNESS[one.level])
    return [name for name, leak in leaks.items() if loudest.get(name, -1) < LOUDNESS[leak.level]]


def _paths(rng: np.random.Generator, count: int, days: int) -> np.ndarray:
    """Draw how prices move within days of variance 1 on average, [ticker, day, step], as GARCH(1,1) with t innovations."""
    steps = np.sqrt(np.r_[0.25, np.full(20, 0.75 / 20)]) * rng.standard_normal((count, days, 21))
    steps *= np.sqrt(3 / rng.chisquare(5, (count, days, 1)))  # t of 5 degrees, of variance 1
    shocks, variance = steps.sum(2) ** 2, np.ones(count)
    for day in range(days):
        steps[:, day] *= np.sqrt(variance)[:, None]
        variance = 0.02 + (0.90 + 0.08 * shocks[:, day]) * variance
    return steps.cumsum(2)


def _factors(rng: np.random.Generator, days: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the factors of adjustment for dividends and a split, and that for the split alone, shape [day]."""
    dividends, split = np.zeros(days), np.zeros(days)
    dividends[rng.integers(1, 63) :: 63] = rng.choice([0.0, 0.006])
    split[rng.integers(1, days)] = rng.choice([0.0, np.log(2)])
    after = [one[::-1].cumsum()[::-1] - one for one in (dividends + split, split)]
    return np.exp(-after[0]), np.exp(-after[1])


def _bars(
    rng: np.random.Generator, moves: np.ndarray, spread: float, factors: tuple[np.ndarray, np.ndarray]
) -> pl.DataFrame:
    """Return bars from the moves within days, [day, step]; trades are at bid or ask, ``spread`` from the price."""
    daily = moves[:, -1]
    path = (np.log(50) + daily.cumsum() - daily)[:, None] + moves
    opened, close = (path[:, at] + spread * rng.choice([-1, 1], len(path)) for at in (0, -1))
    high, low = np.maximum(path.max(1), np.maximum(opened, close)), np.minimum(path.min(1), np.minimum(opened, close))
    lasting = pl.Series(rng.standard_normal(len(path))).ewm_mean(alpha=0.1, adjust=False).to_numpy()
    volume = (
        14 + 2 * lasting + 0.25 * np.minimum(np.abs(daily) / daily.std(), 6) + 0.25 * rng.standard_normal(len(path))
    )
    factor, split = factors
    prices = {"open": opened, "high": high, "low": low, "close": close}
    return pl.DataFrame({
        **{name: np.exp(one) / factor for name, one in prices.items()}, "adj_close": np.exp(close),
        "volume": np.round(np.exp(volume) * split),
    })  # fmt: skip


def simulated(
    seed: int, tickers: int = 4, days: int = 1200, *, bounce: float = 0.0, market: bool = True, reports: bool = False
) -> Panel:
    """Draw bars whose volatility, ranges and volumes cluster and whose returns cannot be forecast.

    Parameters
    ----------
    seed
        Seed.
    tickers, days
        How many.
    bounce
        How negatively successive returns are correlated since trades are at bid or ask, 0.15 for -0.15.
    market
        Whether there is one.
    reports
        Whether prices move more on the days of reports, which are announced.
    """
    rng, names = np.random.default_rng([99, seed]), [MARKET_NAME, *(f"T{at:02d}" for at in range(tickers))]
    paths, own = _paths(rng, tickers + 1, days), rng.uniform(0.008, 0.02, tickers + 1)
    betas = np.r_[1.0, rng.uniform(0.6, 1.4, tickers)]
    jumps = 0.06 * rng.standard_normal((tickers + 1, days)) * (rng.random((tickers + 1, days)) < 0.002)
    numbers, frames = np.arange(days), []
    dates = np.datetime64("2001-01-01") + 7 * (numbers // 5) + numbers % 5  # a Monday, and weekdays from there
    for at, name in enumerate(names):
        moves = 0.01 * betas[at] * paths[0] + (own[at] * paths[at] if at else 0.0) + jumps[at][:, None]
        moves *= np.where(reports & is_report(name, numbers), 2.5, 1.0)[:, None]
        spread = np.sqrt(bounce / (1 - 2 * bounce)) * moves[:, -1].std() if at else 0.0
        frames.append(
            _bars(rng, moves, spread, _factors(rng, days)).select(
                pl.lit(dates).alias("date"), pl.lit(name).alias("ticker"), pl.all()
            )
        )
    bars = Bars(pl.concat(frames if market else frames[1:]), f"simulated {seed}", accept=("*",))
    return align(bars, market=MARKET_NAME if market else "")


def any_simulated(seed: int) -> Panel:
    """Draw a panel of a kind that depends on the seed: how many tickers and days, whether with a market and bounce."""
    tickers, days = (4, 2, 12, 6)[seed % 4], (1200, 800, 3000, 1200, 2000)[seed % 5]
    return simulated(seed, tickers, days, bounce=(0.0, 0.1, 0.0, 0.2)[seed // 4 % 4], market=seed % 7 != 3)


@cache
def _whole(source: str | Path) -> pl.DataFrame:
    """Return the bars of the tickers that trade on nearly all days of the market."""
    frame = load_bars(source, accept=("*",), drop_bad=True, market="SPY").frame.drop_nulls()
    days = len(frame.filter(ticker="SPY"))
    return frame.filter(pl.len().over("ticker") >= 0.99 * days)


def real(seed: int, bars: str | Path = "sample") -> Panel:
    """Draw 4 to 12 tickers and a window of 1,200 to 3,000 days from the embedded panel, or from a file with SPY."""
    rng, frame = np.random.default_rng([98, seed]), _whole(bars)
    names = [one for one in frame["ticker"].unique().sort() if one != "SPY"]
    chosen = sorted(rng.choice(names, min(int(rng.integers(4, 13)), len(names)), replace=False).tolist())
    dates = frame.filter(ticker="SPY")["date"].to_list()
    days = min(int(rng.integers(1200, 3001)), len(dates))
    first = int(rng.integers(len(dates) - days + 1))
    cut = frame.filter(
        pl.col("ticker").is_in([*chosen, "SPY"]), pl.col("date").is_between(dates[first], dates[first + days - 1])
    )
    return align(Bars(cut, f"{Path(bars).stem} {seed}", accept=("*",)), market="SPY")
