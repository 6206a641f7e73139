"""Representations of a window: each is what it says, of this window alone."""

import numpy as np
import pytest

from nextday.data import align
from nextday.engine import make_plan
from nextday.errors import StudyError
from nextday.samples import Windows
from nextday.samples.representation import beside, digest, project, represent
from nextday.study import Study

LONG = Windows(np.random.default_rng(0).standard_normal((100, 2)).astype(np.float32), 30, ("a", "b"))


def test_a_digest_has_the_means_and_deviations_of_each_window():
    found, x = digest(LONG), LONG.x.astype(np.float64)
    assert (len(found), found.lookback) == (len(LONG), 1)
    assert found.names[:4] == ("a mean 1", "b mean 1", "a mean 5", "b mean 5")
    assert found.names[-2:] == ("a deviation 30", "b deviation 30")
    for name, values in {
        "a mean 1": x[:, -1, 0], "b mean 20": x[:, -20:, 1].mean(1), "a deviation 20": x[:, -20:, 0].std(1),
        "b mean 30": x[..., 1].mean(1),
    }.items():  # fmt: skip
        np.testing.assert_allclose(found.last(name), values, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("lookback", [1, 4, 5, 20, 60, 61])
def test_projections_are_as_many_as_the_columns_of_the_digest(lookback):
    windows = Windows(np.random.default_rng(1).standard_normal((80, 3)).astype(np.float32), lookback, ("a", "b", "c"))
    one, two = digest(windows), project(windows, 7)
    assert one.rows.shape == two.rows.shape
    assert np.array_equal(two.rows, project(windows, 7).rows)
    assert not np.allclose(two.rows, project(windows, 8).rows)
    assert len({*one.names}) == len(one.names)


def test_projections_are_linear_and_of_length_one():
    white = Windows(np.random.default_rng(2).standard_normal((30_000, 1)), 20, ("a",))
    found = project(white, 3).rows
    np.testing.assert_allclose(found.std(axis=0), 1, atol=0.05)
    twice = Windows(2 * white.rows, 20, ("a",))
    np.testing.assert_allclose(project(twice, 3).rows, 2 * found)


def test_both_has_every_lag_and_the_digest_in_the_last_row():
    both = beside(LONG, digest(LONG))
    assert both.names == LONG.names + digest(LONG).names
    np.testing.assert_array_equal(both.x[..., :2], LONG.x)
    np.testing.assert_array_equal(both.newest[:, 2:], digest(LONG).rows)
    assert not both.x[:, :-1, 2:].any()
    np.testing.assert_array_equal(both.cut(3, 9).x, both.x[3:9])


def test_columns_are_standardised_by_the_training_windows():
    train, test = represent([LONG.cut(0, 50), LONG.cut(50, None)], "digest", scaled=True)
    np.testing.assert_allclose(train.rows.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(train.rows.std(axis=0), 1, rtol=1e-5)
    assert test.rows.mean() != pytest.approx(0, abs=1e-6)
    both, _ = represent([LONG.cut(0, 50), LONG.cut(50, None)], "both", scaled=True)
    np.testing.assert_array_equal(both.newest[:, 2:], train.rows)


def test_a_shorter_lookback_ends_at_the_same_origins(bars):
    variants = {
        "long": {"model": "ridge", "features": "ohlcv"},
        "short": {"model": "ridge", "features": "ohlcv", "lookback": 4},
    }
    panel = align(bars, market="MKT")
    plan = make_plan(Study.from_values({"name": "two", "variants": variants, "lookback": 10}), panel)
    jobs = {unit.variant: plan.job(unit) for unit in plan.units if unit.ticker == "AAA"}
    assert jobs["short"].test.lookback == 4
    assert len(jobs["short"].test) == len(jobs["long"].test)
    np.testing.assert_array_equal(jobs["short"].train.y, jobs["long"].train.y)
    raw = {"model": "linear_regression", "features": "ohlcv"}  # unscaled
    plan = make_plan(
        Study.from_values({"name": "two", "variants": {"long": raw, "short": raw | {"lookback": 4}}, "lookback": 10}), panel
    )  # fmt: skip
    long, short = (plan.job(unit).train.windows for unit in plan.units if unit.ticker == "AAA")
    np.testing.assert_array_equal(long.x[:, -4:], short.x)


def test_what_cannot_be_is_refused_in_one_line(bars):
    with pytest.raises(StudyError, match=r"variants.A.lookback: 30 sessions are more than the 20 of lookback"):
        Study.from_values({"name": "a", "variants": {"A": {"model": "ridge", "features": "raw", "lookback": 30}}})
    garch = {"A": {"model": "rolling_mean", "features": "raw", "representation": "digest"}}
    with pytest.raises(StudyError, match="variants.A: model rolling_mean reads the series of log_return itself"):
        make_plan(Study.from_values({"name": "a", "variants": garch}), align(bars, market="MKT"))
    with pytest.raises(StudyError, match="digset"):
        Study.from_values({"name": "a", "ablation": {"groups": {"v": ["roll_vol"]}, "representation": "digset"}})
