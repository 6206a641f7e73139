"""Size of the test, and of the naive ways, where the true difference is zero; printed, and kept in LOG.md."""

import warnings

import numpy as np
import polars as pl
import pytest
from scipy import stats
from statsmodels.tsa.stattools import diebold_mariano_test

import worlds
from nextday.evaluate import compare, measure

REPLICATIONS = 300
WAYS = ("rows", "tickers", "seeds", "Diebold-Mariano", "dates alone", "dates and seeds")


def rejections(rows: pl.DataFrame, seed: int) -> dict[str, bool]:
    """Whether each way finds a difference between A and B at 5 %."""
    losses = measure(rows)
    difference = losses.grid[0] - losses.grid[1]
    by_seed = (losses.by_seed[0] - losses.by_seed[1]).mean(axis=1)
    daily = losses.grid.mean(axis=1)
    contrast = compare(losses, replicates=800, seed=seed).between[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hac = diebold_mariano_test(np.zeros(daily.shape[1]), daily[0], daily[1], criterion=lambda _, loss: loss).pvalue
    return {
        "rows": stats.ttest_1samp(difference.ravel(), 0).pvalue < 0.05,
        "tickers": stats.ttest_1samp(difference.mean(axis=1), 0).pvalue < 0.05,
        "seeds": stats.ttest_1samp(by_seed, 0).pvalue < 0.05,
        "Diebold-Mariano": hac < 0.05,
        "dates alone": abs(contrast.estimate) > stats.norm.ppf(0.975) * contrast.date_error,
        "dates and seeds": contrast.p_value < 0.05,
    }


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", worlds.FOUR)
def test_the_rejection_rate_at_5_percent_is_within_2_to_8_percent(name, capsys):
    found = [rejections(worlds.draw(worlds.FOUR[name], seed), seed) for seed in range(REPLICATIONS)]
    rates = {way: float(np.mean([row[way] for row in found])) for way in WAYS}
    with capsys.disabled():
        print(f"\n{name}: " + ", ".join(f"{way} {100 * rate:.1f} %" for way, rate in rates.items()))
    assert 0.02 <= rates["dates and seeds"] <= 0.08
    assert max(rates["rows"], rates["tickers"], rates["dates alone"]) > rates["dates and seeds"]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_one_network_for_all_tickers_is_no_sample_of_tickers(capsys):
    """Its seeds' luck is one for all tickers: told so, the test keeps its size, which it else loses."""
    rates = {}
    for pooled in ((), ("A", "B")):
        found = [
            compare(
                measure(worlds.draw(worlds.World(bias=0.15, pooled=True), seed), pooled=pooled),
                replicates=800,
                seed=seed,
            )
            for seed in range(REPLICATIONS)
        ]
        rates[bool(pooled)] = float(np.mean([one.between[0].p_value < 0.05 for one in found]))
    with capsys.disabled():
        print(f"\npooled networks: told so {100 * rates[True]:.1f} %, not told {100 * rates[False]:.1f} %")
    assert 0.01 <= rates[True] <= 0.08 < rates[False]


@pytest.mark.slow
def test_the_test_has_power():
    """A difference of three standard errors is found in most draws."""
    world = worlds.World(signal=0.05, strengths={"A": 0.0, "B": 0.6}, days=500, bias=0.02, wiggle=0.02)
    found = [
        compare(measure(worlds.draw(world, seed)), replicates=400, seed=seed).between[0].p_value < 0.05
        for seed in range(60)
    ]
    assert np.mean(found) > 0.8
