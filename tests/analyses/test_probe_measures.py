"""Ridge probes and similarities on states whose truth is known."""

import numpy as np
import pytest

from nextday.analyses.probing.measures import alike, explained, shuffle_blocks
from nextday.models.ridge import PENALTIES, fit_ridge


def make(seed=0, samples=900, width=12):
    rng = np.random.default_rng(seed)
    states = rng.standard_normal((samples, width)) * 10.0 ** rng.uniform(-3, 2, width) + 5
    y = states @ rng.standard_normal((width, 2)) / states.std(axis=0).mean() + 3
    return states, np.column_stack([y, rng.standard_normal(samples)])


def test_what_is_linear_is_read_whole_and_what_is_noise_not_at_all():
    states, y = make()
    readout = fit_ridge(states[:500], y[:500], states[500:600], y[500:600])
    r2, _ = explained(y[600:], readout.predict(states[600:]), readout.offset)
    assert r2[:2] == pytest.approx([1, 1], abs=1e-4)
    assert abs(r2[2]) < 0.05
    assert readout.penalty[:2].max() < 1e-3 < readout.penalty[2]


def test_a_probe_is_the_ridge_regression_of_standardised_states():
    states, y = make()
    readout = fit_ridge(states[:500], y[:500], states[500:600], y[500:600])
    x = (states[:500] - states[:500].mean(axis=0)) / states[:500].std(axis=0)
    for feature, penalty in enumerate(readout.penalty):
        expected = np.linalg.solve(x.T @ x + 500 * penalty * np.eye(12), x.T @ (y[:500] - y[:500].mean(axis=0)))
        np.testing.assert_allclose(readout.weights[:, feature], expected[:, feature], rtol=1e-6, atol=1e-9)


def test_the_penalty_is_the_best_on_valid():
    rng = np.random.default_rng(1)
    states = rng.standard_normal((200, 60))
    y = states[:, :1] + rng.standard_normal((200, 1))
    parts = states[:100], y[:100], states[100:], y[100:]
    x, centred = parts[0] - parts[0].mean(axis=0), parts[1] - parts[1].mean()
    x /= parts[0].std(axis=0)
    off = []
    for penalty in PENALTIES:
        weights = np.linalg.solve(x.T @ x + 100 * penalty * np.eye(60), x.T @ centred)
        off.append(
            (
                ((parts[2] - parts[0].mean(axis=0)) / parts[0].std(axis=0) @ weights + y[:100].mean() - parts[3]) ** 2
            ).mean()
        )
    best = int(np.argmin(off))
    assert 0 < best < len(PENALTIES) - 1
    assert fit_ridge(*parts).penalty == pytest.approx(PENALTIES[best])


def test_the_scale_of_a_unit_and_units_that_never_move_mean_nothing():
    states, y = make()
    parts = [states[:500], y[:500], states[500:600], y[500:600]]
    first = fit_ridge(*parts).predict(states[600:])
    still = np.full((900, 1), 0.1)
    again = np.hstack([states * 10.0 ** np.arange(-6, 6), still + 1e-9 * np.random.default_rng(0).random((900, 1))])
    second = fit_ridge(again[:500], y[:500], again[500:600], y[500:600]).predict(again[600:])
    np.testing.assert_allclose(first, second, rtol=1e-6)


def test_days_add_up_to_the_r2_and_to_its_change():
    rng = np.random.default_rng(2)
    y, predicted = rng.standard_normal((2, 400, 1)) + 1
    r2, parts = explained(y, predicted, np.zeros(1))
    assert r2 == pytest.approx(1 - ((y - predicted) ** 2).sum() / (y**2).sum())
    assert parts.mean() == pytest.approx(r2[0])
    weights = rng.dirichlet(np.full(400, 1e4))[:, None]  # nearly even
    changed = 1 - (weights * (y - predicted) ** 2).sum() / (weights * y**2).sum()
    assert (weights * parts).sum() - r2[0] == pytest.approx(changed - r2[0], rel=0.05, abs=1e-5)


def test_the_mean_on_train_is_at_zero_and_a_feature_that_never_moves_has_no_r2():
    y = np.column_stack([np.arange(50.0), np.full(50, 3.0)])
    r2, _ = explained(y, np.tile([7.0, 3.0], (50, 1)), np.array([7.0, 3.0]))
    assert r2[0] == 0
    assert np.isnan(r2[1])


def test_blocks_are_shuffled_whole():
    order = shuffle_blocks(103, 10, seed=3)
    assert sorted(order) == list(range(103))
    starts = np.flatnonzero(np.diff(order, prepend=-9) != 1)
    assert set(order[starts] % 10) == {0}
    assert (order != np.arange(103)).mean() > 0.5


def test_rotated_and_scaled_states_are_alike_and_independent_ones_are_not():
    rng = np.random.default_rng(4)
    states = rng.standard_normal((600, 64)) @ np.diag(np.arange(1, 65.0))
    rotation = np.linalg.qr(rng.standard_normal((64, 64)))[0]
    assert alike(states, 3 * states @ rotation + 7) == pytest.approx(1, abs=1e-9)
    unrelated = [alike(*np.random.default_rng(seed).standard_normal((2, 60, 64))) for seed in range(20)]
    assert abs(np.mean(unrelated)) < 0.02  # the plain one gives 0.5


def test_likeness_is_the_unbiased_estimate_with_whole_kernels():
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((30, 4)), rng.standard_normal((30, 6))
    y[:, 0] += 2 * x[:, 0]

    def independence(k, m):
        k, m, n = k - np.diag(np.diag(k)), m - np.diag(np.diag(m)), len(k)
        one = np.ones(n)
        return np.trace(k @ m) + one @ k @ one * (one @ m @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * one @ k @ m @ one

    k, m = x @ x.T, y @ y.T
    assert alike(x, y) == pytest.approx(independence(k, m) / np.sqrt(independence(k, k) * independence(m, m)))


def test_likeness_to_what_never_moves_is_not_a_number():
    assert np.isnan(alike(np.ones((50, 3)), np.random.default_rng(0).standard_normal((50, 3))))
    assert np.isnan(alike(*np.random.default_rng(0).standard_normal((2, 3, 3))))
