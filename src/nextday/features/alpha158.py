"""The set Alpha158 of Qlib: bars, trends, positions within windows, correlations and volume over 5 to 60 days.

The formulas are those that Qlib publishes; qweave computes them, from adjusted prices.
"""

from functools import partial

from nextday.features.catalog import Feature, FeatureSet, Together
from nextday.features.with_qweave import PACKAGE, compute

WINDOWS = (5, 10, 20, 30, 60)  # days
PAPER = "Yang et al. (2020), Qlib, arXiv:2009.11189"

# {d}: days of the window; change: close[t] - close[t-1]; Corr is 0 where a series is constant, and so is RSQR
DAY = {
    "KMID": "(close - open) / open",
    "KLEN": "(high - low) / open",
    "KMID2": "(close - open) / (high - low)",
    "KUP": "(high - max(open, close)) / open",
    "KUP2": "(high - max(open, close)) / (high - low)",
    "KLOW": "(min(open, close) - low) / open",
    "KLOW2": "(min(open, close) - low) / (high - low)",
    "KSFT": "(2 close - high - low) / open",
    "KSFT2": "(2 close - high - low) / (high - low)",
    "OPEN0": "open / close",
    "HIGH0": "high / close",
    "LOW0": "low / close",
}
TREND = {
    "ROC": "close[t-{d}] / close[t]",
    "MA": "mean(close, {d}) / close",
    "STD": "std(close, {d}) / close",
    "BETA": "slope of close over {d} days / close",
    "RSQR": "R2 of the line through close over {d} days; 0 where it is constant",
    "RESI": "close above the line through its {d} days / close",
    "CNTP": "share of days up, of {d}",
    "CNTN": "share of days down, of {d}",
    "CNTD": "share of days up - share of days down, of {d}",
    "SUMP": "sum of rises / sum of absolute changes of close, over {d} days; 0 where it does not move",
    "SUMN": "sum of falls / sum of absolute changes of close, over {d} days; 0 where it does not move",
    "SUMD": "(sum of rises - sum of falls) / sum of absolute changes of close, over {d} days; 0 where it does not move",
}
POSITION = {
    "MAX": "max(high, {d}) / close",
    "MIN": "min(low, {d}) / close",
    "QTLU": "80 % quantile of close over {d} days / close",
    "QTLD": "20 % quantile of close over {d} days / close",
    "RANK": "percentile of close among its {d} days",
    "RSV": "(close - min(low, {d})) / (max(high, {d}) - min(low, {d}))",
    "IMAX": "place of the highest high among {d} days / {d}",
    "IMIN": "place of the lowest low among {d} days / {d}",
    "IMXD": "(place of the highest high - place of the lowest low) / {d}",
}
CORRELATION = {
    "CORR": "correlation of close and ln(volume + 1) over {d} days; 0 where one is constant",
    "CORD": "correlation of close[t] / close[t-1] and ln(volume[t] / volume[t-1] + 1) over {d} days; 0 where one is "
    "constant or undefined",
}
VOLUME = {
    "VMA": "mean(volume, {d}) / volume",
    "VSTD": "std(volume, {d}) / volume",
    "WVMA": "std / mean of abs(return) * volume over {d} days",
    "VSUMP": "sum of rises / sum of absolute changes of volume, over {d} days",
    "VSUMN": "sum of falls / sum of absolute changes of volume, over {d} days",
    "VSUMD": "(sum of rises - sum of falls) / sum of absolute changes of volume, over {d} days",
}
LAGGED = ("ROC", "CNTP", "CNTN", "CNTD", "SUMP", "SUMN", "SUMD", "CORD", "WVMA", "VSUMP", "VSUMN", "VSUMD")
UNDEFINED = ("RSQR", "CORR", "CORD")  # 0 / 0 in a window without a move
OVER_WINDOWS = {"trend": TREND, "position": POSITION, "correlation": CORRELATION, "volume": VOLUME}

GROUPS = {"kbar": tuple(DAY)} | {
    group: tuple(f"{name}{days}" for name in formulas for days in WINDOWS) for group, formulas in OVER_WINDOWS.items()
}
WARMUPS = dict.fromkeys(DAY, 0) | {
    f"{name}{days}": days if name in LAGGED else days - 1
    for formulas in OVER_WINDOWS.values()
    for name in formulas
    for days in WINDOWS
}
FORMULAS = DAY | {
    f"{name}{days}": formula.format(d=days)
    for formulas in OVER_WINDOWS.values()
    for name, formula in formulas.items()
    for days in WINDOWS
}
STILL = {f"{name}{days}": days for name in ("SUMP", "SUMN", "SUMD") for days in WINDOWS}
ZERO_FROM = {name: rows for name, rows in WARMUPS.items() if name.startswith(UNDEFINED)}


def _build() -> dict[str, Feature]:
    engine = Together(partial(compute, library="qlib_alpha158", zero_from=ZERO_FROM, still=STILL, across=False))
    return {name: Feature(engine, rows, FORMULAS[name], paper=PAPER) for name, rows in WARMUPS.items()}


ALPHA158 = FeatureSet(
    GROUPS, _build, max(WARMUPS.values()), PAPER, PACKAGE, {"VWAP0": "needs the average price of trades (vwap)"}
)
