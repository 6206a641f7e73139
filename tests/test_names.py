"""No code knows a stage by name: what a stage is to others stands in its study."""

import ast
import re
from pathlib import Path

import pytest

import nextday
from nextday.presets import LAST, presets
from nextday.study import Study

SOURCE = Path(nextday.__file__).parent
STAGE = re.compile(r"\bstage[1-6]\b")


def strings(path):
    """Give the strings of a module that are no docstrings, if it has the word at all."""
    if "stage" not in (text := path.read_text("utf-8")):
        return []
    tree = ast.parse(text)
    documented = [
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node)
    ]
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in documented
    ]  # fmt: skip


def test_no_code_knows_a_stage_by_name():
    found = {str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*.py") if any(map(STAGE.search, strings(path)))}
    assert not found


@pytest.mark.parametrize("name", presets())
def test_what_a_preset_says_of_others_are_presets(name):
    study = Study.load(name)
    others = {study.below, study.baselines, *(one for lesson in study.lessons for one in lesson.against)} - {""}
    assert others <= {*presets()} - {LAST}
    assert study.below != name != study.baselines
    assert all(lesson.question != study.question for lesson in study.lessons)
