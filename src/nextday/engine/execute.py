"""Fit the units of a plan: read back what is finished, hand the rest to the workers, keep each as it comes in."""

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
    """What became of a unit: its result, or why there is none."""

    unit: Unit
    fitted: Fitted | None
    failure: str = ""
    parameters: int = 0
    reused: bool = False


def execute(
    plan: Plan, store: Store, engine: Engine, *, fresh: bool = False, before: Callable[[list[Unit]], None] = _nothing
) -> Iterator[Outcome]:
    """Yield the outcome of every unit as it finishes; with ``fresh`` finished units are fitted again.

    ``before`` gets the units that are to be fitted, before the first is.
    """
    sweep(store.folder)
    keys, remarks = {}, {}
    for unit in plan.units:
        keys[unit] = plan.job(unit).fingerprint()
        found = "" if fresh else store.load(keys[unit])
        if isinstance(found, Fitted):
            yield Outcome(unit, replace(found, weights={}), parameters=found.parameters, reused=True)
        else:
            remarks[unit] = (found,) if found else ()
    before(list(remarks))
    for unit, result, seconds in engine.map(remarks, plan.job):
        if isinstance(result, Fitted):
            store.save(keys[unit], replace(result, seconds=seconds), label=str(unit))
            light = replace(result, weights={}, notes=(*result.notes, *remarks[unit]), seconds=seconds)
            yield Outcome(unit, light, parameters=result.parameters)  # weights stay on disk
        else:
            yield Outcome(unit, None, result)
