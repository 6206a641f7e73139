"""The pages of ``docs/reference`` that are read off the code: the keys of a study, and the command line."""

import ast
import inspect
import itertools
import re
import types
import typing
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer.main import get_command

from nextday.cli.main import app
from nextday.mistakes import groups_in
from nextday.study import Study

WORDS = {str: "text", int: "integer", float: "number", bool: "true or false", Any: "any value"}
GROUP = "group of keys"
KINDS = {
    r"<(str|list\[str\])>": "TEXT",
    r"<(int|float)( range)?>": "NUMBER",
    "<path>": "PATH",
    "<(date|datetime)>": "DATE",
}
SIGNS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
MADE = "<!-- Made by docs/generate.py from {}; edit that. -->\n"


def study_page() -> str:
    """Lay out every key of a study: meaning, type, default."""
    parts = [
        MADE.format("src/nextday/study.py and settings.py"),
        "# Keys of a study\n",
        "A study is a YAML file. Every key that decides a result is here; unknown keys are refused. `--set KEY=VALUE` "
        "sets any of them on the command line, with dots between groups: `--set training.max_epochs=20`.\n",
        "```yaml\n" + EXAMPLE + "```\n",
    ]
    for path, kind in groups(Study):
        parts += [f"## {path or 'The study'}\n", intro(kind), "| key | meaning |\n| --- | --- |"]
        parts += [f"| `{key}` | {cell(meaning)} |" for key, meaning in rows(kind, path)]
        parts.append("")
    return "\n".join(parts)


EXAMPLE = """name: mine
data: bars.parquet
feature_sets:
  momentum: [log_return, roll_vol, ret_lag5]
variants:
  LSTM-Raw: {model: lstm, features: raw}
  LSTM-Mine: {model: lstm, features: momentum}
seeds: [42, 43, 44]
verdict:
  ask: [LSTM-Mine - LSTM-Raw]
"""


def groups(kind: type[BaseModel], path: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Name the groups of keys below ``kind``, itself first."""
    yield path, kind
    for key, field in kind.model_fields.items():
        for inner in groups_in(field.annotation):
            named = ".NAME" if get_origin(field.annotation) is dict else ""
            yield from groups(inner, f"{path}.{key}{named}".removeprefix("."))


def intro(kind: type[BaseModel]) -> str:
    """Take the docstring as the section's first sentences, without its numpydoc sections."""
    text = re.split(r"\n\w+\n---", inspect.cleandoc(kind.__doc__ or ""))[0]
    return text.replace("``", "`").strip() + "\n"


def rows(kind: type[BaseModel], path: str) -> Iterator[tuple[str, str]]:
    """Explain the keys of one group: meaning, type, default."""
    said = comments(kind)
    own = kind.__annotations__
    for key, field in sorted(kind.model_fields.items(), key=lambda item: item[0] not in own):
        kinds = "; ".join(filter(None, [type_of(field), default_of(field)]))
        if groups_in(field.annotation):
            place = next(one for one, _ in groups(Study) if one.removesuffix(".NAME") == f"{path}.{key}".lstrip("."))
            kinds += f", see [{place}](#{place.lower().replace('.', '')})"
        yield key, f"{field.description or said.get(key, '')}.<br>*{kinds[0].upper()}{kinds[1:]}*"


def comments(kind: type[BaseModel]) -> dict[str, str]:
    """Read the comment at the end of each field's line, or those above it."""
    found = comments(base) if issubclass(base := kind.__mro__[1], BaseModel) and base is not BaseModel else {}
    source = inspect.getsource(kind)
    lines = source.splitlines()
    for node in ast.parse(source).body[0].body:
        if isinstance(node, ast.AnnAssign):
            text = comment_of(lines, node.lineno - 1, node.end_lineno - 1).replace("``", "`")
            found[node.target.id] = text[:1].upper() + text[1:]
    return found


def comment_of(lines: list[str], first: int, last: int) -> str:
    """Take what is said of a statement: behind it, else above it."""
    if "  # " in lines[last]:
        return lines[last].split("  # ", 1)[1]
    above = list(itertools.takewhile(lambda line: line.strip().startswith("# "), reversed(lines[:first])))
    return " ".join(line.strip().removeprefix("# ") for line in reversed(above))


def type_of(field: FieldInfo) -> str:
    """Put a type into words, with the limits of its values."""
    limits = [
        f"{sign} {getattr(one, name)}" for one in field.metadata for name, sign in SIGNS.items() if hasattr(one, name)
    ]
    return ", ".join([words(field.annotation), *limits])


def words(annotation: Any) -> str:  # noqa: ANN401 - any type
    """Put a type into words."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin in {typing.Union, types.UnionType}:
        return " or ".join(words(one) for one in inner if one is not type(None))
    if origin is tuple:
        return f"list of {words(inner[0]).replace('group', 'groups')}{'s' if inner[0] in WORDS else ''}"
    if origin is dict:
        return f"map from name to {words(inner[1])}"
    return WORDS.get(annotation, GROUP)


def default_of(field: FieldInfo) -> str:
    """Put the default into words; nothing where it is nothing."""
    if field.is_required():
        return "required"
    if field.default_factory is not None:
        walking, held = field.default_factory({}), field.default_factory({"scheme": "holdout"})
        return f"default `{held}` for holdout, else `{walking}`"
    value = field.default
    if isinstance(value, BaseModel) or value in (None, "", (), {}):
        return ""
    if isinstance(value, tuple):
        return f"default `[{', '.join(map(str, value))}]`"
    return f"default `{str(value).lower() if isinstance(value, bool) else value}`"


def cli_page() -> str:
    """Lay out every command with its arguments and options."""
    parts = [
        MADE.format("src/nextday/cli"),
        "# Command line\n",
        "Exit status 0: done; 1: a mistake that you can correct, said in one line; 2: wrong usage; 3: an expectation "
        "is refuted; 4: it is undecided; 130: stopped by Ctrl-C, and the same command goes on from there.\n",
    ]
    for name, command in commands(get_command(app), "nextday"):
        context = command.make_context(name, [], resilient_parsing=True)
        records = [record for one in command.params if (record := one.get_help_record(context))]
        parts += [f"## {name}\n", f"{command.help.strip()}\n"]
        parts += ["| option | meaning |\n| --- | --- |"] if records else []
        parts += [f"| {cell(plain(option))} | {cell(tidy(meaning))} |" for option, meaning in records]
        parts.append("")
    return "\n".join(parts)


def commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - typer's own click
    """Walk the tree of commands."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def plain(option: str) -> str:
    """Write the kind of a value in capitals: an argument alone, an option with what it takes."""
    for kind, said in KINDS.items():
        option = re.sub(kind, said, option)
    name, _, value = option.partition(" ")
    if not name.startswith("-"):
        return f"`{name.upper()}`"
    return f"`{name}` `{value}`" if value else f"`{name}`"


def tidy(meaning: str) -> str:
    """Bring typer's brackets into the sentence."""
    said = re.sub(r"\.?  \[(.*)\]$", r" (\1).", meaning)
    return re.sub(r"([\d.e-]+)<=x<=([\d.]+)", r"\1 to \2", said).replace("x>=", "at least ")


def cell(text: str) -> str:
    """Escape what would end a cell of a table."""
    return text.replace("|", r"\|")
