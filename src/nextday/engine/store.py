"""Finished units, stored by content: an interrupted run resumes, and nothing is fitted twice.

A unit is two files: ``KEY.safetensors`` with its numbers, and ``KEY.json`` with its facts and the sha256 of both. Each
file is written under a temporary name and renamed (or uploaded to a URL), the JSON last: a unit without JSON does not
exist. Nothing waits for the disk, which takes longer than many a fit: what a loss of power leaves of a unit is
damaged, and refitted. Reading never runs code from the folder.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError
from safetensors.numpy import load, save

from nextday.errors import OutputError
from nextday.models import Fitted
from nextday.storage.files import open_folder, write_atomically
from nextday.storage.remote import RemotePath, locate

Place = Path | RemotePath
Arrays = dict[str, np.ndarray]
Result = TypeVar("Result")
ARRAYS = ("predicted", "train_loss", "valid_loss", "quantiles", "valid_quantiles")
GROUPS = ("weights", "extras")  # fields of named arrays: theirs are kept as GROUP.NAME


class Facts(BaseModel):
    """Content of a unit's JSON; ``sha256`` covers the file of numbers and the other facts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    unit: str
    best_epoch: int
    notes: tuple[str, ...]
    seconds: float
    sha256: str = ""

    def digest(self, content: bytes) -> str:
        """Hash the numbers together with these facts; 64 hex digits."""
        return hashlib.sha256(self.model_dump_json(exclude={"sha256"}).encode() + content).hexdigest()


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of finished units, of one study or of several."""

    folder: Place

    def save(self, key: str, fitted: Fitted, *, label: str) -> None:
        """Store a finished unit under the fingerprint of its job."""
        arrays = {name: getattr(fitted, name) for name in ARRAYS}
        for group in GROUPS:
            arrays |= {f"{group}.{name}": value for name, value in getattr(fitted, group).items()}
        facts = Facts(unit=label, best_epoch=fitted.best_epoch, notes=fitted.notes, seconds=round(fitted.seconds, 3))
        self._write(key, arrays, facts)

    def save_arrays(self, key: str, arrays: Mapping[str, np.ndarray], *, label: str, seconds: float) -> None:
        """Store the named arrays of another kind of job."""
        self._write(key, arrays, Facts(unit=label, best_epoch=0, notes=(), seconds=round(seconds, 3)))

    def load(self, key: str) -> Fitted | str:
        """Load a unit, or return the reason why not: empty if it was never stored.

        A damaged unit is renamed, so that it is refitted.
        """
        return self._load(key, _unpack)

    def load_arrays(self, key: str) -> Arrays | str:
        """Load named arrays, or return the reason why not, like ``load``."""
        return self._load(key, lambda arrays, _: arrays)

    def holds(self, key: str) -> bool:
        """Return whether a key exists in the store, without reading its value."""
        return self._paths(key)[1].is_file()

    def is_empty(self) -> bool:
        """Return whether the store is empty."""
        return next(self.folder.glob("*.json"), None) is None

    def _paths(self, key: str) -> tuple[Place, Place]:
        return self.folder / f"{key}.safetensors", self.folder / f"{key}.json"

    def _write(self, key: str, arrays: Mapping[str, np.ndarray], facts: Facts) -> None:
        path, facts_path = self._paths(key)
        content = save({name: np.asarray(value, order="C") for name, value in arrays.items()})  # it writes memory as is
        facts = facts.model_copy(update={"sha256": facts.digest(content)})
        write_atomically(path, content, sync=False)
        write_atomically(facts_path, facts.model_dump_json(indent=1).encode(), sync=False)

    def _load(self, key: str, unpack: Callable[[Arrays, Facts], Result]) -> Result | str:
        if not self.holds(key):
            return ""
        try:
            return unpack(*self._read(key))
        except (OSError, ValueError, KeyError, SafetensorError):
            self._set_aside(key)
            return f"its stored unit was damaged; renamed to {key[:12]}*.damaged and refitted"

    def _read(self, key: str) -> tuple[Arrays, Facts]:
        path, facts_path = self._paths(key)
        facts, content = Facts.model_validate_json(facts_path.read_bytes(), strict=True), path.read_bytes()
        if facts.sha256 != facts.digest(content):
            raise ValueError("the sha256 differs")
        return load(content), facts

    def _set_aside(self, key: str) -> None:
        for path in self._paths(key):
            try:
                path.replace(path.with_name(f"{path.name}.damaged"))  # type: ignore[arg-type]  # both are of one kind
            except FileNotFoundError:
                continue  # never there, or another run was first
            except OSError as error:
                raise OutputError(f"{path} is damaged and cannot be renamed: {error.strerror}; remove it") from None


def _unpack(arrays: Arrays, facts: Facts) -> Fitted:
    """Put a unit together; arrays of no known group are those of another version, and raise a ``KeyError``."""
    own, named = {name: arrays.pop(name) for name in ARRAYS}, {group: dict[str, np.ndarray]() for group in GROUPS}
    for whole, value in arrays.items():
        group, _, name = whole.partition(".")
        named[group][name] = value
    facts_of = {"best_epoch": facts.best_epoch, "notes": facts.notes, "seconds": facts.seconds}
    return Fitted(**own, **named, **facts_of)  # type: ignore[arg-type]  # by name, as they were taken


def open_store(where: Path | str) -> Store:
    """Open a store of finished units at a path or an fsspec URL.

    Raises
    ------
    OutputError
        If it is not writable.
    """
    return Store(open_folder(locate(where), option="--store"))
