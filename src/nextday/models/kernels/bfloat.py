"""Numbers in bfloat16, the upper half of a float32, as uint16; pairs of them, as products take them, as uint32."""

import numpy as np

from nextday.models.kernels.tiles import compiled, rounded

Array = np.ndarray
ONE = 0x3F80


@compiled("void(f4[:, ::1], u2[:, ::1], i8)")
def round_into(values: Array, out: Array, first: int) -> None:
    """Round values [row, column] into ``out`` from its column ``first`` on."""
    for i in range(len(values)):
        source, target = values[i], out[i][first:]
        for j in range(len(source)):
            target[j] = rounded(source[j])


@compiled("void(u2[:, ::1], u4[:, ::1])")
def pair_rows(values: Array, out: Array) -> None:
    """Arrange values [row, column] as [row / 2, column], each row paired with the next, an odd last one with zeros."""
    for i in range(len(out)):
        first, target = values[2 * i], out[i].view(np.uint16)
        if 2 * i + 1 < len(values):
            second = values[2 * i + 1]
            for j in range(len(first)):
                target[2 * j] = first[j]
                target[2 * j + 1] = second[j]
        else:
            for j in range(len(first)):
                target[2 * j] = first[j]
                target[2 * j + 1] = 0
