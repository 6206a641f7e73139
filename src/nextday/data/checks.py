"""What is wrong with bars: a table of rules for single bars, and a comparison with the sessions of an exchange.

A finding of a fatal rule means that the ticker cannot be used; the others are what a careful person would look at.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date

import polars as pl

from nextday.data import jumps
from nextday.data.jumps import Row, back
from nextday.data.rhythm import NOT_DAILY, compare_with_weeks
from nextday.data.sessions import Calendar, compare_with_sessions
from nextday.words import plural

PRICES = ("open", "high", "low", "close", "adj_close")
ALL = "*"  # as an accepted ticker: every one


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
        Look only for what makes a ticker unusable, and for jumps of which nobody but the user knows whether they do.
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
    for finding in _apply(JUMPS, jumps.judge_jumps(usable)):
        if not (fatal_only if finding.rule == jumps.EXTREME_MOVE else {finding.ticker, ALL} & set(accept)):
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


_ADJUSTED = pl.col("adj_close") / pl.col("close")
_REPEATED = pl.all_horizontal(pl.col(name) == back(name) for name in PRICES)

ORDER = (
    Rule(
        "date twice", pl.col("date") == back("date"),
        lambda row, _: f"more than one bar, first close {row['close']:.6g}; keep one", fatal=True,
    ),
    Rule(
        "dates go back", pl.col("date") < back("date"),
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
JUMPS = tuple(  # on what was found of each jump
    Rule(name, pl.col("verdict") == name, says, fatal=name in jumps.REFUSED)
    for name, says in {
        jumps.OFF_BY_100: jumps.say_move, jumps.SPLIT_NOT_APPLIED: jumps.say_split,
        jumps.SPLIT_OR_NEWS: jumps.ask, jumps.EXTREME_MOVE: jumps.say_move,
    }.items()
)  # fmt: skip
REMARKS = (
    Rule(
        "outside its range",
        (pl.max_horizontal("open", "close") > pl.col("high") * 1.001)
        | (pl.min_horizontal("open", "close") < pl.col("low") * 0.999),
        lambda row, _: "open {open:.6g} or close {close:.6g} is outside {low:.6g} to {high:.6g}".format(**row),
    ),
    Rule(
        "stale", pl.all_horizontal(pl.col("close") == back("close", days) for days in range(1, 5)),
        lambda row, _: f"the fifth close of {row['close']:.6g} in a row",
    ),
    Rule(
        "adjustment falls", 0.995 * back("adj_close") / back("close") > _ADJUSTED,
        lambda row, before: f"adj_close / close falls from {before['adj_close'] / before['close']:.4g} "
        f"to {row['adj_close'] / row['close']:.4g}; splits and dividends only let it rise",
    ),
    Rule("no volume", pl.col("volume") == 0, lambda *_: "nothing was traded"),
)  # fmt: skip
