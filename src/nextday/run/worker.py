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

import numpy as np

from nextday.errors import NextdayError, TrainingError
from nextday.models import Fitted
from nextday.run.plan import Job


def fit(job: Job) -> Fitted:
    """Fit and forecast one unit on one thread, and check that its forecasts are numbers."""
    with _one_thread():
        fitted = job.model.fit_predict(job.train, job.valid, job.test, key=job.key)
    if fitted.predicted.shape != (len(job.test),) or not np.isfinite(fitted.predicted).all():
        raise TrainingError(f"forecasts are not {len(job.test)} finite numbers")
    for quantiles in (fitted.quantiles, fitted.valid_quantiles):
        if not (np.isfinite(quantiles).all() and (np.diff(quantiles, axis=1) >= 0).all()):
            raise TrainingError("quantiles are not finite numbers in order")
    return fitted


def attempt(job: Job) -> tuple[Fitted | str, float]:
    """Fit a unit; give its result, or say why there is none, and the seconds it took."""
    start = time.perf_counter()
    try:
        result: Fitted | str = fit(job)
    except NextdayError as error:
        result = str(error)
    except Exception as error:  # noqa: BLE001 - whatever breaks one unit must not take the others with it
        if _is_lack_of_memory(error):
            result = "out of memory; fewer workers or a smaller model need less"
        else:
            traceback.print_exc()
            result = f"{type(error).__name__}: {error}"
    return result, time.perf_counter() - start


def _is_lack_of_memory(error: Exception) -> bool:
    """Recognise what Python and NumPy raise, and PyTorch on a CPU and on a GPU."""
    texts = ("can't allocate memory", "out of memory")
    return isinstance(error, MemoryError) or any(text in str(error) for text in texts)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Set PyTorch to one thread and no denormals, as results must not depend on the machine's cores."""
    import torch

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
    threading.Thread(target=_die_with, args=(parent,), daemon=True).start()
    import torch  # noqa: F401 - now, while the parent reads the bars

    while True:
        try:
            job = pickle.load(jobs)
        except EOFError:
            return
        pickle.dump(attempt(job), results)
        results.flush()
