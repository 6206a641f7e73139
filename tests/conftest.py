import contextlib
import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

import nextday.evaluate
import nextday.judgement
import nextday.pipeline
from checkpoints import save_bolt
from nextday.data import Bars, random_walk
from nextday.models import kernels, regression, volatility
from nextday.study import Study
from undrawn import undrawn as without_pictures
from verdict_schema import checked

gc.disable()  # until all is imported
os.environ["NEXTDAY_CACHE"] = ""  # every test computes what it looks at; test_reopening.py has a cache of its own
TICKERS = ("AAA", "BBB", "MKT")
SESSIONS = 260
PATHS = (  # a cheap variant or two of each way from bars to forecasts; the whole catalog goes there in slow tests
    "RollingMean", "LinearReg", "Ridge-Flat", "EWMA", "HAR", "HAR-Point", "LSTM-OHLCV", "LSTM-Pooled", "LSTM-Prob",
    "LSTM-Both", "Trans-Prob", "GRU-OHLCV", "MLP-Feat", "VAE", "Fracast", "Chronos-Bolt",
)  # fmt: skip

with contextlib.suppress(ModuleNotFoundError):  # what needs no network is tested without PyTorch, too
    import torch

    torch.set_num_threads(1)  # as in the workers; threads of several test processes would wait for one another


@pytest.fixture(scope="session")
def bars() -> Bars:
    """Two tickers and a market, a year of sessions, nothing to forecast."""
    return random_walk(tickers=TICKERS, sessions=SESSIONS, seed=0)


def fitted_once(fit):
    """Fit once for the same returns and settings."""
    fits = {}

    def once(y, *settings):
        key = y.tobytes(), settings
        if key not in fits:
            fits[key] = fit(y, *settings)
        return fits[key]

    return once


@pytest.fixture(scope="module")
def remembered():
    """Fits of GARCH and ARIMA, which take most of the time, are done once for the same returns; workers do all of them."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((volatility, "_fit_garch"), (regression, "_fit_orders")):
            patch.setattr(module, name, fitted_once(getattr(module, name)))
        yield


@pytest.fixture(scope="module")
def undrawn():
    """A module that looks at no picture."""
    with without_pictures():
        yield


@pytest.fixture
def one_undrawn():
    """A test that looks at no picture, in a module that does."""
    with without_pictures():
        yield


@pytest.fixture
def light_workers(tmp_path_factory, monkeypatch):
    """Workers that load no PyTorch start in a third of the time, for jobs that need none."""
    folder = tmp_path_factory.mktemp("light")
    (folder / "sitecustomize.py").write_text("import sys\n\nsys.modules['torch'] = None\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")])))


@pytest.fixture(scope="session")
def quick(tmp_path_factory) -> dict[str, object]:
    """Every model of the catalog that the presets name, made small enough for tests."""
    stages = [Study.load(f"stage{number}").model_dump() for number in (1, 2, 3, 4, 5, 6)]
    variants = {name: variant for stage in stages for name, variant in stage["variants"].items()}
    families = Study.load("families").model_dump()["variants"]
    variants |= {name: families[name] for name in ("GRU-OHLCV", "MLP-Feat", "Ridge-OHLCV")}
    bolt = str(save_bolt(tmp_path_factory.mktemp("bolt"), width=32))
    variants["Chronos-Bolt"] = {"model": "chronos_bolt", "features": "raw", "options": {"weights": bolt, "context": 48}}
    variants |= {
        "LSTM-Digest": {"model": "lstm", "features": "ohlcv", "options": {}, "representation": "digest"},
        "LSTM-Both": {"model": "lstm", "features": "ohlcv", "options": {}, "representation": "both", "lookback": 6},
        "LSTM-Random": {"model": "lstm", "features": "ohlcv", "options": {}, "representation": "random"},
    }
    variants |= {
        "HAR-Point": {"model": "har", "features": "ohlcv", "options": {}},
        "EWMA-Range": {"model": "ewma_range", "features": "ohlcv", "options": {}},
        "GARCH-Point": {"model": "garch_volatility", "features": "raw", "options": {}},
    }
    options = {"estimator": "ridge", "alpha": 10.0, "window": "flat"}
    variants["Ridge-Flat"] = {"model": "sklearn", "features": "ohlcv", "options": options}
    small = {
        "lstm": {"hidden": 8}, "transformer": {"width": 8, "heads": 2, "feedforward": 16}, "vae": {"hidden": 8},
        "fracast": {"sweep": (), "context": 16}, "gru": {"hidden": 8}, "mlp": {"hidden": 16},
        "hist_gradient_boosting": {  # on noise this early, it often grows no tree; here it does
            "min_samples_leaf": 5, "max_leaf_nodes": 2, "l2_regularization": 0.0, "patience": 10,
        },
    }  # fmt: skip
    for variant in variants.values():
        variant["options"] |= small.get(variant["model"], {})
    variants["ARIMA"]["options"] = {"max_order": 1}
    return {
        "name": "quick", "market": "MKT", "accept": ["*"], "lookback": 10, "variants": variants, "seeds": [1],
        "levels": (0.1, 0.5, 0.9), "conformal": stages[3]["conformal"],
        "training": {"max_epochs": 3, "patience": 2, "learning_rate": 0.01},
    }  # fmt: skip


@pytest.fixture(scope="session")
def paths(quick) -> dict[str, object]:
    """The quick study with a few of its variants, and what calibrates them."""
    return quick | {"variants": {name: one for name, one in quick["variants"].items() if name in PATHS}}


def pytest_configure():
    """Before any test module is imported: every verdict that the tests make is held against the JSON Schema."""
    judge = checked(nextday.evaluate.judge)
    for module in (nextday.evaluate, nextday.evaluate.verdict, nextday.pipeline, nextday.judgement):
        module.judge = judge


def pytest_collection_finish():
    """What has been imported and collected stays: the garbage collector need not go through it again and again."""
    gc.enable()
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes():
    """Before there are workers: on a clean checkout, compile the kernels once, not in every worker."""
    if not any(Path(kernels.__file__).parent.glob("__pycache__/*.nbi")):  # stale ones were removed by the import
        halves = "lstm_bf16", "encoder, dilated"  # with what they import
        imports = [f"from nextday.models.kernels import {names}" for names in halves]
        started = [subprocess.Popen([sys.executable, "-c", line], stderr=subprocess.DEVNULL) for line in imports]
        for one in started:
            one.wait()
