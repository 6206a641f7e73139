import pytest

from nextday.data import align
from nextday.engine import make_plan
from nextday.engine.plan import fingerprint
from nextday.study import Study


@pytest.fixture(scope="module")
def plan(bars, quick):
    """All models and representations, two seeds."""
    return make_plan(Study.from_values(quick | {"seeds": [1, 2]}), align(bars, market="MKT"))


def test_a_unit_is_named_by_what_its_own_job_contains(plan):
    names = {}
    for unit in plan.units:
        job = plan.job(unit)
        names[unit] = fingerprint(job.model, job.key, job.inputs())
    assert {unit: plan.fingerprint(unit) for unit in plan.units} == names
    assert len(set(names.values())) == len(names)


def test_seeds_and_models_with_the_same_inputs_cut_them_once(plan, monkeypatch):
    plan.digests.clear()
    made = []
    job = type(plan).job
    monkeypatch.setattr(type(plan), "job", lambda self, unit: made.append(unit) or job(self, unit))
    for unit in plan.units:
        plan.fingerprint(unit)
    assert len(made) == len(plan.digests) < len(plan.units) / 3
