"""The house's own rules: no import cycle, functions of a few lines."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import numpy as np
import pytest

SOURCE = Path(__file__).parents[1] / "src"


@pytest.fixture(scope="module")
def trees():
    """Every module by its dotted name, parsed; a package's is its ``__init__``."""
    found = {}
    for file in sorted((SOURCE / "nextday").rglob("*.py")):
        parts = file.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(file.read_text("utf-8"))
    return found


def imports(tree, known):
    """Modules that a module imports, also inside functions, but for the sake of types alone."""
    typed = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in typed or not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name in known)
        else:
            for name in node.names:
                whole = f"{node.module}.{name.name}"
                yield whole if whole in known else str(node.module)


def test_no_module_imports_itself_by_way_of_others(trees):
    graph = {
        name: {one for one in imports(tree, trees) if one in trees and one != name} for name, tree in trees.items()
    }
    graph["nextday"] = set()  # its names are imported when they are asked for
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError, with the cycle
    assert len(order) >= 150


def test_functions_keep_their_size(trees):
    lengths = []
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                lengths.append(body[-1].end_lineno - body[0].lineno + 1 if body else 0)
    assert np.median(lengths) <= 6
    assert np.mean(np.array(lengths) < 20) >= 0.9
