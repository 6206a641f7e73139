import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextday.evaluate import score, summarise

numbers = st.floats(-0.2, 0.2).map(lambda x: round(x, 4))


def table(rows, ticker="KO", seed=1, variant="A"):
    return pl.DataFrame({
        "variant": variant, "ticker": ticker, "fold": 0, "seed": seed, "origin": range(len(rows)), "date": range(1, len(rows) + 1),
        "actual": [float(a) for a, _ in rows], "predicted": [float(p) for _, p in rows],
    })  # fmt: skip


def folds(mean=0.01):
    return pl.DataFrame({"ticker": ["KO", "PG"], "fold": [0, 0], "historical_mean": [mean, mean]})


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=30))
def test_metrics_agree_with_their_definitions(rows):
    found = score(table(rows), folds()).row(0, named=True)
    n = len(rows)
    squares = sum((a - p) ** 2 for a, p in rows)
    assert found["MAE"] == pytest.approx(sum(abs(a - p) for a, p in rows) / n)
    assert found["RMSE"] == pytest.approx(math.sqrt(squares / n))
    moved = [(a, p) for a, p in rows if a != 0]
    assert (found["Days"], found["ZeroDays"]) == (n, n - len(moved))
    if moved:
        hits = [0.5 if p == 0 else float((a > 0) == (p > 0)) for a, p in moved]
        assert found["DirAcc"] == pytest.approx(sum(hits) / len(moved))
        assert found["AlwaysUp"] == pytest.approx(sum(a > 0 for a, _ in moved) / len(moved))
        assert found["R2Zero"] == pytest.approx(1 - squares / sum(a**2 for a, _ in rows))
    else:
        assert found["DirAcc"] is None
        assert found["R2Zero"] is None or not math.isfinite(found["R2Zero"])
    base = sum((a - 0.01) ** 2 for a, _ in rows)
    if base:
        assert found["R2Mean"] == pytest.approx(1 - squares / base)


def test_the_zero_forecast_scores_half_and_no_skill():
    found = score(table([(0.1, 0), (-0.2, 0), (0, 0)]), folds()).row(0, named=True)
    assert (found["DirAcc"], found["R2Zero"]) == (0.5, 0.0)


def test_the_summary_averages_tickers_within_a_seed_and_then_seeds():
    rows = {("KO", 1): 0.1, ("PG", 1): 0.3, ("KO", 2): 0.2, ("PG", 2): 0.6}
    scores = score(pl.concat(table([(0.0, p)], ticker, seed) for (ticker, seed), p in rows.items()), folds())
    found = summarise(scores, by=["variant"]).row(0, named=True)
    assert found["MAE"] == pytest.approx(0.3)
    assert found["MAE_sd"] == pytest.approx(abs(0.2 - 0.4) / math.sqrt(2))
    assert found["Seeds"] == 2
    per_ticker = summarise(scores, by=["ticker", "variant"])
    assert per_ticker["MAE"].to_list() == pytest.approx([0.15, 0.45])


def test_one_seed_has_no_spread():
    assert summarise(score(table([(0.1, 0.2)]), folds()), by=["variant"])["RMSE_sd"].to_list() == [None]
