import numpy as np

from nextday.models.kernels.pointwise import draw
from nextday.models.kernels.tiles import LINE, empty, zeros


def test_bits_are_those_of_numpy_and_go_on_where_they_ended():
    numpys = np.random.SFC64(7)
    state = np.random.SFC64(7).state["state"]["state"].copy()
    for count in (1, 1000, 3):
        out = np.empty(count, np.uint64)
        draw(state, out)
        assert np.array_equal(out, numpys.random_raw(count))


def test_arrays_begin_on_a_cache_line():
    for count in (1, 7, 1000, 100_001):
        for made in (empty(count), zeros(count)):
            assert len(made) == count
            assert made.ctypes.data % (4 * LINE) == 0
    assert not zeros(1000).any()
