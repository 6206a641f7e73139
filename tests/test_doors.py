"""Models, features, losses and splits of one's own: each row was tried by a stranger, and went wrong once."""

import shutil
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest

import nextday
from nextday.engine import Workers
from nextday.engine.source import source_digest
from nextday.errors import DataError, PluginError, StudyError
from nextday.plugins import catalogs_of, load_plugins
from nextday.samples import Split
from nextday.study import Study

pytestmark = pytest.mark.usefixtures("undrawn")
EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
SMALL = {"market": "MKT", "tickers": "AAA", "accept": "*", "training.max_epochs": "1", "lookback": "10", "seeds": "1,2"}

CONSTANT = """
import numpy as np, nextday
VALUE = 0.05
@nextday.model("mine")
class Mine(nextday.Forecaster):
    def fit_predict(self, train, valid, test, *, key):
        return nextday.Fitted(np.full(len(test), VALUE))
"""


PEEK = """
import nextday
from sklearn.base import BaseEstimator
class Peek(BaseEstimator):
    def fit(self, x, y):
        return self
    def predict(self, x):
        return x[:, 0] - x[:, 0].mean()
mine = nextday.estimator("mine", Peek())
"""


def study_of(plugin: Path, **changes) -> Study:
    values = {
        "name": "lab", "market": "MKT", "accept": ["*"], "lookback": 10, "plugins": [str(plugin)], "seeds": [1],
        "variants": {"Mine": {"model": "mine", "features": "raw"}, "Mean": {"model": "historical_mean", "features": "raw"}},
    }  # fmt: skip
    return Study.from_values(values | changes)


def forecasts_of(study, bars, out, **options):
    """Fit a study in this process unless told otherwise; what is reported of it costs as much again."""
    options = {"workers": 0} | options
    return pl.read_parquet(nextday.forecast(study, bars=bars, out=out, **options) / "forecasts.parquet")


def predicted(forecasts, variant="Mine"):
    return forecasts.filter(variant=variant)["predicted"]


@pytest.fixture
def plugin(tmp_path):
    """Write a plugin, and return its path."""

    def write(text: str, name: str = "my_lab.py") -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


# The nine rows


def test_a_model_whose_code_changed_between_two_runs_is_fitted_again(plugin, bars, tmp_path):
    study = study_of(plugin(CONSTANT))
    assert set(predicted(forecasts_of(study, bars.frame, tmp_path))) == {0.05}
    plugin(CONSTANT.replace("0.05", "0.001"))
    assert set(predicted(forecasts_of(study, bars.frame, tmp_path))) == {0.001}


@pytest.mark.usefixtures("light_workers")
def test_a_model_of_ones_own_runs_in_worker_processes(plugin, bars, tmp_path):
    study = study_of(plugin(CONSTANT))
    assert set(predicted(forecasts_of(study, bars.frame, tmp_path, workers=1))) == {0.05}


@pytest.mark.usefixtures("light_workers")
def test_what_a_worker_cannot_import_is_named_as_that(monkeypatch):
    """A class that pickles by reference to a module which the worker does not have."""
    gone = ModuleType("gone")
    monkeypatch.setitem(sys.modules, "gone", gone)
    exec("class Task:\n    def run(self): return 1", vars(gone))
    gone.Task.__module__ = "gone"
    with Workers(1) as pool:
        ((_, said, _),) = pool.map([0], lambda _: gone.Task())
    assert said.startswith("ModuleNotFoundError: No module named 'gone'")
    assert said.endswith("install it there")


def test_a_column_that_is_called_like_a_feature_is_refused_or_meant(plugin, bars, tmp_path):
    frame = bars.frame.with_columns(roll_vol=pl.lit(1.0) + pl.int_range(pl.len()) % 7)
    variants = {"One": {"model": "linear_regression", "features": "mine"}}
    values = {
        "name": "x",
        "market": "MKT",
        "accept": ["*"],
        "feature_sets": {"mine": ["roll_vol"]},
        "variants": variants,
    }
    with pytest.raises(
        StudyError, match=r"a column roll_vol, which is also a feature .*set features_from: \{roll_vol: bars\}"
    ):
        nextday.run(Study.from_values(values), bars=frame, out=tmp_path, workers=0)
    found = {
        meant: predicted(
            forecasts_of(Study.from_values(values | {"features_from": {"roll_vol": meant}}), frame, tmp_path / meant),
            "One",
        )
        for meant in ("bars", "catalog")
    }
    assert not found["bars"].equals(found["catalog"])


def test_a_feature_that_no_variant_uses_costs_no_session(bars, tmp_path):
    study = Study.load("stage1", {"market": "MKT", "accept": "*"})
    study = study.model_copy(
        update={
            "variants": {"Zero": study.variants["Zero"]},
            "verdict": Study.load("stage2").verdict.model_copy(update={"ask": ()}),
        }
    )
    long = {"mom120": nextday.Feature(pl.col("adj_close") / pl.col("adj_close").shift(120), 120)}
    plain = forecasts_of(study, bars.frame, tmp_path / "plain")
    beside = forecasts_of(study, bars.frame, tmp_path / "beside", features=long)
    assert beside.equals(plain)
    used = study.model_copy(
        update={
            "variants": {"One": study.variants["Zero"].model_copy(update={"features": "long"})},
            "feature_sets": {"long": ("mom120",)},
        }
    )
    with pytest.raises(StudyError, match="20 sessions dropped at the start, but mom120 needs 120; set warmup: 120"):
        nextday.run(used, bars=bars.frame, out=tmp_path, workers=0, features=long)
    later = forecasts_of(used.model_copy(update={"warmup": 120}), bars.frame, tmp_path, features=long)
    assert later["origin"].min() > plain["origin"].min()


def test_packages_are_not_hidden_by_functions():
    from nextday.engine import plan
    from nextday.reporting import html

    assert plan.make_plan
    assert html.render_report
    assert callable(nextday.run)
    assert callable(nextday.report)


def test_other_names_of_variants_change_no_code_of_the_verdict(bars, tmp_path):
    values = {"name": "names", "market": "MKT", "accept": ["*"], "seeds": [1], "lookback": 10}
    codes = []
    for names in (("LSTM-Raw", "LSTM-Feat"), ("raw", "engineered"), ("x", "a")):
        models = {
            names[0]: {"model": "linear_regression", "features": "raw"},
            names[1]: {"model": "linear_regression", "features": "engineered"},
        }
        results = nextday.run(
            Study.from_values(values | {"variants": models}), bars=bars.frame, out=tmp_path / names[0], workers=0
        )
        codes.append(results.verdict.code)
    assert len(set(codes)) == 1


def test_precision_is_part_of_the_study():
    plain, rounded = Study.load("stage2"), Study.load("stage2", {"training.precision": "bf16"})
    assert plain != rounded


# The example of the docs


@pytest.fixture(scope="module")
def lab(bars, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    for name in ("my_lab.py", "my_lab.yaml"):
        shutil.copy(EXAMPLES / name, folder)
    study = Study.load(folder / "my_lab.yaml", SMALL)
    nextday.forecast(study, bars=bars.frame, out=folder, workers=1)
    return folder, study


def outcomes_of(study, bars, **options):
    seen = []

    def watch(stream, _):
        for one in stream:
            seen.append(one)
            yield one

    return forecasts_of(study, bars.frame, watch=watch, **options), seen


def test_the_example_gives_the_same_bits_from_a_file_in_workers_and_from_python(lab, bars, tmp_path):
    folder, study = lab
    known = pl.read_parquet(folder / "my-lab" / "forecasts.parquet")
    catalogs = load_plugins([str(folder / "my_lab.py")])
    guests = {
        kind: {name: getattr(catalogs, kind)[name] for name in names}
        for kind, names in (("models", ("mean_gru", "flat_ridge")), ("features", ("rsi14", "drawdown")))
    }
    found, _ = outcomes_of(study.model_copy(update={"plugins": ()}), bars, out=tmp_path, **guests)
    assert found.equals(known)


def test_a_gru_of_ones_own_depends_on_its_unit_alone(lab, bars, tmp_path):
    """The start weights and masks of any module come from the unit's key, whatever PyTorch drew before."""
    import torch

    folder, study = lab
    torch.manual_seed(99)
    torch.rand(1000)
    only = study.model_copy(update={"variants": {"GRU-Mine": study.variants["GRU-Mine"]}, "seeds": (2,)})
    alone = forecasts_of(only, bars.frame, tmp_path)
    together = pl.read_parquet(folder / "my-lab" / "forecasts.parquet").filter(variant="GRU-Mine", seed=2)
    assert alone.equals(together)


def test_a_changed_line_of_the_gru_refits_its_units_alone(lab, bars, tmp_path):
    folder = shutil.copytree(lab[0], tmp_path / "lab")
    study = Study.load(folder / "my_lab.yaml", SMALL)
    _, before = outcomes_of(study, bars, out=folder)
    assert all(one.reused for one in before)
    text = (folder / "my_lab.py").read_text()
    (folder / "my_lab.py").write_text(text.replace("# windows,", "# the windows,"))
    _, seen = outcomes_of(study, bars, out=folder)
    assert all(one.reused for one in seen), "a comment is no change"
    (folder / "my_lab.py").write_text(text.replace("self.dropout(states.mean(1))", "self.dropout(states[:, -1])"))
    _, seen = outcomes_of(study, bars, out=folder)
    assert {one.unit.variant for one in seen if not one.reused} == {"GRU-Raw", "GRU-Mine"}


def test_what_a_model_uses_of_its_own_file_and_of_a_neighbour_counts(plugin, tmp_path):
    plugin("SHARE = 2\ndef helper(x):\n    return SHARE * x\n", "side.py")
    text = CONSTANT.replace("VALUE = 0.05", "from side import helper\nOTHER = 3\nVALUE = 1\n").replace(
        "VALUE))", "helper(VALUE)))"
    )

    def digest():
        return source_digest(load_plugins([str(tmp_path / "my_lab.py")]).models["mine"]().parts())

    plugin(text)
    first = digest()
    plugin(text.replace("OTHER = 3", "OTHER = 4"))
    assert digest() == first, "it does not use that"
    plugin("SHARE = 50\ndef helper(x):\n    return SHARE * x\n", "side.py")
    assert digest() != first


def test_a_report_runs_no_plugin(plugin, bars, tmp_path):
    path = plugin(CONSTANT)
    results = nextday.run(study_of(path), bars=bars.frame, out=tmp_path, workers=0)
    path.write_text("raise SystemExit('a stranger ran code')")
    again = nextday.report(results.out)
    assert again.forecasts.equals(results.forecasts)


# Further doors


def test_a_loss_of_ones_own_is_judged_and_reported_without_its_code(plugin, bars, tmp_path):
    path = plugin(
        CONSTANT
        + "\n@nextday.loss('asymmetric')\ndef asymmetric(actual, predicted):\n    over = predicted - actual\n    return np.where(over > 0, 2 * over, -over)\n"
    )
    with pytest.raises(StudyError, match=r"asymmetric is a plugin loss: set .*verdict.benchmark"):
        nextday.run(study_of(path, verdict={"loss": "asymmetric"}), bars=bars.frame, out=tmp_path, workers=0)
    study = study_of(path, verdict={"loss": "asymmetric", "benchmark": "Mean"})
    results = nextday.run(study, bars=bars.frame, out=tmp_path, workers=0)
    over = (results.forecasts["predicted"] - results.forecasts["actual"]).to_numpy()
    np.testing.assert_allclose(results.forecasts["asymmetric"], np.where(over > 0, 2 * over, -over))
    path.unlink()
    assert nextday.report(results.out).verdict == results.verdict


def test_a_split_of_ones_own_cuts_the_days(plugin, bars, tmp_path):
    text = (
        CONSTANT
        + "\n@nextday.split('halves')\ndef halves(samples, settings):\n    half = samples // 2\n    return [nextday.Split(0, slice(0, half - 20), slice(half - 20, half), slice(half, samples))]\n"
    )
    folder = nextday.forecast(
        study_of(plugin(text), split={"scheme": "halves"}), bars=bars.frame, out=tmp_path, workers=0
    )
    folds = pl.read_parquet(folder / "folds.parquet")
    assert (folds["valid"] == 20).all()
    bad = text.replace("slice(half, samples))", "slice(half - 30, samples))")
    with pytest.raises(StudyError, match="expected training before validation before test set"):
        nextday.run(study_of(plugin(bad), split={"scheme": "halves"}), bars=bars.frame, out=tmp_path, workers=0)


@pytest.mark.parametrize("scheme", [{"scheme": "rolling", "folds": 3}, {"scheme": "purged", "gap": 5, "folds": 3}])
def test_rolling_and_purged_splits_run(bars, tmp_path, scheme):
    values = {
        "name": "cut",
        "market": "MKT",
        "accept": ["*"],
        "lookback": 10,
        "split": scheme,
        "variants": {"One": {"model": "linear_regression", "features": "raw"}},
    }
    folder = nextday.forecast(Study.from_values(values), bars=bars.frame, out=tmp_path, workers=0)
    folds = pl.read_parquet(folder / "folds.parquet").filter(ticker="AAA").sort("fold")
    if scheme["scheme"] == "rolling":
        assert folds["train"].n_unique() == 1
        assert folds["train_from"].is_sorted()
        assert folds["train_from"].n_unique() == 3
    else:
        assert ((folds["valid_from"] - folds["train_to"]).dt.total_days() > 5).all()
        assert ((folds["test_from"] - folds["valid_to"]).dt.total_days() > 5).all()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"estimator": "ridge", "alpha": "1.0", "window": "flat"}, ""),
        ({"estimator": "random_forest", "n_estimators": "5"}, ""),
        ({"estimator": "elastic_net"}, ""),
        ({"estimator": "ridge", "alfa": "1"}, "ridge has no parameter 'alfa'; did you mean alpha"),
        ({"estimator": "ridge", "alpha": "-1"}, "alpha"),
        ({"estimator": "forest"}, "unknown estimator 'forest'; did you mean"),
        ({"estimator": "ridge", "window": "wide"}, "window is last or flat"),
    ],
)
def test_estimators_of_scikit_learn_are_named_in_a_study(bars, tmp_path, options, says):
    values = {
        "name": "sk",
        "market": "MKT",
        "accept": ["*"],
        "lookback": 10,
        "variants": {"One": {"model": "sklearn", "features": "ohlcv", "options": options}},
    }
    study = Study.from_values(values)
    if says:
        with pytest.raises(StudyError, match=says):
            nextday.run(study, bars=bars.frame, out=tmp_path, workers=0)
    else:
        assert forecasts_of(study, bars.frame, tmp_path)["predicted"].std() > 0


# Bad input: one line with file and name, before anything is trained


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1 / 0", r"my_lab.py fails: ZeroDivisionError: division by zero \(line 1\)"),
        ("import not_there", r"my_lab.py fails: ModuleNotFoundError: No module named 'not_there' \(line 1\)"),
        ("def f(:", "my_lab.py fails: SyntaxError"),
        ("x = 1", "my_lab.py registers nothing"),
        (CONSTANT.replace('"mine"', '"lstm"'), "my_lab.py: model lstm: the name is already used by nextday itself"),
        (CONSTANT + CONSTANT.replace("class Mine", "class Two"), "model mine: the name is already used by .*my_lab.py"),
        (CONSTANT.replace("len(test), VALUE", "3, VALUE"), r"my_lab.py: model mine \(variant Mine\): forecasts have shape \(3,\), expected"),
        (CONSTANT.replace("0.05", "float('nan')"), "my_lab.py: model mine .*: forecasts are not finite, expected"),
        (CONSTANT.replace("np.full(len(test), VALUE)", "np.append(test.last('log_return')[1:], 0.0)"), "my_lab.py: model mine .*: uses the future"),
        (PEEK, "my_lab.py: model mine .*: uses the future"),
        (CONSTANT.replace("(nextday.Forecaster)", ""), "my_lab.py fails: PluginError|expected a subclass of nextday.Forecaster"),
    ],
)  # fmt: skip
def test_a_bad_plugin_is_one_line_before_anything_is_trained(plugin, bars, tmp_path, text, says):
    study = study_of(plugin(text))
    with pytest.raises(PluginError, match=says) as error:
        nextday.run(study, bars=bars.frame, out=tmp_path, workers=0)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("lab/units/*.json"))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("return bars['close'][:-3]", "my_lab.py: feature odd of AAA has 257 values for 260 bars"),
        ("return [None] * len(bars)", "my_lab.py: feature odd of AAA on .* is nan"),
        ("return bars['close'].shift(-1).fill_null(0)", "my_lab.py: feature odd uses data after its own date"),
        ("return bars['nothing']", "my_lab.py: feature odd cannot be computed for AAA: ColumnNotFoundError"),
    ],
)
def test_a_bad_feature_is_one_line_before_anything_is_trained(plugin, bars, tmp_path, body, says):
    text = CONSTANT + f"\n@nextday.feature('odd', warmup=0)\ndef odd(bars):\n    {body}\n"
    study = study_of(
        plugin(text), feature_sets={"mine": ["odd"]}, variants={"Mine": {"model": "mine", "features": "mine"}}
    )
    with pytest.raises(DataError, match=says):
        nextday.run(study, bars=bars.frame, out=tmp_path, workers=0)
    assert not list(tmp_path.glob("lab/units/*.json"))


def test_a_plugin_that_does_not_exist_is_named():
    with pytest.raises(PluginError, match=r"plugin nowhere.py does not exist"):
        catalogs_of(["nowhere.py"])
    with pytest.raises(PluginError, match=r"plugin not_installed fails: ModuleNotFoundError"):
        catalogs_of(["not_installed"])


def test_a_split_is_a_value():
    assert Split(0, slice(0, 1), slice(1, 2), slice(2, 3)).fold == 0


def test_the_study_that_was_run_is_written_and_repeats_exactly(plugin, bars, tmp_path):
    bars.frame.write_parquet(tmp_path / "bars.parquet")
    study = study_of(
        plugin(CONSTANT), data=str(tmp_path / "bars.parquet"), seeds=[3, 5], training={"learning_rate": "1e-4"}
    )
    results = nextday.run(study, out=tmp_path / "one", workers=0)
    again = nextday.run(results.out / "study.yaml", out=tmp_path / "two", workers=0)
    assert again.forecasts.equals(results.forecasts)
    assert again.study.model_copy(update={"plugins": study.plugins}) == study
    page = (results.out / "report.html").read_text()
    assert "nextday run lab/study.yaml --out ." in page
    assert "ln(adj_close[t] / adj_close[t-1])" in page


def test_a_study_of_bars_handed_over_says_so(plugin, bars, tmp_path):
    folder = nextday.forecast(study_of(plugin(CONSTANT)), bars=bars.frame, out=tmp_path, workers=0)
    assert "data: bars passed in Python" in (folder / "study.yaml").read_text()
    with pytest.raises(DataError, match="bars passed in Python"):
        nextday.run(folder / "study.yaml", out=tmp_path, workers=0)


def test_a_feature_that_never_moves_is_named(plugin, bars, tmp_path):
    frame = bars.frame.with_columns(still=pl.lit(1.0))
    study = study_of(
        plugin(CONSTANT),
        feature_sets={"mine": ["log_return", "still"]},
        variants={"Mine": {"model": "mine", "features": "mine"}},
    )
    results = nextday.run(study, bars=frame, out=tmp_path, workers=0)
    assert "feature still of AAA is constant in the training set and carries no information" in results.notes


def test_an_installed_package_brings_guests_by_an_entry_point(tmp_path, monkeypatch):
    (tmp_path / "their_lab.py").write_text(CONSTANT)
    info = tmp_path / "their_lab-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-lab\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[nextday.plugins]\ntheirs = their_lab\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "mine" in catalogs_of(["theirs"]).models
    assert "mine" not in catalogs_of().models, "a package that is merely installed takes no part"
