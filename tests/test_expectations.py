"""What is expected of the data: how it is read, and when it holds, is refuted, stays open."""

from dataclasses import replace

import pytest

import worlds
from nextday.errors import NextdayError
from nextday.evaluate import Ask, compare, measure
from nextday.expectations import hold, join_questions, read_expectations, read_questions, status_of

NAMES = ("A", "B", "LSTM-Raw", "LSTM-Raw - x")


@pytest.fixture(scope="module")
def comparison():
    """``good`` is better than ``poor``; ``twin`` forecasts as ``good`` does; ``vague`` cannot be told from ``poor``."""
    world = worlds.World(days=1200, tickers=4, seeds=3, signal=0.1, bias=0.01, wiggle=0.01)
    table = worlds.draw(replace(world, strengths={"good": 1.0, "poor": 0.2, "vague": 0.205}), 0)
    twin = table.filter(table["variant"] == "good").with_columns(variant=worlds.pl.lit("twin"))
    pairs = [("good", "poor"), ("good", "twin"), ("vague", "poor"), ("good", None)]
    return compare(measure(table.vstack(twin)), ask=[Ask(*pair) for pair in pairs], margin=1e-4, replicates=500)


@pytest.mark.parametrize(
    ("text", "outcome", "status"),
    [
        ("good > poor", "holds", 0),
        ("poor < good", "holds", 0),
        ("good > zero", "holds", 0),
        ("good = twin", "holds", 0),
        ("good < poor", "refuted", 3),
        ("poor > good", "refuted", 3),
        ("poor = good", "refuted", 3),
        ("good > twin", "refuted", 3),
        ("twin > good", "refuted", 3),
        ("vague > poor", "undecided", 4),
        ("poor = vague", "undecided", 4),
        ("vague > good", "undecided", 4),
    ],
)
def test_an_expectation_holds_is_refuted_or_stays_open(comparison, text, outcome, status):
    (expected,) = read_expectations([text], comparison.losses.variants)
    found = hold(expected, comparison)
    assert found.outcome == outcome
    assert found.sentence.startswith(f"expected {text}: {outcome}, ")
    assert status_of([found]) == status


def test_figures_are_in_the_direction_of_the_expectation(comparison):
    one, two = (
        hold(one, comparison).sentence for one in read_expectations(["good > poor", "poor < good"], ["good", "poor"])
    )
    contrast = comparison.asked[0]
    assert f"+{100 * contrast.estimate:.2f} % (+{100 * contrast.low:.2f} to +{100 * contrast.high:.2f} %)" in one
    assert f"-{100 * contrast.estimate:.2f} % (-{100 * contrast.high:.2f} to -{100 * contrast.low:.2f} %)" in two


def test_a_withheld_contrast_is_undecided_and_says_why(comparison):
    few = replace(comparison, asked=(replace(comparison.asked[0], withheld="seed variance unknown"),))
    found = hold(read_expectations(["good > poor"], ["good", "poor"])[0], few)
    assert (found.outcome, found.sentence) == (
        "undecided",
        "expected good > poor: undecided, withheld (seed variance unknown)",
    )


def test_refuted_wins_over_undecided_and_undecided_over_holds(comparison):
    texts = ["good > poor", "vague > poor", "good < poor"]
    found = [hold(one, comparison) for one in read_expectations(texts, comparison.losses.variants)]
    assert status_of(found) == 3
    assert status_of(found[:2]) == 4
    assert status_of(found[:1]) == status_of([]) == 0


def test_names_may_hold_signs():
    assert read_questions(["LSTM-Raw - x - LSTM-Raw", " A-B "], NAMES) == [
        Ask("LSTM-Raw - x", "LSTM-Raw"),
        Ask("A", "B"),
    ]


def test_the_benchmark_has_several_names_and_comes_last():
    assert read_questions(["A - B", "A - benchmark"], NAMES, "B") == [Ask("A", None), Ask("A", None)]
    (mirrored,) = read_expectations(["B > A"], NAMES, "B")
    assert (mirrored.first, mirrored.sign, mirrored.second, mirrored.text) == ("A", "<", None, "B > A")
    assert read_questions(["A - zero"], ["A", "zero"]) == [Ask("A", "zero")]  # a variant of that name


def test_a_pair_is_asked_once_in_the_direction_that_comes_first():
    expected = read_expectations(["B > A", "A > LSTM-Raw"], NAMES)
    asks = read_questions(["A - zero", "A - B"], NAMES)
    assert join_questions(asks, expected) == [Ask("A", None), Ask("A", "B"), Ask("A", "LSTM-Raw")]


@pytest.mark.parametrize(
    ("text", "benchmark", "says"),
    [
        ("A - C", "", "'C' is no variant; expected 'A - B', of A, B"),
        ("A", "", "expected 'A - B'"),
        ("A - A", "", "both sides are 'A'"),
        ("A - zero", "B", "skill is measured against 'B' here, not zero"),
        ("B - A", "B", "a contrast ends in the benchmark; write 'A - B'"),
    ],
)
def test_a_question_that_cannot_be_read_is_refused_in_one_line(text, benchmark, says):
    with pytest.raises(NextdayError) as refused:
        read_questions([text], NAMES, benchmark)
    assert says in str(refused.value)
