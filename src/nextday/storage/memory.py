"""What was computed before: a finished study that nothing has changed is opened, not computed again.

A record has a result, and the digest of every file that was read for it and written with it. It is taken only while
all of these are as they were, and by the same code, libraries and machine. Records lie in the user's own cache, never
in a study's folder: results of somebody else cannot vouch for themselves, and nothing of theirs is unpickled.
``NEXTDAY_CACHE`` names another folder than ``~/.cache/nextday``; if it is empty, nothing is kept.
"""

import contextlib
import hashlib
import io
import os
import pickle
import platform
import sys
from collections.abc import Callable
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import cloudpickle

from nextday.errors import OutputError
from nextday.storage.files import write_atomically
from nextday.storage.trail import Trail, digest, digest_of, trail

Made = TypeVar("Made")

MOST_READ, MOST, MOST_KEPT = 16_000_000, 64_000_000, 512_000_000  # bytes of files behind a record, of one, of all
DRAWING = ("MATPLOTLIBRC", "MPLCONFIGDIR", "XDG_CONFIG_HOME")  # variables that name settings of matplotlib


def once(kind: str, folder: Path, make: Callable[[], Made], *asked: object) -> Made:
    """Return what ``make`` returned for the same request and wrote to a folder, or let it do so."""
    known: Made | None = recall(kind, folder, *asked)
    if known is not None:
        return known
    with trail() as found:
        made = make()
    keep(kind, folder, found, made, *asked)
    return made


def recall(kind: str, folder: Path, *asked: object) -> Any:  # noqa: ANN401 - as it was kept
    """Return what was kept of a folder for the same request, if all that it depends on is as it was; else None."""
    content = b"" if (path := _path(kind, folder, asked)) is None or not path.is_file() else path.read_bytes()
    if content[:32] != hashlib.sha256(content[32:]).digest():
        return None
    record = io.BytesIO(content[32:])
    return pickle.load(record) if pickle.load(record).holds() else None


def keep(kind: str, folder: Path, found: Trail, value: object, *asked: object) -> None:
    """Keep a value for ``recall``, in place of what was kept of the folder before; not if it is very large."""
    files = [file for file in map(Path, found.read) if file.is_file()]
    if (path := _path(kind, folder, asked)) is None or sum(file.stat().st_size for file in files) > MOST_READ:
        return
    content = pickle.dumps(found) + cloudpickle.dumps(value)
    if len(content) < MOST:
        with contextlib.suppress(OSError, OutputError):
            for old in path.parent.glob(f"{path.name.rpartition('-')[0]}-*"):
                old.unlink(missing_ok=True)
            write_atomically(path, hashlib.sha256(content).digest() + content, sync=False)
            _forget(path.parent)


def _path(kind: str, folder: Path, asked: tuple[object, ...]) -> Path | None:
    """Return where a record lies; None if there is no place that is the user's alone."""
    if (home := _home()) is None:
        return None
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        told = home.stat()
    except OSError:
        return None
    if hasattr(os, "getuid") and (told.st_uid != os.getuid() or told.st_mode & 0o022):
        return None
    return home / f"{kind}-{digest(str(folder.absolute()))[:24]}-{digest(_code(), _drawing(), *asked)[:24]}"


def _home() -> Path | None:
    place = os.environ.get("NEXTDAY_CACHE")
    try:
        known = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nextday" if place is None else place
    except RuntimeError:  # no home
        return None
    return Path(known) / "records" if known else None


@cache
def _code() -> str:
    """Hash nextday's files, and name the libraries and the machine."""
    root = Path(str(resources.files("nextday")))
    files = sorted(path for path in root.rglob("*") if path.suffix not in {".pyc", ".nbi", ".nbc"} and path.is_file())
    own = [(path.relative_to(root).as_posix(), path.read_bytes()) for path in files]
    found = {name for place in sys.path if os.path.isdir(place) for name in os.listdir(place) if name.endswith("-info")}
    return digest(*(part for one in own for part in one), sorted(found), sys.version, *platform.uname()[:5])


def _drawing() -> str:
    """Hash the settings of matplotlib that are not nextday's: of files that it may read, and of this process."""
    config = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    files = [Path("matplotlibrc"), config / "matplotlib" / "matplotlibrc"]
    told = [os.environ.get(name, "") for name in DRAWING]
    mpl, changed = sys.modules.get("matplotlib"), {}
    if mpl is not None:
        first = dict(dict.items(mpl.rcParamsOrig))  # as a plain one: looking up the backend would choose it
        changed = {
            key: value for key, value in dict.items(mpl.rcParams) if first.get(key) != value and key != "backend"
        }
    return digest(told, [digest_of(path) for path in files], sorted(changed.items()))


def _forget(home: Path) -> None:
    """Remove the oldest records where all together are too large."""
    found = sorted((one.stat().st_mtime, one.stat().st_size, one.name) for one in os.scandir(home) if one.is_file())
    left = sum(size for _, size, _ in found) - MOST_KEPT
    for _, size, name in found:
        if left <= 0:
            return
        (home / name).unlink(missing_ok=True)
        left -= size
