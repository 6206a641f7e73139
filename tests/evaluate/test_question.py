"""What a study asks of the studies beside it: baselines, the study below, and what is said where they are not there."""

import polars as pl
import pytest

from finished import make_stage, write
from nextday.evaluate import load_baselines, load_neighbour
from nextday.evaluate.baselines import read_neighbour
from nextday.evaluate.question import answer, gather
from nextday.storage.folder import StudyFolder

KNOWING, BLIND = {"Simple": (0.3, 0.01, 0)}, {"Net": (0.0, 0.3, 0)}


@pytest.fixture
def beside(tmp_path):
    write(tmp_path / "plain", make_stage(KNOWING))
    return tmp_path


def test_baselines_of_the_same_samples_are_scored(beside):
    scores, note = load_baselines(beside / "plain", make_stage(BLIND))
    assert (scores["variant"].unique().to_list(), note) == (["Simple"], "")


def test_baselines_that_are_not_there_are_no_mistake(beside):
    assert load_baselines(beside / "nowhere", make_stage(BLIND)) == (None, "")


def test_baselines_of_other_days_are_not_compared(beside):
    scores, note = load_baselines(beside / "plain", make_stage(BLIND, days=240))
    assert scores is None
    assert "its forecasts cover other days or tickers; run plain on the same" in note


def test_baselines_that_cannot_be_read_say_why(beside):
    (beside / "plain" / "manifest.json").write_text("{}")
    found, note = load_neighbour(beside / "plain", make_stage(BLIND))
    assert found is None
    assert note.startswith("not compared with plain: ")
    assert "manifest.json: 'study'" in note


def context(folder, forecasts, **keys):
    write(folder, forecasts, **keys)
    found = read_neighbour(StudyFolder(folder))
    return answer(folder, found.study, {}, found.forecasts, found.folds).verdict.context


def test_a_simpler_model_that_finds_a_signal_is_named_where_the_study_says_who_is_simple(beside):
    said = context(beside / "mine", make_stage(BLIND), baselines="plain")
    assert any(
        "A simpler model succeeds where these do not: Simple (plain) beats the zero forecast" in one for one in said
    )
    assert not any("Simple" in one for one in context(beside / "alone", make_stage(BLIND)))


def test_a_contrast_with_the_study_below_takes_its_forecasts_and_nothing_else(beside):
    write(beside / "mine", make_stage(BLIND), below="plain", verdict={"ask": "Net - Simple"})
    found = read_neighbour(StudyFolder(beside / "mine"))
    asked = gather(beside / "mine", found.study, {}, found.forecasts)
    assert [(one.first, one.second) for one in asked.asks] == [("Net", "Simple")]
    assert asked.forecasts["variant"].unique(maintain_order=True).to_list() == ["Net", "Simple"]
    assert asked.note == ""


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (lambda folder: (folder / "forecasts.parquet").unlink(), "does not exist yet: run plain first"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "not compared with plain: "),
        (
            lambda folder: make_stage(KNOWING, days=9).write_parquet(folder / "forecasts.parquet"),
            "other days or tickers",
        ),
    ],
)
def test_a_study_below_that_cannot_be_compared_with_leaves_a_note_and_the_studys_own_question(beside, harm, why):
    harm(beside / "plain")
    write(beside / "mine", make_stage(BLIND), below="plain", verdict={"ask": "Net - Simple"})
    found = read_neighbour(StudyFolder(beside / "mine"))
    asked = gather(beside / "mine", found.study, {}, found.forecasts)
    assert why in asked.note
    assert [(one.first, one.second) for one in asked.asks] == [("Net", None)]
    assert len(asked.forecasts) == len(pl.read_parquet(beside / "mine" / "forecasts.parquet"))
