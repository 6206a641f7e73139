"""List every distinct sentence that the product can print: ``python docs/sentences.py``.

Texts come from the source by its syntax tree (docstrings of public names, texts and messages, with what is filled in as
``{name}``) and from the HTML templates. One line each: module, kind, text.
"""

import argparse
import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

PACKAGE = Path(__file__).parents[1] / "src" / "nextday"
LABELS = {  # calls whose arguments a reader sees even where they are single words
    "Option", "Argument", "set", "handle", "add_column", "set_title", "set_xlabel", "set_ylabel", "suptitle", "text",
    "annotate", "legend", "plural",
}  # fmt: skip
Definition = ast.Module | ast.ClassDef | ast.FunctionDef
WORDS = re.compile(r"[A-Za-z]{2,}[,;:.)]?\s+\S|\S\s+[a-z]{2,}|\}\s*[a-z]{3,}")
CODE = re.compile(r"^\s*(SELECT|http|[\w./-]+$)|[{(;]\s*\n|^[\w-]+:\s*[\w.#-]+;|<[a-z]+ |\\[dws]")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text of the product: where it stands, what it is, and its words."""

    where: str
    kind: str
    text: str


def sentences(package: Path = PACKAGE) -> Iterator[Sentence]:
    """Return every distinct text of the package, in the order of its files."""
    seen = set()
    for file in sorted((*package.rglob("*.py"), *package.rglob("*.html"))):
        where = str(file.relative_to(package))
        for kind, text in _of_template(file) if file.suffix == ".html" else _of_module(file):
            words = " ".join(text.split())
            if words and (kind, words) not in seen:
                seen.add((kind, words))
                yield Sentence(where, kind, words)


def _of_template(file: Path) -> Iterator[tuple[str, str]]:
    text = re.sub(r"\{#.*?#\}|<(script|style)\b.*?</\1>", "", file.read_text("utf-8"), flags=re.DOTALL)
    attributes = re.findall(r'(?:title|alt|aria-label|placeholder)="([^"]*\s[^"]*)"', text)
    blocks = re.split(
        r"</?(?:p|h\d|li|td|th|div|figcaption|summary|details|section|dt|dd|caption|button)\b[^>]*>", text
    )
    for block in (*blocks, *attributes):
        plain = re.sub(r"<[^>]*>|\{%.*?%\}", " ", block, flags=re.DOTALL)
        if re.search(r"[A-Za-z]{2,}", re.sub(r"\{\{.*?\}\}", "", plain, flags=re.DOTALL)):
            yield "template", plain


def _of_module(file: Path) -> Iterator[tuple[str, str]]:
    tree = ast.parse(file.read_text("utf-8"))
    documented: set[ast.AST] = set()
    for node, public in _definitions(tree, True):
        if node.body and isinstance(node.body[0], ast.Expr) and (text := ast.get_docstring(node)):
            documented.add(node.body[0].value)
            for part in text.split("\n\n") if public else ():
                yield "docstring", part
    yield from _texts(tree, "text", documented)


def _definitions(node: ast.AST, public: bool) -> Iterator[tuple[Definition, bool]]:
    """Return every definition below a node, and whether its name and those around it are public."""
    if isinstance(node, Definition):
        yield node, public
    for child in ast.iter_child_nodes(node):
        inner = public and not isinstance(node, ast.FunctionDef) and not getattr(child, "name", "").startswith("_")
        yield from _definitions(child, inner)


def _texts(node: ast.AST, kind: str, documented: set[ast.AST]) -> Iterator[tuple[str, str]]:
    """Return the texts below a node; an f-string is one text."""
    if node in documented:
        return
    kind = _kind(node) or kind
    if isinstance(node, ast.Constant | ast.JoinedStr):
        text = written(node)
        if _is_prose(text) or (kind == "label" and re.search(r"[A-Za-z]{2,}", text)):
            yield kind, text
    inner = [one.value for one in node.values if isinstance(one, ast.FormattedValue)] if _is_filled(node) else None
    for child in ast.iter_child_nodes(node) if inner is None else inner:
        yield from _texts(child, kind, documented)


def _kind(node: ast.AST) -> str:
    if isinstance(node, ast.Raise):
        return "error"
    return "label" if isinstance(node, ast.Call) and _name(node.func) in LABELS else ""


def _is_filled(node: ast.AST) -> TypeGuard[ast.JoinedStr]:
    return isinstance(node, ast.JoinedStr)


def written(node: ast.AST) -> str:
    """Return a text as it stands in the source, what is filled in as ``{expression}``."""
    if isinstance(node, ast.JoinedStr):
        return "".join(written(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return f"{{{ast.unparse(node.value)}}}" if len(ast.unparse(node.value)) < 40 else "{...}"
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _name(function: ast.AST) -> str:
    return getattr(function, "attr", getattr(function, "id", ""))


def _is_prose(text: str) -> bool:
    return bool(WORDS.search(text)) and not CODE.search(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--kind", choices=("docstring", "error", "label", "template", "text"), help="list this kind alone"
    )
    wanted = parser.parse_args().kind
    for one in sentences():
        if wanted in (None, one.kind):
            print(f"{one.where}\t{one.kind}\t{one.text}")
