"""The LSTM layer of ``recurrence`` with bfloat16 operands of products, and everything else in float32.

Operands are rounded: a day's inputs (the previous state, x, a one), the weights, the gradients of the gates. Results
are not: sums, activations, states, gradients. Micikevicius and others (2018), "Mixed precision training", ICLR;
Kalamkar and others (2019), "A study of bfloat16 for deep learning training", arXiv:1905.12322.

A product takes pairs of numbers that follow each other in depth (``tiles``), and its left side as rows or as columns.
Rounded inputs are therefore pairs in memory order for the gates, where depth runs along a row, and so are rows of
gradients for the backward products. Only for the weights' gradients, where depth is the samples, rows are interleaved.
"""

import numpy as np

from nextday.models.kernels.bfloat import ONE, pair_rows, round_into
from nextday.models.kernels.lstm import BLOCK, _add, _copy_end, _open, _shut, _tanhs, _turn
from nextday.models.kernels.tiles import PANEL, compiled, empty, product, zeros

Array = np.ndarray


@compiled("u2[:, ::1](f4[:, ::1], f4[:, ::1], f4[::1], i8)")
def _rounded_weights(w_x: Array, w_h: Array, bias: Array, wide: int) -> Array:
    """Round the weights of states, of x and of the one, side by side, [4 * unit, wide]; zeros fill them up."""
    out = np.zeros((len(w_h), wide), np.uint16)
    units, features = w_h.shape[1], w_x.shape[1]
    round_into(w_h, out, 0)
    round_into(w_x, out, units)
    round_into(bias.reshape((len(bias), 1)), out, units + features)
    return out


@compiled("u4[::1](u2[:, ::1])")
def _forth(weights: Array) -> Array:
    """Lay rounded weights [4 * unit, wide] out as [gate, wide / 2, unit], pairs of what enters."""
    rows, wide = weights.shape
    units, pairs = rows // 4, weights.view(np.uint32)
    out = np.zeros(rows * wide // 2 + PANEL, np.uint32)
    for gate in range(4):
        _turn(pairs[gate * units : (gate + 1) * units], out[gate * units * wide // 2 :])
    return out


@compiled("u4[::1](f4[:, ::1], f4[:, ::1], i8)")
def _back(w_x: Array, w_h: Array, columns: int) -> Array:
    """Round the first columns of the weights of states and of x, and lay them out as [gate, unit / 2, column]."""
    rows, units = w_h.shape
    half = (units + 1) // 2
    rounded = np.empty((rows, columns), np.uint16)
    round_into(w_h, rounded, 0)
    if columns > units:
        round_into(w_x, rounded, units)
    out = np.zeros(4 * half * columns + PANEL, np.uint32)
    matrix = out[: 4 * half * columns].reshape((4 * half, columns))
    for gate in range(4):
        pair_rows(rounded[gate * units : (gate + 1) * units], matrix[gate * half : (gate + 1) * half])
    return out


@compiled("f4[:, ::1](f4[:, ::1], i8, i8, i8)")
def _stacked(gradients: Array, units: int, first: int, last: int) -> Array:
    """Bring some rows of the gradients [wide, gate * even] into their weights' shape, [4 * unit, last - first]."""
    out = np.empty((4 * units, last - first), np.float32)
    even, count = gradients.shape[1] // 4, last - first
    for gate in range(4):
        matrix = out[gate * units : (gate + 1) * units].ravel()
        for k in range(count):
            source, target = gradients[first + k][gate * even :], matrix[k:]
            for j in range(units):
                target[j * count] = source[j]
    return out


@compiled(
    "Tuple((f4[:, :, ::1], u2[:, :, ::1], f4[:, :, ::1], f4[:, ::1]))"
    "(f4[:, :, ::1], f4[:, ::1], f4[:, ::1], f4[::1], b1)"
)
def forward(x: Array, w_x: Array, w_h: Array, bias: Array, keep: bool) -> tuple[Array, Array, Array, Array]:
    """Run the layer like ``recurrence.forward``; ``inputs`` are rounded, [time, sample, wide], zeros at the end."""
    times, samples, features = x.shape
    units = w_h.shape[1]
    width, kept = units + features + 1, times if keep else 1
    wide, half = (width + 7) // 8 * 8, (width + 1) // 2  # whole tiles for the gradients of the weights; whole pairs
    h = empty(times * samples * units).reshape((times, samples, units))
    c = empty(kept * samples * units).reshape((kept, samples, units))
    gates = empty(kept * 4 * samples * units).reshape((kept, 4 * samples * units))
    inputs = np.zeros((kept, samples, wide), np.uint16)
    inputs[:, :, width - 1] = ONE
    weights = _forth(_rounded_weights(w_x, w_h, bias, wide))
    squashed = empty(BLOCK * units)
    for first in range(0, samples, BLOCK):
        last = min(first + BLOCK, samples)
        size = (last - first) * units
        before, state = zeros(size).reshape((last - first, units)), zeros(size)
        for t in range(times):
            at = t if keep else 0
            now = gates[at][4 * first * units : 4 * last * units]
            cells, entering = c[at][first:last].ravel(), inputs[at][first:last]
            round_into(h[t - 1][first:last] if t else before, entering, 0)
            round_into(x[t][first:last], entering, units)
            pairs = entering.ravel().view(np.uint32)
            for gate in range(4):
                matrix = weights[gate * wide // 2 * units :]
                product(pairs, wide // 2, 1, matrix, now[gate * size :], last - first, half, units, False)
            _open(now, state, squashed[:size], cells, h[t][first:last].ravel())
            state = cells
    return h, inputs, c, gates


@compiled(
    "Tuple((f4[:, :, ::1], f4[:, ::1], f4[:, ::1], f4[:, ::1]))"
    "(f4[:, :, ::1], u2[:, :, ::1], f4[:, ::1], f4[:, ::1], f4[:, :, ::1], f4[:, ::1], b1)"
)
def backward(
    d_h: Array, inputs: Array, w_x: Array, w_h: Array, c: Array, gates: Array, with_x: bool
) -> tuple[Array, Array, Array, Array]:
    """Return the gradients of x (none unless ``with_x``), w_x, w_h and the bias [4 * unit, 1], given that of h."""
    times, samples, wide = inputs.shape
    units, features = w_h.shape[1], w_x.shape[1]
    width, even = units + features + 1, (units + 1) // 2 * 2
    back, row = width - 1 if with_x else units, 4 * even
    weights = _back(w_x, w_h, back)
    d_weights = zeros(wide * row).reshape((wide, row))
    d_x = np.empty((times if with_x else 0, samples, back - units), np.float32)
    zero, squashed = zeros(BLOCK * units), empty(BLOCK * units)
    d_gates = empty(4 * BLOCK * units + PANEL)
    for first in range(0, samples, BLOCK):
        last = min(first + BLOCK, samples)
        rows = last - first
        size, half = rows * units, (rows + 1) // 2
        d_inputs, d_state = zeros(rows * back).reshape((rows, back)), empty(size).reshape((rows, units))
        d_c, squash, rounded = zeros(size), squashed[:size], np.zeros((rows, row), np.uint16)
        entered, leaving = np.empty((half, wide), np.uint32), np.empty(half * row + PANEL, np.uint32)
        d_pairs = leaving[: half * row].reshape((half, row))
        for t in range(times - 1, -1, -1):
            before = c[t - 1][first:last].ravel() if t else zero[:size]
            _add(d_h[t][first:last], d_inputs, d_state)
            _tanhs(c[t][first:last].ravel(), squash)
            _shut(d_state.ravel(), d_c, gates[t][4 * first * units : 4 * last * units], before, squash, d_gates)
            for gate in range(4):
                d_gate = d_gates[gate * size : (gate + 1) * size].reshape((rows, units))
                round_into(d_gate, rounded, gate * even)
            pairs = rounded.ravel().view(np.uint32)
            product(pairs, row // 2, 1, weights, d_inputs.ravel(), rows, row // 2, back, False)
            if with_x:
                _copy_end(d_inputs, units, d_x[t][first:last])
            pair_rows(rounded, d_pairs)
            pair_rows(inputs[t][first:last], entered)
            product(entered.ravel(), 1, wide, leaving, d_weights.ravel(), wide, half, row, True)
    return (
        d_x,
        _stacked(d_weights, units, units, width - 1),
        _stacked(d_weights, units, 0, units),
        _stacked(d_weights, units, width - 1, width),
    )
