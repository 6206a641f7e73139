"""The training loop of nextday: Adam, early stopping on the validation set, restoring the best weights."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from nextday.errors import TrainingError
from nextday.models.base import Key
from nextday.models.networks.adam import Adam
from nextday.models.networks.dropout import seed_dropout
from nextday.models.networks.guest import seeded
from nextday.models.networks.heads import Headed
from nextday.progress import Epoch, report
from nextday.samples import Pool, Samples, Windows
from nextday.study import Training

MOST_AT_ONCE = 8_192  # windows that a network is applied to at once, so that memory does not grow with the panel


@dataclass(frozen=True, slots=True)
class Trained:
    """Loss per epoch, and the epoch whose weights are used (from 1)."""

    train_loss: np.ndarray
    valid_loss: np.ndarray
    best_epoch: int


@dataclass(slots=True)
class Progress:
    """The epochs of a unit so far, and the stopping rule."""

    settings: Training
    train_loss: list[float] = field(default_factory=list)
    valid_loss: list[float] = field(default_factory=list)
    best_epoch: int = 0

    @property
    def goes_on(self) -> bool:
        """Whether training continues."""
        epochs = len(self.valid_loss)
        return epochs < self.settings.max_epochs and epochs - self.best_epoch < self.settings.patience

    def note(self, train_loss: float, valid_loss: float) -> bool:
        """Store the losses of an epoch, and return whether it was the best."""
        self.train_loss.append(train_loss)
        self.valid_loss.append(valid_loss)
        epochs = len(self.valid_loss)
        if not np.isfinite([train_loss, valid_loss]).all():
            raise TrainingError(f"the loss is not finite in epoch {epochs}: {train_loss}, {valid_loss}")
        if self.best_epoch and valid_loss >= self.valid_loss[self.best_epoch - 1]:
            return False
        self.best_epoch = epochs
        return True

    @property
    def trained(self) -> Trained:
        """Result of the training."""
        return Trained(np.array(self.train_loss), np.array(self.valid_loss), self.best_epoch)


def train(network: Headed, train: Samples, valid: Samples, *, settings: Training, key: Key, device: str) -> Trained:
    """Train a network in place by the loss of its head, and restore the weights of its best epoch on ``valid``.

    Parameters
    ----------
    network
        Maps windows [sample, lookback, feature] to the outputs of its ``head``; already initialised.
    train, valid
        Training set, and validation set for early stopping.
    settings
        Batch size, learning rate, gradient clipping, patience, maximum number of epochs.
    key
        Source of the shuffles and the dropout masks.
    device
        ``cpu`` or ``cuda``.

    Raises
    ------
    TrainingError
        If a loss is not finite.
    """
    x, y = inputs_of(train.windows, device), torch.from_numpy(train.y).float().to(device)
    valid_x, valid_y = inputs_of(valid.windows, device), torch.from_numpy(valid.y).float().to(device)
    optimizer = Adam(network.parameters(), settings.learning_rate)
    shuffle = torch.Generator().manual_seed(key.stream("shuffle"))
    progress, best = Progress(settings), _copy(network)
    seed_dropout(network, key)
    network.head.start(y)
    with seeded(key, "masks", device):
        while progress.goes_on:
            batches = torch.randperm(len(y), generator=shuffle).to(device).split(settings.batch_size)
            trained = _one_epoch(network, optimizer, x, y, batches, settings.clip)
            if progress.note(trained, _loss(network, valid_x, valid_y)):
                best = _copy(network)
            report(Epoch(len(progress.valid_loss), settings.max_epochs))
    network.load_state_dict(best)
    return progress.trained


def predict(network: Headed, windows: Windows, *, device: str) -> tuple[np.ndarray, np.ndarray]:
    """Forecast windows without dropout: points [sample] and quantiles [sample, level]."""
    network.eval()
    with torch.inference_mode():
        points, quantiles = network.head.forecast(_outputs(network, inputs_of(windows, device)))
        return points.cpu().numpy(), quantiles.cpu().numpy()


def show(network: Headed, windows: Windows, *, device: str) -> dict[str, np.ndarray]:
    """Return a network's further results for windows, without dropout; none for most networks."""
    network.eval()
    with torch.inference_mode():
        return network.show(windows, device)


def states(network: Headed, windows: Windows) -> list[np.ndarray]:
    """Return the states of each layer for windows, without dropout, on the CPU; float32, shape [sample, width] each.

    The last one is the input of the head.
    """
    network.eval()
    with torch.inference_mode():
        parts = [network.states(part) for part in as_tensor(windows).split(512)]
        return [torch.cat(layer).numpy() for layer in zip(*parts, strict=True)]


def initialise(network: nn.Module, key: Key) -> None:
    """Draw every parameter from its own stream, for linear and recurrent layers uniform within PyTorch's bounds.

    Other layers use their own initialisation, each from its own stream; a parameter that no layer resets was drawn when
    the network was built. Networks whose inputs differ in width therefore start from equal weights wherever their
    shapes agree.
    """
    for prefix, module in network.named_modules():
        if isinstance(module, nn.RNNBase | nn.Linear):
            width = module.hidden_size if isinstance(module, nn.RNNBase) else module.in_features
            for name, parameter in module.named_parameters(recurse=False):
                stream = torch.Generator().manual_seed(key.stream(f"initial {prefix}.{name}"))
                nn.init.uniform_(parameter, -(width**-0.5), width**-0.5, generator=stream)
        elif next(module.parameters(recurse=False), None) is not None and hasattr(module, "reset_parameters"):
            with seeded(key, f"initial {prefix}"):
                module.reset_parameters()


def as_tensor(windows: Windows) -> torch.Tensor:
    """View windows as a tensor [sample, lookback, feature]; those of a pool, or with breaks, are copied."""
    if isinstance(windows, Pool):
        return torch.cat([as_tensor(part) for part in windows.parts])
    rows = torch.from_numpy(windows.rows)
    every = rows.unfold(0, windows.lookback, 1).transpose(1, 2)
    return every if windows.breaks is None else every[torch.tensor(windows.breaks.starts)].contiguous()


class Gathered:
    """Windows of a pool, gathered from its rows when they are asked for, so that overlapping ones take no memory."""

    def __init__(self, windows: Windows, device: str) -> None:
        self.rows = torch.from_numpy(windows.rows).to(device)
        self.starts = torch.from_numpy(windows.starts).to(device)
        self.offsets = torch.arange(windows.lookback, device=device)

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, samples: torch.Tensor | slice) -> torch.Tensor:
        return self.rows[self.starts[samples][:, None] + self.offsets]


Inputs = torch.Tensor | Gathered


def inputs_of(windows: Windows, device: str) -> Inputs:
    """Return windows by sample: a view, or gathered from the rows of a pool."""
    return Gathered(windows, device) if isinstance(windows, Pool) else as_tensor(windows).to(device)


def _outputs(network: Headed, x: Inputs) -> torch.Tensor:
    """Apply a network to windows, in pieces where there are very many."""
    pieces = [network(x[start : start + MOST_AT_ONCE]) for start in range(0, len(x), MOST_AT_ONCE)]
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces)


def _one_epoch(
    network: Headed, optimizer: Adam, x: Inputs, y: torch.Tensor,
    batches: tuple[torch.Tensor, ...], clip: float,
) -> float:  # fmt: skip
    """Take one step per batch; return the mean training loss."""
    network.train()
    total = torch.zeros((), device=y.device)
    for batch in batches:
        optimizer.zero_grad()
        loss = network.head.loss(network(x[batch]), y[batch])
        loss.backward()
        nn.utils.clip_grad_norm_(optimizer.parameters, clip)
        optimizer.step()
        total += loss.detach() * len(batch)
    return float(total) / len(y)


def _loss(network: Headed, x: Inputs, y: torch.Tensor) -> float:
    network.eval()
    with torch.inference_mode():
        return float(network.head.loss(_outputs(network, x), y))


def _copy(network: nn.Module) -> dict[str, torch.Tensor]:
    """Copy the weights; ``state_dict`` alone would hand out the tensors that training goes on changing."""
    return {name: value.clone() for name, value in network.state_dict().items()}
