"""Dropout with masks from the unit's own random stream instead of the process-wide generator."""

from typing import Any  # a context of autograd has no type

import numpy as np
import torch
from torch import nn
from torch.autograd.function import once_differentiable

from nextday.models.base import Key
from nextday.models.kernels.pointwise import ROOM, draw, drop
from nextday.models.kernels.tiles import empty


class Dropout(nn.Module):
    """Zero a share ``p`` of the values while training, and scale the others by ``1 / (1 - p)``.

    Masks are drawn as 16 random bits per value, which takes a quarter of the time of ``nn.Dropout`` on a CPU; ``p`` is
    thereby rounded to a multiple of 1/65536. Srivastava and others (2014), "Dropout", JMLR 15.

    In a stack of networks (``stacked``) the bits are a hash of ``key``, which differs at every step: a unit's masks are
    computed on its device and do not depend on the rest of the stack.
    """

    stacked = False
    key: torch.Tensor

    def __init__(self, p: float) -> None:
        super().__init__()
        self.threshold = round(p * 65536)
        self.stream: np.ndarray | None = None  # state of the generator
        self.register_buffer("key", torch.zeros((), dtype=torch.int32), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Drop values of a tensor of any shape."""
        if not self.training or not self.threshold:
            return x
        if x.device.type == "cpu" and x.dtype == torch.float32 and not self.stacked:
            return _Kernel.apply(x, self.bits(x.numel()), self.threshold)  # type: ignore[no-untyped-call]
        if self.stacked:
            keep = hashed_bits(self.key, x.numel()) >= self.threshold
        else:
            keep = torch.from_numpy(self.bits(x.numel()) >= self.threshold)
        keep = keep.view(x.shape).to(x.device, x.dtype)
        return x * keep.mul_(65536 / (65536 - self.threshold))

    def bits(self, count: int) -> np.ndarray:
        """Draw the bits of a mask, uint16, followed by ``ROOM``; those of what is kept are not below ``threshold``."""
        if self.stream is None:
            raise RuntimeError("dropout has no random stream: call seed_dropout first")
        words = -(-count // 4)
        raw = np.empty(words + ROOM // 4, np.uint64)
        draw(self.stream, raw[:words])
        return raw.view(np.uint16)[:count]


class _Kernel(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, *mask: Any) -> torch.Tensor:  # noqa: ANN401
        ctx.mask = mask
        return _dropped(x, *mask)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # noqa: ANN401
        return _dropped(d, *ctx.mask), None, None


def _dropped(values: torch.Tensor, bits: np.ndarray, threshold: int) -> torch.Tensor:
    """Apply a mask to the values."""
    out = empty(values.numel())
    drop(values.detach().contiguous().view(-1).numpy(), bits, threshold, out)
    return torch.from_numpy(out).view(values.shape)


def seed_dropout(network: nn.Module, key: Key) -> None:
    """Assign an own random stream to every dropout of a network, named after the module."""
    for name, module in network.named_modules():
        if isinstance(module, Dropout):
            module.stream = np.random.SFC64(key.stream(f"dropout {name}")).state["state"]["state"].copy()


def hashed_bits(key: torch.Tensor, count: int) -> torch.Tensor:
    """Hash a key, int32, and the positions 0, 1, ... to 16 random bits each: int32 below 65536, shape [count]."""
    words = scramble(scramble(torch.arange(-(-count // 2), dtype=torch.int32, device=key.device)) ^ key)
    return torch.cat([words & 0xFFFF, words >> 16 & 0xFFFF])[:count]


def scramble(x: torch.Tensor) -> torch.Tensor:
    """Hash 32 bits, int32, to 32 bits, one to one.

    The constants are those of C. Wellons' "lowbias32" (2018), found by a search for hashes without bias.
    """
    x = (x ^ (x >> 16 & 0xFFFF)) * 0x7FEB352D
    x = (x ^ (x >> 15 & 0x1FFFF)) * (0x846CA68B - (1 << 32))
    return x ^ (x >> 16 & 0xFFFF)
