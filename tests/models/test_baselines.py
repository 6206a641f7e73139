import numpy as np
import pytest
from sklearn.linear_model import LinearRegression as Ols

from nextday.errors import TrainingError
from nextday.models import Key, make_model
from nextday.samples import Samples, Windows
from nextday.study import Training

KEY = Key(1, "KO", 0)


def model(name, **options):
    return make_model(name, options, training=Training(), device="cpu")


def cut(returns, lookback=5, parts=(300, 60)):
    """Cut one series of log returns into train, valid and test, each origin's target the next return."""
    rows = returns.astype(np.float32)[:, None]
    n = len(returns) - lookback
    first, second = parts[0], parts[0] + parts[1]
    y = returns[lookback:].astype(np.float64)
    windows = [
        Windows(rows[a : b + lookback - 1], lookback, ("log_return",))
        for a, b in ((0, first), (first, second), (second, n))
    ]
    return Samples(windows[0], y[:first]), Samples(windows[1], y[first:second]), windows[2], y[second:]


def autoregression(n=500, phi=0.6, seed=0):
    rng = np.random.default_rng(seed)
    returns = np.zeros(n)
    for t in range(1, n):
        returns[t] = 0.001 + phi * returns[t - 1] + 0.01 * rng.standard_normal()
    return returns


def test_the_naive_forecasts_are_what_their_names_say():
    returns = autoregression()
    train, valid, test, _ = cut(returns)
    last = test.x[:, :, 0].astype(float)
    for name, expected in {
        "zero": np.zeros(len(test)),
        "historical_mean": np.full(len(test), np.concatenate([train.y, valid.y]).mean()),
        "persistence": last[:, -1],
        "rolling_mean": last.mean(axis=1),
    }.items():
        np.testing.assert_allclose(
            model(name).fit_predict(train, valid, test, key=KEY).predicted, expected, err_msg=name
        )


def test_linear_regression_is_least_squares_on_the_origin():
    train, valid, test, _ = cut(autoregression())
    x = np.concatenate([train.windows.last("log_return"), valid.windows.last("log_return")])[:, None].astype(float)
    expected = Ols().fit(x, np.concatenate([train.y, valid.y])).predict(test.last("log_return")[:, None].astype(float))
    np.testing.assert_allclose(model("linear_regression").fit_predict(train, valid, test, key=KEY).predicted, expected)


def test_arima_forecasts_one_step_ahead_with_fixed_parameters():
    """Against a plain recursion: an AR(1)'s next value is its constant plus phi times the last one, known at the origin."""
    train, valid, test, actual = cut(autoregression(phi=0.8, n=900), parts=(600, 100))
    found = model("arima", max_order=1).fit_predict(train, valid, test, key=KEY)
    assert found.notes[0].startswith("order (1, 0, ")
    last = test.last("log_return").astype(float)
    slope, constant = np.polyfit(last, found.predicted, 1)
    assert slope == pytest.approx(0.8, abs=0.12)
    np.testing.assert_allclose(found.predicted, constant + slope * last, atol=2e-3)
    assert np.corrcoef(found.predicted, actual)[0, 1] > 0.6


def test_arima_parameters_do_not_see_the_test_range():
    train, valid, test, _ = cut(autoregression())
    changed = Windows(np.concatenate([test.rows[:30], test.rows[30:] * 3]), test.lookback, test.names)
    one, two = (model("arima").fit_predict(train, valid, part, key=KEY).predicted for part in (test, changed))
    np.testing.assert_array_equal(one[:26], two[:26])
    assert not np.array_equal(one[26:], two[26:])


def test_an_order_that_does_not_converge_is_noted_and_none_is_an_error(monkeypatch):
    from statsmodels.tsa.arima.model import ARIMA

    train, valid, test, _ = cut(autoregression())
    fit = ARIMA.fit

    def stubborn(self, never=((1, 0, 0),)):
        result = fit(self)
        if (self.k_ar, 0, self.k_ma) in never:
            result.mle_retvals["converged"] = False
        return result

    monkeypatch.setattr(ARIMA, "fit", stubborn)
    found = model("arima", max_order=1).fit_predict(train, valid, test, key=KEY)
    assert found.notes[0].endswith("did not converge: (1, 0, 0)")
    every = tuple((p, 0, q) for p in range(2) for q in range(2))
    monkeypatch.setattr(ARIMA, "fit", lambda self: stubborn(self, every))
    with pytest.raises(TrainingError, match=r"ARIMA of KO: no order up to \(1, 0, 1\) converged"):
        model("arima", max_order=1).fit_predict(train, valid, test, key=KEY)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("arima", "max_order", 0),
    ],
)
def test_every_option_moves_the_forecast(name, option, value):
    train, valid, test, _ = cut(autoregression())
    plain, changed = (
        model(name, **options).fit_predict(train, valid, test, key=KEY) for options in ({}, {option: value})
    )
    assert not np.array_equal(plain.predicted, changed.predicted)


@pytest.mark.parametrize(("option", "value"), [("hidden", 6), ("layers", 1), ("dropout", 0.5)])
def test_every_option_of_the_lstm_moves_the_forecast(option, value):
    train, valid, test, _ = cut(autoregression())
    training = Training(max_epochs=1)
    plain, changed = (
        make_model("lstm", {"hidden": 16, **options}, training=training, device="cpu").fit_predict(
            train, valid, test, key=KEY
        )
        for options in ({}, {option: value})
    )
    assert not np.array_equal(plain.predicted, changed.predicted)


def test_cuda_without_a_device_is_one_line():
    train, valid, test, _ = cut(autoregression())
    lstm = make_model("lstm", {}, training=Training(max_epochs=1), device="cuda")
    import torch

    if torch.cuda.is_available():
        pytest.skip("a CUDA device is here; the refusal is for machines without")
    with pytest.raises(TrainingError, match="device cuda: PyTorch finds no CUDA device here; use --device cpu"):
        lstm.fit_predict(train, valid, test, key=KEY)
