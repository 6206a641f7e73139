"""The interface of models."""

import hashlib
import shutil
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from nextday.errors import TrainingError
from nextday.samples import Samples, Windows

Device = Literal["auto", "cpu", "cuda"]
NO_BF16 = "precision bf16 requires a CPU: add --device cpu, or use --precision float32"


@dataclass(frozen=True, slots=True)
class Key:
    """The source of a unit's randomness: only seed, ticker and fold.

    Variants of a ticker share it and therefore the same shuffles; tickers do not, so that their seed errors are
    independent.

    Examples
    --------
    >>> Key(42, "KO", 0).stream("shuffle") == Key(42, "JNJ", 0).stream("shuffle")
    False
    """

    seed: int
    ticker: str
    fold: int

    def stream(self, name: str) -> int:
        """Return the seed of a named stream of random numbers, 63 bits.

        Examples
        --------
        >>> Key(42, "KO", 0).stream("shuffle") == Key(42, "KO", 0).stream("dropout")
        False
        """
        text = f"{self.seed}\n{self.ticker}\n{self.fold}\n{name}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@dataclass(frozen=True, slots=True)
class Fitted:
    """Result of a fitted model.

    Attributes
    ----------
    predicted
        Forecast of each test sample's log return, float64, shape [sample].
    train_loss, valid_loss
        Loss per epoch, shape [epoch]; empty for models without epochs.
    weights
        Parameters by name.
    best_epoch
        Epoch whose weights are used, from 1; 0 for models without epochs.
    notes
        Notes for readers, such as a fit that did not converge.
    quantiles, valid_quantiles
        Forecast quantiles of the test and validation samples at the levels of the model, never crossing; shape [sample,
        level], no levels for point forecasts.
    seconds
        Fitting time, set by the pipeline.
    extras
        Further results by name: an analysis that knows the name makes tables and figures of them.
    """

    predicted: np.ndarray
    train_loss: np.ndarray = field(default_factory=lambda: np.empty(0))
    valid_loss: np.ndarray = field(default_factory=lambda: np.empty(0))
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    best_epoch: int = 0
    notes: tuple[str, ...] = ()
    quantiles: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    valid_quantiles: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    seconds: float = 0.0
    extras: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        """Number of trained parameters; 0 for models that store none."""
        return sum(value.size for value in self.weights.values())


class Forecaster(ABC):
    """Interface of forecasters: fit on the past of one ticker and fold, then forecast its test samples.

    The test targets are not an argument, so a model cannot read them. A call depends only on its arguments: repeated
    calls return the same forecasts, whatever ran before.

    Examples
    --------
    >>> class Drift(Forecaster):
    ...     def fit_predict(self, train, valid, test, *, key):
    ...         return Fitted(np.full(len(test), train.y.mean()))
    >>> Drift.seeded
    False
    """

    seeded: ClassVar[bool] = False  # the forecast depends on the seed
    scaled: ClassVar[bool] = False  # wants features standardised on the training windows
    needs: ClassVar[tuple[str, ...]] = ()  # features it reads by name
    any_target: ClassVar[bool] = False  # of one that reads a series by name: forecasts other targets than returns, too
    pooled = False  # one model for all tickers: windows come as ``Pool``, the key's ticker is *
    may_hold: ClassVar[str] = ""  # of a pretrained model: whether its training data may hold the series of a study

    def parts(self) -> tuple[object, ...]:
        """Return the code that determines the forecasts: this class, and the classes of its values."""
        return (type(self),)

    @abstractmethod
    def fit_predict(self, train: Samples, valid: Samples, test: Windows, *, key: Key) -> Fitted:
        """Fit on ``train``, select by ``valid``, forecast ``test``."""

    def contaminated(self, dates: np.ndarray) -> np.ndarray:
        """Return which target dates the model's pretraining data may contain; bool, [day]."""
        return np.zeros(len(dates), bool)


def resolve_device(device: Device) -> Literal["cpu", "cuda"]:
    """Choose an available device, or refuse; PyTorch is imported only if there may be a GPU."""
    if device == "cpu" or (device == "auto" and not shutil.which("nvidia-smi")):
        return "cpu"
    import torch

    found = torch.cuda.is_available()
    if device == "cuda" and not found:
        raise TrainingError("device cuda: PyTorch finds no CUDA device here; use --device cpu")
    return "cuda" if found else "cpu"
