import numpy as np
import pytest
from arch.bootstrap import optimal_block_length

import worlds
from nextday.evaluate.bootstrap import MIN_BLOCK, optimal_block, optimal_blocks


def test_the_optimal_block_is_the_published_one_of_an_autoregression():
    """The example of arch, ``arch/tests/bootstrap/test_block_length.py``: AR(0.3), 10,000 days after 100, 13.635665."""
    shocks = np.random.RandomState(0).standard_normal(10_100)  # the published draws
    series = np.empty_like(shocks)
    series[0] = shocks[0]
    for day in range(1, len(series)):
        series[day] = 0.3 * series[day - 1] + shocks[day]
    assert optimal_block(series[None, 100:]) == pytest.approx(13.635665, rel=1e-6)


@pytest.mark.parametrize("days", [50, 120, 627])
def test_block_lengths_of_many_series_at_once_are_those_of_arch(days):
    rng = np.random.default_rng(days)
    series = np.concatenate([
        rng.standard_normal((10, days)),
        worlds.autoregression(rng, (10, days), 0.5),
        worlds.autoregression(rng, (10, days), 0.95),
        worlds.autoregression(rng, (10, days), -0.4),
    ])  # fmt: skip
    theirs = optimal_block_length(series.T)["stationary"].to_numpy()
    np.testing.assert_allclose(optimal_blocks(series), np.clip(theirs, MIN_BLOCK, days / 3), rtol=1e-9)
