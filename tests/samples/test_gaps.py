"""Samples of a panel with gaps: which remain, what they hold, and what is said of the others."""

from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nextday.data import align
from nextday.engine import make_plan
from nextday.errors import StudyError
from nextday.features import compute_features
from nextday.samples import Pool, Windows, fit_scaler, make_folds
from nextday.samples.folds import note_gaps
from nextday.samples.windows import Breaks, cut_windows
from nextday.study import SplitSettings, Study
from suspended import suspended

LOOKBACK, WARMUP, LONGEST = 10, 20, 5


def samples_by_hand(frame, *, lookback=LOOKBACK, warmup=WARMUP):
    """Walk over the calendar of all bars in plain pandas: dates of origin and target of every sample."""
    closes = frame.to_pandas().pivot(index="date", columns="ticker", values="adj_close")
    whole = closes.notna().all(axis=1).to_numpy()
    found, history, missed = [], 0, 0  # dates since the history began
    for at in range(len(closes) - 1):
        if not whole[at]:
            missed += 1
            continue
        history, missed = (1 if missed > LONGEST else history + 1), 0
        if history >= lookback + warmup and whole[at + 1]:
            found.append((closes.index[at], closes.index[at + 1]))
    return found


@pytest.fixture(scope="module")
def panel():
    return align(suspended(), market="MKT")


@pytest.fixture(scope="module")
def plan(panel):
    variants = {"raw": {"model": "lstm", "features": "engineered"}, "all": {"model": "lstm", "features": "ohlcv", "options": {"pooled": True}}}  # fmt: skip
    study = {"name": "gaps", "market": "MKT", "lookback": LOOKBACK, "variants": variants, "seeds": [1]}
    return make_plan(Study.from_values(study), panel)


def test_the_origins_that_remain_are_those_of_a_walk_over_the_calendar(panel):
    expected = samples_by_hand(suspended().frame)
    for fold in make_folds(panel, SplitSettings(), lookback=LOOKBACK, warmup=WARMUP):
        truth = pl.DataFrame(fold.truth(panel.dates, slice(None)))
        assert truth.select("origin", "date").rows() == [
            (one.date(), two.date()) for one, two in map(as_dates, expected)
        ]
        assert len(fold.origins) < len(panel.dates) - 1 - WARMUP - LOOKBACK + 1


def as_dates(pair):
    return [pd.Timestamp(one) for one in pair]


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.sampled_from([0] * 12 + [1, 2, 5, 6, 30]), min_size=60, max_size=120),
    st.integers(1, 5),
    st.integers(0, 6),
)
def test_whatever_the_gaps_windows_are_those_cut_one_by_one(skipped, lookback, warmup):  # fmt: skip
    skipped = np.array([0, *skipped])
    values = np.random.default_rng(len(skipped)).normal(size=(len(skipped), 2))
    origins = [
        at
        for at in range(warmup + lookback - 1, len(skipped) - 1)
        if skipped[at + 1] == 0 and max(skipped[at + 2 - lookback - warmup : at + 1], default=0) <= LONGEST
    ]
    assume(len(origins) >= 12)
    third = len(origins) // 3
    parts = [slice(0, third), slice(third, 2 * third), slice(2 * third, None)]
    whole = cut_windows(values, np.array(origins), lookback=lookback, names=("a", "b"), skipped=skipped)
    cuts = [cut_windows(values, np.array(origins), part, lookback=lookback, names=("a", "b"), skipped=skipped) for part in parts]  # fmt: skip
    for part, windows in [(slice(None), whole), *zip(parts, cuts, strict=True)]:
        expected = np.array([values[at + 1 - lookback : at + 1] for at in origins[part]])
        assert len(windows) == len(expected)
        np.testing.assert_array_equal(windows.x, expected)
        np.testing.assert_array_equal(windows.newest, expected[:, -1])
        np.testing.assert_array_equal(windows.last("b"), expected[:, -1, 1])
        np.testing.assert_array_equal(windows.rows[windows.starts[0] : windows.starts[0] + lookback], expected[0])
        np.testing.assert_array_equal(windows.cut(2, -1).x, expected[2:-1])
        np.testing.assert_array_equal(windows.cut(-2).x, expected[-2:])
    for part, windows in zip(parts[1:], cuts[1:], strict=True):
        before = origins[part.start - 1] + 1  # the target of the sample before: what came later is counted from there
        later, known = windows.later("a")
        days = [at for at in range(before + 1, origins[part][-1] + 1) if skipped[at] == 0]
        np.testing.assert_array_equal(later, values[days, 0])
        assert known.tolist() == [sum(day <= origin for day in days) for origin in origins[part]]
    pool = Pool.of([whole, cuts[1]])
    np.testing.assert_array_equal(pool.x, np.concatenate([whole.x, cuts[1].x]))
    np.testing.assert_array_equal(pool.newest, pool.x[:, -1])
    np.testing.assert_array_equal([pool.rows[at : at + lookback] for at in pool.starts], pool.x)
    np.testing.assert_array_equal(pool.cut(1, 3).x, np.concatenate([whole.x[1:3], cuts[1].x[1:3]]))


def test_the_return_across_a_gap_is_no_target_and_one_across_a_long_gap_no_input(panel):
    returns = np.diff(np.log(panel.of("BBB")["adj_close"].to_numpy()))
    across = {gap.sessions: returns[gap.at - 1] for gap in panel.gaps}
    values = compute_features(panel, ("log_return",)).of("BBB", ("log_return",))
    fold = make_folds(panel, SplitSettings(), lookback=LOOKBACK, warmup=WARMUP)[1]
    inputs = cut_windows(values, fold.origins, lookback=LOOKBACK, names=("log_return",), skipped=panel.skipped).x
    assert fold.ticker == "BBB"
    assert not np.isin(list(across.values()), fold.y).any()
    for sessions, value in across.items():
        assert (np.abs(inputs - value) < 1e-9).any() == (sessions <= LONGEST)


def test_no_target_lies_before_an_origin_of_an_earlier_sample(plan):
    for fold in plan.folds.values():
        assert (fold.origins[1:] >= fold.origins[:-1] + 1).all()
        assert (fold.origins[1:] > fold.origins[:-1] + 1).sum() == 5


def test_the_scaler_knows_the_training_windows_alone(plan):
    fold = plan.folds["BBB", 0]
    values = plan.features.of("BBB", ("log_return", "log_vol"))
    windows = cut_windows(
        values, fold.origins, fold.split.train, lookback=LOOKBACK, names=("a", "b"), skipped=fold.skipped
    )
    by_hand = np.array([values[at + 1 - LOOKBACK : at + 1] for at in fold.origins[fold.split.train]])
    scaler = fit_scaler(windows)
    np.testing.assert_allclose(scaler.mean, by_hand.mean(axis=(0, 1), dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(scaler.deviation, by_hand.std(axis=(0, 1), dtype=np.float64), rtol=1e-12)
    assert scaler.apply(windows).breaks is windows.breaks
    unseen = ~np.isin(np.arange(len(windows.rows)), windows.starts[:, None] + np.arange(LOOKBACK))
    assert unseen.any()
    rows = np.where(unseen[:, None], windows.rows.astype(np.float64), 0.1)
    assert (fit_scaler(replace(windows, rows=rows)).deviation == 0).all()


def test_a_study_without_gaps_is_stored_under_the_same_numbers_as_ever(bars, quick):
    plan = make_plan(Study.from_values(quick), align(bars, market="MKT"))
    for unit in plan.units:
        if plan.study.variants[unit.variant].representation == "both":
            continue  # its windows share no rows
        job = plan.job(unit)
        assert [part.breaks for part in (job.train.windows, job.valid.windows, job.test)] == [None] * 3
        assert len(job.arrays()) == 5


def test_a_unit_is_named_by_its_gaps_too(plan):
    for unit in plan.units:
        job = plan.job(unit)
        assert len(job.arrays()) > 5
        closed = [array for array in job.arrays() if array.dtype != bool]
        marks = next(array for array in job.arrays() if array.dtype == bool)
        name, marks[3] = job.inputs(), not marks[3]
        assert job.inputs() != name
        assert len(closed) < len(job.arrays())


def test_the_plan_says_what_gaps_cost(plan):
    dates = suspended().frame.filter(ticker="AAA")["date"]
    assert plan.notes[0] == (
        f"BBB has no bar on 12 sessions from {dates[100]}, the longest of its 4 gaps (5 gaps in all): 5 targets and "
        "58 windows that span gaps are left out"
    )


def test_one_gap_is_said_in_the_singular_and_none_not_at_all(bars):
    panel = align(suspended({"BBB": [(160, 160)]}), market="MKT")
    (note,) = note_gaps(panel, lookback=10, warmup=20, anew=20)
    assert note.endswith(": 1 target that spans a gap is left out")
    assert note_gaps(align(bars, market="MKT"), lookback=10, warmup=20, anew=20) == ()
    early = align(suspended({"BBB": [(3, 4)]}), market="MKT")  # within the warm-up
    assert note_gaps(early, lookback=10, warmup=20, anew=20) == ()


def test_columns_that_begin_late_do_not_lengthen_what_a_long_gap_costs(panel):
    short, long = (make_folds(panel, SplitSettings(), lookback=10, warmup=60, anew=anew)[0] for anew in (20, 50))
    first, second = (gap.at for gap in panel.gaps if gap.is_long)
    across = {gap.at - 1 for gap in panel.gaps}
    due = {*range(first + 29, first + 59), *range(second + 29, len(panel.dates) - 1)}
    assert set(short.origins) - set(long.origins) == due - across


def test_too_few_samples_name_the_gaps_and_the_way_out():
    often = {"BBB": [(at, at + 5) for at in range(40, 400, 40)]}
    with pytest.raises(
        StudyError,
        match=r"common sessions are too few: .* 1 sample remains.* BBB has no bar on 6 sessions .* its 9 gaps: "
        r"9 targets and .* windows that span gaps are left out; leave out BBB: name the others with --tickers",
    ):
        make_folds(align(suspended(often), market="MKT"), SplitSettings(), lookback=10, warmup=29)
    market = align(suspended({"MKT": often["BBB"]}), tickers=["AAA"], market="MKT")
    with pytest.raises(StudyError, match="choose another market with --market"):
        make_folds(market, SplitSettings(), lookback=10, warmup=29)
    alone = align(suspended(often), tickers=["BBB"], market="MKT")
    with pytest.raises(StudyError, match="take a longer history"):
        make_folds(alone, SplitSettings(), lookback=10, warmup=29)


def test_a_split_that_fails_names_the_gaps_too(panel):
    with pytest.raises(StudyError, match=r"test sets\. BBB has no bar on 12 sessions"):
        make_folds(panel, SplitSettings(scheme="walk_forward", folds=300), lookback=10, warmup=20)


def test_breaks_are_kept_where_rows_are_replaced():
    windows = Windows(np.zeros((6, 1)), 2, ("a",), Breaks(np.array([0, 3, 4]), np.array([0, 0, 1, 0, 0, 0], bool)))
    assert len(replace(windows, rows=np.ones((6, 1)))) == 3
    assert pl.Series(windows.cut(1).starts).to_list() == [2, 3]
