"""Assess quantile forecasts, one row per variant: scores, coverage with interval, tests."""

from typing import Any

import polars as pl

from nextday.evaluate.calibration import pit_bins, value_at_risk
from nextday.evaluate.quantiles import coverage_intervals, has_quantiles, levels_of

TESTS = ("kupiec", "independence")


def assess(forecasts: pl.DataFrame, scores: pl.DataFrame, *, alpha: float = 0.05) -> pl.DataFrame:
    """Compute scores, coverage and value-at-risk tests of every variant with quantiles; no rows without quantiles.

    Parameters
    ----------
    forecasts
        The forecasts table.
    scores
        Its scores, as ``score`` returns them.
    alpha
        Error rate of the intervals and of the single tests.

    Returns
    -------
    One row per variant: ``variant``; ``Pinball, CRPS, IntervalScore, Width``, means over tickers and seeds; ``Nominal``
    and ``Coverage`` with ``_low`` and ``_high``, of the interval in ``scores``; ``Level``, the lowest, ``Fallen``, the
    share of days below that quantile, and the number of rejections among ``Tests``, one per ticker, fold and seed
    (``kupiec``: wrong share; ``independence``: clustering); ``PIT``, the p-value of uniformity. Intervals are missing
    if no two levels are complements, tests if no level is below one half.
    """
    if not has_quantiles(forecasts):
        return pl.DataFrame()
    levels = levels_of(forecasts)
    means = ("Pinball", "CRPS", "IntervalScore", "Width")
    known = scores.filter(pl.col("Pinball").is_not_null())
    rows = known.group_by("variant", maintain_order=True).agg(pl.col(means).mean(), pl.col("Nominal").first())
    if rows["Nominal"].is_not_null().all():
        held = coverage_intervals(forecasts, alpha=alpha).select("variant", "Nominal", "^Coverage.*$")
        rows = rows.join(held, on=["variant", "Nominal"], how="left", maintain_order="left")
    if levels[0] < 0.5:
        tests = value_at_risk(forecasts, levels[0]).group_by("variant").agg(
            pl.lit(levels[0]).alias("Level"), (pl.col("Violations").sum() / pl.col("Days").sum()).alias("Fallen"),
            *((pl.col(f"p_{test}") < alpha).sum().alias(test) for test in TESTS), pl.len().alias("Tests"),
        )  # fmt: skip
        rows = rows.join(tests, on="variant", maintain_order="left")
    uniform = pit_bins(forecasts, alpha=alpha).group_by("variant").agg(pl.col("p_uniform").first().alias("PIT"))
    return rows.join(uniform, on="variant", maintain_order="left")


def coverage_sentences(assessed: pl.DataFrame) -> list[str]:
    """Compare the empirical coverage of each variant's interval with the nominal coverage; for ``assess``'s interval.

    Each confidence interval of a coverage is pointwise, at the confidence of ``assess``.
    """
    rows = assessed.filter(pl.col("Nominal").is_not_null()).iter_rows(named=True)
    return [_covers(row) for row in rows]


def _covers(row: dict[str, Any]) -> str:
    low, high = row["Coverage_low"], row["Coverage_high"]
    found = "below nominal" if high < row["Nominal"] else "above nominal" if low > row["Nominal"] else ""
    held = f"{100 * row['Coverage']:.1f} % (CI {100 * low:.1f} to {100 * high:.1f} %)"
    return (
        f"Empirical coverage of the nominal {100 * row['Nominal']:g} % interval of {row['variant']}: "
        f"{held}, {found or 'consistent with nominal'}"
    )
