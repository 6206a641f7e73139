import json

import polars as pl

from nextday.data import align, load, panel_of
from nextday.engine import Outcome, describe_run, make_plan
from nextday.engine.plan import inputs_of
from nextday.study import Study


def test_the_manifest_names_what_is_pooled_and_its_calibrated_copies(bars, quick):
    copies = {f"{name}-Split": {"of": name, "method": "split"} for name in ("LSTM-Pooled", "LSTM-Prob")}
    study, panel = Study.from_values(quick | {"conformal": copies}), align(bars, market="MKT")
    outcomes = [Outcome(unit, None) for unit in make_plan(study, panel).units]
    manifest = json.loads(describe_run(study, panel, outcomes, {}, started=0.0, device="cpu"))
    assert manifest["pooled"] == ["LSTM-Pooled", "VAE", "LSTM-Pooled-Split"]


def test_columns_of_further_files_are_inputs_with_their_lag_and_who_costs_sessions_is_a_note(bars, tmp_path):
    frame = bars.frame.filter((pl.col("ticker") != "BBB") | (pl.int_range(pl.len()).over("ticker") >= 100))
    bars.frame.select("date", mood="close").group_by("date").first().write_csv(tmp_path / "mood.csv")
    study = Study.from_values({
        "name": "mine", "market": "MKT", "accept": "*", "feature_sets": {"mine": ("log_return", "mood")},
        "variants": {"A": {"model": "zero", "features": "mine"}},
        "also": {"file": str(tmp_path / "mood.csv"), "lag": 1},
    })  # fmt: skip
    panel = panel_of(load(study, frame), study)
    plan = make_plan(study, panel)
    assert inputs_of(plan)["mine"]["mood"] == "a column of mood.csv, lag 1"
    outcomes = [Outcome(unit, None) for unit in plan.units]
    manifest = json.loads(describe_run(study, panel, outcomes, {}, started=0.0, device="cpu"))
    assert manifest["notes"][0].startswith("BBB begins 2000-05-22 and costs the others 100 of 260 sessions")
