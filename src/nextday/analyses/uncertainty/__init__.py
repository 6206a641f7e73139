"""How far quantile forecasts can be trusted."""

from nextday.analyses.uncertainty.analysis import ANALYSIS

__all__ = ["ANALYSIS"]
