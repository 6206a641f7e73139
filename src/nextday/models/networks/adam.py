"""PyTorch's fused Adam without its class, which imports a compiler when it is made: two seconds in each worker."""

from collections.abc import Iterable

import torch

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
        self.means, self.squares = ([torch.zeros_like(one) for one in self.parameters] for _ in range(2))
        self.taken = [0] * len(self.parameters)  # steps of each weight

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for one in self.parameters:
            one.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move every weight by its gradient."""
        moved = [at for at, one in enumerate(self.parameters) if one.grad is not None]
        if not moved:
            return
        for at in moved:
            self.taken[at] += 1
        weights, means, squares = ([part[at] for at in moved] for part in (self.parameters, self.means, self.squares))
        counts = {steps: torch.full((), float(steps), device=weights[0].device) for steps in {*self.taken}}
        torch._fused_adam_(
            weights, [one.grad for one in weights if one.grad is not None], means, squares, [],
            [counts[self.taken[at]] for at in moved],
            amsgrad=False, maximize=False, weight_decay=0.0, lr=self.rate, eps=EPSILON, beta1=BETAS[0], beta2=BETAS[1],
        )  # fmt: skip
