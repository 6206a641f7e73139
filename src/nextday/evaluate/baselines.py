"""Read forecasts back: of Stage 1 and of the rung below, to set beside a later study, and those made elsewhere."""

import json
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from nextday.errors import VerdictError, first_line
from nextday.evaluate.contrasts import Comparison, compare
from nextday.evaluate.losses import measure
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


def compare_rungs(
    folder: Path, forecasts: pl.DataFrame, variants: Mapping[str, str], *, loss: str, alpha: float
) -> tuple[Comparison | None, str]:
    """Compare each variant with those of another study that read the same feature set, on identical samples.

    Parameters
    ----------
    folder
        The other study's results.
    forecasts
        The forecasts of this one.
    variants
        Feature set of each variant of this study.
    loss, alpha
        As in ``compare``.

    Returns
    -------
    comparison
        One contrast per match, or None where there is nothing to compare.
    note
        Why not, or an empty text.
    """
    found, note = load_neighbour(folder, forecasts)
    if found is None:
        return None, note
    try:
        others = json.loads((folder / "manifest.json").read_text("utf-8"))["study"]["variants"]
        features = {str(name): str(variant["features"]) for name, variant in others.items() if name not in variants}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None, f"{folder}: its manifest cannot be read; run {folder.name} again to compare with it"
    present = set(found[0]["variant"].unique())
    matches = {
        name: other
        for name, own in variants.items()
        for other, theirs in features.items()
        if own == theirs and other in present
    }
    if not matches:
        return None, f"{folder}: no variant there reads a feature set of this study"
    both = pl.concat([forecasts, found[0].select(forecasts.columns).filter(pl.col("variant").is_in(matches.values()))])
    return compare(measure(both, loss=loss, folds=found[1]), alpha=alpha, matches=matches.items()), ""


def load_forecasts(path: Path) -> pl.LazyFrame:
    """Open a forecasts table made anywhere, Parquet or CSV; names stay text, seeds may be text.

    Raises
    ------
    VerdictError
        If the file cannot be read as a table.
    """
    try:
        if path.suffix.lower() == ".csv":
            names = {"ticker": pl.String, "variant": pl.String}
            table = pl.scan_csv(path, schema_overrides=names, try_parse_dates=True)
        else:
            table = pl.scan_parquet(path, hive_partitioning=False)
        columns = table.collect_schema()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise VerdictError(f"{path} cannot be read as a forecasts table: {first_line(error)}") from None
    return table.cast({name: pl.Float64 for name in ("actual", "predicted") if name in columns}, strict=False)
