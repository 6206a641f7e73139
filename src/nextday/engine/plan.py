"""The units of a study, and their jobs."""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np

from nextday.data import Panel
from nextday.engine.catalogs import HOUSE, Catalogs
from nextday.engine.needs import require_packages, version_of
from nextday.engine.source import source_digest
from nextday.errors import StudyError, TrainingError
from nextday.features import Features, compute_features, find_feature, resolve_sets
from nextday.features.groups import refuse_useless
from nextday.features.sets import refuse_doubles
from nextday.models import Device, Fitted, Forecaster, Key, make_model
from nextday.names import known
from nextday.samples import Fold, Pool, Samples, Windows, make_folds, represent
from nextday.samples.folds import LEAST, note_absent, note_gaps
from nextday.samples.targets import note_target
from nextday.samples.windows import cut_windows
from nextday.study import LEAST_NAMES, LOSSES, Study, Variant, is_across, is_loss
from nextday.words import plural

POOL = "*"


@dataclass(frozen=True, slots=True)
class Unit:
    """One training: variant x ticker x fold x seed; ``seed`` is None for a deterministic model.

    The ticker of a pooled model is ``*``.
    """

    variant: str
    ticker: str
    fold: int
    seed: int | None

    def __str__(self) -> str:
        fold = f" fold {self.fold}" if self.fold else ""
        return f"{self.variant} {self.ticker}{fold}" + ("" if self.seed is None else f" seed {self.seed}")


@dataclass(frozen=True, slots=True)
class Job:
    """Everything that determines a unit's result; the complete input of a worker."""

    model: Forecaster
    train: Samples
    valid: Samples
    test: Windows
    key: Key

    def run(self) -> Fitted:
        """Fit, forecast and check."""
        return self.check(self.model.fit_predict(self.train, self.valid, self.test, key=self.key))

    def check(self, fitted: Fitted) -> Fitted:
        """Refuse forecasts that are not finite or have the wrong shape, and quantiles out of order."""
        if fitted.predicted.shape != (len(self.test),):
            raise TrainingError(f"forecasts have shape {fitted.predicted.shape}, expected ({len(self.test)},)")
        if not np.isfinite(fitted.predicted).all():
            raise TrainingError(f"forecasts are not finite, expected {plural(len(self.test), 'finite value')}")
        for quantiles in (fitted.quantiles, fitted.valid_quantiles):
            if not (np.isfinite(quantiles).all() and (np.diff(quantiles, axis=1) >= 0).all()):
                raise TrainingError("quantiles are not finite or not in order")
        return fitted

    def arrays(self) -> list[np.ndarray]:
        """Return all numbers that go in."""
        train, valid = self.train, self.valid
        return [*train.windows.arrays(), train.y, *valid.windows.arrays(), valid.y, *self.test.arrays()]

    def inputs(self) -> bytes:
        """Hash all that goes in but model and key: names, shapes and numbers."""
        digest = hashlib.sha256(json.dumps([self.test.names, self.test.lookback]).encode())
        for array in self.arrays():
            digest.update(f"{array.shape} {array.dtype.str}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.digest()


def fingerprint(model: Forecaster, key: Key, inputs: bytes) -> str:
    """Hash a job's content: inputs and targets, model, settings, seed, code and libraries; 64 hex digits."""
    digest = hashlib.sha256(json.dumps([repr(model), repr(key)]).encode())
    digest.update(code_fingerprint("models"))
    digest.update(source_digest(model.parts()))
    digest.update(inputs)
    return digest.hexdigest()


@cache
def code_fingerprint(*packages: str) -> bytes:
    """Hash the code of packages (``models`` turns a job into forecasts) and the versions of libraries."""
    digest = hashlib.sha256()
    for package in packages:
        root = Path(str(resources.files("nextday") / package))
        for file in sorted(root.rglob("*.py")):
            digest.update(file.relative_to(root).as_posix().encode() + file.read_bytes())
    for library in ("torch", "numba", "numpy", "scikit-learn", "statsmodels", "arch"):
        digest.update(version_of(library).encode())
    return digest.digest()


@dataclass(frozen=True, slots=True)
class Plan:
    """The units of a study on a panel, with the inputs of their jobs."""

    units: tuple[Unit, ...]
    study: Study
    features: Features
    folds: dict[tuple[str, int], Fold]  # that are tested
    learners: tuple[Fold, ...]  # that pooled models learn from beside them
    models: dict[str, Forecaster]
    feature_sets: dict[str, tuple[str, ...]]
    notes: tuple[str, ...] = ()  # what a reader should know of the inputs
    digests: dict[tuple[object, ...], bytes] = field(default_factory=dict, compare=False, repr=False)  # of inputs

    @property
    def first_test(self) -> int:
        """Position of the first origin of any test set in the panel's dates."""
        return min(int(fold.at[fold.split.test][0]) for fold in self.folds.values())

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Groups of the study's ablation, and their features; none without one."""
        named = {} if self.study.ablation is None else self.study.ablation.groups
        sets = self.feature_sets
        return {name: tuple(one for own in group for one in sets.get(own, (own,))) for name, group in named.items()}

    def folds_of(self, unit: Unit) -> list[Fold]:
        """Days of a unit, ticker by ticker; last, without test days, of those that a pooled model learns from only."""
        if unit.ticker != POOL:
            return [self.folds[unit.ticker, unit.fold]]
        return [one for one in (*self.folds.values(), *self.learners) if one.split.fold == unit.fold]

    def job(self, unit: Unit) -> Job:
        """Slice and scale the inputs of a unit. The targets of its test set are not included."""
        model = self.models[unit.variant]
        key = Key(unit.seed or 0, unit.ticker, unit.fold)
        cuts = [self._cut(fold, self.study.variants[unit.variant], model, key) for fold in self.folds_of(unit)]
        train, valid, test = cuts[0] if not model.pooled else _pool(cuts)
        return Job(model, train, valid, test, key)

    def fingerprint(self, unit: Unit) -> str:
        """Hash the content of a unit's job. Seeds and models that share their inputs cut and hash them once."""
        model, variant = self.models[unit.variant], self.study.variants[unit.variant]
        key = Key(unit.seed or 0, unit.ticker, unit.fold)
        drawn = key if variant.representation == "random" else None
        inputs = variant.features, variant.lookback, variant.representation, model.scaled, drawn
        place = (unit.ticker, unit.fold, *inputs)
        if place not in self.digests:
            self.digests[place] = self.job(unit).inputs()
        return fingerprint(model, key, self.digests[place])

    def _cut(self, fold: Fold, variant: Variant, model: Forecaster, key: Key) -> tuple[Samples, Samples, Windows]:
        """Cut the samples of a ticker, represented as the variant wants, scaled by what its training range shows."""
        names, split = self.feature_sets[variant.features], fold.split
        values, lookback = self.features.of(fold.ticker, names)[fold.sessions], variant.lookback or self.study.lookback
        parts = [
            cut_windows(values, fold.origins, part, lookback=lookback, names=names, skipped=fold.skipped)
            for part in (split.train, split.valid, split.test)
        ]
        train, valid, test = represent(
            parts, variant.representation, scaled=model.scaled, seed=key.stream("directions")
        )
        y = fold.y.astype(np.float32).astype(np.float64)  # as precise as the features: rounding of prices must not show
        return Samples(train, y[split.train]), Samples(valid, y[split.valid]), test


def _pool(cuts: list[tuple[Samples, Samples, Windows]]) -> tuple[Samples, Samples, Pool]:
    """Put the samples of all tickers together."""
    train, valid = (
        Samples(Pool.of([one.windows for one in part]), np.concatenate([one.y for one in part]))
        for part in ([cut[0] for cut in cuts], [cut[1] for cut in cuts])
    )
    return train, valid, Pool.of([cut[2] for cut in cuts])


def make_plan(study: Study, panel: Panel, *, device: Device = "cpu", catalogs: Catalogs = HOUSE) -> Plan:
    """Check a study against a panel and plan its units, before anything is fitted.

    ``catalogs`` contain everything that the study can name.

    Raises
    ------
    StudyError
        If a model, option, feature set or feature is unknown, a model lacks a feature or a package it needs, or the
        history is too short.
    """
    require_packages(study, catalogs.models)
    sets = resolve_sets(study.feature_sets)
    models = {name: _model_of(study, name, sets, device, catalogs) for name in study.variants}
    refuse_doubles(study.inputs, catalogs.features, panel.frame.columns, study.features_from)
    used = [feature for variant in study.variants.values() for feature in sets[variant.features]]
    named = dict.fromkeys([*used, *(feature for name in study.feature_sets for feature in sets[name])])
    features = compute_features(panel, named, catalog=catalogs.features, warmup=study.warmup, meant=study.features_from)
    rests = {"lookback": study.lookback, "warmup": features.warmup, "anew": study.warmup}
    _check_target(study, len(panel.tickers))
    split, pooled = study.split, [model.pooled for model in models.values()]
    if split.history is None and all(pooled):
        split = split.model_copy(update={"history": LEAST})
    every = make_folds(panel, split, **rests, target=study.target, learners=any(pooled), schemes=catalogs.splits)
    folds, learners = ([one for one in every if one.tested is tested] for tested in (True, False))
    _check_loss(study, catalogs, len(panel.tickers))
    firsts = {fold.split.fold: fold.ticker for fold in reversed(folds)}
    units = tuple(
        Unit(variant, POOL if model.pooled else fold.ticker, fold.split.fold, seed if model.seeded else None)
        for at, seed in enumerate(study.seeds)
        for fold in folds
        for variant, model in models.items()
        if (model.seeded or at == 0) and (not model.pooled or fold.ticker == firsts[fold.split.fold])
    )
    by_place = {(fold.ticker, fold.split.fold): fold for fold in folds}
    notes = (
        *note_target(panel, study.target), *note_gaps(panel, **rests), *note_absent(panel, split, folds, learners),
        *_still(features, folds),
    )  # fmt: skip
    plan = Plan(units, study, features, by_place, tuple(learners), models, sets, notes)
    refuse_useless(plan.groups, features, [(one.ticker, one.at[one.split.train]) for one in folds])
    return plan


def inputs_of(plan: Plan, catalogs: Catalogs = HOUSE) -> dict[str, dict[str, str]]:
    """Return the features and formulas of every feature set that a variant reads."""
    own = plan.features.own
    used = dict.fromkeys(variant.features for variant in plan.study.variants.values())

    def formula(name: str) -> str:
        feature = find_feature(name, catalogs.features)
        return own[name] if name in own or feature is None else feature.formula

    return {name: {one: formula(one) for one in plan.feature_sets[name]} for name in used}


def _check_loss(study: Study, catalogs: Catalogs, tickers: int) -> None:
    """Refuse a loss that nobody has, or that has nothing to be measured against or compared with."""
    loss, own = study.verdict.loss, catalogs.losses
    if loss not in own and not is_loss(loss):
        raise StudyError(f"verdict.loss: unknown {loss!r}; {known(loss, [*LOSSES, *own])}")
    if is_across(loss) and tickers < LEAST_NAMES:
        raise StudyError(
            f"verdict.loss {loss} compares the tickers of a day and needs {LEAST_NAMES} of them; the study has "
            f"{tickers}"
        )
    if loss in own and not study.verdict.benchmark:
        raise StudyError(f"verdict.loss {loss} is a plugin loss: set verdict.benchmark to a variant")


def _check_target(study: Study, tickers: int) -> None:
    """Refuse a target that compares the tickers of a day where there are too few."""
    if study.compares and tickers < LEAST_NAMES:
        raise StudyError(
            f"target {study.target} compares the tickers of a day and needs {LEAST_NAMES} of them; the study has "
            f"{tickers}"
        )


def _still(features: Features, folds: list[Fold]) -> tuple[str, ...]:
    """Name the features that never move in the training range of a ticker, beside what is known of columns."""
    found = []
    for fold in folds:
        values = features.of(fold.ticker, features.names)[fold.at[fold.split.train]]
        names = [name for name, still in zip(features.names, values.min(0) == values.max(0), strict=True) if still]
        place = f"{fold.ticker} fold {fold.split.fold}" if fold.split.fold else fold.ticker
        found += [
            f"feature {name} of {place} is constant in the training set and carries no information" for name in names
        ]
    return (*features.notes, *found)


def _model_of(
    study: Study, name: str, sets: dict[str, tuple[str, ...]], device: Device, catalogs: Catalogs
) -> Forecaster:
    variant = study.variants[name]
    if variant.features not in sets:
        raise StudyError(f"variants.{name}: unknown feature set {variant.features!r}; {known(variant.features, sets)}")
    try:
        model = make_model(
            variant.model, variant.options, training=study.training, device=device, levels=study.levels,
            lookback=variant.lookback or study.lookback, catalog=catalogs.models,
        )  # fmt: skip
    except StudyError as error:
        raise StudyError(f"variants.{name}: {error}") from None
    if model.needs and variant.representation != "lags":
        raise StudyError(
            f"variants.{name}: model {variant.model} reads the series of {model.needs[0]} itself; "
            f"representation {variant.representation} is for models of features"
        )
    if model.needs and study.target != "return" and not model.any_target:
        raise StudyError(
            f"variants.{name}: model {variant.model} continues the series of {model.needs[0]} and forecasts returns; "
            f"target {study.target} is for models of features"
        )
    lacking = [feature for feature in model.needs if feature not in sets[variant.features]]
    if lacking:
        raise StudyError(
            f"variants.{name}: model {variant.model} needs {lacking[0]}, which {variant.features} does not contain"
        )
    return model
