"""The variational autoencoder of Stage 6: windows to a few latent variables and back."""

import numpy as np
import torch
from torch import nn

from nextday.models.networks.heads import Headed
from nextday.models.networks.lstm import LstmLayer
from nextday.models.networks.training import as_tensor
from nextday.samples import Windows


class VaeNetwork(Headed):
    """LSTM encoder, normal latent variables, LSTM decoder; trained to reconstruct its windows.

    It is its own head: the loss depends on the window, not on the target. Kingma and Welling (2014), "Auto-encoding
    variational Bayes", ICLR; Higgins and others (2017), "beta-VAE", ICLR, for ``beta``.
    """

    def __init__(
        self, features: int, *, latent: int, hidden: int, layers: int, beta: float, precision: str = "float32"
    ) -> None:
        super().__init__()
        widths = [features] + [hidden] * (layers - 1)
        self.encoder = nn.ModuleList(LstmLayer(width, hidden, precision) for width in widths)
        self.place = nn.Linear(hidden, 2 * latent)
        self.spread = nn.Linear(latent, hidden)
        self.decoder = LstmLayer(hidden, hidden, precision)
        self.rebuild = nn.Linear(hidden, features)
        self.beta = beta
        self.noise: np.random.Generator | None = None
        self.parts: list[tuple[float, float]] = []  # reconstruction and divergence of each valid pass

    @property
    def head(self) -> "VaeNetwork":  # type: ignore[override]
        """The network itself."""
        return self

    def start(self, y: torch.Tensor) -> None:
        """Do nothing: windows are already scaled."""

    def latent(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map windows [sample, lookback, feature] to means and log variances [sample, dimension]."""
        h = x.transpose(0, 1)
        for layer in self.encoder:
            h = layer(h)
        mean, log_variance = self.place(h[-1]).chunk(2, dim=1)
        return mean, log_variance.clamp(-10, 10)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map windows to the reconstruction error and the divergence from the prior of each, in nats, [sample]."""
        mean, log_variance = self.latent(x)
        z = mean + self._draw(mean) * (0.5 * log_variance).exp() if self.training else mean
        state = torch.relu(self.spread(z))
        rebuilt = self.rebuild(self.decoder(state.expand(x.shape[1], -1, -1))).transpose(0, 1)
        divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1)
        return 0.5 * ((x - rebuilt) ** 2).sum(dim=(1, 2)), divergence

    def loss(self, output: tuple[torch.Tensor, torch.Tensor], y: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        """Return the negative evidence lower bound without its constant; a validation pass stores its two parts."""
        reconstruction, divergence = (part.mean() for part in output)
        if not self.training:
            self.parts.append((float(reconstruction), float(divergence)))
        return reconstruction + self.beta * divergence

    def _draw(self, like: torch.Tensor) -> torch.Tensor:
        if self.noise is None:
            raise RuntimeError("a variational network needs its noise before training")
        return torch.from_numpy(self.noise.standard_normal(like.shape, np.float32)).to(like.device)


def place(network: VaeNetwork, windows: Windows, *, device: str) -> np.ndarray:
    """Return the latent means of some windows, shape [sample, dimension]."""
    network.eval()
    with torch.inference_mode():
        parts = as_tensor(windows).to(device).split(4096)
        return torch.cat([network.latent(part)[0] for part in parts]).double().cpu().numpy()
