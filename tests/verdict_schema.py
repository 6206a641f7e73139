"""The JSON Schema of a verdict, held against every verdict that the tests make (conftest.py sees to it)."""

import json
from functools import cache, wraps

from jsonschema import Draft202012Validator

from nextday.evaluate.export import SCHEMA_FILE, as_dict, dump


@cache
def validator():
    schema = json.loads(SCHEMA_FILE.read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def check(text):
    """Read the JSON of a verdict as a strict reader would, and hold it against the schema."""
    values = json.loads(text, parse_constant=lambda name: refuse(name))
    errors = [f"{'.'.join(map(str, error.path))}: {error.message[:300]}" for error in validator().iter_errors(values)]
    assert not errors, errors[:3]
    return values


def refuse(name):
    raise AssertionError(f"{name} is no JSON")


def checked(judge):
    """Wrap ``judge`` so that whatever verdict it makes is written down and validated."""

    @wraps(judge)
    def judged(comparison, **options):
        verdict = judge(comparison, **options)
        check(dump(as_dict(comparison, verdict)))
        return verdict

    return judged
