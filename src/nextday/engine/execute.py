"""Fit the units of a plan: load finished ones, pass the others to the workers, store each result."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from nextday.engine.plan import Plan, Unit
from nextday.engine.store import Store
from nextday.engine.workers import Engine
from nextday.models import Fitted
from nextday.storage.files import sweep


def _nothing(units: list[Unit]) -> None:
    """Let them be fitted."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a unit: its result, or the reason of its failure."""

    unit: Unit
    fitted: Fitted | None
    failure: str = ""
    parameters: int = 0
    reused: bool = False
    mended: bool = False  # its stored result was damaged


def execute(
    plan: Plan, store: Store, engine: Engine, *, fresh: bool = False, before: Callable[[list[Unit]], None] = _nothing
) -> Iterator[Outcome]:
    """Yield the outcome of every unit as it finishes; with ``fresh`` finished units are refitted.

    ``before`` is called with the units to fit, before the first one.
    """
    sweep(store.folder)
    keys, remarks = {}, {}
    for unit in plan.units:
        keys[unit] = plan.fingerprint(unit)
        found = "" if fresh else store.load(keys[unit])
        if isinstance(found, Fitted):
            yield Outcome(unit, replace(found, weights={}), parameters=found.parameters, reused=True)
        else:
            remarks[unit] = (found,) if found else ()
    before(list(remarks))
    for unit, result, seconds in engine.map(remarks, plan.job):
        if isinstance(result, Fitted):
            store.save(keys[unit], replace(result, seconds=seconds), label=str(unit))
            light = replace(result, weights={}, notes=(*result.notes, *remarks[unit]), seconds=round(seconds, 3))
            yield Outcome(unit, light, parameters=result.parameters, mended=bool(remarks[unit]))  # weights stay on disk
        else:
            yield Outcome(unit, None, result)
