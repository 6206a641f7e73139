"""Linear algebra on one thread."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


@contextmanager
def limit_threads() -> Iterator[None]:
    """Keep linear algebra to one thread: their number moves the last bits, and on a busy machine they wait."""
    import scipy.linalg  # noqa: F401 - it has a library of its own, and one that is loaded later is not limited

    with _libraries(len(sys.modules)).limit(limits=1):
        yield


@lru_cache(maxsize=1)
def _libraries(modules: int) -> "ThreadpoolController":  # noqa: ARG001
    """Find the libraries that are loaded, which takes 3 ms; anew where the number of modules has changed."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
