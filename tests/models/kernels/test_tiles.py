"""Compiled products of matrices against NumPy's."""

import numpy as np
import pytest

from narrow import with_narrow_vectors
from nextday.models.kernels import tiles


@pytest.mark.parametrize(
    ("rows", "depth", "columns"), [(64, 64, 64), (1, 1, 1), (9, 3, 33), (17, 130, 70), (5, 64, 31)]
)
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("add", [False, True])
def test_products_are_those_of_numpy(rows, depth, columns, transposed, add):
    random = np.random.default_rng(rows + depth)
    a, b, c = (
        random.normal(size=size).astype(np.float32) for size in ((rows, depth), (depth, columns), (rows, columns))
    )
    expected = a.astype(np.float64) @ b + (c if add else 0)
    source, steps = (a.T.copy(), (1, rows)) if transposed else (a, (depth, 1))
    padded = np.concatenate([b.ravel(), np.full(tiles.PANEL, np.nan, np.float32)])
    tiles.product(source.ravel(), *steps, padded, c.ravel(), rows, depth, columns, add)
    np.testing.assert_allclose(c, expected, rtol=1e-5, atol=1e-5)


def test_a_processor_with_narrower_vectors_gets_narrower_tiles():
    with_narrow_vectors("test_tiles", "test_products_are_those_of_numpy(17, 130, 70, True, True)")
