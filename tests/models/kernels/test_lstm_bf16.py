"""The LSTM layer with products in bfloat16, against PyTorch's arithmetic in float64 with operands rounded by PyTorch."""

import numpy as np
import pytest
import torch
from torch import nn

from narrow import with_narrow_vectors
from nextday.errors import TrainingError
from nextday.models.kernels import bfloat
from nextday.models.networks.lstm import LstmLayer
from products import cases, drawn, multiply

SHAPES = [
    (20, 64, 5, 64), (20, 64, 64, 64), (7, 37, 3, 50), (3, 1, 7, 33), (1, 5, 1, 2), (9, 9, 40, 15),
    (5, 150, 3, 20), (4, 129, 9, 16),  # several blocks of samples, the last of them small
]  # fmt: skip


class Rounding(torch.autograd.Function):
    """Round to bfloat16, gradients as they are."""

    @staticmethod
    def forward(ctx, x):
        return x.float().bfloat16().double()

    @staticmethod
    def backward(ctx, d):
        return d


def oracle(layer, x):
    """Run a layer over x [time, sample, feature], both float64; return h."""
    rounded = Rounding.apply
    w_x, w_h, b_x, b_h = (getattr(layer, name) for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"))
    h = c = torch.zeros(x.shape[1], layer.hidden_size, dtype=torch.float64)
    found = []
    for now in x:
        z = rounded(now) @ rounded(w_x).T + rounded(h) @ rounded(w_h).T + rounded(b_x + b_h)
        if z.requires_grad:
            z.register_hook(lambda d: d.float().bfloat16().double())
        i, f, g, o = z.chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        found.append(h)
    return torch.stack(found)


def both(times, samples, features, units, precision="bf16"):
    """Run a layer and its oracle forward and backward; pairs of what must agree."""
    torch.manual_seed(times + units)
    layer, exact = LstmLayer(features, units, precision), nn.LSTM(features, units).double()
    exact.load_state_dict({name: value.double() for name, value in layer.state_dict().items()})
    x = torch.randn(times, samples, features)
    ours, theirs = x.clone().requires_grad_(), x.double().requires_grad_()
    weight = torch.randn(times, samples, units)
    out, expected = layer(ours), oracle(exact, theirs)
    (out * weight).sum().backward()
    (expected * weight.double()).sum().backward()
    gradients = zip(layer.parameters(), exact.parameters(), strict=True)
    return [(out.detach(), expected.detach()), (ours.grad, theirs.grad), *((a.grad, b.grad) for a, b in gradients)]


def distances(pairs):
    """Mean distance of each pair, as a share of the mean size of what is expected; of zeros, as it is."""
    return [float((ours - theirs).abs().mean() / (theirs.abs().mean() or 1)) for ours, theirs in pairs]


@pytest.mark.parametrize("shape", SHAPES)
def test_states_and_gradients_are_those_of_rounded_operands(shape):
    # Where float32 and float64 fall on two sides of a tie they differ by more: by 4e-5 in the mean of the largest shape.
    assert max(distances(both(*shape))) < 1e-4


def test_unrounded_operands_would_be_seen():
    assert min(distances(both(7, 37, 3, 50, precision="float32"))) > 1e-3


def test_states_are_the_same_to_the_last_bit_with_and_without_gradients():
    layer, x = LstmLayer(3, 20, "bf16"), torch.randn(5, 70, 3)
    kept = layer(x).detach()
    with torch.inference_mode():
        assert torch.equal(layer(x), kept)


def test_nan_is_not_swallowed():
    layer, x = LstmLayer(3, 20, "bf16"), torch.zeros(5, 4, 3)
    x[2, 1, 0] = torch.nan
    bad = torch.isnan(layer(x)).any(dim=2)
    assert bad[2:, 1].all()
    assert bad.sum() == 3


def test_what_the_kernel_cannot_do_is_refused():
    layer, x = LstmLayer(3, 20, "bf16"), torch.randn(5, 4, 3)
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(TrainingError, match="requires a CPU"):
        layer(x)
    with pytest.raises(TrainingError, match="requires a CPU"):
        layer.double()(x.double())
    layer = LstmLayer(3, 20, "bf16")
    layer.stacked = True
    with pytest.raises(TrainingError, match="requires a CPU"):
        layer(x)


def test_every_number_is_rounded_as_pytorch_rounds_it():
    high, low = np.meshgrid(np.arange(65536, dtype=np.uint32), np.uint32([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF]))
    values = (high << np.uint32(16) | low).ravel().view(np.float32)  # all signs and exponents, ties, infinities, NaN
    out = np.zeros((3, len(values) + 2), np.uint16)
    bfloat.round_into(np.stack([values] * 3), out, 1)
    expected = torch.from_numpy(values).bfloat16().view(torch.uint16).numpy()
    number = ~np.isnan(values)
    for row in out:
        np.testing.assert_array_equal(row[1:-1][number], expected[number])
        assert np.isnan((row[1:-1][~number].astype(np.uint32) << np.uint32(16)).view(np.float32)).all()
        assert row[0] == row[-1] == 0


def paired(values):
    """Round values [row, column] and put each row beside the one that follows, uint32 [row / 2, column]."""
    rounded = np.zeros(values.shape, np.uint16)
    out = np.zeros((-(-len(values) // 2), values.shape[1]), np.uint32)
    bfloat.round_into(values, rounded, 0)
    bfloat.pair_rows(rounded, out)
    return out


@cases(depth=131)
def test_products_are_those_of_numpy(rows, depth, columns, transposed, add):
    a, b, c = drawn(rows, depth, columns)
    exact = [torch.from_numpy(one).bfloat16().double().numpy() for one in (a, b)]
    expected = exact[0] @ exact[1] + (c if add else 0)
    pairs = paired(a.T.copy())
    source, steps = (pairs, (1, rows)) if transposed else (pairs.T.copy(), (len(pairs), 1))
    found = multiply(source, steps, paired(b), 0x7FC07FC0, c, len(pairs), add)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow  # compiles all kernels for the other processor; products there are in test_tiles.py
@pytest.mark.parametrize(
    "call",
    ["test_states_and_gradients_are_those_of_rounded_operands((7, 37, 3, 50))",
     "test_products_are_those_of_numpy(17, 131, 70, True, True)"],
)  # fmt: skip
def test_a_processor_without_products_in_bfloat16_computes_the_same(call):
    with_narrow_vectors("test_lstm_bf16", call)
