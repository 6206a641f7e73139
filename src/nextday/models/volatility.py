"""Benchmark quantile forecasts: a constant distribution, and volatility models."""

import warnings
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from nextday.errors import StudyError, TrainingError
from nextday.models.base import Fitted, Forecaster, Key
from nextday.samples import Samples, Windows
from nextday.threads import limit_threads

if TYPE_CHECKING:
    from arch.univariate.base import ARCHModelResult

DEVIATION = 10.0  # of the returns that GARCH's optimiser sees; a quiet ticker in percent lets it stop far too early
STARTS = ((0.05, 0.9, 8.0), (0.03, 0.96, 5.0), (0.1, 0.8, 12.0), (0.2, 0.5, 4.0))  # alpha, beta, nu, besides arch's own
FAR = 1 / 3  # between the fitted and the empirical distribution function (Kolmogorov's distance): not a fit


@dataclass(frozen=True, slots=True)
class Probabilistic(Forecaster):
    """A forecast distribution, given by its quantiles at the levels of the study; its median is the point forecast."""

    levels: tuple[float, ...] = ()  # the study's, strictly rising in (0, 1)

    def __post_init__(self) -> None:
        if not self.levels:
            raise StudyError(
                "the model forecasts quantiles, but the study has no levels; add a line such as levels: [0.05, 0.5, "
                "0.95]"
            )

    @property
    def asked(self) -> np.ndarray:
        """The levels, followed by that of the median."""
        return np.array([*self.levels, 0.5])


@dataclass(frozen=True, slots=True)
class ConstantQuantile(Probabilistic):
    """Forecast the empirical quantiles of training and validation returns, every day ("historical simulation").

    By Weibull's plotting positions (type 6 of Hyndman and Fan 1996, The American Statistician 50(4)): of exchangeable
    returns, the next one falls below the quantile of level ``a`` with probability ``a``.
    """

    def fit_predict(self, train: Samples, valid: Samples, test: Windows, *, key: Key) -> Fitted:
        """Forecast one row of constants."""
        quantiles = empirical(_past(train, valid, key), self.asked)
        return scaled(quantiles, np.ones(len(valid.y)), np.ones(len(test)))


@dataclass(frozen=True, slots=True)
class Ewma(Probabilistic):
    r"""Scale the quantiles of standardised returns by the volatility of RiskMetrics.

    .. math:: \sigma_{t+1}^2 = \lambda \sigma_t^2 + (1 - \lambda) r_t^2

    The mean is assumed to be zero. The recursion starts at the mean squared training return, which is known before the
    validation and test sets and is positive, while a first return may be zero; after 100 days 0.2 % of it remains. The
    tails come from the training and validation returns divided by their ``sigma``: their quantiles ("filtered
    historical simulation"), or those of a Student t whose degrees of freedom and scale are estimated by maximum
    likelihood, symmetric about zero.

    References
    ----------
    J.P. Morgan and Reuters (1996), "RiskMetrics technical document", 4th edition. Barone-Adesi, Giannopoulos and Vosper
    (1999), "VaR without correlations for portfolios of derivative securities", Journal of Futures Markets 19(5).
    """

    needs: ClassVar[tuple[str, ...]] = ("log_return",)
    decay: Annotated[float, Field(gt=0, lt=1)] = 0.94
    tails: Literal["empirical", "student"] = "empirical"

    def fit_predict(self, train: Samples, valid: Samples, test: Windows, *, key: Key) -> Fitted:
        """Estimate the tails once, update the variance with every return."""
        past = _past(train, valid, key)
        later, known = test.later("log_return")
        squares = np.concatenate([past, later.astype(np.float64)]) ** 2
        variance = _filter(float(np.mean(train.y**2)), squares, 0.0, 1 - self.decay, self.decay)
        if not variance.all():
            raise TrainingError(
                f"EWMA of {key.ticker}: the variance falls to zero on {len(squares)} returns, of which "
                f"{np.sum(squares == 0)} are zero; increase decay or drop the ticker"
            )
        deviation = np.sqrt(variance)
        standardised = past / deviation[: len(past)]
        notes: tuple[str, ...] = ()
        if self.tails == "empirical":
            quantiles = empirical(standardised, self.asked)
        else:
            nu, scale = _student(standardised, key)
            quantiles, notes = scale * _t(self.asked, nu), (f"nu {nu:.3g}, scale {scale:.3g}",)
        return scaled(quantiles, deviation[len(train.y) : len(past)], deviation[len(past) :][known], notes=notes)


@dataclass(frozen=True, slots=True)
class Garch(Probabilistic):
    r"""GARCH(1,1) with a constant mean and Student t errors.

    .. math:: r_t = \mu + e_t, \quad \sigma_{t+1}^2 = \omega + \alpha e_t^2 + \beta \sigma_t^2,
        \quad e_t / \sigma_t \sim t_\nu \text{ of unit variance}

    The parameters are estimated once, by maximum likelihood on the training and validation sets from several starting
    values, because arch's optimiser also reports success far from the maximum. In the test set only the variance is
    updated: the forecast for ``t + 1`` uses the returns up to ``t``. The validation quantiles are those of the fit.

    References
    ----------
    Bollerslev (1987), "A conditionally heteroskedastic time series model for speculative prices and rates of return",
    Review of Economics and Statistics 69(3).
    """

    needs: ClassVar[tuple[str, ...]] = ("log_return",)

    def fit_predict(self, train: Samples, valid: Samples, test: Windows, *, key: Key) -> Fitted:
        """Fit from every start, forecast with the most likely parameters."""
        found = fit_garch(_past(train, valid, key), test, key)
        tails = _t(self.asked, found.nu) * np.sqrt((found.nu - 2) / found.nu)
        return scaled(tails, found.past[len(train.y) :], found.test, mean=found.mean, notes=found.notes)


@dataclass(frozen=True, slots=True)
class FittedGarch:
    """A fitted GARCH(1,1): mean and degrees of freedom, and the deviation forecast at past and at test origins."""

    mean: float
    nu: float
    past: np.ndarray
    test: np.ndarray
    notes: tuple[str, ...]


def fit_garch(past: np.ndarray, test: Windows, key: Key) -> FittedGarch:
    """Fit a GARCH(1,1) with Student t errors to the returns that follow the past origins; filter those of the test.

    The last of ``past`` is the return of the first test origin.

    Raises
    ------
    TrainingError
        If no starting value leads to a fit.
    """
    unit = past.std() / DEVIATION
    with limit_threads():
        fits = _fit_garch(past / unit)
    usable = [fit for fit in fits if _is_usable(fit)]
    if not usable:
        said = "; ".join(dict.fromkeys(fit.optimization_result.message for fit in fits))
        raise TrainingError(
            f"GARCH of {key.ticker}: none of {len(fits)} starting values led to a fit (the optimiser: {said}); "
            "drop the ticker or the variant"
        )
    best = max(usable, key=lambda fit: round(fit.loglikelihood, 2))  # the first of those as good
    mean, omega, alpha, beta, nu = best.params.to_numpy()
    later, known = test.later("log_return")
    errors = np.concatenate([best.resid[-1:], later.astype(np.float64) / unit - mean])
    seen = best.conditional_volatility
    variance = _filter(float(seen[-1]) ** 2, errors**2, omega, alpha, beta)[1:][known]
    note = (
        f"in percent: mu {mean * unit * 100:.3g}, omega {omega * (unit * 100) ** 2:.3g}, "
        f"alpha {alpha:.3g}, beta {beta:.3g}, nu {nu:.3g}"
    )
    if len(usable) < len(fits):
        note += f"; {len(fits) - len(usable)} of {len(fits)} starting values led to no fit"
    return FittedGarch(mean * unit, nu, seen * unit, np.sqrt(variance) * unit, (note,))


def _past(train: Samples, valid: Samples, key: Key) -> np.ndarray:
    """Concatenate the training and validation returns; the last is that of the first test origin."""
    past = np.concatenate([train.y, valid.y])
    if np.ptp(past) == 0:
        raise TrainingError(
            f"the training and validation returns of {key.ticker} are all {past[0]:g}: there is no distribution to "
            "estimate; drop the ticker"
        )
    return past


def _filter(first: float, squares: np.ndarray, omega: float, alpha: float, beta: float) -> np.ndarray:
    """Variance of each day and the day after the last: ``first``, then ``omega + alpha * square + beta * variance``."""
    days = accumulate(squares.tolist(), lambda last, square: omega + alpha * square + beta * last, initial=first)
    return np.fromiter(days, np.float64, len(squares) + 1)


def empirical(values: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return empirical quantiles by Weibull's plotting positions."""
    return np.quantile(values, levels, method="weibull")


def _t(levels: np.ndarray, nu: float) -> np.ndarray:
    from scipy import stats

    return stats.t.ppf(levels, nu)


def _student(values: np.ndarray, key: Key) -> tuple[float, float]:
    """Degrees of freedom, in the range that arch allows, and scale of the most likely Student t about zero."""
    from scipy import optimize, stats

    def loss(logs: np.ndarray) -> float:
        nu, scale = np.exp(logs)
        return float(-stats.t.logpdf(values / size, nu, scale=scale).mean())

    size = float(np.sqrt(np.mean(values**2)))
    bounds = [(np.log(low), np.log(high)) for low, high in ((2.05, 500), (1e-3, 2))]
    found = optimize.minimize(loss, np.log([5, 0.6**0.5]), bounds=bounds, method="L-BFGS-B")
    nu, scale = np.exp(found.x)
    if not found.success or scale < 2e-3:  # where most returns are zero, ever smaller scales are likelier
        raise TrainingError(
            f"EWMA of {key.ticker}: no Student t fits the standardised returns, {np.mean(values == 0):.0%} of which "
            "are zero; use tails: empirical"
        )
    return float(nu), float(scale * size)


def _fit_garch(y: np.ndarray) -> list["ARCHModelResult"]:
    from arch import arch_model

    model = arch_model(y, mean="Constant", vol="GARCH", p=1, q=1, dist="t", rescale=False)
    starts = [[y.mean(), y.var() * (1 - alpha - beta), alpha, beta, nu] for alpha, beta, nu in STARTS]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # on the way; the result is looked at
        return [model.fit(disp="off", show_warning=False, starting_values=start) for start in (None, *starts)]


def _is_usable(fit: "ARCHModelResult") -> bool:
    """Whether the optimiser converged, to a variance that does not explode and to what the returns look like."""
    from scipy import stats

    _, _, alpha, beta, nu = fit.params
    if fit.convergence_flag or not np.isfinite([*fit.params, fit.loglikelihood]).all() or alpha + beta > 1 + 1e-6:
        return False
    ranks = stats.t.cdf(fit.std_resid * np.sqrt(nu / (nu - 2)), nu)
    return bool(stats.kstest(ranks, "uniform").statistic < FAR)


def scaled(
    quantiles: np.ndarray, valid: np.ndarray, test: np.ndarray, *, mean: float = 0.0, notes: tuple[str, ...] = ()
) -> Fitted:
    """Scale the quantiles of one day, that of the median last, by the deviations of validation and test days."""
    return Fitted(
        mean + test * quantiles[-1],
        quantiles=mean + np.outer(test, quantiles[:-1]),
        valid_quantiles=mean + np.outer(valid, quantiles[:-1]),
        notes=notes,
    )
