"""Volatility models of daily ranges, as baselines: heterogeneous autoregression, exponential smoothing, GARCH.

As point forecasts of a target they are regressions of it on a volatility that is known at the origin (Mincer and
Zarnowitz 1969, "The evaluation of economic forecasts"), fitted on the training and validation sets together, so that
they need not know in which unit the target measures volatility.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from nextday.models.base import Fitted, Forecaster, Key
from nextday.models.volatility import Probabilistic, empirical, fit_garch, scaled
from nextday.samples import Samples, Windows
from nextday.threads import limit_threads

RANGE = "hl_range"
WEEK = 5  # sessions; a month is the whole window
LEAST = 0.1  # of the mean range of the training set: no volatility is forecast below


@dataclass(frozen=True, slots=True)
class Har(Forecaster):
    r"""Heterogeneous autoregression on ranges: a regression on the mean range of a day, a week and the window.

    .. math:: y_{t+1} = a + b_d x_t + b_w \frac15 \sum_{k<5} x_{t-k} + b_m \frac1L \sum_{k<L} x_{t-k}

    ``x`` is ``(high - low) / close`` and ``L`` the lookback, 20 sessions by default, for Corsi's 22.

    References
    ----------
    Corsi (2009), "A simple approximate long-memory model of realized volatility", Journal of Financial Econometrics 7.
    """

    needs: ClassVar[tuple[str, ...]] = (RANGE,)
    any_target: ClassVar[bool] = True

    def fit_predict(self, train: Samples, valid: Samples, test: Windows, *, key: Key) -> Fitted:  # noqa: ARG002
        """Fit once, forecast every test sample."""
        x = [_means(windows) for windows in (train.windows, valid.windows, test)]
        known, y = np.concatenate(x[:2]), np.concatenate([train.y, valid.y])
        return Fitted(_regress(known, y, x[2]))


@dataclass(frozen=True, slots=True)
class EwmaRange(Forecaster):
    r"""Exponential smoothing of ranges: a regression on their mean over the window with weights ``decay**k``.

    References
    ----------
    J.P. Morgan and Reuters (1996), "RiskMetrics technical document", 4th edition, for the decay.
    """

    needs: ClassVar[tuple[str, ...]] = (RANGE,)
    any_target: ClassVar[bool] = True
    decay: Annotated[float, Field(gt=0, lt=1)] = 0.94

    def fit_predict(self, train: Samples, valid: Samples, test: Windows, *, key: Key) -> Fitted:  # noqa: ARG002
        """Smooth the ranges of each window, fit once, forecast every test sample."""
        weights = self.decay ** np.arange(test.lookback)[::-1]
        x = [(_ranges(one) @ weights / weights.sum())[:, None] for one in (train.windows, valid.windows, test)]
        return Fitted(_regress(np.concatenate(x[:2]), np.concatenate([train.y, valid.y]), x[2]))


@dataclass(frozen=True, slots=True)
class GarchVolatility(Forecaster):
    """A regression on the volatility that a GARCH(1,1) with Student t errors forecasts from returns; see ``Garch``."""

    needs: ClassVar[tuple[str, ...]] = ("log_return",)
    any_target: ClassVar[bool] = True

    def fit_predict(self, train: Samples, valid: Samples, test: Windows, *, key: Key) -> Fitted:
        """Fit GARCH to the returns that follow the origins of training and validation, then the regression."""
        returns = np.concatenate([one.last("log_return") for one in (train.windows, valid.windows, test)])
        past = returns[1 : len(train.y) + len(valid.y) + 1].astype(np.float64)  # the last is of the first test origin
        found = fit_garch(past, test, key)
        y = np.concatenate([train.y, valid.y])
        return Fitted(_regress(found.past[:, None], y, found.test[:, None]), notes=found.notes)


@dataclass(frozen=True, slots=True)
class HarQuantiles(Probabilistic):
    """Scale the quantiles of standardised returns by the range that a heterogeneous autoregression forecasts.

    The range of the next session is regressed on the mean range of a day, a week and the window, see ``Har``; returns
    are divided by that forecast, and their empirical quantiles over training and validation are multiplied by it
    ("filtered historical simulation", as in ``Ewma``).
    """

    needs: ClassVar[tuple[str, ...]] = (RANGE,)

    def fit_predict(self, train: Samples, valid: Samples, test: Windows, *, key: Key) -> Fitted:  # noqa: ARG002
        """Fit the autoregression once, estimate the tails once."""
        x = [_means(windows) for windows in (train.windows, valid.windows, test)]
        pairs = [_next(windows, own) for windows, own in zip((train.windows, valid.windows), x, strict=False)]
        known, ahead = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
        least = LEAST * ahead.mean()
        *past, coming = np.split(
            np.maximum(_regress(known, ahead, np.concatenate(x)), least), np.cumsum([len(one) for one in x[:2]])
        )
        standardised = np.concatenate([train.y, valid.y]) / np.concatenate(past)
        return scaled(empirical(standardised, self.asked), past[1], coming)


def _ranges(windows: Windows) -> np.ndarray:
    """Return the ranges of every window, float64, [sample, lookback]."""
    return windows.x[..., windows.names.index(RANGE)].astype(np.float64)


def _means(windows: Windows) -> np.ndarray:
    """Return the mean range of the last day, of the last week and of the window, [sample, 3]."""
    ranges = _ranges(windows)
    return np.stack([ranges[:, -1], ranges[:, -WEEK:].mean(axis=1), ranges.mean(axis=1)], axis=1)


def _next(windows: Windows, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pair the inputs of a sample with the range of the next session, where that is the origin of the next sample."""
    follows = np.diff(windows.starts) == 1
    return x[:-1][follows], x[1:, 0][follows]


def _regress(known: np.ndarray, y: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Regress ``y`` on ``known`` with an intercept by least squares, and forecast the rows of ``test``."""
    centre = known.mean(axis=0)
    with limit_threads():  # the number of threads moves the last bits
        slopes = np.linalg.lstsq(known - centre, y - y.mean(), rcond=None)[0]
        return y.mean() + (test - centre) @ slopes
