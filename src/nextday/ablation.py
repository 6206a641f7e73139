"""The ablation of a study: groups of features, and the runs that its designs lay out."""

from collections.abc import Mapping
from itertools import product
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, field_validator, model_validator

from nextday.designs import DESIGNS, MOST_GROUPS, orthogonal
from nextday.settings import Names, Settings, each_once, split_at_commas
from nextday.words import plural

DesignName = Literal["orthogonal", "full", "leave_one_out", "add_one_in"]
Designs = Annotated[tuple[DesignName, ...], BeforeValidator(split_at_commas), AfterValidator(each_once)]
Representation = Literal["lags", "digest", "both", "random"]
Representations = Annotated[tuple[Representation, ...], BeforeValidator(split_at_commas), AfterValidator(each_once)]
Lookbacks = Annotated[tuple[int, ...], BeforeValidator(split_at_commas), AfterValidator(each_once)]
SEEDS = (42, 43)  # seed variance is known from all runs together, so two seeds suffice
MOST_RUNS = 400  # of all models
ALL = "all groups"
DEFAULTS: dict[str, Any] = {"representation": "lags", "lookback": 0}  # of a variant
SET_GROUPS = {  # of built-in feature sets that have several
    "ohlcv": ("returns", "range", "volume"), "engineered": ("returns", "volatility", "volume", "market"),
    "lags": ("returns", "volatility", "volume", "market"), "gkx_price": ("momentum", "risk", "liquidity"),
    "alpha360": ("close", "open", "high", "low", "volume"),
    "alpha158": ("kbar", "trend", "position", "correlation", "volume"), "alpha101": ("across", "alone"),
    "talib": ("momentum", "volatility", "volume"),
}  # fmt: skip


class Ablation(Settings):
    """Which groups of features help: every run adds some of them to the base, as the design lays out.

    ``orthogonal`` has each group in half of the runs (Plackett-Burman with foldover); its effect is the mean skill with
    the group minus that without, so averaged over the company of other groups. ``full`` has all subsets, for Shapley
    values. ``leave_one_out`` compares all groups with all but one, ``add_one_in`` the base with one group beside it.

    Every run is fitted with every ``representation`` and every ``lookback``; how much each of them is worth is asked,
    too, and the effect of a group is averaged over them.
    """

    model: Names = Field(("lstm",), min_length=1)  # one or several models of ``nextday list``
    options: dict[str, dict[str, Any]] = Field({})  # settings of the models, by model
    base: str = "raw"  # the feature set that every run has
    # features or feature sets, by name of the group; a feature set or a list of them stands for its groups
    groups: dict[str, tuple[str, ...]] = Field(min_length=1)
    # the first answers the question, the others are supplementary
    design: Designs = Field(("orthogonal",), min_length=1)
    runs: int | None = Field(None, ge=4)  # of the orthogonal design, at least; more of them narrow the intervals
    # what models read of a window: lags, its rows; digest, means and deviations of them; both; or a random digest
    representation: Representations = Field(("lags",), min_length=1)
    lookback: Lookbacks = ()  # sessions in the window; several are compared; that of the study unless given
    confirm: bool = False  # fit the groups that help, and the others, again on fresh seeds

    @field_validator("groups", mode="before")
    @classmethod
    def _of_sets(cls, value: object) -> object:
        named = split_at_commas(value)
        if not isinstance(named, list | tuple):
            return named
        several = len(named) > 1
        found: dict[str, tuple[str, ...]] = {}
        for name in named:
            groups = SET_GROUPS.get(name, ())
            found |= {f"{name}:{group}" if several else group: (f"{name}:{group}",) for group in groups}
            found |= {} if groups else {name: (name,)}
        return found

    @model_validator(mode="after")
    def _groups_are_apart(self) -> Self:
        for name, features in self.groups.items():
            if not name.strip() or not features:
                raise ValueError(f"groups: {name!r} is empty; give it a name and one or more features, or leave it out")
            if doubled := [one for one in features if features.count(one) > 1]:
                raise ValueError(f"groups: {name} has {doubled[0]} twice")
        owner: dict[str, str] = {}
        for name, features in self.groups.items():
            for one in features:
                if one in owner:
                    raise ValueError(f"groups: {owner[one]} and {name} both have {one}; a feature is in one group")
                owner[one] = name
        return self

    @model_validator(mode="after")
    def _design_bears_them(self) -> Self:
        count, most = len(self.groups), 2**MOST_GROUPS
        if "full" in self.design and count > MOST_GROUPS:
            raise ValueError(
                f"design: full takes at most {MOST_GROUPS} groups ({most} runs), got {count}; take orthogonal, or join "
                "groups"
            )
        if self.runs is not None and (self.runs < 2 * (count + 1) or self.runs % 8):
            raise ValueError(
                f"runs: {plural(count, 'effect')} take {8 * -(-2 * (count + 1) // 8)} runs or more, in multiples of 8; "
                f"got {self.runs}"
            )
        if (runs := len(self.model) * len(self.views) * len(layout(self))) > MOST_RUNS:
            raise ValueError(f"{runs} runs are too many, at most {MOST_RUNS}; join groups, or take fewer models")
        return self

    @property
    def views(self) -> list["View"]:
        """All combinations of a representation and a lookback."""
        return list(product(self.representation, self.lookback or (0,)))

    def name(self, model: str, features: str, view: "View | None" = None) -> str:
        """Name a variant: by its feature set, and by its model, representation and lookback if there are several."""
        representation, lookback = view or self.views[0]
        parts = [features]
        parts += [representation] if len(self.representation) > 1 else []
        parts += [f"{lookback} sessions"] if len(self.lookback) > 1 else []
        return ", ".join(parts) if len(self.model) == 1 else f"{model}: {', '.join(parts)}"

    def variant(self, model: str, features: str, view: "View | None" = None) -> dict[str, Any]:
        """Lay out a variant with a model and a feature set."""
        representation, lookback = view or self.views[0]
        given = {"representation": representation, "lookback": lookback}
        own = {key: value for key, value in given.items() if value != DEFAULTS[key]}
        return {"model": model, "features": features, "options": self.options.get(model, {})} | own


View = tuple[Representation, int]  # a lookback of 0 is that of the study


def layout(ablation: Ablation) -> np.ndarray:
    """Return the runs of all designs of an ablation, each once, a boolean matrix, [run, group]."""
    rows = np.concatenate([rows_of(ablation, name) for name in ablation.design])
    return np.array(list(dict.fromkeys(map(tuple, rows.tolist()))))


def rows_of(ablation: Ablation, name: DesignName) -> np.ndarray:
    """Return the runs of one design of an ablation, [run, group]."""
    rows = ablation.runs // 2 if ablation.runs and name == "orthogonal" else None
    groups = len(ablation.groups)
    return DESIGNS[name].runs(groups) if rows is None else orthogonal(groups, rows)


def names_of(ablation: Ablation, runs: np.ndarray) -> list[str]:
    """Name the feature sets of runs: by their groups where that is short, else by number."""
    groups, found = list(ablation.groups), []
    for number, row in enumerate(runs, 1):
        held = [name for name, is_in in zip(groups, row, strict=True) if is_in]
        lacking = [name for name in groups if name not in held]
        if not held:
            found.append(ablation.base)
        elif not lacking:
            found.append(ALL)
        elif len(held) == 1:
            found.append(f"only {held[0]}")
        else:
            found.append(f"all but {lacking[0]}" if len(lacking) == 1 else f"run {number:02d}")
    return found


def with_runs(values: Mapping[str, Any]) -> dict[str, Any]:
    """Add the variants and feature sets of a study's ablation to its values.

    Values that are no ablation are returned with a variant, so that their own check can say what is wrong.

    Raises
    ------
    ValueError
        If a variant or feature set of another meaning has the name of one of the ablation's.
    """
    try:
        ablation = Ablation.model_validate(values["ablation"])
    except ValidationError:
        return {"variants": {"ablation": {"model": "zero", "features": "raw"}}, **values}
    runs = layout(ablation)
    names, groups = names_of(ablation, runs), list(ablation.groups.values())
    sets = {
        name: (ablation.base, *(one for group, is_in in zip(groups, row, strict=True) if is_in for one in group))
        for name, row in zip(names, runs, strict=True)
        if row.any()
    }
    variants = {
        ablation.name(model, name, view): ablation.variant(model, name, view)
        for model in ablation.model
        for name in names
        for view in ablation.views
    }
    reach = {"lookback": max(ablation.lookback)} if ablation.lookback else {}
    return {
        "seeds": SEEDS, **reach, **values, "variants": _joined(variants, values.get("variants"), "variants"),
        "feature_sets": _joined(sets, values.get("feature_sets"), "feature_sets"),
    }  # fmt: skip


def _joined(own: Mapping[str, Any], given: object, key: str) -> dict[str, Any]:
    """Join what the ablation lays out with what the study gives beside it."""
    beside = dict(given) if isinstance(given, Mapping) else {}
    for name in own.keys() & beside.keys():
        if _plain(beside[name]) != _plain(own[name]):
            raise ValueError(f"{key}.{name}: the ablation has one of this name; choose another")
    return {**own, **beside}


def _plain(value: Any) -> Any:  # noqa: ANN401 - plain values of any kind
    """Return a variant or a feature set with its defaults and all values as text, as a file has them."""
    whole = {"options": {}, **DEFAULTS, **value} if isinstance(value, Mapping) else value
    return _texts(whole)


def _texts(value: Any) -> Any:  # noqa: ANN401 - plain values of any kind
    if isinstance(value, Mapping):
        return {key: _texts(one) for key, one in value.items()}
    return [_texts(one) for one in value] if isinstance(value, list | tuple) else str(value)


def variants_of(ablation: Ablation) -> list[list[str]]:
    """Return the variants of each model: the runs of one design, which share one seed variance."""
    names = names_of(ablation, layout(ablation))
    return [[ablation.name(model, name, view) for name in names for view in ablation.views] for model in ablation.model]
