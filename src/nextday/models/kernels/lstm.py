"""A compiled LSTM layer, forward and backward: the dominant cost of training.

It is equivalent to ``torch.nn.LSTM`` (float32, one layer, one direction, states that begin at zero). Arrays are
time-major: x [time, sample, feature], h and c [time, sample, unit], gates [time, 4 * sample * unit], within a block of
samples gate after gate in PyTorch's order: input, forget, cell, output. The inputs of a day's gates are one array,
``inputs`` [time, sample, unit + feature + 1]: the state of the day before, x, and a one for the bias. Each gate is
therefore one product, its gradient two.

Samples pass in blocks, each through all times, so that what a step needs stays in the cache of a core however large the
batch is; blocks have nothing in common but the gradients of the weights.
"""

import numpy as np

from nextday.models.kernels.tiles import PANEL, compiled, empty, product, zeros

Array = np.ndarray
BLOCK = 64  # samples that pass together: their gates and the weights of a layer fit into 512 KiB


# What follows runs over flat arrays, a few at a time: LLVM then finds them apart and uses its vectors.


@compiled("f4(f4)", error_model="numpy", fastmath={"contract"})
def _tanh(x: np.float32) -> np.float32:
    """Compute tanh in float32 to 4e-7: a rational minimax fit on |x| < 9, beyond which it is 1. NaN stays NaN."""
    x = np.float32(9) if x > np.float32(9) else x
    x = np.float32(-9) if x < np.float32(-9) else x
    z = x * x
    p = np.float32(1.3354384e-08)
    p = p * z + np.float32(2.0608923e-05)
    p = p * z + np.float32(3.4955805e-03)
    p = p * z + np.float32(1.3381021e-01)
    p = p * z + np.float32(1)
    q = np.float32(7.7764560e-07)
    q = q * z + np.float32(3.2856208e-04)
    q = q * z + np.float32(2.5876956e-02)
    q = q * z + np.float32(4.6714336e-01)
    q = q * z + np.float32(1)
    return x * p / q


@compiled("void(f4[::1])", error_model="numpy", fastmath={"contract"})
def _sigmoids(values: Array) -> None:
    half = np.float32(0.5)
    for j in range(len(values)):
        values[j] = half * _tanh(half * values[j]) + half


@compiled("void(f4[::1])", error_model="numpy", fastmath={"contract"})
def _squash(values: Array) -> None:
    """Compute tanh in place: ``_tanhs`` of an array into itself would go value by value, at six times the time."""
    for j in range(len(values)):
        values[j] = _tanh(values[j])


@compiled("void(f4[::1], f4[::1])", error_model="numpy", fastmath={"contract"})
def _tanhs(values: Array, out: Array) -> None:
    for j in range(len(values)):
        out[j] = _tanh(values[j])


@compiled("void(f4[::1], f4[::1], f4[::1], f4[::1], f4[::1])", error_model="numpy", fastmath={"contract"})
def _mix(a: Array, b: Array, c: Array, d: Array, out: Array) -> None:
    for j in range(len(out)):
        out[j] = a[j] * b[j] + c[j] * d[j]


@compiled("void(f4[::1], f4[::1], f4[::1])")
def _multiply(a: Array, b: Array, out: Array) -> None:
    for j in range(len(out)):
        out[j] = a[j] * b[j]


# Where columns begin at an offset, a row is sliced first: Numba looks at every index that may be negative.


@compiled("void(f4[:, ::1], f4[:, ::1], i8)")
def _copy(values: Array, out: Array, first: int) -> None:
    """Copy values [row, column] into ``out`` from its column ``first`` on."""
    for i in range(len(values)):
        source, target = values[i], out[i][first:]
        for j in range(len(source)):
            target[j] = source[j]


@compiled("void(f4[:, ::1], i8, f4[:, ::1])")
def _copy_end(values: Array, first: int, out: Array) -> None:
    """Copy values [row, column] from column ``first`` on."""
    for i in range(len(out)):
        source, target = values[i][first:], out[i]
        for j in range(len(target)):
            target[j] = source[j]


@compiled("void(f4[:, ::1], f4[:, ::1], f4[:, ::1])")
def _add(a: Array, b: Array, out: Array) -> None:
    """Add the first columns of ``b`` to ``a``."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = a[i, j] + b[i, j]


@compiled("void(f4[::1], f4[::1], f4[::1], f4[::1], f4[::1])")
def _open(gates: Array, before: Array, squashed: Array, c: Array, h: Array) -> None:
    """Take a day's gates through their activations, in place, and from the cells before to the cells and states now."""
    size = len(h)
    _sigmoids(gates[: 2 * size])
    _squash(gates[2 * size : 3 * size])
    _sigmoids(gates[3 * size :])
    _mix(gates[size : 2 * size], before, gates[:size], gates[2 * size : 3 * size], c)
    _tanhs(c, squashed)
    _multiply(gates[3 * size :], squashed, h)


@compiled("void(f4[::1], f4[::1], f4[::1], f4[::1], f4[::1], f4[::1])", error_model="numpy", fastmath={"contract"})
def _shut(d_h: Array, d_c: Array, gates: Array, c_before: Array, squashed: Array, d_gates: Array) -> None:
    """Take the gradient of the states back through the activations; ``d_c`` moves one day back."""
    one, size = np.float32(1), len(d_h)
    i, f, g, o = gates[:size], gates[size : 2 * size], gates[2 * size : 3 * size], gates[3 * size :]
    d_i, d_f = d_gates[:size], d_gates[size : 2 * size]
    d_g, d_o = d_gates[2 * size : 3 * size], d_gates[3 * size :]
    for j in range(size):
        d_o[j] = d_h[j] * squashed[j] * o[j] * (one - o[j])
    for j in range(size):
        d_c[j] += d_h[j] * o[j] * (one - squashed[j] * squashed[j])
    for j in range(size):
        d_i[j] = d_c[j] * g[j] * i[j] * (one - i[j])
    for j in range(size):
        d_f[j] = d_c[j] * c_before[j] * f[j] * (one - f[j])
    for j in range(size):
        d_g[j] = d_c[j] * i[j] * (one - g[j] * g[j])
    for j in range(size):
        d_c[j] *= f[j]


@compiled(["void(f4[:, ::1], f4[::1])", "void(u4[:, ::1], u4[::1])"])
def _turn(values: Array, out: Array) -> None:
    """Lay values [row, column] out as [column, row]."""
    rows, columns = values.shape
    flat = values.ravel()
    for j in range(columns):
        source, target = flat[j:], out[j * rows : (j + 1) * rows]
        for i in range(rows):
            target[i] = source[i * columns]


@compiled("f4[::1](f4[:, ::1], f4[:, ::1], f4[::1])")
def _transposed(w_x: Array, w_h: Array, bias: Array) -> Array:
    """Lay the weights out flat, as [gate, unit before + feature + 1, unit]."""
    units, features = w_h.shape[1], w_x.shape[1]
    size = (units + features + 1) * units
    out = zeros(4 * size + PANEL)
    for gate in range(4):
        rows, matrix = slice(gate * units, (gate + 1) * units), out[gate * size : (gate + 1) * size]
        _turn(w_h[rows], matrix)
        _turn(w_x[rows], matrix[units * units :])
        matrix[size - units :] = bias[rows]
    return out


@compiled("f4[::1](f4[:, ::1], f4[:, ::1], i8)")
def _beside(w_h: Array, w_x: Array, columns: int) -> Array:
    """Lay the first columns of the weights of states and of x out flat, as [4 * unit, column]."""
    rows, units = w_h.shape
    out = empty(rows * columns + PANEL)
    matrix = out[: rows * columns].reshape((rows, columns))
    _copy(w_h, matrix, 0)
    if columns > units:
        _copy(w_x, matrix, units)
    return out


@compiled("f4[:, ::1](f4[:, :, ::1], i8, i8)")
def _stacked(gradients: Array, first: int, last: int) -> Array:
    """Bring some rows of the gradients [4, width, unit] into the shape of their weights, [4 * unit, last - first]."""
    units = gradients.shape[2]
    out = np.empty((4 * units, last - first), np.float32)
    for gate in range(4):
        for k in range(first, last):
            for j in range(units):
                out[gate * units + j, k - first] = gradients[gate, k, j]
    return out


@compiled(
    "Tuple((f4[:, :, ::1], f4[:, :, ::1], f4[:, :, ::1], f4[:, ::1]))"
    "(f4[:, :, ::1], f4[:, ::1], f4[:, ::1], f4[::1], b1)"
)
def forward(x: Array, w_x: Array, w_h: Array, bias: Array, keep: bool) -> tuple[Array, Array, Array, Array]:
    """Run the layer; return h and the inputs of ``backward``: inputs, c, the gates after their activation.

    ``w_x`` [4 * unit, feature], ``w_h`` [4 * unit, unit], ``bias`` [4 * unit]. Without ``keep`` only h is valid.
    """
    times, samples, features = x.shape
    units = w_h.shape[1]
    width, kept = units + features + 1, times if keep else 1
    h = empty(times * samples * units).reshape((times, samples, units))
    c = empty(kept * samples * units).reshape((kept, samples, units))
    gates = empty(kept * 4 * samples * units).reshape((kept, 4 * samples * units))
    inputs = empty(kept * samples * width).reshape((kept, samples, width))
    inputs[:, :, width - 1] = 1
    weights = _transposed(w_x, w_h, bias)
    squashed = empty(BLOCK * units)
    for first in range(0, samples, BLOCK):
        last = min(first + BLOCK, samples)
        size = (last - first) * units
        before, state = zeros(size).reshape((last - first, units)), zeros(size)
        for t in range(times):
            at = t if keep else 0
            now = gates[at][4 * first * units : 4 * last * units]
            cells, entering = c[at][first:last].ravel(), inputs[at][first:last]
            _copy(h[t - 1][first:last] if t else before, entering, 0)
            _copy(x[t][first:last], entering, units)
            for gate in range(4):
                matrix = weights[gate * width * units :]
                product(entering.ravel(), width, 1, matrix, now[gate * size :], last - first, width, units, False)
            _open(now, state, squashed[:size], cells, h[t][first:last].ravel())
            state = cells
    return h, inputs, c, gates


@compiled(
    "Tuple((f4[:, :, ::1], f4[:, ::1], f4[:, ::1], f4[:, ::1]))"
    "(f4[:, :, ::1], f4[:, :, ::1], f4[:, ::1], f4[:, ::1], f4[:, :, ::1], f4[:, ::1], b1)"
)
def backward(
    d_h: Array, inputs: Array, w_x: Array, w_h: Array, c: Array, gates: Array, with_x: bool
) -> tuple[Array, Array, Array, Array]:
    """Return the gradients of x (none unless ``with_x``), w_x, w_h and the bias [4 * unit, 1], given that of h."""
    times, samples, width = inputs.shape
    units = w_h.shape[1]
    back = width - 1 if with_x else units  # how many of a day's inputs want their gradient
    weights = _beside(w_h, w_x, back)
    d_weights = zeros(4 * width * units).reshape((4, width, units))
    d_x = np.empty((times if with_x else 0, samples, back - units), np.float32)
    zero, squashed = zeros(BLOCK * units), empty(BLOCK * units)
    d_gates = empty(4 * BLOCK * units + PANEL)
    for first in range(0, samples, BLOCK):
        last = min(first + BLOCK, samples)
        rows = last - first
        size = rows * units
        d_inputs, d_state = zeros(rows * back).reshape((rows, back)), empty(size).reshape((rows, units))
        d_c, squash = zeros(size), squashed[:size]
        for t in range(times - 1, -1, -1):
            before, entered = c[t - 1][first:last].ravel() if t else zero[:size], inputs[t][first:last].ravel()
            _add(d_h[t][first:last], d_inputs, d_state)
            _tanhs(c[t][first:last].ravel(), squash)
            _shut(d_state.ravel(), d_c, gates[t][4 * first * units : 4 * last * units], before, squash, d_gates)
            for gate in range(4):
                d_gate, matrix = d_gates[gate * size :], weights[gate * units * back :]
                product(entered, 1, width, d_gate, d_weights[gate].ravel(), width, rows, units, True)
                product(d_gate, units, 1, matrix, d_inputs.ravel(), rows, units, back, gate > 0)
            if with_x:
                _copy_end(d_inputs, units, d_x[t][first:last])
    return (
        d_x,
        _stacked(d_weights, units, width - 1),
        _stacked(d_weights, 0, units),
        _stacked(d_weights, width - 1, width),
    )
