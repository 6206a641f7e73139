"""Fit network units together, as stacks on one device; pass all others to worker processes."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from nextday.engine.cluster import Cluster, MakeEngine
from nextday.engine.plan import Job
from nextday.engine.worker import explain, one_thread
from nextday.engine.workers import Engine, Workers
from nextday.errors import TrainingError
from nextday.models import Fitted
from nextday.models.networks.base import Network, Start

if TYPE_CHECKING:
    from nextday.models.networks.training import Trained

Fits = Iterator[tuple[Any, Fitted | str, float]]  # a unit, or what stands for one in a pack
Make = Callable[[Any], Job]
PACK = 512  # units that a cluster's GPU gets at once


@dataclass(slots=True)
class _Group:
    """Units that fit into one stack."""

    model: Network
    lookback: int
    features: int = 0  # of the widest
    units: list[Any] = field(default_factory=list)


class Stacked:
    """Counterpart of ``Workers`` for a device on which many small networks train as fast as one.

    Parameters
    ----------
    workers
        For units that are not networks.
    device
        ``cuda``; ``cpu`` has no advantage and is for tests.
    slots
        Maximum number of units in a stack; default: as many as fit in the device's memory.
    """

    def __init__(self, workers: Workers, *, device: str, slots: int | None = None) -> None:
        self._workers, self._device, self._slots = workers, device, slots

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._workers.__exit__(kind, error, trace)

    def map(self, units: Iterable[Any], make_job: Make) -> Fits:
        """Fit units, and yield each with its result or the reason of its failure, and its share of the time.

        Networks of the same shape and settings, with any inputs, form a stack; jobs are made when it has room.
        """
        stacks, others = _sort(units, make_job)
        for group in stacks:
            yield from self._fit(group, make_job)
        yield from self._workers.map(others, make_job)

    def _fit(self, group: _Group, make_job: Make) -> Fits:
        """Fit the units of a stack."""
        from nextday.models.networks.stack import Member, room, train_stack
        from nextday.models.networks.training import Progress

        waiting, inside = iter(group.units), dict[int, tuple[Any, Job, Start]]()
        model, features, device = group.model, group.features, self._device

        failed: list[tuple[Any, str, float]] = []

        def members() -> Iterator[Member]:
            for unit in waiting:
                try:
                    job = make_job(unit)
                    start = model.prepare(job.train, job.valid, job.test, key=job.key, device=device)
                except Exception as error:  # noqa: BLE001 - whatever breaks one unit must not take the others with it
                    failed.append((unit, explain(error), 0.0))
                    continue
                progress = Progress(model.training)
                member = Member(start.network.to("cpu"), start.train, start.valid, job.key, progress)
                inside[id(member)] = unit, job, start
                yield member

        try:
            with one_thread():
                slots = self._slots or room(model, features=features, lookback=group.lookback, device=device)
                slots = min(slots, len(group.units))
                for member in train_stack(model, members(), features=features, slots=slots, device=device):
                    unit, job, start = inside.pop(id(member))
                    yield unit, member.failure or self._finish(job, start, member.progress.trained), member.seconds
        except Exception as error:  # noqa: BLE001 - nor must a stack that breaks take other models with it
            why = explain(error)
            failed += [(unit, why, 0.0) for unit in [*(unit for unit, *_ in inside.values()), *waiting]]
        yield from failed

    def _finish(self, job: Job, start: Start, trained: "Trained") -> Fitted | str:
        """Forecast with a unit's best weights."""
        try:
            return job.check(job.model.finish(start, trained, job.test, device=self._device))  # type: ignore[attr-defined]
        except TrainingError as error:
            return str(error)


def on_gpu() -> Stacked:
    """Make the engine that fits a pack of units on a node with a GPU."""
    return Stacked(Workers(0), device="cuda")


class Packed:
    """Counterpart of ``Stacked`` for the GPUs of a cluster: each task is a stack of units.

    Parameters
    ----------
    cluster
        The cluster; units that are not networks get a CPU.
    make_engine, gpus
        The engine of a pack on its node, and its GPUs; other values are for tests.
    """

    def __init__(
        self, cluster: Cluster, *, make_engine: MakeEngine = on_gpu, gpus: float = 1
    ) -> None:  # fmt: skip
        self._cluster, self._make_engine, self._gpus = cluster, make_engine, gpus

    def map(self, units: Iterable[Any], make_job: Make) -> Fits:
        """Fit units like ``Stacked.map``, on all nodes in parallel."""
        stacks, others = _sort(units, make_job)
        packs = [group.units[at : at + PACK] for group in stacks for at in range(0, len(group.units), PACK)]
        yield from self._cluster.map_packs(packs, make_job, make_engine=self._make_engine, gpus=self._gpus)
        yield from self._cluster.map(others, make_job)


def _sort(units: Iterable[Any], make_job: Make) -> tuple[list[_Group], list[Any]]:
    """Part units into stacks and others, by a look at one job of each variant."""
    stacks: dict[str, _Group] = {}
    known: dict[Any, _Group | None] = {}
    others: list[Any] = []
    for unit in sorted(units, key=lambda unit: getattr(unit, "fold", 0)):  # a fold's are as long: fewer empty steps
        variant = getattr(unit, "variant", unit)
        if variant not in known:
            known[variant] = _group(make_job(unit), stacks)
        group = known[variant]
        (others if group is None else group.units).append(unit)
    return list(stacks.values()), others


def _group(job: Job, stacks: dict[str, _Group]) -> _Group | None:
    """Find the group of a job's model, or open it; None for a model that does not stack."""
    if not isinstance(job.model, Network) or not (name := job.model.stack_of(len(job.test.names))):
        return None
    group = stacks.setdefault(name, _Group(job.model, job.test.lookback))
    group.features = max(group.features, len(job.test.names))
    return group


def choose_engine(workers: Workers | Cluster, device: str) -> Engine:
    """Return the engine that fits the units of a study: networks in stacks if they train on a GPU."""
    if device != "cuda":
        return workers
    return Packed(workers) if isinstance(workers, Cluster) else Stacked(workers, device=device)
