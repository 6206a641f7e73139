"""Everything that turns samples into forecasts."""

from nextday.models.base import Fitted, Forecaster, Key
from nextday.models.catalog import MODELS, make_model
from nextday.models.networks import Device, Precision, resolve_device

__all__ = ["MODELS", "Device", "Fitted", "Forecaster", "Key", "Precision", "make_model", "resolve_device"]
