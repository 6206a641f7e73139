"""Compiled products of matrices against NumPy's."""

import numpy as np

from narrow import with_narrow_vectors
from products import cases, drawn, multiply


@cases(depth=130)
def test_products_are_those_of_numpy(rows, depth, columns, transposed, add):
    a, b, c = drawn(rows, depth, columns)
    expected = a.astype(np.float64) @ b + (c if add else 0)
    source, steps = (a.T.copy(), (1, rows)) if transposed else (a, (depth, 1))
    found = multiply(source, steps, b, np.nan, c, depth, add)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_processor_with_narrower_vectors_gets_narrower_tiles():
    with_narrow_vectors("test_tiles", "test_products_are_those_of_numpy(17, 130, 70, True, True)")
