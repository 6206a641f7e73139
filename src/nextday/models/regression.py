"""Regression, boosted trees and ARIMA, fitted on the training and validation sets together, without early stopping."""

import warnings
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field
from threadpoolctl import threadpool_limits

from nextday.errors import TrainingError
from nextday.models.base import Fitted, Forecaster, Key
from nextday.samples import Samples, Windows

if TYPE_CHECKING:
    from sklearn.base import RegressorMixin


def _at_origin(windows: Windows) -> np.ndarray:
    """Features of the origin alone, shape [sample, feature]: lags and rolling statistics already look back."""
    return windows.newest.astype(np.float64)


def _regress(estimator: "RegressorMixin", train: Samples, valid: Samples, test: Windows) -> Fitted:
    x = np.concatenate([_at_origin(train.windows), _at_origin(valid.windows)])
    with threadpool_limits(1):  # the number of threads moves the last bits
        estimator.fit(x, np.concatenate([train.y, valid.y]))
        return Fitted(estimator.predict(_at_origin(test)))


@dataclass(frozen=True, slots=True)
class LinearRegression(Forecaster):
    """Ordinary least squares on the features of the origin."""

    def fit_predict(self, train: Samples, valid: Samples, test: Windows, *, key: Key) -> Fitted:  # noqa: ARG002
        """Fit once, forecast every test sample."""
        from sklearn import linear_model

        return _regress(linear_model.LinearRegression(), train, valid, test)


@dataclass(frozen=True, slots=True)
class HistGradientBoosting(Forecaster):
    """Histogram gradient boosting on the features of the origin, without its random validation split."""

    max_iter: Annotated[int, Field(ge=1)] = 100
    learning_rate: Annotated[float, Field(gt=0)] = 0.1

    def fit_predict(self, train: Samples, valid: Samples, test: Windows, *, key: Key) -> Fitted:  # noqa: ARG002
        """Fit once, forecast every test sample."""
        from sklearn import ensemble

        estimator = ensemble.HistGradientBoostingRegressor(
            max_iter=self.max_iter, learning_rate=self.learning_rate, early_stopping=False, random_state=0
        )
        return _regress(estimator, train, valid, test)


@dataclass(frozen=True, slots=True)
class Arima(Forecaster):
    """ARIMA(p, 0, q) with a constant, with the smallest AIC among ``p, q <= max_order``.

    The parameters are estimated once, on the training and validation sets. In the test set only the state is updated:
    the forecast for ``t + 1`` filters the returns up to ``t``. An order whose likelihood does not converge is skipped
    with a note.
    """

    needs: ClassVar[tuple[str, ...]] = ("log_return",)
    max_order: Annotated[int, Field(ge=0, le=5)] = 2

    def fit_predict(self, train: Samples, valid: Samples, test: Windows, *, key: Key) -> Fitted:
        """Fit every order, forecast one step ahead with the best."""
        past = np.concatenate([train.y, valid.y])  # ends with the return of the first test origin
        scale = past.std()  # the optimiser wants numbers near one
        with threadpool_limits(1):
            fits, failed = _fit_orders(past / scale, self.max_order)
        if not fits:
            raise TrainingError(
                f"ARIMA of {key.ticker}: no order up to ({self.max_order}, 0, {self.max_order}) converged"
            )
        order, best = min(fits.items(), key=lambda item: item[1].aic)
        later, known = test.later("log_return")
        seen = later.astype(np.float64) / scale
        forecast = best.append(seen, refit=False).predict(len(past), len(past) + len(seen))[known]
        note = f"order {order}" + (f"; did not converge: {', '.join(map(str, failed))}" if failed else "")
        return Fitted(forecast * scale, notes=(note,))


def _fit_orders(y: np.ndarray, max_order: int) -> tuple[dict[tuple[int, int, int], Any], list[tuple[int, int, int]]]:
    from statsmodels.tools.sm_exceptions import ConvergenceWarning
    from statsmodels.tsa.arima.model import ARIMA

    fits, failed = {}, []
    for p, q in product(range(max_order + 1), repeat=2):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # read from the result, below
            warnings.filterwarnings("ignore", "Non-(stationary|invertible) starting", UserWarning)
            fit = ARIMA(y, order=(p, 0, q), trend="c").fit()
        if fit.mle_retvals["converged"] and np.isfinite(fit.aic):
            fits[p, 0, q] = fit
        else:
            failed.append((p, 0, q))
    return fits, failed
