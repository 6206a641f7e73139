"""The Transformer: against PyTorch's own encoder, what it attends to, and where lags are."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from narrow import with_narrow_vectors
from nextday.errors import StudyError
from nextday.models import make_model
from nextday.models.base import Key
from nextday.models.networks.dropout import seed_dropout
from nextday.models.networks.transformer import EncoderLayer, TransformerNetwork, positions
from nextday.samples import Samples, Windows
from nextday.study import Training

SMALL = {"width": 16, "layers": 2, "heads": 2, "feedforward": 32, "dropout": 0.0}


def test_a_layer_is_that_of_pytorch():
    torch.manual_seed(0)
    ours, theirs = EncoderLayer(16, 4, 32, 0.1), nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    names = {
        "self_attn.in_proj_weight": "attend.project.weight", "self_attn.in_proj_bias": "attend.project.bias",
        "self_attn.out_proj.weight": "attend.combine.weight", "self_attn.out_proj.bias": "attend.combine.bias",
        "linear1.weight": "expand.weight", "linear1.bias": "expand.bias", "linear2.weight": "shrink.weight",
        "linear2.bias": "shrink.bias", "norm1.weight": "first.weight", "norm1.bias": "first.bias",
        "norm2.weight": "second.weight", "norm2.bias": "second.bias",
    }  # fmt: skip
    theirs.load_state_dict({name: ours.state_dict()[other] for name, other in names.items()})
    x = torch.randn(5, 20, 16)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), rtol=1e-5, atol=1e-5)


def test_positions_tell_days_apart():
    code = positions(20, 16)
    assert code.shape == (20, 16)
    assert torch.cdist(code, code).fill_diagonal_(9).min() > 0.5
    torch.testing.assert_close(code[3, :2], torch.tensor([np.sin(3), np.cos(3)], dtype=torch.float32))


def test_attention_sums_to_one():
    network = TransformerNetwork(3, **SMALL).eval()
    weights = network.attention(torch.randn(4, 20, 3))
    assert weights.shape == (2, 4, 2, 20, 20)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4, 2, 20))


def test_the_head_reads_the_mean_over_time_after_the_last_layer():
    network, x = TransformerNetwork(3, **SMALL).eval(), torch.randn(4, 20, 3)
    *_, last = states = network.states(x)
    assert [state.shape for state in states] == [(4, 16)] * 2
    assert torch.equal(network(x), network.head(last))


def windows(values, lookback=20):
    return Windows(values.astype(np.float32), lookback, ("x",))


def test_a_planted_dependence_on_lag_7_shows_at_lag_7():
    random = np.random.default_rng(0)
    x = random.standard_normal((3000, 1))
    y = x[19 - 7 : -7 or None, 0][: 3000 - 19]  # the value seven days before the origin
    training = Training(max_epochs=8, learning_rate=1e-2, batch_size=64)
    model = make_model("transformer", {"dropout": 0, "width": 16, "layers": 1}, training=training, device="cpu")
    train = Samples(windows(x[:2019]), y[:2000])
    valid = Samples(windows(x[2000:2519]), y[2000:2500])
    fitted = model.fit_predict(train, valid, windows(x[2500:]), key=Key(0, "KO", 0))
    assert np.corrcoef(fitted.predicted, y[2500:])[0, 1] > 0.9
    after, before = fitted.extras["attention"].max(axis=(1, 2))  # of the head that looks hardest
    assert after.argmax() == 7
    assert after[7] > 2 * before[7]
    np.testing.assert_allclose(fitted.extras["attention"].sum(axis=-1), 1, rtol=1e-5)


def test_a_network_that_does_not_say_what_it_attends_to_has_nothing_to_show():
    parts = [Samples(windows(np.ones((29, 1))), np.arange(10.0)) for _ in range(2)]
    model = make_model("lstm", {"hidden": 4}, training=Training(max_epochs=1), device="cpu")
    assert model.fit_predict(*parts, parts[0].windows, key=Key(0, "KO", 0)).extras == {}


def test_a_width_that_does_not_fit_is_refused():
    with pytest.raises(StudyError, match="width 10 is not a multiple of 2 x heads, 8"):
        make_model("transformer", {"width": 10}, training=Training(), device="cpu")


def gradients(layer, run, x, weight):
    """Run a layer forward and backward; its output and all gradients."""
    x = x.clone().requires_grad_()
    layer.zero_grad()
    seed_dropout(layer, Key(1, "KO", 0))
    out = run(x)
    (out * weight).sum().backward()
    return [out.detach(), x.grad, *(parameter.grad for parameter in layer.parameters())]


# samples, times, width, heads, feed-forward
SHAPES = [(64, 20, 64, 4, 256), (1, 1, 2, 1, 1), (9, 33, 24, 3, 40), (17, 20, 16, 2, 33), (3, 40, 66, 3, 50)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_the_kernel_computes_what_pytorch_does(shape, dropout):
    samples, times, width, heads, feedforward = shape
    torch.manual_seed(samples)
    layer = EncoderLayer(width, heads, feedforward, dropout)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))  # normalisations begin at one and zero
    oracle = copy.deepcopy(layer).double()
    x, weight = torch.randn(samples, times, width), torch.randn(samples, times, width)
    found = gradients(layer, layer, x, weight)
    for ours, theirs in zip(found, gradients(oracle, oracle.plain, x.double(), weight.double()), strict=True):
        assert ours.dtype == torch.float32
        assert (ours - theirs).abs().max() <= 1e-5 * max(theirs.abs().max(), 1)


def test_a_layer_gives_the_same_to_the_last_bit_alone_and_in_company_with_and_without_gradients():
    layer, x = EncoderLayer(16, 2, 33, 0.1).eval(), torch.randn(19, 20, 16)
    kept = layer(x).detach()
    with torch.inference_mode():
        assert torch.equal(layer(x), kept)
        assert torch.equal(layer(x[11:12]), kept[11:12])


def test_a_layer_does_not_swallow_nan():
    layer, x = EncoderLayer(16, 2, 32, 0.1).eval(), torch.randn(9, 20, 16)
    x[4, 3, 2] = torch.nan
    bad = torch.isnan(layer(x)).flatten(1)
    assert bad[4].all()
    assert bad.any(dim=1).sum() == 1


def test_autocast_and_float64_go_to_pytorch():
    layer, x = EncoderLayer(16, 2, 32, 0.1).eval(), torch.randn(3, 20, 16)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer.attend(x).dtype == torch.bfloat16
        assert torch.equal(layer(x), layer.plain(x))
    assert layer.double()(x.double()).dtype == torch.float64


@pytest.mark.slow  # compiles all kernels for the other processor; products there are in test_tiles.py
def test_the_kernel_knows_narrower_vectors():
    with_narrow_vectors("test_transformer", "test_the_kernel_computes_what_pytorch_does((9, 33, 24, 3, 40), 0.3)")
