"""The models that a study can name. A new model is a new line here."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from pydantic import TypeAdapter, ValidationError

from nextday.errors import StudyError
from nextday.mistakes import first_mistake
from nextday.models.base import Device, Forecaster
from nextday.models.baselines import HistoricalMean, Persistence, RollingMean, Zero
from nextday.models.estimator import make_estimator
from nextday.models.foundation import ChronosBolt
from nextday.models.fracast import Fracast
from nextday.models.networks.forecasters import Gru, Lstm, Mlp, Transformer
from nextday.models.networks.vae_forecaster import Vae
from nextday.models.ranges import EwmaRange, GarchVolatility, Har, HarQuantiles
from nextday.models.regression import Arima, HistGradientBoosting, LinearRegression, Ridge
from nextday.models.volatility import ConstantQuantile, Ewma, Garch
from nextday.names import known
from nextday.study import Training

MODELS: dict[str, "Model"] = {
    "zero": Zero,
    "historical_mean": HistoricalMean,
    "persistence": Persistence,
    "rolling_mean": RollingMean,
    "linear_regression": LinearRegression,
    "ridge": Ridge,
    "hist_gradient_boosting": HistGradientBoosting,
    "arima": Arima,
    "lstm": Lstm,
    "gru": Gru,
    "mlp": Mlp,
    "transformer": Transformer,
    "constant_quantile": ConstantQuantile,
    "ewma": Ewma,
    "garch": Garch,
    "har": Har,
    "ewma_range": EwmaRange,
    "garch_volatility": GarchVolatility,
    "har_quantiles": HarQuantiles,
    "fracast": Fracast,
    "chronos_bolt": ChronosBolt,
    "vae": Vae,
    "sklearn": make_estimator,
}


Model = type[Forecaster] | Forecaster | Callable[[dict[str, Any]], Forecaster]  # a class that options are given to, a
# finished model, or a function of options
HOUSE: Mapping[str, Model] = MappingProxyType(MODELS)


def make_model(
    name: str, options: Mapping[str, object], *, training: Training, device: Device,
    levels: tuple[float, ...] = (), lookback: int = 20, catalog: Mapping[str, Model] = HOUSE,
) -> Forecaster:  # fmt: skip
    """Build a model by its catalog name.

    The fields ``training``, ``device``, ``levels`` and ``lookback`` of a model are set by the study; all others are its
    options.

    Examples
    --------
    >>> make_model("arima", {"max_order": "1"}, training=Training(), device="cpu")
    Arima(max_order=1)

    Raises
    ------
    StudyError
        If the name or an option is unknown, or an option's value does not fit.
    """
    if name not in catalog:
        raise StudyError(f"unknown model {name!r}; {known(name, catalog)}")
    kind = catalog[name]
    if isinstance(kind, Forecaster):
        if options:
            raise StudyError(f"model {name} is an instance and takes no option, got {next(iter(options))!r}")
        return kind
    if not isinstance(kind, type):
        return kind(dict(options))
    given = {
        "training": training, "device": device, "levels": levels, "lookback": lookback,
    }  # fmt: skip
    names = [field.name for field in fields(kind)]
    shared = {name: value for name, value in given.items() if name in names}
    own = [name for name in names if name not in shared]
    unknown = [option for option in options if option not in own]
    if unknown:
        raise StudyError(f"model {name} has no option {unknown[0]!r}; {known(unknown[0], own)}")
    try:
        return TypeAdapter(kind).validate_python({**options, **shared})
    except ValidationError as error:
        raise StudyError(f"model {name}: {first_mistake(error)}") from None
