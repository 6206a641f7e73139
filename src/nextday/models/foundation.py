"""Pretrained models as zero-shot forecasters: from returns up to the origin to quantiles of the next one.

Inputs are returns, not prices; both models scale a context internally, so no scaler is needed.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import date
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from nextday.errors import MissingError, StudyError, TrainingError
from nextday.models.base import Device, Fitted, Forecaster, Key, resolve_device
from nextday.samples import Samples, Windows
from nextday.words import plural

DECILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

Forecast = Callable[[np.ndarray], np.ndarray]
"""From contexts [batch, context], float32, NaN before the history begins, to next-day quantiles [batch, emitted]."""


@dataclass(frozen=True, slots=True, repr=False)
class Foundation(Forecaster):
    """A pretrained model without fitting; ``valid`` only extends the history.

    The forecast for an origin uses the last ``context`` returns up to it, across the training, validation and test
    sets; fewer if the history is shorter. Contexts are stacked into batches of one fixed shape, because the shape of a
    product changes the last bits, while other batch members do not.

    Attributes
    ----------
    sweep
        Candidate context lengths that replace ``context``: the one whose quantiles, or medians if there are no levels,
        have the smallest pinball loss on the validation set is chosen. Only this one forecasts the test set.
    levels
        Levels of the quantiles to return; each must be a level of the model, because none is interpolated. The point
        forecast is the median. Crossing quantiles are sorted, which never increases their pinball loss (Chernozhukov,
        Fernandez-Val and Galichon 2010), and counted in a note.
    trained_until
        Knowledge cut-off: the last day that the training data may contain; None if it is not declared, then every day
        counts as seen.
    may_hold
        What is known about the series in the training data.

    Raises
    ------
    StudyError
        If the package or the weights are not installed, or the model does not emit a level.
    """

    needs: ClassVar[tuple[str, ...]] = ("log_return",)
    packages: ClassVar[tuple[str, ...]]  # whose versions the forecasts depend on, the model's own first
    module: ClassVar[str]
    batch: ClassVar[int]  # contexts at a time
    least: ClassVar[int] = 1  # returns that a context has to hold
    may_hold: ClassVar[str]
    context: Annotated[int, Field(ge=8)] = 512
    sweep: tuple[Annotated[int, Field(ge=8)], ...] = ()
    levels: tuple[float, ...] = ()
    device: Device = "cpu"
    trained_until: date | None = field(default=None, repr=False)  # says nothing about the forecasts

    def __post_init__(self) -> None:
        if find_spec(self.module) is None:
            raise MissingError(f"{self.module} is not installed: pip install 'nextday[foundation]'")

    def __repr__(self) -> str:
        """Describe the settings and what else makes the forecasts: a unit is stored under this text."""
        settings = ", ".join(f"{item.name}={getattr(self, item.name)!r}" for item in fields(self) if item.repr)
        return f"{type(self).__name__}({settings}) by {self.source()}"

    def source(self) -> str:
        """Return an identifier of the code and the weights."""
        return ", ".join(f"{package} {metadata.version(package)}" for package in self.packages)

    @abstractmethod
    def load(self, device: str) -> tuple[Forecast, tuple[float, ...]]:
        """Load the weights; return the forecast function of a batch, and the emitted levels."""

    def contaminated(self, dates: np.ndarray) -> np.ndarray:
        """Return which target dates the training data may contain; bool, shape [day]."""
        if self.trained_until is None:
            return np.ones(len(dates), bool)
        return np.asarray(dates, "datetime64[D]") <= np.datetime64(self.trained_until)

    def fit_predict(self, train: Samples, valid: Samples, test: Windows, *, key: Key) -> Fitted:
        """Forecast every validation and test sample one step ahead."""
        device = resolve_device(self.device)
        past, ends, test_ends = _history(train.windows, valid.windows, test)
        if ends[0] - 1 < self.least:
            raise TrainingError(
                f"{key.ticker}: {ends[0] - 1} returns before the validation set are too few for {self.module}, "
                f"which needs {self.least}"
            )
        forecast, emitted = self.load(device)
        check_levels(self.module, (*self.levels, 0.5), emitted)
        columns = [emitted.index(level) for level in self.levels or (0.5,)]

        def quantiles(context: int, ends: np.ndarray) -> np.ndarray:
            """Forecast from the first ``ends`` returns of the history, [sample, emitted]."""
            padded = np.concatenate([np.full(context - 1, np.nan, np.float32), past])
            contexts = np.lib.stride_tricks.sliding_window_view(padded, context)
            parts = [ends[at : at + self.batch] - 1 for at in range(0, len(ends), self.batch)]
            found = [forecast(_fill(contexts[part], self.batch))[: len(part)] for part in parts]
            return np.concatenate(found).astype(np.float64)

        on_valid = {context: quantiles(context, ends) for context in self.sweep or (self.context,)}
        losses = {
            context: _pinball(np.sort(found, axis=1)[:, columns], valid.y, self.levels or (0.5,))
            for context, found in on_valid.items()
        }
        context = min(losses, key=losses.__getitem__)
        found = np.concatenate([on_valid[context], quantiles(context, test_ends)])
        crossed = int((np.diff(found, axis=1) < 0).any(axis=1).sum())
        found = np.sort(found, axis=1)
        asked = found[:, columns if self.levels else []]
        return Fitted(
            found[len(valid.windows) :, emitted.index(0.5)],
            quantiles=asked[len(valid.windows) :],
            valid_quantiles=asked[: len(valid.windows)],
            notes=(f"quantiles crossed on {crossed} of {plural(len(found), 'day')}",) if crossed else (),
            extras={"sweep": np.array(list(losses.items()))} if self.sweep else {},  # [context, (length, loss)]
        )


@dataclass(frozen=True, slots=True, repr=False)
class ChronosBolt(Foundation):
    """Chronos-Bolt (Ansari et al. 2024): a T5 over patches of 16 days that emits deciles of the next 64 days.

    ``weights`` is a folder, or a name on the Hugging Face hub whose files are in the local cache: nothing is
    downloaded, so that a run neither waits for a network nor depends on one. Its authors name the training data (table
    3 of the paper, by issue 245 of amazon-science/chronos-forecasting) but no last day; it was published on 2024-11-26.
    The series of M4 were drawn on 2017-12-28 (m4.unic.ac.cy).
    """

    packages: ClassVar[tuple[str, ...]] = ("chronos-forecasting", "transformers")
    module: ClassVar[str] = "chronos"
    batch: ClassVar[int] = 32
    may_hold: ClassVar[str] = (
        "no knowledge cut-off is declared; of its training data sets, M4 contains unnamed financial series up to "
        "2017, so these returns may be among them"
    )
    weights: str = "amazon/chronos-bolt-small"

    def __post_init__(self) -> None:
        Foundation.__post_init__(self)
        self.folder()

    def source(self) -> str:
        """Name the code and the weights, by their content."""
        files = sorted(file for file in self.folder().iterdir() if file.suffix in {".json", ".safetensors", ".bin"})
        return f"{Foundation.source(self)}, weights {_digest(tuple((file, file.stat().st_mtime_ns) for file in files))}"

    def folder(self) -> Path:
        """Find the weights on this machine."""
        from huggingface_hub import snapshot_download

        found = Path(self.weights).expanduser()
        if not found.is_dir():
            try:
                found = Path(snapshot_download(self.weights, local_files_only=True))
            except (OSError, ValueError):  # not in the cache, or no name of the hub
                found = Path()
        if not (found / "config.json").is_file():
            raise MissingError(
                f"chronos_bolt: no weights {self.weights!r} here: give `weights` the path of a folder with config.json "
                "and model.safetensors, or, online, `hf download amazon/chronos-bolt-small` and the name"
            )
        return found

    def load(self, device: str) -> tuple[Forecast, tuple[float, ...]]:
        """Load the checkpoint in single precision."""
        import torch
        from chronos import BaseChronosPipeline, ChronosBoltPipeline

        try:
            with _quiet():
                pipeline = BaseChronosPipeline.from_pretrained(
                    self.folder(), device_map=device, dtype="float32", local_files_only=True
                )
        except Exception as error:
            raise TrainingError(f"chronos_bolt: cannot load {self.weights}: {str(error).splitlines()[0]}") from error
        if not isinstance(pipeline, ChronosBoltPipeline):
            raise TrainingError(f"chronos_bolt: {self.weights} contains a {type(pipeline).__name__}, not Chronos-Bolt")
        reach, emitted = pipeline.model_context_length, tuple(pipeline.quantiles)
        longest = max(self.sweep or (self.context,))
        if longest > reach:
            raise StudyError(f"chronos_bolt: context {longest} exceeds its maximum of {plural(reach, 'day')}")

        def forecast(contexts: np.ndarray) -> np.ndarray:
            quantiles, _ = pipeline.predict_quantiles(
                torch.from_numpy(contexts), prediction_length=1, quantile_levels=list(emitted)
            )
            return quantiles[:, 0].numpy()

        return forecast, emitted


def check_levels(model: str, levels: tuple[float, ...], emitted: tuple[float, ...]) -> None:
    """Refuse levels that a model does not emit; nothing is interpolated or extrapolated."""
    missing = [level for level in levels if level not in emitted]
    if missing:
        raise StudyError(
            f"{model} does not emit the level {missing[0]:g}, and none is interpolated; it emits "
            f"{', '.join(f'{level:g}' for level in emitted)}"
        )


def _history(train: Windows, valid: Windows, test: Windows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Join the returns of consecutive ranges, whose rows overlap by a window less its origin.

    Returns
    -------
    past
        Returns of one session, float32, shape [day]: those across gaps are left out.
    valid, test
        How many of them each sample of valid and of test knows, shape [sample] each.
    """
    parts = [part.rows[:, part.names.index("log_return")].astype(np.float32) for part in (train, valid, test)]
    overlap = test.lookback - 1
    for before, after in pairwise(parts):
        assert np.array_equal(before[len(before) - overlap :], after[:overlap]), "ranges are not consecutive"
    joined = np.concatenate([parts[0], *(part[overlap:] for part in parts[1:])])
    first = np.array([0, len(parts[0]) - overlap, len(joined) - len(parts[2])])  # row of each range's first row
    kept = np.ones(len(joined), bool)
    for at, part in zip(first, (train, valid, test), strict=True):
        if part.breaks is not None:
            kept[at : at + len(part.rows)] = ~part.breaks.apart
    known = np.cumsum(kept)
    return joined[kept], known[first[1] + valid.starts + overlap], known[first[2] + test.starts + overlap]


def _pinball(quantiles: np.ndarray, y: np.ndarray, levels: tuple[float, ...]) -> float:
    over = quantiles - y[:, None]
    return float(np.maximum((1 - np.array(levels)) * over, -np.array(levels) * over).mean())


def _fill(contexts: np.ndarray, batch: int) -> np.ndarray:
    """Copy contexts and repeat the last one up to the fixed size of a batch."""
    return np.pad(contexts, ((0, batch - len(contexts)), (0, 0)), mode="edge")


@cache
def _digest(files: tuple[tuple[Path, int], ...]) -> str:
    """Name files by their content, read again only when one is written; 16 hex digits."""
    digest = hashlib.sha256()
    for file, _ in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the bars of transformers off the terminal."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
