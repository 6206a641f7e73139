"""The trail of a computation: which files it read and wrote, and whether they are still the same."""

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PARTLY = ("manifest.json", "report.html")  # files of which not all counts
TIMES = ("started", "seconds", "units")  # of a manifest: when and how a run came to its tables
RUN = re.compile(rb"<dt>Run</dt><dd>started .*?</dd>")  # the same in a page


@dataclass(frozen=True, slots=True)
class Trail:
    """Digests of the files that were read, as they were before, and of those that were written."""

    read: dict[str, str] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)

    def holds(self) -> bool:
        """Return whether all files are as they were."""
        return all(digest_of(Path(path)) == digest for path, digest in (self.read | self.written).items())


_open: list[Trail] = []


@contextlib.contextmanager
def trail() -> Iterator[Trail]:
    """Note what is read and written within the block."""
    _open.append(made := Trail())
    try:
        yield made
    finally:
        _open.remove(made)


def reads(path: Path) -> None:
    """Note that a file or the names in a folder are about to be read, or that it matters whether they are there."""
    key = str(path.absolute())
    for one in _open:
        if key not in one.read and key not in one.written:
            one.read[key] = digest_of(path)


def wrote(path: Path, content: bytes | None) -> None:
    """Note what was written to a file, or that it was removed; hidden files come and go."""
    for one in () if path.name.startswith(".") else _open:
        one.written[str(path.absolute())] = "" if content is None else _digest(path.name, content)


def digest_of(path: Path) -> str:
    """Hash a file but for the times of a run, or the names in a folder and the stamps of its files; empty if absent."""
    try:
        if path.is_dir():
            return digest(sorted(map(_stamp, os.scandir(path))))
        if path.name in PARTLY:
            return _digest(path.name, path.read_bytes())
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def digest(*values: object) -> str:
    """Hash values by their texts, bytes as they are."""
    found = hashlib.sha256()
    for value in values:
        content = value if isinstance(value, bytes) else repr(value).encode("utf-8", "backslashreplace")
        found.update(len(content).to_bytes(8, "big") + content)
    return found.hexdigest()


def _digest(name: str, content: bytes) -> str:
    if name == PARTLY[0]:
        with contextlib.suppress(ValueError):
            told = json.loads(content)
            lasting = {key: told[key] for key in told if key not in TIMES} if isinstance(told, dict) else told
            content = repr(lasting).encode()
    return hashlib.sha256(RUN.sub(b"", content) if name == PARTLY[1] else content).hexdigest()


def _stamp(entry: os.DirEntry[str]) -> tuple[str, int, int]:
    told = entry.stat()
    return (entry.name, told.st_size, told.st_mtime_ns) if entry.is_file() else (entry.name, 0, 0)
