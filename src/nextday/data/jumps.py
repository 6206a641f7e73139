"""Whether a jump is news or a split that was not applied: take the split out, and ask how odd the rest of the day is.

After a split that was not applied the day is like any other of its ticker, but for the factor. News move prices on
within the day, widen its range, and bring trade that stays. So the simple ratio nearest to the overnight move is taken
out of that move and of the one from close to close, and what remains is measured. Each part is a share of what an
ordinary day hardly exceeds, and ``odd`` is the root of the sum of their squares:

- what remains of both moves, with or without the market's, whichever is less (not every ticker follows it), per four
  robust standard deviations of the ticker's own; at least 7.5 and 15 % of the log ratio, 3 and 6 % for 3:2 (99 of 100
  ordinary days are within), and at most twice that, since 5:3 is 25 % from 3:2;
- the day's range beyond the usual, per factor of 3 (99 of 100 days are within);
- the day's trade beyond the usual, per factor of 3, and that of the five sessions after, per factor of e (99 of 100 are
  within), in shares (the volume is adjusted) or in money (it is not), whichever is less odd in both.

The usual is the median of the 20 sessions before. Of the ordinary days of the embedded panel, with a split of 3:2
planted, 97 in 100 are within ``SPLIT`` and refused, and 99 within ``QUESTION`` and asked; beyond are news. Both limits
rise slowly with the ratio up to 3:1 (the fourth root of its log): the tails of returns fall with the third power
(Gopikrishnan and others, 1998), so that news of twice the size are a tenth as frequent. They rise no further, as
bankruptcies are beyond.

No jump is decided to be a split

- that is within five robust deviations of its ticker's moves: one ordinary day in a hundred is beyond;
- of which neither range nor trade is known, as in the first five sessions: two thirds of all news are near a ratio;
- of 5:3 or 5:2, which hardly any split has and a third of all news are near;
- of fewer than ten price steps (the least change of the 20 sessions before): from 0.02 to 0.03 is 3:2 by nature, and is
  not asked either.

A question becomes a split, whatever its ratio, if its level returns within five sessions by the inverse jump, or if two
other tickers jump by the same ratio on that day: errors of a source do that, news do not.
"""

from math import log
from typing import Any

import numpy as np
import polars as pl

JUMP = 0.4  # log return of a day that wants an explanation
SPLITS = (1.5, 5 / 3, 2, 2.5, *range(3, 11), 15, 20, 25, 30, 40, 50)
UNUSUAL = (5 / 3, 2.5)  # ratios that a split hardly has
VERDICTS = OFF_BY_100, SPLIT_NOT_APPLIED, SPLIT_OR_NEWS, EXTREME_MOVE = (
    "off by 100", "split not applied", "split or news", "extreme move",
)  # fmt: skip
REFUSED = (OFF_BY_100, SPLIT_NOT_APPLIED)  # unless the user accepts them
SPLIT, QUESTION = 1.0, 1.75  # oddness, for a ratio of 3:2
BEFORE, AFTER, LEAST = 20, 5, 5  # sessions before and after a jump, and the least number before
RARE, STEPS, OTHERS = 5, 10, 2  # robust deviations, price steps, other tickers
LEEWAY = {"gap": (0.075, 0.15), "move": (0.15, 0.3)}  # of a log ratio, by which a move may miss it
USUAL = ("size_move", "size_gap", "range", "shares", "money")
ENOUGH = 500  # tickers whose median is the market's move to 0.1 %
MARKET = 0.25  # a median move beyond is no market's, but an error in most of the tickers
COLUMNS = ("ticker", "date", "open", "high", "low", "close", "adj_close", "volume")
Row = dict[str, Any]


def judge_jumps(frame: pl.DataFrame) -> pl.DataFrame:
    """Decide what each jump is.

    Parameters
    ----------
    frame
        Bars without a bad value, in the order of ticker and date.

    Returns
    -------
    The bars that jump, with what was found of each, and one of ``VERDICTS`` in ``verdict``.
    """
    frame = frame.select(COLUMNS)
    jumps = frame.select((_MOVE.abs() > JUMP).fill_null(value=False)).to_series().arg_true().to_numpy()
    if not len(jumps):
        return frame.clear()
    near = _around(frame, jumps).with_columns(**_BARS)
    found = _looked_around(near).join(_market(frame, jumps), on="date", how="left", maintain_order="left")
    for columns in (_MARKET, _RATIO, _PARTS, _ODD, _SAME):
        found = found.with_columns(**columns)
    return found.with_columns(verdict=_VERDICT)


def back(column: str, days: int = 1) -> pl.Expr:
    """Take a column some bars before, after if negative; null across tickers."""
    same = pl.col("ticker") == pl.col("ticker").shift(days)
    return pl.when(same).then(pl.col(column).shift(days))


def say_move(row: Row, _: Row) -> str:
    """Describe how far a price moved."""
    ratio = row["adj_close"] / row["adj_before"]
    move = f"adj_close {row['adj_before']:.6g} on {row['date_before']}, then {row['adj_close']:.6g}"
    return f"{move}: a factor of {ratio:.4g}, log return {log(ratio):+.2f}"


def say_split(row: Row, _: Row) -> str:
    """Describe why a jump is no news."""
    return f"{say_move(row, row)}{_evidence(row)}; looks like {_split(row)}"


def ask(row: Row, _: Row) -> str:
    """Describe what is to be decided."""
    factor = row["adj_close"] / row["adj_before"]
    return f"adj_close by a factor of {factor:.4g}{_evidence(row)}: {_split(row)}, or news"


def _split(row: Row) -> str:
    split = f"a split of {row['ratio']:.3g}"
    if row["returns"]:
        days = sorted((row["date"], row["returns"]))
        return f"{split} that comes and goes, on {days[0]} and {days[1]}"
    if abs(row["move"] - log(row["close"] / row["close_before"])) > 0.1:
        return f"an adjustment by {row['ratio']:.3g} that close does not show"
    return f"{split} that was not applied"


def _evidence(row: Row) -> str:
    unit = "money" if row["scaled"] else "shares"
    measured = {"range": row["range_times"], unit: row[f"{unit}_times"]}
    usual = [f"{times:.2g} times the usual {name}" for name, times in measured.items() if times is not None]
    alike = f"; {row['same']} other tickers jump alike" if row["same"] >= OTHERS else ""
    return (f" on {' and '.join(usual)}" if usual else "") + alike


def _around(frame: pl.DataFrame, jumps: np.ndarray) -> pl.DataFrame:
    """Keep the bars that jump and those near: few, so that rolling over them costs nothing."""
    ends = np.zeros(len(frame) + BEFORE + AFTER + 2, dtype=np.int32)  # one bar is BEFORE + 1 places further here
    ends[jumps] += 1
    ends[jumps + BEFORE + AFTER + 2] -= 1
    near = np.cumsum(ends)[BEFORE + 1 :][: len(frame)] > 0
    marks = np.zeros(len(frame), dtype=bool)
    marks[jumps] = True
    return frame.with_columns(jumps=pl.Series(marks)).filter(pl.Series(near))


def _market(frame: pl.DataFrame, jumps: np.ndarray) -> pl.DataFrame:
    """Compute the median moves, overnight and from close to close, of the days with a jump; some tickers do."""
    days, tickers = frame["date"].gather(jumps).unique().implode(), frame["ticker"].rle_id()
    every = tickers[-1] // ENOUGH + 1
    moves = (
        (frame if every == 1 else frame.filter(tickers % every == 0))
        .lazy()
        .select("date", move=_MOVE, gap=_GAP)
        .filter(pl.col("date").is_in(days))
        .drop_nulls()
    )
    both = pl.col("move", "gap")
    return (
        moves.group_by("date")
        .agg(pl.len().alias("tickers"), both.median().name.suffix("_median"), both.sum().name.suffix("_sum"))
        .collect()
    )


def _looked_around(near: pl.DataFrame) -> pl.DataFrame:
    """Keep the jumps, with the medians of the sessions before and after, and the day on which the level returns."""
    jumps = near["jumps"].arg_true().to_numpy()
    before, after = np.arange(-BEFORE, 0), np.arange(1, AFTER + 1)
    found = {f"{name}_before": _medians(_take(near, name, jumps, before), LEAST) for name in USUAL}
    found |= {f"{name}_after": _medians(_take(near, name, jumps, after), 3) for name in ("shares", "money")}
    found["step"] = np.sort(_take(near, "moved", jumps, before), axis=1)[:, 0]
    columns = [pl.Series(name, values).fill_nan(None) for name, values in found.items()]
    level = np.log(_take(near, "adj_close", jumps, np.arange(-AFTER - 1, AFTER + 1)))
    measured = near.filter("jumps").with_columns(columns).with_columns(**_TIMES)
    days = _returns(level, measured.select(_within("move", pl.col("size_move"))).to_series().to_numpy())
    dates = near["date"].gather(jumps + days)
    return measured.with_columns(returns=pl.when(pl.Series(days != 0)).then(dates))


def _take(near: pl.DataFrame, name: str, jumps: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Take a column some sessions from each jump, shape [jump, day]; NaN beyond its ticker."""
    places = jumps[:, None] + days
    runs, column = near["ticker"].rle_id().to_numpy(), near[name].cast(pl.Float64).to_numpy()
    there = (places >= 0) & (places < len(near))
    places = np.where(there, places, 0)
    return np.where(there & (runs[places] == runs[jumps][:, None]), column[places], np.nan)


def _medians(values: np.ndarray, least: int) -> np.ndarray:
    """Compute the median of each row's numbers; NaN if they are too few."""
    values, known = np.sort(values, axis=1), np.isfinite(values).sum(axis=1)  # NaN comes last
    halves = [
        np.take_along_axis(values, place[:, None], axis=1)[:, 0]
        for place in (np.maximum(known - 1, 0) // 2, known // 2)
    ]
    return np.where(known >= least, (halves[0] + halves[1]) / 2, np.nan)


def _returns(level: np.ndarray, within: np.ndarray) -> np.ndarray:
    """Find the nearest inverse jump, after which the level is that before the first, by sessions from this; 0 if none.

    ``level`` is the log price from ``AFTER + 1`` sessions before to ``AFTER`` after, shape [jump, session].
    """
    day, move = AFTER + 1, np.diff(level, axis=1, prepend=np.nan)
    found = np.zeros(len(level), dtype=np.int64)
    for other in sorted((day for day in range(-AFTER, AFTER + 1) if day), key=abs, reverse=True):
        first, second = sorted((day, day + other))
        inverse = (np.abs(move[:, day + other]) > JUMP) & (np.abs(move[:, day] + move[:, day + other]) < 2 * within)
        found[inverse & (np.abs(level[:, second] - level[:, first - 1]) < within)] = other
    return found


def _times(now: pl.Expr, usual: pl.Expr) -> pl.Expr:
    return pl.when(usual > 0).then(now / usual)


def _market_of(name: str) -> pl.Expr:
    """Take the market's move; of two tickers the market is the other."""
    median, others = pl.col(f"{name}_median"), pl.col(f"{name}_sum") - pl.col(name)
    market = pl.when(pl.col("tickers") > 2).then(median).when(pl.col("tickers") == 2).then(others)
    return pl.when(market.abs() < MARKET).then(market).otherwise(0.0)


def _ratio() -> pl.Expr:
    """Find the ratio nearest to the overnight move, with or without the market's."""
    moves = (pl.col("gap"), pl.col("gap") - pl.col("market_gap"))
    away = [pl.min_horizontal(*((move.abs() - log(ratio)).abs() for move in moves)) for ratio in SPLITS]
    return pl.lit(pl.Series(SPLITS, dtype=pl.Float64)).gather(pl.concat_list(away).list.arg_min())


def _off(name: str) -> pl.Expr:
    """Compute what remains of a move without the ratio, per what an ordinary day hardly exceeds."""
    split = pl.col("move").sign() * pl.col("ratio").log()
    remains = pl.col(name) - split, pl.col(name) - split - pl.col(f"market_{name}")
    return pl.min_horizontal(*(rest.abs() for rest in remains)) / _within(name, pl.col("ratio").log())


def _within(name: str, size: pl.Expr) -> pl.Expr:
    """Compute what an ordinary day hardly exceeds: four deviations, between two shares of the size of the jump."""
    low, high = (share * size for share in LEEWAY[name])
    return pl.max_horizontal(pl.min_horizontal(4 * pl.col(f"usual_{name}"), high), low)


def _trade(unit: str) -> pl.Expr:
    day = pl.col(f"{unit}_times").clip(1).log() / log(3)
    return (day**2 + pl.col(f"{unit}_after").log().fill_null(0.0) ** 2).sqrt()


def _root(*parts: pl.Expr) -> pl.Expr:
    return pl.sum_horizontal(part.fill_null(0.0) ** 2 for part in parts).sqrt()


_MOVE = (pl.col("adj_close") / back("adj_close")).log()
_GAP = _MOVE + (pl.col("open") / pl.col("close")).log()
_TRADED = pl.when(pl.col("volume") > 0).then("volume")
_CHANGE = (pl.col("close") - back("close")).abs()
_BARS = {
    "date_before": back("date"), "adj_before": back("adj_close"), "close_before": back("close"),
    "change": back("close") * (_MOVE.exp() - 1).abs(),
    "move": _MOVE, "gap": _GAP, "size_move": _MOVE.abs(), "size_gap": _GAP.abs(),
    "range": (pl.max_horizontal("open", "high", "close") / pl.min_horizontal("open", "low", "close")).log(),
    "shares": _TRADED, "money": _TRADED * pl.col("close"), "moved": pl.when(_CHANGE > 0).then(_CHANGE),
}  # fmt: skip
_TIMES = {
    **{f"usual_{name}": 1.48 * pl.col(f"size_{name}_before") for name in ("move", "gap")},
    **{f"{name}_times": _times(pl.col(name), pl.col(f"{name}_before")) for name in ("range", "shares", "money")},
    **{f"{unit}_after": _times(pl.col(f"{unit}_after"), pl.col(f"{unit}_before")) for unit in ("shares", "money")},
}
_MARKET = {f"market_{name}": _market_of(name) for name in ("move", "gap")}
_RATIO = {"ratio": _ratio(), "sign": pl.col("move").sign()}
_PARTS = {
    "off_gap": _off("gap"), "off_move": _off("move"), "odd_range": pl.col("range_times").clip(1).log() / log(3),
    "odd_trade": pl.min_horizontal(_trade("shares"), _trade("money")), "scaled": _trade("money") < _trade("shares"),
}  # fmt: skip
_ODD = {
    "odd": _root(*(pl.col(part) for part in ("off_gap", "off_move", "odd_range", "odd_trade"))),
    "size": (pl.min_horizontal("ratio", 3.0).log() / log(1.5)) ** 0.25,
}
_ASKED = pl.col("odd") <= QUESTION * pl.col("size")
_SAME = {"same": pl.when(_ASKED).then(pl.len().over("date", "ratio", "sign", _ASKED) - 1).otherwise(0)}
_ERROR = pl.col("returns").is_not_null() | (pl.col("same") >= OTHERS)
_KNOWN = pl.col("odd_range").is_not_null() | pl.col("odd_trade").is_not_null()
_IS_RARE = ((pl.col("move") - pl.col("market_move")).abs() > RARE * pl.col("usual_move")).fill_null(value=False)
_IS_COARSE = (pl.col("change") < STEPS * pl.col("step")).fill_null(pl.col("usual_move").is_not_null())  # never moved
_IS_USUAL = ~pl.col("ratio").is_in(UNUSUAL)
_IS_SPLIT = (((pl.col("odd") <= SPLIT * pl.col("size")) & _IS_USUAL) | (_ASKED & _ERROR)) & _KNOWN & _IS_RARE
_VERDICT = (
    pl.when((pl.col("size_move") - log(100)).abs() < 0.3).then(pl.lit(OFF_BY_100))
    .when(_IS_COARSE).then(pl.lit(EXTREME_MOVE))
    .when(_IS_SPLIT).then(pl.lit(SPLIT_NOT_APPLIED))
    .when(_ASKED).then(pl.lit(SPLIT_OR_NEWS))
    .otherwise(pl.lit(EXTREME_MOVE))
)  # fmt: skip
