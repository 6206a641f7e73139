"""Truths planted in bars, through the whole product: the first sentence names what is true, or says that it cannot tell.

``python benchmarks/planted.py`` counts more panels; LOG.md keeps what it found.
"""

import numpy as np
import polars as pl
import pytest

import planted
from nextday.evaluate import relation


@pytest.mark.parametrize(
    ("kind", "share"), [("volz", 0.09), ("mkt", 0.09), ("ar", 0.09), ("rollvol", 0.09), ("null", 0.0)]
)
def test_the_share_of_variance_that_can_be_forecast_is_the_planted_one(kind, share):
    frame, means = planted.bars(kind, 3)
    returns = frame.with_columns(actual=pl.col("close").log().diff().over("ticker"))
    both = returns.join(means, on=["ticker", "date"]).drop_nulls().filter(pl.col("ticker") != "SPY")
    actual, mean = both["actual"].to_numpy(), both["mean"].to_numpy()
    assert 1 - ((actual - mean) ** 2).mean() / (actual**2).mean() == pytest.approx(share, abs=0.015)


def test_bars_depend_on_their_seed_alone():
    one, two = planted.bars("volz", 1), planted.bars("volz", 1)
    assert one[0].equals(two[0])
    assert not planted.bars("volz", 2)[0].equals(one[0])


def test_what_is_planted_in_volume_is_found_and_named():
    found = planted.judged("volz", 0, seeds=3, days=1200)
    for name in ("linear", "seeded"):
        assert found[name].verdict.code == "features_help"
        assert "engineered features help" in found[name].verdict.sentence
        assert not found[name].lies
        assert found[name].gap(f"{name}-engineered", f"{name}-raw") > 0.02


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", planted.KINDS)
def test_no_more_than_one_sentence_in_twenty_is_wrong(kind, capsys):
    lies, beats, panels = [], 0, 20
    for seed in range(100, 100 + panels):
        for name, found in planted.judged(kind, seed).items():
            lies += [(seed, name, found.lies)] if found.lies else []
            beats += any(relation(one) == ">" for one in found.comparison.against_benchmark)
    with capsys.disabled():
        print(f"\n{kind}: wrong {len(lies)} of {2 * panels} {lies}; something beats zero in {beats}")
    assert len(lies) / (2 * panels) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / (2 * panels))
    assert beats <= 2 if kind == "null" else beats >= panels
