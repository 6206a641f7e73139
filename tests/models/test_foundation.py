"""Pretrained models: Fracast with the weights of its wheel, Chronos-Bolt with a checkpoint made and saved here."""

import pickle
import socket
import sys
from datetime import date
from itertools import pairwise

import numpy as np
import pytest

from checkpoints import save_bolt
from nextday.errors import MissingError, StudyError, TrainingError
from nextday.models import Key, make_model
from nextday.models.foundation import DECILES, ChronosBolt
from nextday.models.fracast import Fracast
from nextday.samples import Samples, Windows
from nextday.study import Training

pytest.importorskip("fracast")
pytest.importorskip("chronos")

KEY = Key(1, "KO", 0)
LOOKBACK, TRAIN, VALID, TEST = 5, 60, 3, 5
DAYS = LOOKBACK - 1 + TRAIN + VALID + TEST  # the last is an origin
RETURNS = 0.01 * np.random.default_rng(7).standard_t(4, DAYS)
BOTH = ["fracast", "chronos_bolt"]


@pytest.fixture(autouse=True)
def no_traffic(monkeypatch):
    def refuse(*args, **options):
        raise AssertionError("a test opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="module")
def bolt(tmp_path_factory):
    return save_bolt(tmp_path_factory.mktemp("bolt"))


@pytest.fixture
def make(bolt):
    def make(name, *, levels=(0.1, 0.5, 0.9), **options):
        given = {"context": 48} | ({"weights": str(bolt)} if name == "chronos_bolt" else {}) | options
        return make_model(name, given, training=Training(), device="cpu", levels=levels)

    return make


def cut(returns=RETURNS, valid=VALID, train=TRAIN, extra=False):
    """Cut a series of returns into train, valid and test; all its last days are test origins."""
    rows = returns.astype(np.float32)[:, None]
    names = ("log_return",)
    if extra:
        rows, names = np.hstack([np.full_like(rows, 3), rows]), ("log_vol", "log_return")
    starts = (0, train, train + valid, len(returns) - LOOKBACK + 1)
    windows = [Windows(rows[a : b + LOOKBACK - 1], LOOKBACK, names) for a, b in pairwise(starts)]
    return Samples(windows[0], np.zeros(train)), Samples(windows[1], np.zeros(valid)), windows[2]


def fit(model, *parts, **options):
    return model.fit_predict(*(parts or cut(**options)), key=KEY)


def both(fitted):
    """Quantiles of valid and test, one after the other."""
    return np.concatenate([fitted.valid_quantiles, fitted.quantiles])


def contexts_by_hand(context):
    """For each origin of valid and test: the last returns up to it, as many as there are."""
    first = LOOKBACK - 1 + TRAIN
    return [RETURNS[max(0, origin + 1 - context) : origin + 1].astype(np.float32) for origin in range(first, DAYS)]


@pytest.mark.parametrize("context", [48, 512])
@pytest.mark.parametrize("weights", ["fp32", "w8"])
def test_fracast_says_what_its_package_says_of_one_series_at_a_time(make, context, weights):
    from fracast import FracastModel

    alone = FracastModel.from_pretrained(weights=weights)
    expected = np.stack([alone.forecast(days)[0] for days in contexts_by_hand(context)[::3]])
    found = fit(make("fracast", context=context, weights=weights, levels=DECILES))
    # of float32 at returns of 1 %: some processors sum one series in another order
    rounding = {"rtol": 0, "atol": 3e-8}
    np.testing.assert_allclose(both(found)[::3], expected, **rounding)
    np.testing.assert_allclose(found.predicted[::3], expected[VALID // 3 :, 4], **rounding)


def test_fracast_sees_as_many_days_as_its_package_and_no_more(make):
    from fracast import FracastModel

    days = 2048 + VALID + TEST
    returns = 0.01 * np.random.default_rng(8).standard_t(4, days)
    found = fit(
        make("fracast", context=2048, levels=DECILES), returns=returns, train=days - VALID - TEST - LOOKBACK + 1
    )
    expected = FracastModel.from_pretrained(weights="fp32").forecast(returns)[0]
    np.testing.assert_allclose(found.quantiles[-1], expected, rtol=0, atol=3e-8)


@pytest.mark.parametrize("context", [48, 64])
def test_chronos_says_what_its_package_says_of_one_series_at_a_time(make, bolt, context):
    """Only to rounding: a batch of another shape multiplies in another order."""
    import torch
    from chronos import BaseChronosPipeline

    alone = BaseChronosPipeline.from_pretrained(str(bolt))
    expected = np.stack([
        alone.predict_quantiles(torch.from_numpy(days), prediction_length=1, quantile_levels=list(DECILES))[0][0, 0]
        for days in contexts_by_hand(context)
    ])  # fmt: skip
    found = fit(make("chronos_bolt", context=context, levels=DECILES))
    np.testing.assert_allclose(both(found), expected, rtol=0, atol=1e-6 * RETURNS.std())
    np.testing.assert_array_equal(found.predicted, both(found)[VALID:, 4])
    assert not found.notes


@pytest.mark.parametrize("name", BOTH)
def test_no_forecast_sees_past_its_origin_and_each_sees_its_own(make, name):
    model, day = make(name), 2
    before = fit(model)
    for later in (day, day + 1):  # rewritten from this test origin on
        returns = RETURNS.copy()
        returns[DAYS - TEST + later :] = 0.3
        after = fit(model, returns=returns)
        np.testing.assert_array_equal(after.valid_quantiles, before.valid_quantiles)
        np.testing.assert_array_equal(after.quantiles[:later], before.quantiles[:later])
        np.testing.assert_array_equal(after.predicted[:later], before.predicted[:later])
        assert (after.predicted[later:] != before.predicted[later:]).all()


@pytest.mark.parametrize("name", BOTH)
def test_a_forecast_is_the_same_to_the_last_bit_whatever_else_is_in_the_batch(make, name, monkeypatch):
    """Other neighbours, another place in the batch, a last batch of three contexts, of two, of one alone."""
    monkeypatch.setattr(type(make(name)), "batch", 4)
    model = make(name, levels=DECILES)
    found = both(fit(model))
    np.testing.assert_array_equal(both(fit(model, train=TRAIN + 2, valid=1)), found[2:])
    for days in (7, 6, 5):
        part = both(fit(model, returns=RETURNS[: DAYS - len(found) + days]))
        np.testing.assert_array_equal(part, found[:days])


@pytest.mark.parametrize("name", BOTH)
def test_a_day_has_the_same_quantiles_in_valid_as_in_test(make, name):
    one, two = fit(make(name)), fit(make(name), valid=VALID + 4)
    np.testing.assert_array_equal(two.valid_quantiles, np.concatenate([one.valid_quantiles, one.quantiles[:4]]))
    np.testing.assert_array_equal(two.quantiles, one.quantiles[4:])
    np.testing.assert_array_equal(two.predicted, one.predicted[4:])


@pytest.mark.parametrize("name", BOTH)
def test_the_context_reaches_back_beyond_the_window_and_no_further_than_asked(make, name):
    returns = RETURNS.copy()
    returns[DAYS - 40] = 0.5  # 40 days before the end, in train; the window is 5 days
    long, short = make(name, context=40), make(name, context=39)
    assert fit(long).predicted[-1] != fit(long, returns=returns).predicted[-1]
    assert fit(short).predicted[-1] == fit(short, returns=returns).predicted[-1]
    assert fit(long).predicted[-1] != fit(short).predicted[-1]


@pytest.mark.parametrize("name", BOTH)
def test_only_the_returns_are_read_whatever_other_features_there_are(make, name):
    np.testing.assert_array_equal(both(fit(make(name))), both(fit(make(name), extra=True)))


def test_the_weights_chosen_are_the_weights_used(make, tmp_path):
    other = save_bolt(tmp_path, seed=1)
    assert not np.array_equal(fit(make("fracast")).predicted, fit(make("fracast", weights="w8")).predicted)
    one, two = fit(make("chronos_bolt")), fit(make("chronos_bolt", weights=str(other)))
    assert not np.array_equal(one.predicted, two.predicted)


@pytest.mark.parametrize("name", BOTH)
def test_levels_choose_among_the_emitted_quantiles_and_do_not_move_the_forecast(make, name):
    every, few, none = (fit(make(name, levels=levels)) for levels in (DECILES, (0.2, 0.9), ()))
    np.testing.assert_array_equal(few.quantiles, every.quantiles[:, [1, 8]])
    np.testing.assert_array_equal(few.valid_quantiles, every.valid_quantiles[:, [1, 8]])
    assert none.quantiles.shape == (TEST, 0)
    for found in (few, none):
        np.testing.assert_array_equal(found.predicted, every.quantiles[:, 4])


def test_a_level_that_is_not_emitted_is_refused_with_those_that_are(make, tmp_path):
    emitted = "emits 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9$"
    with pytest.raises(
        StudyError, match="fracast does not emit the level 0.05, and none is interpolated; it " + emitted
    ):
        make("fracast", levels=(0.05, 0.5, 0.95))
    with pytest.raises(StudyError, match="chronos does not emit the level 0.25, and .*; it " + emitted):
        fit(make("chronos_bolt", levels=(0.25, 0.5)))
    quartiles = save_bolt(tmp_path / "quartiles", levels=(0.25, 0.5, 0.75))
    assert fit(make("chronos_bolt", weights=str(quartiles), levels=(0.25, 0.75))).quantiles.shape == (TEST, 2)
    with pytest.raises(StudyError, match="the level 0.1, and .*; it emits 0.25, 0.5, 0.75$"):
        fit(make("chronos_bolt", weights=str(quartiles), levels=(0.1, 0.5)))
    lopsided = save_bolt(tmp_path / "lopsided", levels=(0.1, 0.9))
    with pytest.raises(StudyError, match="the level 0.5, and .*; it emits 0.1, 0.9$"):
        fit(make("chronos_bolt", weights=str(lopsided), levels=()))


def test_quantiles_that_cross_are_sorted_and_counted(make, tmp_path):
    found = fit(make("chronos_bolt", weights=str(save_bolt(tmp_path, crossing=True)), levels=DECILES))
    assert (np.diff(both(found), axis=1) >= 0).all()
    assert found.notes == (f"quantiles crossed on {VALID + TEST} of {VALID + TEST} days",)
    np.testing.assert_array_equal(found.predicted, found.quantiles[:, 4])


@pytest.mark.parametrize("name", BOTH)
def test_days_up_to_the_declared_end_are_contaminated_and_all_where_none_is_declared(make, name):
    days = np.array(["2012-12-31", "2013-01-01", "2013-01-02"], "datetime64[D]")
    assert make(name).contaminated(days).all()
    assert make(name, trained_until="2013-01-01").contaminated(days).tolist() == [True, True, False]
    assert make(name, trained_until="2013-01-01").trained_until == date(2013, 1, 1)
    assert "may be among them" in make(name).may_hold


@pytest.mark.parametrize(("name", "module"), [("fracast", "fracast"), ("chronos_bolt", "chronos")])
def test_a_missing_package_is_one_line(make, monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingError, match=rf"^{module} is not installed: pip install 'nextday\[foundation\]'$"):
        make(name)


@pytest.mark.parametrize("where", ["nobody/has-this", "/no/such/folder", "no such name", ""])
def test_missing_weights_are_one_line_without_a_wait(make, where):
    with pytest.raises(
        MissingError, match="^chronos_bolt: no weights .* here: give `weights` the path of a folder .*$"
    ):
        make("chronos_bolt", weights=where)


def test_weights_by_their_name_on_the_hub_come_out_of_the_cache(make, bolt, tmp_path, monkeypatch):
    from huggingface_hub import constants

    repo = tmp_path / "models--nextday--tiny"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text("abc")
    (repo / "snapshots").mkdir()
    (repo / "snapshots" / "abc").symlink_to(bolt)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    named, local = make("chronos_bolt", weights="nextday/tiny"), make("chronos_bolt")
    np.testing.assert_array_equal(both(fit(named)), both(fit(local)))


def test_a_folder_with_something_else_is_one_line(make, bolt, tmp_path):
    torn = tmp_path / "torn"
    torn.mkdir()
    (torn / "config.json").write_bytes((bolt / "config.json").read_bytes())
    with pytest.raises(TrainingError, match="^chronos_bolt: cannot load .*torn: .+$"):
        fit(make("chronos_bolt", weights=str(torn)))
    (torn / "model.safetensors").write_bytes((bolt / "model.safetensors").read_bytes()[:5000])
    with pytest.raises(TrainingError, match="^chronos_bolt: cannot load .*torn: .+$"):
        fit(make("chronos_bolt", weights=str(torn)))
    (torn / "config.json").write_text('{"model_type": "t5"}')
    with pytest.raises(TrainingError, match="^chronos_bolt: cannot load .*torn: Not a Chronos config file$"):
        fit(make("chronos_bolt", weights=str(torn)))


def test_a_chronos_that_is_no_bolt_is_one_line(make, tmp_path):
    """The first Chronos draws samples of tokens; it emits no quantiles."""
    from transformers import T5Config, T5ForConditionalGeneration

    settings = {
        "tokenizer_class": "MeanScaleUniformBins", "tokenizer_kwargs": {"low_limit": -15.0, "high_limit": 15.0},
        "n_tokens": 16, "n_special_tokens": 2, "pad_token_id": 0, "eos_token_id": 1, "use_eos_token": True,
        "model_type": "seq2seq", "context_length": 64, "prediction_length": 4, "num_samples": 2, "temperature": 1.0,
        "top_k": 5, "top_p": 1.0,
    }  # fmt: skip
    config = T5Config(d_model=8, d_ff=8, d_kv=4, num_heads=2, num_layers=1, vocab_size=16, chronos_config=settings)
    T5ForConditionalGeneration(config).save_pretrained(tmp_path)
    with pytest.raises(TrainingError, match="^chronos_bolt: .* contains a ChronosPipeline, not Chronos-Bolt$"):
        fit(make("chronos_bolt", weights=str(tmp_path)))


def test_a_context_that_the_model_cannot_see_is_refused(make):
    with pytest.raises(StudyError, match="chronos_bolt: context 65 exceeds its maximum of 64 days"):
        fit(make("chronos_bolt", context=65))
    with pytest.raises(StudyError, match="model fracast: context: expected at most 2048, got 2049"):
        make("fracast", context=2049)
    with pytest.raises(StudyError, match="context: expected at least 8, got 7"):
        make("chronos_bolt", context=7)


def test_a_history_too_short_for_fracast_is_one_line_and_enough_is_enough(make):
    with pytest.raises(
        TrainingError, match="^KO: 7 returns before the validation set are too few for fracast, which needs 8$"
    ):
        fit(make("fracast"), returns=RETURNS[:12], train=3, valid=2)
    assert np.isfinite(fit(make("fracast"), returns=RETURNS[:12], train=4, valid=2).predicted).all()
    assert np.isfinite(fit(make("chronos_bolt"), returns=RETURNS[:8], train=1, valid=1).predicted).all()


def test_ranges_with_a_hole_between_them_are_a_bug():
    train, valid, test = cut()
    holed = Windows(test.rows[1:], LOOKBACK, test.names)
    with pytest.raises(AssertionError, match="ranges are not consecutive"):
        fit(Fracast(), train, valid, holed)


@pytest.mark.parametrize("name", BOTH)
def test_a_unit_is_stored_under_all_that_makes_its_forecasts_and_nothing_else(make, name):
    model = make(name)
    assert repr(model) == repr(make(name, trained_until="2013-01-01"))
    assert repr(model) != repr(make(name, context=47))
    assert repr(model) != repr(make(name, levels=(0.5,)))
    assert repr(pickle.loads(pickle.dumps(model))) == repr(model)
    assert {"fracast": "by fracast 0", "chronos_bolt": "by chronos-forecasting 2"}[name] in repr(model)


def test_other_weights_in_the_same_folder_are_another_model(tmp_path):
    names = [repr(ChronosBolt(weights=str(save_bolt(tmp_path, seed=seed)))) for seed in (0, 1, 0)]
    assert names[0] == names[2] != names[1]


@pytest.mark.parametrize("name", BOTH)
def test_nothing_is_written_to_the_terminal(make, name, capfd):
    fit(make(name))
    assert capfd.readouterr() == ("", "")
