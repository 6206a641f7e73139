"""Every kind of model on samples with gaps between them: what it reads, against plain loops over the calendar."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from nextday.data import align
from nextday.engine.plan import make_plan
from nextday.engine.rehearse import Rehearsal, futures, small
from nextday.models.foundation import Foundation
from nextday.models.networks import training
from nextday.models.networks.lstm import LstmLayer
from nextday.models.volatility import _fit_garch, _is_usable
from nextday.study import Study
from suspended import suspended
from test_causality import rewrite

pytestmark = pytest.mark.usefixtures("remembered")
# long gaps in train, over the border of valid and test, and in test; short ones in train and test
HOLES = {"BBB": [(100, 111), (160, 160), (430, 437), (520, 521), (550, 556)], "MKT": [(470, 470)]}
LEVELS = (0.1, 0.5, 0.9)
SMALL = {"training": {"max_epochs": 3, "patience": 3, "learning_rate": 0.01}, "lookback": 10, "seeds": [1]}
VARIANTS = {
    "ewma": {"model": "ewma", "features": "raw"}, "garch": {"model": "garch", "features": "raw"},
    "arima": {"model": "arima", "features": "raw", "options": {"max_order": 1}},
    "mean": {"model": "historical_mean", "features": "raw"}, "line": {"model": "linear_regression", "features": "lags"},
    "sklearn": {"model": "sklearn", "features": "ohlcv", "options": {"estimator": "ridge", "window": "flat"}},
    "ridge": {"model": "ridge", "features": "ohlcv", "options": {"window": "flat"}},
    "boosting": {"model": "hist_gradient_boosting", "features": "raw", "options": {"window": "flat"}},
    "gru": {"model": "gru", "features": "raw", "options": {"hidden": 8}},
    "mlp": {"model": "mlp", "features": "engineered", "options": {"hidden": 16}},
    "lstm": {"model": "lstm", "features": "engineered", "options": {"hidden": 8}},
    "transformer": {"model": "transformer", "features": "raw", "options": {"width": 8, "heads": 2, "feedforward": 16}},
    "pooled": {"model": "lstm", "features": "ohlcv", "options": {"hidden": 8, "pooled": True}},
}  # fmt: skip


def plan_of(frame=None):
    bars = suspended(HOLES, sessions=600)
    panel = align(bars if frame is None else replace(bars, frame=frame), market="MKT")
    study = {"name": "gaps", "market": "MKT", "accept": ["*"], "variants": VARIANTS, "levels": LEVELS, **SMALL}
    return make_plan(Study.from_values(study), panel), panel


@pytest.fixture(scope="module")
def plan():
    return plan_of()[0]


def job_of(plan, variant, ticker="BBB"):
    return plan.job(next(one for one in plan.units if one.variant == variant and one.ticker in (ticker, "*")))


def fold_of(plan):
    return plan.folds["BBB", 0]


def daily(plan, first):
    """Yield date and return of every session after ``first`` whose return is of one session."""
    returns = plan.features.of("BBB", ("log_return",))[:, 0].astype(float)
    return [(at, returns[at]) for at in range(first + 1, len(returns)) if fold_of(plan).skipped[at] == 0]


def test_the_panel_has_a_long_gap_between_valid_and_test_and_one_in_test(plan):
    fold = fold_of(plan)
    border = fold.split.test.start
    assert fold.origins[border] - fold.origins[border - 1] > 20
    assert (np.diff(fold.origins[border:]) > 20).sum() == 1
    assert (np.diff(fold.origins[border:]) == 2).sum() == 2


@pytest.mark.parametrize("variant", VARIANTS)
def test_forecasts_are_of_the_days_that_are_samples_and_see_nothing_later(plan, variant):
    job = job_of(plan, variant)
    first = job.run()
    assert len(first.predicted) == len(job.test)
    assert all(future.agrees(job, first, future.job.run()) for future in futures(job))
    Rehearsal(small(job)).run()


def test_ewma_follows_every_return_of_one_session_up_to_the_origin(plan):
    job, fold = job_of(plan, "ewma"), fold_of(plan)
    variance = np.mean(job.train.y**2)
    for square in np.concatenate([job.train.y, job.valid.y]) ** 2:
        variance = 0.06 * square + 0.94 * variance
    later, expected = iter(daily(plan, fold.origins[fold.split.valid.stop - 1] + 1)), []
    day, value = next(later)
    for origin in fold.origins[fold.split.test]:
        while day <= origin:
            variance = 0.06 * value**2 + 0.94 * variance
            day, value = next(later)
        expected.append(np.sqrt(variance))
    found = job.run().quantiles[:, 0]
    np.testing.assert_allclose(found / found[0], np.array(expected) / expected[0], rtol=1e-10)


def test_garch_follows_every_return_of_one_session_up_to_the_origin(plan):
    from arch import arch_model

    job, fold = job_of(plan, "garch"), fold_of(plan)
    past = np.concatenate([job.train.y, job.valid.y])
    scale = past.std() / 10
    with threadpool_limits(1):
        fits = [fit for fit in _fit_garch(past / scale) if _is_usable(fit)]
    parameters = max(fits, key=lambda fit: round(fit.loglikelihood, 2)).params
    later, expected = daily(plan, fold.origins[fold.split.valid.stop - 1] + 1), []
    for origin in fold.origins[fold.split.test]:
        seen = np.append(past, [value for day, value in later if day <= origin]) / scale
        fixed = arch_model(seen, mean="Constant", vol="GARCH", p=1, q=1, dist="t", rescale=False).fix(parameters)
        expected.append(np.sqrt(fixed.forecast(horizon=1).variance.to_numpy()[-1, 0]))
    width = np.ptp(job.run().quantiles, axis=1)
    np.testing.assert_allclose(width / width[0], np.array(expected) / expected[0], rtol=1e-9)


@pytest.mark.parametrize("variant", ["arima", "garch", "ewma"])
def test_a_return_across_a_gap_moves_no_state(plan, variant):
    job = job_of(plan, variant)
    rows = job.test.rows.copy()
    rows[job.test.breaks.apart] *= 1e3
    again = replace(job, test=replace(job.test, rows=rows))
    assert not np.array_equal(rows, job.test.rows)
    np.testing.assert_array_equal(again.run().predicted, job.run().predicted)


@dataclass(frozen=True, slots=True, repr=False)
class Echo(Foundation):
    """Forecast nothing; keep the contexts."""

    packages: ClassVar[tuple[str, ...]] = ("numpy",)
    module: ClassVar[str] = "numpy"
    batch: ClassVar[int] = 7
    may_hold: ClassVar[str] = "nothing"
    seen: ClassVar[list[np.ndarray]] = []

    def load(self, device):
        def forecast(contexts):
            self.seen.append(contexts)
            return contexts[:, -1:].copy()

        return forecast, (0.5,)


def test_a_context_holds_the_returns_of_one_session_up_to_the_origin(plan):
    job, fold = job_of(plan, "ewma"), fold_of(plan)
    Echo.seen.clear()
    predicted = Echo(context=300).fit_predict(job.train, job.valid, job.test, key=job.key).predicted
    first = fold.origins[0] - 10  # the first window begins on the day after
    origins = np.concatenate([fold.origins[fold.split.valid], fold.origins[fold.split.test]])
    expected = [[value for day, value in daily(plan, first) if day <= origin] for origin in origins]
    valid = len(job.valid.y)
    contexts = [row for batch in Echo.seen for row in batch]
    contexts = contexts[:valid] + contexts[-(-valid // 7) * 7 :][: len(predicted)]  # batches are filled up
    for returns, context in zip(expected, contexts, strict=True):
        given = context[~np.isnan(context)]
        np.testing.assert_allclose(given, returns[-300:], atol=1e-7)
    np.testing.assert_array_equal(predicted, [context[-1] for context in contexts[valid:]])


@pytest.mark.parametrize("variant", ["lstm", "gru", "mlp", "transformer", "pooled"])
def test_a_network_reads_the_windows_of_its_samples(plan, variant):
    job = job_of(plan, variant)
    for windows in (job.train.windows, job.valid.windows, job.test):
        np.testing.assert_array_equal(training.as_tensor(windows), windows.x)


def test_the_compiled_lstm_learns_what_that_of_pytorch_learns(plan, monkeypatch):
    job = job_of(plan, "lstm")
    ours = job.run()
    monkeypatch.setattr(LstmLayer, "forward", lambda self, x: torch.nn.LSTM.forward(self, x)[0])
    theirs = job.run()
    np.testing.assert_allclose(ours.train_loss, theirs.train_loss, rtol=1e-5)
    np.testing.assert_allclose(ours.valid_loss, theirs.valid_loss, rtol=1e-5)
    np.testing.assert_allclose(ours.predicted, theirs.predicted, atol=2e-6)
    assert ours.predicted.std() > 1e-4


@pytest.mark.parametrize("how", ["noise", "garbage"])
def test_nothing_after_valid_reaches_what_is_learned_from(plan, how):
    fold = fold_of(plan)
    _, panel = plan_of()
    last_target = panel.dates[fold.origins[fold.split.valid.stop - 1] + 1]
    other, _ = plan_of(rewrite(suspended(HOLES, sessions=600).frame, last_target, how))
    for variant in VARIANTS:
        before, after = job_of(plan, variant), job_of(other, variant)
        for one, two in zip(before.train.windows.arrays(), after.train.windows.arrays(), strict=True):
            np.testing.assert_array_equal(one, two)
        for one, two in zip(before.valid.windows.arrays(), after.valid.windows.arrays(), strict=True):
            np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(before.valid.y, after.valid.y)
        assert not np.array_equal(before.test.rows, after.test.rows)
