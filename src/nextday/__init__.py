"""Do engineered features help to forecast the next day's stock return? A controlled ablation with a verdict."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nextday.confirmation import confirm
    from nextday.data import Bars, load_bars
    from nextday.engine import Execution
    from nextday.errors import NextdayError
    from nextday.evaluate import Comparison, Verdict
    from nextday.examination import Audit, audit
    from nextday.features import Feature, groups_of
    from nextday.judgement import Judgement, verdict
    from nextday.ladder.run import compare, run_all
    from nextday.models import Fitted, Forecaster, Key
    from nextday.models.networks.base import Network
    from nextday.pipeline import forecast, report, run
    from nextday.planning import Prospect, plan
    from nextday.plugins import estimator, feature, loss, model, split
    from nextday.power import Power, plant
    from nextday.results import Results
    from nextday.samples import Samples, Split, Windows
    from nextday.study import Study

    __version__: str

HOMES = {
    "confirmation": ("confirm",), "data": ("Bars", "load_bars"), "engine": ("Execution",), "errors": ("NextdayError",),
    "evaluate": ("Comparison", "Verdict"), "examination": ("Audit", "audit"),
    "features": ("Feature", "groups_of"), "judgement": ("Judgement", "verdict"),
    "ladder.run": ("compare", "run_all"), "models": ("Fitted", "Forecaster", "Key"),
    "models.networks.base": ("Network",), "pipeline": ("forecast", "report", "run"),
    "planning": ("Prospect", "plan"), "plugins": ("estimator", "feature", "loss", "model", "split"),
    "power": ("Power", "plant"), "results": ("Results",), "samples": ("Samples", "Split", "Windows"),
    "study": ("Study",),
}  # fmt: skip
HOME = {name: module for module, names in HOMES.items() for name in names}

__all__ = [
    "Audit", "Bars", "Comparison", "Execution", "Feature", "Fitted", "Forecaster", "Judgement", "Key", "Network",
    "NextdayError", "Power", "Prospect", "Results", "Samples", "Split", "Study", "Verdict", "Windows", "__version__",
    "audit", "compare", "confirm", "estimator", "feature", "forecast", "groups_of", "load_bars", "loss", "model",
    "plan", "plant", "report", "run", "run_all", "split", "verdict",
]  # fmt: skip


def __getattr__(name: str) -> Any:  # noqa: ANN401 - of any kind
    """Import what is asked for, and no more: importing nextday alone loads no library."""
    if name == "__version__":
        from importlib.metadata import version  # slower than all the rest

        value = version("nextday")
    elif name in HOME:
        value = getattr(import_module(f"nextday.{HOME[name]}"), name)
    else:
        raise AttributeError(f"module 'nextday' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
