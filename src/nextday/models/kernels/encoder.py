"""A compiled encoder layer, forward and backward: the dominant cost of a Transformer's training step.

It is equivalent to ``torch.nn.TransformerEncoderLayer`` (float32, ReLU, normalised after each block). Arrays are
flat; rows are days, sample after sample. A few samples at a time pass through all steps, and stay in the cache.

Attention holds its weights transposed, [sample, head, from, to], each row filled up to whole panels: so softmax runs
over rows, one lane per day, and every product of a head reads its matrices in memory order.
"""

import math

import numpy as np

from nextday.models.kernels.pointwise import (
    add_dropped,
    add_rows,
    drop,
    mask,
    multiply,
    normalise,
    normalise_back,
    rectify,
    rectify_back,
    repeat,
    softmax,
    softmax_back,
)
from nextday.models.kernels.tiles import PANEL, compiled, empty, product, strided_product, zeros

Array = np.ndarray
BLOCK = 8  # samples


@compiled("i8(i8)", error_model="numpy")
def _filled(count: int) -> int:
    """Round up to whole panels."""
    return (count + PANEL - 1) // PANEL * PANEL


@compiled("f4[::1](f4[::1], i8)", error_model="numpy")
def _transposed(weight: Array, columns: int) -> Array:
    """Transpose a weight [row, column], with room behind it."""
    rows = len(weight) // columns
    out = empty(len(weight) + PANEL)
    for j in range(columns):
        for i in range(rows):
            out[j * rows + i] = weight[i * columns + j]
    return out


@compiled("f4[::1](f4[::1])")
def _roomy(weight: Array) -> Array:
    """Copy a weight, with room behind it."""
    out = empty(len(weight) + PANEL)
    out[: len(weight)] = weight
    return out


@compiled("void(f4[::1], f4[::1], f4[::1], f4[::1], i8)", error_model="numpy")
def _linear(x: Array, transposed: Array, bias: Array, out: Array, rows: int) -> None:
    """Set ``out`` [row, output] to a linear layer of ``x`` [row, input]."""
    outputs = len(bias)
    inputs = (len(transposed) - PANEL) // outputs
    target = out[: rows * outputs]
    repeat(bias, target.reshape((rows, outputs)))
    product(x, inputs, 1, transposed, target, rows, inputs, outputs, True)


@compiled("void(f4[::1], f4[::1], f4[::1], f4[::1], i8)", error_model="numpy")
def _linear_back(d: Array, x: Array, d_weight: Array, d_bias: Array, rows: int) -> None:
    """Add to the gradients of a linear layer's weight [output, input] and bias, given that of its output."""
    outputs = len(d_bias)
    add_rows(d[: rows * outputs].reshape((rows, outputs)), d_bias)
    product(d, 1, outputs, x, d_weight, outputs, rows, len(d_weight) // outputs, True)


@compiled("void(f4[::1], i8, f4[::1], i8, i8, f4)")
def _turn(values: Array, step: int, out: Array, rows: int, columns: int, factor: np.float32) -> None:
    """Set ``out`` [column, row, filled up] to values [row, column], whose rows lie ``step`` apart, times a factor."""
    width = _filled(rows)
    for j in range(columns):
        for i in range(rows):
            out[j * width + i] = factor * values[i * step + j]


@compiled("void(f4[::1], f4[::1], u2[::1], i8, UniTuple(i8, 3), f4[::1])", error_model="numpy")
def _attend(joint: Array, weights: Array, bits: Array, threshold: int, shape: tuple[int, int, int], out: Array) -> None:
    """Attend within one sample: from query, key and value ``joint`` [time, 3 * width] to weights and to ``out``."""
    times, width, heads = shape
    depth, span, step = width // heads, _filled(times), 3 * width
    area = times * span
    turned, scratch = zeros(depth * span), empty(span)
    factors, dropped = empty(area), empty(area)
    for head in range(heads):
        at = head * depth
        key, value = joint[width + at :], joint[2 * width + at :]
        _turn(joint[at:], step, turned, times, depth, np.float32(1 / math.sqrt(depth)))
        kept = weights[head * area : (head + 1) * area]
        strided_product(key, step, 1, turned, span, kept, span, times, depth, span, False)
        softmax(kept.reshape((times, span)), scratch)
        mask(bits[head * times * times :], threshold, factors.reshape((times, span)), times)
        multiply(kept, factors, dropped)
        strided_product(dropped, 1, span, value, step, out[at:], width, times, times, depth, False)


@compiled("void(f4[::1], f4[::1], f4[::1], u2[::1], i8, UniTuple(i8, 3), f4[::1])", error_model="numpy")
def _attend_back(
    d: Array, joint: Array, weights: Array, bits: Array, threshold: int, shape: tuple[int, int, int],
    d_joint: Array,
) -> None:  # fmt: skip
    """Take the gradient of what ``_attend`` gave back to ``joint``."""
    times, width, heads = shape
    depth, span, step = width // heads, _filled(times), 3 * width
    area = times * span
    turned, scratch = zeros(depth * span), empty(span)
    factors, dropped, d_weights = empty(area), empty(area), empty(area)
    factor = np.float32(1 / math.sqrt(depth))
    for head in range(heads):
        at = head * depth
        query, key, value = joint[at:], joint[width + at :], joint[2 * width + at :]
        kept = weights[head * area : (head + 1) * area]
        mask(bits[head * times * times :], threshold, factors.reshape((times, span)), times)
        multiply(kept, factors, dropped)
        strided_product(dropped, span, 1, d[at:], width, d_joint[2 * width + at :], step, times, times, depth, False)
        _turn(d[at:], width, turned, times, depth, np.float32(1))
        strided_product(value, step, 1, turned, span, d_weights, span, times, depth, span, False)
        multiply(d_weights, factors, d_weights)
        softmax_back(d_weights.reshape((times, span)), kept.reshape((times, span)), scratch, factor)
        strided_product(d_weights, 1, span, key, step, d_joint[at:], step, times, times, depth, False)
        strided_product(d_weights, span, 1, query, step, d_joint[width + at :], step, times, times, depth, False)


@compiled(
    "Tuple((f4[::1], UniTuple(f4[::1], 9)))(f4[::1], UniTuple(f4[::1], 12), UniTuple(u2[::1], 4), i8, i8, i8, b1)",
    error_model="numpy",
)
def forward(
    x: Array, parameters: tuple[Array, ...], bits: tuple[Array, ...], threshold: int, times: int, heads: int, keep: bool
) -> tuple[Array, tuple[Array, ...]]:
    """Run the layer; return its output and the inputs of ``backward``.

    ``parameters``: weight and bias of query, key and value in one, of the layer after attention, of the two of the
    network for each day, and of the two normalisations. ``bits``: the masks of attention's weights [sample, head, from,
    to], with ``pointwise.ROOM`` behind, after attention, within the network, after it. Without ``keep`` only the output
    is valid.
    """
    joint_w, joint_b, combine_w, combine_b, expand_w, expand_b, shrink_w, shrink_b, gain1, shift1, gain2, shift2 = (
        parameters
    )
    width, hidden = len(combine_b), len(expand_b)
    area, pairs = heads * times * _filled(times), heads * times * times
    samples = len(x) // (times * width)
    kept = samples if keep else min(samples, BLOCK)
    days = kept * times
    joint, weights = empty(3 * days * width + PANEL), empty(kept * area)
    mixed, normal1 = empty(days * width + PANEL), empty(days * width)
    inverse1, middle = empty(days), empty(days * width + PANEL)
    inner, normal2 = empty(days * hidden + PANEL), empty(days * width)
    inverse2, out = empty(days), empty(len(x))
    branch = empty(BLOCK * times * width)
    joint_t, combine_t = _transposed(joint_w, width), _transposed(combine_w, width)
    expand_t, shrink_t = _transposed(expand_w, width), _transposed(shrink_w, hidden)
    for first in range(0, samples, BLOCK):
        last = min(samples, first + BLOCK)
        count, at = last - first, first if keep else 0  # the latter: where this block's values are kept
        rows, day = count * times, at * times
        here, there = slice(day * width, (day + rows) * width), slice(first * times * width, last * times * width)
        deep = slice(day * hidden, (day + rows) * hidden)
        _linear(x[there], joint_t, joint_b, joint[3 * day * width :], rows)
        for i in range(count):
            head_bits = bits[0][(first + i) * pairs :] if threshold else bits[0]
            start = day + i * times
            _attend(
                joint[3 * start * width :], weights[(at + i) * area :], head_bits, threshold, (times, width, heads),
                mixed[start * width :],
            )  # fmt: skip
        _linear(mixed[day * width :], combine_t, combine_b, branch, rows)
        add_dropped(x[there], branch, bits[1][there] if threshold else bits[1], threshold, normal1[here])
        normalise(normal1[here], gain1, shift1, inverse1[day : day + rows], middle[here])
        _linear(middle[day * width :], expand_t, expand_b, inner[day * hidden :], rows)
        masked = slice(first * times * hidden, last * times * hidden)
        rectify(inner[deep], bits[2][masked] if threshold else bits[2], threshold)
        _linear(inner[day * hidden :], shrink_t, shrink_b, branch, rows)
        add_dropped(middle[here], branch, bits[3][there] if threshold else bits[3], threshold, normal2[here])
        normalise(normal2[here], gain2, shift2, inverse2[day : day + rows], out[there])
    return out, (joint, weights, mixed, normal1, inverse1, middle, inner, normal2, inverse2)


@compiled(
    "Tuple((f4[::1], UniTuple(f4[::1], 12)))"
    "(f4[::1], f4[::1], UniTuple(f4[::1], 12), UniTuple(f4[::1], 9), UniTuple(u2[::1], 4), i8, i8, i8)",
    error_model="numpy",
)
def backward(
    d_out: Array, x: Array, parameters: tuple[Array, ...], kept: tuple[Array, ...], bits: tuple[Array, ...],
    threshold: int, times: int, heads: int,
) -> tuple[Array, tuple[Array, ...]]:  # fmt: skip
    """Return the gradients of x and of the parameters, given that of the output; x is followed by room of ``PANEL``."""
    joint_w, joint_b, combine_w, combine_b, expand_w, expand_b, shrink_w, shrink_b, gain1, shift1, gain2, shift2 = (
        parameters
    )
    joint, weights, mixed, normal1, inverse1, middle, inner, normal2, inverse2 = kept
    width, hidden = len(combine_b), len(expand_b)
    area, pairs = heads * times * _filled(times), heads * times * times
    samples = len(d_out) // (times * width)
    d_joint_w, d_joint_b = zeros(len(joint_w)), zeros(len(joint_b))
    d_combine_w, d_combine_b = zeros(len(combine_w)), zeros(len(combine_b))
    d_expand_w, d_expand_b = zeros(len(expand_w)), zeros(len(expand_b))
    d_shrink_w, d_shrink_b = zeros(len(shrink_w)), zeros(len(shrink_b))
    d_gain1, d_shift1, d_gain2, d_shift2 = (
        zeros(len(gain1)), zeros(len(shift1)), zeros(len(gain2)), zeros(len(shift2))
    )  # fmt: skip
    joint_r, combine_r, expand_r, shrink_r = _roomy(joint_w), _roomy(combine_w), _roomy(expand_w), _roomy(shrink_w)
    d_x, size = empty(len(d_out)), BLOCK * times * width
    d_branch, d_mixed = empty(size + PANEL), empty(size + PANEL)
    d_inner, d_joint = empty(BLOCK * times * hidden), empty(3 * size)
    for first in range(0, samples, BLOCK):
        last = min(samples, first + BLOCK)
        day, rows = first * times, (last - first) * times
        here, deep = slice(day * width, (day + rows) * width), slice(day * hidden, (day + rows) * hidden)
        now, d = slice(day, day + rows), d_x[here]
        d[:] = d_out[here]
        normalise_back(d, normal2[here], inverse2[now], gain2, d_gain2, d_shift2)
        drop(d, bits[3][here] if threshold else bits[3], threshold, d_branch[: rows * width])
        _linear_back(d_branch, inner[day * hidden :], d_shrink_w, d_shrink_b, rows)
        product(d_branch, width, 1, shrink_r, d_inner, rows, width, hidden, False)
        rectify_back(d_inner[: rows * hidden], inner[deep], threshold)
        _linear_back(d_inner, middle[day * width :], d_expand_w, d_expand_b, rows)
        product(d_inner, hidden, 1, expand_r, d, rows, hidden, width, True)
        normalise_back(d, normal1[here], inverse1[now], gain1, d_gain1, d_shift1)
        drop(d, bits[1][here] if threshold else bits[1], threshold, d_branch[: rows * width])
        _linear_back(d_branch, mixed[day * width :], d_combine_w, d_combine_b, rows)
        product(d_branch, width, 1, combine_r, d_mixed, rows, width, width, False)
        for i in range(last - first):
            head_bits = bits[0][(first + i) * pairs :] if threshold else bits[0]
            start = day + i * times
            _attend_back(
                d_mixed[i * times * width :], joint[3 * start * width :], weights[(first + i) * area :], head_bits,
                threshold, (times, width, heads), d_joint[3 * i * times * width :],
            )  # fmt: skip
        _linear_back(d_joint, x[day * width :], d_joint_w, d_joint_b, rows)
        product(d_joint, 3 * width, 1, joint_r, d, rows, 3 * width, width, True)
    return d_x, (
        d_joint_w, d_joint_b, d_combine_w, d_combine_b, d_expand_w, d_expand_b, d_shrink_w, d_shrink_b,
        d_gain1, d_shift1, d_gain2, d_shift2,
    )  # fmt: skip
