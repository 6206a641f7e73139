"""The worker process: ``main`` reads jobs from standard input and writes epochs and results to standard output.

It is its own program rather than a ``multiprocessing`` child, so that a user's script needs no ``__main__`` guard.
"""

import contextlib
import os
import pickle
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Protocol, TextIO, TypeVar

import cloudpickle

from nextday.engine.needs import find_torch
from nextday.errors import NextdayError, first_line
from nextday.progress import EPOCH, listening

Result = TypeVar("Result", covariant=True)
LENGTH = 8  # bytes that say how long a job is


class Task(Protocol[Result]):
    """Interface of jobs: picklable values that contain all their inputs."""

    def run(self) -> Result:
        """Do it."""


def fit(job: Task[Result]) -> Result:
    """Run one job on one thread."""
    with one_thread():
        return job.run()


def attempt(job: Task[Result]) -> tuple[Result | str, float]:
    """Run a job; return its result or the reason of its failure, and the seconds."""
    start = time.perf_counter()
    try:
        result: Result | str = fit(job)
    except Exception as error:  # noqa: BLE001 - whatever breaks one unit must not take the others with it
        result = explain(error)
    return result, time.perf_counter() - start


def explain(error: Exception) -> str:
    """Describe a failure in one line; a bug of nextday also prints its traceback."""
    if isinstance(error, NextdayError):
        return str(error)
    if isinstance(error, ImportError):
        return f"{type(error).__name__}: {first_line(error)}; the worker needs it too: install it there"
    if _is_lack_of_memory(error):
        return "out of memory; use fewer workers or a smaller model"
    traceback.print_exc()
    return f"{type(error).__name__}: {error}"


def _is_lack_of_memory(error: Exception) -> bool:
    """Recognise what Python and NumPy raise, and PyTorch on a CPU and on a GPU."""
    texts = ("can't allocate memory", "out of memory")
    return isinstance(error, MemoryError) or any(text in str(error) for text in texts)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Set PyTorch to one thread and no denormals, because results must not depend on the number of cores."""
    torch = find_torch()
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_flush_denormal(False)


def _die_with(parent: int) -> None:
    """End this process soon after its parent is gone, in the middle of a unit if need be."""
    while os.getppid() == parent:
        time.sleep(0.1)  # importing PyTorch holds the lock for half a second as it is
    os._exit(1)


def warn_once() -> None:
    """Show the warnings of a line of code once, whatever a library's filters say: all units raise the same ones."""
    seen, show = set(), warnings.showwarning

    def show_first(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None,
        line: str | None = None,
    ) -> None:  # fmt: skip
        place = (category, filename, lineno)
        if place not in seen:
            seen.add(place)
            show(message, category, filename, lineno, file, line)

    warnings.showwarning = show_first


def main(parent: int) -> None:
    """Serve jobs until the input or the process ``parent`` ends."""
    jobs, results = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a stray print must not end up among the results
    if os.name == "posix":  # on Windows the parent is the launcher of the virtual environment, not ``parent``
        threading.Thread(target=_die_with, args=(parent,), daemon=True).start()
    warn_once()
    find_torch()  # now, while the parent reads the bars

    def write(message: object) -> None:
        pickle.dump(message, results)
        results.flush()

    while length := jobs.read(LENGTH):
        content = jobs.read(int.from_bytes(length, "big"))
        with listening(write, every=EPOCH):
            write(attempt(Unpacked(content)))


def send(job: object, stream: IO[bytes]) -> None:
    """Write a job to a worker, after its length: if it cannot be read there, it fails and the worker continues."""
    content = cloudpickle.dumps(job)
    stream.write(len(content).to_bytes(LENGTH, "big") + content)
    stream.flush()


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A pickled job: unpickling it is part of running it."""

    content: bytes

    def run(self) -> Any:  # noqa: ANN401 - whatever the job gives
        """Unpickle and run it."""
        return pickle.loads(self.content).run()
