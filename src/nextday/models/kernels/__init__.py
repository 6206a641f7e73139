"""Compiled kernels of the networks' layers, on one core.

Numba looks at the file of a function alone when it asks whether its compiled form is stale, and not at those that the
function calls. Compiled forms that are older than any file here are therefore removed.
"""

import contextlib
from pathlib import Path


def _forget(folder: Path) -> None:
    """Remove the indices of compiled functions that are older than a source."""
    newest = max((source.stat().st_mtime for source in folder.glob("*.py")), default=0)
    for index in folder.glob("__pycache__/*.nbi"):
        with contextlib.suppress(OSError):  # another process was first, or the folder is read-only
            if index.stat().st_mtime < newest:
                index.unlink()


_forget(Path(__file__).parent)
