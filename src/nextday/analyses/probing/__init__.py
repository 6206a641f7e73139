"""Probes of the hidden states of networks."""

from nextday.analyses.probing.analysis import ANALYSIS

__all__ = ["ANALYSIS"]
