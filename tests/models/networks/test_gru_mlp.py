"""The GRU and the MLP: PyTorch's own layer and a plain formula beside them, options, and what they can learn."""

import numpy as np
import pytest
import torch
from torch import nn

from models.test_baselines import autoregression, cut
from nextday.errors import StudyError
from nextday.models import Key, make_model
from nextday.models.networks.gru import GruLayer, recurrence
from nextday.models.networks.mlp import MlpNetwork
from nextday.samples import Samples, Windows
from nextday.study import Training

LOOKBACK = 5
SHORT = Training(max_epochs=2)
SMALL = {"gru": {"hidden": 8}, "mlp": {"hidden": 16}}


def made(name, *, training=SHORT, **options):
    return make_model(name, SMALL[name] | options, training=training, device="cpu", lookback=LOOKBACK)


def test_the_recurrence_of_a_stack_is_that_of_pytorch():
    torch.manual_seed(0)
    layer, x = nn.GRU(3, 7).double(), torch.randn(6, 4, 3, dtype=torch.float64)
    weights = [x.requires_grad_(), *layer.parameters()]
    ours, theirs = recurrence(*weights), layer(x)[0]
    torch.testing.assert_close(ours, theirs)
    slopes = [torch.autograd.grad((states**2).sum(), weights) for states in (ours, theirs)]
    torch.testing.assert_close(*slopes)


def test_a_layer_in_a_stack_gives_what_it_gives_alone():
    layer, x = GruLayer(3, 7), torch.randn(6, 4, 3)
    alone = layer(x)
    layer.stacked = True
    torch.testing.assert_close(layer(x), alone)


def test_the_mlp_is_a_pyramid_of_linear_layers_on_the_whole_window():
    network, x = MlpNetwork(2 * LOOKBACK, hidden=16, layers=3, dropout=0.5).eval(), torch.randn(9, LOOKBACK, 2)
    flat = torch.cat([x[:, :, 0], x[:, :, 1]], dim=1)  # feature by feature
    for layer, width in zip(network.layers, (16, 8, 4), strict=True):
        assert layer.out_features == width
        flat = torch.relu(flat @ layer.weight.T + layer.bias)
    torch.testing.assert_close(network.states(x)[-1], flat)
    torch.testing.assert_close(network(x), network.head(flat))


def test_the_default_networks_have_about_as_many_parameters_as_the_lstm():
    sizes = {
        name: [
            sum(one.numel() for one in make_model(name, {}, training=Training(), device="cpu").assemble(n).parameters())
            for n in (1, 5, 6)
        ]
        for name in ("lstm", "gru", "mlp")
    }
    for name in ("gru", "mlp"):
        assert all(0.7 < own / lstm < 1.4 for own, lstm in zip(sizes[name], sizes["lstm"], strict=True)), sizes


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("change", [{"hidden": 6}, {"layers": 1}, {"dropout": 0.4}])
def test_every_option_moves_the_forecast(name, change):
    train, valid, test, _ = cut(autoregression(300), parts=(200, 40))
    plain, changed = (
        made(name, **options).fit_predict(train, valid, test, key=Key(1, "KO", 0)).predicted for options in ({}, change)
    )
    assert not np.array_equal(plain, changed)


def test_an_mlp_too_narrow_for_its_layers_is_refused():
    with pytest.raises(StudyError, match="model mlp: hidden 8 halved over 4 layers .* expected at least 16"):
        made("mlp", hidden=8, layers=4)


@pytest.mark.parametrize("name", SMALL)
def test_a_family_remembers_a_move_of_days_ago(name):
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((900, 1)).astype(np.float32)
    target = rows[1:-LOOKBACK, 0].astype(float)  # of three days before the origin
    parts = [
        Samples(Windows(rows[a : b + LOOKBACK - 1], LOOKBACK, ("x",)), target[a:b])
        for a, b in ((0, 600), (600, 740), (740, 890))
    ]
    training = Training(max_epochs=25, patience=10, learning_rate=0.005)
    model = made(name, training=training, hidden=32, dropout=0.0)
    fitted = model.fit_predict(parts[0], parts[1], parts[2].windows, key=Key(1, "KO", 0))
    assert np.corrcoef(fitted.predicted, parts[2].y)[0, 1] > 0.9
