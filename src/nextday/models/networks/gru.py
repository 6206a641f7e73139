"""The GRU, an LSTM's rival with one gate and one state fewer."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import linear

from nextday.models.networks.heads import Head, PointHead
from nextday.models.networks.recurrent import NAMES, RecurrentNetwork


class GruNetwork(RecurrentNetwork):
    """GRU over the window; the last hidden state feeds the head.

    Cho and others (2014), "Learning phrase representations using RNN encoder-decoder for statistical machine
    translation", EMNLP. Dropout between the layers.
    """

    def __init__(
        self, features: int, *, hidden: int, layers: int, dropout: float, head: Callable[[int], Head] = PointHead
    ) -> None:  # fmt: skip
        widths = [features] + [hidden] * (layers - 1)
        super().__init__((GruLayer(width, hidden) for width in widths), hidden=hidden, dropout=dropout, head=head)


class GruLayer(nn.GRU):
    """One layer of ``nn.GRU``; in a stack of networks, as ``vmap`` does not support it, a plain recurrence."""

    stacked = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """Map inputs [time, sample, feature] to hidden states [time, sample, unit]."""
        if self.stacked:
            return recurrence(x, *(getattr(self, name) for name in NAMES))
        return super().forward(x)[0]


def recurrence(
    x: torch.Tensor, w_x: torch.Tensor, w_h: torch.Tensor, b_x: torch.Tensor, b_h: torch.Tensor
) -> torch.Tensor:
    r"""Compute the hidden states of a GRU layer from a zero state, with PyTorch's order of gates.

    .. math:: h_t = (1 - z_t) \tanh(a_t + r_t \odot b_t) + z_t \odot h_{t-1}

    where :math:`a_t` is linear in the input, :math:`b_t` in the state before; ``r`` resets, ``z`` keeps.

    Parameters
    ----------
    x
        Inputs, [time, sample, feature].
    w_x, w_h, b_x, b_h
        Weights and biases, [3 * unit, feature], [3 * unit, unit], [3 * unit] and [3 * unit].
    """
    units, inputs = w_h.shape[1], linear(x, w_x, b_x)  # the inputs of all days in one product
    h, states = torch.zeros_like(inputs[0, :, :units]), []
    for today in inputs.unbind(0):
        past = linear(h, w_h, b_h)
        reset, keep = torch.sigmoid(today[:, : 2 * units] + past[:, : 2 * units]).chunk(2, dim=1)
        new = torch.tanh(today[:, 2 * units :] + reset * past[:, 2 * units :])
        h = new + keep * (h - new)
        states.append(h)
    return torch.stack(states)
