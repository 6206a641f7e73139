"""What pydantic finds wrong with settings, in plain words: which key, what is expected there, what was given."""

from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from nextday.names import known, listed, meant

WHOLE, NUMBER, SWITCH = "expected a whole number", "expected a number", "expected true or false"
TEXT, LIST, GROUP = "expected a text", "expected a list", "expected keys and values"
DAY, TIME = "expected a date such as 2024-06-03", "expected a time with its zone, such as 2024-06-03T15:00:00Z"
WORDS = {
    "greater_than": "expected more than {gt:g}", "greater_than_equal": "expected at least {ge:g}",
    "less_than": "expected less than {lt:g}", "less_than_equal": "expected at most {le:g}",
    "finite_number": "expected a finite number", "int_parsing": WHOLE, "int_type": WHOLE, "int_from_float": WHOLE,
    "int_parsing_size": "expected a whole number of fewer digits", "float_parsing": NUMBER, "float_type": NUMBER,
    "bool_parsing": SWITCH, "bool_type": SWITCH, "string_type": TEXT, "literal_error": "expected {expected}",
    "string_too_short": "expected {min_length} or more characters",
    "string_too_long": "expected at most {max_length} characters",
    "string_pattern_mismatch": "expected {form}", "tuple_type": LIST, "list_type": LIST, "dict_type": GROUP,
    "model_type": GROUP, "dataclass_type": GROUP, "too_short": "expected {min_length} or more entries",
    "too_long": "expected at most {max_length} entries", "missing": "expected this key",
    "json_invalid": "it is no valid JSON", "extra_forbidden": "there is no such key", "value_error": "{error}",
    "date_type": DAY, "date_parsing": DAY, "date_from_datetime_parsing": DAY, "date_from_datetime_inexact": DAY,
    "datetime_type": TIME, "datetime_parsing": TIME, "datetime_from_date_parsing": TIME, "timezone_aware": TIME,
    "datetime_object_invalid": TIME,
}  # fmt: skip
FORMS = {r"^[A-Za-z0-9][A-Za-z0-9._-]*$": "letters, digits and . _ -, first a letter or a digit"}  # of patterns

LONGEST = 60  # characters of a value that are shown


def first_mistake(error: ValidationError, owner: type[BaseModel] = BaseModel) -> str:
    """Return the first finding in one line; for an unknown key the nearest known ones."""
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        return f"unknown key {path!r}; {_meant_key(first['loc'], owner)}{more}"
    if first["type"] == "missing":
        return f"key {path!r} is missing{more}"
    return f"{path + ': ' if path else ''}{expected(first)}{_got(first)}{more}"


def expected(finding: Mapping[str, Any]) -> str:
    """Return what is expected where pydantic found something else; of a kind without words its own first line."""
    context = {**finding.get("ctx", {})}
    context["form"] = FORMS.get(context.get("pattern", ""), f"the form {context.get('pattern')}")
    words = WORDS.get(finding["type"])
    return words.format(**context) if words else str(finding["msg"]).splitlines()[0]


def _got(finding: Mapping[str, Any]) -> str:
    """Write what was given, where that helps."""
    kind, value = finding["type"], finding["input"]
    if kind in {"too_short", "json_invalid"} or (kind == "value_error" and f"{value}" in expected(finding)):
        return ""  # nothing, or the sentence has it
    if isinstance(value, str):
        shown = value if len(value) <= LONGEST else f"{value[:LONGEST]}..."
        return f", got {shown if _is_number(value) else repr(shown)}"
    if isinstance(value, int | float):
        return f", got {value}"
    if kind == "value_error":
        return ""  # the sentence is about the group
    kinds = {"nothing": type(None), "a list": list | tuple, "keys and values": dict}
    return f", got {next((name for name, kind in kinds.items() if isinstance(value, kind)), type(value).__name__)}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return bool(text.strip() == text)


def _meant_key(place: tuple[int | str, ...], owner: type[BaseModel]) -> str:
    """Name the keys near an unknown one: of its group, or the same key of another group."""
    *groups, name = map(str, place)
    here = [*_group(owner, groups).model_fields]
    elsewhere = [path for path in _paths(owner) if path.rpartition(".")[2] == name]
    if elsewhere and not meant(name, here):
        return f"did you mean {' or '.join(elsewhere)}? known here: {listed(here)}"
    return known(name, here, head="known here:")


def _group(owner: type[BaseModel], path: list[str]) -> type[BaseModel]:
    """Return the group of settings at a path; names of entries and positions in lists are no groups of their own."""
    for part in path:
        inner = groups_in(owner.model_fields[part].annotation) if part in owner.model_fields else []
        owner = inner[0] if inner else owner
    return owner


def groups_in(annotation: object) -> list[type[BaseModel]]:
    """List the groups of settings that a type mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and not get_args(annotation):
        return [annotation]
    return [found for part in get_args(annotation) for found in groups_in(part)]


def _paths(owner: type[BaseModel], path: str = "") -> Iterator[str]:
    """Name every key with its groups; NAME stands for the name of an entry."""
    for key, field in owner.model_fields.items():
        yield f"{path}{key}"
        for inner in groups_in(field.annotation):
            entry = ".NAME" if get_origin(field.annotation) is dict else ""
            yield from _paths(inner, f"{path}{key}{entry}.")
