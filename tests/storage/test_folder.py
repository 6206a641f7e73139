"""A study's folder: what is written is what has rows, and what was written before is read or refused, never misread."""

import json
from dataclasses import replace

import polars as pl
import pytest

from nextday.errors import OutputError
from nextday.storage.folder import StudyFolder
from nextday.storage.tables import FOLDS, HISTORY

OWN = {"name": pl.String, "value": pl.Float64}
MANIFEST = {"study": {}, "data": {}, "units": {}, "versions": {}, "checks": {}, "notes": [], "pooled": []}


def tables(**changes):
    rows = pl.DataFrame({"name": ["a"], "value": [1.0]}, schema=OWN)
    found = {"forecasts": rows, "folds": rows, "history": rows, "own": rows.clear()}
    return {name: found[name] if rows is None else rows for name, rows in (dict.fromkeys(found) | changes).items()}


@pytest.fixture
def folder(tmp_path):
    folder = StudyFolder(tmp_path / "mine")
    folder.write(json.dumps(MANIFEST).encode(), "", tables())
    return folder


def files(folder):
    return {path.name for path in folder.path.iterdir()} - {"study.yaml"}


def test_only_tables_with_rows_are_written_but_for_those_that_every_study_has(folder):
    assert files(folder) == {"manifest.json", "forecasts.parquet", "folds.parquet", "history.parquet"}
    folder.write(b"{}", "", tables(forecasts=tables()["forecasts"].clear()))
    assert "forecasts.parquet" in files(folder)


def test_tables_and_report_of_an_earlier_run_are_removed(folder):
    folder.put("report.html", "all of it")
    folder.write(b"{}", "", tables(history=tables()["own"], own=tables()["history"]))
    assert files(folder) == {"manifest.json", "forecasts.parquet", "folds.parquet", "own.parquet"}


def test_a_run_that_is_stopped_while_it_writes_leaves_no_finished_study(folder, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(pl.DataFrame, "write_parquet", stop)
    with pytest.raises(KeyboardInterrupt):
        folder.write(b"{}", "", tables())
    assert not folder.is_finished
    with pytest.raises(OutputError, match="mine does not contain a finished study: manifest.json: is missing; run the"):
        folder.manifest()


def test_a_table_that_was_not_written_is_one_without_rows_and_with_its_columns(folder):
    found = folder.table("own", OWN)
    assert found.schema == pl.Schema(OWN)
    assert found.is_empty()
    assert folder.tables({"history": OWN, "own": OWN})["history"].height == 1


def test_a_study_is_none_without_the_tables_that_every_study_has(folder):
    (folder.path / "folds.parquet").unlink()
    with pytest.raises(
        OutputError, match=r"does not contain a finished study: folds.parquet: is missing; run the study"
    ):
        folder.table("folds", FOLDS)


def test_columns_of_before_that_nobody_reads_any_more_are_passed_over(folder):
    epochs = {"variant": ["A"], "ticker": ["KO"], "fold": [0], "seed": [1], "epoch": [1], "train_loss": [1.0]}
    old = pl.DataFrame(epochs | {"valid_loss": [1.0], "best": [True], "reconstruction": [None], "kl": [None]})
    folder.write(b"{}", "", tables(history=old))
    assert folder.table("history", HISTORY).columns == list(HISTORY)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (pl.DataFrame({"name": ["a"]}), "value"),
        (pl.DataFrame({"name": ["a"], "value": ["text"]}), "value"),
        (pl.DataFrame({"name": [None], "value": [1.0]}, schema=OWN), "values of name are missing"),
    ],
)
def test_a_table_of_other_columns_is_refused_in_one_line(folder, rows, says):
    folder.write(b"{}", "", tables(own=rows))
    with pytest.raises(OutputError, match=says) as caught:
        folder.table("own", OWN)
    assert "own.parquet" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "3", '{"study": []}', json.dumps(MANIFEST | {"notes": "text"})])
def test_a_manifest_of_another_form_is_refused_in_one_line(folder, text):
    folder.put("manifest.json", text)
    with pytest.raises(OutputError, match=r"^[^\n]*mine does not contain a finished study: manifest.json: [^\n]*$"):
        folder.manifest()


def test_a_refusal_says_what_the_study_is_wanted_for_and_the_way_out(folder):
    place = replace(folder.beside("other"), purpose=" to go by", way_out="name another")
    with pytest.raises(OutputError, match=r"other does not contain a finished study to go by: .*; name another$"):
        place.verdict()
