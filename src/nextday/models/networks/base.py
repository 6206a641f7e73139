"""Networks as forecasters: settings here; PyTorch is imported only in the training process."""

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
    """A neural network; the study sets training, levels and device, the subclass the architecture.

    ``head`` sets the kind of forecast, ``loss`` its training loss; default: the first loss of the head. ``pooled``: one
    network is trained on all tickers, each in units of its own training standard deviation. ``lookback`` is set by the
    study. With ``training.precision`` bf16 the operands of LSTM matrix products are rounded to bfloat16, in training
    and forecasting; everything else is float32.
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
            raise StudyError(f"head {self.head} does not support the loss {self.loss}; supported: {fit}")
        if self.head != "point" and not self.levels:
            raise StudyError(f"head {self.head} needs the study's levels, such as levels: [0.05, 0.5, 0.95]")
        if self.training.precision != "float32" and self.device == "cuda":
            raise StudyError(NO_BF16)

    def make_head(self) -> "Callable[[int], Head]":
        """Return the factory of the head for a state of a given width."""
        from nextday.models.networks import heads

        if self.head == "point":
            return heads.PointHead
        if self.head == "gaussian":
            return partial(heads.GaussianHead, levels=self.levels, loss=self.loss)
        return partial({"quantiles": heads.QuantileHead, "student": heads.StudentHead}[self.head], levels=self.levels)

    @abstractmethod
    def build(self, features: int) -> "nn.Module":
        """Build the module for inputs of ``features`` features.

        Either a network that ends in a head (``Headed``), like the built-in ones, or any module that maps windows
        [sample, lookback, feature] to states [sample, width]; nextday appends the head.
        """

    def assemble(self, features: int) -> "Headed":
        """Build the module with its head."""
        from nextday.models.networks.guest import Guest
        from nextday.models.networks.heads import Headed

        built = self.build(features)
        if isinstance(built, Headed):
            return built
        return Guest(built, self.make_head(), lookback=self.lookback, features=features)

    def stack_of(self, features: int) -> str:
        """Return what networks that can train as one stack have in common; empty for those that cannot.

        A stack pads narrower inputs with zeros behind. Networks of nextday take no notice; a guest may lay features out
        in another order, so that only equal widths go together.
        """
        if not self.stackable:
            return ""
        from nextday.models.networks.guest import Guest, can_stack

        network = self.assemble(features)
        if not can_stack(network):
            return ""
        return f"{self!r}, {features} features" if isinstance(network, Guest) else repr(self)

    def scales(self, train: Samples) -> np.ndarray:
        """Return the divisor of each ticker's targets, shape [ticker]: its standard deviation if pooled, else 1."""
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
    """A network before training, its training data, and its results before training."""

    network: "Headed"
    train: Samples
    valid: Samples
    scales: np.ndarray  # of the targets, [ticker]
    shown: dict[str, np.ndarray]
