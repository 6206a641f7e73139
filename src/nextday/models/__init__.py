"""Models: from samples to forecasts."""

from nextday.models.base import Device, Fitted, Forecaster, Key, resolve_device
from nextday.models.catalog import MODELS, make_model

__all__ = ["MODELS", "Device", "Fitted", "Forecaster", "Key", "make_model", "resolve_device"]
