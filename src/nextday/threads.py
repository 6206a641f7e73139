"""Linear algebra on one thread."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def limit_threads() -> Iterator[None]:
    """Keep linear algebra to one thread: their number moves the last bits, and on a busy machine they wait."""
    import scipy.linalg  # noqa: F401 - it has a library of its own, and one that is loaded later is not limited
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield
