"""Finished units on disk, named by their content: a run goes on where it stopped, and nothing is fitted twice.

A unit is two files: ``KEY.safetensors`` with its numbers, and ``KEY.json`` with its facts and the sha256 of the first.
Each is written under another name, synced and renamed, the JSON last: a unit without it does not exist. Reading runs no
code, whoever wrote the folder.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load, save

from nextday.files import write_atomically
from nextday.models import Fitted

ARRAYS = ("predicted", "train_loss", "valid_loss")


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of finished units."""

    folder: Path

    def save(self, key: str, fitted: Fitted, *, label: str, seconds: float) -> None:
        """Keep a finished unit under the fingerprint of its job."""
        arrays = {name: getattr(fitted, name) for name in ARRAYS}
        content = save(arrays | {f"weights.{name}": value for name, value in fitted.weights.items()})
        facts = {
            "unit": label, "best_epoch": fitted.best_epoch, "notes": fitted.notes, "seconds": round(seconds, 3),
            "sha256": hashlib.sha256(content).hexdigest(),
        }  # fmt: skip
        write_atomically(self.folder / f"{key}.safetensors", content)
        write_atomically(self.folder / f"{key}.json", json.dumps(facts, indent=1).encode())

    def load(self, key: str) -> Fitted | None:
        """Read a unit back; None if it is not there. A damaged one is set aside, so that it is fitted again."""
        facts_path, path = self.folder / f"{key}.json", self.folder / f"{key}.safetensors"
        if not facts_path.is_file():
            return None
        try:
            facts = json.loads(facts_path.read_text("utf-8"))
            content = path.read_bytes()
            arrays = load(content) if hashlib.sha256(content).hexdigest() == facts["sha256"] else {}
            return Fitted(
                arrays.pop("predicted"),
                arrays.pop("train_loss"),
                arrays.pop("valid_loss"),
                {name.removeprefix("weights."): value for name, value in arrays.items()},
                int(facts["best_epoch"]),
                tuple(map(str, facts["notes"])),
            )
        except (OSError, ValueError, KeyError, TypeError, SafetensorError):
            self._set_aside(key)
            return None

    def _set_aside(self, key: str) -> None:
        for suffix in (".json", ".safetensors"):
            path = self.folder / f"{key}{suffix}"
            if path.exists():
                path.rename(path.with_name(path.name + ".damaged"))
