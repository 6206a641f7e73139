"""Every wording of a lesson, on made-up figures, the bounds it rests on, and what is read from verdicts."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from finished import make_stage, say, write
from nextday.errors import StudyError
from nextday.evaluate.contrasts import Contrast
from nextday.evaluate.wording import interval
from nextday.ladder.best import Figure, best_of, best_pair
from nextday.ladder.lessons import _keeps_up, _leads, _of_verdict, _overall
from nextday.ladder.stages import read_stage
from nextday.storage.folder import StudyFolder
from nextday.study import Study

MARGIN = 0.0025


def contrast(first, low, high, second="zero forecast", withheld=""):
    middle = (low + high) / 2
    return Contrast(first, second, middle, 0, 0, 0.001, low, high, low, high, 0.5, 0.5, withheld=withheld)


def tell(*contrasts, seen=0.0):
    entries = pl.DataFrame({
        "variant": [one.first for one in contrasts], "contaminated": seen, "stage": "stage1", "method": "made",
        "parameters": 0, "copy_of": pl.Series([None] * len(contrasts), dtype=pl.String),
    })  # fmt: skip
    comparison = SimpleNamespace(margin=MARGIN, alpha=0.05, against_benchmark=contrasts)
    stages = (SimpleNamespace(name="stage1"), SimpleNamespace(name="mine"))
    (lesson,) = _overall(SimpleNamespace(entries=entries, comparison=comparison, stages=stages))
    return lesson


@pytest.mark.parametrize(
    ("low", "high", "said", "why"),
    [
        (0.001, 0.01, "yes", ""),
        (0.0005, 0.002, "yes", ", which is below the margin of 0.25 %"),
        (-0.01, 0.002, "no", ": any gain is below the margin of 0.25 %"),
        (-0.02, -0.01, "no", ", which is worse"),
        (-0.001, 0.004, "inconclusive", ", which includes both zero and gains above the margin of 0.25 %"),
        (0.0, 0.0, "no", ": any gain is below the margin of 0.25 %"),
    ],
)
def test_a_difference_is_a_gain_no_gain_that_matters_or_not_known(low, high, said, why):
    assert _leads(Figure("a", "b", 0, low, high), MARGIN) == (said, why)


def test_the_best_of_several_is_told_with_bounds_that_hold_whichever_is_the_best():
    noisy, sure = contrast("Noisy", -0.05, 0.03), contrast("Sure", -0.001, 0.002)
    assert best_of([noisy, sure]) == Figure("Sure", "zero forecast", 0.0005, -0.001, 0.03)
    lesson = tell(noisy, sure)
    assert lesson.answer == "inconclusive", "Noisy may be better than its days say"
    assert lesson.sentence == (
        "Inconclusive: none of the 2 models of 2 stages is significantly better than the zero forecast. Best in sample: "
        "Sure, +0.05 % (95 % CI for the best model -0.10 to +3.00 %), which includes both zero and gains above the "
        "margin of 0.25 %."
    )
    assert tell(sure).sentence == (
        "No: the only model is not significantly better than the zero forecast. Best in sample: Sure, "
        "+0.05 % (95 % CI -0.10 to +0.20 %)."
    )


def test_those_that_are_better_are_named_and_contamination_is_said():
    lesson = tell(contrast("A", 0.001, 0.01), contrast("B", 0.002, 0.004), contrast("C", -0.1, 0.0), seen=0.5)
    assert lesson.sentence == (
        "Yes: of 3 models of 2 stages A and B are significantly better than the zero forecast. Best in sample: A, +0.55 "
        "% (95 % CI for the best model +0.20 to +1.00 %); its pretraining corpus may overlap 50 % of the test period."
    )
    many = [contrast(name, 0.001, 0.01) for name in "ABCDE"]
    assert "A, B, C and 2 more are significantly better" in tell(*many).sentence


def test_what_is_withheld_says_why_and_has_no_figure():
    lesson = tell(contrast("A", 0.1, 0.2, withheld="too few days: 3"))
    assert lesson.sentence == "Withheld: too few days: 3."
    assert lesson.estimate is None


def test_a_withheld_model_is_counted_apart_and_withholds_no_gain_of_another():
    lesson = tell(contrast("A", 0.1, 0.2, withheld="too few days: 3"), contrast("B", 0.002, 0.004))
    assert lesson.answer == "yes"
    assert lesson.sentence == (
        "Yes: of 1 model of 2 stages that can be judged B is significantly better than the zero forecast. Best in sample: B, +0.30 % (95 % "
        "CI +0.20 to +0.40 %). Not judged: A (too few days: 3)."
    )
    lesson = tell(contrast("A", 0.1, 0.2, withheld="too few days: 3"), contrast("B", -0.002, 0.001))
    assert lesson.answer == "inconclusive", "none of all cannot be said where one is not judged"


def test_the_bounds_of_the_best_against_the_best_hold_for_any_truth_inside_all_intervals():
    rng = np.random.default_rng(0)
    for _ in range(300):
        first, second = rng.normal(size=3), rng.normal(size=2)  # the truth
        contrasts = []
        for i in range(3):
            for j in range(2):
                true, (below, above) = first[i] - second[j], rng.exponential(size=2)
                contrasts.append(contrast(f"a{i}", true - below, true + above, f"b{j}"))
        found = best_pair(contrasts)
        assert found.low <= first.max() - second.max() <= found.high


def test_the_best_pair_is_the_best_first_less_the_best_second():
    skills, others = {"a": 0.01, "b": 0.03}, {"x": 0.02, "y": 0.0}
    pairs = [contrast(m, s - t - 0.1, s - t + 0.1, n) for m, s in skills.items() for n, t in others.items()]
    found = best_pair(pairs)
    assert (found.first, found.second) == ("b", "x")
    assert found.estimate == pytest.approx(0.01)
    assert (found.low, found.high) == (pytest.approx(-0.09), pytest.approx(0.11))


@pytest.mark.parametrize(
    ("low", "high", "said", "why"),
    [
        (0.001, 0.002, "yes", ", which is better"),
        (-0.001, 0.004, "yes", ": any shortfall is below the margin of 0.25 %"),
        (-0.02, -0.01, "no", ", which is worse"),
        (-0.02, 0.01, "inconclusive", ", which includes both zero and losses above the margin of 0.25 %"),
    ],
)
def test_keeping_up_is_to_fall_short_by_less_than_the_margin(low, high, said, why):
    assert _keeps_up(Figure("a", "b", 0, low, high), MARGIN) == (said, why)


def test_no_minus_zero_is_written():
    assert interval(-1e-9, -0.01, 0.0) == "+0.00 % (-1.00 to +0.00 %)"


@pytest.fixture
def stage(tmp_path):
    """A study whose name and variants say nothing of what it asks."""
    write(tmp_path / "mine", make_stage({"P": (0, 0, 0), "Q": (0, 1, 0)}), question="Does Q help?", answer="It does.")
    return read_stage(StudyFolder(tmp_path / "mine"))


def test_a_study_answers_its_own_question_by_its_verdict_with_its_first_figures(stage):
    (lesson,) = _of_verdict(stage)
    assert (lesson.stage, lesson.question, lesson.answer) == ("mine", "Does Q help?", "inconclusive")
    assert (lesson.sentence, lesson.estimate, lesson.low, lesson.high) == ("It does.", -0.01, -0.04, 0.02)


def test_a_withheld_contrast_lends_no_figures(stage):
    say(stage.folder.path, "Withheld: too few seeds.", code="withheld", withheld="too few seeds")
    (lesson,) = _of_verdict(stage)
    assert lesson.answer == "withheld"
    assert lesson.estimate is None


def test_sentences_of_analyses_follow_the_answer_and_many_are_counted(stage):
    say(stage.folder.path, "It does.", mine=["One holds.", "Two"], rows=[{"a": 1}], none=[], many=list("abcde"))
    own, mine, many = _of_verdict(stage)
    assert own.sentence == "It does."
    assert (mine.question, mine.answer, mine.sentence) == ("Supplementary: mine", "supplementary", "One holds. Two.")
    assert many.sentence == "a. b. c. 2 more in the report of mine."


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda file: file.unlink(), "is missing"),
        (lambda file: file.write_text("{"), "Expecting property name"),
        (lambda file: file.write_text("[]"), "another schema version"),
        (lambda file: say(file.parent, "Old.", schema="nextday/verdict/1"), "another schema version"),
        (lambda file: say(file.parent, "Odd.", asked=[{}]), "withheld"),
    ],
)
def test_a_verdict_that_cannot_be_read_is_withheld_with_the_way_out(stage, change, why):
    change(stage.folder.path / "verdict.json")
    (lesson,) = _of_verdict(stage)
    assert (lesson.answer, lesson.estimate) == ("withheld", None)
    assert lesson.sentence.startswith(f"Withheld: {stage.folder.path}")
    assert why in lesson.sentence
    assert "report its folder" in lesson.sentence


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"asks": "wins"}, "lessons.0.asks: expected 'leads' or 'keeps_up', got 'wins'"),
        ({"against": []}, "lessons.0.against: "),
        (
            {"model": "lstm"},
            "unknown key 'lessons.0.model'; did you mean variants.NAME.model or ablation.model\\? known here: question, of, asks, among, against",
        ),
    ],
)
def test_a_question_across_studies_that_makes_no_sense_is_refused(change, says):
    lesson = {"question": "Is it?", "against": ["mine"]} | change
    with pytest.raises(StudyError, match=says):
        Study.from_values({"name": "a", "variants": {"A": {"model": "zero", "features": "raw"}}, "lessons": [lesson]})
