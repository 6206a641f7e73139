"""The process that fits: its ``main`` reads jobs from standard input and writes results to standard output.

It is its own program rather than a ``multiprocessing`` child, so that a user's script needs no ``__main__`` guard.
"""

import contextlib
import os
import pickle
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Protocol, TypeVar

import cloudpickle

from nextday.engine.needs import find_torch
from nextday.errors import NextdayError, first_line

Result = TypeVar("Result", covariant=True)
LENGTH = 8  # bytes that say how long a job is


class Task(Protocol[Result]):
    """What a worker can do: a value that holds all it needs, and can be pickled."""

    def run(self) -> Result:
        """Do it."""


def fit(job: Task[Result]) -> Result:
    """Do one job on one thread."""
    with one_thread():
        return job.run()


def attempt(job: Task[Result]) -> tuple[Result | str, float]:
    """Do a job; give its result, or say why there is none, and the seconds it took."""
    start = time.perf_counter()
    try:
        result: Result | str = fit(job)
    except Exception as error:  # noqa: BLE001 - whatever breaks one unit must not take the others with it
        result = explain(error)
    return result, time.perf_counter() - start


def explain(error: Exception) -> str:
    """Say why there is no result, in a line; a mistake of nextday's own also leaves its traceback."""
    if isinstance(error, NextdayError):
        return str(error)
    if isinstance(error, ImportError):
        return f"{type(error).__name__}: {first_line(error)}; whoever fits needs it, too: install it there"
    if _is_lack_of_memory(error):
        return "out of memory; fewer workers or a smaller model need less"
    traceback.print_exc()
    return f"{type(error).__name__}: {error}"


def _is_lack_of_memory(error: Exception) -> bool:
    """Recognise what Python and NumPy raise, and PyTorch on a CPU and on a GPU."""
    texts = ("can't allocate memory", "out of memory")
    return isinstance(error, MemoryError) or any(text in str(error) for text in texts)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Set PyTorch to one thread and no denormals, as results must not depend on the machine's cores."""
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


def main(parent: int) -> None:
    """Serve jobs until the input ends, or the process ``parent`` does."""
    jobs, results = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a stray print must not end up among the results
    if os.name == "posix":  # on Windows the parent is the launcher of the virtual environment, not ``parent``
        threading.Thread(target=_die_with, args=(parent,), daemon=True).start()
    find_torch()  # now, while the parent reads the bars

    while length := jobs.read(LENGTH):
        content = jobs.read(int.from_bytes(length, "big"))
        pickle.dump(attempt(Unpacked(content)), results)
        results.flush()


def send(job: object, stream: IO[bytes]) -> None:
    """Write a job to a worker, after its length: if it cannot be read there, that job fails and the worker goes on."""
    content = cloudpickle.dumps(job)
    stream.write(len(content).to_bytes(LENGTH, "big") + content)
    stream.flush()


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A job as it came: reading it is part of doing it."""

    content: bytes

    def run(self) -> Any:  # noqa: ANN401 - whatever the job gives
        """Read it and do it."""
        return pickle.loads(self.content).run()
