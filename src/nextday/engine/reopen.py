"""Open a study that is fitted and that nothing has changed: as if it were run, and every unit reused."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nextday.data import Panel
from nextday.engine.execution import Execution
from nextday.engine.log import RunLog
from nextday.engine.manifest import times
from nextday.engine.store import Store
from nextday.progress import Watch
from nextday.storage.folder import MANIFEST, StudyFolder
from nextday.storage.memory import keep, recall
from nextday.storage.trail import Trail, digest, digest_of
from nextday.study import Study

OUTSIDE = ("chronos_bolt",)  # models that read files which come neither with nextday nor with a package


@dataclass(frozen=True, slots=True)
class Seen:
    """A unit that is there already, or another piece of work."""

    unit: str
    reused: bool


@dataclass(slots=True)
class Run:
    """A run that notes what it says, so that it can be repeated without being computed.

    Attributes
    ----------
    folder, log, watch
        Where the study lies, where it is logged, and who watches it.
    request
        What its tables depend on beside code and files; empty if that is not known, and nothing is kept.
    said, streams
        Lines of the log, and what was watched: names, and whether they are units.
    """

    folder: StudyFolder
    log: RunLog
    watch: Watch
    request: tuple[object, ...]
    said: list[str] = field(default_factory=list)
    streams: list[list[tuple[str, bool]]] = field(default_factory=list)

    def say(self, line: str) -> None:
        """Write a line to the log."""
        self.said.append(line)
        self.log.say(line)

    def watched(self, pieces: Iterable[Any], total: int) -> Iterable[Any]:
        """Let a stream be watched."""
        return self.watch(self._note(pieces), total)

    def _note(self, pieces: Iterable[Any]) -> Iterator[Any]:
        passed: list[tuple[str, bool]] = []
        self.streams.append(passed)
        for piece in pieces:
            passed.append((str(piece.unit), hasattr(piece, "reused")))
            yield piece

    def keep(self, units: Store, noted: Trail, manifest: bytes) -> None:
        """Keep what was said, beside the files that were read and written."""
        if self.request and isinstance(units.folder, Path):
            noted.read[str(units.folder.absolute())] = digest_of(units.folder)
            keep("fit", self.folder.path, noted, (self.said, self.streams, manifest), *self.request)

    def repeats(self, started: float) -> bool:
        """Repeat the log and the manifest of a run that reuses every unit; return False if something has changed."""
        found = recall("fit", self.folder.path, *self.request) if self.request else None
        if found is None:
            return False
        said, streams, manifest = found
        for line in said:
            self.log.say(line)
        for stream in streams:
            for _ in self.watch((Seen(*piece) for piece in stream), len(stream)):
                pass
        content = _again(json.loads(manifest), started)
        self.folder.put(MANIFEST, content)
        self.log.finish(content)
        return True


def request_of(study: Study, panel: Panel, how: Execution, written: str) -> tuple[object, ...]:
    """Return what the tables of a study depend on, beside code and files; empty if guests or other files decide."""
    if study.plugins or any(one.model in OUTSIDE for one in study.variants.values()):
        return ()
    bars = panel.frame.rechunk().write_ipc(None).getvalue()
    facts = (panel.tickers, panel.market, panel.dropped, panel.source, panel.notes, dict(panel.joined), panel.costs,
        panel.gaps, panel.balance,
    )  # fmt: skip
    cards = sorted(path.name for path in Path("/dev").glob("nvidia*"))
    machine = how.device, how.cluster is None, cards, os.environ.get("CUDA_VISIBLE_DEVICES")
    return (
        study.model_dump_json(),
        written,
        digest(bars, panel.dates.tobytes(), facts),
        machine,
        how.store and os.path.abspath(how.store),
    )


def _again(manifest: Mapping[str, Any], started: float) -> bytes:
    """Return the manifest of a run that reuses what this one fitted."""
    units = manifest["units"]
    reused = units | {"fitted": 0, "reused": units["fitted"] + units["reused"]}
    return json.dumps({**manifest, "units": reused, **times(started)}, indent=1).encode()
