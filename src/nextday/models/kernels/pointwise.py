"""Compiled pointwise operations of an encoder layer: dropout, normalisation, softmax, each with its gradient.

Arrays are flat and few, so that LLVM detects that they do not overlap and vectorises. A mask is 16 random bits per
value; a value is kept, scaled, if they are not below a threshold. Without dropout the threshold is 0, and no bits are
read.
"""

import numpy as np

from nextday.models.kernels.tiles import PANEL, compiled

Array = np.ndarray
EPSILON = 1e-5  # what PyTorch's LayerNorm adds to a variance
ROOM = PANEL  # bits that must be readable behind those of a mask of rows
VALUES = {"error_model": "numpy", "fastmath": {"contract"}}
SUMS = {"error_model": "numpy", "fastmath": {"contract", "reassoc"}}  # sums in as many parts as a vector has


@compiled("f4(i8)", **VALUES)
def _scale(threshold: int) -> np.float32:
    return np.float32(65536) / np.float32(65536 - threshold)


@compiled("void(u8[::1], u8[::1])")
def draw(state: Array, out: Array) -> None:
    """Fill ``out`` with random bits as ``numpy.random.SFC64.random_raw`` does, in a third of its time.

    ``state`` is that of the generator, and moves on. C. Doty-Humphrey's "small fast chaotic" one (PractRand, 2010).
    """
    a, b, c, count = state[0], state[1], state[2], state[3]
    for i in range(len(out)):
        now = a + b + count
        count += np.uint64(1)
        a = b ^ (b >> np.uint64(11))
        b = c + (c << np.uint64(3))
        c = ((c << np.uint64(24)) | (c >> np.uint64(40))) + now
        out[i] = now
    state[0], state[1], state[2], state[3] = a, b, c, count


@compiled("void(f4[::1], u2[::1], i8, f4[::1])", **VALUES)
def drop(values: Array, bits: Array, threshold: int, out: Array) -> None:
    """Apply dropout to the values and write to ``out``."""
    scale, zero = _scale(threshold), np.float32(0)
    if threshold == 0:
        out[:] = values[: len(out)]
        return
    for j in range(len(out)):
        out[j] = values[j] * (scale if bits[j] >= threshold else zero)


@compiled("void(u2[::1], i8, f4[:, ::1], i8)", **VALUES)
def mask(bits: Array, threshold: int, out: Array, columns: int) -> None:
    """Set ``out`` [row, width] to the factors of a mask [row, column]: what is dropped is multiplied by 0.

    Its rows are longer, by less than ``ROOM``: behind the columns are factors of the bits that follow in memory.
    """
    scale, zero = _scale(threshold), np.float32(0)
    if threshold == 0:
        out[:] = 1
        return
    for i in range(out.shape[0]):
        row = bits[i * columns :]
        for j in range(out.shape[1]):
            out[i, j] = scale if row[j] >= threshold else zero


@compiled("void(f4[::1], f4[::1], f4[::1])", **VALUES)
def multiply(a: Array, b: Array, out: Array) -> None:
    """Set ``out`` to ``a`` times ``b``."""
    for j in range(len(out)):
        out[j] = a[j] * b[j]


@compiled("void(f4[::1], f4[::1], u2[::1], i8, f4[::1])", **VALUES)
def add_dropped(a: Array, b: Array, bits: Array, threshold: int, out: Array) -> None:
    """Set ``out`` to ``a`` plus ``b`` after dropout."""
    scale, zero = _scale(threshold), np.float32(0)
    if threshold == 0:
        for j in range(len(out)):
            out[j] = a[j] + b[j]
        return
    for j in range(len(out)):
        out[j] = a[j] + b[j] * (scale if bits[j] >= threshold else zero)


@compiled("void(f4[::1], u2[::1], i8)", **VALUES)
def rectify(values: Array, bits: Array, threshold: int) -> None:
    """Set negative values to zero, then apply dropout."""
    scale, zero = _scale(threshold), np.float32(0)
    if threshold == 0:
        for j in range(len(values)):
            values[j] = zero if values[j] < zero else values[j]
        return
    for j in range(len(values)):
        values[j] = (zero if values[j] < zero else values[j]) * (scale if bits[j] >= threshold else zero)


@compiled("void(f4[::1], f4[::1], i8)", **VALUES)
def rectify_back(d: Array, values: Array, threshold: int) -> None:
    """Propagate a gradient back through ``rectify``: its positive outputs were neither negative nor dropped."""
    scale, zero = _scale(threshold), np.float32(0)
    for j in range(len(d)):
        d[j] *= scale if values[j] > zero else zero


@compiled("void(f4[::1], f4[:, ::1])")
def repeat(row: Array, out: Array) -> None:
    """Set every row of ``out`` to one row."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = row[j]


@compiled("void(f4[:, ::1], f4[::1])")
def add_rows(values: Array, total: Array) -> None:
    """Add every row of the values to ``total``."""
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            total[j] += values[i, j]


@compiled("void(f4[::1], f4[::1], f4[::1], f4[::1], f4[::1])", **SUMS)
def normalise(values: Array, gain: Array, shift: Array, inverse: Array, out: Array) -> None:
    """Standardise each row in place, and write the result with gain and shift to ``out``.

    ``inverse`` [row] becomes one over the standard deviation.
    """
    width = len(gain)
    for i in range(len(inverse)):
        row, target = values[i * width : (i + 1) * width], out[i * width : (i + 1) * width]
        mean, square = np.float32(0), np.float32(0)
        for j in range(width):
            mean += row[j]
        mean /= np.float32(width)
        for j in range(width):
            row[j] -= mean
            square += row[j] * row[j]
        one = np.float32(1) / np.sqrt(square / np.float32(width) + np.float32(EPSILON))
        for j in range(width):
            row[j] *= one
            target[j] = row[j] * gain[j] + shift[j]
        inverse[i] = one


@compiled("void(f4[::1], f4[::1], f4[::1], f4[::1], f4[::1], f4[::1])", **SUMS)
def normalise_back(d: Array, normal: Array, inverse: Array, gain: Array, d_gain: Array, d_shift: Array) -> None:
    """Propagate a gradient back through ``normalise`` in place; ``normal`` are its standardised values."""
    width = len(gain)
    for i in range(len(inverse)):
        row, values = d[i * width : (i + 1) * width], normal[i * width : (i + 1) * width]
        total, along = np.float32(0), np.float32(0)
        for j in range(width):
            d_shift[j] += row[j]
            d_gain[j] += row[j] * values[j]
        for j in range(width):
            row[j] *= gain[j]
            total += row[j]
            along += row[j] * values[j]
        total /= np.float32(width)
        along /= np.float32(width)
        for j in range(width):
            row[j] = inverse[i] * (row[j] - total - values[j] * along)


@compiled("f4(f4)", **VALUES)
def exp(x: np.float32) -> np.float32:
    """Compute exp of x <= 87 in float32 to 2e-7 of it, and of x < -87 as of -87. NaN stays NaN."""
    x = np.float32(-87) if x < np.float32(-87) else x
    k = x * np.float32(1.44269504) + np.float32(12582912)  # 1.5 * 2^23: what is behind the point is rounded off
    n = k - np.float32(12582912)
    x = x - n * np.float32(0.693359375) + n * np.float32(2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * x + np.float32(1.3981999507e-3)
    p = p * x + np.float32(8.3334519073e-3)
    p = p * x + np.float32(4.1665795894e-2)
    p = p * x + np.float32(1.6666665459e-1)
    p = p * x + np.float32(5.0000001201e-1)
    power = np.int32((np.float32(k).view(np.int32) + np.int32(127)) << np.int32(23)).view(np.float32)
    return (p * x * x + x + np.float32(1)) * power


@compiled("void(f4[:, ::1], f4[::1])", **VALUES)
def _highest(values: Array, out: Array) -> None:
    out[:] = values[0]
    for i in range(1, values.shape[0]):
        for j in range(values.shape[1]):
            out[j] = values[i, j] if values[i, j] > out[j] else out[j]


@compiled("void(f4[:, ::1], f4[::1])", **VALUES)
def softmax(values: Array, scratch: Array) -> None:
    """Replace the columns of the values [row, column] by their softmax; ``scratch`` has one value per column."""
    rows, columns = values.shape
    _highest(values, scratch)
    for i in range(rows):
        for j in range(columns):
            values[i, j] = exp(values[i, j] - scratch[j])
    scratch[:] = 0
    for i in range(rows):
        for j in range(columns):
            scratch[j] += values[i, j]
    for j in range(columns):
        scratch[j] = np.float32(1) / scratch[j]
    for i in range(rows):
        for j in range(columns):
            values[i, j] *= scratch[j]


@compiled("void(f4[:, ::1], f4[:, ::1], f4[::1], f4)", **VALUES)
def softmax_back(d: Array, weights: Array, scratch: Array, factor: np.float32) -> None:
    """Propagate a gradient back through ``softmax`` in place, times a factor."""
    rows, columns = d.shape
    scratch[:] = 0
    for i in range(rows):
        for j in range(columns):
            scratch[j] += d[i, j] * weights[i, j]
    for i in range(rows):
        for j in range(columns):
            d[i, j] = factor * weights[i, j] * (d[i, j] - scratch[j])
