"""Whether forecasts can be believed: what no forecast of daily returns made before the day can look like.

Rules C1 to C6 of an audit, from the forecasts table alone, one variant at a time.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
import scipy  # its submodules load when first used, see calibration.py

from nextday.auditing.findings import Finding
from nextday.evaluate.guards import ENOUGH, is_size
from nextday.words import plural

COPIED, SAME = 0.05, 1e-4  # share of rows equal to an actual value; standard deviations within which they are equal
AWAY = range(-5, 6)  # rows
GOOD, DOUBTFUL, BLOCK = 0.02, 0.005, 20  # lower end of R2 against zero; days of a block of the bootstrap
CONFIDENCE = 0.999  # one-sided, of that lower end
HITS = 0.6  # share of directions, beyond three standard errors of a coin
EXACT, EXACT_POOLED, EXACT_MEAN = 1e-4, 1e-6, 1e-6  # of slope, intercept and mean error of a fit to the same rows
LATER = 0.15  # correlation with the actual values of later rows
MOSTLY = 0.9  # share of rows whose actual values are a return of the bars
PUBLISHED = "published forecasts of daily returns reach 0.1 to 1 %"


@dataclass(frozen=True, slots=True)
class _Rows:
    """The forecasts of a variant, in the order of seed, ticker and origin."""

    group: np.ndarray  # number of the pair of seed and ticker, per row
    day: np.ndarray  # number of the origin, per row
    actual: np.ndarray
    predicted: np.ndarray
    deviation: np.ndarray  # of the actual values of its group, per row

    def later(self, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions that have an actual value so many rows later in their group, and where it is."""
        at = np.arange(len(self.group))
        at = at[(at + rows >= 0) & (at + rows < len(at))]
        at = at[self.group[at] == self.group[at + rows]]
        return at, at + rows


def examine(
    rows: pl.DataFrame | pl.LazyFrame, *, trusted: Collection[str] = (),
    features: Mapping[str, Collection[str]] | None = None,
) -> tuple[Finding, ...]:  # fmt: skip
    """Find forecasts that look at the rows they are scored on.

    Parameters
    ----------
    rows
        A forecasts table as ``prepare`` returns it.
    trusted
        Variants whose inputs passed an audit of their own: skill that is too good then raises a question.
    features
        Columns that each variant reads, if known.

    Returns
    -------
    Findings by variant: ``C1`` copies of actual values, ``C2`` implausible skill, ``C3`` fits to the scored rows,
    ``C4`` knowledge of later rows. What is about the skill of returns is not asked where no actual value is negative.
    """
    lazy = rows.lazy()
    if not {"variant", "ticker", "origin", "actual", "predicted"} <= set(lazy.collect_schema()):
        return ()
    returns = not is_size(rows)
    names = lazy.select(pl.col("variant").unique(maintain_order=True)).collect().to_series().to_list()
    found = [one for name in names for one in _examine(name, _rows_of(lazy, name), name in trusted, returns)]
    return _with_columns(found, features or {})


def count_variants(names: Collection[str]) -> Finding:
    """Return how many variants a table has, as the best of many is better than it is (``C6``)."""
    count = len(names)
    best = f": its best is the best of {count}" if count > 1 else ""
    return Finding("", "note", "C6", f"The table has {plural(count, 'variant')}{best}.")


def _examine(name: str, rows: _Rows, trusted: bool, returns: bool) -> Iterator[Finding]:
    if len(rows.actual) < ENOUGH:
        return
    with np.errstate(over="ignore", invalid="ignore"):
        copies = list(_copies(name, rows))
        yield from copies
        if any(one.level == "alarm" for one in copies):
            return  # which explains the rest
        yield from _fitted(name, rows)
        if returns:
            yield from _too_good(name, rows, trusted)
            yield from () if copies else _later(name, rows)


def _rows_of(lazy: pl.LazyFrame, name: str) -> _Rows:
    kinds = lazy.collect_schema()
    keys = [key for key in ("seed", "ticker") if key in kinds]
    own = lazy.filter(pl.col("variant") == name).select(*keys, "origin", "actual", "predicted").collect()
    own = own.filter(pl.col("actual").is_finite() & pl.col("predicted").is_finite()).sort(*keys, "origin")
    group = own.select(pl.struct(keys).rle_id()).to_series().to_numpy().astype(np.int64)
    actual, predicted = (own[column].to_numpy().astype(np.float64) for column in ("actual", "predicted"))
    day = own["origin"].rank("dense").to_numpy().astype(np.int64) - 1
    if not len(group):
        return _Rows(group, day, actual, predicted, actual)
    return _Rows(group, day, actual, predicted, _moments(actual, group)[1][group])


def _moments(values: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each group, shape [group]."""
    count = np.bincount(group)
    mean = np.bincount(group, values) / count
    return mean, np.sqrt(np.bincount(group, (values - mean[group]) ** 2) / count)


def _copies(name: str, rows: _Rows) -> Iterator[Finding]:
    """Compare forecasts with the actual values some rows away; days without a move are no evidence."""
    moved = np.abs(rows.actual) > SAME * rows.deviation
    shares = {}
    for away in AWAY:
        at, there = rows.later(away)
        same = np.abs(rows.predicted[at] - rows.actual[there]) <= SAME * rows.deviation[at]
        shares[away] = float(same[moved[there]].mean()) if moved[there].any() else 0.0
    usual = float(np.median(list(shares.values())))  # ticks make many returns equal
    for away, share in sorted(shares.items(), key=lambda one: -one[1]):
        if share <= max(COPIED, 2 * usual):
            return
        numbers = {"share": share, "rows": float(away)}
        if away < 0:
            said = f"{name} repeats the actual values {_rows_away(-away)} earlier in {100 * share:.0f} % of rows"
            yield Finding(name, "note", "C1", f"{said}: persistence.", numbers)
        else:
            when = f" {_rows_away(away)} later" if away else ""
            said = f"{name} copies the actual values{when} in {100 * share:.0f} % of rows."
            yield Finding(name, "alarm", "C1", said, numbers)
            return


def _rows_away(count: int) -> str:
    return f"of {plural(count, 'row')}"


def _too_good(name: str, rows: _Rows, trusted: bool) -> Iterator[Finding]:
    """Hold R2 against the zero forecast, and directions, against what is known of daily returns."""
    days = int(rows.day.max()) + 1
    r2, low = _r2(rows, days)
    moved = rows.actual != 0
    hit = np.where(rows.predicted == 0, 0.5, (rows.predicted > 0) == (rows.actual > 0))[moved]
    hits = float(hit.mean()) if len(hit) else 0.5
    skill = f"has an R2 of {100 * r2:.1f} % against the zero forecast, at least {100 * low:.1f} %"
    said = [skill] if low > (DOUBTFUL if trusted else GOOD) else []
    if days >= ENOUGH and hits > max(HITS, 0.5 + 1.5 / days**0.5):
        said.append(f"predicts {100 * hits:.1f} % of directions correctly")
    numbers = {"r2": r2, "low": low, "hits": hits}
    what = f"{name} {' and '.join(said)}"
    if said and trusted:
        yield Finding(name, "question", "C2", f"{what}; {PUBLISHED}; check bars, costs and timing.", numbers)
    elif said:
        yield Finding(name, "alarm", "C2", f"{what}; no such predictability of daily returns is known.", numbers)
    elif low > DOUBTFUL:
        yield Finding(name, "question", "C2", f"{name} {skill}; {PUBLISHED}.", numbers)


def _r2(rows: _Rows, days: int) -> tuple[float, float]:
    """Return R2 against zero, losses scaled by ticker, and its lower end by a circular block bootstrap of dates.

    The variance that the bootstrap of blocks would have is that of all block means, so nothing is drawn.
    """
    scale = np.bincount(rows.group, rows.actual**2)[rows.group] / np.bincount(rows.group)[rows.group]
    scale = np.where(scale > 0, scale, np.inf)
    loss = np.bincount(rows.day, (rows.actual - rows.predicted) ** 2 / scale, days)
    zero = np.bincount(rows.day, rows.actual**2 / scale, days)
    if not zero.sum() > 0 or days < ENOUGH:
        return 0.0, 0.0
    ratio = loss.sum() / zero.sum()
    if not np.isfinite(ratio):
        return -np.inf, -np.inf
    influence = (loss - ratio * zero) / zero.mean()
    block = min(BLOCK, days // 5)
    sums = np.concatenate([[0.0], np.cumsum(np.concatenate([influence, influence[: block - 1]]))])
    blocks = (sums[block:] - sums[:-block]) / block
    error = np.sqrt(np.mean(blocks**2) * block / days)
    return float(1 - ratio), float(1 - ratio - scipy.special.stdtrit(max(days / block - 1, 2), CONFIDENCE) * error)


def _fitted(name: str, rows: _Rows) -> Iterator[Finding]:
    """Regress actual values on forecasts, per ticker: a fit to these very rows has slope 1 and intercept 0."""
    count = np.bincount(rows.group)
    many = count >= ENOUGH
    if not many.any():
        return
    each, pooled = _distance(rows, rows.group), _distance(rows, np.zeros_like(rows.group))
    per = each[many & ~np.isnan(each)]
    off = float(per.max()) if len(per) else np.inf
    size = _moments(rows.actual, rows.group)[1]
    error = np.abs(np.bincount(rows.group, rows.actual - rows.predicted) / count) / np.where(size > 0, size, np.nan)
    mean = float(np.nanmax(error[many], initial=0.0)) if np.isfinite(error[many]).any() else np.inf
    said = f"{name} was fitted to the rows that it is scored on"
    if off < EXACT or pooled[0] < EXACT_POOLED:
        line = "regressing actual on predicted gives slope 1 and intercept 0, as only a fit to the same rows does"
        yield Finding(name, "alarm", "C3", f"{said}: {line}.", {"off": min(off, float(pooled[0]))})
    elif mean < EXACT_MEAN:
        yield Finding(name, "alarm", "C3", f"{said}: its mean error is zero for every ticker.", {"mean error": mean})


def _distance(rows: _Rows, group: np.ndarray) -> np.ndarray:
    """Return how far the regression of actual on predicted is from slope 1 and intercept 0, in standard deviations.

    Shape [group]; not a number where the forecast is constant.
    """
    (mean_x, spread), (mean_y, size) = (_moments(values, group) for values in (rows.predicted, rows.actual))
    together = np.bincount(group, (rows.predicted - mean_x[group]) * (rows.actual - mean_y[group])) / np.bincount(group)
    varies = (spread > 1e-9 * np.abs(mean_x)) & (spread > 0) & (size > 0)
    nothing = np.full(len(size), np.nan)
    slope = np.divide(together, spread**2, out=nothing.copy(), where=varies)
    start = np.divide(mean_y - slope * mean_x, size, out=nothing, where=varies)
    return np.maximum(np.abs(slope - 1), np.abs(start))


def _later(name: str, rows: _Rows) -> Iterator[Finding]:
    """Correlate forecasts with the actual values of later rows, which they are not about."""
    days = int(rows.day.max()) + 1
    x = _standard(rows.predicted, rows)
    y = _standard(rows.actual, rows)
    found = []
    for away in range(1, 6):
        at, there = rows.later(away)
        size = np.sqrt((x[at] ** 2).sum() * (y[there] ** 2).sum())
        found.append((abs(float((x[at] * y[there]).sum() / size)) if size > 0 else 0.0, away))
    most, away = max(found)
    if most > max(LATER, 6 / np.sqrt(days)):
        yield Finding(
            name, "alarm", "C4",
            f"{name} knows returns after the one that it forecasts: its correlation with the actual values "
            f"{_rows_away(away)} later is {most:.2f}.", {"correlation": most, "rows": float(away)},
        )  # fmt: skip


def _standard(values: np.ndarray, rows: _Rows) -> np.ndarray:
    """Remove the mean and the deviation of each group; what is constant becomes 0."""
    mean, deviation = (moment[rows.group] for moment in _moments(values, rows.group))
    return np.divide(values - mean, deviation, out=np.zeros_like(values), where=deviation > 0)


def _with_columns(found: list[Finding], features: Mapping[str, Collection[str]]) -> tuple[Finding, ...]:
    """Name the columns that only the variants with too good a skill read."""
    bad = {one.name for one in found if one.code == "C2"}
    honest = {column for name, columns in features.items() if name not in bad for column in columns}
    said = []
    for one in found:
        alone = [column for column in features.get(one.name, ()) if column not in honest]
        if one.code == "C2" and alone and honest:
            sentence = f"{one.sentence.removesuffix('.')}; it alone reads {', '.join(alone)}."
            one = Finding(one.name, one.level, one.code, sentence, one.numbers)
        said.append(one)
    return tuple(said)


def check_timing(rows: pl.LazyFrame, prices: pl.DataFrame) -> list[Finding]:
    """Find actual values that are returns of another day than the one after their origin (``C5``).

    Parameters
    ----------
    rows
        A forecasts table as ``prepare`` returns it.
    prices
        ``ticker, date, adj_close``.
    """
    close = pl.col("adj_close").log()
    moves = {k: (close.shift(-k) - close.shift(1 - k)).over("ticker").alias(f"k{k}") for k in AWAY}
    returns = prices.sort("ticker", "date").select("ticker", pl.col("date").alias("origin"), *moves.values())
    joined = rows.select("ticker", pl.col("origin").cast(pl.Date, strict=False), "actual").unique().collect()
    joined = joined.join(returns, on=["ticker", "origin"], how="inner").filter(pl.col("actual") != 0)
    if len(joined) < ENOUGH:
        return [Finding("", "question", "C5", "The bars have next to none of the origins of the table.")]
    actual = joined["actual"].to_numpy()
    near = SAME * max(float(np.std(actual)), 1e-300)
    shares = {}
    for k in AWAY:
        move = joined[f"k{k}"].to_numpy().astype(np.float64)
        forms = (move, np.expm1(move), 100 * move, 100 * np.expm1(move))
        shares[k] = max(float((np.abs(actual - form) <= max(near, 1e-7)).mean()) for form in forms)
    k, share = max(shares.items(), key=lambda one: one[1])
    if share <= MOSTLY:
        said = "Actual values are not the returns of these bars; whether they are of the right day cannot be checked."
        return [Finding("", "question", "C5", said, {"share": share})]
    if k == 1:
        return []
    when = f"{k} days after" if k > 1 else "on the day of" if k == 0 else f"{-k} days before"
    said = f"Actual values are the returns {when} the origin in {100 * share:.0f} % of rows, not those of the next day."
    return [Finding("", "alarm", "C5", said, {"share": share, "day": float(k)})]
