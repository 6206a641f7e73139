"""Where finished units lie: a folder of this machine, or a URL that fsspec opens, such as ``s3://bucket/units``."""

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
    """A path on a file system of fsspec, with as much of ``pathlib.Path`` as finished units need.

    What a service answers is an ``OutputError`` in one line: of all errors, only that a file is not there is passed
    on, so that a unit is never taken for damaged because the network is down.
    """

    system: "AbstractFileSystem"
    path: str

    def __str__(self) -> str:
        return str(self.system.unstrip_protocol(self.path))  # without the password that a URL may hold

    def __truediv__(self, name: str) -> "RemotePath":
        return RemotePath(self.system, f"{self.path.rstrip('/')}/{name}")

    @property
    def name(self) -> str:
        """The last part."""
        return PurePosixPath(self.path).name

    @property
    def parent(self) -> "RemotePath":
        """The folder that it lies in."""
        return RemotePath(self.system, str(PurePosixPath(self.path).parent))

    def with_name(self, name: str) -> "RemotePath":
        """Give the path of another file of the same folder."""
        return self.parent / name

    def is_file(self) -> bool:
        """Tell whether there is a file; ``isfile`` of fsspec would also say no where the service does not answer."""
        try:
            return bool(self._ask("read", lambda: self.system.info(self.path))["type"] == "file")
        except FileNotFoundError:
            return False

    def glob(self, pattern: str) -> Iterator["RemotePath"]:
        """Give the files of this folder whose name is of a pattern; none where there is no folder."""
        try:
            found = self._ask("read", lambda: self.system.ls(self.path, detail=False))
        except FileNotFoundError:
            return iter(())
        return (one for path in found if fnmatchcase((one := RemotePath(self.system, path)).name, pattern))

    def read_bytes(self) -> bytes:
        """Read the file."""
        return self._ask("read", lambda: self.system.cat_file(self.path))

    def write_bytes(self, content: bytes) -> None:
        """Write the file; an object storage shows it only when it is whole."""
        self._ask("written", lambda: self.system.pipe_file(self.path, content))

    def replace(self, target: "RemotePath") -> None:
        """Give the file another name."""
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
    """Give the path that a user names, by a path or a URL; ``file://`` is a path as any other.

    Raises
    ------
    OutputError
        If fsspec knows no such protocol, the package that speaks it is not installed, or the URL is none.
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
