"""Atomic writing of files."""

import contextlib
import io
import os
import tempfile
import time
from pathlib import Path
from typing import TypeVar

import polars as pl

from nextday.errors import OutputError
from nextday.storage.remote import RemotePath
from nextday.storage.trail import wrote

Folder = TypeVar("Folder", bound=Path | RemotePath)
STALE = 3600  # seconds; no file takes that long to write, so a temporary one that is older was left by a killed run


def open_folder(folder: Folder, *, option: str = "--out") -> Folder:
    """Create a folder and check that it is writable, before anything is fitted.

    ``option`` is the option that sets another folder.

    Raises
    ------
    OutputError
        If it cannot.
    """
    write_atomically(folder / ".writable", b"nextday", option=option)
    (folder / ".writable").unlink(missing_ok=True)  # another run may have removed it
    sweep(folder)
    return folder


def sweep(folder: Path | RemotePath) -> None:
    """Remove the temporary files of killed runs. They are never mistaken for results, but they fill the disk."""
    if isinstance(folder, RemotePath):
        return  # there are none
    for path in folder.glob(".*.*.*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > STALE:
                path.unlink()


def write_atomically(path: Path | RemotePath, content: bytes, *, option: str = "--out", sync: bool = True) -> None:
    """Write a file atomically; behind a URL the service guarantees it.

    Without ``sync`` a loss of power may leave the file short or empty: for files that are checked when they are read.

    Raises
    ------
    OutputError
        If the disk is full or the folder is not writable; no partial file remains.
    """
    if isinstance(path, RemotePath):
        path.write_bytes(content)
        return
    temporary, parent = None, path.parent
    try:
        if not parent.is_dir():
            parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            if sync:
                file.flush()
                os.fsync(file.fileno())
            os.fchmod(handle, 0o644)
        os.replace(temporary, path)
        temporary = None
        if sync:
            wrote(path, content)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror or error}; name another folder with {option}"
        ) from None
    finally:
        if temporary is not None:  # also after Ctrl-C
            Path(temporary).unlink(missing_ok=True)


def write_parquet(path: Path, table: pl.DataFrame) -> None:
    """Write a table as Parquet, atomically."""
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    write_atomically(path, buffer.getvalue())
