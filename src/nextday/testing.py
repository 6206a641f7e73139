"""Conformance tests of models and features, built-in or from plugins: ``check_model`` and ``check_feature``.

Each raises an error with one line per fault; ``nextday check FILE`` applies them to a plugin. They take seconds:
everything is fitted on a random walk of two tickers.
"""

import pickle
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import cloudpickle
import numpy as np

from nextday.auditing.admission import faults_of_features
from nextday.data import Panel, align, load_bars, random_walk
from nextday.engine import Plan, Unit, Workers, make_plan
from nextday.engine.catalogs import HOUSE, Catalogs
from nextday.engine.needs import find_torch
from nextday.engine.plan import Job
from nextday.engine.rehearse import brief, futures, small
from nextday.engine.source import carry_along
from nextday.errors import NextdayError, PluginError, first_line
from nextday.features import FEATURES, Feature
from nextday.models import Fitted, Forecaster, Key
from nextday.models.catalog import Model
from nextday.models.networks.base import Network
from nextday.study import Study

TICKERS, MARKET, SESSIONS, LOOKBACK = ("AAA", "BBB"), "MKT", 260, 10
NAME = "guest"


def check_model(factory: Callable[[], Forecaster]) -> None:
    """Check that a model conforms to the interface of models.

    A model returns one finite number per sample; the same forecasts for the same arguments, whatever ran before and
    whatever the state of process-wide generators; different forecasts for another seed only if it declares seeds. Its
    settings have a stable representation and can be sent to another process, inputs are not modified, and no forecast
    changes when later days change, also in fresh processes.

    Parameters
    ----------
    factory
        Creates the model, as for a variant; for example a class with default options.

    Raises
    ------
    PluginError
        If it fails, with one line per fault.

    Examples
    --------
    ``check_model(LinearRegression)`` returns nothing, because it conforms. What differs each time does not:

    >>> from nextday.models.regression import Arima
    >>> orders = iter([1, 2])
    >>> try:
    ...     check_model(lambda: Arima(next(orders)))
    ... except PluginError as error:
    ...     print(str(error).partition(";")[0])
    its settings have no stable name: Arima(max_order=1) differs each time
    """
    _raise(list(faults_of_model(factory)))


def check_feature(feature: Feature, *, name: str = NAME) -> None:
    """Check that a feature conforms to the interface of features.

    A feature returns one number per bar, finite after its warm-up; the same values again, whatever other tickers there
    are; no value changes when later bars change or are missing; and other units of prices or volume change no more
    than its location and scale. ``adj_close`` as such is a price whose unit later splits and dividends change.

    Parameters
    ----------
    feature
        The feature; see ``nextday.feature``.
    name
        Its name in messages.

    Raises
    ------
    PluginError
        If it fails, with one line per fault.

    Examples
    --------
    >>> import polars as pl
    >>> check_feature(Feature(pl.col("volume").log1p(), 0, "ln(1 + volume)"))
    """
    _raise(list(faults_of_feature(feature, name)))


def faults_of_model(factory: Callable[[], Forecaster]) -> Iterator[str]:
    """Return the faults of a model, one line each; a fault that prevents further tests is the last one."""
    try:
        model = factory()
        plan, job = _job(model)
    except NextdayError as error:
        yield str(error)
        return
    found = list(_faults_of_settings(model, factory())) or list(_faults_of_future(job))
    yield from found
    if any(not one.startswith("uses the future") for one in found):
        return
    try:
        first = job.run()
    except NextdayError as error:
        yield str(error)
        return
    except Exception as error:  # noqa: BLE001 - whatever a stranger's model raises is a line
        yield f"fails: {type(error).__name__}: {first_line(error)}"
        return
    yield from _faults_of_repetition(plan, job, first)
    yield from _faults_of_seed(job, first)


def faults_of_feature(feature: Feature, name: str = NAME) -> Iterator[str]:
    """Return the faults of a feature, one line each."""
    try:
        yield from faults_of_features(_panel(sessions=SESSIONS + feature.warmup), {name: feature}).values()
    except NextdayError as error:
        yield str(error)


def faults_of(catalogs: Catalogs) -> Iterator[tuple[str, str, list[str]]]:
    """Check every plugin object of the catalogs, and return its kind, its name and its faults."""
    for name in [name for name in catalogs.models if name not in HOUSE.models]:
        yield "model", name, list(faults_of_model(partial(_made, catalogs.models[name])))
    for name in [name for name in catalogs.features if name not in HOUSE.features]:
        yield "feature", name, list(faults_of_feature(catalogs.features[name], name))


def _made(kind: Model) -> Forecaster:
    """Make a model with its default options."""
    if isinstance(kind, Forecaster):
        return kind
    return kind() if isinstance(kind, type) else kind({})


def _raise(faults: Sequence[str]) -> None:
    if faults:
        raise PluginError("; ".join(faults))


def _panel(sessions: int = SESSIONS) -> Panel:
    bars = random_walk(tickers=(*TICKERS, MARKET), sessions=sessions, seed=0)
    return align(load_bars(bars.frame, accept=("*",)), market=MARKET)


def _job(model: Forecaster) -> tuple[Plan, Job]:
    """Lay out a study of this model on all features of the house, and make the small job of its first unit."""
    values = {
        "name": NAME, "market": MARKET, "lookback": LOOKBACK, "feature_sets": {"every": tuple(FEATURES)},
        "variants": {NAME: {"model": NAME, "features": "every"}}, "levels": (0.1, 0.5, 0.9),
    }  # fmt: skip
    carry_along(model.parts())
    short = brief(model, 2)
    if isinstance(short, Network):
        short = replace(short, lookback=LOOKBACK)  # a finished model is not given the study's
    catalogs = replace(HOUSE, models={**HOUSE.models, NAME: short})
    plan = make_plan(Study.from_values(values), _panel(), catalogs=catalogs)
    return plan, _small(plan, plan.units[0])


def _small(plan: Plan, unit: Unit) -> Job:
    job = plan.job(unit)
    return replace(small(job), model=job.model)


def _faults_of_settings(model: Forecaster, twin: Forecaster) -> Iterator[str]:
    """See that a model can be named by its settings and sent to another process."""
    if " at 0x" in repr(model) or repr(model) != repr(twin):
        yield f"its settings have no stable name: {repr(model)[:80]} differs each time; use fields of plain values"
    try:
        pickle.loads(cloudpickle.dumps(model))
    except Exception as error:  # noqa: BLE001 - of any kind
        yield f"cannot be sent to another process: {type(error).__name__}: {first_line(error)}"


def _faults_of_future(job: Job) -> Iterator[str]:
    """Rewrite the future, and leave it out, each in a process that has seen nothing else."""
    changed = futures(job)
    jobs = [job, *(future.job for future in changed)]
    with Workers(len(jobs)) as pool:
        fits = {at: result for at, result, _ in pool.map(range(len(jobs)), jobs.__getitem__)}
    if failed := [result for result in fits.values() if isinstance(result, str)]:
        yield from dict.fromkeys(failed)
        return
    moved = [one.leak for at, one in enumerate(changed, 1) if not one.agrees(job, fits[0], fits[at])]  # type: ignore[arg-type]
    yield from moved[:1]


def _faults_of_repetition(plan: Plan, job: Job, first: Fitted) -> Iterator[str]:
    """Run it again: after another unit, with other process-wide generators; inputs stay as they are."""
    held = [array.copy() for array in job.arrays()]
    other = _small(plan, plan.units[-1]) if len(plan.units) > 1 else replace(job, key=Key(7, "other", 0))
    with _generators(1):
        one = job.run()
    other.run()
    with _generators(1):
        two = job.run()
    with _generators(2):
        three = job.run()
    if not np.array_equal(one.predicted, two.predicted):
        yield "depends on earlier calls: the same arguments give a different forecast after another unit"
    elif not (np.array_equal(two.predicted, three.predicted) and np.array_equal(first.predicted, two.predicted)):
        yield "uses a process-wide random generator: draw from key.stream(...) instead"
    if any(not np.array_equal(before, after) for before, after in zip(held, job.arrays(), strict=True)):
        yield "modifies its input arrays"


def _faults_of_seed(job: Job, first: Fitted) -> Iterator[str]:
    other = replace(job, key=replace(job.key, seed=job.key.seed + 1)).run()
    same = np.array_equal(first.predicted, other.predicted)
    if same and job.model.seeded:
        yield "declares seeds (seeded = True), but another seed gives the same forecast"
    if not same and not job.model.seeded:
        yield "declares no seeds, but another seed gives a different forecast; set seeded = True"


@contextmanager
def _generators(seed: int) -> Iterator[None]:
    """Set the process-wide generators, and restore them."""
    torch = find_torch()
    before = random.getstate(), np.random.get_state()  # noqa: NPY002 - they are what is tested
    drawn = torch.random.get_rng_state() if torch else None
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    if torch:
        torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        if torch:
            torch.random.set_rng_state(drawn)
