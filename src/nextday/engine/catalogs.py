"""Everything a study can name: built-in models, features and splits, and those of plugins."""

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
from nextday.study import Study, is_loss

RowLoss = Callable[[np.ndarray, np.ndarray], np.ndarray]  # of actual and predicted, one number a row


@dataclass(frozen=True, slots=True)
class Catalogs:
    """Names and the objects that they stand for.

    Attributes
    ----------
    models, features, splits
        Built-in and from plugins.
    losses
        From plugins only: the built-in losses are part of the verdict.
    origins
        Plugin of each registered object, by ``kind name``, for messages.
    """

    models: Mapping[str, Model] = field(default_factory=lambda: MappingProxyType(MODELS))
    features: Mapping[str, Feature] = field(default_factory=lambda: MappingProxyType(FEATURES))
    splits: Mapping[str, MakeSplits] = field(default_factory=lambda: MappingProxyType(SPLITS))
    losses: Mapping[str, RowLoss] = field(default_factory=lambda: MappingProxyType({}))
    origins: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def where(self, kind: str, name: str) -> str:
        """Return the prefix of a message about a plugin's object: the plugin and a colon; empty for built-in ones."""
        origin = self.origins.get(f"{kind} {name}", "")
        return f"{origin}: " if origin else ""


HOUSE = Catalogs()


def own_losses(study: Study) -> tuple[str, ...]:
    """Return the name of a study's plugin loss; None for a built-in one."""
    return () if is_loss(study.verdict.loss) else (study.verdict.loss,)


def with_losses(forecasts: pl.DataFrame, catalogs: Catalogs, names: Sequence[str]) -> pl.DataFrame:
    """Append plugin losses as columns, so that readers of the table need no plugin code.

    Raises
    ------
    PluginError
        If a loss is not one finite number per row.
    """
    actual, predicted = (forecasts[name].to_numpy() for name in ("actual", "predicted"))
    for name in names:
        values = np.asarray(catalogs.losses[name](actual.copy(), predicted.copy()), dtype=np.float64)
        if values.shape != actual.shape or not np.isfinite(values).all():
            raise PluginError(f"{catalogs.where('loss', name)}loss {name}: expected one finite number per row")
        forecasts = forecasts.with_columns(pl.Series(name, values))
    return forecasts
