"""Every wording of a lesson, on made-up figures, and the bounds it rests on."""

import json
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

import worlds
from nextday.evaluate.ask import Ask, Subject
from nextday.evaluate.contrasts import Contrast
from nextday.evaluate.export import as_dict
from nextday.evaluate.inference import compare
from nextday.evaluate.table import measure
from nextday.evaluate.verdict import judge
from nextday.evaluate.wording import Figure, answer, because, best_of, best_pair, interval
from nextday.ladder.lessons import _features, _keeps_up, _summary, _tell_best

MARGIN = 0.0025


def contrast(first, low, high, second="zero forecast", withheld=""):
    middle = (low + high) / 2
    return Contrast(first, second, middle, 0, 0, 0.001, low, high, low, high, 0.5, 0.5, withheld=withheld)


def tell(*contrasts, seen=0.0):
    entries = pl.DataFrame({"variant": [one.first for one in contrasts], "contaminated": seen})
    comparison = SimpleNamespace(margin=MARGIN)
    return _tell_best(
        "stage1", "Which?", contrasts, comparison, "simple models", SimpleNamespace(entries=entries)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("low", "high", "said", "why"),
    [
        (0.001, 0.01, "yes", ""),
        (0.0005, 0.002, "yes", "; that is less than the 0.25 % that would matter"),
        (-0.01, 0.002, "no", "; any gain is below the 0.25 % that would matter"),
        (-0.02, -0.01, "no", "; it is worse"),
        (-0.001, 0.004, "cannot tell", "; that includes zero and gains that would matter"),
        (0.0, 0.0, "no", "; any gain is below the 0.25 % that would matter"),
    ],
)
def test_a_difference_is_a_gain_no_gain_that_matters_or_not_known(low, high, said, why):
    assert answer(Figure("a", "b", 0, low, high), MARGIN) == said
    assert because(Figure("a", "b", 0, low, high), MARGIN) == why


def test_the_best_of_several_is_told_with_the_bounds_of_whichever_is_best():
    noisy, sure = contrast("Noisy", -0.05, 0.03), contrast("Sure", -0.001, 0.002)
    assert best_of([noisy, sure]) == Figure("Sure", "zero forecast", 0.0005, -0.001, 0.03)
    (lesson,) = tell(noisy, sure)
    assert lesson.answer == "cannot tell", "Noisy may be better than its days say"
    assert lesson.sentence == (
        "Cannot tell whether any of 2 simple models beats the zero forecast; the best on these days, Sure: +0.05 % (-0.10 "
        "to +3.00 %), an interval for whichever is best; that includes zero and gains that would matter."
    )
    (lesson,) = tell(sure)
    assert lesson.sentence == (
        "No: none of 1 simple models beats the zero forecast by the 0.25 % that would matter; the best on these days, "
        "Sure: +0.05 % (-0.10 to +0.20 %)."
    )


def test_those_that_are_better_are_named_and_contamination_is_said():
    (lesson,) = tell(contrast("A", 0.001, 0.01), contrast("B", 0.002, 0.004), contrast("C", -0.1, 0.0), seen=0.5)
    assert lesson.sentence == (
        "Yes: of 3 simple models A and B are better than the zero forecast; the best on these days, A: +0.55 % (+0.20 to "
        "+1.00 %), an interval for whichever is best; its training data may reach 50 % of the test days."
    )
    many = [contrast(name, 0.001, 0.01) for name in "ABCDE"]
    assert "A, B, C and 2 more are better" in tell(*many)[0].sentence


def test_what_is_withheld_says_why_and_has_no_figure():
    (lesson,) = tell(contrast("A", 0.1, 0.2, withheld="too few days: 3"))
    assert lesson.sentence == "Withheld: too few days: 3."
    assert lesson.estimate is None


def test_a_withheld_model_is_counted_apart_and_withholds_no_gain_of_another():
    (lesson,) = tell(contrast("A", 0.1, 0.2, withheld="too few days: 3"), contrast("B", 0.002, 0.004))
    assert lesson.answer == "yes"
    assert lesson.sentence == (
        "Yes: of 1 simple models B is better than the zero forecast; the best on these days, B: +0.30 % (+0.20 to "
        "+0.40 %); 1 more withheld (too few days: 3)."
    )
    (lesson,) = tell(contrast("A", 0.1, 0.2, withheld="too few days: 3"), contrast("B", -0.002, 0.001))
    assert lesson.answer == "withheld", "none of all cannot be said where one is not judged"


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
        (0.001, 0.002, "yes", "; it is better"),
        (-0.001, 0.004, "yes", "; if it falls short, then by less than the 0.25 % that would matter"),
        (-0.02, -0.01, "no", "; it falls short"),
        (-0.02, 0.01, "cannot tell", "; that includes zero and losses that would matter"),
    ],
)
def test_keeping_up_is_to_fall_short_by_less_than_the_margin(low, high, said, why):
    assert _keeps_up(Figure("a", "b", 0, low, high), MARGIN) == (said, why)


@pytest.mark.parametrize(
    ("ends", "said", "head"),
    [
        ([(0.01, 0.02), (0.01, 0.03)], "yes", "Yes"),
        ([(0.01, 0.02), (-0.01, 0.03)], "yes", "Yes, for A"),
        ([(-0.03, -0.01), (-0.02, -0.01)], "no", "No, it does worse"),
        ([(-0.03, -0.01), (-0.02, 0.001)], "no", "No, any gain is below the 0.25 % that would matter"),
        ([(-0.03, -0.01), (-0.02, 0.01)], "cannot tell", "Cannot tell, but A is worse"),
        ([(-0.03, 0.02), (-0.02, 0.01)], "cannot tell", "Cannot tell"),
    ],
)
def test_several_pairs_that_were_named_before_are_summed_up(ends, said, head):
    contrasts = [contrast(name, low, high) for name, (low, high) in zip("AB", ends, strict=True)]
    assert _summary(contrasts, MARGIN) == (said, head)


def test_no_minus_zero_is_written():
    assert interval(-1e-9, -0.01, 0.0) == "+0.00 % (-1.00 to +0.00 %)"


SUBJECTS = {
    name: Subject("lstm", *role) for name, role in {"P": ("raw", "raw"), "Q": ("engineered", "engineered")}.items()
}


def stage2(folder, *, seeds=3, **changes):
    """Write a verdict of two variants whose names say nothing: first against the benchmark, then of their features."""
    world = worlds.World(strengths={"P": 0.2, "Q": 1.0}, days=900, tickers=6, signal=0.1, bias=0.02, seeds=seeds)
    asked = compare(measure(worlds.draw(world, 0)), ask=[Ask("P", None), Ask("Q", "P")], replicates=300)
    verdict = judge(asked, subjects=SUBJECTS)
    (folder / "verdict.json").write_text(json.dumps(as_dict(asked, verdict) | changes))
    return asked.asked[1], verdict, SimpleNamespace(rung=lambda _: SimpleNamespace(folder=folder))


def test_stage_2_repeats_its_headline_with_the_figures_of_its_features_whatever_the_variants_are_called(tmp_path):
    features, verdict, ladder = stage2(tmp_path)
    (lesson,) = _features(ladder)
    assert lesson.sentence == verdict.sentence
    assert lesson.answer == verdict.code
    assert "engineered features help" in lesson.sentence
    assert (lesson.estimate, lesson.low, lesson.high) == (features.estimate, features.low, features.high)


def test_a_withheld_contrast_lends_stage_2_no_figures(tmp_path):
    _, verdict, ladder = stage2(tmp_path, seeds=1)
    (lesson,) = _features(ladder)
    assert lesson.sentence == verdict.sentence
    assert lesson.answer == "withheld"
    assert lesson.estimate is None


@pytest.mark.parametrize("schema", [None, "nextday/verdict/1"])
def test_a_verdict_of_another_version_says_to_run_stage_2_again(tmp_path, schema):
    *_, ladder = stage2(tmp_path, schema=schema)
    (lesson,) = _features(ladder)
    assert lesson.answer == "withheld"
    assert lesson.sentence == f"Withheld: the verdict of {tmp_path} is of another version: run stage2 again."
    assert lesson.estimate is None


def test_a_broken_verdict_of_stage_2_is_no_lesson(tmp_path):
    *_, ladder = stage2(tmp_path)
    (tmp_path / "verdict.json").write_text("{")
    assert _features(ladder) == []
