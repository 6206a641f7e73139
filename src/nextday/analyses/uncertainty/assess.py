"""How far quantile forecasts can be trusted, one row per variant: scores, coverage with its error, tests."""

from typing import Any

import polars as pl

from nextday.evaluate.calibration import pit_bins, value_at_risk
from nextday.evaluate.quantiles import coverage_intervals, has_quantiles, levels_of

TESTS = ("kupiec", "independence")


def assess(forecasts: pl.DataFrame, scores: pl.DataFrame, *, alpha: float = 0.05) -> pl.DataFrame:
    """Gather what a risk manager asks of every variant with quantiles; no rows where there is none.

    Parameters
    ----------
    forecasts
        The forecasts table.
    scores
        Its scores, as ``score`` gives them.
    alpha
        Error rate of the intervals and of the single tests.

    Returns
    -------
    One row per variant: ``variant``; ``Pinball, CRPS, IntervalScore, Width``, means over tickers and seeds; ``Nominal``
    and ``Coverage`` with ``_low`` and ``_high``, of the interval that ``scores`` hold; ``Level``, the lowest,
    ``Fallen``, the share of days below that quantile, and of ``Tests``, one per ticker, fold and seed, how many reject
    (``kupiec``: the wrong share; ``independence``: they cluster); ``PIT``, the p-value of uniformity.
    Intervals are missing where no two levels mirror each other, tests where no level is below one half.
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
    """Say of each variant whether its interval covers the share of days that it should; for the interval of ``assess``.

    Each interval of a coverage stands alone, at the confidence of ``assess``.
    """
    rows = assessed.filter(pl.col("Nominal").is_not_null()).iter_rows(named=True)
    return [_covers(row) for row in rows]


def _covers(row: dict[str, Any]) -> str:
    low, high = row["Coverage_low"], row["Coverage_high"]
    word = "too few" if high < row["Nominal"] else "too many" if low > row["Nominal"] else "as it should"
    interval = f"({100 * low:.1f} to {100 * high:.1f} %)"
    return (
        f"The {100 * row['Nominal']:g} % interval of {row['variant']} covers {100 * row['Coverage']:.1f} % of days "
        f"{interval}: {word}"
    )
