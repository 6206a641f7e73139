"""The latent space of a variational autoencoder, and its regimes."""

from nextday.analyses.regimes.analysis import ANALYSIS

__all__ = ["ANALYSIS"]
