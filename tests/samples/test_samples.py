from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextday.data import align, random_walk
from nextday.engine import make_plan
from nextday.errors import StudyError
from nextday.features import compute_features
from nextday.samples import Windows, fit_scaler, holdout, make_folds, walk_forward
from nextday.samples.windows import cut_windows
from nextday.study import SplitSettings, Study


@given(n=st.integers(1, 400), train=st.floats(0.05, 0.9), valid=st.floats(0.05, 0.5))
def test_ranges_follow_one_another_and_cover_all_samples(n, train, valid):
    first = int(n * train)
    if min(first, int(n * valid), n - first - int(n * valid)) < 1:
        with pytest.raises(StudyError, match="the training, validation and test sets need at least one sample each"):
            holdout(n, train=train, valid=valid)
        return
    split = holdout(n, train=train, valid=valid)
    assert (split.train.start, split.test.stop) == (0, n)
    assert split.train.stop == split.valid.start
    assert split.valid.stop == split.test.start


@given(n=st.integers(20, 600), folds=st.integers(1, 8))
def test_walk_forward_tests_follow_one_another_and_train_grows(n, folds):
    splits = walk_forward(n, train=0.4, valid=0.1, folds=folds)
    assert [split.fold for split in splits] == list(range(folds))
    assert splits[-1].test.stop == n
    for split in splits:
        assert split.train.start == 0
        assert split.train.stop == split.valid.start
        assert split.valid.stop == split.test.start
    for before, after in pairwise(splits):
        assert before.test.stop == after.test.start
        assert before.train.stop < after.train.stop
        assert after.valid.stop - after.valid.start == before.valid.stop - before.valid.start


def test_more_test_ranges_than_samples_are_refused():
    with pytest.raises(StudyError, match="20 samples at 0.4 and 0.1 give 8, 2 and 10 for 11 test sets"):
        walk_forward(20, train=0.4, valid=0.1, folds=11)


def test_a_window_ends_at_its_origin_and_the_target_is_the_next_return(bars):
    panel = align(bars, market="MKT")
    features = compute_features(panel, ("log_return",))
    (fold, _) = make_folds(panel, SplitSettings(), lookback=10, warmup=features.warmup)
    log_return = features.of("AAA", ("log_return",))[:, 0]
    windows = cut_windows(features.of("AAA", ("log_return",)), fold.origins, lookback=10, names=("log_return",))
    np.testing.assert_array_equal(windows.x[:, -1, 0], log_return[fold.origins])
    np.testing.assert_array_equal(windows.last("log_return"), log_return[fold.origins])
    np.testing.assert_array_equal(windows.x[0, :, 0], log_return[20:30])  # the first window starts where warm-up ends
    np.testing.assert_allclose(fold.y, log_return[fold.origins + 1], rtol=1e-5)
    assert fold.origins[-1] == len(panel.dates) - 2


def test_no_target_of_one_range_lies_in_the_next(bars, quick):
    panel = align(bars, market="MKT")
    fold = make_plan(Study.from_values(quick), panel).folds["AAA", 0]
    target = fold.origins + 1
    assert target[fold.split.train].max() <= fold.origins[fold.split.valid].min()
    assert target[fold.split.valid].max() <= fold.origins[fold.split.test].min()


def test_every_unit_is_scored_on_the_same_days(bars, quick):
    plan = make_plan(Study.from_values(quick), align(bars, market="MKT"))
    assert len({tuple(fold.origins[fold.split.test]) for unit in plan.units for fold in plan.folds_of(unit)}) == 1


def test_windows_are_views():
    windows = Windows(np.arange(12.0).reshape(6, 2), 3, ("a", "b"))
    assert len(windows) == 4
    assert windows.x.shape == (4, 3, 2)
    assert np.shares_memory(windows.x, windows.rows)


def test_the_scaler_standardises_the_training_windows():
    rng = np.random.default_rng(0)
    train = Windows(rng.normal(5, 3, (50, 2)), 4, ("a", "b"))
    x = fit_scaler(train).apply(train).x.astype(np.float64)
    np.testing.assert_allclose(x.mean(axis=(0, 1)), 0, atol=1e-6)
    np.testing.assert_allclose(x.std(axis=(0, 1)), 1, atol=1e-6)


@given(value=st.floats(-1e6, 1e6))
def test_a_constant_feature_scales_to_zero(value):
    train = Windows(np.full((30, 1), value), 4, ("a",))
    later = Windows(np.full((30, 1), value + 1), 4, ("a",))
    scaler = fit_scaler(train)
    assert (scaler.apply(train).rows == 0).all()
    assert (scaler.apply(later).rows == 0).all()


def test_a_history_too_short_is_refused_with_the_counts():
    panel = align(random_walk(tickers=("AAA", "MKT"), sessions=45, seed=0), market="MKT")
    with pytest.raises(
        StudyError, match=r"45 common sessions are too few: 20 warm up .* 20 fill .* and 5 samples remain"
    ):
        make_folds(panel, SplitSettings(), lookback=20, warmup=20)
