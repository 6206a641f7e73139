import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from scipy import stats
from threadpoolctl import threadpool_limits

from nextday.errors import StudyError, TrainingError
from nextday.models import Key, catalog, make_model
from nextday.models.volatility import DEVIATION, ConstantQuantile, Ewma, Garch
from nextday.samples import Samples, Windows
from nextday.study import Training

KEY = Key(1, "KO", 0)
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
MODELS = [ConstantQuantile, Ewma, Garch]
TRUE = {"mu": 0.0004, "omega": 2e-6, "alpha": 0.08, "beta": 0.91, "nu": 6.0}
LONG = (3200, 800)


def cut(returns, lookback=5, parts=(300, 60)):
    """Cut one series of log returns into train, valid and test, each origin's target the next return.

    As in a study, targets are as precise as the features: the last of valid is the return of the first test origin.
    """
    rows = returns.astype(np.float32)[:, None]
    n = len(returns) - lookback
    first, second = parts[0], parts[0] + parts[1]
    y = rows[lookback:, 0].astype(np.float64)
    windows = [
        Windows(rows[a : b + lookback - 1], lookback, ("log_return",))
        for a, b in ((0, first), (first, second), (second, n))
    ]
    return Samples(windows[0], y[:first]), Samples(windows[1], y[first:second]), windows[2], y[second:]


def simulate(days, *, mu, omega, alpha, beta, nu, seed=0, burn=500):
    """Returns of a GARCH(1,1) with t errors, and their true standard deviations."""
    shocks = np.random.default_rng(seed).standard_t(nu, days + burn) * np.sqrt((nu - 2) / nu)
    variance, errors = np.full(days + burn, omega / (1 - alpha - beta)), np.empty(days + burn)
    for t in range(days + burn):
        if t:
            variance[t] = omega + alpha * errors[t - 1] ** 2 + beta * variance[t - 1]
        errors[t] = np.sqrt(variance[t]) * shocks[t]
    return mu + errors[burn:], np.sqrt(variance[burn:])


def fit(model, parts):
    return model.fit_predict(*parts[:3], key=KEY)


def past_of(parts):
    return np.concatenate([parts[0].y, parts[1].y])


def by_arch(past, parameters=None):
    """Fit arch to the past as ``Garch`` scales it, or fix its parameters; on one thread, as their number moves bits."""
    from arch import arch_model

    model = arch_model(past, mean="Constant", vol="GARCH", p=1, q=1, dist="t", rescale=False)
    with threadpool_limits(1):
        return model.fit(disp="off") if parameters is None else model.fix(parameters)


def width(quantiles):
    return quantiles[:, -1] - quantiles[:, 0]


@pytest.fixture(scope="module")
def long():
    """4000 days to learn from and 2000 to be tested on, of known volatility, and what each model makes of them."""
    returns, deviation = simulate(6005, **TRUE, seed=1)
    parts = cut(returns, parts=LONG)
    return parts, deviation[5 + sum(LONG) :], {kind: fit(kind(levels=LEVELS), parts) for kind in MODELS}


@pytest.fixture(scope="module")
def short():
    return cut(simulate(500, **TRUE, seed=3)[0])


@pytest.fixture(scope="module")
def fitted(short):
    """What each model makes of the short series."""
    return {kind: fit(kind(levels=LEVELS), short) for kind in MODELS}


def test_constant_quantiles_are_order_statistics_of_train_and_valid():
    """Of 19 returns the next falls below the smallest with probability 1/20, so that is the quantile of level 0.05."""
    returns = np.random.default_rng(0).permutation(np.arange(1, 20)) / 128  # exact in float32
    parts = cut(np.concatenate([np.zeros(5), returns, np.full(4, 9.0)]), parts=(12, 7))
    found = fit(ConstantQuantile(levels=(0.05, 0.275, 0.95)), parts)
    np.testing.assert_allclose(found.quantiles, np.tile([1 / 128, 5.5 / 128, 19 / 128], (4, 1)))
    np.testing.assert_allclose(found.valid_quantiles, np.tile([1 / 128, 5.5 / 128, 19 / 128], (7, 1)))
    np.testing.assert_array_equal(found.predicted, np.full(4, 10 / 128))


def test_ewma_is_the_recursion_of_riskmetrics_by_hand():
    """Train 1, -1, 2: mean square 2. Then half the last variance and half the last square, returns in 1/64."""
    returns = np.array([0, 0, 1, -1, 2, 2, -1, 3, 1, 7]) / 64
    found = fit(Ewma(levels=(0.25, 0.5, 0.75), decay=0.5), cut(returns, lookback=2, parts=(3, 2)))
    variance = [2, 1.5, 1.25, 2.625, 3.3125, 2.15625, 5.578125, 3.2890625]  # the last three are of the test samples
    standardised = np.sort(np.array([1, -1, 2, 2, -1]) / np.sqrt(variance[:5]))
    tails = [(standardised[0] + standardised[1]) / 2, standardised[2], (standardised[3] + standardised[4]) / 2]
    np.testing.assert_allclose(found.quantiles, np.outer(np.sqrt(variance[5:]) / 64, tails))
    np.testing.assert_allclose(found.valid_quantiles, np.outer(np.sqrt(variance[3:5]) / 64, tails))
    np.testing.assert_array_equal(found.predicted, found.quantiles[:, 1])


def test_student_tails_are_the_most_likely_ones_and_symmetric(long):
    parts, _, found = long
    student = fit(Ewma(levels=LEVELS, tails="student"), parts)
    past, variance = past_of(parts), [np.mean(parts[0].y ** 2)]
    for one in past:
        variance.append(0.94 * variance[-1] + 0.06 * one**2)
    nu, _, scale = stats.t.fit(past / np.sqrt(variance[:-1]), floc=0)
    expected = np.sqrt(variance[-1]) * scale * stats.t.ppf(LEVELS, nu)
    np.testing.assert_allclose(student.quantiles[0], expected, rtol=1e-3, atol=1e-12)
    assert student.notes == (f"nu {nu:.3g}, scale {scale:.3g}",)
    np.testing.assert_array_equal(student.predicted, np.zeros(len(parts[2])))
    assert width(student.quantiles).mean() == pytest.approx(width(found[Ewma].quantiles).mean(), rel=0.05)


def test_the_first_garch_forecast_is_that_of_arch(long):
    parts, _, found = long
    unit = past_of(parts).std() / DEVIATION
    arch = by_arch(past_of(parts) / unit)
    mu, *_, nu = arch.params
    deviation = np.sqrt(arch.forecast(horizon=1).variance.to_numpy()[-1, 0])
    expected = mu + deviation * stats.t.ppf(LEVELS, nu) * np.sqrt((nu - 2) / nu)
    np.testing.assert_allclose(found[Garch].quantiles[0], expected * unit, rtol=1e-9)
    expected = mu + np.outer(arch.conditional_volatility[LONG[0] :], arch.model.distribution.ppf(LEVELS, [nu]))
    np.testing.assert_allclose(found[Garch].valid_quantiles, expected * unit, rtol=1e-9)
    omega, alpha, beta = arch.params.iloc[1:4]
    percent = 100 * unit
    assert found[Garch].notes == (
        f"in percent: mu {mu * percent:.3g}, omega {omega * percent**2:.3g}, alpha {alpha:.3g}, beta {beta:.3g}, "
        f"nu {nu:.3g}",
    )


def test_later_garch_forecasts_are_those_of_arch_with_the_parameters_fixed(long):
    parts, _, found = long
    past, later = past_of(parts), parts[2].last("log_return")[1:].astype(float)
    unit = past.std() / DEVIATION
    arch = by_arch(past / unit)
    extended = by_arch(np.concatenate([past, later]) / unit, arch.params)
    deviation = np.sqrt(extended.forecast(horizon=1, start=len(past) - 1).variance.to_numpy()[:, 0])
    expected = arch.params["mu"] + np.outer(deviation, arch.model.distribution.ppf(LEVELS, arch.params[-1:]))
    np.testing.assert_allclose(found[Garch].quantiles, expected * unit, rtol=1e-9)


def test_garch_recovers_the_parameters_it_was_drawn_from(long):
    note = long[2][Garch].notes[0].removeprefix("in percent: ").split(", ")
    found = {name: float(value) for name, value in (part.split() for part in note)}
    assert found["mu"] == pytest.approx(0.04, abs=0.04)
    assert found["omega"] == pytest.approx(0.02, abs=0.012)
    assert found["alpha"] == pytest.approx(0.08, abs=0.02)
    assert found["beta"] == pytest.approx(0.91, abs=0.025)
    assert found["nu"] == pytest.approx(6, abs=1.2)


def test_garch_quantiles_are_close_to_the_true_ones(long):
    _, deviation, found = long
    tails = stats.t.ppf(LEVELS, TRUE["nu"]) * np.sqrt((TRUE["nu"] - 2) / TRUE["nu"])
    true = TRUE["mu"] + np.outer(deviation, tails)
    assert width(found[Garch].quantiles).mean() == pytest.approx(width(true).mean(), rel=0.03)
    assert np.corrcoef(width(found[Garch].quantiles), width(true))[0, 1] > 0.99


@pytest.mark.parametrize("kind", [Ewma, Garch])
def test_intervals_that_follow_volatility_hold_what_they_promise(long, kind):
    """In binomial error: 90 % of 2000 days, and 90 % of the third with the highest and of that with the lowest risk."""
    parts, deviation, found = long
    actual, quantiles = parts[3], found[kind].quantiles
    inside = (actual > quantiles[:, 0]) & (actual < quantiles[:, -1])
    order = np.argsort(deviation)
    for days in (order, order[: len(order) // 3], order[-(len(order) // 3) :]):
        assert inside[days].mean() == pytest.approx(0.9, abs=3 * np.sqrt(0.09 / len(days)))


def test_constant_intervals_hold_too_much_when_calm_and_too_little_when_not(long):
    parts, deviation, found = long
    quantiles = found[ConstantQuantile].quantiles
    inside = (parts[3] > quantiles[:, 0]) & (parts[3] < quantiles[:, -1])
    order, third = np.argsort(deviation), len(deviation) // 3
    error = 3 * np.sqrt(0.09 / third)
    assert inside[order[:third]].mean() > 0.9 + error
    assert inside[order[-third:]].mean() < 0.9 - error


@pytest.mark.parametrize("model", [Ewma(LEVELS), Ewma(LEVELS, tails="student"), Garch(LEVELS)], ids=repr)
def test_a_return_moves_the_forecasts_from_its_own_day_on(short, model):
    train, valid, test, _ = short
    changed = Windows(test.rows.copy(), test.lookback, test.names)
    changed.rows[test.lookback - 1 + 40 :] *= 3  # the returns of test origin 40 and later
    one, two = (model.fit_predict(train, valid, part, key=KEY) for part in (test, changed))
    np.testing.assert_array_equal(one.quantiles[:40], two.quantiles[:40])
    np.testing.assert_array_equal(one.valid_quantiles, two.valid_quantiles)
    assert (one.quantiles[40:, 0] > two.quantiles[40:, 0]).all()
    assert (one.quantiles[40:, -1] < two.quantiles[40:, -1]).all()
    assert one.notes == two.notes


@pytest.mark.parametrize("kind", [Ewma, Garch])
def test_more_test_days_leave_the_forecasts_of_the_first_alone(short, fitted, kind):
    train, valid, test, _ = short
    fewer = Windows(test.rows[:-30], test.lookback, test.names)
    two = kind(levels=LEVELS).fit_predict(train, valid, fewer, key=KEY)
    np.testing.assert_array_equal(fitted[kind].quantiles[:-30], two.quantiles)


@pytest.mark.parametrize("kind", MODELS)
def test_a_forecast_is_as_many_rows_as_samples_and_leaves_its_arguments_alone(short, kind):
    train, valid, test, _ = short
    before = [part.copy() for part in (train.y, valid.y, test.rows)]
    one, two = (fit(kind(levels=(0.1, 0.9)), short) for _ in range(2))
    assert one.predicted.shape == (len(test),)
    assert one.quantiles.shape == (len(test), 2)
    assert one.valid_quantiles.shape == (len(valid.y), 2)
    np.testing.assert_array_equal(one.quantiles, two.quantiles)
    for was, now in zip(before, (train.y, valid.y, test.rows), strict=True):
        np.testing.assert_array_equal(was, now)


@pytest.mark.parametrize("model", [ConstantQuantile, Ewma])
@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    values=st.lists(st.floats(-0.5, 0.5, width=32), min_size=40, max_size=60),
    levels=st.sets(st.integers(1, 99), min_size=1, max_size=12),
)
def test_quantiles_never_cross_and_the_median_is_the_forecast(model, values, levels):
    returns = np.array([0.0, 0.0, 0.01, -0.02, 0.015, *values])
    asked = tuple(sorted({level / 100 for level in levels} | {0.5}))
    found = fit(model(levels=asked), cut(returns, lookback=2, parts=(25, 8)))
    for quantiles in (found.quantiles, found.valid_quantiles):
        assert np.isfinite(quantiles).all()
        assert (np.diff(quantiles, axis=1) >= 0).all()
    np.testing.assert_array_equal(found.predicted, found.quantiles[:, asked.index(0.5)])


@pytest.mark.parametrize("model", [Ewma(LEVELS, tails="student"), Garch(LEVELS)], ids=repr)
def test_fitted_quantiles_never_cross_and_the_median_is_the_forecast(short, model):
    found = fit(model, short)
    for quantiles in (found.quantiles, found.valid_quantiles):
        assert (np.diff(quantiles, axis=1) > 0).all()
    np.testing.assert_array_equal(found.predicted, found.quantiles[:, 2])


@pytest.mark.parametrize("kind", MODELS)
def test_the_unit_of_returns_does_not_matter(short, fitted, kind):
    """A money market fund moves by 0.01 % a day: fitted in percent, arch stops at once and reports success."""
    two = fit(kind(levels=LEVELS), scaled(short, 2.0**-7))
    np.testing.assert_allclose(two.quantiles * 2**7, fitted[kind].quantiles, rtol=1e-12)


def scaled(parts, by):
    train, valid, test, actual = parts
    return (
        Samples(train.windows, train.y * by), Samples(valid.windows, valid.y * by),
        Windows(test.rows * np.float32(by), test.lookback, test.names), actual * by,
    )  # fmt: skip


def test_garch_follows_volatility_that_jumps_by_a_factor_of_300():
    """From its own starting values arch reports success here, with a log likelihood 487 short of the maximum."""
    noise = np.random.default_rng(3).standard_normal(1105)
    parts = cut(np.where(np.arange(1105) < 505, 0.05 / 300, 0.05) * noise, parts=(800, 200))
    found = fit(Garch(levels=LEVELS), parts)
    assert width(found.valid_quantiles).mean() == pytest.approx(2 * 1.645 * 0.05, rel=0.1)


def test_garch_takes_the_most_likely_of_its_fits(short, fitted, monkeypatch):
    from arch.univariate.base import ARCHModel

    plain, count = fitted[Garch], iter(range(5))
    fit_well = ARCHModel.fit

    def stop_early(self, **options):
        result = fit_well(self, **options)
        if next(count) in {0, 2}:
            result._params[3] /= 2
            result._loglikelihood -= 1
        return result

    monkeypatch.setattr(ARCHModel, "fit", stop_early)
    np.testing.assert_allclose(fit(Garch(levels=LEVELS), short).quantiles, plain.quantiles, rtol=1e-2, atol=1e-4)


def stubborn(monkeypatch, refuse):
    """Let arch say that it did not converge from the starting values that ``refuse`` picks by their number."""
    from arch.univariate.base import ARCHModel

    plain, count = ARCHModel.fit, iter(range(100))

    def fit_badly(self, **options):
        result = plain(self, **options)
        if refuse(next(count)):
            result._optim_output.update(status=9, message="Iteration limit reached")
        return result

    monkeypatch.setattr(ARCHModel, "fit", fit_badly)


def test_a_garch_that_converges_from_some_starts_says_so(short, fitted, monkeypatch):
    plain = fitted[Garch]
    stubborn(monkeypatch, lambda number: number in {0, 2})
    found = fit(Garch(levels=LEVELS), short)
    assert found.notes[0].endswith("; 2 of 5 starting values led to no fit")
    assert "led to no fit" not in plain.notes[0]
    np.testing.assert_allclose(found.quantiles, plain.quantiles, rtol=1e-2, atol=1e-4)


def test_a_garch_that_never_converges_is_one_line(short, monkeypatch):
    stubborn(monkeypatch, lambda number: True)
    with pytest.raises(
        TrainingError,
        match=r"^GARCH of KO: none of 5 starting values led to a fit \(the optimiser: Iteration limit reached\); "
        r"drop the ticker or the variant$",
    ):
        fit(Garch(levels=LEVELS), short)


@pytest.mark.parametrize(
    ("name", "value"), [("alpha", 0.3), ("alpha", np.nan), ("mu", 50.0)], ids=["explodes", "no number", "far off"]
)
def test_parameters_that_cannot_be_are_no_fit_even_if_arch_says_so(short, monkeypatch, name, value):
    from arch.univariate.base import ARCHModel

    plain = ARCHModel.fit

    def fit_badly(self, **options):
        result = plain(self, **options)
        result._params[["mu", "omega", "alpha", "beta", "nu"].index(name)] = value
        result._resid = result._resid - (value if name == "mu" else 0)
        return result

    monkeypatch.setattr(ARCHModel, "fit", fit_badly)
    with pytest.raises(TrainingError, match=r"^GARCH of KO: none of 5 .* \(the optimiser: Optimization terminated"):
        fit(Garch(levels=LEVELS), short)


@pytest.mark.parametrize("kind", MODELS)
def test_returns_that_are_all_equal_are_one_line(kind):
    with pytest.raises(
        TrainingError, match=r"^the training and validation returns of KO are all 0.5: .*drop the ticker"
    ):
        fit(kind(levels=LEVELS), cut(np.full(500, 0.5)))


def test_variance_that_falls_to_zero_is_one_line():
    returns = np.zeros(500)
    returns[320] = 0.01  # in valid: train has no square to start from
    with pytest.raises(TrainingError, match=r"^EWMA of KO: the variance falls to zero on 494 returns, of which 493"):
        fit(Ewma(levels=LEVELS), cut(returns))


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (
            Ewma(LEVELS, tails="student"),
            r"^EWMA of KO: no Student t fits the standardised returns, 9.% of which are zero; use tails: empirical",
        ),
        (Garch(LEVELS), r"^GARCH of KO: none of 5 starting values led to a fit"),
    ],
    ids=repr,
)
def test_a_ticker_that_hardly_trades_is_one_line(model, why):
    rng = np.random.default_rng(0)
    with pytest.raises(TrainingError, match=why):
        fit(model, cut(0.02 * rng.standard_normal(500) * (rng.random(500) < 0.06)))


def test_student_tails_that_do_not_converge_are_one_line(short, monkeypatch):
    from scipy import optimize

    monkeypatch.setattr(optimize, "minimize", lambda *_, **__: optimize.OptimizeResult(x=np.zeros(2), success=False))
    with pytest.raises(TrainingError, match="^EWMA of KO: no Student t fits .* use tails: empirical$"):
        fit(Ewma(LEVELS, tails="student"), short)


@pytest.mark.parametrize("kind", MODELS)
def test_no_levels_are_a_mistake_of_the_study(kind, monkeypatch):
    monkeypatch.setitem(catalog.MODELS, "one", kind)
    for make in (
        kind,
        lambda: TypeAdapter(kind).validate_python({}),
        lambda: make_model("one", {}, training=Training(), device="cpu"),
    ):
        with pytest.raises(StudyError, match=r"no levels; add a line such as levels: \[0.05, 0.5, 0.95\]"):
            make()


def test_the_levels_are_the_studys_and_options_are_checked(monkeypatch):
    monkeypatch.setitem(catalog.MODELS, "ewma", Ewma)
    study = {"training": Training(), "device": "cpu", "levels": LEVELS}
    assert make_model("ewma", {"decay": "0.97", "tails": "student"}, **study) == Ewma(LEVELS, 0.97, "student")
    for options in ({"decay": "1"}, {"decay": 0}, {"tails": "normal"}, {"levels": "0.5"}):
        with pytest.raises(StudyError, match="model ewma"):
            make_model("ewma", options, **study)


@pytest.mark.parametrize(("option", "value"), [("decay", 0.9), ("tails", "student")])
def test_every_option_of_ewma_moves_its_quantiles(short, option, value):
    plain, changed = (fit(Ewma(LEVELS, **options), short) for options in ({}, {option: value}))
    assert not np.isclose(width(plain.quantiles), width(changed.quantiles), rtol=1e-4).any()


def test_arch_and_scipys_statistics_are_loaded_by_the_fit_alone():
    code = "import sys; import nextday.models.volatility; print(*{'arch', 'scipy.stats', 'pandas'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "\n"
