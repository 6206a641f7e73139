"""Modules of somebody else's: heads, stacks and states work with them as with the house's own."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import nn

from nextday.data import align
from nextday.engine import Stacked, Workers, make_plan
from nextday.engine.catalogs import HOUSE
from nextday.errors import TrainingError
from nextday.models.base import Key
from nextday.models.networks import training
from nextday.models.networks.base import Network
from nextday.models.networks.guest import can_stack
from nextday.study import Study


class Flat(nn.Module):
    """A perceptron on the flat window."""

    def __init__(self, inputs, share, width=6):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(share), nn.LayerNorm(width)
        )

    def forward(self, x):
        return self.layers(x)


@dataclass(frozen=True)
class Perceptron(Network):
    share: float = 0.3

    def build(self, features):
        return Flat(features * self.lookback, self.share)


@dataclass(frozen=True)
class Recurrent(Network):
    def build(self, features):
        return _Last(features)


class _Last(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.gru = nn.GRU(features, 5, num_layers=2, dropout=0.4, batch_first=True)

    def forward(self, x):
        return self.gru(x)[0][:, -1]


@dataclass(frozen=True)
class Wrong(Network):
    def build(self, features):
        return nn.Linear(features, 3)


def plan_of(bars, kind, **options):
    values = {
        "name": "x", "market": "MKT", "lookback": 10, "seeds": [1, 2], "levels": (0.1, 0.5, 0.9),
        "variants": {"A": {"model": "mine", "features": "ohlcv", "options": options}},
        "training": {"max_epochs": 3, "learning_rate": 0.01},
    }  # fmt: skip
    catalogs = replace(HOUSE, models={**HOUSE.models, "mine": kind})
    return make_plan(Study.from_values(values), align(bars, market="MKT"), catalogs=catalogs)


@pytest.mark.parametrize("head", ["point", "quantiles", "gaussian", "student"])
def test_every_head_goes_behind_a_module(bars, head):
    plan = plan_of(bars, Perceptron, head=head)
    fitted = plan.job(plan.units[0]).run()
    assert fitted.predicted.std() > 0
    assert fitted.quantiles.shape == (len(fitted.predicted), 0 if head == "point" else 3)


def test_a_stack_trains_a_module_as_the_loop_does_where_nothing_is_dropped(bars):
    plan = plan_of(bars, Perceptron, share=0.0)
    assert can_stack(plan.models["A"].assemble(6))
    with Stacked(Workers(0), device="cpu", slots=2) as stacks:
        stacked = {unit: fitted for unit, fitted, _ in stacks.map(plan.units, plan.job)}
    for unit, fitted in stacked.items():
        assert not isinstance(fitted, str), fitted
        alone = plan.job(unit).run()
        np.testing.assert_allclose(fitted.train_loss, alone.train_loss, rtol=1e-3)
        assert np.corrcoef(fitted.predicted, alone.predicted)[0, 1] > 0.999


def test_a_module_that_lays_features_out_by_day_shares_no_stack_with_wider_inputs(bars):
    """Its columns would move when narrower windows are padded."""
    values = plan_of(bars, Perceptron, share=0.0).study.model_dump()
    for name, inputs in (("B", "raw"), ("C", "engineered")):
        values["variants"][name] = values["variants"]["A"] | {"features": inputs}
    plan = make_plan(
        Study.from_values(values | {"seeds": [1]}), align(bars, market="MKT"),
        catalogs=replace(HOUSE, models={**HOUSE.models, "mine": Perceptron}),
    )  # fmt: skip
    with Stacked(Workers(0), device="cpu", slots=6) as stacks:
        for unit, fitted, _ in stacks.map(plan.units, plan.job):
            np.testing.assert_allclose(fitted.train_loss, plan.job(unit).run().train_loss, rtol=1e-3)


def test_recurrent_layers_and_running_statistics_do_not_stack():
    assert not can_stack(Recurrent().assemble(3))
    assert not can_stack(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)))
    assert Perceptron().stack_of(3)
    assert not Recurrent().stack_of(3)


@pytest.mark.parametrize("kind", [Perceptron, Recurrent])
def test_start_values_and_masks_come_from_the_key_alone(bars, kind):
    plan = plan_of(bars, kind)
    job = plan.job(plan.units[0])
    fits = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        torch.rand(seed + 3)
        fits.append(job.run())
    np.testing.assert_array_equal(fits[0].predicted, fits[1].predicted)
    other = replace(job, key=Key(9, "AAA", 0)).run()
    assert not np.array_equal(fits[0].predicted, other.predicted)


def test_the_process_wide_generator_is_left_as_it_was(bars):
    plan = plan_of(bars, Recurrent)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    plan.job(plan.units[0]).run()
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_state_of_a_module_can_be_probed(bars):
    plan = plan_of(bars, Perceptron)
    job = plan.job(plan.units[0])
    network = plan.models["A"].assemble(len(job.test.names))
    (state,) = training.states(network, job.test)
    assert state.shape == (len(job.test), 6)


def test_a_module_of_another_shape_is_refused_in_one_line(bars):
    plan = plan_of(bars, Wrong)
    with pytest.raises(
        TrainingError, match=r"Linear maps windows of shape \(2, 10, 6\) to \(2, 10, 3\); expected states"
    ):
        plan.job(plan.units[0]).run()
