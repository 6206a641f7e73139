"""The tables of a study and their columns: what ``collect`` and ``collect_probes`` write, and what a report reads."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from polars import selectors as cs

Schema = Mapping[str, Any]  # of the columns of a table: name and Polars type
NEEDED = ("forecasts", "folds")  # a study that forecasts nothing is none
OPTIONAL = cs.matches(r"^(q\d.*|seed|reconstruction|kl)$")  # columns whose values may be missing

KEYS = {"variant": pl.String, "ticker": pl.String, "fold": pl.Int64, "seed": pl.Int64}  # a unit's, first of its rows
SAMPLE = {"origin": pl.Date, "date": pl.Date, "actual": pl.Float64}

FORECASTS = KEYS | SAMPLE | {"predicted": pl.Float64, "contaminated": pl.Boolean}
HISTORY = KEYS | {
    "epoch": pl.Int64, "train_loss": pl.Float64, "valid_loss": pl.Float64, "best": pl.Boolean,
    "reconstruction": pl.Float64, "kl": pl.Float64,
}  # fmt: skip
RANGES = {f"{part}_{end}": pl.Date for part in ("train", "valid", "test") for end in ("from", "to")}
FOLDS = {
    "ticker": pl.String, "fold": pl.Int64, **RANGES, "train": pl.Int64, "valid": pl.Int64, "test": pl.Int64,
    "historical_mean": pl.Float64, "train_variance": pl.Float64, "train_deviation": pl.Float64,
}  # fmt: skip
ATTENTION = KEYS | {
    "trained": pl.Boolean, "layer": pl.Int64, "head": pl.Int64, "lag": pl.Int64, "weight": pl.Float64,
}  # fmt: skip
SWEEP = KEYS | {"context": pl.Int64, "valid_loss": pl.Float64, "chosen": pl.Boolean}
LATENTS = KEYS | {"part": pl.String} | SAMPLE | {"z": pl.List(pl.Float64)}
PROFILE = {"ticker": pl.String, "origin": pl.Date, "feature": pl.String, "value": pl.Float64}

PROBES = KEYS | {
    "layer": pl.Int64, "source": pl.String, "feature": pl.String, "given": pl.Boolean, "r2": pl.Float64,
}  # fmt: skip
PROBE_DAYS = {
    "variant": pl.String, "source": pl.String, "feature": pl.String, "seed": pl.Int64, "date": pl.Date,
    "r2": pl.Float64,
}  # fmt: skip
CKA = {
    "ticker": pl.String, "fold": pl.Int64, "first": pl.String, "first_seed": pl.Int64, "second": pl.String,
    "second_seed": pl.Int64, "source": pl.String, "cka": pl.Float64,
}  # fmt: skip
PROBE_TABLES = {"probes": PROBES, "probe_days": PROBE_DAYS, "cka": CKA}


def schemas(levels: Sequence[float], losses: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """Give the tables of a study and their columns; forecasts have one more per level, ``q`` and the level.

    ``losses`` are columns of the forecasts with a loss per row, of plugins.
    """
    forecasts = FORECASTS | {f"q{level}": pl.Float64 for level in levels}
    valid = {name: kind for name, kind in forecasts.items() if name not in ("predicted", "contaminated")}
    forecasts |= dict.fromkeys(losses, pl.Float64)
    return {
        "forecasts": forecasts, "valid": valid, "history": HISTORY, "folds": FOLDS, "attention": ATTENTION,
        "sweep": SWEEP, "latents": LATENTS, "profile": PROFILE, **PROBE_TABLES,
    }  # fmt: skip
