"""The stack of dilated convolutions beside PyTorch in float64."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from narrow import with_narrow_vectors
from nextday.models.kernels.dilated import HIDDEN, WIDTH, decode, embed, encode, finish
from nextday.models.kernels.pointwise import exp
from nextday.models.kernels.tiles import PANEL, aligned, product, strided_product

LAYERS = 4
ROOM = 1 << LAYERS


def draw(seed=0):
    """Weights of a block, as the kernel and as the oracle take them; gains and shifts of each layer's last norm."""
    random = np.random.default_rng(seed)
    sizes = {"taps": (3, WIDTH), "mix": (WIDTH, WIDTH), "up": (WIDTH, 2 * HIDDEN), "down": (HIDDEN, WIDTH)}
    matrices = {name: random.normal(size=size, scale=0.3).astype(np.float32) for name, size in sizes.items()}
    mix_bias, gain, up_bias, down_bias = (
        random.normal(size=n).astype(np.float32) for n in (WIDTH, WIDTH, 2 * HIDDEN, WIDTH)
    )
    taps, mix, up, down = (one.ravel() for one in matrices.values())
    block = taps, mix, mix_bias, gain, up, up_bias, down, down_bias
    oracle = [torch.from_numpy(one).double() for one in (*matrices.values(), mix_bias, gain, up_bias, down_bias)]
    gains, shifts = random.normal(size=(2, LAYERS, WIDTH)).astype(np.float32)
    return block, oracle, gains, shifts


def rms(x, gain):
    return F.rms_norm(x, x.shape[-1:], gain, np.finfo(np.float32).eps)


def slow(x, oracle, gains, shifts):
    """All states after all layers, [day, channel]."""
    taps, mix, up, down, mix_bias, gain, up_bias, down_bias = oracle
    x = torch.from_numpy(x).double()
    for layer, (last, shift) in enumerate(zip(torch.from_numpy(gains), torch.from_numpy(shifts), strict=True)):
        back = 1 << layer
        padded = F.pad(x.T[None], (2 * back, 0))
        mixed = F.conv1d(padded, taps.T[:, None].contiguous(), dilation=back, groups=WIDTH)[0].T @ mix + mix_bias
        y = rms(x + mixed, gain)
        opened, value = (y @ up + up_bias).chunk(2, dim=1)
        x = rms(y + (F.silu(opened) * value) @ down + down_bias, last.double()) + shift.double()
    return x.numpy()


def run(days, block, gains, shifts, start=0, layers=None):
    """States after all layers; without inputs of each layer before ``start``, those of ``days`` are returned beside."""
    kept = np.full((LAYERS, days.size), np.nan, np.float32) if layers is None else layers
    x = np.concatenate([np.zeros(ROOM * WIDTH, np.float32), days.ravel()])
    encode(x, block, gains, shifts, kept, start, layers is None)
    return x[ROOM * WIDTH :].reshape(days.shape), kept


@pytest.mark.parametrize("count", [1, 9, 64, 65, 200])
def test_states_are_those_of_pytorch(count):
    block, oracle, gains, shifts = draw(count)
    days = np.random.default_rng(count).normal(size=(count, WIDTH)).astype(np.float32)
    found, expected = run(days, block, gains, shifts)[0], slow(days, oracle, gains, shifts)
    assert np.abs(found - expected).max() <= 2e-5 * np.abs(expected).max()


@pytest.mark.parametrize("start", [1, 7, 31, 100, 199])
def test_states_from_a_day_on_are_the_same_to_the_last_bit_given_those_before(start):
    block, _, gains, shifts = draw()
    days = np.random.default_rng(1).normal(size=(200, WIDTH)).astype(np.float32)
    whole, layers = run(days, block, gains, shifts)
    np.testing.assert_array_equal(run(days[start:], block, gains, shifts, start, layers)[0], whole[start:])


def test_the_last_day_alone_is_the_same_as_among_all():
    block, oracle, gains, _ = draw()
    days = np.random.default_rng(2).normal(size=(2 * ROOM - 1, WIDTH)).astype(np.float32)
    gains = np.repeat(gains[:1], LAYERS, axis=0)
    expected = slow(days, oracle, gains, np.zeros_like(gains))[-1]
    np.testing.assert_allclose(decode(days, block, gains[0], LAYERS), expected, rtol=0, atol=2e-5)


def test_inputs_are_what_is_there_and_what_was_seen():
    random = np.random.default_rng(3)
    rest, values, cover, value = (
        random.normal(size=size).astype(np.float32) for size in ((90, WIDTH), 90, WIDTH, WIDTH)
    )
    seen = random.random(90) < 0.7
    values[~seen] = 0
    found = embed(rest, values, seen, cover, value, 2)
    np.testing.assert_array_equal(found[: 2 * WIDTH], 0)
    expected = rest + np.outer(seen, cover) + np.outer(values, value)
    np.testing.assert_allclose(found[2 * WIDTH :].reshape(90, WIDTH), expected, rtol=0, atol=1e-6)


def test_the_last_norm_adds_up_what_it_returns():
    random = np.random.default_rng(4)
    x, gain, total = (random.normal(size=size).astype(np.float32) for size in (102 * WIDTH, WIDTH, WIDTH))
    summed = total.astype(np.float64)
    found = finish(x, 2, gain, summed)
    expected = rms(torch.from_numpy(x[2 * WIDTH :].reshape(100, WIDTH)), torch.from_numpy(gain)).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(summed, total + found.astype(np.float64).sum(0), rtol=1e-12)


@pytest.mark.parametrize(("rows", "depth", "columns"), [(1, 1, 64), (64, 64, 192), (13, 96, 128), (7, 5, 200)])
def test_wide_products_are_those_of_parts_to_the_last_bit(rows, depth, columns):
    random = np.random.default_rng(rows)
    a, b = (random.normal(size=size).astype(np.float32) for size in (rows * depth, depth * columns))
    b, wide, parts = np.pad(b, (0, 8 * PANEL)), *(np.full(rows * columns, np.nan, np.float32) for _ in range(2))
    product(a, depth, 1, b, wide, rows, depth, columns, False)
    for first in range(0, columns, 23):  # more than a vector, and no whole number of them
        count = min(23, columns - first)
        strided_product(a, depth, 1, b[first:], columns, parts[first:], columns, rows, depth, count, False)
    np.testing.assert_array_equal(wide, parts)


@pytest.mark.parametrize("size", [1, 15, 4096])
def test_aligned_values_begin_with_a_cache_line(size):
    values = np.arange(2 * size, dtype=np.float32).reshape(size, 2).T
    found = [aligned(values) for _ in range(5)]
    assert all(one.ctypes.data % 64 == 0 for one in found)
    np.testing.assert_array_equal(found, [values.ravel()] * 5)


def test_exp_is_right_up_to_87():
    values = np.linspace(-87, 87, 2001).astype(np.float32)
    np.testing.assert_allclose([exp(value) for value in values], np.exp(values.astype(np.float64)), rtol=3e-7)


@pytest.mark.slow  # compiles all kernels for the other processor; products there are in test_tiles.py
def test_a_processor_with_narrower_vectors_computes_the_same():
    with_narrow_vectors("test_dilated", "test_states_are_those_of_pytorch(200)")
