"""Units fitted in stacks: each gets its result or its reason, and memory is bounded."""

import numpy as np
import pytest
import torch

from nextday.data import align
from nextday.engine import Stacked, Workers, make_plan
from nextday.errors import TrainingError
from nextday.models.networks import stack, training
from nextday.study import Study


@pytest.fixture(scope="module")
def plan(bars, quick):
    names = ("Zero", "LSTM-Raw", "LSTM-Feat", "Trans-Prob")
    variants, training = {name: quick["variants"][name] for name in names}, {**quick["training"], "max_epochs": 1}
    study = Study.from_values({**quick, "variants": variants, "training": training, "seeds": [1, 2], "conformal": {}})
    return make_plan(study, align(bars, market="MKT"))


def fitted(plan, make_job=None, slots=3):
    with Workers(0) as workers:
        found = list(Stacked(workers, device="cpu", slots=slots).map(plan.units, make_job or plan.job))
    assert sorted(map(str, plan.units)) == sorted(str(unit) for unit, *_ in found)
    return {unit: result for unit, result, _ in found}


def test_networks_are_stacked_and_the_others_handed_on(plan, monkeypatch):
    asked = []
    train_stack = stack.train_stack
    monkeypatch.setattr(
        stack, "train_stack", lambda model, *rest, **more: (asked.append(model), train_stack(model, *rest, **more))[1]
    )
    found = fitted(plan)
    assert sorted(type(model).__name__ for model in asked) == ["Lstm", "Transformer"]  # the LSTMs share a stack
    for unit, result in found.items():
        job = plan.job(unit)
        theirs = job.run()  # its masks are others
        assert result.predicted.shape == theirs.predicted.shape
        assert result.quantiles.shape == theirs.quantiles.shape
        assert result.parameters == theirs.parameters
        if unit.variant.startswith("LSTM"):
            kept = job.model.build(len(job.test.names))
            kept.load_state_dict({name: torch.from_numpy(value) for name, value in result.weights.items()})
            np.testing.assert_allclose(training.predict(kept, job.test, device="cpu")[0], result.predicted, atol=1e-6)


def test_a_unit_that_cannot_start_leaves_the_others_alone(plan):
    def make_job(unit):
        if (unit.variant, unit.ticker, unit.seed) == ("LSTM-Feat", "AAA", 2):
            raise TrainingError("no such thing")
        return plan.job(unit)

    found = fitted(plan, make_job)
    assert [result for result in found.values() if isinstance(result, str)] == ["no such thing"]


def test_a_stack_that_breaks_leaves_other_models_alone(plan, monkeypatch):
    train_stack = stack.train_stack

    def break_lstm(model, members, **more):
        if type(model).__name__ == "Lstm":
            next(members)
            raise RuntimeError("CUDA out of memory")
        yield from train_stack(model, members, **more)

    monkeypatch.setattr(stack, "train_stack", break_lstm)
    found = fitted(plan)
    for unit, result in found.items():
        assert ("out of memory" in result) if unit.variant.startswith("LSTM") else result.predicted.size


def test_waiting_units_are_not_made_before_there_is_a_place(plan):
    made, done, most = 0, 0, 0

    def make_job(unit):
        nonlocal made
        made += unit.variant != "Zero"
        return plan.job(unit)

    with Workers(0) as workers:
        for unit, *_ in Stacked(workers, device="cpu", slots=2).map(plan.units, make_job):
            done += unit.variant != "Zero"
            most = max(most, made - done)
    assert most <= 2 + 3  # the places, and one look at each of the three variants
