"""From the forecasts table to scores; no model is imported."""

from nextday.evaluate.baselines import load_baselines
from nextday.evaluate.metrics import METRICS, score, summarise

__all__ = ["METRICS", "load_baselines", "score", "summarise"]
