"""Many networks of one shape, trained as a stack: the loop of ``training`` for many units at once.

The first axis of every tensor is the unit. Each unit has its own initial weights, shuffles, masks, gradient norm, Adam
step count and stopping rule. Its result does not depend on the rest of the stack. A finished unit is replaced by a
waiting one; waiting units use no memory on the device.

On CUDA a training step is one graph, captured once and replayed. The units of a stack are the outer ``vmap`` of
``torch.func`` (Frostig and others, 2018, "Compiling machine learning programs via high-level tracing").
"""

import math
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.func import functional_call, vmap
from torch.nn.functional import pad

from nextday.errors import TrainingError
from nextday.models.base import Key
from nextday.models.networks.adam import BETAS, EPSILON
from nextday.models.networks.base import Network
from nextday.models.networks.dropout import Dropout, scramble
from nextday.models.networks.heads import Headed
from nextday.models.networks.training import Progress
from nextday.samples import Samples, Windows

ON_CPU, MOST, SHARE = 32, 1024, 0.8  # units at once on a CPU, and on a GPU; share of its memory
CHANGED = ("now", "mean", "square", "steps", "total")  # by a step


@dataclass(slots=True)
class Member:
    """A unit in the stack or waiting for it: the arguments of ``training.train``, and its results so far."""

    network: Headed  # initialised, on the CPU; it is left with the weights of its best epoch
    train: Samples
    valid: Samples
    key: Key
    progress: Progress
    seconds: float = 0.0  # its share of the stack's time
    failure: str = ""
    shuffle: torch.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.shuffle = torch.Generator().manual_seed(self.key.stream("shuffle"))

    def note(self, train_loss: float, valid_loss: float) -> bool:
        """Store the losses of an epoch, given as sums over samples, and return whether it was the best."""
        try:
            return self.progress.note(train_loss / len(self.train.y), valid_loss / len(self.valid.y))
        except TrainingError as error:
            self.failure = str(error)
            return False


def train_stack(
    model: Network, members: Iterator[Member], *, features: int, slots: int, device: str
) -> Iterator[Member]:  # fmt: skip
    """Train units like ``training.train``; yield each when it finishes, with its network trained in place.

    Parameters
    ----------
    model
        The model of the networks.
    members
        The units, with the same lookback; the next one is requested when a slot is free.
    features
        Features of the widest unit; the inputs of the others are padded with zeros.
    slots
        Maximum number of units at once.
    device
        ``cpu`` or ``cuda``.
    """
    stack = _Stack(model, features, slots, device)
    while stack.fill(members):
        yield from stack.epoch()


def room(model: Network, *, features: int, lookback: int, device: str) -> int:
    """Estimate how many units of a model fit in a device's memory, from a step of a few; at least one."""
    if device != "cuda":
        return ON_CPU
    few, batch = 8, model.training.batch_size
    torch.cuda.reset_peak_memory_stats()
    stack = _Stack(model, features, few, device)
    rows, y = np.zeros((batch + lookback - 1, features), np.float32), np.zeros(batch)
    samples, progress = Samples(Windows(rows, lookback, ("",) * features), y), Progress(model.training)
    members = (Member(model.assemble(features), samples, samples, Key(0, "", 0), progress) for _ in range(few))
    stack.fill(members)
    stack.state["train"] = torch.zeros(few, batch, dtype=torch.int64, device=device)
    stack.train_step()
    taken = torch.cuda.max_memory_allocated() / few
    del stack
    torch.cuda.empty_cache()
    return max(1, min(MOST, int(SHARE * torch.cuda.mem_get_info()[0] / taken)))


class _Stack:
    """The places, their tensors on the device, and the two steps over all of them."""

    def __init__(self, model: Network, features: int, slots: int, device: str) -> None:
        template = self.template = model.assemble(features).to(device)
        self.settings, self.device = model.training, torch.device(device)
        self.features, self.lookback = features, 0
        for module in template.modules():
            module.stacked = True  # type: ignore[assignment]
        self.shapes = {name: value.shape for name, value in template.named_parameters()}
        self.sizes = [shape.numel() for shape in self.shapes.values()]
        self.dropouts = [name for name, module in template.named_modules() if isinstance(module, Dropout)]
        self.members: list[Member | None] = [None] * slots
        self.graphs: dict[str, Callable[[], None]] = {}
        self.turn = torch.zeros(1, dtype=torch.int64, device=self.device)
        weights = {name: torch.zeros(slots, sum(self.sizes)) for name in ("now", "best", "mean", "square")}
        keys = {f"key {name}": torch.zeros(slots, dtype=torch.int32) for name in self.dropouts}
        buffers = {
            f"buffer {name}": torch.stack([value.cpu()] * slots)
            for name, value in template.named_buffers()
            if name in template.state_dict()
        }
        own = {"steps": torch.zeros(slots, dtype=torch.int32), "total": torch.zeros(slots)}
        self.state = {name: value.to(self.device) for name, value in (weights | keys | buffers | own).items()}

    def fill(self, members: Iterator[Member]) -> int:
        """Return free places to waiting units, and up the places that nobody waits for; return how many are taken."""
        for slot, place in enumerate(self.members):
            if place is None and (member := next(members, None)) is not None:
                self._enter(slot, member)
        taken = [slot for slot, member in enumerate(self.members) if member is not None]
        if taken and len(taken) <= len(self.members) * (0.5 if self.device.type == "cuda" else 1 - 1e-9):
            self.members = [self.members[slot] for slot in taken]
            self.state = {name: value[taken] for name, value in self.state.items()}
            self.graphs = {}  # a graph is of the tensors it was captured with, so few are worth their time
        return len(taken)

    def epoch(self) -> Iterator[Member]:
        """Train every unit for an epoch, validate, and give those that are finished."""
        start, size = time.perf_counter(), self.settings.batch_size
        here = [(slot, member) for slot, member in enumerate(self.members) if member is not None]
        shuffled = {slot: torch.randperm(len(one.train.y), generator=one.shuffle) for slot, one in here}
        behind = {slot: torch.arange(len(one.valid.y)) + len(one.train.y) for slot, one in here}
        self.template.train()
        train_loss = self._pass("train", shuffled, size)
        self.template.eval()
        valid_loss = self._pass("valid", behind, size)
        better = torch.zeros(len(self.members), 1, dtype=torch.bool)
        for slot, member in here:
            better[slot] = member.note(train_loss[slot], valid_loss[slot])
        self.state["best"].copy_(torch.where(better.to(self.device), self.state["now"], self.state["best"]))
        share = (time.perf_counter() - start) / len(here)
        for slot, member in here:
            member.seconds += share
            if member.failure or not member.progress.goes_on:
                self._leave(slot, member)
                yield member

    def _enter(self, slot: int, member: Member) -> None:
        """Lay a unit's weights, inputs and targets into its place."""
        train, valid, network = member.train, member.valid, member.network
        self.lookback = train.windows.lookback
        rows = torch.from_numpy(np.concatenate([train.windows.rows, valid.windows.rows]))
        y = torch.from_numpy(np.concatenate([train.y, valid.y])).float()
        network.head.start(y[: len(train.y)])
        pairs = zip(network.parameters(), self.shapes.values(), strict=True)
        mine = {
            "rows": _widened(rows, torch.Size((len(rows), self.features))),
            "first": torch.tensor(np.append(train.windows.starts, valid.windows.starts + len(train.windows.rows))),
            "y": y,
            "now": torch.cat([_widened(one.detach(), shape).flatten() for one, shape in pairs]),
            "steps": torch.zeros((), dtype=torch.int32),
        }
        held, words = network.state_dict(), {name: member.key.stream(f"dropout {name}") for name in self.dropouts}
        mine |= {name: held[name.removeprefix("buffer ")] for name in self.state if name.startswith("buffer ")}
        mine |= {f"key {name}": torch.tensor(word >> 32, dtype=torch.int32) for name, word in words.items()}
        mine |= {name: torch.zeros(sum(self.sizes)) for name in ("mean", "square", "best")}
        for name, value in mine.items():
            self._make_room(name, value)
            place = self.state[name][slot]
            place.zero_()
            place[tuple(slice(length) for length in value.shape)] = value.to(self.device)
        self.members[slot] = member

    def _leave(self, slot: int, member: Member) -> None:
        """Bring the best weights back into the unit's network."""
        parts = self.state["best"][slot].cpu().split(self.sizes)
        with torch.no_grad():
            for (name, value), part in zip(member.network.named_parameters(), parts, strict=True):
                value.copy_(part.view(self.shapes[name])[tuple(slice(length) for length in value.shape)])
        self.members[slot] = None

    def _make_room(self, name: str, value: torch.Tensor) -> None:
        """Let a tensor of all places be long enough for what a unit brings."""
        held = self.state.get(name)
        if held is None:
            held = torch.zeros(len(self.members), *value.shape, dtype=value.dtype, device=self.device)
        elif value.dim() and held.shape[1] < len(value):
            held = _widened(held, torch.Size((len(held), len(value), *held.shape[2:])))
        else:
            return
        self.state[name], self.graphs = held, {}

    def _pass(self, kind: str, samples: dict[int, torch.Tensor], size: int) -> list[float]:
        """Go through samples of every place once, in batches; return the sum of their losses by place."""
        turns = max(math.ceil(len(one) / size) for one in samples.values())
        order = torch.full((len(self.members), turns * size), -1)
        for slot, one in samples.items():
            order[slot, : len(one)] = one
        self._make_room(kind, order[0])
        self.state[kind].fill_(-1)
        self.state[kind][:, : turns * size] = order.to(self.device)
        self.turn.zero_()
        self.state["total"].zero_()
        if kind not in self.graphs:
            step = self.train_step if kind == "train" else self._valid_step
            self.graphs[kind] = self._captured(step) if self.device.type == "cuda" else step
        for _ in range(turns):
            self.graphs[kind]()
        return self.state["total"].tolist()

    def train_step(self) -> None:
        """Take one step of every unit that has samples left: mean loss, its gradient, clipped, Adam."""
        x, y, here = self._batch("train")
        weights, count = self.state["now"].detach().requires_grad_(), here.sum(dim=1, keepdim=True)
        with torch.enable_grad():
            losses = self._losses(weights, x, y)
            (gradient,) = torch.autograd.grad((losses * here / count.clamp(min=1)).sum(), weights)
        norm = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
        gradient *= (self.settings.clip / (norm + 1e-6)).clamp(max=1)
        self._adam(gradient, (count > 0).float())
        self._book(losses.detach(), here)

    def _valid_step(self) -> None:
        """Add up the losses of one batch of every unit."""
        x, y, here = self._batch("valid")
        with torch.no_grad():
            self._book(self._losses(self.state["now"], x, y), here)

    def _book(self, losses: torch.Tensor, here: torch.Tensor) -> None:
        self.state["total"] += torch.where(here, losses, 0).sum(dim=1)
        self.turn += 1

    def _batch(self, kind: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Read this turn's samples: x [unit, sample, lookback, feature], y and whether there is one [unit, sample]."""
        rows, order, size = self.state["rows"], self.state[kind], self.settings.batch_size
        at = order.view(len(order), -1, size).index_select(1, self.turn).squeeze(1)
        here, at = at >= 0, at.clamp(min=0)
        lags = torch.arange(self.lookback, device=self.device)
        units = torch.arange(len(rows), device=self.device) * rows.shape[1]
        days = units[:, None, None] + self.state["first"].gather(1, at)[..., None] + lags
        return rows.flatten(0, 1)[days], self.state["y"].gather(1, at), here

    def _losses(self, weights: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the loss of every sample of every unit, [unit, sample]."""
        parts = zip(self.shapes.items(), weights.split(self.sizes, dim=1), strict=True)
        values = {name: part.view(-1, *shape) for (name, shape), part in parts}
        for name, value in self.state.items():
            kind, _, of = name.partition(" ")
            if kind == "buffer":
                values[of] = value
            elif kind == "key":
                values[f"{of}.key"] = scramble(value ^ scramble(self.state["steps"]))
        head = self.template.head

        def one(values: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            output = functional_call(self.template, values, (x,))
            return vmap(lambda output, y: head.loss(output[None], y[None]))(output, y)

        return vmap(one)(values, x, y)

    def _adam(self, gradient: torch.Tensor, moving: torch.Tensor) -> None:
        """Move the weights of the units that move, [unit, 1]; Kingma and Ba (2015), "Adam", ICLR."""
        mean, square, steps = self.state["mean"], self.state["square"], self.state["steps"]
        steps += moving.squeeze(1).int()
        mean.lerp_(gradient, (1 - BETAS[0]) * moving)
        square.lerp_(gradient * gradient, (1 - BETAS[1]) * moving)
        taken = steps.double().clamp(min=1)[:, None]
        rate = (moving * self.settings.learning_rate / (1 - BETAS[0] ** taken)).float()
        root = (1 - BETAS[1] ** taken).sqrt().float()
        self.state["now"] -= rate * mean / (square.sqrt() / root + EPSILON)

    def _captured(self, step: Callable[[], None]) -> Callable[[], None]:
        """Capture a step as a CUDA graph; the runs that warm it up leave no trace."""
        kept, stream = {name: self.state[name].clone() for name in CHANGED}, torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(2):
                step()
                self.turn.zero_()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                step()
        except RuntimeError as error:  # an operation that no graph can hold: slower, and no other result
            warnings.warn(f"no CUDA graph of the step: {str(error).splitlines()[0]}", stacklevel=2)
            return step
        finally:
            for name, value in kept.items():
                self.state[name].copy_(value)
            self.turn.zero_()
        return graph.replay


def _widened(value: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Fill up with zeros behind."""
    missing = [want - have for have, want in zip(value.shape, shape, strict=True)]
    return pad(value, [size for more in reversed(missing) for size in (0, more)])
