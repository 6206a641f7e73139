"""Ridge and gradient boosting: what the validation set chooses, what noise costs them, and what they find."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge as Oracle

from nextday.models import Key, make_model
from nextday.samples import Samples, Windows
from nextday.study import Training

KEY, LOOKBACK = Key(1, "KO", 0), 5
PARTS = ((0, 1400), (1400, 1600), (1600, 2000))
NAMES = ("a", "b", "c")


def model(name, **options):
    return make_model(name, options, training=Training(), device="cpu")


def world(signal, share, seed=0):
    """Three features, and targets of which ``signal`` explains a share of the variance; train, valid, test, its y."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((PARTS[-1][1] + LOOKBACK - 1, 3)).astype(np.float32)
    windows = Windows(rows, LOOKBACK, NAMES)
    mean = signal(windows.x.astype(np.float64))
    mean = (mean - mean.mean()) / (mean.std() or 1)
    y = 0.02 * (np.sqrt(share) * mean + np.sqrt(1 - share) * rng.standard_t(5, len(mean)) / np.sqrt(5 / 3))
    train, valid, test = (Samples(windows.cut(a, b), y[a:b]) for a, b in PARTS)
    return train, valid, test.windows, test.y


def r2_zero(fitted, y):
    return 1 - ((y - fitted.predicted) ** 2).sum() / (y**2).sum()


def nothing(x):
    return np.zeros(len(x))


def linear(x):
    return x[:, -1, 0] + x[:, 0, 2]  # of the origin, and of the first day of the window


def bent(x):
    return np.abs(x[:, -1, 0])


def torn(x):
    return x[:, -1, 0] * (x[:, -1, 1] > 0)


@pytest.mark.parametrize("window", ["last", "flat"])
def test_ridge_is_that_of_scikit_learn_with_the_best_penalty_of_the_validation_set(window):
    train, valid, test, _ = world(linear, 0.2)
    penalties = (0.01, 0.1, 1.0, 10.0)
    found = model("ridge", penalties=penalties, window=window).fit_predict(train, valid, test, key=KEY)

    flat = [part.x.reshape(len(part), -1) if window == "flat" else part.x[:, -1] for part in (train.windows, valid.windows, test)]  # fmt: skip
    x = [(part.astype(float) - flat[0].mean(axis=0)) / flat[0].std(axis=0) for part in flat]
    fits = {one: Oracle(alpha=one * len(x[0])).fit(x[0], train.y) for one in penalties}
    best = min(penalties, key=lambda one: ((fits[one].predict(x[1]) - valid.y) ** 2).mean())
    assert found.notes == (f"penalty {best:.3g}",)
    np.testing.assert_allclose(found.predicted, fits[best].predict(x[2]), atol=1e-7)


def test_the_strongest_penalty_leaves_the_training_mean():
    train, valid, test, _ = world(nothing, 0.0)
    found = model("ridge", penalties=[1e6], window="flat").fit_predict(train, valid, test, key=KEY)
    np.testing.assert_allclose(found.predicted, train.y.mean(), atol=1e-6)


def test_boosting_forecasts_with_the_trees_up_to_the_best_validation_loss():
    train, valid, test, _ = world(bent, 0.1)
    found = model("hist_gradient_boosting", learning_rate=0.2).fit_predict(train, valid, test, key=KEY)
    trees = int(found.notes[0].split()[0])
    options = {"learning_rate": 0.2, "max_leaf_nodes": 8, "min_samples_leaf": 100, "l2_regularization": 100}
    mean, scale = train.y.mean(), train.y.std()

    def grown(count):
        plain = HistGradientBoostingRegressor(max_iter=count, early_stopping=False, **options)
        return plain.fit(train.windows.newest.astype(float), (train.y - mean) / scale)

    losses = {
        count: ((mean + scale * grown(count).predict(valid.windows.newest.astype(float)) - valid.y) ** 2).mean()
        for count in (max(trees - 2, 1), trees, trees + 10)
    }
    assert 3 < trees < 500
    assert min(losses, key=losses.get) == trees
    expected = mean + scale * grown(trees).predict(test.newest.astype(float))
    np.testing.assert_allclose(found.predicted, expected, atol=1e-9)


def test_boosting_is_the_training_mean_where_no_tree_lowers_the_validation_loss():
    train, valid, test, _ = world(bent, 0.5)
    against = Samples(valid.windows, 2 * train.y.mean() - valid.y)  # the opposite of what was learned
    found = model("hist_gradient_boosting").fit_predict(train, against, test, key=KEY)
    assert found.notes == ("0 trees",)
    np.testing.assert_allclose(found.predicted, train.y.mean())


@pytest.mark.parametrize("name", ["ridge", "hist_gradient_boosting"])
def test_noise_costs_less_than_one_per_cent(name):
    """What trees of the default size cost without early stopping: 10 %, LOG.md."""
    found = []
    for seed in range(4):
        train, valid, test, y = world(nothing, 0.0, seed)
        found.append(r2_zero(model(name, window="flat").fit_predict(train, valid, test, key=KEY), y))
    assert np.mean(found) > -0.01


@pytest.mark.parametrize("signal", [bent, torn])
def test_boosting_finds_what_no_linear_model_sees(signal):
    train, valid, test, y = world(signal, 0.2)
    tree, line = (
        r2_zero(model(name, window="flat").fit_predict(train, valid, test, key=KEY), y)
        for name in ("hist_gradient_boosting", "ridge")
    )
    assert tree > 0.1
    assert tree > line + 0.04


@pytest.mark.parametrize("name", ["ridge", "hist_gradient_boosting"])
def test_a_flat_window_holds_what_the_origin_does_not(name):
    train, valid, test, y = world(lambda x: x[:, 0, 2], 0.2)
    last, flat = (
        r2_zero(model(name, window=window).fit_predict(train, valid, test, key=KEY), y) for window in ("last", "flat")
    )
    assert last < 0.02
    assert flat > 0.1


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("ridge", {"penalties": [100.0]}), ("ridge", {"window": "flat"}),
        ("hist_gradient_boosting", {"max_iter": 3}), ("hist_gradient_boosting", {"learning_rate": 0.3}),
        ("hist_gradient_boosting", {"max_leaf_nodes": 2}), ("hist_gradient_boosting", {"min_samples_leaf": 400}),
        ("hist_gradient_boosting", {"l2_regularization": 0.0}), ("hist_gradient_boosting", {"window": "flat"}),
        ("hist_gradient_boosting", {"learning_rate": 0.3, "patience": 1}),
    ],
)  # fmt: skip
def test_every_option_moves_the_forecast(name, change):
    train, valid, test, _ = world(torn, 0.2)
    base = {"learning_rate": 0.3} if "patience" in change else {}
    plain, changed = (
        model(name, **options).fit_predict(train, valid, test, key=KEY).predicted for options in (base, change)
    )
    assert not np.array_equal(plain, changed)


@pytest.mark.parametrize("name", ["ridge", "hist_gradient_boosting"])
def test_the_same_arguments_give_the_same_bits(name):
    train, valid, test, _ = world(torn, 0.2)
    fits = [model(name, window="flat").fit_predict(train, valid, test, key=Key(seed, "KO", 0)) for seed in (1, 2)]
    np.testing.assert_array_equal(fits[0].predicted, fits[1].predicted)
