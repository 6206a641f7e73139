"""The Transformer of Stage 3: an encoder over the window, its states averaged over time."""

import math
from collections.abc import Callable

import torch
from torch import nn

from nextday.models.dropout import Dropout
from nextday.models.heads import Head, Headed, PointHead


class TransformerNetwork(Headed):
    """Linear to ``width``, sinusoidal positions, encoder layers, the mean over time, and a head.

    Vaswani and others (2017), "Attention is all you need", NeurIPS 30: the encoder, normalised after each block.
    """

    def __init__(
        self, features: int, *, width: int, layers: int, heads: int, feedforward: int, dropout: float,
        head: Callable[[int], Head] = PointHead,
    ) -> None:  # fmt: skip
        super().__init__()
        self.embed = nn.Linear(features, width)
        self.dropout = Dropout(dropout)
        self.layers = nn.ModuleList(EncoderLayer(width, heads, feedforward, dropout) for _ in range(layers))
        self.head = head(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map windows [sample, lookback, feature] to what the head makes of them."""
        x = self.embed(x)
        x = self.dropout(x + positions(x.shape[1], x.shape[2]).to(x))
        for layer in self.layers:
            x = layer(x)
        return self.head(x.mean(dim=1))

    def attention(self, x: torch.Tensor) -> torch.Tensor:
        """Give how much each day attends to each other, [layer, sample, head, to, from]; rows sum to one."""
        x = self.embed(x)
        x, found = x + positions(x.shape[1], x.shape[2]).to(x), []
        for layer in self.layers:
            found.append(layer.attend.weights(x))  # type: ignore[union-attr, operator]
            x = layer(x)
        return torch.stack(found)


class EncoderLayer(nn.Module):
    """Attention over the window and a network for each day, each with dropout, a shortcut and a normalisation."""

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.attend = Attention(width, heads, dropout)
        self.expand, self.shrink = nn.Linear(width, feedforward), nn.Linear(feedforward, width)
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.after_attention, self.within, self.after = (Dropout(dropout) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map states [sample, time, width] to states of the same shape."""
        x = self.first(x + self.after_attention(self.attend(x)))
        return self.second(x + self.after(self.shrink(self.within(torch.relu(self.expand(x))))))


class Attention(nn.Module):
    """Scaled dot-product attention of every day to every day of the window."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(width, 3 * width)
        self.combine = nn.Linear(width, width)
        self.dropout = Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map states [sample, time, width] to states of the same shape."""
        query, key, value = self._split(x)
        mixed = self.dropout(self._weights(query, key)) @ value
        return self.combine(mixed.transpose(1, 2).flatten(2))

    def weights(self, x: torch.Tensor) -> torch.Tensor:
        """Give the weights alone, [sample, head, to, from]."""
        query, key, _ = self._split(x)
        return self._weights(query, key)

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        samples, times, _ = x.shape
        return self.project(x).view(samples, times, 3, self.heads, -1).permute(2, 0, 3, 1, 4)

    @staticmethod
    def _weights(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        return torch.softmax(query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1]), dim=-1)


def positions(times: int, width: int) -> torch.Tensor:
    """Give the sinusoidal code of each day of a window, [time, width]; ``width`` is even."""
    angles = torch.arange(times)[:, None] * torch.exp(torch.arange(0, width, 2) * (-math.log(10000) / width))
    return torch.stack([torch.sin(angles), torch.cos(angles)], dim=-1).flatten(1)
