"""Fracast compiled beside its package, which stays the oracle."""

import copy

import numpy as np
import pytest

from nextday.models import compiled_fracast, fracast
from nextday.models.compiled_fracast import CompiledFracast, compile_fracast
from nextday.models.foundation import DECILES

torch = pytest.importorskip("torch")
package = pytest.importorskip("fracast")
NOISE = 0.01 * np.random.default_rng(5).standard_t(4, (8, 2048))
DAY = np.arange(2048)


@pytest.fixture(scope="module")
def models():
    return {weights: package.FracastModel.from_pretrained(weights=weights) for weights in ("fp32", "w8")}


@pytest.fixture(scope="module")
def compiled(models):
    return {weights: CompiledFracast(model) for weights, model in models.items()}


def varied(days):
    """Eight contexts of at most ``days`` returns."""
    found = NOISE.copy()
    found[1] += 0.02 * np.sin(2 * np.pi * DAY / 5)
    found[2] += 0.02 * np.sin(2 * np.pi * DAY / 21) + 0.03 * (DAY % 7 == 0)  # also a period that the year does not hold
    found[3] = 0.003
    found[4, -days // 3] = -0.5
    found[5, : -days // 2] = np.nan  # a history shorter than the context
    found[6, : -max(8, days // 3)] = np.nan
    found[6] += 0.03 * np.sin(2 * np.pi * DAY / 13)
    found[7] += 0.03 * np.sin(2 * np.pi * DAY / 7)
    found[7, -days // 2 : -days // 2 + days // 4] = np.nan  # days missing inside
    found[7, DAY % 7 == 2048 % 7] = np.nan  # all those with the phase of the day ahead
    return found[:, -days:].astype(np.float32)


def span(contexts):
    return np.maximum(np.nanmax(contexts, axis=1) - np.nanmin(contexts, axis=1), 1e-5)[:, None]


@pytest.mark.parametrize(
    ("weights", "days"),
    [("fp32", 16), ("fp32", 33), ("fp32", 300), ("fp32", 1500), ("fp32", 2048), ("w8", 33), ("w8", 2048)],
)
def test_the_day_ahead_is_that_of_the_package_to_rounding(models, compiled, weights, days):
    contexts = varied(days)
    expected = models[weights].forecast_batch(contexts, horizon=1)[:, 0]
    assert (np.abs(compiled[weights](contexts) - expected) <= 1e-6 * span(contexts)).all()


def test_periods_are_among_what_is_compared(models):
    """Otherwise nothing would be said of phases, nor of days before a context that has periods."""
    from fracast._core.periodic.seasonal_fill import detect_periods

    for days in (300, 1024, 2048):
        values = np.pad(np.nan_to_num(varied(days) / span(varied(days))), ((0, 0), (2048 - days, 0)))
        assert (detect_periods(torch.from_numpy(values))[[1, 2, 7], 0] > 1).all()


def test_missing_days_before_a_context_are_the_same_as_none_to_the_last_bit(compiled):
    short = NOISE[:, -200:].astype(np.float32)
    padded = np.pad(short, ((0, 0), (900, 0)), constant_values=np.nan)
    np.testing.assert_array_equal(compiled["fp32"](padded), compiled["fp32"](short))


@pytest.mark.parametrize("days", [40, 700, 2048])
def test_a_forecast_depends_neither_on_its_batch_nor_on_what_was_forecast_before_it(models, days):
    contexts, order = varied(days), np.random.default_rng(0).permutation(8)
    model = CompiledFracast(models["fp32"])
    found = model(contexts)
    np.testing.assert_array_equal(model(contexts[order]), found[order])
    for period in range(3, 13):  # so many periods that none is kept
        model(np.sin(2 * np.pi * DAY[None, -1000:] / period).astype(np.float32))
    np.testing.assert_array_equal(model(np.asfortranarray(contexts)), found)
    for row in (2, 5, 7):  # with a period, with a short history, with days missing
        np.testing.assert_array_equal(model(np.repeat(contexts[[row]], 8, axis=0)), found[[row]].repeat(8, axis=0))


def test_a_forecast_does_not_depend_on_the_number_of_threads(compiled):
    found, before = compiled["fp32"](varied(512)), torch.get_num_threads()
    try:
        torch.set_num_threads(2 if before == 1 else 1)
        np.testing.assert_array_equal(compiled["fp32"](varied(512)), found)
    finally:
        torch.set_num_threads(before)


def test_the_model_is_compiled_and_loaded_once(monkeypatch):
    forecast, levels = fracast.Fracast().load("cpu")
    assert isinstance(forecast, CompiledFracast)
    assert levels == DECILES
    monkeypatch.setattr(package.FracastModel, "from_pretrained", None)
    assert fracast.Fracast(context=100).load("cpu")[0] is forecast


@pytest.mark.parametrize("other", ["layout", "settings", "dilations", "weights"])
def test_another_version_of_the_package_forecasts_by_itself(models, monkeypatch, other):
    """Of weights that are laid out otherwise, or the same ones that mean something else."""

    def changed(*, weights, **_):
        model = copy.deepcopy(models[weights])
        if other == "layout":
            model.core.register_parameter("further", torch.nn.Parameter(torch.zeros(1)))
        elif other == "settings":
            model.head.output_mode = "last_obs"
        elif other == "dilations":
            model.head.future_conv.dilation_base = 1
        else:
            model.core.block.norm1.eps = 0.1
        return model

    model = changed(weights="fp32")
    assert compile_fracast(model) is None
    monkeypatch.setattr(package.FracastModel, "from_pretrained", changed)
    found = fracast._load.__wrapped__("fp32", "cpu")[0](varied(64)[:2])
    np.testing.assert_array_equal(found, model.forecast_batch(varied(64)[:2], horizon=1)[:, 0])


def test_the_layout_is_what_is_hashed(models, monkeypatch):
    assert compile_fracast(models["fp32"])
    monkeypatch.setattr(compiled_fracast, "LAYOUT", "another")
    assert compile_fracast(models["fp32"]) is None
