"""What a model is to the rest of nextday."""

import hashlib
import shutil
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from nextday.errors import TrainingError
from nextday.samples import Samples, Windows

Device = Literal["auto", "cpu", "cuda"]
NO_BF16 = "precision bf16 is for LSTM networks on a CPU: add --device cpu, or leave --precision at float32"


@dataclass(frozen=True, slots=True)
class Key:
    """Where a unit's randomness comes from: seed, ticker and fold, and nothing else.

    Variants of a ticker share it, so they see the same shuffles; tickers do not, so their luck is independent.

    Examples
    --------
    >>> Key(42, "KO", 0).stream("shuffle") == Key(42, "JNJ", 0).stream("shuffle")
    False
    """

    seed: int
    ticker: str
    fold: int

    def stream(self, name: str) -> int:
        """Seed of one named stream of random numbers, 63 bits.

        Examples
        --------
        >>> Key(42, "KO", 0).stream("shuffle") == Key(42, "KO", 0).stream("dropout")
        False
        """
        text = f"{self.seed}\n{self.ticker}\n{self.fold}\n{name}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a fitted model leaves behind.

    Attributes
    ----------
    predicted
        Forecast of each test sample's log return, float64, shape [sample].
    train_loss, valid_loss
        Loss per epoch, shape [epoch]; empty for models without epochs.
    weights
        Parameters by name.
    best_epoch
        Epoch whose weights made the forecasts, from 1; 0 for models without epochs.
    notes
        What a reader of the results should know, such as a fit that did not converge.
    quantiles, valid_quantiles
        Forecast quantiles of the test and the valid samples, at the levels the model was given, never crossing; shape
        [sample, level], without levels for models that forecast a point.
    seconds
        What fitting took; known to the pipeline.
    extras
        What else the model has to show, by name: an analysis that knows the name makes tables and figures of it.
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
        """Number of trained parameters; 0 for models that keep none."""
        return sum(value.size for value in self.weights.values())


class Forecaster(ABC):
    """Learn from the past of one ticker and fold, then forecast its test samples.

    The test targets are not an argument, so a model cannot read them. A call depends on its arguments alone: the same
    again returns the same forecast, whatever ran before.

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
    pooled = False  # one model for all tickers: windows come as ``Pool``, the key's ticker is *
    may_hold: ClassVar[str] = ""  # of a pretrained model: whether its training data may hold the series of a study

    def parts(self) -> tuple[object, ...]:
        """Return whatever code decides the forecasts: this class, and that of values which it holds."""
        return (type(self),)

    @abstractmethod
    def fit_predict(self, train: Samples, valid: Samples, test: Windows, *, key: Key) -> Fitted:
        """Fit on ``train``, choose by ``valid``, forecast ``test``."""

    def contaminated(self, dates: np.ndarray) -> np.ndarray:
        """Tell which days, by the dates of their targets, the model may have been trained on before; bool, [day]."""
        return np.zeros(len(dates), bool)


def resolve_device(device: Device) -> Literal["cpu", "cuda"]:
    """Choose the device that is there, or refuse; PyTorch is asked only where there may be a GPU."""
    if device == "cpu" or (device == "auto" and not shutil.which("nvidia-smi")):
        return "cpu"
    import torch

    found = torch.cuda.is_available()
    if device == "cuda" and not found:
        raise TrainingError("device cuda: PyTorch finds no CUDA device here; use --device cpu")
    return "cuda" if found else "cpu"
