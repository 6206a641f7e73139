import numpy as np
import pytest

from nextday.data import align
from nextday.engine import make_plan
from nextday.engine.worker import fit
from nextday.models import Key, make_model
from nextday.samples import Pool, Samples, Windows
from nextday.study import Study, Training

TRAINING = Training(max_epochs=40, patience=10, learning_rate=5e-3)


def planted(count, rng, lookback=10):
    """Windows whose three features follow one hidden level each, and the level of each."""
    level = np.repeat(rng.normal(size=count // lookback + 2), lookback)[: count + lookback - 1]
    rows = level[:, None] * [1.0, -1.0, 0.5] + 0.3 * rng.normal(size=(len(level), 3))
    windows = Windows(rows.astype(np.float32), lookback, ("a", "b", "c"))
    return windows, windows.x[..., 0].mean(axis=1)


def test_a_vae_finds_the_level_that_its_windows_share():
    rng = np.random.default_rng(0)
    parts = [planted(count, rng) for count in (1500, 300, 300)]
    training = Training(max_epochs=12, learning_rate=1e-2)
    model = make_model("vae", {"latent": 2, "hidden": 16}, training=training, device="cpu")
    train, valid = (Samples(windows, level) for windows, level in parts[:2])
    fitted = model.fit_predict(train, valid, parts[2][0], key=Key(1, "*", 0))

    assert fitted.extras["latent"].shape == (2100, 2)
    assert np.corrcoef(fitted.predicted, parts[2][1])[0, 1] > 0.95  # the regression on the latent means reads it off
    assert len(fitted.extras["parts"]) == len(fitted.valid_loss)
    np.testing.assert_allclose(fitted.extras["parts"].sum(axis=1), fitted.valid_loss, rtol=1e-5)
    assert fitted.extras["parts"][-1, 1] > 0.5  # nats: it does not ignore its latent variables


def test_beta_weighs_the_divergence(bars, quick):
    rng = np.random.default_rng(1)
    parts = [planted(count, rng) for count in (300, 60, 60)]
    train, valid = (Samples(windows, level) for windows, level in parts[:2])
    used = {}
    for beta in (0.1, 30.0):
        model = make_model(
            "vae", {"hidden": 8, "beta": beta}, training=Training(max_epochs=15, learning_rate=5e-3), device="cpu"
        )
        used[beta] = model.fit_predict(train, valid, parts[2][0], key=Key(1, "*", 0)).extras["parts"][-1, 1]
    assert used[30.0] < 0.1 < used[0.1]


@pytest.fixture(scope="module")
def plan(bars, quick):
    return make_plan(Study.from_values(quick), align(bars, market="MKT"))


def test_a_pooled_unit_learns_from_all_tickers_and_a_ticker_from_itself(plan):
    units = [unit for unit in plan.units if unit.variant in ("VAE", "LSTM-Pooled")]
    assert [unit.ticker for unit in units] == ["*", "*"]
    pool = plan.job(next(unit for unit in units if unit.variant == "VAE"))
    alone = [plan.job(unit) for unit in plan.units if unit.variant == "LSTM-Feat"]
    assert pool.train.windows.names == alone[0].train.windows.names
    np.testing.assert_array_equal(pool.test.x, np.concatenate([job.test.x for job in alone]))
    np.testing.assert_array_equal(pool.train.y, np.concatenate([job.train.y for job in alone]))


def test_the_regression_on_latent_means_is_that_of_each_ticker(plan):
    job = plan.job(next(unit for unit in plan.units if unit.variant == "VAE"))
    fitted = fit(job)
    sizes = [len(job.train.windows), len(job.valid.windows), len(job.test)]
    places = [
        part.split(z) for part, z in zip(
            (job.train.windows, job.valid.windows, job.test), np.split(fitted.extras["latent"], np.cumsum(sizes)[:-1]), strict=True
        )
    ]  # fmt: skip
    targets = [job.train.windows.split(job.train.y), job.valid.windows.split(job.valid.y)]
    for ticker, predicted in enumerate(job.test.split(fitted.predicted)):
        known = np.concatenate([places[0][ticker], places[1][ticker]])
        y = np.concatenate([targets[0][ticker], targets[1][ticker]])
        weights = np.linalg.lstsq(np.column_stack([np.ones(len(known)), known]), y, rcond=None)[0]
        np.testing.assert_allclose(predicted, weights[0] + places[2][ticker] @ weights[1:], atol=1e-6)


def test_a_pooled_network_learns_each_ticker_in_its_own_units():
    small, large = (Windows(np.zeros((4, 1), np.float32), 1, ("a",)) for _ in range(2))
    pool = Pool.of([small, large])
    y = np.array([1.0, -1.0, 1.0, -1.0, 10.0, -10.0, 10.0, -10.0])
    together, alone = (
        make_model("lstm", {"pooled": pooled}, training=TRAINING, device="cpu") for pooled in (True, False)
    )
    np.testing.assert_allclose(together.scales(Samples(pool, y)), [1, 10])
    np.testing.assert_allclose(pool.repeat(np.array([1, 10])), [1] * 4 + [10] * 4)
    assert alone.scales(Samples(small, y[4:])).tolist() == [1.0]  # a ticker alone is learned in log returns
    assert small.repeat(np.array([1.0])).tolist() == [1.0] * 4
