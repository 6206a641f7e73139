"""Which studies of a results folder are compared, in which order, and what is said of the others."""

import json

import polars as pl
import pytest

from finished import make_stage, say, write
from nextday.errors import VerdictError
from nextday.ladder.leaderboard import rank
from nextday.ladder.run import compare
from nextday.ladder.table import load_ladder

pytestmark = pytest.mark.usefixtures("undrawn")
ONE, TWO, OWN = ({name: (0.0, noise, 0)} for name, noise in (("A", 0.0), ("B", 0.1), ("Mine", 0.05)))


@pytest.fixture
def results(tmp_path):
    write(tmp_path / "stage2", make_stage(TWO))
    write(tmp_path / "stage1", make_stage(ONE))
    return tmp_path


def names(ladder):
    return [stage.name for stage in ladder.stages]


def test_a_stage8_of_ones_own_beside_the_others_is_in_the_leaderboard(results):
    write(results / "stage8", make_stage(OWN), question="Does mine help?", answer="It does not.")
    found = compare(results)
    assert set(pl.read_csv(found.out / "final_comparison.csv")["Stage"]) == {"stage1", "stage2", "stage8"}
    assert [one.sentence for one in found.lessons if one.stage == "stage8"] == ["It does not."]
    assert "stage8" in (found.out / "report.html").read_text()


def test_presets_come_in_their_order_then_the_others_by_name(results):
    for name in ("stage8", "alpha", "mine"):
        write(results / name, make_stage(OWN))
    ladder = load_ladder(results)
    assert names(ladder) == ["stage1", "stage2", "alpha", "mine", "stage8"]
    board, _ = rank(ladder)
    assert board["stage"].unique().sort().to_list() == names(ladder), "colours follow the order"


def test_a_study_of_fewer_days_is_named_with_the_counts_and_the_others_are_compared(results):
    write(results / "mine", make_stage(OWN, days=240))
    ladder = load_ladder(results)
    assert names(ladder) == ["stage1", "stage2"]
    (said,) = [note for note in ladder.notes if note.startswith("mine")]
    assert said.startswith("mine is not compared: it has other samples: A in ")
    assert "has 500 (ticker, origin) pairs, Mine in" in said
    assert "has 480, 480 are in both; run mine again" in said


def test_a_study_of_other_bars_is_named_with_the_first_value_that_differs(results):
    write(results / "mine", make_stage(OWN).with_columns(pl.col("actual") + 1e-6))
    (said,) = [note for note in load_ladder(results).notes if note.startswith("mine")]
    assert "has other bars: 500 of 500 actual values differ" in said
    assert "AAA at 2020-01-01" in said


def test_the_samples_that_most_studies_share_are_compared_whichever_comes_first(results):
    write(results / "stage3", make_stage(OWN, days=240))
    for name in ("mine", "yours"):
        write(results / name, make_stage({name: (0.0, 0.2, 0)}, days=240))
    ladder = load_ladder(results)
    assert names(ladder) == ["stage3", "mine", "yours"]
    assert [note.split()[0] for note in ladder.notes if "other samples" in note] == ["stage1", "stage2"]


def test_of_equally_many_the_earlier_are_compared(results):
    for name in ("mine", "yours"):
        write(results / name, make_stage({name: (0.0, 0.2, 0)}, tickers=("AAA",)))
    ladder = load_ladder(results)
    assert names(ladder) == ["stage1", "stage2"]
    assert "Mine" not in ladder.comparison.losses.variants


def test_a_study_whose_own_variants_disagree_is_no_measure_of_the_others(results):
    table = pl.concat([make_stage(OWN), make_stage({"Short": (0.0, 0.1, 0)}, days=240)])
    write(results / "alpha", table)
    ladder = load_ladder(results)
    assert names(ladder) == ["stage1", "stage2"]
    assert "Short in" in next(note for note in ladder.notes if note.startswith("alpha"))


def test_where_no_two_agree_the_first_that_differ_are_named(results):
    (results / "stage2" / "forecasts.parquet").unlink()
    write(results / "mine", make_stage(OWN, days=240))
    with pytest.raises(VerdictError, match=r"different samples: A in .*stage1 has 500 .* run mine again"):
        load_ladder(results)


GARBAGE = {
    "no manifest": lambda folder: (folder / "manifest.json").unlink(),
    "a broken manifest": lambda folder: (folder / "manifest.json").write_bytes(b"\xff{"),
    "no forecasts": lambda folder: (folder / "forecasts.parquet").unlink(),
    "no folds": lambda folder: (folder / "folds.parquet").write_text("no table"),
    "a table of something else": lambda folder: pl.DataFrame({"a": [1]}).write_parquet(folder / "forecasts.parquet"),
    "no rows": lambda folder: make_stage(OWN).head(0).write_parquet(folder / "forecasts.parquet"),
    "a variant that the study does not know": lambda folder: make_stage(TWO).write_parquet(
        folder / "forecasts.parquet"
    ),
}


@pytest.mark.parametrize("harm", GARBAGE.values(), ids=GARBAGE)
def test_a_folder_that_holds_no_finished_study_is_named_with_the_reason(results, harm):
    write(results / "mine", make_stage(OWN))
    harm(results / "mine")
    ladder = load_ladder(results)
    assert names(ladder) == ["stage1", "stage2"]
    (said,) = [note for note in ladder.notes if note.startswith("mine")]
    assert said.startswith(f"mine is not compared: {results / 'mine'}")


def test_a_study_with_a_key_of_another_version_is_named_with_the_key(results):
    write(results / "mine", make_stage(OWN), leverage=2)
    assert any("mine is not compared" in note and "'leverage'" in note for note in load_ladder(results).notes)


def test_an_empty_folder_is_named_and_files_and_the_comparison_itself_are_not_stages(results):
    (results / "scratch").mkdir()
    (results / "notes.txt").write_text("mine")
    compare(results)
    said = load_ladder(results).notes
    assert [note.split()[0] for note in said if "is not compared" in note] == ["scratch"]


def test_two_studies_with_equal_variant_names_are_told_apart(results):
    write(results / "mine", make_stage({"A": (0.0, 0.3, 0)}))
    write(results / "yours", make_stage({"A (mine)": (0.0, 0.4, 0)}))
    ladder = load_ladder(results)
    assert len(set(ladder.comparison.losses.variants)) == 4, "also where a name reads like that of another stage"
    own = ladder.entries.filter(stage="mine").row(0, named=True)
    assert (own["own"], own["variant"], own["copy_of"]) == ("A", "A (mine)", None)
    assert any("A is in several stages" in note for note in ladder.notes)


def test_the_pooled_and_the_costs_of_the_manifest_stand_in_the_entries(results):
    file = results / "stage2" / "manifest.json"
    manifest = json.loads(file.read_text()) | {"pooled": ["B"]}
    del manifest["costs"]
    file.write_text(json.dumps(manifest))
    row = load_ladder(results).entries.filter(variant="B").row(0, named=True)
    assert (row["pooled"], row["seconds"], row["parameters"]) == (True, None, None)


def test_a_variant_of_which_an_audit_has_an_open_alarm_is_marked_and_an_accepted_one_is_not(results):
    write(results / "mine", make_stage({"Mine": (0.0, 0.05, 0), "Yours": (0.0, 0.04, 0)}))
    alarm = {
        "name": "Mine",
        "level": "alarm",
        "code": "C1",
        "sentence": "Mine copies.",
        "numbers": {},
        "accepted": False,
    }
    say(results / "mine", "Not to be trusted: Mine copies.", code="leak", audit=[alarm])
    found = compare(results)
    table = pl.read_csv(found.out / "final_comparison.csv")
    assert table.filter(pl.col("Leak"))["Model"].to_list() == ["Mine"]
    shown = (found.out / "report.html").read_text()
    assert '<span class="word">Mine</span> <span class="word">(not</span>' in shown
    assert [one.sentence for one in found.lessons if one.stage == "mine"] == ["Not to be trusted: Mine copies."]
    say(results / "mine", "Fine.", audit=[alarm | {"accepted": True}])
    assert not pl.read_csv(compare(results).out / "final_comparison.csv")["Leak"].any()
