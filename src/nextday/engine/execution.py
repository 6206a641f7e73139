"""Execution settings that are not part of a study: device, processes, and store of finished units."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from nextday.models import Device
from nextday.progress import Watch


class Options(TypedDict, total=False):
    """The fields of ``Execution``, as keyword arguments of ``run`` and similar functions."""

    workers: int | None
    cluster: str | None
    store: Path | str | None
    device: Device
    fresh: bool
    watch: Watch | bool


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
        Progress: a bar with the time left on a terminal and in a notebook, a line now and then where standard error is
        a file or a pipe. False shows nothing; a function wraps the stream of outcomes and receives their number.

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
    watch: Watch | bool = True
