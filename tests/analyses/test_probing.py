"""Networks whose states are known to hold a feature, or not to; and what a study's probes depend on."""

import json
import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import nextday
from nextday.analyses.probing import job as probe_job
from nextday.analyses.probing.assess import CONTROLS, assess_probes, found
from nextday.analyses.probing.collect import TABLES, Result, collect_probes
from nextday.analyses.probing.job import ProbeJob, Subject
from nextday.analyses.probing.run import TARGETS, run_probes
from nextday.data import align
from nextday.engine import Store, Workers
from nextday.engine.plan import Job
from nextday.errors import OutputError, StudyError, TrainingError
from nextday.models import Key
from nextday.models.networks.forecasters import Lstm
from nextday.models.networks.training import initialise, states, train
from nextday.samples import Samples, Split, Windows
from nextday.study import Study, Training

SPLIT = Split(0, slice(0, 700), slice(700, 850), slice(850, 1250))
SEEDS = (2, 3, 4)  # with seed 1 a network stays on a plateau, and there is nothing to find


def series(ticker):
    """Returns of slowly moving volatility, and their deviation over each window of 10."""
    rng = np.random.default_rng([7, ord(ticker)])
    level = np.convolve(rng.standard_normal(1400), np.exp(-np.arange(100) / 30))[100:1359] / 8
    returns = np.exp(level - level.mean()) * rng.standard_normal(1259)
    volatility = np.lib.stride_tricks.sliding_window_view(returns, 10).std(axis=1, ddof=1)
    return (returns / returns.std())[:, None].astype(np.float32), volatility[:, None] / volatility.std()


def subject(ticker, seed, *, planted):
    """A network trained to give the volatility of the window, or with other weights drawn anew."""
    rows, y = series(ticker)
    parts = [
        Windows(rows[part.start : part.stop + 9], 10, ("log_return",))
        for part in (SPLIT.train, SPLIT.valid, SPLIT.test)
    ]
    samples = [Samples(windows, y[part, 0]) for windows, part in zip(parts, (SPLIT.train, SPLIT.valid), strict=False)]
    key = Key(seed, ticker, 0)
    job = Job(Lstm(hidden=8, layers=1, dropout=0), *samples, parts[2], key)
    network = job.model.build(1)
    initialise(network, key if planted else Key(seed + 100, ticker, 0))
    if planted:
        train(
            network, *samples, settings=Training(max_epochs=25, patience=25, learning_rate=0.03), key=key, device="cpu"
        )
    return Subject("LSTM", job, {name: value.numpy() for name, value in network.state_dict().items()})


def probed(*, planted):
    """Tables of two tickers and three seeds."""
    results = []
    for ticker in "AB":
        job = ProbeJob(tuple(subject(ticker, seed, planted=planted) for seed in SEEDS), series(ticker)[1], SPLIT)
        names, dates = [("LSTM", seed) for seed in SEEDS], np.datetime64("2000-01-03") + np.arange(400)
        results.append(Result(ticker, 0, names, [("log_return",)] * 3, ("roll_vol",), dates, job.run()))
    return collect_probes(results)


@pytest.fixture(scope="module")
def planted():
    return probed(planted=True)


def assessed(tables):
    rows = assess_probes(tables["probes"], tables["probe_days"])
    return {row["source"]: row for row in rows.iter_rows(named=True)}


def test_a_network_that_was_trained_to_give_volatility_is_found_to_hold_it(planted):
    rows = assessed(planted)
    assert rows["trained"]["R2"] > 0.9
    assert rows["trained"]["R2"] > rows["untrained"]["R2"] + 0.1
    assert rows["window"]["R2"] < 0.1
    assert rows["shuffled"]["R2"] < 0.05
    assert not rows["trained"]["Given"]
    gains = {name: (rows[name]["Gain_low"], rows[name]["Gain_high"]) for name in CONTROLS}
    assert found(gains) == ("encoded", "")
    assert [rows[name]["Above"] for name in CONTROLS] == [2, 2]


def test_a_random_network_holds_no_more_than_its_control():
    rows = assessed(probed(planted=False))
    gains = {name: (rows[name]["Gain_low"], rows[name]["Gain_high"]) for name in CONTROLS}
    assert found(gains)[0] != "encoded"
    assert rows["untrained"]["Gain_low"] < 0 < rows["untrained"]["Gain_high"]
    assert rows["trained"]["R2"] > rows["window"]["R2"] + 0.1  # yet it holds some: hence the control


def test_probes_of_planted_networks_are_consistent(planted):
    probes, days = planted["probes"], planted["probe_days"]
    assert {name: table.schema for name, table in planted.items()} == {k: pl.Schema(v) for k, v in TABLES.items()}
    by_days = days.group_by("source").agg(pl.col("r2").mean()).sort("source")
    by_rows = probes.group_by("source").agg(pl.col("r2").mean()).sort("source")
    np.testing.assert_allclose(by_days["r2"], by_rows["r2"], rtol=1e-6)
    assert probes.filter(source="window").select("seed", "layer").unique().rows() == [(None, 0)]
    assert len(planted["cka"]) == 2 * 2 * 3  # tickers, sources, pairs of seeds


def test_a_probe_is_fitted_on_train_alone(monkeypatch):
    one, fits = subject("A", 1, planted=False), []
    fit = probe_job.fit_ridge
    monkeypatch.setattr(probe_job, "fit_ridge", lambda *given: fits.append(fit(*given)) or fits[-1])
    targets = series("A")[1]
    rewritten = targets.copy()
    rewritten[SPLIT.test] = np.random.default_rng(0).standard_normal((400, 1))
    garbage = Windows(one.job.test.rows * 99, 10, ("log_return",))
    other = replace(one, job=replace(one.job, test=garbage))
    first, second = ProbeJob((one,), targets, SPLIT).run(), ProbeJob((other,), rewritten, SPLIT).run()
    assert len(fits) == 2 * 4
    for before, after in zip(fits[:4], fits[4:], strict=True):
        np.testing.assert_array_equal(before.weights, after.weights)
        np.testing.assert_array_equal(before.offset, after.offset)
    assert (first["r2"] != second["r2"]).all()


@pytest.mark.parametrize("options", [{"hidden": 6, "layers": 3}, {}])
def test_the_last_state_is_what_the_head_gets(options, quick):
    import torch

    from nextday.models import make_model
    from nextday.models.networks import training

    kind = {"hidden": 6, "layers": 3} if options else quick["variants"]["Transformer-Raw"]["options"]
    network = make_model("lstm" if options else "transformer", kind, training=Training(), device="cpu").build(1)
    windows = Windows(np.random.default_rng(0).standard_normal((1209, 1)).astype(np.float32), 10, ("x",))
    layers = states(network, windows)
    assert len(layers) == (3 if options else 2)
    assert all(layer.shape == (1200, layers[0].shape[1]) for layer in layers)
    with torch.inference_mode():
        read = network.head(torch.from_numpy(layers[-1])).numpy()
    np.testing.assert_allclose(read, training.predict(network, windows, device="cpu")[0], rtol=1e-4, atol=1e-6)
    assert not np.allclose(layers[-1], layers[0])


def test_a_transformer_has_the_mean_over_time_after_each_layer():
    import torch

    from nextday.models.networks.transformer import TransformerNetwork, positions

    network = TransformerNetwork(1, width=8, layers=2, heads=2, feedforward=16, dropout=0.3).eval()
    windows = Windows(np.random.default_rng(0).standard_normal((29, 1)).astype(np.float32), 10, ("x",))
    with torch.inference_mode():
        x = network.embed(torch.tensor(windows.x)) + positions(10, 8)
        for layer, found in zip(network.layers, states(network, windows), strict=True):
            x = layer(x)
            np.testing.assert_allclose(found, x.mean(dim=1).numpy(), rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def panel(bars):
    return align(bars, market="MKT")


def neighbour(quick, name, variants, **changes):
    chosen = {one: quick["variants"][one] for one in variants}
    return Study.from_values({**quick, "name": name, "variants": chosen, "conformal": {}, "seeds": [1, 2], **changes})


@pytest.fixture(scope="module")
def out(bars, quick, tmp_path_factory):
    """Two finished studies: networks of both kinds, and a model that is none."""
    out = tmp_path_factory.mktemp("out")
    nextday.forecast(neighbour(quick, "first", ("LSTM-Raw", "LSTM-Feat", "Zero")), bars=bars.frame, out=out, workers=0)
    nextday.forecast(neighbour(quick, "second", ("Transformer-Raw",)), bars=bars.frame, out=out, workers=0)
    return out


@pytest.fixture
def study(quick):
    return neighbour(quick, "third", ("Zero",), analyses={"probing": {"studies": "first,second"}})


def probe(panel, out, store, studies=("first", "second"), **options):
    with Workers(0) as pool:
        return run_probes(studies, panel, out, Store(store), pool, **options)


@pytest.fixture(scope="module")
def tables(panel, out):
    return probe(panel, out, out / "third" / "units")


def test_every_network_layer_source_and_feature_is_probed(tables):
    probes = tables["probes"]
    assert {name: table.schema for name, table in tables.items()} == {k: pl.Schema(v) for k, v in TABLES.items()}
    networks = ["LSTM-Raw", "LSTM-Feat", "Transformer-Raw"]
    assert list(probes["variant"].unique(maintain_order=True)) == networks
    assert set(probes["feature"]) == {"roll_vol", "range_norm", "vol_zscore", "mkt_return"}
    assert len(probes) == 2 * 3 * 4 * (
        2 * 2 * 3 + 1
    )  # tickers, variants, features, seeds x layers x sources and windows
    assert set(probes.filter("given")["variant"]) == {"LSTM-Feat"}
    assert probes.filter("given", source="window")["r2"].min() > 0.999
    assert not probes.select("ticker", "fold", "variant", "seed", "layer", "source", "feature").is_duplicated().any()
    assert len(tables["cka"]) == 2 * 2 * 15
    trained, untrained = (tables["cka"].filter(source=source)["cka"].to_numpy() for source in ("trained", "untrained"))
    assert (trained != untrained).all()


class Backwards(Workers):
    """Processes whose results come in the opposite order."""

    def map(self, units, make_job):
        yield from reversed([*super().map(units, make_job)])


def test_workers_and_other_tickers_change_nothing(panel, out, tables, tmp_path):
    with Backwards(1) as pool:
        again = run_probes(("first", "second"), panel, out, Store(tmp_path), pool)
    assert all(again[name].equals(table) for name, table in tables.items())
    alone = probe(replace(panel, tickers=("BBB",)), out, tmp_path / "alone")
    assert alone["probes"].equals(tables["probes"].filter(ticker="BBB"))


def test_a_second_run_computes_nothing_and_a_damaged_result_is_computed_again(
    panel, out, tables, tmp_path, monkeypatch
):
    shutil.copytree(out / "third" / "units", tmp_path / "units")
    with monkeypatch.context() as patch:
        patch.setattr(ProbeJob, "run", lambda self: 1 / 0)
        again = probe(panel, out, tmp_path / "units")
        assert all(again[name].equals(table) for name, table in tables.items())
        with pytest.raises(TrainingError, match=r"the probes of 2 of 2 tickers and folds failed; AAA: ZeroDivision"):
            probe(panel, out, tmp_path / "units", fresh=True)
    next((tmp_path / "units").glob("*.safetensors")).write_bytes(b"")
    seen = []
    ran = ProbeJob.run
    monkeypatch.setattr(ProbeJob, "run", lambda self: seen.append(self) or ran(self))
    mended = probe(panel, out, tmp_path / "units")
    assert len(seen) == 1
    assert all(mended[name].equals(table) for name, table in tables.items())


def test_another_network_is_another_result(panel, out, tmp_path):
    shutil.copytree(out, tmp_path / "out")
    manifest = tmp_path / "out" / "first" / "manifest.json"
    values = json.loads(manifest.read_text())
    values["study"]["seeds"] = [1]
    manifest.write_text(json.dumps(values))
    found = probe(panel, tmp_path / "out", tmp_path / "out" / "third" / "units")["probes"]
    assert set(found.filter(pl.col("variant") == "LSTM-Raw")["seed"].drop_nulls()) == {1}


def test_a_study_that_was_not_run_is_one_line(panel, out, bars, tmp_path):
    with pytest.raises(OutputError, match=r"^probes: .*first: no finished study; run first first"):
        probe(panel, tmp_path, tmp_path / "units")
    moved = bars.frame.with_columns(pl.col("volume") * 1.5, pl.col("open", "high", "low", "close", "adj_close") * 1.0)
    other = align(replace(bars, frame=moved.filter(pl.col("date") < moved["date"].max())), market="MKT")
    with pytest.raises(OutputError, match=r"8 of 8 networks missing for these bars, such as LSTM-Raw AAA seed 1"):
        probe(other, out, tmp_path / "units")


def test_a_study_that_was_not_run_is_missed_before_anything_is_fitted(study, bars, tmp_path):
    with pytest.raises(OutputError, match="no finished study"):
        nextday.forecast(study, bars=bars.frame, out=tmp_path, workers=0)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_studies_that_cannot_be_compared_are_one_line(quick, panel, out, tmp_path):
    shutil.copytree(out, tmp_path / "out")
    manifest = tmp_path / "out" / "second" / "manifest.json"
    values = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(values | {"study": values["study"] | {"lookback": 12}}))
    with pytest.raises(OutputError, match="first and second differ in lookback or split"):
        probe(panel, tmp_path / "out", tmp_path / "units")
    twin = values["study"] | {"variants": {"LSTM-Raw": quick["variants"]["LSTM-Raw"]}}
    manifest.write_text(json.dumps(values | {"study": twin}))
    with pytest.raises(StudyError, match="first and second both have a variant LSTM-Raw"):
        probe(panel, tmp_path / "out", tmp_path / "units")


def test_a_network_of_all_tickers_is_left_out(quick, panel, out, tables, tmp_path):
    shutil.copytree(out, tmp_path / "out")
    manifest = tmp_path / "out" / "second" / "manifest.json"
    values = json.loads(manifest.read_text())
    both = values["study"]["variants"] | {"Pooled": {"model": "lstm", "features": "raw", "options": {"pooled": True}}}
    manifest.write_text(json.dumps(values | {"study": values["study"] | {"variants": both}}))
    assert probe(panel, tmp_path / "out", tmp_path / "units")["probes"].equals(tables["probes"])


def test_folds_of_a_walk_are_probed_one_by_one(bars, quick, panel, tmp_path):
    walk = {"split": {"scheme": "walk_forward", "folds": 2}, "seeds": [1]}
    nextday.forecast(neighbour(quick, "first", ("LSTM-Raw",), **walk), bars=bars.frame, out=tmp_path, workers=0)
    tables = probe(panel, tmp_path, tmp_path / "units", studies=["first"])
    assert set(tables["probes"]["fold"]) == {0, 1}
    days = tables["probe_days"].filter(source="trained", feature="roll_vol")["date"]
    assert days.n_unique() == len(days)
    assert TARGETS[0] == "roll_vol"
