"""Cases of the compiled products of matrices, whatever kind of numbers they multiply."""

import numpy as np
import pytest

from nextday.models.kernels import tiles


def cases(depth):
    """Shapes of a product, one of them of this depth; its left factor by rows or by columns; with or without a sum."""
    shapes = [(64, 64, 64), (1, 1, 1), (9, 3, 33), (17, depth, 70), (5, 64, 31)]

    def decorate(test):
        for names, values in (
            ("add", [False, True]),
            ("transposed", [False, True]),
            (("rows", "depth", "columns"), shapes),
        ):
            test = pytest.mark.parametrize(names, values)(test)
        return test

    return decorate


def drawn(rows, depth, columns):
    """Two factors, and what their product may be added to."""
    random = np.random.default_rng(rows + depth)
    return (random.normal(size=size).astype(np.float32) for size in ((rows, depth), (depth, columns), (rows, columns)))


def multiply(source, steps, right, nothing, c, depth, add):
    """Multiply into ``c``; behind the right factor ``nothing`` can be read, which must not enter."""
    padded = np.concatenate([right.ravel(), np.full(tiles.PANEL, nothing, right.dtype)])
    rows, columns = c.shape
    tiles.product(source.ravel(), *steps, padded, c.ravel(), rows, depth, columns, add)
    return c
