"""Source code of plugins: hashed into the fingerprint of their units, and sent to worker processes.

A guest is a class or a function from outside nextday. Its results depend on its source and on all source by the same
author that it uses, which is found by name, starting at the class. A changed line thus refits the units of the models
that use it, and no others.
"""

import ast
import hashlib
import inspect
import linecache
import os
import pickle
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import cloudpickle

HOUSE = "nextday"


def is_guest(thing: object) -> bool:
    """Return whether a class or function comes from a plugin, a script or a notebook, not from nextday."""
    return module_of(thing).partition(".")[0] not in (HOUSE, "builtins")


def module_of(thing: object) -> str:
    """Return the module in which a class, a function or a value's class is defined."""
    return str(getattr(thing, "__module__", None) or type(thing).__module__)


def source_digest(things: Iterable[Any]) -> bytes:
    """Hash the source of guests and of the code that they use; nothing for nextday's own code.

    Comments and formatting are ignored. Installed libraries count by their version.
    """
    guests, found = [thing for thing in things if is_guest(thing)], dict[str, str]()
    if not guests:
        return b""
    linecache.checkcache()
    for thing in guests:
        if _is_installed(sys.modules.get(module_of(thing))) and not hasattr(thing, "fit_predict"):
            found[module_of(thing)] = _library(module_of(thing))
        else:
            _collect(thing, _author(module_of(thing)), found)
    return hashlib.sha256(repr(sorted(found.items())).encode()).digest()


def carry_along(things: Iterable[Any]) -> None:
    """Pickle guests that are not installed by value, so that a worker or a node needs none of their files."""
    for name in {module_of(thing) for thing in things if is_guest(thing)}:
        author = _author(name)
        for module in list(sys.modules.values()):
            if isinstance(module, ModuleType) and _is_of(module.__name__, author) and not _is_installed(module):
                cloudpickle.register_pickle_by_value(module)


def _collect(thing: Any, author: tuple[str, str], found: dict[str, str]) -> None:  # noqa: ANN401 - any value of a module
    label = f"{_stem(module_of(thing))}.{getattr(thing, '__qualname__', type(thing).__qualname__)}"
    if label in found:
        return
    found[label] = ""  # it may use itself
    found[label], names = _read(thing)
    for name, value in _values(thing, names):
        owner = value.__name__ if isinstance(value, ModuleType) else module_of(value)
        if _is_of(owner, author) and isinstance(value, type | FunctionType):
            _collect(value, author, found)
        elif _is_of(owner, author) and isinstance(value, ModuleType):
            found[owner.rpartition(".")[2]] = _normal(inspect.getsource(value))
        elif isinstance(value, type | FunctionType | ModuleType) or callable(value):
            found[f"{label} uses {name}"] = _library(owner)
        else:
            found[f"{label} uses {name}"] = _constant(value)


def _read(thing: Any) -> tuple[str, set[str]]:  # noqa: ANN401
    """Return the source of a class or function, and the names in it; of one without source its compiled code."""
    kind = thing if isinstance(thing, type | FunctionType) else type(thing)
    try:
        text = textwrap.dedent(inspect.getsource(kind))
        return _normal(text), {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    except (OSError, TypeError, SyntaxError):
        codes = [kind.__code__] if isinstance(kind, FunctionType) else list(_methods(kind))
        parts = [part for code in codes for part in _parts(code)]
        return repr([text for text, _ in parts]), {name for _, names in parts for name in names}


def _normal(text: str) -> str:
    return ast.unparse(ast.parse(text))


def _methods(kind: type) -> Iterator[CodeType]:
    for value in vars(kind).values():
        inner = getattr(value, "__func__", value)
        if isinstance(inner, FunctionType):
            yield inner.__code__


def _parts(code: CodeType) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Return the compiled code of a function and of those within it, and the names they use."""
    inner = [one for one in code.co_consts if isinstance(one, CodeType)]
    constants = [repr(one) for one in code.co_consts if not isinstance(one, CodeType | frozenset)]
    yield f"{code.co_code.hex()} {constants}", code.co_names
    for one in inner:
        yield from _parts(one)


def _values(thing: Any, names: set[str]) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """Return what names stand for in the module of a class or function, and in the function around it."""
    kind = thing if isinstance(thing, type | FunctionType) else type(thing)
    module = sys.modules.get(kind.__module__)
    space: Mapping[str, Any] = kind.__globals__ if isinstance(kind, FunctionType) else vars(module) if module else {}
    if isinstance(kind, FunctionType) and kind.__closure__:
        space = {**space, **inspect.getclosurevars(kind).nonlocals}
    for name in sorted(names & space.keys()):
        if space[name] is not kind:
            yield name, space[name]


def _author(module: str) -> tuple[str, str]:
    """Return what the modules of one author share: the package, or the folder of a file that is in no package."""
    file = getattr(sys.modules.get(module), "__file__", None)
    return module.partition(".")[0], "" if file is None or "." in module else os.path.dirname(file)


def _is_of(module: str, author: tuple[str, str]) -> bool:
    package, folder = author
    if module.partition(".")[0] == package:
        return True
    file = getattr(sys.modules.get(module), "__file__", None)
    return bool(folder and file) and os.path.dirname(str(file)) == folder and "site-packages" not in folder


def _is_installed(module: ModuleType | None) -> bool:
    return "site-packages" in str(getattr(module, "__file__", ""))


def _stem(module: str) -> str:
    file = getattr(sys.modules.get(module), "__file__", None)
    return Path(file).stem if file else module


def _library(module: str) -> str:
    package = module.partition(".")[0]
    return f"{package} {_version(package)}".rstrip()


@cache
def _version(package: str) -> str:
    """Return the version of a package, also where its distribution has another name; empty where it is none's."""
    with suppress(metadata.PackageNotFoundError):
        return metadata.version(package)
    for name in metadata.packages_distributions().get(package, ()):  # reads the list of files of all that is installed
        with suppress(metadata.PackageNotFoundError):
            return metadata.version(name)
    return ""


def _constant(value: Any) -> str:  # noqa: ANN401
    """Write a value of a module, the same in every process."""
    text = repr(value)
    return hashlib.sha256(pickle.dumps(value)).hexdigest() if " at 0x" in text or "..." in text else text
