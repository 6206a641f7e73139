"""The feed-forward network: a pyramid of layers on the whole window, which has no order of days to it."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import nn

from nextday.models.networks.dropout import Dropout
from nextday.models.networks.heads import Head, Headed, PointHead


class MlpNetwork(Headed):
    """Linear layers with ReLU and dropout, each half as wide as the one before, and a head.

    The pyramid is that of Gu, Kelly and Xiu (2020), "Empirical asset pricing via machine learning", Review of Financial
    Studies 33(5), who regularise by batch normalisation; dropout takes its place, so that a forecast does not depend on
    the samples beside it.
    """

    def __init__(
        self, inputs: int, *, hidden: int, layers: int, dropout: float, head: Callable[[int], Head] = PointHead
    ) -> None:  # fmt: skip
        super().__init__()
        widths = [inputs, *(hidden // 2**depth for depth in range(layers))]
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))
        self.dropouts = nn.ModuleList(Dropout(dropout) for _ in self.layers)
        self.head = head(widths[-1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map windows [sample, lookback, feature] to what the head makes of them."""
        return self.head(self.states(x)[-1])

    def states(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the output of each layer, [sample, width]; the head gets the last of them."""
        x, found = x.transpose(1, 2).flatten(1), []  # by feature, so that further features only append columns
        for layer, dropout in zip(self.layers, self.dropouts, strict=True):
            x = dropout(torch.relu(layer(x)))
            found.append(x)
        return found
