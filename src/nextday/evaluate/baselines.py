"""Read forecasts back: the baselines of Stage 1, to set beside a later study, and forecasts made elsewhere."""

from pathlib import Path

import polars as pl

from nextday.errors import VerdictError
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
        return None, f"{folder}: the baselines there are of other days or tickers; run stage1 on these to compare"
    return score(found, folds), ""


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
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise VerdictError(f"{path} cannot be read as a forecasts table: {why}") from None
    return table.cast({name: pl.Float64 for name in ("actual", "predicted") if name in columns}, strict=False)
