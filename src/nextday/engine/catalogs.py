"""What a study can name: the house's own models, features and splits, and what guests bring."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import polars as pl

from nextday.errors import PluginError
from nextday.features import FEATURES, Feature
from nextday.models import MODELS
from nextday.models.catalog import Model
from nextday.samples import SPLITS, MakeSplits
from nextday.study import LOSSES, Study

RowLoss = Callable[[np.ndarray, np.ndarray], np.ndarray]  # of actual and predicted, one number a row


@dataclass(frozen=True, slots=True)
class Catalogs:
    """Names, and what they stand for.

    Attributes
    ----------
    models, features, splits
        Of the house and of guests.
    losses
        Of guests alone: those of the house are the verdict's own.
    origins
        By ``kind name`` the plugin that each guest came with, for messages.
    """

    models: Mapping[str, Model] = field(default_factory=lambda: MappingProxyType(MODELS))
    features: Mapping[str, Feature] = field(default_factory=lambda: MappingProxyType(FEATURES))
    splits: Mapping[str, MakeSplits] = field(default_factory=lambda: MappingProxyType(SPLITS))
    losses: Mapping[str, RowLoss] = field(default_factory=lambda: MappingProxyType({}))
    origins: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def where(self, kind: str, name: str) -> str:
        """Begin a message about a guest: its plugin and a colon; nothing for what is of the house."""
        origin = self.origins.get(f"{kind} {name}", "")
        return f"{origin}: " if origin else ""


HOUSE = Catalogs()


def own_losses(study: Study) -> tuple[str, ...]:
    """Name the loss of a study that is of a plugin; none where it is one of the house."""
    return () if study.verdict.loss in LOSSES else (study.verdict.loss,)


def with_losses(forecasts: pl.DataFrame, catalogs: Catalogs, names: Sequence[str]) -> pl.DataFrame:
    """Append the losses of plugins, a column each: who reads the table needs no code of theirs.

    Raises
    ------
    PluginError
        If a loss is not one finite number a row.
    """
    actual, predicted = (forecasts[name].to_numpy() for name in ("actual", "predicted"))
    for name in names:
        values = np.asarray(catalogs.losses[name](actual.copy(), predicted.copy()), dtype=np.float64)
        if values.shape != actual.shape or not np.isfinite(values).all():
            raise PluginError(f"{catalogs.where('loss', name)}loss {name}: expected one finite number a row")
        forecasts = forecasts.with_columns(pl.Series(name, values))
    return forecasts
