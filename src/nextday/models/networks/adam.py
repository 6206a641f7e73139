"""PyTorch's fused Adam without its class, which imports a compiler when it is made: two seconds in each worker."""

from collections.abc import Iterable

import torch
from torch.optim.adam import adam

BETAS, EPSILON = (0.9, 0.999), 1e-8  # PyTorch's


class Adam:
    """Take the steps of ``torch.optim.Adam(parameters, lr=rate, fused=True)``, to the bit.

    Parameters
    ----------
    parameters
        Weights to move; those without a gradient stay where they are.
    rate
        Learning rate.

    References
    ----------
    Kingma and Ba (2015), "Adam: a method for stochastic optimization", ICLR.
    """

    def __init__(self, parameters: Iterable[torch.Tensor], rate: float) -> None:
        self.parameters, self.rate = [*parameters], rate
        self.moments: dict[int, tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = {}  # by place: tensors hash slowly

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for one in self.parameters:
            one.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move every weight by its gradient."""
        moved = [at for at, one in enumerate(self.parameters) if one.grad is not None]
        weights = [self.parameters[at] for at in moved]
        for at, one in zip(moved, weights, strict=True):
            if at not in self.moments:
                count = torch.zeros((), dtype=torch.float32, device=one.device)
                self.moments[at] = torch.zeros_like(one), torch.zeros_like(one), count
        first, second, counts = ([self.moments[at][part] for at in moved] for part in range(3))
        adam(
            weights, [one.grad for one in weights if one.grad is not None], first, second, [], counts, fused=True,
            amsgrad=False, maximize=False, weight_decay=0.0, lr=self.rate, eps=EPSILON, beta1=BETAS[0], beta2=BETAS[1],
        )  # fmt: skip
