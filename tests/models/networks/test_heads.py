import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import stdtrit

from nextday.errors import StudyError
from nextday.evaluate.quantiles import pinball as scored
from nextday.models import make_model
from nextday.models.networks.heads import GaussianHead, PointHead, QuantileHead, StudentHead, pinball
from nextday.study import Training

LEVELS = (0.05, 0.25, 0.5, 0.9)


def raw(head, numbers):
    """Give the head's last layer these outputs, whatever the state."""
    last = head[2]
    head[0].weight.data.zero_()
    head[0].bias.data.fill_(1.0)
    last.weight.data.zero_()
    last.bias.data.copy_(torch.tensor(numbers))
    return head(torch.zeros(1, 8))


@pytest.mark.parametrize("levels", [(0.05, 0.5, 0.95), (0.01, 0.02, 0.9), tuple(np.arange(1, 20) / 20)])
def test_a_quantile_head_starts_from_the_normal_quantiles_of_the_training_targets(levels):
    head = QuantileHead(8, levels)
    head.start(torch.tensor([0.01, 0.03, -0.01, 0.02]))
    median, quantiles = head.forecast(raw(head, np.zeros(len({*levels, 0.5}))))

    deviation = np.std([0.01, 0.03, -0.01, 0.02], ddof=1)
    np.testing.assert_allclose(quantiles.detach()[0], deviation * stats.norm.ppf(levels), rtol=1e-5, atol=1e-8)
    assert median == 0


@settings(max_examples=40, deadline=None)
@given(
    st.sets(st.floats(0.001, 0.999), min_size=1, max_size=20).map(sorted), st.integers(0, 2**32 - 1),
    st.floats(-3, 5), st.sampled_from([QuantileHead, GaussianHead, StudentHead]),
)  # fmt: skip
@example([0.3, 0.30000000000000004], 0, 0.0, StudentHead)
def test_quantiles_never_cross(levels, seed, size, kind):
    head = kind(8, levels)
    head.scale.fill_(0.013)
    states = 10**size * torch.randn(2_000, 8, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        median, quantiles = head.forecast(head(states))

    assert quantiles.shape == (2_000, len(levels))
    assert (quantiles.diff(dim=1) >= 0).all()
    if 0.5 in levels:
        assert torch.equal(median, quantiles[:, levels.index(0.5)])


def test_pinball_is_that_of_the_scores():
    rng = np.random.default_rng(0)
    quantiles, y = rng.normal(size=(500, 4)), rng.normal(size=500)
    table = pl.DataFrame(quantiles, schema=[f"q{level}" for level in LEVELS]).with_columns(actual=y)
    expected = table.select(scored(level, f"q{level}").alias(str(level)) for level in LEVELS).to_numpy().mean()
    levels = torch.tensor(LEVELS, dtype=torch.float64)
    assert float(pinball(torch.tensor(quantiles), torch.tensor(y), levels)) == pytest.approx(expected, abs=1e-9)


def test_likelihoods_and_quantiles_agree_with_scipy():
    y = torch.tensor([0.01, -0.02, 0.005])
    gaussian, student = GaussianHead(8, LEVELS), StudentHead(8, LEVELS)
    for head in (gaussian, student):
        head.scale.fill_(0.02)
    mean, spread = (out := raw(gaussian, [0.3, -0.2]))[0].tolist()
    location, scale, freedom = (other := raw(student, [0.3, -0.2, 0.5]))[0].tolist()

    assert gaussian.loss(out, y).item() == pytest.approx(-stats.norm(mean, spread).logpdf(y).mean(), abs=1e-6)
    assert student.loss(other, y).item() == pytest.approx(-stats.t(freedom, location, scale).logpdf(y).mean(), abs=1e-5)
    np.testing.assert_allclose(gaussian.forecast(out)[1].detach()[0], stats.norm(mean, spread).ppf(LEVELS), rtol=1e-5)
    expected = location + scale * stdtrit(freedom, LEVELS)
    np.testing.assert_allclose(student.forecast(other)[1].detach()[0], expected, rtol=1e-5)
    assert freedom > 2


def test_a_density_at_its_start_has_the_deviation_of_the_training_targets():
    head = GaussianHead(8, LEVELS)
    head.start(torch.tensor([0.01, -0.01, 0.02, -0.02]))
    np.testing.assert_allclose(
        raw(head, [0.0, 0.0])[0, 1].item(), np.std([0.01, -0.01, 0.02, -0.02], ddof=1), rtol=2e-3
    )


@pytest.mark.parametrize(
    "head", [QuantileHead(8, LEVELS), GaussianHead(8, LEVELS), GaussianHead(8, LEVELS, loss="pinball"),
             StudentHead(8, LEVELS)], ids=["quantiles", "gaussian", "gaussian by pinball", "student"]
)  # fmt: skip
def test_each_head_learns_the_quantiles_of_its_targets(head):
    world = stats.norm if type(head) is GaussianHead else stats.t(6)
    y = torch.from_numpy(0.01 * world.ppf((np.arange(400) + 0.5) / 400) + 0.003).float()
    states = torch.ones(1, 8)
    head.start(y)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.01)
    for _ in range(600):
        optimizer.zero_grad()
        head.loss(head(states).expand(len(y), -1), y).backward()
        optimizer.step()

    quantiles = head.forecast(head(states))[1].detach().numpy()
    observed = (y.numpy()[:, None] <= quantiles).mean(axis=0)
    np.testing.assert_allclose(observed, LEVELS, atol=0.015)


def test_a_point_head_forecasts_no_quantiles():
    head = PointHead(8)
    point, quantiles = head.forecast(raw(head, [0.5]))
    assert point.shape == (1,)
    assert quantiles.shape == (1, 0)


@pytest.mark.parametrize(
    ("options", "levels", "message"),
    [
        ({"head": "quantiles"}, (), "head quantiles needs the study's levels, such as levels: .0.05, 0.5, 0.95."),
        (
            {"head": "quantiles", "loss": "nll"},
            LEVELS,
            "head quantiles does not support the loss nll; supported: pinball",
        ),
        ({"loss": "pinball"}, LEVELS, "head point does not support the loss pinball; supported: squared"),
        (
            {"head": "student", "loss": "pinball"},
            LEVELS,
            "head student does not support the loss pinball; supported: nll",
        ),
        (
            {"head": "bimodal"},
            LEVELS,
            "model lstm: head: expected 'point', 'quantiles', 'gaussian' or 'student'",
        ),
    ],
)
def test_a_head_that_does_not_fit_is_refused(options, levels, message):
    with pytest.raises(StudyError, match=message):
        make_model("lstm", options, training=Training(), device="cpu", levels=levels)
