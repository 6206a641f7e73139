"""Quantile forecasts: levels, checks, scores, and coverage of the intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import polars as pl

from nextday.errors import VerdictError
from nextday.evaluate.estimates import estimate
from nextday.words import plural

UNIT = ("variant", "ticker", "fold", "seed")
NEEDED = ("variant", "ticker", "date", "actual")


@dataclass(frozen=True, slots=True)
class Interval:
    """A central interval between the quantiles of the levels ``lower`` and ``upper = 1 - lower``."""

    lower: float
    upper: float

    @property
    def nominal(self) -> float:
        """Nominal coverage of the interval."""
        return round(self.upper - self.lower, 10)

    @property
    def held(self) -> pl.Expr:
        """Whether the actual value lies in the interval, including its ends, as 0 or 1."""
        return pl.col("actual").is_between(f"q{self.lower}", f"q{self.upper}").cast(pl.Float64)

    @property
    def width(self) -> pl.Expr:
        """Width of the interval, in units of ``actual``."""
        return pl.col(f"q{self.upper}") - pl.col(f"q{self.lower}")

    @property
    def score(self) -> pl.Expr:
        """Interval score: the width plus 2 / (1 - nominal) times the distance of an actual value outside."""
        actual, (lower, upper) = pl.col("actual"), (pl.col(f"q{level}") for level in (self.lower, self.upper))
        outside = pl.max_horizontal(lower - actual, actual - upper, 0.0)
        return self.width + 1 / self.lower * outside


def pinball(level: float, column: str) -> pl.Expr:
    """Pinball loss of a column of quantiles of one level."""
    over = pl.col(column) - pl.col("actual")
    return pl.max_horizontal((1 - level) * over, -level * over)


def levels_of(table: pl.DataFrame) -> tuple[float, ...]:
    """Read the quantile levels of a table from its column names, sorted; empty if it has none.

    Examples
    --------
    >>> levels_of(pl.DataFrame(schema=["actual", "predicted", "q0.95", "q0.05", "quarter"]))
    (0.05, 0.95)
    """
    return tuple(columns_of(table))


def columns_of(table: pl.DataFrame) -> dict[float, str]:
    """Return the column of each level, sorted; a level may be written in another form than Python's, as in q0.50.

    Raises
    ------
    VerdictError
        If a level is not strictly between 0 and 1, or occurs twice.
    """
    found: dict[float, str] = {}
    for name in table.columns:
        if name[:1] != "q" or name[1:2] not in set("0123456789.+-"):
            continue
        try:
            level = float(name[1:])
        except ValueError:
            level = float("nan")
        if not 0 < level < 1:
            raise VerdictError(f"column {name!r} is not a level strictly between 0 and 1; name it like q0.05")
        if level in found:
            raise VerdictError(f"columns {found[level]!r} and {name!r} are the same level; drop one")
        found[level] = name
    return dict(sorted(found.items()))


def has_quantiles(table: pl.DataFrame) -> bool:
    """Return whether any variant of a table forecasts quantiles."""
    return any(table[name].count() for name in columns_of(table).values())


def intervals_of(levels: Sequence[float]) -> tuple[Interval, ...]:
    """Pair each level with its complement, widest interval first; a level without its complement is left out.

    Examples
    --------
    >>> [interval.nominal for interval in intervals_of((0.05, 0.1, 0.25, 0.5, 0.75, 0.95))]
    [0.9, 0.5]
    """
    pairs = ((low, high) for low in levels for high in levels if low < 0.5 and abs(low + high - 1) < 1e-9)
    return tuple(Interval(low, high) for low, high in pairs)


def quantile_rows(table: pl.DataFrame) -> tuple[pl.DataFrame, tuple[float, ...]]:
    """Check the rows of the variants that forecast quantiles; variants without, whose quantiles are null, are left out.

    Returns
    -------
    rows
        Columns ``UNIT``, ``date``, ``actual`` and one per level, named ``q`` and the level as Python prints it.
    levels
        Sorted. All variants must have the same levels: mean pinball losses over different levels are not comparable.

    Raises
    ------
    VerdictError
        If columns are missing, no variant has quantiles, a value is not finite or missing in some rows of a variant, a
        row occurs twice, the seeds of a variant differ in their samples, or quantiles cross; with the first such row.
    """
    columns = columns_of(table)
    missing = [name for name in NEEDED if name not in table.columns]
    if missing:
        raise VerdictError(f"the forecasts table has no column {missing[0]!r}; it has {', '.join(table.columns)}")
    names = [f"q{level}" for level in columns]
    optional = [pl.col(name) if name in table.columns else pl.lit(None).alias(name) for name in ("fold", "seed")]
    rows = table.select(
        pl.col("variant", "ticker").cast(pl.String), *optional, "date", pl.col("actual").cast(pl.Float64),
        *(pl.col(name).cast(pl.Float64).alias(f"q{level}") for level, name in columns.items()),
    )  # fmt: skip
    known = pl.any_horizontal(pl.col(names).is_not_null()) if names else pl.lit(value=False)
    rows = rows.filter(known.any().over("variant")) if len(rows) else rows
    if rows.is_empty() or not names:
        raise VerdictError("the forecasts table has no quantiles; they are columns such as q0.05, q0.5, q0.95")
    for name in ("actual", *names):
        _refuse(rows, ~pl.col(name).is_finite().fill_null(value=False), f"{name} is missing or not finite")
    _refuse(rows, pl.struct("variant", "ticker", "seed", "date").is_duplicated(), "duplicate ticker, seed and date")
    unseeded = pl.col("seed").is_null()
    _refuse(rows, unseeded & (~unseeded).any().over("variant"), "no seed, while other rows have one")
    of_sample, of_variant = pl.len().over("variant", "ticker", "date"), pl.col("seed").n_unique().over("variant")
    _refuse(rows, of_sample != of_variant, "sample missing in another seed")
    for low, high in pairwise(names):
        sort = "; let the model sort those of each row"
        _refuse(rows, pl.col(low) > pl.col(high), "quantiles cross", low, high, way_out=sort)
    return rows, tuple(columns)


def score_quantiles(table: pl.DataFrame, *, interval: float | None = None) -> pl.DataFrame:
    r"""Score the quantiles of every variant, ticker, fold and seed, as means over its days.

    .. math:: L_a(q, y) = (\mathbf 1\{y < q\} - a)(q - y)

    Returns
    -------
    One row per (variant, ticker, fold, seed) of the variants with quantiles, in the order of the table; ``Days`` and:

    ``Pinball@LEVEL``, ``Pinball``
        The pinball loss ``L_a`` of each level, and its mean over the levels; in units of ``actual``.
    ``CRPS``
        As in ``scoringrules.crps_quantile``: twice the mean pinball loss, with equal weights for all levels. It
        approximates the continuous ranked probability score if levels are many and evenly spaced; K levels at k / (K +
        1) overstate it by about 1 / K. The levels 0.05, 0.5, 0.95 give 0.403 where a normal forecast of unit deviation
        has 0.564. Among variants with the same levels it is a proper score; it is not comparable with a CRPS of other
        levels or of a density.
    ``Coverage``, ``Nominal``, ``Width``, ``IntervalScore``
        Of the central interval with nominal coverage ``interval``, default the widest: empirical coverage, including
        the ends; nominal coverage; mean width; and the interval score, the width plus 2 / (1 - nominal) times the
        distance of a return outside the interval. Missing if no two levels are ``a`` and ``1 - a``. With several
        intervals also ``Coverage@NOMINAL`` and so on.

    References
    ----------
    Gneiting and Raftery (2007), "Strictly proper scoring rules, prediction, and estimation", JASA 102(477): pinball
    loss and interval score. Berrisch and Ziel (2023), "CRPS learning", Journal of Econometrics 237(2): the CRPS.
    """
    rows, levels = quantile_rows(table)
    each = {f"Pinball@{level}": pinball(level, f"q{level}") for level in levels}
    mean = pl.mean_horizontal(*each.values())
    scores = {"Pinball": mean} | each | {"CRPS": 2 * mean}
    scores |= dict.fromkeys(("Coverage", "Nominal", "Width", "IntervalScore"), pl.lit(None, pl.Float64))
    intervals = intervals_of(levels)
    chosen = _chosen(intervals, interval)
    for one in intervals:
        parts = {"Coverage": one.held, "Width": one.width, "IntervalScore": one.score}
        if one == chosen:
            scores |= parts | {"Nominal": pl.lit(one.nominal)}
        if len(intervals) > 1:
            scores |= {f"{name}@{one.nominal}": part for name, part in parts.items()}
    return (
        rows.select(*UNIT, **scores)
        .group_by(UNIT, maintain_order=True)
        .agg(pl.len().alias("Days").cast(pl.Int64), pl.col("Nominal").first(), pl.exclude(*UNIT, "Nominal").mean())
    )


def coverage_intervals(
    table: pl.DataFrame, *, alpha: float = 0.05, replicates: int = 2000, seed: int = 0
) -> pl.DataFrame:
    """Estimate coverage and mean width of each central interval of each variant, with their uncertainty.

    The estimand is the expected coverage of one training run: a mean over tickers of each date, over seeds, over dates.
    See ``estimate`` for the errors and ``Estimates.of_shares`` for the interval. It is conditional on the tickers; with
    one seed also on that training run. The width follows volatility for months: its interval is valid for periods like
    this one and too narrow for a mean over decades (82 % of 95 % intervals contain it in 500 simulated days of GARCH).

    Returns
    -------
    One row per variant and interval, widest first: ``Nominal``, ``Days``, ``Seeds`` (0 for a deterministic model),
    ``Coverage`` and ``Width``, each with ``_low`` and ``_high`` at ``1 - alpha``.
    """
    rows, levels = quantile_rows(table)
    intervals = intervals_of(levels)
    if not intervals:
        raise VerdictError(f"no central interval: level {levels[0]} has no complement; add q{round(1 - levels[0], 10)}")
    found = []
    for name in rows["variant"].unique(maintain_order=True):
        own = rows.filter(variant=name)
        held = estimate(own, [interval.held for interval in intervals], replicates=replicates, seed=seed)
        width = estimate(own, [interval.width for interval in intervals], replicates=replicates, seed=seed)
        shares, widths = held.of_shares("Coverage", alpha), width.of_means("Width", alpha)
        found += [
            {"variant": name, "Nominal": interval.nominal, "Days": held.days, "Seeds": held.seeds, **share, **mean}
            for interval, share, mean in zip(intervals, shares, widths, strict=True)
        ]
    return pl.DataFrame(found)


def _chosen(intervals: Sequence[Interval], nominal: float | None) -> Interval | None:
    """Find an interval by its nominal coverage; the widest, if any, where none is requested."""
    found = [one for one in intervals if nominal is None or abs(one.nominal - nominal) < 1e-9]
    if nominal is not None and not found:
        known = ", ".join(f"{one.nominal:g}" for one in intervals) or "none"
        raise VerdictError(f"no two levels form an interval of {nominal:g}; intervals of the table: {known}")
    return found[0] if found else None


def _refuse(rows: pl.DataFrame, wrong: pl.Expr, why: str, *shown: str, way_out: str = "") -> None:
    """Raise where a row is wrong: how many, of which variant, and the first."""
    refused = rows.filter(wrong)
    if not refused.is_empty():
        first = refused.row(0, named=True)
        where = [f"{name} {first[name]}" for name in ("ticker", "seed", "date", *shown) if first[name] is not None]
        count = len(refused.filter(variant=first["variant"]))
        found = f"{first['variant']}: {why} in {plural(count, 'row')}"
        raise VerdictError(f"{found}; first: {', '.join(where)}{way_out}")
