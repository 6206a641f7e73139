"""GARCH fits that manuals and papers publish, through the model's own search for the most likely parameters."""

import shutil
import struct
import subprocess
import zlib
from itertools import accumulate

import arch
import numpy as np
import pytest
from arch.data import sp500, wti
from scipy import optimize, special, stats

from models.test_volatility import cut, fit
from nextday.models.volatility import DEVIATION, Garch, _fit_garch

DEBIAN = "r-cran-fgarch"  # GPL: fetched where the test runs and left there
MARKS = 1974

# arch 7.1.0, examples/univariate_volatility_modeling.ipynb: mu, omega, alpha, beta, nu
OIL_NORMAL, OIL_T = (0.046682, 0.055806, 0.085627, 0.909098), (0.056438, 0.048516, 0.064980, 0.927950, 6.178598)

# Daily returns of the mark against the pound in percent, Bollerslev and Ghysels (1996), "Periodic autoregressive
# conditional heteroscedasticity", JBES 14(2): parameters and log likelihood. How the variance starts moves the third
# digit. The first three are TSP's (bg44.tsp by Clint Cummins), of which the second is the benchmark of Fiorentini,
# Calzolari and Panattoni (1996), Journal of Applied Econometrics 11(4); the t fit is that of the unit tests of fGarch.
OF_LEAST_SQUARES = (-0.00617319, 0.010761, 0.153132, 0.805977), -1106.60665  # the mean square about the mean
ABOUT_MU = (-0.00619041, 0.010761, 0.153134, 0.805974), -1106.60788  # that about the mu which is being tried
STEADY = (-0.00626932, 0.010983, 0.148700, 0.805809), -1106.94851  # omega / (1 - alpha - beta)
ABOUT_MU_T = (0.002248651, 0.002319034, 0.124437901, 0.884653280, 4.118426541), None  # "persistence: 1.009091"
DIGITS, DIGITS_T = (1e-8, 1e-6, 1e-6, 1e-6), (1e-8, 1e-8, 1e-7, 1e-7, 1e-6)


def assert_digits(found, published, last):
    """That what is found is what is published, to half a unit of its last digit and a little."""
    np.testing.assert_array_less(np.abs(np.subtract(found, published)), 0.6 * np.asarray(last))


def returns_of(prices):
    return prices.dropna().pct_change().dropna()


INDEX, OIL = returns_of(sp500.load()["Adj Close"]), returns_of(wti.load()["DCOILWTICO"])


def best(y):
    """The most likely of the fits that ``Garch`` chooses from: its parameters in the unit of y, its log likelihood."""
    unit = y.std() / DEVIATION
    found = max(_fit_garch(y / unit), key=lambda one: one.loglikelihood)
    return found.params.to_numpy() * [unit, unit**2, 1, 1, 1], found.loglikelihood - len(y) * np.log(unit)


def let_errors_be_normal(monkeypatch, start=None, tolerance=None):
    """Have ``Garch`` fit normal errors, t errors of a billion degrees of freedom to it; ``start`` makes the variance's."""
    plain = arch.arch_model

    def make(y, **options):
        model = plain(y, **(options | {"dist": "normal"}))
        plainly, first = model.fit, start and start(y)

        def fit_normal(*, starting_values=None, **more):
            values = starting_values and starting_values[:-1]
            found = plainly(starting_values=values, backcast=first, tol=tolerance, **more)
            found._params, found._names = np.append(found._params, 1e9), [*found._names, "nu"]
            return found

        model.fit = fit_normal
        return model

    monkeypatch.setattr(arch, "arch_model", make)


def lay_out(returns, known):
    """Samples that end with the first ``known`` returns, and test origins from the last of these to the last of all."""
    rows = np.concatenate([[0.0], returns, [0.0]])  # before the first target, and after the last origin
    return cut(rows, lookback=1, parts=(known - 100, 100))


def test_garch_gives_the_t_fit_of_crude_oil_that_arch_publishes():
    found, likelihood = best(100 * OIL.to_numpy())
    np.testing.assert_allclose(found, OIL_T, rtol=2e-4)
    assert likelihood == pytest.approx(-17919.643916, abs=1e-5)
    note = "in percent: mu 0.0564, omega 0.0485, alpha 0.065, beta 0.928, nu 6.18"
    assert fit(Garch(levels=(0.05, 0.95)), lay_out(OIL.to_numpy(), len(OIL))).notes == (note,)


@pytest.mark.parametrize(
    ("returns", "published", "digit", "likelihood"),
    [
        (INDEX, (0.0564, 0.0175, 0.1022, 0.8852), 1e-4, -6936.718476988951),
        (INDEX["2000-01-04":"2013-12-31"], (0.0531, 0.0156, 0.0879, 0.9014), 1e-4, -5141.39023359),
        (OIL, OIL_NORMAL, 1e-5, -18165.858870),
    ],
    ids=["S&P 500 of 1999 to 2018", "S&P 500 of 2000 to 2013", "crude oil"],
)
def test_of_normal_errors_the_same_search_gives_the_fits_that_arch_publishes(
    monkeypatch, returns, published, digit, likelihood
):
    """The notebook's, but of the S&P 500 until 2013: that is arch 8.0.0, doc/source/univariate/introduction.rst."""
    let_errors_be_normal(monkeypatch)
    found = best(100 * returns.to_numpy())
    assert_digits(found[0][:4], published, digit)
    assert found[1] == pytest.approx(likelihood, abs=1e-5)


@pytest.mark.parametrize(
    ("end", "variances"),
    [("2010-12-31", (0.381757, 0.451724, 0.428416, 0.420554, 0.402483)), ("2018-12-31", (3.59647,))],
)
def test_the_variance_moves_on_after_the_fit_as_arch_publishes(monkeypatch, end, variances):
    """Forecasts of the S&P 500's variance for the day after the last of the fit, and for those that follow.

    arch 7.1.0, examples/univariate_volatility_forecasting.ipynb: ``h.1`` of the fit up to 2010 and of that of all days.
    """
    let_errors_be_normal(monkeypatch)
    levels = (0.5, stats.norm.cdf(1))  # one standard deviation apart
    found = fit(Garch(levels=levels), lay_out(INDEX.to_numpy(), len(INDEX[:end]))).quantiles * 100
    np.testing.assert_allclose(np.diff(found)[: len(variances), 0] ** 2, variances, rtol=5e-5)


@pytest.fixture(scope="module")
def marks(tmp_path_factory):
    """The returns, from Debian's package of fGarch: it is downloaded (after ``apt-get update``), not installed."""
    folder = tmp_path_factory.mktemp("fgarch")
    if shutil.which("apt-get") is None:
        pytest.skip(f"the returns are in Debian's package {DEBIAN}, and there is no apt-get here")
    command = ["apt-get", "-o", "Acquire::http::Timeout=30", "download", DEBIAN]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the returns are in Debian's package {DEBIAN}: {done.stderr.strip().splitlines()[-1]}")
    subprocess.run(["dpkg", "-x", *folder.glob("*.deb"), folder], check=True)
    return reals((folder / "usr/lib/R/site-library/fGarch/data/Rdata.rdb").read_bytes(), MARKS)


def reals(database, count):
    """The one vector of that many numbers in the first object of a database of R: four bytes of length, then zlib."""
    content = zlib.decompressobj().decompress(database[4:])
    at = content.index(struct.pack(">ii", 14, count)) + 8  # the type of a vector of reals, and its length
    return np.frombuffer(content, ">f8", count, at).astype(np.float64)


@pytest.mark.slow
def test_from_the_published_start_the_search_gives_the_published_fit_of_the_mark(monkeypatch, marks):
    let_errors_be_normal(monkeypatch, start=np.var, tolerance=1e-12)
    published, likelihood = OF_LEAST_SQUARES
    found = best(marks)
    assert_digits(found[0][:4], published, DIGITS)
    assert found[1] == pytest.approx(likelihood, abs=5e-6)


@pytest.mark.slow
def test_from_archs_start_which_is_garchs_own_it_gives_a_likelier_fit_with_another_alpha(monkeypatch, marks):
    let_errors_be_normal(monkeypatch)
    (mu, omega, alpha, beta, _), likelihood = best(marks)
    assert likelihood == pytest.approx(-1104.5214, abs=5e-5)
    assert (alpha, beta) == pytest.approx((0.1455, 0.8168), abs=1e-4)
    assert (mu, omega) == pytest.approx((-0.00608, 0.00991), abs=1e-5)


def likelihood_of(parameters, y, start):
    """The log likelihood as its definition has it, of normal errors or, where there is a nu, of t errors."""
    mu, omega, alpha, beta, *tail = parameters
    squares = (y - mu) ** 2
    if min(omega, alpha, beta, *(nu - 2 for nu in tail)) <= 0:
        return -np.inf
    first = omega + (alpha + beta) * start(y, *parameters)
    days = accumulate(squares[:-1].tolist(), lambda last, one: omega + alpha * one + beta * last, initial=first)
    variance = np.fromiter(days, np.float64, len(y))
    if not tail:
        return -0.5 * np.sum(np.log(2 * np.pi * variance) + squares / variance)
    (nu,) = tail
    height = special.gammaln((nu + 1) / 2) - special.gammaln(nu / 2) - 0.5 * np.log(np.pi * (nu - 2) * variance)
    return np.sum(height - (nu + 1) / 2 * np.log1p(squares / (variance * (nu - 2))))


def about_mu(y, mu, *_):
    return np.mean((y - mu) ** 2)


def steady(_, mu, omega, alpha, beta):
    return omega / max(1 - alpha - beta, 1e-9)


def as_arch(y, *_):
    """The mean square about the mean of the first 75 days, each weighing 0.94 of the one before."""
    return np.average((y[:75] - y.mean()) ** 2, weights=0.94 ** np.arange(75))


def most_likely(of, first):
    """Where a likelihood is highest, by Nelder and Mead, begun anew where they stop until that helps no more."""
    found = np.array(first), -np.inf
    while True:
        options = {"xatol": 1e-9, "fatol": 1e-11, "maxiter": 5000, "maxfev": 5000}
        step = optimize.minimize(lambda tried: -of(tried), found[0], method="Nelder-Mead", options=options)
        if -step.fun - found[1] < 1e-10:
            return found
        found = step.x, -step.fun


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start", "published", "digits", "first"),
    [
        (about_mu, ABOUT_MU, DIGITS, (0, 0.02, 0.1, 0.8)),
        (steady, STEADY, DIGITS, (0, 0.02, 0.1, 0.8)),
        (about_mu, ABOUT_MU_T, DIGITS_T, (0, 0.02, 0.1, 0.8, 8)),
    ],
    ids=["Fiorentini, Calzolari and Panattoni", "TSP, steady", "fGarch, t"],
)
def test_a_plain_likelihood_is_highest_where_each_start_is_published_to_lead(marks, start, published, digits, first):
    found, highest = most_likely(lambda parameters: likelihood_of(parameters, marks, start), first)
    assert_digits(found, published[0], digits)
    assert published[1] is None or highest == pytest.approx(published[1], abs=5e-6)


@pytest.mark.slow
def test_the_t_fit_of_the_mark_is_the_likeliest_that_does_not_explode(marks):
    """The published one does, by 0.9 % a day, and so does the likeliest from arch's start: ours is on the bound."""

    def bounded(parameters):
        mu, omega, alpha, nu = parameters
        return likelihood_of((mu, omega, alpha, 1 - alpha, nu), marks, as_arch)

    found, highest = best(marks)
    (mu, omega, alpha, nu), expected = most_likely(bounded, (0, 0.02, 0.1, 8))
    np.testing.assert_allclose(found, (mu, omega, alpha, 1 - alpha, nu), rtol=1e-3, atol=1e-5)
    assert highest == pytest.approx(expected, abs=1e-5)
    beyond = most_likely(lambda parameters: likelihood_of(parameters, marks, as_arch), ABOUT_MU_T[0])
    assert beyond[0][2:4].sum() > 1.005
    assert beyond[1] > expected + 0.25
