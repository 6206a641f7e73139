"""The LSTM of Stage 2."""

import torch
from torch import nn

from nextday.models.heads import point_head


class LstmNetwork(nn.Module):
    """LSTM over the window; the last hidden state feeds the head.

    Hochreiter and Schmidhuber (1997), "Long Short-Term Memory", Neural Computation 9(8). Dropout between the layers.
    """

    def __init__(self, features: int, *, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, hidden, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
        self.head = point_head(hidden)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map windows [sample, lookback, feature] to forecasts [sample]."""
        hidden, _ = self.lstm(x)
        return self.head(hidden[:, -1]).squeeze(-1)
