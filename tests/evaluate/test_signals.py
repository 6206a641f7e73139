"""Clark and West's test against zero and against the running mean, and the sentence that says what they found."""

import numpy as np
import polars as pl
import pytest
from scipy import stats
from statsmodels.regression.linear_model import OLS

import worlds
from nextday.evaluate.signals import any_signal, clark_west, holm, signal, timing

TICKERS, DAYS = 6, 600


def returns(rng, *, drift=0.0):
    """Unit variance: a market factor of half of it, and a volatility that all tickers share and that lasts."""
    volatility = np.exp(0.5 * worlds.autoregression(rng, (1, DAYS), 0.98) - 0.25)
    shocks = rng.standard_normal((1, DAYS)) + rng.standard_normal((TICKERS, DAYS))
    return drift + volatility * shocks / np.sqrt(2)


def lay(actual, **forecasts):
    """A forecasts table of one seed, one variant per keyword."""
    full = {name: np.broadcast_to(values, actual.shape) for name, values in forecasts.items()}
    return pl.concat([worlds.table(name, actual, values[None]) for name, values in full.items()])


def p_values(rows, names):
    """Per variant those of any signal and of timing."""
    both = any_signal(rows, names, block=5), timing(rows, names, block=5)
    return {name: tuple(tests[name][1] for tests in both) for name in names}


def test_clark_west_finds_signal_that_the_loss_difference_misses():
    """A forecast too noisy to use loses to zero, and still knows something."""
    rng = np.random.default_rng(0)
    known, noise = rng.standard_normal((2, 5, 800))
    actual = known + 5 * rng.standard_normal((5, 800))
    predicted = known + 3 * noise
    assert ((actual - predicted) ** 2).mean() > (actual**2).mean()
    assert clark_west(actual, predicted, lags=5)[1] < 0.01


def test_clark_west_holds_its_size():
    rng = np.random.default_rng(1)
    rejected = [
        clark_west(rng.standard_normal((4, 300)), 0.1 * rng.standard_normal((4, 300)), lags=4)[1] < 0.05
        for _ in range(300)
    ]
    assert 0.02 < np.mean(rejected) < 0.09


def test_clark_west_gives_the_published_value():
    """HypothesisTests.jl, test/clark_west.jl: errors of the small and the large model, 0.0001 on the right side."""
    small = [
        9.78432, 12.73500, 8.67224, 2.62740, 5.60947, 7.57809, 4.53774, 2.51084, 0.49290, 3.48394, 9.46152, 9.41220,
        2.36289, 0.34495, 3.33599, 5.31357, 4.28219, -3.74471, -5.73575, -3.71781,
    ]  # fmt: skip
    large = [
        2.82053, 4.39754, -1.78647, -4.30662, 3.69526, 3.37259, -1.09002, -0.50984, -0.78973, 3.89077, 7.52849,
        2.82373, -3.95838, -0.13606, 4.54444, 4.18216, 1.67993, -5.38077, -0.85686, 2.70479,
    ]  # fmt: skip
    actual, predicted = np.array([small]), np.array([small]) - np.array([large])
    assert clark_west(actual, predicted, lags=0)[1] == pytest.approx(0.0001, abs=5e-5)


@pytest.mark.parametrize("lags", [0, 1, 12, 80])
def test_the_errors_are_newey_and_wests_as_statsmodels_has_them(lags):
    rng = np.random.default_rng(2)
    actual, predicted = returns(rng)[:, :60], rng.standard_normal((TICKERS, 60))
    daily = (actual**2 - (actual - predicted) ** 2 + predicted**2).mean(axis=0)
    known = OLS(daily, np.ones(60)).fit(cov_type="HAC", cov_kwds={"maxlags": lags})
    statistic, p_value = clark_west(actual, predicted, lags=lags)
    assert statistic == pytest.approx(known.tvalues[0], rel=1e-12)
    assert p_value == pytest.approx(stats.norm.sf(known.tvalues[0]), rel=1e-11)


def test_the_table_and_the_arrays_have_one_clark_west():
    """Tickers of the same mean square, so that their scale does not matter."""
    rng = np.random.default_rng(3)
    actual = returns(rng)
    actual /= np.sqrt((actual**2).mean(axis=1, keepdims=True))
    predicted = 0.1 * rng.standard_normal(actual.shape)
    found = any_signal(lay(actual, A=predicted), ["A"], block=7.4)["A"]
    assert found == pytest.approx(clark_west(actual, predicted, lags=7))


def test_a_constant_forecast_of_the_drift_has_no_timing():
    """Constants that no binary number holds, one per ticker, seed and fold: statistic 0, exactly."""
    rng = np.random.default_rng(4)
    actual = 0.01 * returns(rng, drift=0.3)
    constants = np.repeat(rng.normal(0.003, 0.001, (2, TICKERS, 3)) / 3, DAYS // 3, axis=2)  # [seed, ticker, date]
    rows = worlds.table("A", actual, constants).sample(fraction=1, shuffle=True, seed=0)
    folds = rows.with_columns(fold=pl.col("origin").rank("dense").sub(1) // (DAYS // 3))
    assert any_signal(folds, ["A"], block=5)["A"][1] < 0.001
    assert timing(folds, ["A"], block=5)["A"] == (0, 1)
    assert timing(rows, ["A"], block=5)["A"] != (0, 1)  # a constant that changes on the way


def test_timing_is_the_slow_and_obvious_sum():
    rng = np.random.default_rng(5)
    actual = returns(rng)[:2, :50]
    predicted = rng.standard_normal((3, 2, 50))  # [seed, ticker, date]
    rows = worlds.table("A", actual, predicted).sample(fraction=1, shuffle=True, seed=0)
    daily = np.zeros(50)
    for seed in range(3):
        for ticker in range(2):
            known, said = actual[ticker], predicted[seed, ticker]
            for day in range(50):
                moved = said[day] - said[: day + 1].mean()
                daily[day] += 2 * (known[day] - known.mean()) * moved / (known**2).mean() / 6
    centred = daily - daily.mean()
    variance = centred @ centred + 2 * sum(
        (1 - lag / 5) * (centred[lag:] @ centred[:-lag]) for lag in range(1, 5)
    )  # Newey and West, four lags
    assert timing(rows, ["A"], block=4)["A"][0] == pytest.approx(daily.sum() / np.sqrt(variance))


def test_timing_sees_neither_the_drift_nor_the_level_of_the_forecasts():
    rng = np.random.default_rng(6)
    actual = returns(rng)[:1]  # one ticker: its scale drops out of the statistic
    predicted = rng.standard_normal(actual.shape)
    plain, moved, lifted = (
        timing(lay(one, A=other), ["A"], block=5)["A"]
        for one, other in ((actual, predicted), (actual + 2, predicted), (actual, predicted + 7))
    )
    assert moved == pytest.approx(plain, rel=1e-6)
    assert lifted == pytest.approx(plain, rel=1e-6)


def test_timing_finds_a_signal_that_a_wrong_constant_hides_from_the_zero_forecast():
    rng = np.random.default_rng(7)
    known = 0.15 * rng.standard_normal((TICKERS, DAYS))
    found = p_values(lay(returns(rng, drift=0.1) + known, A=known - 0.5), ["A"])["A"]
    assert found[0] > 0.1
    assert found[1] < 0.001


def test_holm_is_the_textbook_example():
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert found == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})


def test_the_sentence_says_which_kind_of_signal_there_is():
    none = {"A": (1.2, 0.12), "B": (0.1, 0.46)}
    weak, strong = {"A": (0.3, 0.36), "B": (0.2, 0.41)}, {"A": (4.0, 0.00002), "B": (2.5, 0.006)}
    found = signal(none, strong)
    assert (found.kind, found.variants, found.p_value) == ("none", (), 0.24)
    assert found.sentence == "Clark-West: no variant shows a signal (smallest p = 0.24, Holm over 2 variants)"
    found = signal(strong, weak)
    assert (found.kind, found.variants, found.p_value) == ("drift", ("A", "B"), 0.00004)
    assert found.sentence == (
        "Clark-West: A (p < 0.001) and B (p = 0.006) track the drift; "
        "timing is not significant (p = 0.72, Holm over 2 variants)"
    )
    found = signal(strong, {"A": (0.3, 0.36), "B": (3, 0.001)})
    assert (found.kind, found.variants, found.p_value) == ("timing", ("B",), 0.002)
    assert found.sentence == "Clark-West: B has a signal (p = 0.002, Holm over 2 variants)"
    assert signal({"A": (1.2, 0.12)}, weak).sentence == "Clark-West: no variant shows a signal (p = 0.12)"


def test_a_variant_without_a_test_is_not_counted():
    zero, one = (0.0, 1.0), (2.0, 0.023)
    found = signal({"A": one, "Zero": zero, "Mean": (1.9, 0.03)}, {"A": one, "Zero": zero, "Mean": zero})
    assert found.sentence == "Clark-West: A has a signal (p = 0.023, Holm over 2 variants)"
    assert signal({"Zero": zero}, {"Zero": zero}).sentence == "Clark-West: not applicable, every forecast is zero"
    assert signal({"Zero": zero}, {"Zero": zero}).p_value == 1


def test_many_variants_are_named_up_to_three_most_significant_first():
    names = [f"V{at}" for at in range(6)]
    tests = {name: (5.0, 1e-6 * (7 - at)) for at, name in enumerate(names)}
    found = signal(tests, tests)
    assert found.variants == tuple(reversed(names))
    assert found.sentence == (
        "Clark-West: V5 (p < 0.001), V4 (p < 0.001), V3 (p < 0.001) and 3 others have a signal, Holm over 6 variants"
    )


def test_the_error_rate_of_the_sentence_is_an_option():
    tests = {"A": (2.0, 0.023)}
    assert (signal(tests, tests).kind, signal(tests, tests, alpha=0.01).kind) == ("timing", "none")


def past_mean(actual, days):
    """The mean return of the last days before each, 0 where there are none."""
    padded = np.pad(actual, ((0, 0), (days, 0)))
    return np.stack([padded[:, at : at + days].mean(axis=1) for at in range(actual.shape[1])], axis=1)


def draw(seed, *, drift):
    """Forecasts without any timing, of returns with some drift."""
    rng = np.random.default_rng([seed, 19])
    actual = returns(rng, drift=drift)
    own, common = (0.05 * worlds.autoregression(rng, (n, DAYS), 0.9) for n in (TICKERS, 1))
    white = 0.05 * rng.standard_normal(actual.shape)
    forecasts = {
        "white": white, "AR .9": own, "AR .9 common": common, "constant": np.full((1, 1), 0.05),
        "constant + white": 0.05 + white, "constant + AR .9": 0.05 + own,
        "reversal of 20 days": -past_mean(actual, 20), "reversal of 60 days": -past_mean(actual, 60),
    }  # fmt: skip
    return p_values(lay(actual, **forecasts), list(forecasts)), forecasts


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("drift", [0.0, 0.05])
def test_the_size_of_both_tests_with_persistent_forecasts_and_drift(drift, capsys):
    found = [draw(seed, drift=drift)[0] for seed in range(500)]
    rates = {name: np.mean([np.array(one[name]) < 0.05 for one in found], axis=0) for name in found[0]}
    with capsys.disabled():
        print(f"\ndrift {drift}: " + ", ".join(f"{n} {100 * z:.1f} {100 * t:.1f} %" for n, (z, t) in rates.items()))
    assert max(t for name, (_, t) in rates.items() if "reversal" not in name) <= 0.08
    assert max(t for _, t in rates.values()) <= 0.11
    assert rates["constant"][1] == 0
    if drift:
        assert rates["constant"][0] > 0.3  # what the zero forecast alone takes for a signal
    else:
        assert max(z for name, (z, _) in rates.items() if "reversal" not in name) <= 0.08


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_power_of_both_tests_and_how_often_the_sentence_is_wrong(capsys):
    """Signals of a true R2, forecast with noise of twice their deviation; and three variants that know nothing."""
    found = []
    for seed in range(300):
        rng = np.random.default_rng([seed, 23])
        noise, actual, one = rng.standard_normal((2, TICKERS, DAYS)), returns(rng), {}
        for percent in (0.5, 1, 2):
            size = np.sqrt(percent / 100)
            for kind, at in (("own", slice(None)), ("common", slice(1))):
                known = size * noise[0, at]
                rows = lay(actual * np.sqrt(1 - size**2) + known, A=known + 2 * size * noise[1, at])
                one[f"{percent} % {kind}"] = p_values(rows, ["A"])["A"]
        drifting = 0.05 + 0.05 * rng.standard_normal((3, TICKERS, DAYS))
        for drift in (0.0, 0.05):
            rows, names = lay(actual + drift, **dict(zip("ABC", drifting, strict=True))), list("ABC")
            said = signal(*(test(rows, names, block=5) for test in (any_signal, timing))).kind
            one[f"sentence, drift {drift}"] = 1 - np.array([said != "none", said == "timing"])
        found.append(one)
    rates = {name: np.mean([np.array(one[name]) < 0.05 for one in found], axis=0) for name in found[0]}
    with capsys.disabled():
        print("\n" + ", ".join(f"{n} {100 * z:.1f} {100 * t:.1f} %" for n, (z, t) in rates.items()))
    assert min(rates["2 % own"]) > 0.9
    assert min(rates["1 % own"]) > 0.7
    assert rates["sentence, drift 0.0"][0] <= 0.07
    assert rates["sentence, drift 0.05"][1] <= 0.07
