import re
from dataclasses import replace

import pytest

import worlds
from nextday.evaluate import Ask, Subject, compare
from nextday.evaluate.answers import FINDINGS, Answer, _open, answer_of, headline_of
from nextday.evaluate.contrasts import finding_of

SUBJECTS = {
    "a": Subject("lstm", "raw", "raw"), "b": Subject("lstm", "ohlcv", "rich"), "c": Subject("lstm", "mine", "engineered"),
    "d": Subject("gru", "raw", "raw"),
}  # fmt: skip
WORLD = worlds.World(days=60, tickers=2, seeds=3, strengths=dict.fromkeys("abcd", 0.0))
ASKS = [Ask("b", "a"), Ask("c", "b"), Ask("d", "a"), Ask("a", None)]
BETTER = {"estimate": 0.02, "low": 0.01, "high": 0.03, "equal_low": 0.012, "equal_high": 0.028}
STATES = {
    "better": BETTER,
    "worse": {"estimate": -0.02, "low": -0.03, "high": -0.01, "equal_low": -0.028, "equal_high": -0.012},
    "equal": {"estimate": 0.0, "low": -0.003, "high": 0.003, "equal_low": -0.002, "equal_high": 0.002},
    "cannot tell": {"estimate": 0.01, "low": -0.01, "high": 0.03, "equal_low": -0.008, "equal_high": 0.028},
}


@pytest.fixture(scope="module")
def comparison():
    return compare(worlds.losses(WORLD, 0), ask=ASKS, replicates=20)


def contrast(comparison, number, finding):
    values = {"withheld": "", "identical": False} | (STATES.get(finding) or {**BETTER, "withheld": "too few days: 9"})
    return replace(comparison.asked[number], **values)


def clauses(comparison, number):
    return {
        finding: answer_of(contrast(comparison, number, finding), comparison, SUBJECTS).clause for finding in FINDINGS
    }


@pytest.mark.parametrize("finding", FINDINGS)
def test_a_contrast_is_judged_by_its_intervals(comparison, finding):
    assert finding_of(contrast(comparison, 0, finding)) == finding


def test_a_difference_that_is_resolved_and_inside_the_margin_is_equal(comparison):
    small = replace(comparison.asked[0], estimate=0.001, low=0.0005, high=0.002, equal_low=0.0006, equal_high=0.0018)
    assert finding_of(small) == "equal"
    assert finding_of(replace(small, margin=0.0001)) == "better"


def test_richer_inputs_help_or_hurt(comparison):
    assert clauses(comparison, 0) == {
        "better": "OHLCV inputs help", "worse": "OHLCV inputs hurt", "equal": "OHLCV inputs make no difference within 0.25 %",
        "cannot tell": "it is inconclusive whether OHLCV inputs help", "withheld": "withheld: whether OHLCV inputs help",
    }  # fmt: skip


def test_against_other_rich_inputs_both_are_named(comparison):
    assert clauses(comparison, 1) == {
        "better": "mine features help beyond OHLCV inputs", "worse": "mine features hurt compared with OHLCV inputs",
        "equal": "mine features and OHLCV inputs are equal within 0.25 %",
        "cannot tell": "it is inconclusive whether mine features help beyond OHLCV inputs",
        "withheld": "withheld: whether mine features help beyond OHLCV inputs",
    }  # fmt: skip


def test_of_two_models_the_better_one_comes_first_with_a_gain(comparison):
    assert clauses(comparison, 2) == {
        "better": "d is significantly better than a", "worse": "a is significantly better than d", "equal": "d and a are equal within 0.25 %",
        "cannot tell": "d against a is inconclusive", "withheld": "withheld: d against a",
    }  # fmt: skip
    worse = answer_of(contrast(comparison, 2, "worse"), comparison, SUBJECTS)
    assert worse.sentence == "a is significantly better than d, +2.00 % (+1.00 to +3.00 %)"


def test_against_the_benchmark_a_variant_beats_or_loses(comparison):
    assert clauses(comparison, 3) == {
        "better": "a beats the zero forecast", "worse": "a loses to the zero forecast",
        "equal": "a equals the zero forecast within 0.25 %", "cannot tell": "it is inconclusive whether a beats the zero forecast",
        "withheld": "withheld: a against the zero forecast",
    }  # fmt: skip
    worse = answer_of(contrast(comparison, 3, "worse"), comparison, SUBJECTS)
    assert worse.sentence == "a loses to the zero forecast, -2.00 % (-3.00 to -1.00 %)"


@pytest.mark.parametrize("finding", FINDINGS)
def test_each_finding_has_the_mirror_image_that_a_swap_gives(comparison, finding):
    one = contrast(comparison, 2, finding)
    turned = replace(one, first=one.second, second=one.first, estimate=-one.estimate, low=-one.high, high=-one.low,
                     equal_low=-one.equal_high, equal_high=-one.equal_low)  # fmt: skip
    assert finding_of(turned) == FINDINGS[finding]
    said = [answer_of(each, comparison, SUBJECTS).sentence for each in (one, turned)]
    if finding in {"better", "worse"}:
        assert said[0] == said[1]


def test_the_headline_says_what_is_answered_before_what_is_not(comparison):
    findings = ("cannot tell", "better", "worse", "cannot tell")
    found = [answer_of(contrast(comparison, at, finding), comparison, SUBJECTS) for at, finding in enumerate(findings)]
    said = re.sub(r" ?\(?[+-][^)]*\)", "", headline_of(found, comparison))
    assert said == (
        "it is inconclusive whether a beats the zero forecast; a is significantly better than d,. "
        "LSTM: mine features help beyond OHLCV inputs,; it is inconclusive whether OHLCV inputs help"
    )


def test_many_answers_of_one_kind_are_counted(comparison):
    many = [answer_of(contrast(comparison, 0, "better"), comparison, SUBJECTS)] * 5
    assert headline_of(many, comparison).endswith("; 2 more contrasts are better")
    assert headline_of(many[:4], comparison).endswith("; 1 more contrast is better")
    unknown = [answer_of(contrast(comparison, 0, "cannot tell"), comparison, SUBJECTS)] * 5
    assert headline_of(unknown, comparison).endswith("; 2 more contrasts are inconclusive")
    assert headline_of(unknown[:4], comparison).endswith("; 1 more contrast is inconclusive")


def test_twins_are_called_twins(comparison):
    twin = replace(comparison.asked[2], estimate=0.0, low=0.0, high=0.0, identical=True, withheld="")
    assert answer_of(twin, comparison, SUBJECTS).clause == "d and a make identical forecasts"


def test_inconclusive_differences_are_asked_once_and_pairs_are_named():
    def answer(clause):
        return Answer("a", "b", "cannot tell", f"{clause} (+0.1 %, -0.2 to +0.4 %)", "", clause)

    two = [answer(f"it is inconclusive whether inputs do more for {name} than for ridge") for name in ("LSTM", "GRU")]
    pairs = [answer(f"{name} against X is inconclusive") for name in ("A", "B")]
    assert _open(two) == [
        "it is inconclusive whether inputs do more for LSTM than for ridge or inputs do more for GRU than for ridge"
    ]
    assert _open([*two, *pairs])[1] == "A against X and B against X are inconclusive"
    assert _open([two[0], pairs[0]]) == [two[0].sentence, pairs[0].sentence]
