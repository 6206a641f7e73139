import io
import os
import pickle
import re
import signal
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import cloudpickle
import numpy as np
import pytest

import nextday
from nextday.data import align
from nextday.engine import Workers, make_plan
from nextday.engine.worker import send, warn_once
from nextday.errors import TrainingError
from nextday.models import Key
from nextday.samples import Samples
from nextday.study import Study


@pytest.fixture
def plan(bars, quick):
    variants = {"LSTM-Raw": quick["variants"]["LSTM-Raw"], "Zero": quick["variants"]["Zero"]}
    return make_plan(Study.from_values({**quick, "variants": variants, "conformal": {}}), align(bars, market="MKT"))


def broken(plan, victim):
    """Make jobs, that of the victim with a target that is not a number."""

    def make_job(unit):
        job = plan.job(unit)
        return replace(job, train=Samples(job.train.windows, job.train.y * np.nan)) if unit == victim else job

    return make_job


def results_of(workers, plan, make_job):
    return {unit: result for unit, result, _ in workers.map(plan.units, make_job)}


class Said:
    """A job whose result is a text, if it has one."""

    def __init__(self, text):
        self.text = text

    def run(self):
        if not self.text:
            raise TrainingError("nothing to say")
        return self.text


cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import this file


def framed(job):
    """Lay a job out as it is written to a worker."""
    stream = io.BytesIO()
    send(job, stream)
    return stream.getvalue()


@pytest.mark.usefixtures("light_workers")
def test_workers_serve_after_a_unit_has_failed_and_end_with_the_pool():
    with Workers(2) as workers:
        results = {text: result for text, result, _ in workers.map(["a", "", "b", "c"], Said)}
        stream = workers.map("abcd", Said)
        next(stream)
    assert results == {"a": "a", "": "nothing to say", "b": "b", "c": "c"}
    assert len(workers._all) == 2
    assert all(process.returncode is not None for process in workers._all)
    stream.close()


@pytest.mark.usefixtures("light_workers")
def test_workers_end_when_nobody_reads_their_results():
    with Workers(1) as workers:
        next(iter(workers.map("ab", Said)))
        assert workers._all[0].returncode is not None


@pytest.fixture(scope="module")
def one():
    """A pool of one process, or of the one that has taken its place."""
    with Workers(1) as workers:
        yield workers


def test_a_worker_that_is_killed_costs_its_unit_alone(plan, one):
    victim = plan.units[0]

    def make_job(unit):
        if unit == victim:
            os.kill(one._all[-1].pid, signal.SIGKILL)
        return plan.job(unit)

    results = results_of(one, plan, make_job)
    assert results.pop(victim) == "the worker process ended (exit status -9); out of memory or killed"
    assert len(results) == len(plan.units) - 1
    assert not any(isinstance(result, str) for result in results.values())


@pytest.mark.parametrize("count", [0, 1])
def test_a_unit_that_fails_says_why_and_the_others_finish(plan, one, count):
    victim = plan.units[0]
    results = results_of(one if count else Workers(0), plan, broken(plan, victim))
    assert results.pop(victim) == "the loss is not finite in epoch 1: nan, nan"
    assert len(results) == len(plan.units) - 1
    assert not any(isinstance(result, str) for result in results.values())


def test_a_unit_that_finds_no_memory_says_so_and_its_worker_goes_on(plan, one):
    resource = pytest.importorskip("resource")
    if not hasattr(resource, "prlimit"):
        pytest.skip("the memory of another process can be limited on Linux alone")
    victim = plan.units[2]

    def make_job(unit):
        worker, job = one._all[-1], plan.job(unit)
        limit = resource.RLIM_INFINITY
        if unit == victim:
            limit = 1024 * int(re.search(r"VmSize:\s+(\d+)", Path(f"/proc/{worker.pid}/status").read_text())[1])
            job = replace(job, model=replace(job.model, hidden=2000))  # 64 MB a layer
        resource.prlimit(worker.pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        return job

    results = results_of(one, plan, make_job)
    assert results.pop(victim) == "out of memory; use fewer workers or a smaller model"
    assert not any(isinstance(result, str) for result in results.values())


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB")])
def test_lack_of_memory_is_said_in_words(plan, monkeypatch, capfd, error):
    def fit_predict(*_, **__):
        raise error

    monkeypatch.setattr("nextday.models.networks.forecasters.Lstm.fit_predict", fit_predict)
    ((_, result, _),) = Workers(0).map(plan.units[:1], plan.job)
    assert result.startswith("out of memory")
    assert capfd.readouterr().err == ""


def test_a_worker_whose_parent_is_gone_before_it_looks_ends():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    code = f"from nextday.engine.worker import main; main({gone.pid})"
    worker = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert worker.wait(30) == 1
    worker.communicate()


def test_on_windows_whose_parent_is_a_launcher_a_worker_serves_until_its_input_ends():
    code = "import os; from nextday.engine import worker; os.name = 'nt'; worker.find_torch = lambda: None; worker.main(-1)"
    done = subprocess.run([sys.executable, "-c", code], input=framed(Said("yes")), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert pickle.loads(done.stdout)[0] == "yes"


def test_failures_are_named_the_rest_is_kept_and_only_the_missing_is_tried_again(bars, quick, tmp_path, monkeypatch):
    variants = {name: quick["variants"][name] for name in ("LSTM-Raw", "Zero")}
    study = Study.from_values({**quick, "variants": variants, "conformal": {}})
    with monkeypatch.context() as patch:
        patch.setattr("nextday.models.networks.forecasters.Lstm.build", lambda self, features: 1 / 0)
        with pytest.raises(
            TrainingError,
            match=r"2 of 4 units failed; LSTM-Raw AAA seed 1: ZeroDivisionError: division by zero; .*fix the cause and rerun",
        ):
            nextday.forecast(study, bars=bars.frame, out=tmp_path, workers=0)
    assert not (tmp_path / "quick" / "manifest.json").exists()
    seen = []
    nextday.forecast(
        study, bars=bars.frame, out=tmp_path, workers=0, watch=lambda stream, _: (seen.append(o) or o for o in stream)
    )
    assert {outcome.unit.variant for outcome in seen if outcome.reused} == {"Zero"}
    assert {outcome.unit.variant for outcome in seen if not outcome.reused} == {"LSTM-Raw"}


def test_streams_differ_by_seed_ticker_fold_and_name():
    keys = [Key(1, "A", 0), Key(2, "A", 0), Key(1, "B", 0), Key(1, "A", 1), Key(11, "A", 0)]
    streams = {key.stream(name) for key in keys for name in ("shuffle", "dropout")}
    assert len(streams) == 2 * len(keys)


@pytest.mark.skipif(sys.platform != "linux", reason="quotas of containers are Linux's")
@pytest.mark.parametrize(
    ("quota", "affinity", "count"), [("max 100000", 8, 8), ("350000 100000", 8, 4), ("50000 100000", 8, 1), ("max 100000", 3, 3)]
)  # fmt: skip
def test_the_number_of_workers_respects_the_quota_of_a_container_and_the_affinity(
    monkeypatch, tmp_path, quota, affinity, count
):
    """Six processes on a quota of two cores take turns, and each holds its memory."""
    limits, opened, exists = tmp_path / "cpu.max", open, os.path.exists
    limits.write_text(quota)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(affinity)))
    monkeypatch.setattr(os.path, "exists", lambda path: path == "/sys/fs/cgroup/cpu.max" or exists(path))
    monkeypatch.setattr(
        "builtins.open",
        lambda file, *more, **options: opened(limits if file == "/sys/fs/cgroup/cpu.max" else file, *more, **options),
    )
    assert Workers().count == count
    assert Workers(5).count == 5


def test_a_worker_shows_the_warnings_of_a_line_once(monkeypatch):
    seen = []
    monkeypatch.setattr(warnings, "showwarning", lambda message, *_: seen.append(str(message)))
    warn_once()
    with warnings.catch_warnings(action="always"):
        for number in range(3):
            warnings.warn(f"not converged after {number}", UserWarning, stacklevel=1)
        warnings.warn("of another line", UserWarning, stacklevel=1)
    assert seen == ["not converged after 0", "of another line"]
