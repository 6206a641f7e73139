"""A variational autoencoder as a forecaster: regression on its latent means, and the latent space."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from pydantic import Field

from nextday.models.base import Fitted, Key, resolve_device
from nextday.models.networks.base import Network
from nextday.samples import Samples, Windows
from nextday.threads import limit_threads

if TYPE_CHECKING:
    from nextday.models.networks.vae import VaeNetwork


@dataclass(frozen=True, slots=True)
class Vae(Network):
    """Variational autoencoder of the windows of all tickers; a regression on its latent means forecasts the return.

    It is fitted on the training set with early stopping; each ticker has its own regression, fitted on the training and
    validation sets like other baselines.
    """

    stackable: ClassVar[bool] = False  # its noise is drawn by the process
    latent: Annotated[int, Field(ge=1)] = 4
    hidden: Annotated[int, Field(ge=2)] = 32
    layers: Annotated[int, Field(ge=1)] = 2
    beta: Annotated[float, Field(ge=0)] = 1.0
    pooled: bool = True

    def build(self, features: int) -> "VaeNetwork":
        """Make the network."""
        from nextday.models.networks.vae import VaeNetwork

        return VaeNetwork(
            features, latent=self.latent, hidden=self.hidden, layers=self.layers, beta=self.beta,
            precision=self.training.precision,
        )  # fmt: skip

    def fit_predict(self, train: Samples, valid: Samples, test: Windows, *, key: Key) -> Fitted:
        """Train by the evidence lower bound, encode every sample, regress the targets on the latent means."""
        from nextday.models.networks import training
        from nextday.models.networks.vae import place

        device, network = resolve_device(self.device), self.build(len(test.names))
        training.initialise(network, key)
        network.noise = np.random.Generator(np.random.SFC64(key.stream("noise")))
        network.to(device)
        trained = training.train(network, train, valid, settings=self.training, key=key, device=device)
        places = [place(network, part, device=device) for part in (train.windows, valid.windows, test)]
        return Fitted(
            _regress(train, valid, test, *places),
            trained.train_loss,
            trained.valid_loss,
            {name: value.cpu().numpy() for name, value in network.state_dict().items()},
            trained.best_epoch,
            extras={"latent": np.concatenate(places), "parts": np.array(network.parts)},
        )


def _regress(train: Samples, valid: Samples, test: Windows, *places: np.ndarray) -> np.ndarray:
    """Regress each ticker's targets on its places in train and valid; forecast test, shape [sample]."""
    columns = [train.windows.split(values) for values in (places[0], train.y)]
    columns += [valid.windows.split(values) for values in (places[1], valid.y)]
    forecasts = []
    for train_z, train_y, valid_z, valid_y, z in zip(*columns, test.split(places[2]), strict=True):
        known, y = np.concatenate([train_z, valid_z]), np.concatenate([train_y, valid_y])
        with limit_threads():  # the number of threads moves the last bits
            weights = np.linalg.lstsq(np.column_stack([np.ones(len(known)), known]), y, rcond=None)[0]
        forecasts.append(weights[0] + z @ weights[1:])
    return np.concatenate(forecasts)
