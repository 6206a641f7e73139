"""Regressions, boosted trees and ARIMA."""

import warnings
from dataclasses import dataclass
from itertools import islice, product
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from nextday.errors import TrainingError
from nextday.models.base import Fitted, Forecaster, Key
from nextday.models.matrix import Reading, matrix_of
from nextday.models.ridge import fit_ridge
from nextday.samples import Samples, Windows
from nextday.threads import limit_threads
from nextday.words import plural


@dataclass(frozen=True, slots=True)
class LinearRegression(Forecaster):
    """Ordinary least squares on the features of the origin; fitted on the training and validation sets together."""

    def fit_predict(self, train: Samples, valid: Samples, test: Windows, *, key: Key) -> Fitted:  # noqa: ARG002
        """Fit once, forecast every test sample."""
        from sklearn import linear_model

        known = np.concatenate([matrix_of(one.windows, "last") for one in (train, valid)])
        with limit_threads():  # the number of threads moves the last bits
            fit = linear_model.LinearRegression().fit(known, np.concatenate([train.y, valid.y]))
            return Fitted(fit.predict(matrix_of(test, "last")))


@dataclass(frozen=True, slots=True)
class Ridge(Forecaster):
    """Ridge regression on standardised features; the validation set chooses the penalty.

    It is fitted on the training set alone, like a network. The strongest of the default penalties leaves little but the
    training mean. ``window``: ``last`` reads the origin alone, ``flat`` the whole window.
    """

    penalties: Annotated[tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...], Field(min_length=1)] = (
        *(10 ** (exponent / 2) for exponent in range(-6, 9)),
    )
    window: Reading = "last"

    def fit_predict(self, train: Samples, valid: Samples, test: Windows, *, key: Key) -> Fitted:  # noqa: ARG002
        """Fit one regression for each penalty, forecast every test sample with the best."""
        x = [matrix_of(windows, self.window) for windows in (train.windows, valid.windows, test)]
        with limit_threads():
            fit = fit_ridge(x[0], train.y[:, None], x[1], valid.y[:, None], self.penalties)
            return Fitted(fit.predict(x[2])[:, 0], notes=(f"penalty {fit.penalty[0]:.3g}",))


@dataclass(frozen=True, slots=True)
class HistGradientBoosting(Forecaster):
    """Gradient boosting of small trees; the validation set chooses their number.

    Friedman (2001), "Greedy function approximation: a gradient boosting machine", Annals of Statistics 29(5), with the
    small learning rate, shallow trees and early stopping that Gu, Kelly and Xiu (2020, Review of Financial Studies
    33(5)) choose for returns, whose signal is weak. It is fitted on the training set alone, like a network, and
    forecasts with the trees up to the best validation loss; if no tree lowers it, with the training mean. ``window``:
    ``last`` reads the origin alone, ``flat`` the whole window.
    """

    max_iter: Annotated[int, Field(ge=1)] = 500
    learning_rate: Annotated[float, Field(gt=0)] = 0.05
    max_leaf_nodes: Annotated[int, Field(ge=2)] = 8
    min_samples_leaf: Annotated[int, Field(ge=1)] = 100
    l2_regularization: Annotated[float, Field(ge=0)] = 100.0  # in samples: halves the forecast of a leaf of as many
    patience: Annotated[int, Field(ge=1)] = 30
    window: Reading = "last"

    def fit_predict(self, train: Samples, valid: Samples, test: Windows, *, key: Key) -> Fitted:  # noqa: ARG002
        """Add trees until the validation loss stops falling, forecast with the best number of them."""
        from sklearn import ensemble

        x = [matrix_of(windows, self.window) for windows in (train.windows, valid.windows, test)]
        mean, scale = train.y.mean(), train.y.std() or 1.0  # scikit-learn's tolerance is absolute
        estimator = ensemble.HistGradientBoostingRegressor(
            max_iter=self.max_iter, learning_rate=self.learning_rate, max_leaf_nodes=self.max_leaf_nodes,
            min_samples_leaf=self.min_samples_leaf, l2_regularization=self.l2_regularization, early_stopping=True,
            n_iter_no_change=self.patience, random_state=0,
        )  # fmt: skip
        with limit_threads():
            estimator.fit(x[0], (train.y - mean) / scale, X_val=x[1], y_val=(valid.y - mean) / scale)
            trees = int(np.argmax(estimator.validation_score_))  # the first score is that of the mean
            forecasts = estimator.staged_predict(x[2]) if trees else [np.zeros(len(test))]
            found = next(islice(forecasts, max(trees - 1, 0), None))
        return Fitted(mean + scale * found, notes=(plural(trees, "tree"),))


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
        with limit_threads():
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
