"""Networks as forecasters: settings here, PyTorch only in the process that trains."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from nextday.errors import StudyError, TrainingError
from nextday.models.base import Fitted, Forecaster, Key
from nextday.samples import Samples, Windows
from nextday.study import Training

if TYPE_CHECKING:
    from torch import nn

DEFAULT_TRAINING = Training()
Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True, slots=True)
class Network(Forecaster):
    """A neural network: its training and the device are the study's, its architecture the subclass's."""

    seeded: ClassVar[bool] = True
    scaled: ClassVar[bool] = True
    training: Training = DEFAULT_TRAINING
    device: Device = "cpu"

    @abstractmethod
    def build(self, features: int) -> "nn.Module":
        """Make the module for inputs of ``features`` features."""

    def fit_predict(self, train: Samples, valid: Samples, test: Windows, *, key: Key) -> Fitted:
        """Initialise, train with early stopping, forecast with the best weights."""
        from nextday.models import training

        device = _resolve(self.device)
        network = self.build(len(test.names))
        training.initialise(network, key)
        network.to(device)
        before = training.attention(network, test, device=device)
        trained = training.train(network, train, valid, settings=self.training, key=key, device=device)
        return Fitted(
            training.predict(network, test, device=device),
            trained.train_loss,
            trained.valid_loss,
            {name: value.cpu().numpy() for name, value in network.state_dict().items()},
            trained.best_epoch,
            attention=np.stack([training.attention(network, test, device=device), before]),
        )


@dataclass(frozen=True, slots=True)
class Lstm(Network):
    """LSTM layers, the last hidden state, and a head of two linear layers."""

    hidden: Annotated[int, Field(ge=2)] = 64
    layers: Annotated[int, Field(ge=1)] = 2
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2

    def build(self, features: int) -> "nn.Module":
        """Make the network."""
        from nextday.models.lstm import LstmNetwork

        return LstmNetwork(features, hidden=self.hidden, layers=self.layers, dropout=self.dropout)


@dataclass(frozen=True, slots=True)
class Transformer(Network):
    """An encoder with attention over the window, its states averaged over time, and a head of two linear layers."""

    width: Annotated[int, Field(ge=2)] = 64
    layers: Annotated[int, Field(ge=1)] = 2
    heads: Annotated[int, Field(ge=1)] = 4
    feedforward: Annotated[int, Field(ge=1)] = 256
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1

    def __post_init__(self) -> None:
        if self.width % (2 * self.heads):
            raise StudyError(f"model transformer: width {self.width} is not a multiple of 2 x heads, {2 * self.heads}")

    def build(self, features: int) -> "nn.Module":
        """Make the network."""
        from nextday.models.transformer import TransformerNetwork

        return TransformerNetwork(
            features, width=self.width, layers=self.layers, heads=self.heads, feedforward=self.feedforward,
            dropout=self.dropout,
        )  # fmt: skip


def _resolve(device: Device) -> str:
    import torch

    found = torch.cuda.is_available()
    if device == "cuda" and not found:
        raise TrainingError("device cuda: PyTorch finds no CUDA device here; use --device cpu")
    return "cuda" if found and device != "cpu" else "cpu"
