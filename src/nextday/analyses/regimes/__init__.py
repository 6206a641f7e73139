"""The latent space, and the regimes that are found in it."""
