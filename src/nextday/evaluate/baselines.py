"""Read the baselines of Stage 1 back, to set beside a later study."""

from pathlib import Path

import polars as pl

from nextday.evaluate.metrics import score

SAME = ("ticker", "origin", "date", "actual")


def load_baselines(folder: Path, forecasts: pl.DataFrame) -> tuple[pl.DataFrame | None, str]:
    """Score the baselines found in a results folder, if they forecast what ``forecasts`` does.

    Returns
    -------
    scores
        As ``score`` gives them, or None where there are no results or they are of other samples.
    note
        Why there is nothing to compare, or an empty text.
    """
    paths = folder / "forecasts.parquet", folder / "folds.parquet"
    if not all(path.is_file() for path in paths):
        return None, ""
    try:
        found, folds = (pl.read_parquet(path) for path in paths)
        same = found.select(SAME).unique().sort(SAME).equals(forecasts.select(SAME).unique().sort(SAME))
    except pl.exceptions.PolarsError:
        return None, f"{folder}: the baselines there cannot be read; run stage1 again to compare with them"
    if not same:
        return (
            None,
            f"{folder}: the baselines there are of other days or tickers; run stage1 on these bars to compare",
        )
    return score(found, folds), ""
