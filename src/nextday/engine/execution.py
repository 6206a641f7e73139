"""Execution settings that are not part of a study: device, processes, and store of finished units."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from nextday.models import Device
from nextday.progress import Watch


class Options(TypedDict, total=False):
    """The fields of ``Execution``, as keyword arguments of ``run`` and similar functions."""

    workers: int | None
    cluster: str | None
    store: Path | str | None
    device: Device
    fresh: bool
    watch: Watch


def silent(outcomes: Iterable[Any], total: int) -> Iterable[Any]:  # noqa: ARG001 - the form of a Watch
    """Display no progress."""
    return outcomes


@dataclass(frozen=True, slots=True)
class Execution:
    """Execution settings. They do not change forecasts, except that a GPU rounds differently from a CPU.

    Attributes
    ----------
    workers
        Worker processes; default: number of cores; 0 fits in this process.
    cluster
        Address of a Ray cluster to use instead, or ``auto``.
    store
        Folder or fsspec URL of finished units, which several studies can share; default: ``out/NAME/units``.
    device
        Device for training networks.
    fresh
        Refit finished units.
    watch
        Wraps the stream of outcomes to show progress; also receives their number.

    Examples
    --------
    >>> Execution(workers=2).device
    'auto'
    """

    workers: int | None = None
    cluster: str | None = None
    store: Path | str | None = None
    device: Device = "auto"
    fresh: bool = False
    watch: Callable[[Iterable[Any], int], Iterable[Any]] = silent
