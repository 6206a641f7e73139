"""Training throughput on this machine: every engine compared with a plain loop, on the embedded panel."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from rich.table import Table

from nextday.data import align, load_bars
from nextday.engine import Stacked, Workers, choose_device, make_plan
from nextday.engine.plan import Job
from nextday.study import Study

SIZES = (33, 330, 3300)  # units of a study: one seed of Stage 2, ten seeds, ten seeds of ten folds
STACKS = (33, 330, 1000)  # units that are timed on a GPU
LOOPED = 3  # networks that stand for the loop
NETWORKS = {name: {"model": "lstm", "features": name} for name in ("raw", "ohlcv", "engineered")}  # those of Stage 2
EPOCHS = 22.2  # of a unit of Stage 2 until it stops, mean over tickers, variants and three seeds


@dataclass(frozen=True, slots=True)
class Timing:
    """Throughput of an engine on a device: seconds per unit and epoch, and the number of units."""

    engine: str
    device: str
    units: int
    seconds: float

    def minutes(self, units: int) -> float:
        """Estimate the minutes of a study with a number of units, each with as many epochs as those of Stage 2."""
        return units * EPOCHS * self.seconds / 60


def measure_engines(*, epochs: int = 3, workers: int | None = None, device: str = "auto") -> Iterator[Timing]:
    """Time the networks of Stage 2 for a few epochs with every available engine; yield each timing.

    Start-up and the first units, which include compilation, are excluded.

    Parameters
    ----------
    epochs
        Epochs of each unit.
    workers
        Processes; default: the number of cores.
    device
        ``cpu`` ignores a GPU.
    """
    found = choose_device(device)  # type: ignore[arg-type]
    seeds = tuple(range(-(-max(STACKS) // 33) if found == "cuda" else 4))
    training = {"max_epochs": epochs, "patience": epochs}
    study = Study.from_values({"name": "bench", "seeds": seeds, "training": training, "variants": NETWORKS})
    plan = make_plan(study, align(load_bars(study.data), market=study.market), device="cpu")
    for one in dict.fromkeys(("cpu", found)):
        seconds = [
            _seconds(partial(train_plainly, job, epochs, one)) for job in map(plan.job, plan.units[: LOOPED + 1])
        ]
        yield Timing("sequential loop", one, LOOPED, statistics.median(seconds[1:]) / epochs)
    with Workers(workers) as pool:
        warm, timed = 2 * pool.count, 6 * pool.count
        for _ in pool.map(plan.units[:warm], plan.job):
            pass
        took = _seconds(lambda: [*pool.map(plan.units[warm : warm + timed], plan.job)])
        yield Timing(f"workers ({pool.count})", "cpu", timed, took / timed / epochs)
        for size in STACKS if found == "cuda" else ():
            units = Stacked(pool, device="cuda").map(plan.units[:size], plan.job)
            took = _seconds(partial(list, units))
            yield Timing("stacked", "cuda", size, took / size / epochs)


def train_plainly(job: Job, epochs: int, device: str) -> None:
    """Train a network of Stage 2 as a textbook would: ``nn.LSTM``, a ``DataLoader``, Adam, clipping, validation."""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    parts = [
        TensorDataset(torch.tensor(one.windows.x.copy()), torch.tensor(one.y, dtype=torch.float32))
        for one in (job.train, job.valid)
    ]
    train, valid = DataLoader(parts[0], batch_size=64, shuffle=True), DataLoader(parts[1], batch_size=64)
    lstm = nn.LSTM(len(job.test.names), 64, 2, batch_first=True, dropout=0.2).to(device)
    head = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1)).to(device)
    weights = [*lstm.parameters(), *head.parameters()]
    optimizer, loss = torch.optim.Adam(weights, lr=1e-3), nn.MSELoss()
    for _ in range(epochs):
        lstm.train()
        for x, y in train:
            optimizer.zero_grad()
            loss(head(lstm(x.to(device))[0][:, -1]).squeeze(-1), y.to(device)).backward()
            nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
        lstm.eval()
        with torch.no_grad():
            sum(loss(head(lstm(x.to(device))[0][:, -1]).squeeze(-1), y.to(device)).item() for x, y in valid)


def bench_table(timings: Sequence[Timing]) -> Table:
    """Format timings for a terminal, relative to the first of each device."""
    caption = f"networks of Stage 2, {EPOCHS} epochs per unit; without start-up and compilation"
    table = Table(title="units per minute", title_justify="left", caption=caption, caption_justify="left")
    table.add_column("engine", no_wrap=True)
    table.add_column("device", no_wrap=True)
    for header in ("timed units", "ms per epoch", "units per minute", "speed-up"):
        table.add_column(header, justify="right")
    for size in SIZES:
        table.add_column(f"{size:,} units", justify="right", no_wrap=True)
    for one in timings:
        loop = next(other for other in timings if other.device == one.device)
        table.add_row(
            one.engine, one.device, str(one.units), f"{1e3 * one.seconds:.1f}", f"{1 / one.minutes(1):.1f}",
            f"{loop.seconds / one.seconds:.1f}", *(_span(one.minutes(size)) for size in SIZES),
        )  # fmt: skip
    return table


def _span(minutes: float) -> str:
    """Write a time for a reader."""
    if minutes < 1:
        return f"{60 * minutes:.0f} s"
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
