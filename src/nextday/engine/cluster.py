"""Units as tasks on an existing Ray cluster: the same ``map`` as that of the local ``Workers``.

Ray schedules the tasks. Jobs and results are sent as bytes: a node unpickles the same data that a local worker reads
from its pipe, with its own arrays instead of read-only views of Ray's shared memory, and results that were read occupy
none of that memory.
"""

import logging
import os
import pickle
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import cloudpickle

from nextday.engine.plan import code_fingerprint
from nextday.engine.worker import Task
from nextday.engine.workers import ALLOCATOR, THREADS, Engine, Workers
from nextday.errors import OptionError, StudyError, TrainingError, first_line
from nextday.words import plural

MakeEngine = Callable[[], AbstractContextManager[Engine]]
AHEAD = 2  # packs per free place: one that runs, and one that waits for it; no job is made longer before its turn
PATIENCE = 5  # seconds for the head to answer
RETRIES = 3  # of what a lost node had in hand; a unit that kills whatever it runs on must not do so forever
CODE = ("models", "engine", "samples", "analyses")  # what takes part in a job
ONE_BY_ONE = partial(Workers, 0)

Unit = TypeVar("Unit")
Result = TypeVar("Result")


@dataclass(slots=True)
class _Pack(Generic[Unit]):
    """Units that one task does: those without a result, by their number, and how often they were sent."""

    left: dict[int, Unit]
    sent: int = 0


@dataclass(frozen=True, slots=True)
class _End:
    """That a task gives nothing more: it is done, has failed, or was lost, which another node can make good."""

    why: str = "the task ended prematurely"
    lost: bool = False


class Cluster:
    """The nodes of a Ray cluster, instead of local processes.

    Parameters
    ----------
    address
        Address of its head, such as ``10.0.0.1:6379``, or ``auto`` for the cluster of which this machine is a node. A
        program that is already connected keeps its cluster.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._ray: Any = None
        self._work: Any = None
        self._end: Callable[[], None] = lambda: None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def start(self) -> None:
        """Connect, and check that every node has the same code; ``map`` does so when there is something to fit.

        Raises
        ------
        StudyError
            If Ray is not installed, there is no cluster, or a node has no nextday or another version.
        """
        if self._ray:
            return
        ray = _import_ray()
        if not ray.is_initialized():
            self._connect(ray)
        self._check_nodes(ray)
        self._ray, self._work = ray, ray.remote(_work)

    def _connect(self, ray: Any) -> None:  # noqa: ANN401 - a module
        address = (os.environ.get("RAY_ADDRESS") or "auto") if self._address == "auto" else self._address
        if address.startswith("ray://"):
            raise self._refusal("a Ray client cannot stream results; run on a node of the cluster, with --cluster auto")
        host, _, port = address.rpartition(":")
        try:
            if address != "auto":
                socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()  # Ray would try for minutes
            ray.init(address=address, logging_level=logging.WARNING)
        except (OSError, RuntimeError, ValueError, OverflowError) as error:
            why = "expected auto or HOST:PORT" if address != "auto" and not port.isdecimal() else first_line(error)
            raise self._refusal(f"{why}; start a cluster with ray start --head, or name another") from None
        self._end = ray.shutdown

    def map(
        self, units: Iterable[Unit], make_job: Callable[[Unit], Task[Result]]
    ) -> Iterator[tuple[Unit, Result | str, float]]:
        """Run the jobs of units, on one CPU each, like ``Workers.map``."""
        return self.map_packs(([unit] for unit in units), make_job)

    def map_packs(
        self, packs: Iterable[Iterable[Unit]], make_job: Callable[[Unit], Task[Result]], *,
        make_engine: MakeEngine = ONE_BY_ONE, gpus: float = 0,
    ) -> Iterator[tuple[Unit, Result | str, float]]:  # fmt: skip
        """Run the jobs of each pack of units in one task, and yield each result as it arrives.

        Parameters
        ----------
        packs, make_job
            Units, and a function that makes the job of one; it is called when there is room for one more task.
        make_engine
            Makes the engine on the node, where it must exist under the same name.
        gpus
            GPUs of a task, in addition to its CPU.
        """
        todo, flying = deque(_Pack(dict(enumerate(pack))) for pack in packs), dict[Any, _Pack[Unit]]()
        if todo:
            self.start()
            self._require(gpus)
        try:
            while todo or flying:
                while todo and len(flying) < self._room(gpus):
                    pack = todo.popleft()
                    flying[self._send(pack, make_job, make_engine, gpus)] = pack
                (task,), _ = self._ray.wait(list(flying), num_returns=1)
                pack, news = flying[task], self._take(task)
                if isinstance(news, _End):
                    del flying[task]
                    if news.lost and pack.sent <= RETRIES:
                        todo.appendleft(pack)
                    else:
                        yield from ((unit, news.why, 0.0) for unit in pack.left.values())
                else:
                    at, result, seconds = news
                    yield pack.left.pop(at), result, seconds
        finally:  # Ctrl-C, or the reader of this generator has gone: nobody waits for what is in flight
            self._cancel(flying)

    def _send(
        self,
        pack: _Pack[Unit],
        make_job: Callable[[Unit], Task[Result]],
        make_engine: MakeEngine,
        gpus: float,
    ) -> Any:  # noqa: ANN401 - Ray's generator
        """Submit a task for what is left of a pack."""
        pack.sent += 1
        jobs = cloudpickle.dumps({at: make_job(unit) for at, unit in pack.left.items()})
        task = self._work.options(**_options(gpus), num_cpus=1, num_gpus=gpus, num_returns="streaming")
        return task.remote(jobs, _code(), make_engine)

    def _take(self, task: Any) -> tuple[int, Any, float] | _End:  # noqa: ANN401 - Ray's generator
        """Return the next result of a task that has one ready, or say that there is none."""
        errors = self._ray.exceptions
        try:
            return pickle.loads(self._ray.get(next(task)))
        except StopIteration:
            return _End()
        except errors.RayTaskError as error:
            return _End(_cause(error))
        except errors.RayError as error:
            return _End(f"lost {plural(RETRIES + 1, 'time')}: {first_line(error)}", lost=True)

    def _cancel(self, tasks: Iterable[Any]) -> None:
        for task in tasks:
            self._ray.cancel(task, force=True)

    def _room(self, gpus: float) -> int:
        """Return how many tasks may be in flight; nodes come and go."""
        there = self._ray.cluster_resources()
        places = min(there.get("CPU", 0), there.get("GPU", 0) / gpus if gpus else float("inf"))
        return max(1, int(AHEAD * places))

    def _require(self, gpus: float) -> None:
        """Refuse a cluster that has nothing for such tasks: Ray would wait for a node without end."""
        if self._ray.cluster_resources().get("GPU", 0) < gpus:
            raise self._refusal("no node of it has a GPU for tasks; add one, or use --device cpu")

    def _check_nodes(self, ray: Any) -> None:  # noqa: ANN401 - a module
        """Refuse a cluster without a CPU, or with a node on which a job would be another one."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        asked = []
        for node in ray.nodes():
            if node["Alive"] and node["Resources"].get("CPU"):
                there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                answer = ray.remote(_code).options(**_options(), num_cpus=0, scheduling_strategy=there).remote()
                asked.append((node["NodeManagerAddress"], answer))
        if not asked:
            raise self._refusal("no node of it has a CPU for tasks; add one with ray start --address")
        for node, answer in asked:
            try:
                code = ray.get(answer)
            except ray.exceptions.RayTaskError as error:
                raise self._refusal(f"node {node} cannot import nextday: {_cause(error)}; install it there") from None
            except ray.exceptions.RayError:
                continue  # the node has gone since
            if code != _code():
                raise self._refusal(f"node {node} has different code or libraries; install the same versions as here")

    def _refusal(self, what: str) -> StudyError:
        return StudyError(f"--cluster {self._address}: {what}")


def open_workers(count: int | None = None, cluster: str | None = None) -> Workers | Cluster:
    """Return the engine that fits units: local processes, or the cluster at an address.

    Raises
    ------
    OptionError
        If both are requested.
    """
    if cluster is None:
        return Workers(count)
    if count is not None:
        raise OptionError("--workers sets local processes, --cluster uses a cluster; give only one of them")
    return Cluster(cluster)


def _work(jobs: bytes, code: bytes, make_engine: MakeEngine) -> Iterator[bytes]:
    """Do a pack of jobs, on a node; it may have joined the cluster after the others were checked."""
    if code != _code():
        raise TrainingError("this node has different code or libraries; install the same versions on all")
    tasks = pickle.loads(jobs)
    with make_engine() as pool:
        for done in pool.map(tasks, tasks.__getitem__):
            yield pickle.dumps(done)


def _code() -> bytes:
    """Digest what takes part in a job, where this is called."""
    return code_fingerprint(*CODE)


def _options(gpus: float = 0) -> dict[str, Any]:
    """Return the environment of a local worker, set by Ray before the process starts, and other common task options.

    A task that asked for no GPU sees none: its result must not depend on the node. Ray repeats no task: it would repeat
    the units of a pack that are done.
    """
    hidden = {} if gpus else {"CUDA_VISIBLE_DEVICES": ""}
    return {"runtime_env": {"env_vars": {**ALLOCATOR, **THREADS, **hidden}}, "max_retries": 0}


def _cause(error: Any) -> str:  # noqa: ANN401 - Ray's error
    """Return the line that says what a task died of: the last, as Ray puts a page before what an import says."""
    return next(filter(None, reversed(str(error.cause).splitlines())), type(error.cause).__name__)


def _import_ray() -> Any:  # noqa: ANN401 - a module that need not be there
    try:
        import ray
    except ImportError:
        raise StudyError("--cluster: Ray is not installed; pip install 'nextday[ray]'") from None
    return ray
