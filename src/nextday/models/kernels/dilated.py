"""A compiled stack of dilated causal convolutions, each with a network for every day and RMSNorm after both.

All layers share the weights of one block: ``y = rms(x + mix(convolution of x by channel))``, then
``rms(y + down(silu(gate) * value))`` where ``up(y)`` is gate and value. Arrays are [day, channel]. Days pass in pieces
from the last to the first, so that a layer replaces its input in place, and a piece stays in the cache of a core. What
becomes of a day does not depend, to the last bit, on the days that pass beside it.
"""

import numpy as np

from nextday.models.kernels.pointwise import SUMS, VALUES, exp
from nextday.models.kernels.tiles import compiled, product

Array = np.ndarray
WIDTH, HIDDEN = 64, 96  # channels, and units of the network for every day: constants unroll the loops
EPSILON = float(np.finfo(np.float32).eps)  # what PyTorch's RMSNorm adds to a mean square
PIECE = 64  # days
BLOCK = "UniTuple(f4[::1], 8)"  # taps [day, channel]; mix and bias, gain; up and bias; down and bias: [input, output]


@compiled("void(f4[::1], f4[:, ::1], f4[:, ::1], f4[:, ::1], f4[:, ::1])", **VALUES)
def _convolve(taps: Array, oldest: Array, older: Array, newest: Array, out: Array) -> None:
    for i in range(out.shape[0]):
        for j in range(WIDTH):
            out[i, j] = taps[j] * oldest[i, j] + taps[WIDTH + j] * older[i, j] + taps[2 * WIDTH + j] * newest[i, j]


@compiled("void(f4[:, ::1], f4[:, ::1], f4[::1], f4[::1], f4[::1], f4[:, ::1])", **SUMS)
def _add_norm(x: Array, branch: Array, bias: Array, gain: Array, shift: Array, out: Array) -> None:
    """Set ``out`` to ``x`` plus a branch and its bias, over their root mean square, with gain and shift."""
    inverse = np.empty(out.shape[0], np.float32)
    for i in range(len(inverse)):
        square = np.float32(0)
        for j in range(WIDTH):
            value = x[i, j] + branch[i, j] + bias[j]
            out[i, j] = value
            square += value * value
        inverse[i] = square
    for i in range(len(inverse)):
        inverse[i] = np.float32(1) / np.sqrt(inverse[i] / np.float32(WIDTH) + np.float32(EPSILON))
    for i in range(len(inverse)):
        one = inverse[i]
        for j in range(WIDTH):
            out[i, j] = out[i, j] * one * gain[j] + shift[j]


@compiled("void(f4[:, ::1], f4[::1], f4[:, ::1])", **VALUES)
def _gate(joint: Array, bias: Array, out: Array) -> None:
    """Set ``out`` to silu(gate) * value, given gate and value [day, 2 * unit] without their bias."""
    one, most = np.float32(1), np.float32(87)
    for i in range(out.shape[0]):
        for j in range(HIDDEN):
            gate = joint[i, j] + bias[j]
            value = joint[i, HIDDEN + j] + bias[HIDDEN + j]
            out[i, j] = gate * value / (one + exp(-gate if -gate < most else most))


@compiled("f4[:, ::1](f4[::1], i8, i8)")
def _days(x: Array, first: int, count: int) -> Array:
    return x[first * WIDTH : (first + count) * WIDTH].reshape((count, WIDTH))


@compiled(f"void({BLOCK}, f4[:, ::1], f4[:, ::1], f4[:, ::1], f4[::1], f4[::1], f4[:, ::1])")
def _pass(
    block: tuple[Array, ...], oldest: Array, older: Array, newest: Array, gain: Array, shift: Array, out: Array
) -> None:
    """Set ``out`` to the block's results on at most ``PIECE`` days; gain and shift are those of the last norm."""
    taps, mix, mix_bias, mix_gain, up, up_bias, down, down_bias = block
    rows = out.shape[0]
    inner, branch = np.empty(rows * WIDTH, np.float32), np.empty(rows * WIDTH, np.float32)
    joint, hidden = np.empty(2 * rows * HIDDEN, np.float32), np.empty(rows * HIDDEN, np.float32)
    days, added = inner.reshape((rows, WIDTH)), branch.reshape((rows, WIDTH))
    _convolve(taps, oldest, older, newest, days)
    product(inner, WIDTH, 1, mix, branch, rows, WIDTH, WIDTH, False)
    _add_norm(newest, added, mix_bias, mix_gain, np.zeros(WIDTH, np.float32), days)
    product(inner, WIDTH, 1, up, joint, rows, WIDTH, 2 * HIDDEN, False)
    _gate(joint.reshape((rows, 2 * HIDDEN)), up_bias, hidden.reshape((rows, HIDDEN)))
    product(hidden, HIDDEN, 1, down, branch, rows, HIDDEN, WIDTH, False)
    _add_norm(days, added, down_bias, gain, shift, out)


@compiled(f"void(f4[::1], {BLOCK}, f4[:, ::1], f4[:, ::1], f4[:, ::1], i8, b1)")
def encode(
    x: Array, block: tuple[Array, ...], gains: Array, shifts: Array, rest: Array, start: int, keep: bool
) -> None:
    """Take days through layers of dilation 1, 2, 4, ... in place.

    Parameters
    ----------
    x
        Days from ``start`` on, flat, behind room for the days before that the last layer reads, filled with zeros.
    gains, shifts
        Of the last norm of each layer, [layer, channel].
    rest
        Inputs of each layer, [layer, day * channel], of which those before ``start`` are read; with ``keep`` the inputs
        of ``x`` are written there.
    """
    layers = len(gains)
    room = 1 << layers
    count = len(x) // WIDTH - room
    for layer in range(layers):
        dilation = 1 << layer
        if keep:
            rest[layer, :] = x[room * WIDTH :]
        before = min(start, 2 * dilation)
        x[(room - before) * WIDTH : room * WIDTH] = rest[layer, (start - before) * WIDTH : start * WIDTH]
        last = room + count
        while last > room:
            rows = min(PIECE, last - room)
            last -= rows
            now = _days(x, last, rows)
            oldest, older = _days(x, last - 2 * dilation, rows), _days(x, last - dilation, rows)
            _pass(block, oldest, older, now, gains[layer], shifts[layer], now)


@compiled(f"f4[::1](f4[:, ::1], {BLOCK}, f4[::1], i8)")
def decode(x: Array, block: tuple[Array, ...], gain: Array, layers: int) -> Array:
    """Take days through layers of dilation 1, 2, 4, ...; return the last day alone.

    Of each layer only what that day depends on is computed, which is every other day of what is left; ``x`` needs
    ``(2 << layers) - 1`` rows.
    """
    shift = np.zeros(WIDTH, np.float32)
    for _ in range(layers):
        count = len(x) // 2
        out = np.empty((count, WIDTH), np.float32)
        _pass(block, x[: 2 * count : 2].copy(), x[1 : 2 * count : 2].copy(), x[2::2].copy(), gain, shift, out)
        x = out
    return x[0]


@compiled("f4[::1](f4[:, ::1], f4[::1], b1[::1], f4[::1], f4[::1], i8)", **VALUES)
def embed(rest: Array, values: Array, seen: Array, cover: Array, value: Array, room: int) -> Array:
    """Return inputs behind zeros for the room: those at rest, and what a day and its value add where it is seen.

    Values that are not seen have to be zero.
    """
    count = len(seen)
    x = np.empty((room + count) * WIDTH, np.float32)
    x[: room * WIDTH] = 0
    out = _days(x, room, count)
    for i in range(count):
        share = np.float32(seen[i])
        for j in range(WIDTH):
            out[i, j] = rest[i, j] + share * cover[j] + values[i] * value[j]
    return x


@compiled("f4[:, ::1](f4[::1], i8, f4[::1], f8[::1])", **VALUES)
def finish(x: Array, room: int, gain: Array, total: Array) -> Array:
    """Apply a last norm to the days of ``x`` behind the room, and add them up in ``total``."""
    count = len(x) // WIDTH - room
    zero, nothing = np.zeros(WIDTH, np.float32), np.zeros((PIECE, WIDTH), np.float32)
    out = np.empty((count, WIDTH), np.float32)
    for first in range(0, count, PIECE):
        last = min(count, first + PIECE)
        _add_norm(_days(x, room + first, last - first), nothing, zero, gain, zero, out[first:last])
    for i in range(count):
        for j in range(WIDTH):
            total[j] += out[i, j]
    return out
