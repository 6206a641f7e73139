"""Progress: what can stand around a stream of finished pieces of work."""

from collections.abc import Callable, Iterable
from typing import Any

Watch = Callable[[Iterable[Any], int], Iterable[Any]]
"""Takes pieces as they finish, each with its name as ``unit``, and how many there will be; gives the same pieces."""
