"""The Transformer of Stage 3: an encoder over the window, its states averaged over time."""

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any  # a context of autograd has no type

import numpy as np
import torch
from torch import nn
from torch.autograd.function import once_differentiable

from nextday.models.kernels import encoder, tiles
from nextday.models.networks.dropout import Dropout
from nextday.models.networks.heads import Head, Headed, PointHead
from nextday.models.networks.training import as_tensor
from nextday.samples import Windows


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
        *_, last = self._after_layers(x)
        return self.head(last.mean(dim=1))

    def states(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the mean over time after each layer, [sample, width]; the last one is the input of the head."""
        return [after.mean(dim=1) for after in self._after_layers(x)]

    def _after_layers(self, x: torch.Tensor) -> Iterator[torch.Tensor]:
        """Yield the states of all days after each layer, [sample, time, width]."""
        x = self.embed(x)
        x = self.dropout(x + positions(x.shape[1], x.shape[2], x.device).to(x.dtype))
        for layer in self.layers:
            x = layer(x)
            yield x

    def attention(self, x: torch.Tensor) -> torch.Tensor:
        """Return the attention weights between days, [layer, sample, head, to, from]; rows sum to one."""
        x = self.embed(x)
        x, found = x + positions(x.shape[1], x.shape[2], x.device).to(x.dtype), []
        for layer in self.layers:
            found.append(layer.attend.weights(x))  # type: ignore[union-attr, operator]
            x = layer(x)
        return torch.stack(found)

    def show(self, windows: Windows, device: str) -> dict[str, np.ndarray]:
        """Average the attention over samples and the days that attend, [layer, head, lag]; lag 0 is the origin."""
        parts = as_tensor(windows).to(device).split(512)
        total = torch.stack([self.attention(part).sum(dim=(1, 3)) for part in parts]).sum(dim=0)
        mean = total / (len(windows) * windows.lookback)
        return {"attention": mean.flip(-1).double().cpu().numpy()}


class EncoderLayer(nn.Module):
    """Attention over the window and a feed-forward network per day, each with dropout, residual and normalisation.

    On a CPU a compiled kernel computes it in float32, except in a stack of networks.
    """

    stacked = False

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.attend = Attention(width, heads, dropout)
        self.expand, self.shrink = nn.Linear(width, feedforward), nn.Linear(feedforward, width)
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.after_attention, self.within, self.after = (Dropout(dropout) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map states [sample, time, width] to states of the same shape."""
        on_cpu = x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
        if on_cpu and not self.stacked:
            threshold = self.after.threshold if self.training else 0
            parts = self.attend.project, self.attend.combine, self.expand, self.shrink, self.first, self.second
            parameters = (parameter for part in parts for parameter in (part.weight, part.bias))
            return _Kernel.apply(x, self._bits(x), threshold, self.attend.heads, *parameters)  # type: ignore[no-untyped-call]
        return self.plain(x)

    def plain(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the same with PyTorch's own operations."""
        x = self.first(x + self.after_attention(self.attend(x)))
        return self.second(x + self.after(self.shrink(self.within(torch.relu(self.expand(x))))))

    def _bits(self, x: torch.Tensor) -> tuple[np.ndarray, ...]:
        """Draw the masks of a step, each from the stream of its dropout; none where there is no dropout."""
        samples, times, _ = x.shape
        counts = {
            self.attend.dropout: samples * self.attend.heads * times**2, self.after_attention: x.numel(),
            self.within: samples * times * self.expand.out_features, self.after: x.numel(),
        }  # fmt: skip
        if not self.training or not self.after.threshold:
            return (np.empty(0, np.uint16),) * 4
        return tuple(module.bits(count) for module, count in counts.items())


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
        weights = self._weights(query, key)
        mixed = self.dropout(weights.mT).mT @ value  # the kernel holds them transposed, and masks are in its order
        return self.combine(mixed.transpose(1, 2).flatten(2))

    def weights(self, x: torch.Tensor) -> torch.Tensor:
        """Return only the weights, [sample, head, to, from]."""
        query, key, _ = self._split(x)
        return self._weights(query, key)

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        samples, times, _ = x.shape
        return self.project(x).view(samples, times, 3, self.heads, -1).permute(2, 0, 3, 1, 4)

    @staticmethod
    def _weights(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        return torch.softmax(query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1]), dim=-1)


class _Kernel(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, bits: tuple[np.ndarray, ...], threshold: int, heads: int, *parameters: torch.Tensor  # noqa: ANN401
    ) -> torch.Tensor:  # fmt: skip
        keep, times = any(ctx.needs_input_grad), x.shape[1]
        flat = tuple(parameter.detach().numpy().reshape(-1) for parameter in parameters)
        values = tiles.empty(x.numel() + tiles.PANEL)
        values[: x.numel()] = x.detach().reshape(-1).numpy()
        out, kept = encoder.forward(values[: x.numel()], flat, bits, threshold, times, heads, keep)
        if keep:
            ctx.shapes = [parameter.shape for parameter in parameters]
            ctx.arguments = values, flat, kept, bits, threshold, times, heads
        return torch.from_numpy(out).view(x.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # noqa: ANN401
        d_x, gradients = encoder.backward(d_out.reshape(-1).numpy(), *ctx.arguments)
        shaped = (torch.from_numpy(gradient).view(shape) for gradient, shape in zip(gradients, ctx.shapes, strict=True))
        return torch.from_numpy(d_x).view(d_out.shape), None, None, None, *shaped


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # what is kept serves training too
def positions(times: int, width: int, device: torch.device | None = None) -> torch.Tensor:
    """Return the sinusoidal encoding of each day of a window, [time, width]; ``width`` is even."""
    rates = torch.exp(torch.arange(0, width, 2, device=device) * (-math.log(10000) / width))
    angles = torch.arange(times, device=device)[:, None] * rates
    return torch.stack([torch.sin(angles), torch.cos(angles)], dim=-1).flatten(1)
