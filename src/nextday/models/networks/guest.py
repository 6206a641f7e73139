"""A user's module as a network of nextday: with a head, and with the unit's own random streams."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from nextday.errors import TrainingError
from nextday.models.base import Key
from nextday.models.networks.dropout import Dropout
from nextday.models.networks.heads import Head, Headed


class Guest(Headed):
    """Any module that maps windows [sample, lookback, feature] to states [sample, width], followed by a head.

    Its ``nn.Dropout`` layers are replaced by nextday's, whose masks come from the unit's key; other draws from
    PyTorch's generator during training come from that key too (see ``seeded``).
    """

    def __init__(self, body: nn.Module, head: Callable[[int], Head], *, lookback: int, features: int) -> None:
        super().__init__()
        self.body = _with_own_dropout(body)
        self.head = head(_width(self.body, lookback, features))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map windows [sample, lookback, feature] to the outputs of the head."""
        return self.head(self.body(x))

    def states(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the input of the head, [sample, width]."""
        return [self.body(x)]


@contextmanager
def seeded(key: Key, name: str, device: str = "cpu") -> Iterator[None]:
    """Seed PyTorch's process-wide generator from the unit's key, and restore it afterwards."""
    on_cpu = device == "cpu"
    seed = torch.default_generator.manual_seed if on_cpu else torch.manual_seed  # the latter queues CUDA's, too
    with torch.random.fork_rng(devices=[] if on_cpu else None):
        seed(key.stream(name))
        yield


def can_stack(network: nn.Module) -> bool:
    """Return whether such networks can be stacked.

    ``vmap`` supports no running statistics, and of recurrent layers only those with a form of their own for stacks.
    """
    return not any(_resists(module) for module in network.modules())


def _resists(module: nn.Module) -> bool:
    recurrent = isinstance(module, nn.RNNBase) and not hasattr(module, "stacked")
    return recurrent or (
        not isinstance(module, Dropout | Head) and next(module.buffers(recurse=False), None) is not None
    )


def _with_own_dropout(body: nn.Module) -> nn.Module:
    for name, child in body.named_children():
        setattr(body, name, Dropout(child.p) if type(child) is nn.Dropout else _with_own_dropout(child))
    return body


def _width(body: nn.Module, lookback: int, features: int) -> int:
    """Find the width of the states by one window of zeros."""
    training, name = body.training, type(body).__name__
    with torch.no_grad():
        states = body.eval()(torch.zeros(2, lookback, features))
    body.train(training)
    shape = tuple(getattr(states, "shape", ()))
    if len(shape) != 2 or shape[0] != 2:
        raise TrainingError(
            f"{name} maps windows of shape (2, {lookback}, {features}) to {shape or type(states).__name__}; expected "
            "states of shape (2, width): nextday appends its own head"
        )
    return int(shape[1])
