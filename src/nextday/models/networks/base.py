"""Networks as forecasters: settings here, PyTorch only in the process that trains."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from nextday.errors import StudyError
from nextday.models.base import NO_BF16, Device, Fitted, Forecaster, Key, resolve_device
from nextday.samples import Samples, Windows
from nextday.study import Training

if TYPE_CHECKING:
    from torch import nn

    from nextday.models.networks.heads import Head, Headed
    from nextday.models.networks.training import Trained

DEFAULT_TRAINING = Training()
LOSSES = {"point": ("squared",), "quantiles": ("pinball",), "gaussian": ("nll", "pinball"), "student": ("nll",)}


@dataclass(frozen=True, slots=True)
class Network(Forecaster):
    """A neural network: its training, levels and device are the study's, its architecture the subclass's.

    ``head`` says what it forecasts, ``loss`` what that is trained by; the first that fits the head unless given.
    ``pooled``: one network learns from all tickers, each in units of its own training deviation.
    ``lookback`` is that of the study.
    With ``training.precision`` bf16 what enters the products of LSTM layers is rounded, in training and ever after; all
    else is float32.
    """

    seeded: ClassVar[bool] = True
    scaled: ClassVar[bool] = True
    stackable: ClassVar[bool] = True  # ``fit_predict`` is ``prepare``, training and ``finish``, nothing else
    training: Training = DEFAULT_TRAINING
    device: Device = "cpu"
    levels: tuple[float, ...] = ()
    lookback: int = 20
    head: Literal["point", "quantiles", "gaussian", "student"] = "point"
    loss: Literal["", "squared", "pinball", "nll"] = ""
    pooled: bool = False

    def __post_init__(self) -> None:
        if self.loss and self.loss not in LOSSES[self.head]:
            fit = " or ".join(LOSSES[self.head])
            raise StudyError(f"head {self.head} is not trained by the loss {self.loss}; it is by {fit}")
        if self.head != "point" and not self.levels:
            raise StudyError(f"head {self.head} needs the study's levels, such as levels: [0.05, 0.5, 0.95]")
        if self.training.precision != "float32" and self.device == "cuda":
            raise StudyError(NO_BF16)

    def make_head(self) -> "Callable[[int], Head]":
        """Give what makes the head for a state of some width."""
        from nextday.models.networks import heads

        if self.head == "point":
            return heads.PointHead
        if self.head == "gaussian":
            return partial(heads.GaussianHead, levels=self.levels, loss=self.loss)
        return partial({"quantiles": heads.QuantileHead, "student": heads.StudentHead}[self.head], levels=self.levels)

    @abstractmethod
    def build(self, features: int) -> "nn.Module":
        """Make the module for inputs of ``features`` features.

        Either a whole network that ends in a head (``Headed``), as those of the house do, or any module that maps
        windows [sample, lookback, feature] to states [sample, width]; nextday puts the head behind it.
        """

    def assemble(self, features: int) -> "Headed":
        """Make the module with its head."""
        from nextday.models.networks.guest import Guest
        from nextday.models.networks.heads import Headed

        built = self.build(features)
        if isinstance(built, Headed):
            return built
        return Guest(built, self.make_head(), lookback=self.lookback, features=features)

    def stacks(self, features: int) -> bool:
        """Tell whether many such networks can train as one stack."""
        if not self.stackable:
            return False
        from nextday.models.networks.guest import can_stack

        return can_stack(self.assemble(features))

    def scales(self, train: Samples) -> np.ndarray:
        """Give what the targets of each ticker are divided by, shape [ticker]: its deviation in a pool, alone one."""
        return np.array([y.std() if self.pooled else 1.0 for y in train.windows.split(train.y)])

    def fit_predict(self, train: Samples, valid: Samples, test: Windows, *, key: Key) -> Fitted:
        """Initialise, train with early stopping, forecast with the best weights."""
        from nextday.models.networks import training

        device = resolve_device(self.device)
        start = self.prepare(train, valid, test, key=key, device=device)
        network = start.network.to(device)
        trained = training.train(network, start.train, start.valid, settings=self.training, key=key, device=device)
        return self.finish(start, trained, test, device=device)

    def prepare(self, train: Samples, valid: Samples, test: Windows, *, key: Key, device: str) -> "Start":
        """Draw the initial weights, and scale the targets of a pool."""
        from nextday.models.networks import training
        from nextday.models.networks.guest import seeded

        scales = self.scales(train)
        train, valid = (Samples(one.windows, one.y / one.windows.repeat(scales)) for one in (train, valid))
        with seeded(key, "build"):
            network = self.assemble(len(test.names))
        training.initialise(network, key)
        return Start(network, train, valid, scales, training.show(network.to(device), test, device=device))

    def finish(self, start: "Start", trained: "Trained", test: Windows, *, device: str) -> Fitted:
        """Forecast with a trained network."""
        from nextday.models.networks import training

        network = start.network.to(device)
        predicted, quantiles = training.predict(network, test, device=device)
        unit, valid_unit = test.repeat(start.scales), start.valid.windows.repeat(start.scales)
        valid_quantiles = training.predict(network, start.valid.windows, device=device)[1]
        return Fitted(
            predicted * unit,
            trained.train_loss,
            trained.valid_loss,
            {name: value.cpu().numpy() for name, value in network.state_dict().items()},
            trained.best_epoch,
            quantiles=quantiles * unit[:, None],
            valid_quantiles=valid_quantiles * valid_unit[:, None],
            extras={
                name: np.stack([value, start.shown[name]])
                for name, value in training.show(network, test, device=device).items()
            },
        )


@dataclass(frozen=True, slots=True)
class Start:
    """A network before it is trained, what it is trained on, and what it has to show so far."""

    network: "Headed"
    train: Samples
    valid: Samples
    scales: np.ndarray  # of the targets, [ticker]
    shown: dict[str, np.ndarray]
