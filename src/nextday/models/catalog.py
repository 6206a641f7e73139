"""The models a study can name. Adding a model is adding a line here."""

from collections.abc import Mapping
from dataclasses import fields

from pydantic import TypeAdapter, ValidationError

from nextday.errors import StudyError
from nextday.models.base import Device, Forecaster, Precision
from nextday.models.baselines import HistoricalMean, Persistence, RollingMean, Zero
from nextday.models.foundation import ChronosBolt, Fracast
from nextday.models.networks.forecasters import Lstm, Transformer
from nextday.models.networks.vae_forecaster import Vae
from nextday.models.regression import Arima, HistGradientBoosting, LinearRegression
from nextday.models.volatility import ConstantQuantile, Ewma, Garch
from nextday.study import Training

MODELS: dict[str, type[Forecaster]] = {
    "zero": Zero,
    "historical_mean": HistoricalMean,
    "persistence": Persistence,
    "rolling_mean": RollingMean,
    "linear_regression": LinearRegression,
    "hist_gradient_boosting": HistGradientBoosting,
    "arima": Arima,
    "lstm": Lstm,
    "transformer": Transformer,
    "constant_quantile": ConstantQuantile,
    "ewma": Ewma,
    "garch": Garch,
    "fracast": Fracast,
    "chronos_bolt": ChronosBolt,
    "vae": Vae,
}


def make_model(
    name: str, options: Mapping[str, object], *, training: Training, device: Device,
    precision: Precision = "float32", levels: tuple[float, ...] = (),
) -> Forecaster:  # fmt: skip
    """Build a model by its catalog name.

    Examples
    --------
    >>> make_model("arima", {"max_order": "1"}, training=Training(), device="cpu")
    Arima(max_order=1)

    Raises
    ------
    StudyError
        If the name or an option is unknown, or an option's value does not fit.
    """
    if name not in MODELS:
        raise StudyError(f"unknown model {name!r}; known: {', '.join(MODELS)}")
    kind = MODELS[name]
    given = {"training": training, "device": device, "precision": precision, "levels": levels}  # for who takes them
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    shared = {name: value for name, value in given.items() if name in names}
    known = [name for name in names if name not in shared]
    unknown = [option for option in options if option not in known]
    if unknown:
        raise StudyError(f"model {name} has no option {unknown[0]!r}; known: {', '.join(known) or 'none'}")
    try:
        return TypeAdapter(kind).validate_python({**options, **shared})
    except ValidationError as error:
        first = error.errors()[0]
        raise StudyError(
            f"model {name}: {'.'.join(map(str, first['loc']))}: {first['msg']}, got {first['input']!r}"
        ) from None
