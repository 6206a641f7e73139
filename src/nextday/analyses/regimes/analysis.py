"""The latent space in a study's folder and report: latent vectors, training, and regimes."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import polars as pl

from nextday.analyses.base import Analysis, Done, Finished, Shown, Tables, settings_of
from nextday.analyses.regimes.clusters import find_regimes
from nextday.analyses.regimes.figures import profile, ribbons
from nextday.analyses.regimes.latent_map import latent_map, training
from nextday.engine.collect import by_fold
from nextday.engine.plan import Unit
from nextday.evaluate import load_neighbour
from nextday.reporting.plates import Plate
from nextday.samples import Fold
from nextday.settings import Names, Settings
from nextday.storage.tables import KEYS, SAMPLE, Schema

NAME = "regimes"
TABLES: dict[str, Schema] = {
    "latents": KEYS | {"part": pl.String} | SAMPLE | {"z": pl.List(pl.Float64)},
    "profile": {"ticker": pl.String, "origin": pl.Date, "feature": pl.String, "value": pl.Float64},
    "loss_parts": KEYS | {"epoch": pl.Int64, "reconstruction": pl.Float64, "kl": pl.Float64, "best": pl.Boolean},
}


class Asked(Settings):
    """Settings: the studies whose losses are compared by regime."""

    studies: Names = ()


def keep(done: Done) -> Tables:
    """Return the latent vectors of a unit's windows, and the parts of its loss by epoch."""
    latent, parts = (done.fitted.extras.get(name) for name in ("latent", "parts"))
    found = {}
    if latent is not None:
        found["latents"] = pl.concat(_places(done, latent))
        if done.unit == _first(done):
            found["profile"] = pl.concat([_profile(done, fold) for fold in done.folds])
    if parts is not None:
        rows = pl.DataFrame({"epoch": np.arange(1, len(parts) + 1), "reconstruction": parts[:, 0], "kl": parts[:, 1]})
        found["loss_parts"] = rows.with_columns(best=pl.col("epoch") == done.fitted.best_epoch)
    return found


def _first(done: Done) -> Unit:
    """Return the first unit of the variant: features are described once, by its fold."""
    return next(one for one in done.plan.units if one.variant == done.unit.variant)


def _places(done: Done, latent: np.ndarray) -> Iterator[pl.DataFrame]:
    """Split latent positions, of train, then valid, then test of all tickers, by ticker and part."""
    start = 0
    for part in ("train", "valid", "test"):
        count = sum(len(fold.y[getattr(fold.split, part)]) for fold in done.folds)
        (values,) = by_fold(done.folds, part, latent[start : start + count])
        start += count
        for fold, z in zip(done.folds, values, strict=True):
            rows = pl.DataFrame(fold.truth(done.dates, getattr(fold.split, part)))
            places = pl.Series(list(z), dtype=pl.List(pl.Float64))
            yield rows.with_columns(ticker=pl.lit(fold.ticker), part=pl.lit(part), z=places)


def _profile(done: Done, fold: Fold) -> pl.DataFrame:
    """Return the features of a variant at every origin of a ticker, in deviations of its training range."""
    names = done.plan.feature_sets[done.plan.study.variants[done.unit.variant].features]
    values = done.plan.features.of(fold.ticker, names)[fold.at].astype(np.float64)
    train = values[fold.split.train]
    values = (values - train.mean(axis=0)) / np.where(train.std(axis=0) > 0, train.std(axis=0), 1)
    columns = {"ticker": fold.ticker, "origin": np.repeat(done.dates[fold.at], len(names))}
    return pl.DataFrame(columns | {"feature": list(names) * len(values), "value": values.ravel()})


def show(finished: Finished) -> Shown:
    """Cluster the latent space, if a study has one, and draw the regimes."""
    latents, learned = finished.tables["latents"], finished.tables["loss_parts"]
    if latents.is_empty():
        return Shown()
    asked = settings_of(finished.study, NAME, Asked)
    others, lookback = _losses(finished, asked.studies), finished.study.lookback
    found = find_regimes(latents, finished.tables["profile"], others, lookback=lookback)
    plates = [
        Plate("latent_map", "Latent space", partial(latent_map, latents, found), latents),
        Plate("regimes", "Regimes through time", partial(ribbons, found), found.labels),
        Plate("profile", "Characteristics of the regimes", partial(profile, found), found.differences),
    ]
    if not learned.is_empty():  # a folder of before these were a table of their own
        plates.append(Plate("training", "Reconstruction and divergence by epoch", partial(training, learned), learned))
    return Shown(plates=tuple(plates))


def _losses(finished: Finished, studies: Sequence[str]) -> pl.DataFrame | None:
    """Read the forecasts of other studies of the same samples, where they are."""
    found = [load_neighbour(finished.folder.parent / name, finished.tables["forecasts"])[0] for name in studies]
    known = [pair[0] for pair in found if pair is not None]
    return pl.concat(known, how="diagonal_relaxed") if known else None


ANALYSIS = Analysis(NAME, TABLES, Asked, keep=keep, show=show)
