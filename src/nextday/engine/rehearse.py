"""Rehearse a plugin model before training: each forecast must be finite and depend on earlier days only."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nextday.engine.catalogs import Catalogs
from nextday.engine.plan import Job, Plan, Unit
from nextday.engine.workers import Engine
from nextday.errors import PluginError, TrainingError
from nextday.models import Fitted, Forecaster
from nextday.models.networks.base import Network
from nextday.samples import Pool, Samples, Windows

TRAIN, VALID, TEST = 120, 30, 24  # samples of each ticker, at most
ROUNDING = 1e-5  # of the forecasts' size: other shapes of a matrix product move its last bits


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A small job that runs three times: unchanged, with a different future, and without a future."""

    job: Job

    def run(self) -> tuple[()]:
        """Run it.

        Raises
        ------
        TrainingError
            If the forecasts are not one finite number per sample, or a day's forecast depends on later days.
        """
        first = self.job.run()
        for future in futures(self.job):
            if not future.agrees(self.job, first, future.job.run()):
                raise TrainingError(future.leak)
        return ()


@dataclass(frozen=True, slots=True)
class Future:
    """A job that shares the first ``known`` test days of each ticker with another, and differs in later days."""

    job: Job
    known: int
    what: str
    rounding: float  # that the forecasts may differ by

    @property
    def leak(self) -> str:
        """Message for a model whose forecasts of the first days change."""
        return f"uses the future: its forecasts of a day change when later days {self.what}"

    def agrees(self, job: Job, first: Fitted, again: Fitted) -> bool:
        """Return whether the first days have the same forecasts as in the original job; points and quantiles."""
        pairs = [(first.predicted, again.predicted)]
        if first.quantiles.size:
            pairs.append((first.quantiles, again.quantiles))
        return all(
            (np.abs(a[: self.known] - b[: self.known]) <= self.rounding * (np.abs(a[: self.known]) + a.std())).all()
            for one, two in pairs
            for a, b in zip(job.test.split(one), self.job.test.split(two), strict=True)
        )


def futures(job: Job) -> tuple[Future, Future]:
    """Return the job with different test days in the second half, and the job without them."""
    known = len(_parts(job.test)[0]) // 2
    return (
        Future(replace(job, test=rewritten(job.test, known)), known, "change", 0.0),
        Future(replace(job, test=job.test.cut(0, known)), known, "are missing", ROUNDING),
    )


def rehearse(plan: Plan, units: Iterable[Unit], catalogs: Catalogs, engine: Engine) -> None:
    """Rehearse every plugin model among the units to fit.

    Raises
    ------
    PluginError
        If one fails, with its plugin and name.
    """
    variants, firsts = plan.study.variants, dict[str, Unit]()
    for unit in units:
        if f"model {variants[unit.variant].model}" in catalogs.origins:
            firsts.setdefault(unit.variant, unit)
    for variant, result, _ in engine.map(list(firsts), lambda variant: Rehearsal(small(plan.job(firsts[variant])))):
        if isinstance(result, str):
            name = variants[variant].model
            raise PluginError(f"{catalogs.where('model', name)}model {name} (variant {variant}): {result}")


def small(job: Job) -> Job:
    """Reduce a job to a few samples and one epoch."""
    train = Samples(job.train.windows.cut(-TRAIN), _tails(job.train, -TRAIN))
    valid = Samples(job.valid.windows.cut(-VALID), _tails(job.valid, -VALID))
    return replace(job, model=brief(job.model), train=train, valid=valid, test=job.test.cut(0, TEST))


def brief(model: Forecaster, epochs: int = 1) -> Forecaster:
    """Return the model with a training of few epochs, if it is trained by epochs."""
    if not isinstance(model, Network):
        return model
    return replace(model, training=model.training.model_copy(update={"max_epochs": epochs, "patience": epochs}))


def rewritten(windows: Windows, known: int, seed: int = 0) -> Windows:
    """Replace everything after the first ``known`` samples of each ticker by noise of the same scale."""
    if isinstance(windows, Pool):
        return Pool.of([rewritten(part, known, seed + at) for at, part in enumerate(windows.parts)])
    known = min(known, len(windows))  # tickers that come and go have test sets of their own length
    rows, after = windows.rows.copy(), (windows.starts[known - 1] + 1 if known else 0) + windows.lookback - 1
    noise = np.random.default_rng(seed).normal(size=rows[after:].shape)
    rows[after:] = 3 * noise * (rows.std(axis=0) + 1e-3) + rows.mean(axis=0)
    return replace(windows, rows=rows)


def _tails(samples: Samples, start: int) -> np.ndarray:
    return np.concatenate([part[start:] for part in samples.windows.split(samples.y)])


def _parts(windows: Windows) -> Sequence[Windows]:
    return windows.parts if isinstance(windows, Pool) else (windows,)
