"""Slow, obvious versions of features of the built-in sets, written from their papers and not from the code."""

import numpy as np
import pandas as pd


def adjusted(bars: pd.DataFrame) -> pd.DataFrame:
    factor = bars["adj_close"] / bars["close"]
    prices = {name: bars[name] * factor for name in ("open", "high", "low", "close")}
    return pd.DataFrame(prices | {"volume": bars["volume"]})


def alpha158(bars: pd.DataFrame) -> dict[str, pd.Series]:
    """Twenty-five features of Alpha158, of every group, by pandas."""
    p = adjusted(bars)
    o, h, low, c, v = (p[name] for name in ("open", "high", "low", "close", "volume"))
    days = np.arange(20.0)
    change, moved, before = c.diff(), v.diff(), c.shift(1)
    weighted = (c / before - 1).abs() * v

    def line(y):
        return np.polyval(np.polyfit(days, y, 1), days)

    def window(size, of, series=c):
        return series.rolling(size).apply(of, raw=True)

    rises, falls, moves = change.clip(lower=0), (-change).clip(lower=0), change.abs()
    top, bottom = h.rolling(10).max(), low.rolling(10).min()
    return {
        "KMID": (c - o) / o,
        "KLEN": (h - low) / o,
        "KUP2": (h - np.maximum(o, c)) / (h - low + 1e-12),
        "KSFT": (2 * c - h - low) / o,
        "LOW0": low / c,
        "ROC30": c.shift(30) / c,
        "MA20": c.rolling(20).mean() / c,
        "STD60": c.rolling(60).std(ddof=1) / c,
        "BETA20": window(20, lambda y: np.polyfit(days, y, 1)[0]) / c,
        "RSQR20": window(20, lambda y: np.corrcoef(days, y)[0, 1] ** 2),
        "RESI20": window(20, lambda y: y[-1] - line(y)[-1]) / c,
        "MAX10": top / c,
        "QTLU30": c.rolling(30).quantile(0.8) / c,
        "RANK10": window(10, lambda y: pd.Series(y).rank(pct=True).iloc[-1]),
        "RSV10": (c - bottom) / (top - bottom + 1e-12),
        "IMAX20": window(20, lambda y: np.argmax(y) + 1, h) / 20,
        "IMXD20": (window(20, np.argmax, h) - window(20, np.argmin, low)) / 20,
        "CORR20": c.rolling(20).corr(np.log(v + 1)),
        "CORD30": (c / before).rolling(30).corr(np.log(v / v.shift(1) + 1)),
        "CNTD20": ((c > before).astype(float) - (c < before).astype(float)).where(before.notna()).rolling(20).mean(),
        "SUMP20": rises.rolling(20).sum() / moves.rolling(20).sum(),
        "SUMD10": (rises - falls).rolling(10).sum() / moves.rolling(10).sum(),
        "WVMA20": weighted.rolling(20).std(ddof=1) / weighted.rolling(20).mean(),
        "VSTD10": v.rolling(10).std(ddof=1) / v,
        "VSUMN20": (-moved).clip(lower=0).rolling(20).sum() / moved.abs().rolling(20).sum(),
    }


def prices(bars: pd.DataFrame, market: pd.DataFrame, t: int) -> dict[str, float]:
    """Our own sets for row t of a ticker, one number at a time; t is past all warm-ups."""
    adj, close, volume = (bars[name].to_numpy() for name in ("adj_close", "close", "volume"))
    returns = np.array([0.0, *(adj[1:] / adj[:-1] - 1)])
    market_close = market["adj_close"].to_numpy()
    market_returns = np.array([0.0, *(market_close[1:] / market_close[:-1] - 1)])
    open_, high, low = (bars[name].to_numpy() for name in ("open", "high", "low"))
    day = [np.log(high[s] / low[s]) / np.sqrt(4 * np.log(2)) for s in range(len(bars))]
    last, year, month = range(t - 19, t + 1), slice(t - 251, t + 1), range(t - 20, t + 1)
    design = np.column_stack([np.ones(252), market_returns[year]])
    coefficients = np.linalg.lstsq(design, returns[year], rcond=None)[0]
    residuals = returns[year] - design @ coefficients
    klass = [0.5 * np.log(high[s] / low[s]) ** 2 - (2 * np.log(2) - 1) * np.log(close[s] / open_[s]) ** 2 for s in last]
    satchell = [
        np.log(high[s] / close[s]) * np.log(high[s] / open_[s]) + np.log(low[s] / close[s]) * np.log(low[s] / open_[s])
        for s in last
    ]
    overnight = [np.log(open_[s] * adj[s] / close[s] / adj[s - 1]) for s in last]
    inside = [np.log(close[s] / open_[s]) for s in last]
    k = 0.34 / (1.34 + 21 / 19)
    zhang = np.var(overnight, ddof=1) + k * np.var(inside, ddof=1) + (1 - k) * np.mean(satchell)
    traded = [s for s in month if volume[s] > 0]
    turnover = sum(volume[s] for s in month) / np.mean(volume[year])
    quiet = sum(volume[s] == 0 for s in month)
    return {
        "har_day": day[t], "har_week": np.mean(day[t - 4 : t + 1]), "har_month": np.mean(day[t - 21 : t + 1]),
        "parkinson": np.sqrt(np.mean([np.log(high[s] / low[s]) ** 2 / (4 * np.log(2)) for s in last])),
        "garman_klass": np.sqrt(np.mean(klass)), "rogers_satchell": np.sqrt(np.mean(satchell)),
        "yang_zhang": np.sqrt(zhang),
        "tsmom21": np.log(adj[t] / adj[t - 21]), "tsmom63": np.log(adj[t] / adj[t - 63]),
        "tsmom252": np.log(adj[t] / adj[t - 252]),
        "mom1m": adj[t] / adj[t - 21] - 1, "mom6m": adj[t - 21] / adj[t - 126] - 1,
        "mom12m": adj[t - 21] / adj[t - 252] - 1,
        "maxret": max(returns[s] for s in month), "retvol": np.std(returns[month.start : t + 1], ddof=1),
        "beta": coefficients[1], "idiovol": np.sqrt(sum(residuals**2) / 251),
        "dolvol": np.log(1 + np.mean([adj[s] * volume[s] for s in month])),
        "turn": np.mean(volume[t - 62 : t + 1]) / np.mean(volume[year]),
        "ill": 1e6 * np.mean([abs(returns[s]) / (adj[s] * volume[s]) for s in traded]),
        "zerotrade": quiet + 1 / (turnover * 480_000),
    }  # fmt: skip


def wilder(values: np.ndarray, size: int) -> np.ndarray:
    """Wilder's smoothing: the mean of the first values, then one part in ``size`` of each new one."""
    smooth = np.full(len(values), np.nan)
    smooth[size] = values[1 : size + 1].mean()
    for t in range(size + 1, len(values)):
        smooth[t] = (smooth[t - 1] * (size - 1) + values[t]) / size
    return smooth


def rsi(bars: pd.DataFrame) -> np.ndarray:
    change = bars["adj_close"].diff().to_numpy()
    up, down = wilder(np.maximum(change, 0), 14), wilder(np.maximum(-change, 0), 14)
    return 100 * up / (up + down)


def natr(bars: pd.DataFrame) -> np.ndarray:
    p = adjusted(bars)
    before = p["close"].shift(1)
    true_range = pd.concat([p["high"], before], axis=1).max(axis=1) - pd.concat([p["low"], before], axis=1).min(axis=1)
    return 100 * wilder(true_range.to_numpy(), 14) / p["close"].to_numpy()
