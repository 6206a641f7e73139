import json

from nextday.data import align
from nextday.engine import Outcome, describe_run, make_plan
from nextday.study import Study


def test_the_manifest_names_what_is_pooled_and_its_calibrated_copies(bars, quick):
    copies = {f"{name}-Split": {"of": name, "method": "split"} for name in ("LSTM-Pooled", "LSTM-Prob")}
    study, panel = Study.from_values(quick | {"conformal": copies}), align(bars, market="MKT")
    outcomes = [Outcome(unit, None) for unit in make_plan(study, panel).units]
    manifest = json.loads(describe_run(study, panel, outcomes, {}, started=0.0, device="cpu"))
    assert manifest["pooled"] == ["LSTM-Pooled", "VAE", "LSTM-Pooled-Split"]
