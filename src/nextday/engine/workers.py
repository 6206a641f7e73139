"""Local worker processes: one single-threaded process per core, fed by one thread each."""

import contextlib
import os
import pickle
import queue
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from nextday.engine.worker import Task, attempt, send
from nextday.progress import Epoch, report

# glibc hands an LSTM's workspace back to the kernel at every step unless both thresholds are high: 67,000 page faults
# an epoch, half of the time. Other C libraries ignore the variables.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(1 << 30)}
THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}

Unit = TypeVar("Unit")  # what names a job
Result = TypeVar("Result")


class Engine(Protocol):
    """Interface of engines, which run the jobs of units."""

    def map(
        self, units: Iterable[Any], make_job: Callable[[Any], Any]
    ) -> Iterator[tuple[Any, Any, float]]:  # fmt: skip
        """Yield each unit, the result of its job or the reason of its failure, and seconds."""
        ...


class Workers:
    """A pool of processes that fit units; started early, they load PyTorch while the bars are read.

    Parameters
    ----------
    count
        Number of processes; default: the cores available to this process, by its affinity and the CPU quota of its
        container; 0 fits in this process, one unit after another, which suits a debugger.
    """

    def __init__(self, count: int | None = None) -> None:
        from joblib import cpu_count

        self.count = cpu_count() if count is None else count
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        self._all: list[subprocess.Popen[bytes]] = []
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def start(self) -> None:
        """Start the processes unless they run; ``map`` does so when there is something to fit."""
        for _ in range(self.count - len(self._all)):
            self._idle.put(self._start())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kill()
        for process in self._all:
            with contextlib.suppress(BrokenPipeError):
                process.communicate()  # closes the pipes

    def map(
        self, units: Iterable[Unit], make_job: Callable[[Unit], Task[Result]]
    ) -> Iterator[tuple[Unit, Result | str, float]]:
        """Run the jobs of units, yielded in the order of completion; each is made only when a thread is free.

        Yields the unit, its result or the reason of its failure, and seconds.
        """
        if not self.count:
            yield from ((unit, *attempt(make_job(unit))) for unit in units)
            return
        threads, units = ThreadPoolExecutor(self.count), list(units)
        try:
            if units:
                self.start()
            for future in as_completed([threads.submit(self._fit, unit, make_job) for unit in units]):
                yield future.result()
        except BaseException:  # Ctrl-C, or the reader of this generator has gone: do not wait for units in flight
            self._kill()
            raise
        finally:
            threads.shutdown(cancel_futures=True)

    def _fit(self, unit: Unit, make_job: Callable[[Unit], Task[Result]]) -> tuple[Unit, Result | str, float]:
        job = make_job(unit)
        process = self._idle.get()
        try:
            send(job, process.stdin)  # type: ignore[arg-type]
            while isinstance(message := pickle.load(process.stdout), Epoch):  # type: ignore[arg-type]
                report(replace(message, unit=str(unit)))
            result, seconds = message
        except (EOFError, OSError, pickle.UnpicklingError):
            status = process.wait()
            self._idle.put(process if self._closed else self._start())  # even a dead one: somebody may be waiting
            return unit, f"the worker process ended (exit status {status}); out of memory or killed", 0.0
        self._idle.put(process)
        return unit, result, seconds

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", f"from nextday.engine.worker import main; main({os.getpid()})"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, **ALLOCATOR, **THREADS}, start_new_session=True,  # Ctrl-C reaches the parent alone
        )  # fmt: skip
        self._all.append(process)
        return process

    def _kill(self) -> None:
        self._closed = True
        for process in self._all:
            process.kill()
            process.wait()
