"""scikit-learn regressors as forecasters, on the last row of a window or on the whole window."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nextday.errors import MissingError, StudyError, TrainingError, first_line
from nextday.models.base import Fitted, Forecaster, Key
from nextday.models.matrix import Reading, matrix_of
from nextday.names import known
from nextday.samples import Samples, Windows
from nextday.threads import limit_threads


@dataclass(frozen=True, slots=True, repr=False)
class Estimator(Forecaster):
    """A scikit-learn regressor as a forecaster.

    Features are standardised on the training windows and targets divided by their training deviation, so that penalties
    are comparable between tickers. The model is fitted on the training and validation sets together. If
    ``random_state`` exists and is not set, the unit's key sets it, and the model has seeds.

    Attributes
    ----------
    regressor
        The estimator that is copied and fitted for each unit.
    window
        What it reads of a window, see ``matrix_of``.
    """

    scaled: ClassVar[bool] = True
    regressor: Any
    window: Reading = "last"

    @property
    def seeded(self) -> bool:  # type: ignore[override]
        """Whether the forecast depends on the seed."""
        known = self._parameters()
        if known.get("random_state", 0) is not None:
            return False
        linear = type(self.regressor).__module__.startswith("sklearn.linear_model") and not known.get("shuffle")
        return not linear or known.get("solver") in ("sag", "saga") or known.get("selection") == "random"

    def __repr__(self) -> str:
        return f"Estimator({self.regressor!r}, window={self.window!r})"

    def parts(self) -> tuple[object, ...]:
        """Return this class, and those of the regressor and of the estimators within it."""
        return (type(self), type(self.regressor), *(type(value) for value in self._parameters().values()))

    def fit_predict(self, train: Samples, valid: Samples, test: Windows, *, key: Key) -> Fitted:
        """Fit a copy once, forecast every test sample."""
        from sklearn.base import clone

        regressor, scale = clone(self.regressor), float(train.y.std()) or 1.0
        if self.seeded:
            regressor.set_params(random_state=key.stream("estimator") % 2**32)
        rows = [matrix_of(windows, self.window) for windows in (train.windows, valid.windows, test)]
        with limit_threads():  # the number of threads moves the last bits
            try:
                regressor.fit(np.concatenate(rows[:2]), np.concatenate([train.y, valid.y]) / scale)
                return Fitted(np.asarray(regressor.predict(rows[2]), dtype=np.float64).reshape(-1) * scale)
            except (ValueError, TypeError) as error:
                raise TrainingError(f"{type(regressor).__name__}: {first_line(error)}") from None

    def _parameters(self) -> dict[str, Any]:
        return dict(self.regressor.get_params(deep=True)) if hasattr(self.regressor, "get_params") else {}


def _ridge(**options: Any) -> Any:  # noqa: ANN401 - scikit-learn has no types
    from sklearn.linear_model import Ridge

    return Ridge(**options)


def _elastic_net(**options: Any) -> Any:  # noqa: ANN401
    from sklearn.linear_model import ElasticNet

    return ElasticNet(**({"selection": "cyclic", "random_state": 0} | options))


def _random_forest(**options: Any) -> Any:  # noqa: ANN401
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(**({"n_estimators": 200, "min_samples_leaf": 20, "n_jobs": 1} | options))


def _mlp(**options: Any) -> Any:  # noqa: ANN401
    from sklearn.neural_network import MLPRegressor

    return MLPRegressor(**({"hidden_layer_sizes": (64,), "early_stopping": False} | options))


def _lightgbm(**options: Any) -> Any:  # noqa: ANN401
    try:
        from lightgbm import LGBMRegressor
    except ImportError:
        raise MissingError(
            "estimator lightgbm: the package is not installed; pip install 'nextday[lightgbm]'"
        ) from None
    return LGBMRegressor(**({"n_jobs": 1, "verbose": -1, "deterministic": True, "force_row_wise": True} | options))


ESTIMATORS: dict[str, Callable[..., Any]] = {
    "ridge": _ridge, "elastic_net": _elastic_net, "random_forest": _random_forest, "mlp": _mlp, "lightgbm": _lightgbm,
}  # fmt: skip


def make_estimator(options: dict[str, Any]) -> Estimator:
    """Make ``model: sklearn`` from the options of a variant.

    Examples
    --------
    >>> make_estimator({"estimator": "ridge", "alpha": "2.5", "window": "flat"})
    Estimator(Ridge(alpha=2.5), window='flat')

    Raises
    ------
    StudyError
        If the estimator or one of its parameters is unknown, or a value does not fit.
    """
    own = dict(options)
    name, window = own.pop("estimator", ""), own.pop("window", "last")
    if name not in ESTIMATORS:
        raise StudyError(f"model sklearn: unknown estimator {name!r}; {known(name, ESTIMATORS)}")
    if window not in ("last", "flat"):
        raise StudyError(f"model sklearn: window is last or flat, got {window!r}")
    parameters = ESTIMATORS[name]().get_params()
    unknown = [option for option in own if option not in parameters]
    if unknown:
        raise StudyError(f"model sklearn: {name} has no parameter {unknown[0]!r}; {known(unknown[0], parameters)}")
    regressor = ESTIMATORS[name](**{option: _value(value) for option, value in own.items()})
    if hasattr(regressor, "_validate_params"):
        try:
            regressor._validate_params()
        except ValueError as error:
            raise StudyError(f"model sklearn: {first_line(error)}") from None
    return Estimator(regressor, window=window)


def _value(value: Any) -> Any:  # noqa: ANN401
    """Read a value of YAML, whose scalars are texts."""
    if isinstance(value, list):
        return tuple(_value(one) for one in value)
    if not isinstance(value, str):
        return value
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(value)
    return {"true": True, "false": False, "null": None, "none": None}.get(value.lower(), value)
