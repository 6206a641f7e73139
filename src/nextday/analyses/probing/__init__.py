"""What the states of networks hold."""

from nextday.analyses.probing.analysis import ANALYSIS

__all__ = ["ANALYSIS"]
