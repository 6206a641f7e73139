"""What --precision bf16 moves, from the kernel to the manifest, and where it is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

import nextday
from nextday.analyses.probing.run import run_probes
from nextday.data import align
from nextday.engine import Store, Workers, execute, make_plan
from nextday.errors import StudyError
from nextday.models.networks.forecasters import Lstm
from nextday.study import Study, Training


@pytest.fixture
def panel(bars):
    return align(bars, market="MKT")


def study(quick, *variants, **changes):
    chosen = {name: quick["variants"][name] for name in variants}
    return Study.from_values({**quick, "variants": chosen, "conformal": {}, **changes})


def of(chosen, precision):
    """The same study, computed in another precision."""
    return chosen.model_copy(update={"training": chosen.training.model_copy(update={"precision": precision})})


def fit(plan, variant):
    return plan.job(next(unit for unit in plan.units if unit.variant == variant)).run()


@pytest.mark.parametrize("variant", ["LSTM-Feat", "LSTM-Pooled", "LSTM-Prob", "VAE"])
def test_bf16_moves_every_network_of_lstm_layers_a_little(panel, quick, variant):
    chosen = study(quick, variant)
    wide, narrow = (fit(make_plan(of(chosen, one), panel), variant) for one in ("float32", "bf16"))
    assert not np.array_equal(wide.train_loss, narrow.train_loss)
    np.testing.assert_allclose(wide.train_loss, narrow.train_loss, rtol=0.02)
    assert np.corrcoef(wide.predicted, narrow.predicted)[0, 1] > 0.9


def test_bf16_leaves_transformers_and_other_models_as_they_are(panel, quick):
    chosen = study(quick, "Transformer-Raw", "LinearReg")
    for variant in chosen.variants:
        wide, narrow = (fit(make_plan(of(chosen, one), panel), variant) for one in ("float32", "bf16"))
        np.testing.assert_array_equal(wide.predicted, narrow.predicted)


def test_finished_units_of_another_precision_are_not_used(panel, quick, tmp_path):
    chosen, seen = study(quick, "LSTM-Raw", "Zero"), []
    for precision in ("float32", "bf16", "float32"):
        plan = make_plan(of(chosen, precision), panel)
        with Workers(0) as pool:
            outcomes = list(execute(plan, Store(tmp_path), pool))
        seen.append({outcome.unit.variant for outcome in outcomes if outcome.reused})
    assert seen == [set(), {"Zero"}, {"Zero", "LSTM-Raw"}]


def test_bf16_is_refused_on_cuda_in_one_line(panel, quick):
    with pytest.raises(StudyError, match=r"^variants.LSTM-Raw: precision bf16 requires a CPU: add --dev"):
        make_plan(of(study(quick, "LSTM-Raw"), "bf16"), panel, device="cuda")
    with pytest.raises(StudyError, match="precision bf16 requires a CPU"):
        replace(Lstm(training=Training(precision="bf16")), device="cuda")
    make_plan(of(study(quick, "Zero"), "bf16"), panel, device="cuda")  # has no network


def test_the_manifest_tells_the_precision_and_probes_take_it_from_there(bars, panel, quick, tmp_path):
    first = study(quick, "LSTM-Raw", name="first")
    nextday.forecast(of(first, "bf16"), bars=bars.frame, out=tmp_path, workers=0)
    manifest = tmp_path / "first" / "manifest.json"
    said = json.loads(manifest.read_text())
    assert said["study"]["training"]["precision"] == "bf16"

    def probe():
        with Workers(0) as pool:
            return run_probes(["first"], panel, tmp_path, Store(tmp_path / "units"), pool)

    assert len(probe()["probes"])
    said["study"]["training"]["precision"] = "float32"  # of which there are no networks here
    manifest.write_text(json.dumps(said))
    with pytest.raises(nextday.NextdayError, match="2 of 2 networks missing"):
        probe()
