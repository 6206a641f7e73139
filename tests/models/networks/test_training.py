from dataclasses import replace

import numpy as np
import pytest
import torch

import oracles
from nextday.data import align
from nextday.engine.plan import make_plan
from nextday.errors import TrainingError
from nextday.models import Key
from nextday.models.networks import training
from nextday.models.networks.adam import Adam
from nextday.models.networks.dropout import Dropout, seed_dropout
from nextday.models.networks.lstm import LstmNetwork
from nextday.samples import Samples
from nextday.study import Study, Training

KEY = Key(1, "AAA", 0)
NETWORKS = [
    name
    for stage in range(2, 7)
    for name, variant in Study.load(f"stage{stage}").variants.items()
    if variant.model in {"lstm", "transformer", "vae"}
]


@pytest.fixture(scope="module")
def job(bars, quick):
    plan = make_plan(Study.from_values(quick), align(bars, market="MKT"))
    return plan.job(next(unit for unit in plan.units if unit.variant == "LSTM-Feat" and unit.ticker == "AAA"))


def network(features=5, dropout=0.0):
    made = LstmNetwork(features, hidden=8, layers=2, dropout=dropout)
    training.initialise(made, KEY)
    return made


def train(made, job, **settings):
    settings = Training(**{"max_epochs": 30, "patience": 5, "learning_rate": 0.02, **settings})
    return training.train(made, job.train, job.valid, settings=settings, key=KEY, device="cpu")


def test_loss_per_epoch_agrees_with_a_plain_loop(job):
    settings = Training(max_epochs=12, patience=5, learning_rate=0.01)
    plain = oracles.PlainLstm(5, 8)
    start = network().state_dict()
    renamed = {"one": "head.0", "two": "head.2"}
    for name, value in plain.state_dict().items():
        module, parameter = name.split(".")
        layer = parameter[-1]
        there = f"layers.{layer}.{parameter[:-1]}0" if module == "lstm" else f"{renamed[module]}.{parameter}"
        value.copy_(start[there])
    shuffle = torch.Generator().manual_seed(KEY.stream("shuffle"))
    n = len(job.train.y)
    orders = [torch.randperm(n, generator=shuffle).numpy() for _ in range(settings.max_epochs)]
    batches = [[order[i : i + 64] for i in range(0, n, 64)] for order in orders]
    losses = oracles.plain_loop(
        plain, job.train.windows.x.copy(), job.train.y, job.valid.windows.x.copy(), job.valid.y, batches,
        learning_rate=0.01, patience=5,
    )  # fmt: skip

    made = network()
    trained = training.train(made, job.train, job.valid, settings=settings, key=KEY, device="cpu")

    np.testing.assert_allclose(trained.train_loss, losses[0], rtol=1e-5)
    np.testing.assert_allclose(trained.valid_loss, losses[1], rtol=1e-5)
    assert trained.best_epoch == losses[2]
    forecast = training.predict(made, job.test, device="cpu")[0]
    np.testing.assert_allclose(forecast, losses[3](torch.tensor(job.test.x.copy())).detach(), atol=1e-6)


def test_the_returned_network_is_that_of_the_best_epoch(job):
    made = network()
    trained = train(made, job)
    assert trained.best_epoch < len(trained.valid_loss)  # else the test shows nothing
    forecast = training.predict(made, job.valid.windows, device="cpu")[0]
    assert ((forecast - job.valid.y) ** 2).mean() == pytest.approx(trained.valid_loss.min(), rel=1e-5)
    assert trained.valid_loss[trained.best_epoch - 1] == trained.valid_loss.min()


@pytest.mark.parametrize("variant", NETWORKS)
def test_every_network_of_the_ladder_keeps_the_weights_of_its_best_epoch(bars, quick, variant):
    plan = make_plan(Study.from_values(quick), align(bars, market="MKT"))
    job = plan.job(next(unit for unit in plan.units if unit.variant == variant))
    settings = Training(max_epochs=200, patience=3, learning_rate=0.05)  # patience ends it, after the best epoch
    model = replace(job.model, training=settings)
    fitted = model.fit_predict(job.train, job.valid, job.test, key=job.key)

    kept = model.build(len(job.test.names))
    kept.load_state_dict({name: torch.from_numpy(value) for name, value in fitted.weights.items()})
    y = job.valid.y / job.valid.windows.repeat(model.scales(job.train))
    kept.eval()
    with torch.no_grad():
        loss = kept.head.loss(kept(training.as_tensor(job.valid.windows)), torch.from_numpy(y).float()).item()
    assert fitted.best_epoch < len(fitted.valid_loss)  # else the test shows nothing
    assert loss == pytest.approx(fitted.valid_loss.min(), rel=1e-5)
    assert fitted.valid_loss[fitted.best_epoch - 1] == fitted.valid_loss.min()


def test_training_stops_after_patience_epochs_without_progress(job):
    trained = train(network(), job, patience=3)
    assert len(trained.valid_loss) == trained.best_epoch + 3


@pytest.mark.parametrize(
    ("setting", "value"),
    [("batch_size", 16), ("learning_rate", 0.005), ("clip", 1e-3), ("max_epochs", 2), ("patience", 1)],
)
def test_every_training_setting_moves_the_result(job, setting, value):
    first, second = network(), network()
    train(first, job)
    train(second, job, **{setting: value})
    assert not torch.equal(first.layers[0].weight_hh_l0, second.layers[0].weight_hh_l0)


def test_dropout_moves_the_result_and_leaves_the_global_generator_alone(job):
    first, second = network(), network(dropout=0.5)
    before = torch.random.get_rng_state()
    train(first, job)
    train(second, job)
    assert torch.equal(before, torch.random.get_rng_state())
    assert not torch.equal(first.layers[0].weight_hh_l0, second.layers[0].weight_hh_l0)


def test_variants_of_a_ticker_start_from_equal_weights_where_shapes_allow():
    narrow, wide = network(1).state_dict(), network(6).state_dict()
    for name, value in narrow.items():
        if value.shape == wide[name].shape:
            assert torch.equal(value, wide[name]), name
    assert [name for name in narrow if narrow[name].shape != wide[name].shape] == ["layers.0.weight_ih_l0"]


def test_tickers_start_from_different_weights():
    other = LstmNetwork(5, hidden=8, layers=2, dropout=0.0)
    training.initialise(other, Key(1, "BBB", 0))
    assert not torch.equal(network().layers[0].weight_hh_l0, other.layers[0].weight_hh_l0)


def test_initial_weights_have_the_bounds_of_pytorch():
    torch.manual_seed(0)  # of the default network
    made, default = LstmNetwork(6, hidden=64, layers=2, dropout=0.2), LstmNetwork(6, hidden=64, layers=2, dropout=0.2)
    training.initialise(made, KEY)
    for name, value in made.state_dict().items():
        if value.numel() > 30:  # the largest of few says little of the bound
            limit = float(default.state_dict()[name].abs().max())
            assert float(value.abs().max()) == pytest.approx(limit, rel=0.2), name


def test_dropout_drops_its_share_and_keeps_the_mean():
    dropout = Dropout(0.2)
    with pytest.raises(RuntimeError, match="seed_dropout"):
        dropout(torch.ones(3))
    seed_dropout(dropout, KEY)
    out = dropout(torch.ones(500, 400))
    assert float((out == 0).float().mean()) == pytest.approx(0.2, abs=0.005)
    assert float(out.mean()) == pytest.approx(1, abs=0.005)
    assert torch.equal(dropout.eval()(torch.ones(3)), torch.ones(3))


def test_windows_are_not_copied(job):
    windows = job.train.windows
    assert training.as_tensor(windows).data_ptr() == windows.rows.ctypes.data
    np.testing.assert_array_equal(training.as_tensor(windows), windows.x)


def test_a_loss_that_is_not_finite_is_an_error(job):
    broken = Samples(job.train.windows, np.where(np.arange(len(job.train.y)) == 3, np.nan, job.train.y))
    with pytest.raises(TrainingError, match="the loss is not finite in epoch 1"):
        training.train(network(), broken, job.valid, settings=Training(), key=KEY, device="cpu")


@pytest.fixture(scope="module")
def pooled(bars, quick):
    plan = make_plan(Study.from_values(quick), align(bars, market="MKT"))
    return plan.job(next(unit for unit in plan.units if unit.variant == "LSTM-Pooled"))


def test_windows_of_a_pool_are_gathered_from_its_rows_and_are_the_same(pooled):
    windows = pooled.train.windows
    found, whole = training.inputs_of(windows, "cpu"), training.as_tensor(windows)
    assert isinstance(found, training.Gathered)
    assert found.rows.data_ptr() == torch.from_numpy(windows.rows).data_ptr()  # nothing is copied
    assert len(found) == len(whole)
    some = torch.tensor([5, 0, len(whole) - 1])
    assert torch.equal(found[some], whole[some])
    assert torch.equal(found[3:9], whole[3:9])


def test_a_network_applied_in_pieces_forecasts_the_same(pooled, monkeypatch):
    made = network(pooled.test.rows.shape[1])
    points, _ = training.predict(made, pooled.test, device="cpu")
    monkeypatch.setattr(training, "MOST_AT_ONCE", 7)
    pieces, _ = training.predict(made, pooled.test, device="cpu")
    np.testing.assert_allclose(pieces, points, rtol=1e-5, atol=1e-7)


def test_adam_takes_the_steps_of_pytorchs_to_the_bit_and_leaves_alone_what_has_no_gradient():
    moved, weights = [], [*network().parameters(), torch.ones(2, 2)]
    for make in (lambda weights: Adam(weights, 0.02), lambda weights: torch.optim.Adam(weights, lr=0.02, fused=True)):
        optimizer = make(torch.nn.Parameter(one.detach().clone()) for one in weights)
        own = optimizer.parameters if isinstance(optimizer, Adam) else optimizer.param_groups[0]["params"]
        for step in range(5):
            optimizer.zero_grad()
            assert all(one.grad is None for one in own)
            sum((one**2).sum() * (at + step) for at, one in enumerate(own[:-1])).backward()
            optimizer.step()
        moved.append(own)
        assert torch.equal(own[-1], weights[-1])
        assert not torch.equal(own[1], weights[1])
    assert all(map(torch.equal, *moved))
