"""Probe the networks of finished studies for engineered features in their hidden states."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
import polars as pl

from nextday.analyses.probing.collect import Result, collect_probes
from nextday.analyses.probing.job import ProbeJob, Subject
from nextday.data import Panel
from nextday.engine.catalogs import HOUSE, Catalogs
from nextday.engine.plan import Plan, Unit, make_plan
from nextday.engine.store import Store
from nextday.engine.workers import Engine
from nextday.errors import OutputError, StudyError, TrainingError
from nextday.features import FEATURE_SETS, compute_features
from nextday.models import Forecaster
from nextday.models.networks.base import Network
from nextday.progress import Watch
from nextday.samples import Fold
from nextday.storage.folder import MANIFEST, StudyFolder
from nextday.study import Study
from nextday.words import plural

TARGETS = tuple(name for name in FEATURE_SETS["engineered"] if name not in FEATURE_SETS["raw"])
CODE = ("job.py", "measures.py")  # what decides a result, beside what decides the networks


@dataclass(frozen=True, slots=True)
class Found:
    """A finished network of another study: the store of its weights, its key, and the factory of its job."""

    folder: Path
    plan: Plan
    store: Store
    unit: Unit
    key: str

    def load(self) -> Subject:
        """Read its weights."""
        fitted = self.store.load(self.key)
        if isinstance(fitted, str):
            raise _missing(self.folder, f"{self.unit}: {fitted or 'its file is missing'}")
        return Subject(self.unit.variant, self.plan.job(self.unit), fitted.weights)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of its input features."""
        return self.plan.feature_sets[self.plan.study.variants[self.unit.variant].features]


@dataclass(frozen=True, slots=True)
class Group:
    """The networks of one ticker and fold, and the features to probe, [sample, feature]; ``unit`` is its name."""

    unit: str
    fold: Fold
    found: tuple[Found, ...]
    targets: np.ndarray

    def fingerprint(self) -> str:
        """Return the job's fingerprint; weights are not read, as the networks' jobs determine them; 64 hex digits."""
        networks = [(one.unit.variant, one.unit.seed, one.key) for one in self.found]
        digest = hashlib.sha256(json.dumps([TARGETS, networks, repr(self.fold.split)]).encode())
        digest.update(_code_fingerprint())
        digest.update(np.ascontiguousarray(self.targets).data)
        return digest.hexdigest()

    def job(self) -> ProbeJob:
        """Read the weights and build the job."""
        return ProbeJob(tuple(one.load() for one in self.found), self.targets, self.fold.split)

    def result(self, store: Store, key: str, dates: np.ndarray) -> Result:
        """Read the result of the job."""
        arrays = store.load_arrays(key)
        if isinstance(arrays, str):
            raise OutputError(f"{store.folder}: the probes of {self.unit} cannot be read back; run again")
        subjects = [(one.unit.variant, one.unit.seed) for one in self.found]
        origins = dates[self.fold.at[self.fold.split.test]]
        inputs = [one.inputs for one in self.found]
        return Result(self.fold.ticker, self.fold.split.fold, subjects, inputs, TARGETS, origins, arrays)


def run_probes(
    studies: Sequence[str], panel: Panel, out: Path, store: Store, workers: Engine, *,
    watch: Watch = lambda outcomes, _: outcomes, fresh: bool = False, catalogs: Catalogs = HOUSE,
) -> dict[str, pl.DataFrame]:  # fmt: skip
    """Probe every network of finished studies on the same panel, except pooled ones.

    Parameters
    ----------
    studies, panel
        Names of the studies, and the bars on which their networks were trained.
    out
        Folder of all studies' results; the networks are in ``out/NAME/units``, or else in the ``store``.
    store
        Store of this study's own results: existing ones are not computed again, unless ``fresh``.
    workers, watch
        As in ``pipeline.run``; there is one job per ticker and fold.
    catalogs
        Available models and features: models of plugins are included only if this study names the plugin too.

    Returns
    -------
    probes
        ``variant, ticker, fold, seed, layer, source, feature, given, r2``: Test R2 of a ridge probe from a state to a
        feature at the origin, relative to the feature's training mean. ``source`` is the ``trained`` network, or a
        control: the same network ``untrained``; the trained one with the feature ``shuffled`` when fitting the probe;
        the input ``window``, flattened (layer 0, no seed). ``given`` marks input features of the variant.
    probe_days
        ``variant, source, feature, seed, date, r2``: contribution of each test origin to the R2 of last layers and
        windows, averaged over tickers. The mean over days is the mean R2.
    cka
        ``ticker, fold, first, first_seed, second, second_seed, source, cka`` of last layers on the test set, for each
        pair of networks of a ticker, ``trained`` and ``untrained``.

    Raises
    ------
    OutputError
        If a study's networks are missing, or two studies split the days differently.
    StudyError
        If two studies have a variant of the same name, or no study has a network.
    TrainingError
        If a job failed.
    """
    groups = _groups(find_probed(studies, panel, out, catalogs), store, panel)
    keys = {group.unit: group.fingerprint() for group in groups}
    failed: list[str] = []
    for _ in watch(_execute(groups, keys, store, workers, failed, fresh=fresh), len(groups)):
        pass
    if failed:
        raise TrainingError(
            f"the probes of {len(failed)} of {len(groups)} tickers and folds failed; {'; '.join(failed)}; "
            "the others are kept; fix the cause and rerun"
        )
    return collect_probes(group.result(store, keys[group.unit], panel.dates) for group in groups)


def _execute(
    groups: Sequence[Group], keys: dict[str, str], store: Store, workers: Engine, failed: list[str], *, fresh: bool
) -> Iterator[Group]:
    """Run the jobs whose results are not in the store, and yield each group when it is done."""
    todo = {}
    for group in groups:
        if not fresh and isinstance(store.load_arrays(keys[group.unit]), dict):
            yield group
        else:
            todo[group.unit] = group
    for unit, result, seconds in workers.map(todo, lambda unit: todo[unit].job()):
        if isinstance(result, str):
            failed.append(f"{unit}: {result}")
        else:
            store.save_arrays(keys[unit], result, label=f"probes of {unit}", seconds=seconds)
        yield todo[unit]


def find_probed(studies: Sequence[str], panel: Panel, out: Path, catalogs: Catalogs = HOUSE) -> list[tuple[Plan, Path]]:
    """Plan the studies whose networks are probed, each by its own manifest, on this panel.

    Raises the errors of ``run_probes`` for missing or different studies, before anything is fitted.
    """
    found: list[tuple[Plan, Path]] = []
    for name in studies:
        folder = out / name
        try:
            manifest = StudyFolder(folder).manifest()
            device = manifest["device"]
        except (OutputError, KeyError):
            raise _missing(folder, "no finished study") from None
        named = Study.from_values(manifest["study"], where=str(folder / MANIFEST))
        plan = make_plan(named, panel, device=device, catalogs=catalogs)
        for other, _ in found:
            _check_alike(other, plan)
        found.append((plan, folder))
    return found


def _check_alike(first: Plan, second: Plan) -> None:
    """Refuse studies whose networks cannot be told apart, or saw other days."""
    names = f"{first.study.name} and {second.study.name}"
    shared = first.models.keys() & second.models.keys()
    if shared:
        raise StudyError(f"probes: {names} both have a variant {min(shared)}; rename one")
    cuts = [[(at, fold.split, fold.at[0]) for at, fold in plan.folds.items()] for plan in (first, second)]
    if first.study.lookback != second.study.lookback or cuts[0] != cuts[1]:
        raise OutputError(f"probes: {names} differ in lookback or split; run them with the same, to be compared")


def _groups(neighbours: Sequence[tuple[Plan, Path]], store: Store, panel: Panel) -> list[Group]:
    """Put the networks of each ticker and fold together, by study, variant and seed, and see that all are there.

    They are where their own study keeps its units, unless it was told to keep them where this one does.
    """
    found: dict[tuple[str, int], list[Found]] = {}
    for plan, folder in neighbours:
        order, own = list(plan.models), Store(StudyFolder(folder).units)
        units = [unit for unit in plan.units if _is_probed(plan.models[unit.variant])]
        missing = []
        for unit in sorted(units, key=lambda unit: order.index(unit.variant)):
            key = plan.fingerprint(unit)
            kept = next((one for one in (own, store) if one.holds(key)), None)
            missing += [] if kept else [unit]
            one = Found(folder, plan, kept or own, unit, key)
            found.setdefault((unit.ticker, unit.fold), []).append(one)
        if missing:
            what = f"{len(missing)} of {plural(len(units), 'network')} missing for these bars, such as {missing[0]}"
            raise _missing(folder, what)
    if not found:
        raise StudyError(f"probes: no network in {', '.join(plan.study.name for plan, _ in neighbours) or 'no study'}")
    features, groups = compute_features(panel, TARGETS), []
    for (ticker, number), networks in found.items():
        fold = networks[0].plan.folds[ticker, number]
        targets = features.of(ticker, TARGETS)[fold.at].astype(np.float64)
        groups.append(Group(f"{ticker} fold {number}" if number else ticker, fold, tuple(networks), targets))
    return groups


def _is_probed(model: Forecaster) -> bool:
    """Leave out networks of all tickers: their states are not of one ticker's days."""
    return isinstance(model, Network) and not model.pooled


def _missing(folder: Path, what: str) -> OutputError:
    return OutputError(f"probes: {folder}: {what}; run {folder.name} first, with the same data and --out")


@cache
def _code_fingerprint() -> bytes:
    """Digest the code that turns networks into results."""
    digest = hashlib.sha256()
    for name in CODE:
        digest.update((resources.files("nextday.analyses.probing") / name).read_bytes())
    return digest.digest()
