import os
import shutil
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from chores import Die, Fail, Linger, Look
from nextday.data import align, random_walk
from nextday.engine import Packed, Stacked, Workers, make_plan, open_workers, stacked
from nextday.engine import cluster as module
from nextday.engine.cluster import Cluster
from nextday.engine.workers import ALLOCATOR, THREADS
from nextday.errors import StudyError
from nextday.ladder.run import run_all
from nextday.pipeline import forecast
from nextday.study import Study

ray = pytest.importorskip("ray")
HERE = Path(__file__).parents[1]
SMALL = {"object_store_memory": 100_000_000, "include_dashboard": False}


MORE = pytest.mark.slow  # a second node, its processes and their imports: 10 to 40 s of two cores each


@pytest.fixture(scope="module")
def nodes():
    """A cluster of one node of one CPU; slow tests have a second, which also has what it takes for a GPU and may be killed."""
    from ray.cluster_utils import Cluster as Nodes

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), str(HERE.parent / "src")]))
        nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 1, **SMALL})
        yield nodes
        nodes.shutdown()


@pytest.fixture
def second(nodes):
    """The second node; where it was killed, another."""
    return next(iter(nodes.worker_nodes), None) or nodes.add_node(num_cpus=1, num_gpus=1, **SMALL)


@pytest.fixture(scope="module")
def connected(nodes):
    """One connection: what one test has started is there for the next."""
    with Cluster(nodes.address) as cluster:
        cluster.start()
        yield cluster


@pytest.fixture
def cluster(connected, second):
    return connected


def alive(process):
    return Path(f"/proc/{process}").exists()


def wait(until):
    end = time.monotonic() + 60
    while not until():
        assert time.monotonic() < end
        time.sleep(0.05)


def results(stream):
    return {unit: result for unit, result, _ in stream}


@MORE
def test_guests_of_a_plugin_are_fitted_on_nodes_that_have_no_file_of_theirs(nodes, second, bars, tmp_path):
    examples = HERE.parent / "docs" / "examples"
    for name in ("my_lab.py", "my_lab.yaml"):
        shutil.copy(examples / name, tmp_path)
    small = {"market": "MKT", "accept": "*", "training.max_epochs": "2", "lookback": "10", "seeds": "1"}
    study = Study.load(tmp_path / "my_lab.yaml", small)
    there = forecast(study, bars=bars.frame, out=tmp_path / "there", cluster=nodes.address)
    here = forecast(study, bars=bars.frame, out=tmp_path / "here", workers=0)
    assert (there / "forecasts.parquet").read_bytes() == (here / "forecasts.parquet").read_bytes()


@MORE
def test_a_study_on_two_nodes_of_which_one_is_killed_is_that_of_local_processes(nodes, second, quick, tmp_path):
    tickers = [f"T{at:02}" for at in range(5)]
    bars = random_walk(tickers=(*tickers, "MKT"), sessions=260, seed=0).frame
    variants = {name: quick["variants"][name] for name in ("LSTM-Raw", "LSTM-OHLCV", "LSTM-Feat")}
    study = Study.from_values({**quick, "variants": variants, "conformal": {}, "seeds": [1, 2]})
    seen = []

    def watch(outcomes, total):
        for outcome in outcomes:
            seen.append(outcome)
            if len(seen) == 10:
                nodes.remove_node(second, allow_graceful=False)
            yield outcome

    there = forecast(study, bars=bars, out=tmp_path / "there", cluster=nodes.address, watch=watch)
    here = forecast(study, bars=bars, out=tmp_path / "here", workers=0)
    assert len(seen) == 30
    assert not any(outcome.reused for outcome in seen)
    for table in ("forecasts", "history"):
        assert (there / f"{table}.parquet").read_bytes() == (here / f"{table}.parquet").read_bytes()


@MORE
def test_what_a_lost_node_had_in_hand_is_done_by_another(nodes, second, cluster, tmp_path):
    free, marks = tmp_path / "free", [tmp_path / "a", tmp_path / "b"]

    def lose():
        wait(lambda: all(mark.exists() and mark.read_text() for mark in marks))
        began = [int(mark.read_text()) for mark in marks]
        nodes.remove_node(second, allow_graceful=False)
        wait(lambda: not all(alive(process) for process in began))
        free.touch()

    killer, made = threading.Thread(target=lose), []
    killer.start()
    done = results(cluster.map(marks, lambda mark: made.append(mark) or Linger(mark, free)))
    killer.join()
    assert len(made) == 3
    assert done[marks[0]] == done[marks[1]]


@MORE
def test_a_unit_that_kills_whatever_it_runs_on_is_given_up_and_the_others_finish(cluster, monkeypatch):
    monkeypatch.setattr(module, "RETRIES", 1)
    done = results(cluster.map(["bad", "good"], {"bad": Die(), "good": Look(np.ones(1))}.__getitem__))
    assert done["bad"].startswith("lost 2 times: ")
    assert "\n" not in done["bad"]
    assert not isinstance(done["good"], str)


def test_a_unit_that_fails_says_why_and_the_others_finish(connected):
    done = results(connected.map(["bad", "good"], {"bad": Fail(), "good": Look(np.ones(1))}.__getitem__))
    assert done["bad"] == "ArithmeticError: first"
    assert not isinstance(done["good"], str)


@MORE
def test_a_job_sees_what_it_sees_in_a_local_worker(cluster):
    rows = np.ones(1_000_000)
    with open_workers(1) as workers:
        ((_, here, _),) = workers.map([0], lambda _: Look(rows))
    ((_, there, _),) = cluster.map([0], lambda _: Look(rows))
    for _, began, environment, threads, tiny, own in (here, there):
        assert {**ALLOCATOR, **THREADS}.items() <= began.items()
        assert {**ALLOCATOR, **THREADS}.items() <= environment.items()
        assert (threads, tiny, own) == (1, 0, True)
    assert there[2]["CUDA_VISIBLE_DEVICES"] == ""  # also on a node that has one


@MORE
def test_a_pack_is_one_task_and_gives_its_results_one_by_one(cluster, tmp_path):
    marks = [tmp_path / "first", tmp_path / "second", tmp_path / "free"]
    jobs = {0: Linger(marks[0], tmp_path), 1: Linger(marks[1], marks[2]), 2: Look(np.ones(1))}
    stream = cluster.map_packs([[0, 1, 2]], jobs.__getitem__, gpus=1)
    _, process, _ = next(stream)
    marks[2].touch()
    (_, again, _), (_, seen, _) = stream
    assert process == again == seen[0]
    assert seen[2]["CUDA_VISIBLE_DEVICES"] == "0"
    with pytest.raises(StudyError, match="no node of it has a GPU for tasks"):
        next(cluster.map_packs([[0]], jobs.__getitem__, gpus=9))  # a node that was killed counts for a while


@MORE
def test_jobs_are_made_when_there_is_room_and_cancelled_when_nobody_waits(cluster, tmp_path):
    marks = [tmp_path / str(at) for at in range(40)]
    made = []
    stream = cluster.map(
        marks, lambda mark: made.append(mark) or Linger(mark, tmp_path if mark in marks[:2] else mark / "never")
    )
    next(stream)
    assert 2 <= len(made) <= 6
    wait(lambda: any(mark.exists() and mark.read_text() for mark in marks[2:]))
    running = [int(mark.read_text()) for mark in marks[2:] if mark.exists() and mark.read_text()]
    stream.close()
    wait(lambda: not any(alive(process) for process in running))
    wait(lambda: ray.available_resources().get("CPU") == 2)
    assert len(made) <= 6


@MORE
@pytest.mark.parametrize("damage", ["other code", "no nextday"])
def test_a_node_with_another_nextday_is_refused_in_one_line(nodes, second, tmp_path, damage):
    shutil.copytree(HERE.parent / "src" / "nextday", tmp_path / "nextday")
    file, text = (
        ("models/base.py", "\n# changed\n") if damage == "other code" else ("__init__.py", "\nimport nothing\n")
    )
    with (tmp_path / "nextday" / file).open("a") as changed:
        changed.write(text)
    third = nodes.add_node(num_cpus=1, env_vars={"PYTHONPATH": str(tmp_path)}, **SMALL)
    try:
        with Cluster(nodes.address) as another, pytest.raises(StudyError) as caught:
            another.start()
    finally:
        nodes.remove_node(third, allow_graceful=False)
    said = str(caught.value)
    assert said.startswith(f"--cluster {nodes.address}: node ")
    assert said.endswith(
        " has different code or libraries; install the same versions as here"
        if damage == "other code"
        else "cannot import nextday: ModuleNotFoundError: No module named 'nothing'; install it there"
    )


@MORE
def test_nodes_with_another_nextday_are_refused_and_one_that_joins_later_does_nothing(nodes, cluster, monkeypatch):
    monkeypatch.setattr(module, "CODE", ("models",))
    with (
        Cluster(nodes.address) as another,
        pytest.raises(StudyError, match=r"has different code or libraries; install the"),
    ):
        another.start()
    ((_, why, _),) = cluster.map([0], lambda _: Fail())
    assert why == "this node has different code or libraries; install the same versions on all"


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("127.0.0.1:1", "Connection refused; start a cluster with ray start --head, or name another"),
        ("127.0.0.1:66000", "start a cluster"),
        ("nonsense", "expected auto or HOST:PORT; start"),
        ("ray://127.0.0.1:10001", "a Ray client cannot stream results; run on a node of the cluster"),
    ],
)
def test_an_address_without_a_cluster_is_one_line(monkeypatch, address, says):
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    with open_workers(cluster=address) as cluster, pytest.raises(StudyError) as caught:
        cluster.start()
    assert str(caught.value).startswith(f"--cluster {address}: ")
    assert says in str(caught.value)
    monkeypatch.setenv("RAY_ADDRESS", address)
    with open_workers(cluster="auto") as cluster, pytest.raises(StudyError, match=says):
        cluster.start()


def test_a_missing_ray_is_one_line_and_a_finished_study_needs_none(bars, quick, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    study = Study.from_values({**quick, "variants": {"Zero": quick["variants"]["Zero"]}, "conformal": {}})
    with pytest.raises(StudyError, match=r"^--cluster: Ray is not installed; pip install 'nextday\[ray\]'$"):
        forecast(study, bars=bars.frame, out=tmp_path, cluster="auto")
    forecast(study, bars=bars.frame, out=tmp_path, workers=0)
    forecast(study, bars=bars.frame, out=tmp_path, cluster="auto")


def test_workers_and_a_cluster_exclude_each_other_also_for_all_stages(tmp_path):
    with pytest.raises(StudyError, match="give only one of them"):
        open_workers(2, "auto")
    with pytest.raises(StudyError, match="give only one of them"):
        run_all(out=tmp_path, workers=2, cluster="auto")


def stacks_of_two():
    """Make what stands for a GPU's engine, on a CPU."""
    return Stacked(Workers(0), device="cpu", slots=2)


@MORE
def test_networks_go_to_the_gpus_in_packs_and_the_others_to_cpus(cluster, bars, quick, monkeypatch):
    monkeypatch.setattr(stacked, "PACK", 3)
    names = ("Zero", "LSTM-Raw", "LSTM-Feat")
    variants = {name: quick["variants"][name] for name in names}
    study = Study.from_values({**quick, "variants": variants, "conformal": {}, "seeds": [1, 2]})
    plan = make_plan(study, align(bars, market="MKT"))
    packed = Packed(cluster, make_engine=stacks_of_two, gpus=1)
    found = results(packed.map(plan.units, plan.job))
    assert set(found) == set(plan.units)
    for unit, result in found.items():
        assert result.predicted.shape == plan.job(unit).run().predicted.shape
    assert results(packed.map(plan.units[-1:], plan.job))[plan.units[-1]].best_epoch > 0
