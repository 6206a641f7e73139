"""Conformal calibration: shift each quantile by its error on the validation set, or on the days since.

Existing libraries do not fit: crepes 0.9 computes the shifts of ``split`` up to rounding, but requires pandas for one
sorted column; MAPIE 1.6 wraps estimators instead of forecasts, and adapts an interval around a point. Neither tracks
quantiles over time.
"""

from collections.abc import Mapping, Sequence
from math import ceil

import numpy as np
import polars as pl

from nextday.errors import VerdictError
from nextday.evaluate.quantiles import levels_of, quantile_rows

KEYS = ("ticker", "fold", "seed")
METHODS = ("split", "adaptive")
STEP = 0.05
"""Of the standard deviation of the scores: how far a miss moves a quantile. By simulation, pinball loss against split's
in 750 days: a true model +0.1 %, constant quantiles in GARCH -2.0 %, deviation that grows threefold -6.9 %; 0.02 has
-0.1, -1.5, -4.9 % and 0.1 has +0.6, -2.2, -8.0 %. More than that follows noise, and widens."""


def calibrate(forecasts: pl.DataFrame, valid: pl.DataFrame, plans: Mapping[str, tuple[str, str]]) -> pl.DataFrame:
    r"""Append calibrated copies of variants that forecast quantiles.

    A score is ``actual`` minus a quantile; each unit (ticker, fold, seed) and level ``a`` has its own shift.

    ``split``: the ``ceil((n + 1) a)``-th smallest of the unit's ``n`` validation scores, from 0.5 downwards the
    ``floor``. If days were exchangeable, at most a share ``a`` would fall below a lower level and at least ``a`` at or
    below an upper one, so an interval would have its nominal coverage, on average over validation sets, within 2 / (n +
    1). Returns are not exchangeable, because their volatility changes. The validation set also chose the epoch at which
    a network stopped, so its scores may be slightly too small. This is a correction, not a guarantee.

    ``adaptive``: starts from ``split`` and is updated after each realised day,

    .. math:: s_a \leftarrow s_a + c_a (a - \mathbf 1\{y \le q_a + s_a\}), \quad c_a = STEP \cdot sd(scores)

    A row uses only outcomes dated up to its origin. Whatever the data, the share of ``T`` days below a level differs
    from ``a`` by at most the total change of its shift divided by ``c_a T``: correct in the long run, though not on any
    one day.

    The median is not shifted: the error of its shift adds 0.3 % to the squared error of the point forecast with split
    on 250 days, and 1 % with adaptive, for returns that are hardly predictable; that cost is worth paying
    only for a bias beyond 0.06 standard deviations. Finally, the quantiles of each row are sorted: this never increases
    their mean pinball loss and never changes how many of them a return exceeds (Chernozhukov et al.).

    Parameters
    ----------
    forecasts
        The forecasts table, of the test range.
    valid
        The same columns for the validation set; in each unit its days precede those of the test set.
    plans
        New variant's name to the variant it calibrates and the method, of ``METHODS``.

    Returns
    -------
    ``forecasts`` and below it the new variants in the order of ``plans``, rows in the order of their originals, with
    ``predicted`` their median where 0.5 is a level, else the original's.

    Raises
    ------
    VerdictError
        If a method is unknown, a name taken, a variant has no quantiles or broken ones, or a unit has too few
        validation days: 1 / a - 1 are needed for its outermost level.

    References
    ----------
    Romano, Patterson and Candès (2019), "Conformalized quantile regression", NeurIPS 32. Gibbs and Candès (2021),
    "Adaptive conformal inference under distribution shift", NeurIPS 34. Angelopoulos, Candès and Tibshirani (2023),
    "Conformal PID control for time series prediction", NeurIPS 36: the P part. Chernozhukov, Fernández-Val and
    Galichon (2010), "Quantile and probability curves without crossing", Econometrica 78(3).
    """
    levels, parts = levels_of(forecasts), [forecasts]
    for name, (of, method) in plans.items():
        where = f"conformal {name!r}"
        if method not in METHODS:
            raise VerdictError(f"{where}: unknown method {method!r}; known: {', '.join(METHODS)}")
        if name in forecasts["variant"]:
            raise VerdictError(f"{where}: the forecasts table has a variant of that name; choose another")
        known = forecasts.filter(pl.any_horizontal(False, *(pl.col(f"q{level}").is_not_null() for level in levels)))
        if of not in known["variant"]:
            others = ", ".join(known["variant"].unique(maintain_order=True)) or "none"
            raise VerdictError(f"{where}: {of!r} forecasts no quantiles; variants that do: {others}")
        rows, past = forecasts.filter(variant=of), valid.filter(variant=of)
        for table in (rows, past):
            for _, fold in table.group_by("fold", maintain_order=True):  # those of valid may overlap
                quantile_rows(fold)
        unit = rows.select(*KEYS, "origin", "date").join(
            _units(past, levels), on=KEYS, how="left", nulls_equal=True, maintain_order="left"
        )
        _check(unit, levels, where)
        new = pl.DataFrame(_shifted(rows, unit, levels, method), schema=[f"q{level}" for level in levels], orient="row")
        new = new.with_columns(variant=pl.lit(name), predicted=new["q0.5"] if 0.5 in levels else rows["predicted"])
        parts.append(rows.with_columns(new.cast({key: forecasts.schema[key] for key in new.columns})))
    return pl.concat(parts)


def _units(past: pl.DataFrame, levels: Sequence[float]) -> pl.DataFrame:
    """Return per unit the number of validation ``days``, the last one, and the shift and step of each level."""
    found = {"days": pl.len(), "until": pl.col("date").max()}
    for level in levels:
        scores = (pl.col("actual") - pl.col(f"q{level}").cast(pl.Float64)).sort()  # sums depend on the order of rows
        rank = ((pl.len() + 1) * level).round(9)  # 100 * 0.29 is less than 29
        rank = (rank.ceil() if level > 0.5 else rank.floor()).cast(pl.Int64)
        found[f"shift {level}"] = scores.get(rank - 1, null_on_oob=True) if level != 0.5 else pl.lit(0.0)
        found[f"step {level}"] = STEP * scores.std() if level != 0.5 else pl.lit(0.0)
    return past.group_by(KEYS, maintain_order=True).agg(**found).with_row_index("unit")


def _check(unit: pl.DataFrame, levels: Sequence[float], where: str) -> None:
    """Refuse units with too few days in valid, and days out of order."""
    outer = min(levels, key=lambda level: min(level, 1 - level))
    needed = ceil(round(1 / min(outer, 1 - outer), 9)) - 1
    few = f"the validation set has {{days}} days, level {outer} needs at least {needed}; lengthen it or drop the level"
    for wrong, why in (
        (pl.col("days").fill_null(0) < needed, few),
        (pl.col("until") > pl.col("origin"), "valid goes to {until}, unknown at the origin {origin}; end it there"),
        (pl.col("origin") >= pl.col("date"), "the origin {origin} does not lie before its date {date}; it must"),
    ):
        for row in unit.filter(wrong).head(1).with_columns(pl.col("days").fill_null(0)).iter_rows(named=True):
            of = ", ".join(f"{key} {row[key]}" for key in KEYS if row[key] is not None)
            raise VerdictError(f"{where}: {of}: {why.format(**row)}")


def _shifted(rows: pl.DataFrame, unit: pl.DataFrame, levels: Sequence[float], method: str) -> np.ndarray:
    """Return the calibrated quantiles of one variant's rows, sorted, [row, level]."""
    quantiles = rows.select(pl.col(f"q{level}").cast(pl.Float64) for level in levels).to_numpy()
    shift, step = (unit.select(f"{what} {level}" for level in levels).to_numpy() for what in ("shift", "step"))
    if method == "split":
        return np.sort(quantiles + shift, axis=1)
    dates = pl.col("date").sort()
    seen = dates.search_sorted(pl.col("origin"), side="right")  # outcomes of the unit that a row's origin knows
    own = unit.select("unit", day=(pl.col("date").rank("ordinal") - 1).over("unit"), seen=seen.over("unit"))
    at, who, known = (own[name].to_numpy() for name in ("day", "unit", "seen"))
    shape = (at.max() + 1, who.max() + 1)  # short units end in days that nobody reads
    row = np.zeros(shape, int)
    row[at, who] = np.arange(len(rows))
    actual, every = rows["actual"].to_numpy(), np.arange(shape[1])
    shifts = np.zeros((shape[0] + 1, shape[1], len(levels)))  # [outcomes seen, unit, level]
    shifts[0, who] = shift
    for day, of in enumerate(row):
        below = actual[of, None] <= quantiles[of] + shifts[known[of], every]
        shifts[day + 1] = shifts[day] + step[of] * (levels - below)
    return np.sort(quantiles + shifts[known, who], axis=1)
