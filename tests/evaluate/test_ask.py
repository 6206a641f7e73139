import pytest

from nextday.errors import StudyError
from nextday.evaluate import Ask, Subject, asked_by, subjects_of
from nextday.evaluate.ask import role_of
from nextday.features import FEATURE_SETS
from nextday.study import Study


def study(variants, **changes):
    """Make a study of variants ``name: features`` or ``name: (model, features)``."""
    pairs = {name: one if isinstance(one, tuple) else ("lstm", one) for name, one in variants.items()}
    return Study.from_values({
        "name": "s", "variants": {name: {"model": model, "features": inputs} for name, (model, inputs) in pairs.items()},
        **changes,
    })  # fmt: skip


def asks(variants, sets=None, **changes):
    sets = FEATURE_SETS | (sets or {})
    return [(one.first, one.second) for one in asked_by(study(variants, **changes), sets)]


def test_without_questions_a_study_asks_for_its_ablation_richer_less_poorer():
    assert asks({"a": "raw", "b": "ohlcv", "c": "engineered"}) == [("b", "a"), ("c", "a"), ("c", "b")]


def test_the_order_of_the_file_changes_the_order_of_lines_and_nothing_else():
    variants = {"a": "raw", "b": "ohlcv", "c": "engineered"}
    turned = dict(reversed(variants.items()))
    assert set(asks(turned)) == set(asks(variants))
    assert asks(turned) != asks(variants)


def test_names_of_variants_say_nothing():
    assert asks({"engineered": "raw", "raw": "engineered"}) == [("raw", "engineered")]


def test_equal_roles_are_ordered_by_what_the_sets_hold_else_by_the_file():
    sets = {"few": ("x", "y"), "more": ("x", "y", "z"), "other": ("w",)}
    assert asks({"a": "more", "b": "few"}, sets) == [("a", "b")]
    assert asks({"b": "few", "a": "more"}, sets) == [("a", "b")]
    assert asks({"a": "other", "b": "few"}, sets) == [("b", "a")]
    assert asks({"b": "few", "a": "other"}, sets) == [("a", "b")]


def test_roles_that_a_study_declares_come_before_what_sets_hold():
    sets = {"few": ("x", "y"), "more": ("x", "y", "z")}
    assert asks({"a": "more", "b": "few"}, sets, roles={"more": "raw", "few": "engineered"}) == [("b", "a")]


@pytest.mark.parametrize(
    ("name", "role"), [("raw", "raw"), ("ohlcv", "rich"), ("engineered", "engineered"), ("lags", "engineered"),
                       ("one", "raw"), ("bars", "rich"), ("own", "engineered"), ("declared", "rich")],
)  # fmt: skip
def test_the_role_of_a_set_is_declared_or_known_or_what_it_holds(name, role):
    sets = FEATURE_SETS | {"one": ("log_return",), "bars": ("hl_range", "log_vol"), "own": ("log_return", "mine")}
    assert role_of(name, {"declared": "rich"}, sets) == role


def test_only_variants_of_one_model_and_equal_options_are_paired():
    variants = {"la": ("lstm", "raw"), "lb": ("lstm", "ohlcv"), "ga": ("gru", "raw"), "gb": ("gru", "ohlcv")}
    assert asks(variants) == [("lb", "la"), ("gb", "ga")]
    odd = study({"a": "raw", "b": "ohlcv"})
    values = odd.model_dump() | {"variants": {"a": {"model": "lstm", "features": "raw", "options": {"hidden": 8}},
                                              "b": {"model": "lstm", "features": "ohlcv"}}}  # fmt: skip
    assert asked_by(Study.from_values(values), FEATURE_SETS) == [Ask("a", None), Ask("b", None)]


def test_a_study_without_pairs_asks_about_the_benchmark():
    assert asks({"a": ("lstm", "raw"), "b": ("gru", "raw")}) == [("a", None), ("b", None)]
    assert asks({"a": "raw", "b": ("gru", "raw")}, verdict={"benchmark": "a"}) == [("b", None)]


def test_questions_are_asked_as_they_stand():
    variants = {"a": "raw", "b": "ohlcv", "c": "engineered"}
    assert asks(variants, verdict={"ask": ["a - c", "b - zero"]}) == [("a", "c"), ("b", None)]
    assert asks(variants, verdict={"ask": "a - c"}) == [("a", "c")]
    assert asks(variants, verdict={"ask": ["c - a"], "benchmark": "a"}) == [("c", None)]


def test_a_question_may_have_a_margin_of_its_own():
    one = study({"a": "raw", "b": "ohlcv"}, verdict={"ask": [{"contrast": "b - a", "margin": 0.01}, "a - zero"]})
    assert asked_by(one, FEATURE_SETS) == [Ask("b", "a", 0.01), Ask("a", None)]


def test_names_may_hold_the_sign():
    variants = {"a - b": "raw", "a": "ohlcv", "b - c": "engineered"}
    assert asks(variants, verdict={"ask": ["a - b - b - c", "a - a - b", "b - c - zero"]}) == [
        ("a - b", "b - c"), ("a", "a - b"), ("b - c", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (["a - nobody"], "'nobody' is no variant; expected 'A - B', of a, b, or zero as B"),
        (["zero - a"], "expected 'A - B'"),
        (["a"], "expected 'A - B'"),
        (["a - b", "a - b"], "asks 'a - b' more than once"),
        ([{"contrast": "a - b", "margin": -1}], "expected more than 0"),
        ([{"contrast": "a - b", "margn": 1}], "margn"),
    ],
)
def test_a_wrong_question_is_refused_before_anything_is_fitted(ask, said):
    with pytest.raises(StudyError, match=None) as error:
        study({"a": "raw", "b": "ohlcv"}, verdict={"ask": ask})
    assert said in str(error.value)


def test_a_contrast_may_name_a_variant_of_the_study_below():
    one = study({"a": "raw"}, below="stage2", verdict={"ask": ["a - theirs"]})
    assert asked_by(one, FEATURE_SETS, ["theirs"]) == [Ask("a", "theirs")]
    with pytest.raises(StudyError, match="'theirs' is no variant"):
        asked_by(one, FEATURE_SETS)


def test_subjects_know_model_inputs_and_role():
    found = subjects_of(study({"a": "raw", "b": ("gru", "own")}, roles={"own": "rich"}), FEATURE_SETS)
    assert found == {"a": Subject("lstm", "raw", "raw"), "b": Subject("gru", "own", "rich")}


def test_the_presets_ask_what_they_are_for():
    stage2 = Study.load("stage2")
    assert [(one.first, one.second) for one in asked_by(stage2, FEATURE_SETS)] == [
        ("LSTM-Feat", "LSTM-Raw"), ("LSTM-OHLCV", "LSTM-Raw"), ("LSTM-Feat", "LSTM-OHLCV"),
    ]  # fmt: skip
    assert all(one.second is None for one in asked_by(Study.load("stage1"), FEATURE_SETS))
