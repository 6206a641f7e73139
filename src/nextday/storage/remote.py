"""Storage of finished units: a local folder, or a URL for fsspec such as ``s3://bucket/units``."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from nextday.errors import OutputError, first_line

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class RemotePath:
    """A path on an fsspec file system, with the part of ``pathlib.Path`` that finished units need.

    Errors of a service become an ``OutputError`` in one line; only a missing file is passed on, so that a unit is never
    considered damaged because the network is down.
    """

    system: "AbstractFileSystem"
    path: str

    def __str__(self) -> str:
        return str(self.system.unstrip_protocol(self.path))  # without the password that a URL may hold

    def __truediv__(self, name: str) -> "RemotePath":
        return RemotePath(self.system, f"{self.path.rstrip('/')}/{name}")

    @property
    def name(self) -> str:
        """Last part of the path."""
        return PurePosixPath(self.path).name

    @property
    def parent(self) -> "RemotePath":
        """Parent folder."""
        return RemotePath(self.system, str(PurePosixPath(self.path).parent))

    def with_name(self, name: str) -> "RemotePath":
        """Return the path of another file in the same folder."""
        return self.parent / name

    def is_file(self) -> bool:
        """Return whether the file exists; ``isfile`` of fsspec is also False if the service does not respond."""
        try:
            return bool(self._ask("read", lambda: self.system.info(self.path))["type"] == "file")
        except FileNotFoundError:
            return False

    def glob(self, pattern: str) -> Iterator["RemotePath"]:
        """Return the files of this folder that match a pattern; none if the folder does not exist."""
        try:
            found = self._ask("read", lambda: self.system.ls(self.path, detail=False))
        except FileNotFoundError:
            return iter(())
        return (one for path in found if fnmatchcase((one := RemotePath(self.system, path)).name, pattern))

    def read_bytes(self) -> bytes:
        """Read the file."""
        return self._ask("read", lambda: self.system.cat_file(self.path))

    def write_bytes(self, content: bytes) -> None:
        """Write the file; object storage makes it visible only when complete."""
        self._ask("written", lambda: self.system.pipe_file(self.path, content))

    def replace(self, target: "RemotePath") -> None:
        """Rename the file."""
        self._ask("moved", lambda: self.system.mv(self.path, target.path))

    def unlink(self, *, missing_ok: bool = False) -> None:
        """Remove the file."""
        with contextlib.suppress(*[FileNotFoundError] if missing_ok else []):
            self._ask("removed", lambda: self.system.rm_file(self.path))

    def _ask(self, done: str, question: Callable[[], Answer]) -> Answer:
        try:
            return question()
        except FileNotFoundError:
            raise
        except Exception as error:  # noqa: BLE001 - every service raises errors of its own kind
            why = first_line(error)
            raise OutputError(f"{self} cannot be {done}: {why}; name another place with --store") from None


def locate(where: Path | str) -> Path | RemotePath:
    """Return the path for a local path or a URL; ``file://`` is a local path.

    Raises
    ------
    OutputError
        If fsspec does not know the protocol, its package is not installed, or the URL is invalid.
    """
    protocol, colon, _ = str(where).partition("://")
    if not colon:
        return Path(where)
    from fsspec.core import url_to_fs
    from fsspec.implementations.local import LocalFileSystem

    try:
        system, path = url_to_fs(str(where))
    except ImportError as error:
        raise OutputError(f"--store {protocol}://: {error}; pip install the package, or name a folder") from None
    except Exception as error:  # noqa: BLE001 - some connect at once
        why = first_line(error)
        raise OutputError(f"--store {protocol}://: {why}; name a folder or a URL such as s3://bucket/units") from None
    return Path(path) if isinstance(system, LocalFileSystem) else RemotePath(system, path)
