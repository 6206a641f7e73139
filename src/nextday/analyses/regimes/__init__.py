"""The latent space, and the regimes that are found in it."""

from nextday.analyses.regimes.analysis import ANALYSIS

__all__ = ["ANALYSIS"]
