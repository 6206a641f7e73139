"""Plugins: custom models, features, losses and splits, without a fork."""

from nextday.plugins.load import catalogs_of, load_function, load_plugins
from nextday.plugins.marks import estimator, feature, loss, model, split

__all__ = ["catalogs_of", "estimator", "feature", "load_function", "load_plugins", "loss", "model", "split"]
