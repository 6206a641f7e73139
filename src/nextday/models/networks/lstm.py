"""The LSTM of Stage 2."""

from collections.abc import Callable
from types import ModuleType
from typing import Any  # a context of autograd has no type

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from nextday.errors import TrainingError
from nextday.models.base import NO_BF16
from nextday.models.kernels import lstm as recurrence
from nextday.models.kernels.lstm_stacked import StackedLstm
from nextday.models.networks.heads import Head, PointHead
from nextday.models.networks.recurrent import NAMES, RecurrentNetwork


class LstmNetwork(RecurrentNetwork):
    """LSTM over the window; the last hidden state feeds the head.

    Hochreiter and Schmidhuber (1997), "Long Short-Term Memory", Neural Computation 9(8). Dropout between the layers.
    """

    def __init__(
        self, features: int, *, hidden: int, layers: int, dropout: float, head: Callable[[int], Head] = PointHead,
        precision: str = "float32",
    ) -> None:  # fmt: skip
        widths = [features] + [hidden] * (layers - 1)
        made = (LstmLayer(width, hidden, precision) for width in widths)
        super().__init__(made, hidden=hidden, dropout=dropout, head=head)


class LstmLayer(nn.LSTM):
    """One layer equivalent to ``nn.LSTM``, with the same parameters; on a CPU a compiled kernel computes it in float32.

    With precision ``bf16`` the kernel rounds the operands of its products to bfloat16.
    """

    stacked = False

    def __init__(self, features: int, units: int, precision: str = "float32") -> None:
        super().__init__(features, units)
        self.precision = precision

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """Map inputs [time, sample, feature] to hidden states [time, sample, unit]."""
        plain = x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
        if plain and not self.stacked:
            return _Kernel.apply(self.precision, x, *self._flat_weights)  # type: ignore[no-untyped-call]
        if self.precision != "float32":
            raise TrainingError(NO_BF16)
        if self.stacked:
            w_x, w_h, b_x, b_h = (getattr(self, name) for name in NAMES)
            return StackedLstm.apply(x, w_x, w_h, b_x + b_h)  # type: ignore[no-untyped-call]
        return super().forward(x)[0]


def _kernel(precision: str) -> ModuleType:
    """Return the code of a precision; compiling it for the first time takes seconds."""
    if precision == "float32":
        return recurrence
    from nextday.models.kernels import lstm_bf16 as recurrence_bf16

    return recurrence_bf16


class _Kernel(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, precision: str, x: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
        ctx.kernel = _kernel(precision)
        w_x, w_h, b_x, b_h = (weight.detach() for weight in weights)
        ctx.weights = w_x.numpy(), w_h.numpy()
        bias, keep = (b_x + b_h).numpy(), any(ctx.needs_input_grad)
        h, *ctx.kept = ctx.kernel.forward(x.detach().contiguous().numpy(), *ctx.weights, bias, keep)
        return torch.from_numpy(h)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_h: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # noqa: ANN401
        inputs, *kept = ctx.kept
        with_x = ctx.needs_input_grad[1]
        d_x, d_w_x, d_w_h, d_bias = ctx.kernel.backward(d_h.contiguous().numpy(), inputs, *ctx.weights, *kept, with_x)
        bias = torch.from_numpy(d_bias).squeeze(1)
        weights = torch.from_numpy(d_w_x), torch.from_numpy(d_w_h), bias, bias
        return None, torch.from_numpy(d_x) if with_x else None, *weights
