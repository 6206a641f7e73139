"""Read forecasts back: of Stage 1 and of the study below, to set beside a later study."""

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
    found, note = load_neighbour(folder, forecasts)
    if found is None:
        return None, note
    try:
        return score(*found), ""
    except (pl.exceptions.PolarsError, ValueError, TypeError):
        return None, f"{folder}: the forecasts there cannot be scored; run {folder.name} again to compare with them"


def load_neighbour(folder: Path, forecasts: pl.DataFrame) -> tuple[tuple[pl.DataFrame, pl.DataFrame] | None, str]:
    """Read the forecasts and folds of another study's folder, if it forecasts the same samples; else say why not."""
    paths = folder / "forecasts.parquet", folder / "folds.parquet"
    if not all(path.is_file() for path in paths):
        return None, ""
    try:
        found, folds = (pl.read_parquet(path) for path in paths)
        same = found.select(SAME).unique().sort(SAME).equals(forecasts.select(SAME).unique().sort(SAME))
    except pl.exceptions.PolarsError:
        return None, f"{folder}: the forecasts there cannot be read; run {folder.name} again to compare with them"
    if not same:
        return None, f"{folder}: the forecasts there are of other days or tickers; run {folder.name} on these"
    return (found, folds), ""
