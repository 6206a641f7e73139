"""The LSTM of Stage 2."""

import torch
from torch import nn

from nextday.models.dropout import Dropout
from nextday.models.heads import point_head


class LstmNetwork(nn.Module):
    """LSTM over the window; the last hidden state feeds the head.

    Hochreiter and Schmidhuber (1997), "Long Short-Term Memory", Neural Computation 9(8). Dropout between the layers.
    """

    def __init__(self, features: int, *, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        widths = [features] + [hidden] * (layers - 1)
        self.layers = nn.ModuleList(nn.LSTM(width, hidden, batch_first=True) for width in widths)
        self.dropout = Dropout(dropout)
        self.head = point_head(hidden)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map windows [sample, lookback, feature] to forecasts [sample]."""
        for depth, layer in enumerate(self.layers):
            x, _ = layer(self.dropout(x) if depth else x)
        return self.head(x[:, -1]).squeeze(-1)
