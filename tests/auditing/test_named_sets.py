"""Named feature sets as columns of the bars: an audit of columns, which cannot see where they come from, finds nothing."""

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import polars as pl
import pytest

from nextday.auditing.columns import audit_columns
from nextday.data import align, load_bars, random_walk
from nextday.features import FEATURES, SETS, find_feature
from nextday.features.values import compute_values

NEEDED = {name: one.package for name, one in SETS.items()}


def as_columns(panel, names):
    values = compute_values(panel, {name: find_feature(name, FEATURES) for name in names})
    dates = np.tile(panel.dates, len(panel.tickers))
    tickers = np.repeat(np.array(panel.tickers), len(panel.dates))
    made = {f"own_{name}": values[..., at].ravel().astype(float) for at, name in enumerate(names)}
    frame = pl.DataFrame({"date": dates, "ticker": tickers} | made).fill_nan(None)
    joined = panel.frame.join(frame, on=["date", "ticker"], how="left", maintain_order="left")
    return replace(panel, frame=joined), list(made)


@pytest.mark.slow
@pytest.mark.parametrize("bars", ["sample", "random walk"])
@pytest.mark.parametrize("name", list(SETS))
def test_a_named_set_raises_no_alarm(name, bars):
    if NEEDED[name] and find_spec(NEEDED[name]) is None:
        pytest.skip(f"{name} needs {NEEDED[name]}")
    walk = random_walk(tickers=("A", "B", "C", "D", "E", "SPY"), sessions=2000, seed=1)
    panel = align(load_bars("sample") if bars == "sample" else walk)
    panel, names = as_columns(panel, SETS[name].names)
    assert [one.sentence for one in audit_columns(panel, names) if one.level == "alarm"] == []
