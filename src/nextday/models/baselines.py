"""Benchmark forecasts without fitting."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nextday.models.base import Fitted, Forecaster, Key
from nextday.samples import Samples, Windows


@dataclass(frozen=True, slots=True)
class Zero(Forecaster):
    """Forecast no change."""

    def fit_predict(self, train: Samples, valid: Samples, test: Windows, *, key: Key) -> Fitted:  # noqa: ARG002
        """Forecast zero."""
        return Fitted(np.zeros(len(test)))


@dataclass(frozen=True, slots=True)
class HistoricalMean(Forecaster):
    """Forecast the mean of the training and validation returns."""

    def fit_predict(self, train: Samples, valid: Samples, test: Windows, *, key: Key) -> Fitted:  # noqa: ARG002
        """Forecast one constant."""
        return Fitted(np.full(len(test), np.concatenate([train.y, valid.y]).mean()))


@dataclass(frozen=True, slots=True)
class Persistence(Forecaster):
    """Forecast the last return again."""

    needs: ClassVar[tuple[str, ...]] = ("log_return",)

    def fit_predict(self, train: Samples, valid: Samples, test: Windows, *, key: Key) -> Fitted:  # noqa: ARG002
        """Forecast ``log_return[t]``."""
        return Fitted(test.last("log_return").astype(np.float64))


@dataclass(frozen=True, slots=True)
class RollingMean(Forecaster):
    """Forecast the mean return of the window (20 sessions by default)."""

    needs: ClassVar[tuple[str, ...]] = ("log_return",)

    def fit_predict(self, train: Samples, valid: Samples, test: Windows, *, key: Key) -> Fitted:  # noqa: ARG002
        """Forecast the mean of ``log_return`` over ``t-19..t``."""
        return Fitted(test.x[..., test.names.index("log_return")].mean(axis=1, dtype=np.float64))
