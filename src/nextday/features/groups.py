"""Groups of features on the training set: columns that carry nothing of their own, and what groups have in common."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np

from nextday.errors import StudyError
from nextday.features.compute import Features

Rows = Iterable[tuple[str, np.ndarray]]  # a ticker, and the dates of its training set


def refuse_useless(groups: Mapping[str, Sequence[str]], features: Features, rows: Rows) -> None:
    """Refuse groups with a feature that is constant on every training set, or equals another one.

    Raises
    ------
    StudyError
        With the feature and its group.
    """
    names = [name for group in groups.values() for name in group]
    if not names:
        return
    owner = {name: group for group, members in groups.items() for name in members}
    parts = [features.of(ticker, tuple(names))[days] for ticker, days in rows]
    still = np.all([part.min(axis=0) == part.max(axis=0) for part in parts], axis=0)
    for name in np.array(names)[still]:
        raise StudyError(
            f"ablation.groups.{owner[name]}: {name} is constant on the training set and cannot help; leave it out"
        )
    values = np.concatenate(parts)
    print_of = [values[:, at].tobytes() for at in range(len(names))]
    for a, b in combinations(range(len(names)), 2):
        if print_of[a] == print_of[b]:
            raise StudyError(
                f"ablation.groups: {names[a]} (group {owner[names[a]]}) and {names[b]} (group {owner[names[b]]}) are "
                "equal on the training set; leave one out"
            )


def overlaps(groups: Mapping[str, Sequence[str]], features: Features, rows: Rows) -> list[tuple[str, str, float]]:
    """Compute how much of each group another one carries: group, other, share.

    The share is that of the variance of the group's features which a linear regression on the other's explains, the
    mean over features, from correlations within tickers on the training set.
    """
    names = tuple(name for group in groups.values() for name in group)
    correlations = np.mean([_correlation(features.of(ticker, names)[days]) for ticker, days in rows], axis=0)
    place = {name: at for at, name in enumerate(names)}
    at = {group: [place[name] for name in members] for group, members in groups.items()}
    found = []
    for group, other in combinations(groups, 2):
        for one, two in ((group, other), (other, group)):
            across = correlations[np.ix_(at[one], at[two])]
            explained = across @ np.linalg.pinv(correlations[np.ix_(at[two], at[two])], rcond=1e-6) @ across.T
            found.append((one, two, float(np.clip(np.diag(explained).mean(), 0, 1))))
    return found


def _correlation(values: np.ndarray) -> np.ndarray:
    """Correlations of columns, [date, feature]; 0 of those that are constant."""
    centred = values.astype(float) - values.mean(axis=0)
    size = np.sqrt((centred**2).sum(axis=0))
    scaled = centred / np.where(size > 0, size, 1)
    return scaled.T @ scaled + np.diag(np.where(size > 0, 0.0, 1.0))
