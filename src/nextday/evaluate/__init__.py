"""From the forecasts table to scores; no model is imported."""

from nextday.evaluate.metrics import METRICS, score, summarise

__all__ = ["METRICS", "score", "summarise"]
