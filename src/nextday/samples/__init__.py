"""From features to the samples of a fold: split in time, windowed, scaled on the training set."""

from nextday.samples.folds import Fold, make_folds
from nextday.samples.representation import represent
from nextday.samples.scale import Scaler, fit_scaler
from nextday.samples.split import SPLITS, MakeSplits, Split, holdout, make_splits, purged, rolling, walk_forward
from nextday.samples.windows import Pool, Samples, Windows

__all__ = [
    "SPLITS", "Fold", "MakeSplits", "Pool", "Samples", "Scaler", "Split", "Windows",
    "fit_scaler", "holdout", "make_folds", "make_splits", "purged", "represent", "rolling", "walk_forward",
]  # fmt: skip
