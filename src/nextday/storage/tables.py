"""The tables of every study, and their columns; tables of an analysis are declared in its package."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl
from polars import selectors as cs

from nextday.errors import MissingError, first_line

if TYPE_CHECKING:
    import pandas as pd

Schema = Mapping[str, Any]  # of the columns of a table: name and Polars type
NEEDED = ("forecasts", "folds")  # a study that forecasts nothing is none
OPTIONAL = cs.matches(r"^(q\d.*|seed)$")  # columns whose values may be missing

KEYS = {"variant": pl.String, "ticker": pl.String, "fold": pl.Int64, "seed": pl.Int64}  # a unit's, first of its rows
SAMPLE = {"origin": pl.Date, "date": pl.Date, "actual": pl.Float64}

FORECASTS = KEYS | SAMPLE | {"predicted": pl.Float64, "contaminated": pl.Boolean}
HISTORY = KEYS | {"epoch": pl.Int64, "train_loss": pl.Float64, "valid_loss": pl.Float64, "best": pl.Boolean}
RANGES = {f"{part}_{end}": pl.Date for part in ("train", "valid", "test") for end in ("from", "to")}
FOLDS = {
    "ticker": pl.String, "fold": pl.Int64, **RANGES, "train": pl.Int64, "valid": pl.Int64, "test": pl.Int64,
    "historical_mean": pl.Float64, "train_variance": pl.Float64, "train_deviation": pl.Float64,
}  # fmt: skip


def schemas(levels: Sequence[float], losses: Sequence[str] = (), *, realised: bool = False) -> dict[str, Schema]:
    """Return the tables of a study and their columns; forecasts have one more column per level, ``q`` and the level.

    ``losses`` are columns of the forecasts with plugin losses per row. Where the target compares the returns of a day,
    these are ``realised``, in a column of their own.
    """
    own = {"realised_return": pl.Float64} if realised else {}
    forecasts = FORECASTS | own | {f"q{level}": pl.Float64 for level in levels}
    valid = {name: kind for name, kind in forecasts.items() if name not in ("predicted", "contaminated")}
    forecasts |= dict.fromkeys(losses, pl.Float64)
    return {"forecasts": forecasts, "valid": valid, "history": HISTORY, "folds": FOLDS}


def to_pandas(frame: pl.DataFrame) -> "pd.DataFrame":
    """Return a frame as one of pandas; dates become time stamps.

    Raises
    ------
    MissingError
        If pandas or pyarrow is not installed.
    """
    try:
        return frame.to_pandas()
    except ModuleNotFoundError as error:
        raise MissingError(f"{first_line(error)}; install both: pip install pandas pyarrow") from None
