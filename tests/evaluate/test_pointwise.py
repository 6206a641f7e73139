"""Pointwise intervals by ticker: as wide as the days and the seeds make them, and no wider."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import t

import worlds
from nextday.evaluate import measure
from nextday.evaluate.bootstrap import freedom_of
from nextday.evaluate.pointwise import hit_widths, skill_widths

DAYS, BLOCK = 800, 5.0


def hits_of(hits, ticker="A", seeds=(1,)):
    """Forecasts whose directions are right on the days of ``hits``, the same for all seeds."""
    origin = np.datetime64("2020-01-01") + np.arange(len(hits))
    table = pl.DataFrame(
        {"variant": "V", "ticker": ticker, "origin": origin, "actual": np.where(hits, 1.0, -1.0), "predicted": 1.0}
    )
    return pl.concat([table.with_columns(seed=pl.lit(seed)) for seed in seeds])


def scores_of(values, ticker="A"):
    return pl.DataFrame({"variant": "V", "ticker": ticker, "seed": range(len(values)), "DirAcc": values})


def test_hits_of_independent_days_have_the_error_of_coin_tosses():
    hits = np.random.default_rng(0).random(DAYS) < 0.5
    width = hit_widths(hits_of(hits), scores_of([hits.mean()]), block=BLOCK)["width"].item()
    expected = t.ppf(0.975, freedom_of(DAYS, BLOCK)) * hits.std() / np.sqrt(DAYS)
    assert width == pytest.approx(expected, rel=0.12)


def test_days_that_hang_together_widen_the_interval():
    hits = np.repeat(np.random.default_rng(1).random(DAYS // 10) < 0.5, 10)
    width = hit_widths(hits_of(hits), scores_of([hits.mean()]), block=36.0)["width"].item()
    assert width > 2 * 1.96 * hits.std() / np.sqrt(DAYS)


def test_seeds_that_disagree_widen_the_interval_and_few_seeds_more():
    hits = np.random.default_rng(2).random(DAYS) < 0.5
    table = hits_of(hits)
    widths = [
        hit_widths(table, scores_of(values), block=BLOCK)["width"].item()
        for values in ([0.5], [0.45, 0.5, 0.55], [0.45, 0.55])
    ]
    assert widths == sorted(widths)
    assert widths[1] > 1.5 * widths[0]


def test_each_cell_has_its_own_days():
    rng = np.random.default_rng(3)
    both = pl.concat([hits_of(rng.random(DAYS) < 0.5), hits_of(rng.random(DAYS // 4) < 0.5, "B")])
    scores = pl.concat([scores_of([0.5]), scores_of([0.5], "B")])
    width = dict(hit_widths(both, scores, block=BLOCK).select("ticker", "width").rows())
    assert width["B"] == pytest.approx(2 * width["A"], rel=0.25)


def test_a_skill_has_the_error_that_the_slow_bootstrap_gives():
    losses = measure(worlds.draw(worlds.World(days=600, tickers=2, seeds=1, strengths={"A": 0.5}), 0))
    widths = skill_widths(losses, block=BLOCK)
    rng = np.random.default_rng(0)
    for ticker in range(2):
        loss, base = losses.grid[0, ticker], losses.base[ticker]
        days = rng.integers(0, len(loss), (2000, len(loss)))  # independent days: their draw one by one is enough
        skills = 1 - np.sqrt(loss[days].mean(axis=1) / base[days].mean(axis=1))
        assert widths[0, ticker] == pytest.approx(t.ppf(0.975, freedom_of(600, BLOCK)) * skills.std(), rel=0.15)


def test_intervals_of_skill_hold_the_truth_of_a_forecast_without_signal_about_as_often_as_they_say():
    inside = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        actual, predicted = rng.standard_normal((5, 300)), 0.1 * rng.standard_normal((1, 5, 300))
        losses = worlds.losses_of(actual, {"V": predicted})
        skill = 1 - np.sqrt(losses.grid.mean(axis=2) / losses.base.mean(axis=1))
        inside.append(np.abs(skill - (1 - np.sqrt(1.01))) <= skill_widths(losses, block=BLOCK))
    assert 0.9 < np.mean(inside) < 0.99
