"""The leaderboard: one row per variant of all stages, ranked by skill against the zero forecast."""

from collections.abc import Mapping

import polars as pl

from nextday.evaluate.confidence_set import model_confidence_set
from nextday.evaluate.inference import may_be_best
from nextday.evaluate.metrics import score, summarise
from nextday.evaluate.quantiles import has_quantiles, levels_of
from nextday.evaluate.signals import any_signal
from nextday.ladder.stages import Stage
from nextday.ladder.table import Ladder, subset

POINT = ("MAE", "RMSE", "DirAcc", "R2Zero")
QUANTILE = ("Pinball", "CRPS", "Nominal", "Coverage", "Width")


def rank(ladder: Ladder) -> tuple[pl.DataFrame, float]:
    """Rank the variants of all stages by skill.

    Returns
    -------
    leaderboard
        One row per variant, highest skill first: the columns of ``Ladder.entries``; ``rank``; ``seeds``, their number,
        0 for a deterministic model; ``POINT``, means over tickers, then seeds; ``skill`` with ``low`` and ``high``,
        simultaneous over all variants, and ``identical``, to the zero forecast; ``may_be_best``, whether no other
        variant is significantly better (Hsu's comparisons with the best); ``confidence_set``, the p-value with which it
        leaves the model confidence set; ``clark_west``, the p-value of any signal; ``levels``, those of its quantiles,
        and ``QUANTILE``, missing without; pinball losses and CRPS are comparable where the levels are the same;
        ``seconds_per_unit``; ``days``.
    zero
        p-value with which the zero forecast leaves the model confidence set.

    Notes
    -----
    The model confidence set ignores seed variance: it excludes a network of skill -15 % whose interval, with seed
    variance, reaches +15 %. It is therefore supplementary; candidates for best come from Hsu's comparisons.
    """
    comparison, losses = ladder.comparison, ladder.comparison.losses
    skills = pl.DataFrame([
        {"variant": one.first, "skill": one.estimate, "low": one.low, "high": one.high, "identical": one.identical}
        for one in comparison.against_benchmark
    ])  # fmt: skip
    best = may_be_best(subset(losses, _originals(ladder)), alpha=comparison.alpha)
    remaining = model_confidence_set(losses, block=comparison.block)
    signals = any_signal(ladder.forecasts, losses.variants, block=comparison.block)
    tests = pl.DataFrame({
        "variant": losses.variants,
        "seeds": [len(seeds) for seeds in losses.seeds],
        "confidence_set": [remaining[name] for name in losses.variants],
        "clark_west": [signals[name][1] for name in losses.variants],
    })  # fmt: skip
    metrics = pl.concat([_metrics(stage) for stage in ladder.stages], how="diagonal_relaxed")
    board = ladder.entries
    for table in (metrics, skills, tests):
        board = board.join(table, on="variant", how="left", maintain_order="left")
    board = board.with_columns(
        pl.when("identical").then(0.0).otherwise(pl.col("skill", "low", "high")).name.keep(),
        may_be_best=pl.coalesce("copy_of", "variant").is_in([name for name, may in best.items() if may]),
        seconds_per_unit=pl.col("seconds") / pl.col("units"),
        days=len(losses.dates),
        stage=pl.col("stage").cast(pl.Enum([stage.name for stage in ladder.stages])),  # sorts as the ladder does
    )
    return board.sort("skill", descending=True, maintain_order=True).with_row_index("rank", 1), remaining[
        losses.benchmark
    ]


def _originals(ladder: Ladder) -> list[str]:
    """Leave out calibrated copies, whose point forecasts are those of their originals."""
    return ladder.entries.filter(pl.col("copy_of").is_null())["variant"].to_list()


def _metrics(stage: Stage) -> pl.DataFrame:
    """Average the scores of a stage's variants, and say the levels of those with quantiles."""
    scores = score(stage.forecasts, stage.folds, interval=stage.study.interval)
    found = summarise(scores, by=["variant"])
    probabilistic = has_quantiles(stage.forecasts)
    columns = [*POINT, *(QUANTILE if probabilistic else ())]
    levels = " ".join(f"{level:g}" for level in levels_of(stage.forecasts))
    known = pl.when(pl.col("Pinball").is_not_null()).then(pl.lit(levels)) if probabilistic else pl.lit(None, pl.String)
    lacking: Mapping[str, pl.Expr] = {} if probabilistic else {name: pl.lit(None, pl.Float64) for name in QUANTILE}
    return found.select("variant", *columns, levels=known, **lacking)
