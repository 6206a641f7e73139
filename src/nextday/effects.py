"""The effects of an ablation: of groups of features, of representations and lookbacks, and of two groups together."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nextday.ablation import Ablation, DesignName, View, layout, names_of, rows_of
from nextday.designs import DESIGNS, pairs

Named = Mapping[tuple[bool, ...], str]  # of runs, by the groups that they have
INSTEAD = {  # how two representations are compared, in words
    ("digest", "lags"): "digest instead of lags",
    ("both", "lags"): "digest beside lags",
    ("digest", "random"): "digest beyond random ones",
    ("both", "digest"): "lags beside digest",
    ("random", "lags"): "random digest instead of lags",
    ("both", "random"): "lags and digest beyond random ones",
}


@dataclass(frozen=True, slots=True)
class Effect:
    """A weighted sum of the skills of runs.

    Attributes
    ----------
    group, model
        Whose effect it is; of an interaction both groups, joined by ``x``.
    kind
        ``effect``, ``interaction``, or ``alternative``: the effect by another design than the first.
    company
        What the effect is beside, see ``designs.Design``.
    weights
        Variants and their weights.
    """

    group: str
    model: str
    kind: str
    company: str
    weights: tuple[tuple[str, float], ...]


def effects_of(ablation: Ablation) -> list[Effect]:
    """List the effects: those of the first design, then by other designs, then interactions of two groups.

    Those of the first design are of groups, representations and lookbacks, each averaged over the others; random
    digests are there to be compared with, and no other effect is averaged over them.
    """
    every, first, views = layout(ablation), ablation.design[0], _meant(ablation)
    named = dict(zip(map(tuple, every.tolist()), names_of(ablation, every), strict=True))
    found = [effect for name in ablation.design for effect in _effects(ablation, name, views, named)]
    runs = rows_of(ablation, first)
    mean = np.full(len(runs), 1 / len(runs))
    for name, weights in [*_of_representations(ablation), *_of_lookbacks(ablation)]:
        found += _each_model(ablation, name, "effect", "", (runs, mean), weights, named)
    return sorted(found, key=lambda one: one.kind == "alternative") + _interactions(ablation, first, views, named)


def _meant(ablation: Ablation) -> dict[View, float]:
    """Weigh the views that an effect is averaged over: all but random digests, unless there is nothing else."""
    meant = [view for view in ablation.views if view[0] != "random"] or ablation.views
    return dict.fromkeys(meant, 1 / len(meant))


def _of_representations(ablation: Ablation) -> list[tuple[str, dict[View, float]]]:
    """Name the comparisons that join all representations, with the weights of views."""
    found, joined = [], {name: {name} for name in ablation.representation}
    for (one, other), name in INSTEAD.items():
        if one not in joined or other not in joined or other in joined[one]:
            continue
        both = joined[one] | joined[other]
        joined |= dict.fromkeys(both, both)
        found.append((name, _difference(ablation.views, 0, one, other)))
    return found


def _of_lookbacks(ablation: Ablation) -> list[tuple[str, dict[View, float]]]:
    """Name the comparisons of each lookback with the first, with the weights of views."""
    first, views = ablation.lookback[:1], [*_meant(ablation)]
    return [
        (f"{length} instead of {first[0]} sessions", _difference(views, 1, length, first[0]))
        for length in ablation.lookback[1:]
    ]


def _difference(views: list[View], part: int, one: object, other: object) -> dict[View, float]:
    """Weigh views for the mean of those with one value minus that of those with another."""
    signs = {view: (view[part] == one) - (view[part] == other) for view in views}
    return {view: 2 * sign / sum(map(abs, signs.values())) for view, sign in signs.items() if sign}


def _effects(ablation: Ablation, name: DesignName, views: Mapping[View, float], named: Named) -> list[Effect]:
    runs, design = rows_of(ablation, name), DESIGNS[name]
    kind = "effect" if name == ablation.design[0] else "alternative"
    rows = zip(ablation.groups, design.effects(runs), strict=True)
    return [
        effect
        for group, weights in rows
        for effect in _each_model(ablation, group, kind, design.company, (runs, weights), views, named)
    ]


def _interactions(ablation: Ablation, name: DesignName, views: Mapping[View, float], named: Named) -> list[Effect]:
    """Return the interactions of two groups, where the runs are balanced."""
    if name not in ("orthogonal", "full"):
        return []
    groups, runs = list(ablation.groups), rows_of(ablation, name)
    return [
        effect
        for (a, b), weights in pairs(runs).items()
        for both in [f"{groups[a]} x {groups[b]}"]
        for effect in _each_model(ablation, both, "interaction", "", (runs, weights), views, named)
    ]


def _each_model(
    ablation: Ablation, group: str, kind: str, company: str, weighted: tuple[np.ndarray, np.ndarray],
    views: Mapping[View, float], named: Named,
) -> list[Effect]:  # fmt: skip
    """Return an effect for each model, from weighted runs, each with weighted views; equal runs are summed."""
    total: dict[str, float] = {}
    for row, weight in zip(*(one.tolist() for one in weighted), strict=True):
        total[named[tuple(row)]] = total.get(named[tuple(row)], 0.0) + weight
    return [
        Effect(
            group, model, kind, company,
            tuple(
                (ablation.name(model, name, view), weight * share)
                for name, weight in total.items() if weight
                for view, share in views.items()
            ),
        )
        for model in ablation.model
    ]  # fmt: skip
