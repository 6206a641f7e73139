"""Named features of a panel, none of which uses data after its own date."""

from nextday.features.catalog import FEATURES, Feature, FeatureSet
from nextday.features.compute import Features, compute_features
from nextday.features.sets import FEATURE_SETS, REFUSED, SETS, find_feature, groups_of, resolve_sets

__all__ = [
    "FEATURES", "FEATURE_SETS", "REFUSED", "SETS", "Feature", "FeatureSet", "Features", "compute_features",
    "find_feature", "groups_of", "resolve_sets",
]  # fmt: skip
