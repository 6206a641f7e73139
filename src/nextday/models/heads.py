"""From a network's last hidden state to a forecast."""

from torch import nn


def point_head(hidden: int) -> nn.Sequential:
    """Map a state of width ``hidden`` to one number: Linear, ReLU, Linear."""
    return nn.Sequential(nn.Linear(hidden, hidden // 2), nn.ReLU(), nn.Linear(hidden // 2, 1))
