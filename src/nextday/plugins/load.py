"""Load the plugins that a study names. Their code runs here, never when results are only read."""

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from nextday.engine.catalogs import HOUSE, Catalogs
from nextday.engine.needs import hint
from nextday.engine.source import carry_along
from nextday.errors import PluginError, first_line
from nextday.features import Feature
from nextday.models import Forecaster
from nextday.plugins.marks import Mark, feature, mark_of, model
from nextday.study import is_loss

GROUP = "nextday.plugins"  # of entry points
NEIGHBOURS = "__nextday_neighbours__"  # modules of its folder that a plugin imported
ROOMS = {"model": "models", "feature": "features", "loss": "losses", "split": "splits"}


def catalogs_of(
    plugins: Sequence[str] = (), *, models: Mapping[str, Any] | None = None, features: Mapping[str, Any] | None = None
) -> Catalogs:
    """Combine the objects of plugins, and those passed in Python, with the built-in ones.

    Parameters
    ----------
    plugins
        Paths of Python files, names of installed packages' entry points (group ``nextday.plugins``) or modules.
    models, features
        Objects by name: forecaster classes or instances; features, expressions or functions. A function has no warm-up
        unless it was registered with one.

    Raises
    ------
    PluginError
        If a plugin is missing, fails, registers nothing or a reserved name; in one line that names it.
    """
    catalogs = load_plugins(plugins)
    given = [Mark("model", name, _model(name, value)) for name, value in (models or {}).items()]
    given += [Mark("feature", name, _feature(name, value)) for name, value in (features or {}).items()]
    return _join(catalogs, given, "")


def load_plugins(plugins: Sequence[str]) -> Catalogs:
    """Run each plugin and combine its registered objects with the built-in ones."""
    catalogs = HOUSE
    for name in plugins:
        module = _module(name)
        marks = list({(mark.kind, mark.name, id(mark.value)): mark for mark in _marks(module)}.values())
        if not marks:
            raise PluginError(
                f"{name} registers nothing; decorate a class with @nextday.model('name'), or a function with "
                "@nextday.feature('name', warmup=14)"
            )
        catalogs = _join(catalogs, marks, name)
    return catalogs


def load_function(name: str) -> Callable[[Any], Any]:
    """Run a plugin and return one of its functions, named as ``FILE.py:NAME``.

    Raises
    ------
    PluginError
        If the plugin is missing or fails, or has no such function.
    """
    file, colon, function = name.rpartition(":")
    if not colon or not file:
        raise PluginError(f"{name}: expected FILE.py:NAME, such as mine.py:features")
    found = getattr(_module(file), function, None)
    if not callable(found):
        raise PluginError(f"{file} has no function {function!r}")
    return found


def _marks(module: ModuleType) -> Iterator[Mark]:
    for value in list(vars(module).values()):
        mark = mark_of(value)
        if mark and (isinstance(value, Mark) or getattr(value, "__module__", "") == module.__name__):
            yield mark


def _join(catalogs: Catalogs, marks: Sequence[Mark], origin: str) -> Catalogs:
    for mark in marks:
        room, where = ROOMS[mark.kind], f"{origin}: " if origin else ""
        known = getattr(catalogs, room)
        if mark.name in known or (mark.kind == "loss" and is_loss(mark.name)):
            owner = catalogs.origins.get(f"{mark.kind} {mark.name}", "nextday itself")
            raise PluginError(f"{where}{mark.kind} {mark.name}: the name is already used by {owner}; choose another")
        value = replace(mark.value, source=origin) if isinstance(mark.value, Feature) else mark.value
        origins = {**catalogs.origins, f"{mark.kind} {mark.name}": origin}
        catalogs = replace(catalogs, origins=origins, **{room: {**known, mark.name: value}})
        if mark.kind == "model":
            carry_along(value.parts() if isinstance(value, Forecaster) else (value,))
    return catalogs


def _module(name: str) -> ModuleType:
    """Run a plugin: a file, an entry point of an installed package, or an installed module."""
    try:
        if name.endswith(".py"):
            return _run_file(Path(name))
        point = next(iter(metadata.entry_points(group=GROUP, name=name)), None)
        module = point.load() if point else importlib.import_module(name)
    except PluginError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a stranger's code raises is a line
        raise PluginError(
            f"plugin {name} fails: {type(error).__name__}: {first_line(error)}{_line(error, name)}{hint(error)}"
        ) from None
    if not isinstance(module, ModuleType):
        raise PluginError(f"plugin {name}: its entry point is a {type(module).__name__}, not a module")
    return module


def _run_file(path: Path) -> ModuleType:
    """Run a file as a module of its own name; what it imports from its folder is found, and run anew."""
    if not path.is_file():
        raise PluginError(f"plugin {path} does not exist")
    path = path.resolve()
    name = f"nextday_plugin_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    for neighbour in getattr(sys.modules.get(name), NEIGHBOURS, ()):  # it was loaded before, and they may have changed
        sys.modules.pop(neighbour, None)
    importlib.invalidate_caches()
    before, module = set(sys.modules), importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))
    try:
        exec(compile(path.read_text("utf-8"), str(path), "exec"), vars(module))
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        sys.path.remove(str(path.parent))
    beside = {file.stem for file in path.parent.glob("*.py")}
    setattr(module, NEIGHBOURS, tuple((set(sys.modules) - before) & beside))
    return module


def _line(error: BaseException, name: str) -> str:
    """Return the line of the plugin in which an error occurred."""
    trace, found = error.__traceback__, 0
    while trace:
        if Path(trace.tb_frame.f_code.co_filename).name == Path(name).name:
            found = trace.tb_lineno
        trace = trace.tb_next
    return f" (line {found})" if found else ""


def _model(name: str, value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Mark | Forecaster):
        return value.value if isinstance(value, Mark) else value
    return model(name)(value)


def _feature(name: str, value: Any) -> Feature:  # noqa: ANN401
    if isinstance(value, Feature):
        return value
    mark = mark_of(value)
    if mark is None:
        marked = feature(name, warmup=0)(value)
        mark = mark_of(marked)
    assert mark
    found: Feature = mark.value
    return found
