"""What pydantic finds is said in plain words: each kind of finding that settings, options and manifests can produce."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from nextday.analyses import ANALYSES
from nextday.data.snapshot import Manifest
from nextday.errors import StudyError
from nextday.mistakes import WORDS, expected, first_mistake
from nextday.models import MODELS
from nextday.settings import BarsSettings
from nextday.study import Study

MINIMAL = {"name": "x", "variants": {"A": {"model": "zero", "features": "raw"}}}
LIMITS = {
    "gt": "greater_than", "ge": "greater_than_equal", "lt": "less_than", "le": "less_than_equal",
    "pattern": "string_pattern_mismatch",
}  # fmt: skip
KINDS = {
    "int": ["int_parsing", "int_type", "int_from_float", "int_parsing_size"],
    "float": ["float_parsing", "float_type"],
    "bool": ["bool_parsing", "bool_type"],
    "str": ["string_type"],
    "literal": ["literal_error"],
    "tuple": ["tuple_type"],
    "list": ["list_type"],
    "union": [],  # of what its choices are
    "dict": ["dict_type"],
    "model": ["model_type", "extra_forbidden", "missing"],
    "dataclass": ["dataclass_type", "missing"],
    "date": ["date_type", "date_parsing", "date_from_datetime_parsing", "date_from_datetime_inexact"],
    "datetime": ["datetime_type", "datetime_parsing", "datetime_from_date_parsing", "timezone_aware", "datetime_object_invalid"],
    "function-before": ["value_error"],
    "function-after": ["value_error"],
    "function-plain": ["value_error"],
}  # fmt: skip
SILENT = {"any", "nullable", "default", "model-fields", "dataclass-args", "definitions", "definition-ref", "model-field", "dataclass-field", "none"}  # fmt: skip


def findings(schema: Any):
    """Every kind of finding that a core schema can end in."""
    if isinstance(schema, list | tuple):
        for one in schema:
            yield from findings(one)
        return
    if not isinstance(schema, dict):
        return
    kind = schema.get("type")
    if isinstance(kind, str):
        assert kind in KINDS or kind in SILENT, f"a kind of settings without words: {kind}"
        yield from KINDS.get(kind, [])
        yield from (LIMITS[key] for key in LIMITS if schema.get(key) is not None)
        texts = {"min_length": "string_too_short", "max_length": "string_too_long"}
        groups = {"min_length": "too_short", "max_length": "too_long"}
        yield from (found for key, found in (texts if kind == "str" else groups).items() if schema.get(key) is not None)
        if schema.get("allow_inf_nan") is False:
            yield "finite_number"
    for key in ("schema", "fields", "items_schema", "keys_schema", "values_schema", "choices", "definitions"):
        inner = schema.get(key)
        yield from findings(list(inner.values()) if key == "fields" and isinstance(inner, dict) else inner)


SETTINGS = [Study, BarsSettings, Manifest, *(one.settings for one in ANALYSES if one.settings is not None)]
OPTIONS = [kind for kind in MODELS.values() if isinstance(kind, type)]


@pytest.mark.parametrize("kind", [*SETTINGS, *OPTIONS], ids=lambda kind: kind.__name__)
def test_every_finding_that_can_come_has_words(kind):
    schema = getattr(kind, "__pydantic_core_schema__", None) or TypeAdapter(kind).core_schema
    assert {*findings(schema)} <= {*WORDS}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"lookback": "0"}, "lookback: expected at least 1, got 0"),
        ({"lookback": 2.5}, "lookback: expected a whole number, got 2.5"),
        ({"lookback": "ten"}, "lookback: expected a whole number, got 'ten'"),
        ({"lookback": None}, "lookback: expected a whole number, got nothing"),
        ({"lookback": [1]}, "lookback: expected a whole number, got a list"),
        ({"lookback": {"a": 1}}, "lookback: expected a whole number, got keys and values"),
        ({"lookback": "9" * 5000}, "lookback: expected a whole number of fewer digits, got 999999"),
        ({"training": {"clip": "wide"}}, "training.clip: expected a number, got 'wide'"),
        ({"training": {"clip": None}}, "training.clip: expected a number, got nothing"),
        ({"training": {"clip": "inf"}}, "training.clip: expected a finite number, got inf"),
        ({"training": {"clip": "-1"}}, "training.clip: expected more than 0, got -1"),
        ({"split": {"valid": 1}}, "split.valid: expected less than 1, got 1"),
        ({"drop_bad": "perhaps"}, "drop_bad: expected true or false, got 'perhaps'"),
        ({"drop_bad": []}, "drop_bad: expected true or false, got a list"),
        ({"question": ["a"]}, "question: expected a text, got a list"),
        ({"market": ""}, "market: expected 1 or more characters, got ''"),
        ({"name": "a" * 81}, "name: expected at most 80 characters, got 'aaa"),
        ({"name": "../x"}, "name: expected letters, digits and . _ -, first a letter or a digit, got '../x'"),
        ({"decimal": ";"}, "decimal: expected '', '.' or ',', got ';'"),
        ({"tickers": {"a": "b"}}, "tickers: expected a list, got keys and values"),
        ({"feature_sets": ["a"]}, "feature_sets: expected keys and values, got a list"),
        ({"training": "fast"}, "training: expected keys and values, got 'fast'"),
        ({"variants": {}}, "variants: expected 1 or more entries"),
        ({"variants": {"A": {"model": "zero"}}}, "key 'variants.A.features' is missing"),
        ({"split": {"train": 0.9, "valid": 0.2}}, "split: train 0.9 + valid 0.2 leave nothing for the test set"),
        ({"seeds": [1, "b"]}, "seeds.1: expected a whole number, got 'b'"),
        ({"lookback": 0, "warmup": -1}, "lookback: expected at least 1, got 0 (and 1 more)"),
        ({"lookbak": 5}, "unknown key 'lookbak'; did you mean lookback?"),
        ({"training": {"max_epoch": 5}}, "unknown key 'training.max_epoch'; did you mean max_epochs? known here: max_epochs, patience"),
        ({"variants": {"A": {"model": "zero", "features": "raw", "feature": "raw"}}}, "unknown key 'variants.A.feature'; did you mean features? known here: model, features, options"),
        ({"max_epochs": 5}, "unknown key 'max_epochs'; did you mean training.max_epochs?"),
        ({"alpha": 0.1}, "unknown key 'alpha'; did you mean verdict.alpha?"),
        ({"contrast": "A - B"}, "unknown key 'contrast'; did you mean verdict.ask.contrast?"),
    ],
)  # fmt: skip
def test_a_mistake_says_what_is_expected_and_what_was_given(changes, says):
    with pytest.raises(StudyError) as error:
        Study.from_values(MINIMAL | changes)
    said = str(error.value).removeprefix("study: ")
    assert said.startswith(says)
    assert "\n" not in said
    assert "Input should" not in said


def test_a_finding_without_words_says_pydantics_first_line():
    with pytest.raises(ValidationError) as error:
        TypeAdapter(complex).validate_python("x")
    assert expected(error.value.errors()[0]) == error.value.errors()[0]["msg"].splitlines()[0]


def test_options_of_a_model_are_answered_alike():
    with pytest.raises(ValidationError) as error:
        TypeAdapter(MODELS["lstm"]).validate_python({"hidden": "1"})
    assert first_mistake(error.value) == "hidden: expected at least 2, got 1"
