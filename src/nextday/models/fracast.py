"""Fracast as a zero-shot forecaster."""

from dataclasses import dataclass
from functools import cache
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nextday.models.foundation import DECILES, Forecast, Foundation, check_levels


@dataclass(frozen=True, slots=True, repr=False)
class Fracast(Foundation):
    """Fracast-0, 85,001 parameters: dilated causal convolutions over 2048 days, whatever the context.

    ``weights`` chooses between the two checkpoints of its wheel: as trained, or rounded to 8 bits, the package's own
    default. Its authors label their own results on GIFT-Eval and FEV-Bench as leaking (README of ztxtech/fracast-0).

    On a CPU ``CompiledFracast`` computes the day ahead alone, to rounding as the package does. A version of the package
    with which it does not agree forecasts by itself, in five to forty times as long.
    """

    packages: ClassVar[tuple[str, ...]] = ("fracast",)
    module: ClassVar[str] = "fracast"
    batch: ClassVar[int] = 8  # fits the caches of a core
    least: ClassVar[int] = 8
    may_hold: ClassVar[str] = (
        "no knowledge cut-off is declared; some of its training data sets (GiftEvalPretrain, LOTSA, "
        "chronos_datasets, BOOM, fev_datasets) contain exchange rates, bitcoin and unnamed financial series, so "
        "these returns may be among them"
    )
    context: Annotated[int, Field(ge=8, le=2048)] = 512
    sweep: tuple[Annotated[int, Field(ge=8, le=2048)], ...] = ()
    weights: Literal["fp32", "w8"] = "fp32"

    def __post_init__(self) -> None:
        Foundation.__post_init__(self)
        check_levels("fracast", self.levels, DECILES)  # before anything is fitted

    def load(self, device: str) -> tuple[Forecast, tuple[float, ...]]:
        """Load one of the two embedded checkpoints, once per process."""
        return _load(self.weights, device)


@cache
def _load(weights: str, device: str) -> tuple[Forecast, tuple[float, ...]]:
    from fracast import FracastModel

    model = FracastModel.from_pretrained(weights=weights, device=device)
    forecast: Forecast | None = None
    if device == "cpu":
        from nextday.models.compiled_fracast import compile_fracast

        forecast = compile_fracast(model)
    return forecast or (lambda contexts: model.forecast_batch(contexts, horizon=1)[:, 0]), tuple(model.quantiles)
