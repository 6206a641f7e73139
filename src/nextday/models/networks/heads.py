"""Heads: from a network's last state to a point forecast, quantiles without crossing, or parameters of a density.

A head defines its outputs: the training loss, and the forecast. Outputs are scaled by the training targets, so that a
network starts from their normal quantiles.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import torch
from scipy.special import stdtrit
from torch import nn
from torch.nn.functional import mse_loss, softplus

from nextday.samples import Windows

ONE = math.log(math.e - 1)  # where softplus is 1
LEAST = 1e-3  # of the scale: a density must not collapse on one return


class Head(nn.Sequential):
    """Map a state of width ``hidden`` to ``outputs`` numbers: Linear, ReLU, Linear."""

    scale: torch.Tensor

    def __init__(self, hidden: int, outputs: int, levels: Sequence[float] = ()) -> None:
        super().__init__(nn.Linear(hidden, hidden // 2), nn.ReLU(), nn.Linear(hidden // 2, outputs))
        self.levels = tuple(levels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map states [sample, hidden] to numbers [sample, output]."""
        for layer in self:
            x = layer(x)
        return x

    def start(self, y: torch.Tensor) -> None:
        """Set the scale from the training targets."""
        self.scale.copy_(y.std())

    def loss(self, output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of outputs [sample, ...] at targets [sample]."""
        raise NotImplementedError

    def forecast(self, output: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the point forecast [sample] and the quantiles [sample, level], float64."""
        raise NotImplementedError


class Headed(nn.Module):
    """A network that ends in a head."""

    head: Head

    def states(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Map windows [sample, lookback, feature] to a state of each layer, [sample, width]; the head gets the last."""
        raise NotImplementedError

    def show(self, windows: Windows, device: str) -> dict[str, np.ndarray]:  # noqa: ARG002
        """Return further results for some windows, by name; called before and after training, without dropout."""
        return {}


class PointHead(Head):
    """Point forecast by squared error: the conditional mean. Targets are not scaled."""

    def __init__(self, hidden: int) -> None:
        super().__init__(hidden, 1)

    def start(self, y: torch.Tensor) -> None:
        """Do nothing."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map states [sample, hidden] to forecasts [sample]."""
        return super().forward(x).squeeze(-1)

    def loss(self, output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the mean squared error."""
        return mse_loss(output, y)

    def forecast(self, output: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the output itself, and no quantiles."""
        return output.double(), output.new_empty((len(output), 0), dtype=torch.float64)


class QuantileHead(Head):
    """Quantiles by pinball loss: a median and positive steps outwards, so that they cannot cross.

    The median is the point forecast and is learned even if it is not among the levels. Koenker and Bassett (1978),
    "Regression quantiles", Econometrica 46(1).
    """

    steps: torch.Tensor
    learned: torch.Tensor

    def __init__(self, hidden: int, levels: Sequence[float]) -> None:
        learned = sorted({*levels, 0.5})
        super().__init__(hidden, len(learned), levels)
        normal = torch.tensor([NormalDist().inv_cdf(level) for level in learned])
        self.middle, self.kept = learned.index(0.5), [learned.index(level) for level in levels]
        self.register_buffer("scale", torch.ones(()), persistent=True)
        self.register_buffer("steps", normal.diff(), persistent=False)
        self.register_buffer("learned", torch.tensor(learned), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map states [sample, hidden] to quantiles [sample, level and median], in units of the target."""
        median, raw = super().forward(x).tensor_split([1], dim=1)
        steps = softplus(raw + ONE) * self.steps
        below, above = steps[:, : self.middle], steps[:, self.middle :]
        lower = median - below.flip(1).cumsum(1).flip(1)
        return self.scale * torch.cat([lower, median, median + above.cumsum(1)], dim=1)

    def loss(self, output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the pinball loss, averaged over levels."""
        return pinball(output, y, self.learned)

    def forecast(self, output: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the median and the quantiles."""
        ordered = output.double().cummax(dim=1).values  # rounding on a GPU
        return ordered[:, self.middle], ordered[:, self.kept]


class GaussianHead(Head):
    """Mean and standard deviation of a normal distribution, by negative log-likelihood or by pinball loss.

    Nix and Weigend (1994), "Estimating the mean and variance of the target probability distribution", ICNN.
    """

    normal: torch.Tensor
    asked: torch.Tensor

    def __init__(self, hidden: int, levels: Sequence[float], *, loss: str = "nll", outputs: int = 2) -> None:
        super().__init__(hidden, outputs, levels)
        self.by_pinball = loss == "pinball"
        self.register_buffer("scale", torch.ones(()), persistent=True)
        self.register_buffer("normal", torch.tensor([NormalDist().inv_cdf(level) for level in levels]), False)
        self.register_buffer("asked", torch.tensor(levels), False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map states [sample, hidden] to location and scale [sample, 2], in units of the target."""
        location, spread, *more = super().forward(x).unbind(1)
        return torch.stack([self.scale * location, self.scale * (LEAST + softplus(spread + ONE)), *more], dim=1)

    def loss(self, output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the negative log-likelihood, or the pinball loss averaged over levels."""
        if self.by_pinball:
            return pinball(output[:, :1] + output[:, 1:] * self.normal, y, self.asked)
        location, spread = output.unbind(1)
        return -torch.distributions.Normal(location, spread, validate_args=False).log_prob(y).mean()

    def forecast(self, output: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mean and the quantiles."""
        location, spread = output.double().split(1, dim=1)
        return location[:, 0], location + spread * self.normal


class StudentHead(GaussianHead):
    """Location, scale and degrees of freedom above 2 of a Student-t distribution, by negative log-likelihood."""

    def __init__(self, hidden: int, levels: Sequence[float]) -> None:
        super().__init__(hidden, levels, outputs=3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map states [sample, hidden] to location, scale, degrees of freedom [sample, 3], which start at 8."""
        location, spread, raw = super().forward(x).unbind(1)
        return torch.stack([location, spread, 2 + LEAST + 6 * softplus(raw + ONE)], dim=1)

    def loss(self, output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the negative log-likelihood."""
        location, spread, freedom = output.unbind(1)  # torch.distributions copies from the host, no CUDA graph can
        half = (freedom + 1) / 2
        tail = half * torch.log1p(((y - location) / spread) ** 2 / freedom)
        norm = torch.lgamma(half) - torch.lgamma(freedom / 2) - 0.5 * torch.log(math.pi * freedom) - torch.log(spread)
        return (tail - norm).mean()

    def forecast(self, output: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the location and the quantiles."""
        location, spread, freedom = output.double().split(1, dim=1)
        standard = stdtrit(freedom.detach().cpu().numpy(), self.levels)
        standard = np.maximum.accumulate(standard, axis=1)  # where levels nearly agree, rounding turns their order
        return location[:, 0], location + spread * torch.from_numpy(standard).to(output.device)


def pinball(quantiles: torch.Tensor, y: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    """Average the pinball loss of quantiles [sample, level] at targets [sample] over samples and levels."""
    over = quantiles - y[:, None]
    return torch.maximum((1 - levels) * over, -levels * over).mean()
