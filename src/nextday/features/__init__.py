"""Named features of a panel, none of which uses data after its own date."""

from nextday.features.catalog import FEATURE_SETS, FEATURES, Feature
from nextday.features.compute import Features, check_causality, compute_features, resolve_sets

__all__ = ["FEATURES", "FEATURE_SETS", "Feature", "Features", "check_causality", "compute_features", "resolve_sets"]
