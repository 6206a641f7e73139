"""Evaluation of quantile forecasts."""

from nextday.analyses.uncertainty.analysis import ANALYSIS

__all__ = ["ANALYSIS"]
