"""The interface of progress displays."""

from collections.abc import Callable, Iterable
from typing import Any

Watch = Callable[[Iterable[Any], int], Iterable[Any]]
"""Wraps a stream of finished outcomes, each with a name ``unit``, given their number; yields the same outcomes."""
