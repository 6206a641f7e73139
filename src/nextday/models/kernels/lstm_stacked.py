"""The LSTM layers of many networks at once, forward and backward, in PyTorch operations.

``torch.func.vmap`` does not support ``nn.LSTM``. Here the first axis of every tensor is the network: x [unit, time,
sample, feature], weights [unit, 4 * hidden, ...]. The product of the inputs is hoisted out of the loop over days, and
the gradients of the weights are three large products after it (Appleyard and others, 2016, "Optimizing performance of
recurrent neural networks on GPUs"); a day then needs one product and the pointwise cell.
"""

from functools import cache
from typing import Any  # a context of autograd has no type

import torch
from torch.autograd.function import once_differentiable

State = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # h, c, and the gates after their activation


class StackedLstm(torch.autograd.Function):
    """Compute the hidden states of an LSTM layer from zero states, with PyTorch's order of gates.

    For one network: x [time, sample, feature], w_x [4 * hidden, feature], w_h [4 * hidden, hidden], bias [4 * hidden];
    only under ``vmap``, which adds the network axis in front.
    """

    @staticmethod
    def forward(x: torch.Tensor, w_x: torch.Tensor, w_h: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        """Refuse calls outside ``vmap``, which replaces this function."""
        raise RuntimeError("a stacked layer runs under torch.func.vmap")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:  # noqa: ANN401
        """Store nothing; ``_Layer`` has its own context."""

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], *arguments: torch.Tensor  # noqa: ANN401
    ) -> tuple[torch.Tensor, int]:  # fmt: skip
        """Move the network axis to the front and run all layers."""
        stacked = (
            value.expand(info.batch_size, *value.shape) if dim is None else value.movedim(dim, 0)
            for value, dim in zip(arguments, in_dims, strict=True)
        )
        return _Layer.apply(*stacked), 0  # type: ignore[no-untyped-call]


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, w_x: torch.Tensor, w_h: torch.Tensor, bias: torch.Tensor  # noqa: ANN401
    ) -> torch.Tensor:  # fmt: skip
        units, times, samples, _ = x.shape
        flat = x.reshape(units, times * samples, -1)
        projected = torch.baddbmm(bias[:, None], flat, w_x.mT).view(units, times, samples, -1)
        projected = projected.transpose(0, 1).contiguous()  # a day's must lie together
        cell = _fused if _can_fuse(x.device.type, x.dtype) else _plain
        h = c = x.new_zeros((units, samples, w_h.shape[2]))
        states, cells, gates = [], [], []
        for today in projected:
            h, c, gate = cell(today, torch.bmm(h, w_h.mT), c)
            states.append(h)
            cells.append(c)
            gates.append(gate)
        h = torch.stack(states, dim=1)
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(flat, w_x, w_h, h)
            ctx.kept = cells, gates
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # noqa: ANN401
        flat, w_x, w_h, h = ctx.saved_tensors
        cells, gates = ctx.kept
        back = _fused_back if _can_fuse(h.device.type, h.dtype) else _plain_back
        d_c, d_gates, d_h = torch.zeros_like(cells[0]), [], None
        for t in range(len(cells) - 1, -1, -1):
            d_h = d_out[:, t] if d_h is None else torch.baddbmm(d_out[:, t], d_gates[-1], w_h)
            before = cells[t - 1] if t else torch.zeros_like(d_c)
            d_gate, d_c = back(d_h, d_c, before, cells[t], gates[t])
            d_gates.append(d_gate)
        d_all = torch.stack(d_gates[::-1], dim=1)  # [unit, time, sample, 4 * hidden]
        flat_d = d_all.flatten(1, 2)
        d_x = torch.bmm(flat_d, w_x).view(*h.shape[:3], -1) if ctx.needs_input_grad[0] else None
        d_w_h = torch.bmm(d_all[:, 1:].flatten(1, 2).mT, h[:, :-1].flatten(1, 2))
        return d_x, torch.bmm(flat_d.mT, flat), d_w_h, flat_d.sum(dim=1)


def _plain(projected: torch.Tensor, recurrent: torch.Tensor, c: torch.Tensor) -> State:
    """Move the cells on by a day: gates [unit, sample, 4 * hidden], c [unit, sample, hidden]."""
    i, f, g, o = (projected + recurrent).chunk(4, dim=-1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    c = torch.addcmul(f * c, i, g)
    return o * c.tanh(), c, torch.cat([i, f, g, o], dim=-1)


def _plain_back(
    d_h: torch.Tensor, d_c: torch.Tensor, before: torch.Tensor, c: torch.Tensor, gates: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Take the gradients of h and c back through a day; return those of the gates and of the c before."""
    i, f, g, o = gates.chunk(4, dim=-1)
    squashed = c.tanh()
    d_c = torch.addcmul(d_c, d_h * o, 1 - squashed * squashed)
    d_i, d_f, d_g, d_o = d_c * g * i * (1 - i), d_c * before * f * (1 - f), d_c * i * (1 - g * g), d_h * squashed
    return torch.cat([d_i, d_f, d_g, d_o * o * (1 - o)], dim=-1), d_c * f


def _fused(projected: torch.Tensor, recurrent: torch.Tensor, c: torch.Tensor) -> State:
    """Do what ``_plain`` does in one kernel of PyTorch, which exists on CUDA alone."""
    h, now, gates = torch.ops.aten._thnn_fused_lstm_cell(
        projected.flatten(0, 1), recurrent.flatten(0, 1), c.flatten(0, 1)
    )
    return h.view_as(c), now.view_as(c), gates.view_as(projected)


def _fused_back(
    d_h: torch.Tensor, d_c: torch.Tensor, before: torch.Tensor, c: torch.Tensor, gates: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Do what ``_plain_back`` does in one kernel."""
    rows = (value.reshape(-1, value.shape[-1]) for value in (d_h, d_c, before, c, gates))
    d_gates, d_before, _ = torch.ops.aten._thnn_fused_lstm_cell_backward_impl(*rows, False)
    return d_gates.view_as(gates), d_before.view_as(c)


@cache
def _can_fuse(device: str, dtype: torch.dtype) -> bool:
    """Return whether the fused cell is there and agrees with the plain one: PyTorch promises neither."""
    if device != "cuda":
        return False
    stream = torch.Generator().manual_seed(0)
    shapes = ((1, 3, 20), (1, 3, 20), (1, 3, 5), (1, 3, 5), (1, 3, 5))
    projected, recurrent, c, d_h, d_c = (torch.randn(one, generator=stream).to(device, dtype) for one in shapes)
    try:
        states = [cell(projected, recurrent, c) for cell in (_plain, _fused)]
        back = [one(d_h, d_c, c, *states[0][1:]) for one in (_plain_back, _fused_back)]
    except (AttributeError, RuntimeError, TypeError):
        return False
    pairs = [*zip(*states, strict=True), *zip(*back, strict=True)]
    return all(torch.allclose(ours, theirs, rtol=1e-4, atol=1e-5) for ours, theirs in pairs)
