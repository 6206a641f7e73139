"""Recurrent layers over the window: what the LSTM and the GRU share."""

from collections.abc import Callable, Iterable

import torch
from torch import nn

from nextday.models.networks.dropout import Dropout
from nextday.models.networks.heads import Head, Headed

NAMES = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")  # of a layer's parameters, as PyTorch has them


class RecurrentNetwork(Headed):
    """Recurrent layers over the window, with dropout between them; the last hidden state feeds the head.

    Each layer maps inputs [time, sample, feature] to hidden states [time, sample, hidden].
    """

    def __init__(
        self, layers: Iterable[nn.Module], *, hidden: int, dropout: float, head: Callable[[int], Head]
    ) -> None:  # fmt: skip
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.dropout = Dropout(dropout)
        self.head = head(hidden)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map windows [sample, lookback, feature] to what the head makes of them."""
        return self.head(self.states(x)[-1])

    def states(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the last hidden state of each layer, [sample, hidden]; the head gets the last of them."""
        x, found = x.transpose(0, 1), []
        for depth, layer in enumerate(self.layers):
            x = layer(self.dropout(x) if depth else x)
            found.append(x[-1])
        return found
