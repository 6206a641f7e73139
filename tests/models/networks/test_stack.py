"""The stack has the meaning of the loop: what a unit comes to is what it would have come to alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from nextday.data import align, random_walk
from nextday.engine import Stacked, Workers
from nextday.engine.plan import make_plan
from nextday.models.kernels.lstm_stacked import StackedLstm, _Layer
from nextday.models.networks import training
from nextday.models.networks.dropout import hashed_bits, scramble
from nextday.models.networks.stack import Member, train_stack
from nextday.models.networks.training import Progress
from nextday.samples import Samples
from nextday.study import Study
from suspended import suspended

SMALL = {
    "lstm": {"hidden": 8}, "gru": {"hidden": 8}, "mlp": {"hidden": 16},
    "transformer": {"width": 8, "heads": 2, "feedforward": 16},
}  # fmt: skip


def plan_of(model, dropout=0.0, seeds=(1, 2), settings=(), bars=None, **options):
    bars = bars or random_walk(tickers=("AAA", "BBB", "MKT"), sessions=160, seed=0)
    options = SMALL[model] | {"dropout": dropout} | options
    training = {"max_epochs": 5, "patience": 2, "learning_rate": 0.01} | dict(settings)
    study = Study.from_values(
        {
            "name": "many", "market": "MKT", "accept": ["*"], "lookback": 10, "seeds": list(seeds),
            "variants": {one: {"model": model, "features": one, "options": options} for one in ("raw", "engineered")},
            "training": training, "levels": (0.1, 0.5, 0.9),
        }
    )  # fmt: skip
    return make_plan(study, align(bars, market="MKT"))


def jobs_of(*arguments, **options):
    plan = plan_of(*arguments, **options)
    return [plan.job(unit) for unit in plan.units]


def member(job):
    network = job.model.build(len(job.test.names))
    training.initialise(network, job.key)
    return Member(network, job.train, job.valid, job.key, Progress(job.model.training))


def stacked(jobs, slots=4):
    widest = max(len(job.test.names) for job in jobs)
    found = train_stack(jobs[0].model, map(member, jobs), features=widest, slots=slots, device="cpu")
    return {(one.key, one.train.windows.names): one for one in found}


def looped(job):
    network = job.model.build(len(job.test.names))
    training.initialise(network, job.key)
    settings = job.model.training
    return network, training.train(network, job.train, job.valid, settings=settings, key=job.key, device="cpu")


def assert_identical(one, other):
    assert one.progress.train_loss == other.progress.train_loss
    assert one.progress.valid_loss == other.progress.valid_loss
    for mine, theirs in zip(one.network.parameters(), other.network.parameters(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize(
    ("model", "head"),
    [
        ("lstm", "point"), ("transformer", "gaussian"), ("gru", "point"), ("mlp", "quantiles"),
        *(pytest.param(*one, marks=pytest.mark.slow) for one in [
            ("lstm", "quantiles"), ("transformer", "point"), ("lstm", "student"),
        ]),
    ],
)  # fmt: skip
def test_losses_epochs_and_forecasts_are_those_of_the_loop(model, head):
    jobs = jobs_of(model, head=head)
    found, same = stacked(jobs, slots=5), 0
    assert len(found) == len(jobs) == 8
    for job in jobs:
        one, (network, trained) = found[job.key, job.test.names], looped(job)
        both = min(len(one.progress.valid_loss), len(trained.valid_loss))
        np.testing.assert_allclose(one.progress.train_loss[:both], trained.train_loss[:both], rtol=1e-4, atol=1e-8)
        np.testing.assert_allclose(one.progress.valid_loss[:both], trained.valid_loss[:both], rtol=1e-4, atol=1e-8)
        if one.progress.best_epoch == trained.best_epoch:
            same += 1
            ours = training.predict(one.network, job.test, device="cpu")[0]
            np.testing.assert_allclose(ours, training.predict(network, job.test, device="cpu")[0], atol=2e-4)
    assert same >= 0.9 * len(jobs)


@pytest.mark.parametrize("model", SMALL)
def test_a_unit_comes_to_the_same_whatever_else_is_in_the_stack(model):
    jobs = jobs_of(model, dropout=0.3)[:5]
    together, reversed_, alone = stacked(jobs, slots=5), stacked(jobs[::-1], slots=2), stacked(jobs[:1], slots=1)
    for key, one in together.items():
        np.testing.assert_allclose(one.progress.valid_loss[0], reversed_[key].progress.valid_loss[0], rtol=1e-5)
        assert one.progress.best_epoch == reversed_[key].progress.best_epoch
    first = jobs[0].key, jobs[0].test.names
    np.testing.assert_allclose(alone[first].progress.valid_loss, together[first].progress.valid_loss, rtol=1e-4)
    assert_identical(alone[first], stacked(jobs[:1], slots=1)[first])


def test_units_of_other_lengths_share_a_stack():
    jobs = jobs_of("lstm")[:3]
    short = jobs[1].train
    windows = replace(short.windows, rows=short.windows.rows[70:])
    jobs[1] = replace(jobs[1], train=Samples(windows, short.y[70:]))
    found = stacked(jobs, slots=3)
    for job in jobs:
        np.testing.assert_allclose(
            found[job.key, job.test.names].progress.train_loss, looped(job)[1].train_loss, rtol=1e-4, atol=1e-8
        )


@pytest.mark.parametrize("pooled", [False, True])
def test_samples_with_gaps_between_them_are_those_of_the_loop(pooled):
    jobs = jobs_of("lstm", bars=suspended({"BBB": [(60, 71), (90, 90)]}, sessions=180), seeds=(1,), pooled=pooled)
    assert all((np.diff(job.train.windows.starts) > 1).any() for job in jobs)
    found = stacked(jobs, slots=3)
    for job in jobs:
        one, (_, trained) = found[job.key, job.test.names], looped(job)
        np.testing.assert_allclose(one.progress.train_loss, trained.train_loss, rtol=1e-4, atol=1e-8)
        np.testing.assert_allclose(one.progress.valid_loss, trained.valid_loss, rtol=1e-4, atol=1e-8)


def test_a_unit_that_breaks_leaves_the_others_alone():
    jobs = jobs_of("lstm")[:3]
    broken = replace(jobs[1], train=Samples(jobs[1].train.windows, jobs[1].train.y * np.nan))
    found = stacked([jobs[0], broken, jobs[2]], slots=3)
    assert "not finite in epoch 1" in found[broken.key, broken.test.names].failure
    for job in (jobs[0], jobs[2]):
        np.testing.assert_allclose(
            found[job.key, job.test.names].progress.valid_loss, looped(job)[1].valid_loss, rtol=1e-4
        )


def test_the_gradient_is_clipped_by_unit():
    jobs = jobs_of("lstm", settings={"clip": 1e-3, "max_epochs": 3})[:2]
    loud = replace(jobs[1], train=Samples(jobs[1].train.windows, jobs[1].train.y * 1e4))
    found = stacked([jobs[0], loud], slots=2)
    np.testing.assert_allclose(
        found[jobs[0].key, jobs[0].test.names].progress.train_loss, looped(jobs[0])[1].train_loss, rtol=1e-4
    )


def test_the_stacked_layer_has_the_gradient_of_its_value():
    torch.manual_seed(0)
    shapes = ((2, 4, 3, 2), (2, 12, 2), (2, 12, 3), (2, 12))  # of 2 units: x, w_x, w_h, bias
    values = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(_Layer.apply, values)


def test_the_stacked_layer_is_that_of_pytorch():
    layer = torch.nn.LSTM(2, 6).double()
    x = torch.randn(3, 5, 4, 2, dtype=torch.float64)
    w_x, w_h, b_x, b_h = (value.detach() for value in layer.parameters())
    run = torch.func.vmap(StackedLstm.apply, in_dims=(0, None, None, None))
    torch.testing.assert_close(run(x, w_x, w_h, b_x + b_h), torch.stack([layer(one)[0] for one in x]))


def test_masks_of_a_stack_keep_their_share_and_know_nothing_of_each_other():
    steps = scramble(torch.arange(64, dtype=torch.int32))
    masks = torch.stack([hashed_bits(scramble(torch.tensor(77, dtype=torch.int32) ^ step), 20_000) for step in steps])
    keep = (masks >= 13107).double()
    assert abs(keep.mean() - 0.8) < 4 * (0.16 / keep.numel()) ** 0.5
    assert (keep.mean(dim=1) - 0.8).abs().max() < 5 * (0.16 / 20_000) ** 0.5
    assert (keep.mean(dim=0) - 0.8).abs().max() < 5.5 * (0.16 / 64) ** 0.5
    between = torch.corrcoef(keep) - torch.eye(64)
    assert between.abs().max() < 5 / 20_000**0.5
    for lag in (1, 2, 64, 10_000):
        row = keep.flatten()
        assert abs(torch.corrcoef(torch.stack([row[lag:], row[:-lag]]))[0, 1]) < 5 / len(row) ** 0.5
    bits = torch.stack([masks >> bit & 1 for bit in range(16)]).double().mean(dim=(1, 2))
    assert (bits - 0.5).abs().max() < 5 * 0.5 / masks.numel() ** 0.5


def test_a_study_fitted_in_stacks_gives_what_its_workers_give():
    plan = plan_of("transformer", head="quantiles")
    with Workers(0) as workers:
        ours = {unit: found for unit, found, _ in Stacked(workers, device="cpu", slots=4).map(plan.units, plan.job)}
        theirs = {unit: found for unit, found, _ in workers.map(plan.units, plan.job)}
    assert set(ours) == set(plan.units)
    for unit in plan.units:
        np.testing.assert_allclose(ours[unit].quantiles, theirs[unit].quantiles, atol=1e-3)
        np.testing.assert_allclose(ours[unit].extras["attention"], theirs[unit].extras["attention"], atol=1e-3)
        assert {name: one.shape for name, one in ours[unit].weights.items()} == {
            name: one.shape for name, one in theirs[unit].weights.items()
        }


@pytest.mark.slow
@pytest.mark.parametrize("model", SMALL)
def test_with_dropout_fifty_seeds_are_spread_as_those_of_the_loop(model):
    jobs = [job for job in jobs_of(model, dropout=0.2, seeds=range(50)) if job.key.ticker == "AAA"][::2]
    found = stacked(jobs, slots=50)
    target = np.random.default_rng(0).normal(scale=0.02, size=len(jobs[0].test))  # whatever it is, for both
    ours, theirs = (
        np.array([rmse(training.predict(network, jobs[0].test, device="cpu")[0], target) for network in side])
        for side in zip(*((found[job.key, job.test.names].network, looped(job)[0]) for job in jobs), strict=True)
    )
    assert len(ours) == 50
    difference = ours - theirs
    error = difference.std(ddof=1) / 50**0.5
    margin = 0.5 * theirs.std(ddof=1)  # half of what another seed would change
    assert abs(difference.mean()) + 1.68 * error < margin  # two one-sided tests at 5 %
    assert stats.ks_2samp(ours, theirs).pvalue > 0.01


def rmse(forecast, target):
    return ((forecast - target) ** 2).mean() ** 0.5
