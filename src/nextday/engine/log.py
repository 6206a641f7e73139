"""The log of a study's runs, ``run.log`` in its folder: what a person would have seen on the terminal, with times."""

import contextlib
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nextday.errors import NextdayError
from nextday.progress import Watch

MOST = 1000  # lines for the units of one run; of more units only every so many is written


class RunLog:
    """Appends lines to a file, from ``begin`` on; an error that ends a ``with`` block is one of them.

    A line that cannot be written is left out: a full disk shows in what is written next, and results do not hang
    on their log.

    Examples
    --------
    >>> with RunLog() as log:
    ...     log.say("nothing is written before a run begins")
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, KeyboardInterrupt):
            self.say("stopped")
        elif error is not None:
            self.say(f"failed: {'' if isinstance(error, NextdayError) else type(error).__name__ + ': '}{error}")

    def say(self, text: str) -> None:
        """Append one line, with the time in UTC before it."""
        if self._path is None:
            return
        line = f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {' '.join(text.split())}\n"
        with contextlib.suppress(OSError), self._path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(line)

    def begin(self, path: Path, study: str, versions: Mapping[str, str]) -> None:
        """Write to a file from here on, what is run and with which versions first."""
        self._path = path
        self.say(f"run of {study} starts; {', '.join(f'{name} {version}' for name, version in versions.items())}")

    def watching(self, watch: Watch) -> Watch:
        """Return what watches a stream as ``watch`` does, and writes what it sees."""
        return lambda pieces, total: watch(self._write_each(pieces, total), total)

    def finish(self, manifest: bytes) -> None:
        """Write the notes of a finished run and what it took."""
        said = json.loads(manifest)
        for note in said["notes"]:
            self.say(f"note: {note}")
        units = said["units"]
        self.say(f"tables written; units fitted: {units['fitted']}, reused: {units['reused']}; {said['seconds']} s")

    def _write_each(self, pieces: Iterable[Any], total: int) -> Iterable[Any]:
        step = -(-total // MOST)
        for done, piece in enumerate(pieces, start=1):
            failure, fitted = getattr(piece, "failure", ""), getattr(piece, "fitted", None)
            if failure:
                self.say(f"{done}/{total} {piece.unit}: failed: {failure}")
            elif not getattr(piece, "reused", False) and (done % step == 0 or done == total):
                self.say(f"{done}/{total} {piece.unit}" + (f": {fitted.seconds:.2f} s" if fitted else ""))
            yield piece
