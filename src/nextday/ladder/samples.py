"""Find the stages with the same samples: only those can be compared."""

from collections.abc import Sequence

import polars as pl

from nextday.errors import VerdictError
from nextday.ladder.stages import Stage

AGAIN = "run {} again with the same --data, --tickers and split"


def agreeing(stages: Sequence[Stage]) -> tuple[list[Stage], list[str]]:
    """Keep the largest group of stages with the same samples; of equal groups the earliest.

    Returns
    -------
    kept
        At least two stages, in order.
    notes
        The other stages, each with the difference.

    Raises
    ------
    VerdictError
        If no two stages agree; with the counts of the first two that differ.
    """
    groups: list[list[Stage]] = []
    for stage in stages:
        if difference(stage, stage):
            continue  # its own variants disagree, so nothing can be held against it
        group = next((one for one in groups if not difference(one[0], stage)), None)
        if group is None:
            groups.append([stage])
        else:
            group.append(stage)
    kept = max(groups, key=len, default=[])
    if len(kept) < 2:
        other, why = next((one, why) for one in stages if (why := difference(stages[0], one)))
        raise VerdictError(
            f"stages have different {why}; {AGAIN.format(other.name)} (nextday run all does), or move its folder "
            "away to compare without it"
        )
    others = [(one.name, difference(kept[0], one)) for one in stages if one not in kept]
    return kept, [f"{name} is not compared: it has other {why}; {AGAIN.format(name)}" for name, why in others]


def difference(first: Stage, stage: Stage) -> str:
    """Describe how the samples of a stage differ from those of another's first variant; empty if they do not.

    Every variant and seed is checked: the same pairs of ticker and origin, the same actual values.
    """
    name, seed = first.forecasts.select("variant", "seed").row(0)
    own = first.forecasts.filter((pl.col("variant") == name) & pl.col("seed").eq_missing(seed))
    reference = own.select("ticker", "origin", known="actual")
    joined = stage.forecasts.join(reference, on=["ticker", "origin"], how="left", maintain_order="left")
    moved = pl.col("known").is_not_null() & (pl.col("known") != pl.col("actual"))
    counts = joined.group_by("variant", "seed", maintain_order=True).agg(
        pl.len(), shared=pl.col("known").count(), moved=moved.sum()
    )
    other = counts.filter((pl.col("shared") != len(reference)) | (pl.col("len") != len(reference)))
    if len(other):
        label, its_seed, count, shared, _ = other.row(0)
        label += "" if its_seed is None else f" seed {its_seed}"
        return (
            f"samples: {name} in {first.folder.path} has {len(reference)} (ticker, origin) pairs, {label} in "
            f"{stage.folder.path} has {count}, {shared} are in both"
        )
    where = f"between {first.folder.path} and {stage.folder.path}"
    return _first_moved(joined.filter(moved), max(counts["moved"].to_list()), f"of {len(reference)}", where)


def _first_moved(changed: pl.DataFrame, most: int, of_all: str, where: str) -> str:
    """Count the actual values that differ, and name the first; empty if none does."""
    if changed.is_empty():
        return ""
    row = changed.row(0, named=True)
    first = f"{row['ticker']} at {row['origin']} is {row['known']} and {row['actual']}"
    return f"bars: {most} {of_all} actual values differ {where}; first: {first}"
