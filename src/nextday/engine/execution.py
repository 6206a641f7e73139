"""How a study is run, apart from what it says: where, on how many processes, with which finished units."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from nextday.models import Device
from nextday.progress import Watch


class Options(TypedDict, total=False):
    """The fields of ``Execution``, as keyword arguments of ``run`` and its kin."""

    workers: int | None
    cluster: str | None
    store: Path | str | None
    device: Device
    fresh: bool
    watch: Watch


def silent(outcomes: Iterable[Any], total: int) -> Iterable[Any]:  # noqa: ARG001 - the form of a Watch
    """Show nothing."""
    return outcomes


@dataclass(frozen=True, slots=True)
class Execution:
    """How a study is run. None of it changes a forecast, but that a GPU rounds otherwise than a CPU.

    Attributes
    ----------
    workers
        Worker processes; the number of cores unless given; 0 fits in this process.
    cluster
        Address of a Ray cluster that fits in their place, or ``auto``.
    store
        Folder of finished units, also of several studies, or a URL of it that fsspec knows; ``out/NAME/units`` unless
        given.
    device
        Where networks train.
    fresh
        Fit every unit, finished or not.
    watch
        Wraps the stream of outcomes, to show progress; also gets their number.

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
