"""Analyses that supplement the verdict, each in its own package behind one record."""

from nextday.analyses import across, attention, contexts, effects, probing, regimes, uncertainty
from nextday.analyses.base import Analysis

ANALYSES: tuple[Analysis, ...] = (
    effects.ANALYSIS, attention.ANALYSIS, contexts.ANALYSIS, uncertainty.ANALYSIS, regimes.ANALYSIS,
    probing.ANALYSIS, across.ANALYSIS,
)  # fmt: skip  # in the order in which a report shows them
