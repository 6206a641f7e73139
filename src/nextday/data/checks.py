"""What is wrong with bars: a table of rules for single bars, and a comparison with the sessions of an exchange.

A finding of a fatal rule means that the ticker cannot be used; the others are what a careful person would look at.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from math import log
from typing import Any

import polars as pl

from nextday.data.rhythm import NOT_DAILY, compare_with_weeks
from nextday.data.sessions import Calendar, compare_with_sessions
from nextday.words import plural

PRICES = ("open", "high", "low", "close", "adj_close")
JUMP = 0.4  # log return of a day that wants an explanation: news, which is traded on, or a split that was not applied
SPLITS = (1.5, 5 / 3, 2, 2.5, *range(3, 11), 15, 20, 25, 30, 40, 50)
ALL = "*"  # as an accepted ticker: every one
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something found in the bars of one ticker: where first, how often, and the values that show it."""

    ticker: str
    rule: str
    on: date
    bars: int
    evidence: str
    fatal: bool

    def __str__(self) -> str:
        """Describe it in one line."""
        more = f" ({plural(self.bars - 1, 'more such bar')})" if self.bars > 1 else ""
        return f"{self.ticker} on {self.on}: {self.evidence}{more}"

    def as_dict(self) -> dict[str, object]:
        """Return it for JSON."""
        return asdict(self) | {"on": str(self.on)}


@dataclass(frozen=True, slots=True)
class Rule:
    """Marks bad bars, and says what is bad of one, given it and the one before."""

    name: str
    wrong: pl.Expr
    says: Callable[[Row, Row], str]
    fatal: bool = False


def check_bars(
    frame: pl.DataFrame,
    *,
    accept: Sequence[str] = (),
    calendar: Calendar | None = None,
    fatal_only: bool = False,
    market: str = "",
) -> list[Finding]:
    """Find what is wrong with bars.

    Parameters
    ----------
    frame
        The columns of ``Bars``, no ticker or date missing; in any order.
    accept
        Tickers whose jumps are real; ``*`` accepts all.
    calendar
        Sessions of the exchanges; without it a session is a day on which more than half of the tickers have a bar.
    fatal_only
        Look only for what makes a ticker unusable.
    market
        Ticker of which dates and adjusted closes are enough.

    Returns
    -------
    list of Finding
        One per ticker and rule, the fatal ones first.
    """
    frame = by_ticker(frame)
    found = [*_apply(ORDER, frame)]
    if found:
        frame = frame.sort("ticker", "date", maintain_order=True)
    frame = _with_needless(frame, market)
    found += _apply(VALUES, frame)
    found += [
        Finding(*values, fatal=True)
        for values in compare_with_weeks(frame)
        if values[1] == NOT_DAILY or not {values[0], ALL} & set(accept)
    ]
    usable = frame.filter(~pl.col("ticker").is_in({finding.ticker for finding in found})) if found else frame
    for finding in _apply(JUMPS, _around_jumps(usable)):
        if not ({finding.ticker, ALL} & set(accept) if finding.fatal else fatal_only):
            found.append(finding)
    if not fatal_only:
        found += _apply(REMARKS, usable)
        found += (Finding(*values, fatal=False) for values in compare_with_sessions(usable, calendar))
    return sorted(found, key=lambda finding: (not finding.fatal, finding.ticker))


def _with_needless(frame: pl.DataFrame, market: str) -> pl.DataFrame:
    """Stand in, for the rules alone, for values of the market that nobody reads: an index may have no volume."""
    needless = [name for name in ("open", "high", "low", "close", "volume") if frame[name].null_count()]
    if not market or not needless:
        return frame
    stand_in = {name: pl.lit(1.0) if name == "volume" else pl.col("adj_close") for name in needless}
    missing = [(pl.col("ticker") == market) & pl.col(name).is_null() for name in needless]
    return frame.with_columns(
        pl.when(gone).then(stand_in[name]).otherwise(name).alias(name)
        for name, gone in zip(needless, missing, strict=True)
    )


def by_ticker(frame: pl.DataFrame) -> pl.DataFrame:
    """Bring the bars of each ticker together, in the order in which they came."""
    together = (frame["ticker"] >= frame["ticker"].shift(1)).all()
    return frame if together else frame.sort("ticker", maintain_order=True)


def _apply(rules: Sequence[Rule], frame: pl.DataFrame) -> Iterator[Finding]:
    """Evaluate all rules in one pass; texts are made only for the first bad bar of a ticker."""
    if frame.is_empty():
        return
    marks = frame.lazy().select(rule.wrong.fill_null(value=False).alias(rule.name) for rule in rules).collect()
    for rule in rules:
        places = marks[rule.name].arg_true()
        if len(places):
            at = pl.DataFrame({"at": places, "ticker": frame["ticker"].gather(places)})
            for ticker, first, count in (
                at.group_by("ticker", maintain_order=True).agg(pl.col("at").first(), pl.len()).iter_rows()
            ):
                row, before = frame.row(first, named=True), frame.row(max(first - 1, 0), named=True)
                yield Finding(ticker, rule.name, row["date"], count, rule.says(row, before), rule.fatal)


def _around_jumps(frame: pl.DataFrame) -> pl.DataFrame:
    """Keep the bars that jump and the five before each: few, so that the rules on them cost nothing."""
    jumps = frame.select(_JUMPS.fill_null(value=False).alias("jumps"))["jumps"]
    near = pl.DataFrame({str(days): jumps.shift(-days, fill_value=False) for days in range(6)})
    return frame.with_columns(jumps).filter(near.select(pl.any_horizontal(pl.all())).to_series())


def _back(column: str, days: int = 1) -> pl.Expr:
    """Take a column some bars before; null across tickers."""
    same = pl.col("ticker") == pl.col("ticker").shift(days)
    return pl.when(same).then(pl.col(column).shift(days))


def _is_positive(column: str) -> pl.Expr:
    return (pl.col(column).is_finite() & (pl.col(column) > 0)).fill_null(value=False)


def _shown(value: float | None) -> object:
    return "missing" if value is None else value


def _bad_price(column: str) -> Callable[[Row, Row], str]:
    def says(row: Row, _: Row) -> str:
        volume = row["volume"]
        traded = f", though {volume:,.0f} were traded" if row[column] is None and volume else ""
        return f"{column} {_shown(row[column])} is not a positive number{traded}"

    return says


def _move(row: Row, before: Row) -> str:
    ratio = row["adj_close"] / before["adj_close"]
    move = f"adj_close {before['adj_close']:.6g} on {before['date']}, then {row['adj_close']:.6g}"
    return f"{move}: a factor of {ratio:.4g}, log return {log(ratio):+.2f}"


def _split(row: Row, before: Row) -> str:
    gap = log(row["open"] / row["close"] * row["adj_close"] / before["adj_close"])
    ratio = min(SPLITS, key=lambda factor: abs(abs(gap) - log(factor)))
    return f"{_move(row, before)}; looks like a split of {ratio:.3g} that was not applied"


_ADJUSTED = pl.col("adj_close") / pl.col("close")
_MOVE = (pl.col("adj_close") / _back("adj_close")).log()
_GAP = _MOVE + (pl.col("open") / pl.col("close")).log()  # overnight: from the close before to the open
_JUMPS = _MOVE.abs() > JUMP
_BY_100 = (_MOVE.abs() - log(100)).abs() < 0.3


# News bring trade, in shares and in money; a split leaves the money as it was, or the shares if they are adjusted.
_SHARES = [_back("volume", days) for days in range(1, 6)]
_MONEY = [_back("volume", days) * _back("close", days) for days in range(1, 6)]
_QUIET = (pl.col("volume") < 4 * pl.mean_horizontal(_SHARES)) | (
    pl.col("volume") * pl.col("close") < 4 * pl.mean_horizontal(_MONEY)
)
_LIKE_SPLIT = _QUIET & pl.any_horizontal((_GAP.abs() - log(ratio)).abs() < 0.1 for ratio in SPLITS)

_REPEATED = pl.all_horizontal(pl.col(name) == _back(name) for name in PRICES)

ORDER = (
    Rule(
        "date twice", pl.col("date") == _back("date"),
        lambda row, _: f"more than one bar, first close {row['close']}; keep one", fatal=True,
    ),
    Rule(
        "dates go back", pl.col("date") < _back("date"),
        lambda _, before: f"the date goes back, it follows {before['date']}", fatal=True,
    ),
)  # fmt: skip
VALUES = (
    *(Rule(f"bad {name}", ~_is_positive(name), _bad_price(name), fatal=True) for name in PRICES),
    Rule(
        "bad volume", ~(pl.col("volume").is_finite() & (pl.col("volume") >= 0)).fill_null(value=False),
        lambda row, _: f"volume {_shown(row['volume'])} is not a number from 0 up", fatal=True,
    ),
    Rule(
        "high below low", pl.col("high") < pl.col("low"),
        lambda row, _: f"high {row['high']} is below the low {row['low']}", fatal=True,
    ),
    Rule(
        "weekend filled", (pl.col("date").dt.weekday() > 5) & (pl.col("high") > pl.col("low")) & _REPEATED,
        lambda _, before: f"a weekend bar that repeats that of {before['date']}: filled in, not traded", fatal=True,
    ),
)  # fmt: skip
JUMPS = (  # on bars around jumps, marked as such
    Rule("off by 100", pl.col("jumps") & _BY_100, _move, fatal=True),
    Rule("split not applied", pl.col("jumps") & ~_BY_100 & _LIKE_SPLIT, _split, fatal=True),
    Rule("extreme move", pl.col("jumps") & ~_BY_100 & ~_LIKE_SPLIT, _move),
)
REMARKS = (
    Rule(
        "outside its range",
        (pl.max_horizontal("open", "close") > pl.col("high") * 1.001)
        | (pl.min_horizontal("open", "close") < pl.col("low") * 0.999),
        lambda row, _: "open {open:.6g} or close {close:.6g} is outside {low:.6g} to {high:.6g}".format(**row),
    ),
    Rule(
        "stale", pl.all_horizontal(pl.col("close") == _back("close", days) for days in range(1, 5)),
        lambda row, _: f"the fifth close of {row['close']:.6g} in a row",
    ),
    Rule(
        "adjustment falls", 0.995 * _back("adj_close") / _back("close") > _ADJUSTED,
        lambda row, before: f"adj_close / close falls from {before['adj_close'] / before['close']:.4g} "
        f"to {row['adj_close'] / row['close']:.4g}; splits and dividends only let it rise",
    ),
    Rule("no volume", pl.col("volume") == 0, lambda *_: "nothing was traded"),
)  # fmt: skip


def survivors(frame: pl.DataFrame) -> str:
    """Warn where every ticker is alive at the end; empty if one is not."""
    last = frame.group_by("ticker").agg(pl.col("date").max())["date"]
    if len(last) < 2 or last.n_unique() > 1:
        return ""
    return (
        f"none of the {plural(len(last), 'ticker')} is delisted before {last[0]}: results are subject to survivorship "
        "bias"
    )
