"""The compiled LSTM layer against PyTorch's."""

import numpy as np
import pytest
import torch
from torch import nn

from narrow import with_narrow_vectors
from nextday.models.kernels import lstm as recurrence
from nextday.models.networks.lstm import LstmLayer

SHAPES = [
    (20, 64, 5, 64), (20, 64, 64, 64), (7, 37, 3, 50), (3, 1, 9, 33), (1, 5, 1, 2), (2, 9, 40, 16),
    (5, 150, 3, 20), (4, 129, 9, 16),  # several blocks of samples, the last of them small
]  # fmt: skip


def both(times, samples, features, units):
    """Run a layer and its oracle (PyTorch, float64) forward and backward; pairs of what must agree."""
    torch.manual_seed(times + units)
    layer, oracle = LstmLayer(features, units), nn.LSTM(features, units).double()
    oracle.load_state_dict({name: value.double() for name, value in layer.state_dict().items()})
    x = torch.randn(times, samples, features)
    ours, theirs = x.clone().requires_grad_(), x.double().requires_grad_()
    weight = torch.randn(times, samples, units)
    out, expected = layer(ours), oracle(theirs)[0]
    (out * weight).sum().backward()
    (expected * weight.double()).sum().backward()
    gradients = zip(layer.parameters(), oracle.parameters(), strict=True)
    return [(out, expected), (ours.grad, theirs.grad), *((a.grad, b.grad) for a, b in gradients)]


@pytest.mark.parametrize("shape", SHAPES)
def test_states_and_gradients_are_those_of_pytorch(shape):
    for ours, theirs in both(*shape):
        assert ours.dtype == torch.float32
        assert (ours - theirs).abs().max() <= 3e-6 * theirs.abs().max()


def test_states_are_the_same_to_the_last_bit_with_and_without_gradients():
    layer, x = LstmLayer(3, 20), torch.randn(5, 70, 3)
    kept = layer(x).detach()
    with torch.inference_mode():
        assert torch.equal(layer(x), kept)


def test_nan_is_not_swallowed():
    layer, x = LstmLayer(3, 20), torch.zeros(5, 4, 3)
    x[2, 1, 0] = torch.nan
    bad = torch.isnan(layer(x)).any(dim=2)
    assert bad[2:, 1].all()
    assert bad.sum() == 3


def test_autocast_and_float64_go_to_pytorch():
    layer, x = LstmLayer(3, 20), torch.randn(5, 4, 3)
    with torch.autocast("cpu", torch.bfloat16):
        try:
            torch.nn.LSTM(3, 20, batch_first=True)(x)
        except RuntimeError as error:  # PyTorch has no such LSTM on processors without AVX-512
            with pytest.raises(RuntimeError, match=str(error)[:40]):
                layer(x)
        else:
            assert layer(x).dtype == torch.bfloat16
    assert layer.double()(x.double()).dtype == torch.float64


def test_tanh_is_within_4e_7():
    x = np.linspace(-12, 12, 2_000_001).astype(np.float32)
    out = np.empty_like(x)
    recurrence._tanhs(x, out)
    assert abs(out - np.tanh(x.astype(np.float64))).max() < 4e-7


def test_tanh_in_place_is_the_same_to_the_last_bit():
    values = np.linspace(-12, 12, 1001).astype(np.float32)
    out = np.empty_like(values)
    recurrence._tanhs(values, out)
    recurrence._squash(values)
    np.testing.assert_array_equal(values, out)


@pytest.mark.slow  # compiles all of the layer for the other processor; its products there are in test_tiles.py
def test_a_processor_with_narrower_vectors_computes_the_same():
    with_narrow_vectors("test_lstm", "test_states_and_gradients_are_those_of_pytorch((7, 37, 3, 50))")
