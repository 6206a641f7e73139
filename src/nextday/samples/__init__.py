"""From features to the samples of a fold: cut in time, windowed, scaled on what the training range shows."""

from nextday.samples.folds import Fold, make_folds
from nextday.samples.scale import Scaler, fit_scaler
from nextday.samples.split import Split, holdout, walk_forward
from nextday.samples.windows import Pool, Samples, Windows

__all__ = [
    "Fold",
    "Pool",
    "Samples",
    "Scaler",
    "Split",
    "Windows",
    "fit_scaler",
    "holdout",
    "make_folds",
    "walk_forward",
]
