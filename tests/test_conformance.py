"""What ``nextday check`` catches in guests, and that the house passes it."""

import pytest

from nextday.engine import Workers
from nextday.errors import PluginError
from nextday.features import FEATURES
from nextday.models import MODELS, make_model
from nextday.plugins import load_plugins
from nextday.study import Training
from nextday.testing import check_feature, check_model, faults_of_model
from test_cli import nextday as command

HEAD = "import numpy as np, polars as pl, nextday\nKEPT = {}\nCALLS = []\n"
MODEL = (
    "@nextday.model('mine')\nclass Mine(nextday.Forecaster):\n    def fit_predict(self, train, valid, test, *, key):\n"
)

BAD = {
    "a model that reads the future through a cached array": (
        MODEL + "        x = KEPT.setdefault(key, test.last('log_return').astype(float))\n"
        "        return nextday.Fitted(np.append(x[1:], 0)[:len(test)])\n",
        "uses the future",
    ),
    "one that depends on call order": (
        MODEL + "        CALLS.append(1)\n        return nextday.Fitted(np.full(len(test), 0.001 * len(CALLS)))\n",
        "depends on earlier calls",
    ),
    "one that uses the global generator": (
        MODEL + "        return nextday.Fitted(np.random.normal(size=100)[:len(test)])\n",
        "uses a process-wide random generator",
    ),
    "one that cannot be pickled": (
        "import threading\n@nextday.model('mine')\nclass Mine(nextday.Forecaster):\n"
        "    def __post_init__(self):\n        object.__setattr__(self, 'lock', threading.Lock())\n"
        "    def fit_predict(self, train, valid, test, *, key):\n        return nextday.Fitted(np.zeros(len(test)))\n",
        "cannot be sent to another process",
    ),
    "a centred feature": (
        "mine = nextday.feature('mine', warmup=5)(pl.col('close').rolling_mean(5, center=True).fill_null(1.0))\n",
        "uses data after its own date",
    ),
    "a feature normalised over the whole sample": (
        "@nextday.feature('mine', warmup=0)\ndef mine(bars):\n    x = bars['volume']\n    return (x - x.mean()) / x.std()\n",
        "uses data after its own date",
    ),
    "a model that normalises by the test days": (
        MODEL + "        x = test.last('log_return').astype(float)\n        return nextday.Fitted(x - x.mean())\n",
        "uses the future",
    ),
    "a model that changes its inputs": (
        MODEL + "        y = train.y\n        y *= 2\n        return nextday.Fitted(np.full(len(test), y.mean()))\n",
        "modifies its input arrays|depends on earlier calls",
    ),
    "a model that hides its seed": (
        MODEL + "        rng = np.random.default_rng(key.stream('x'))\n        return nextday.Fitted(rng.normal(size=100)[:len(test)])\n",
        "set seeded = True",
    ),
}  # fmt: skip


IN_PROCESSES = ("a model that reads the future through a cached array",)


def here(_):
    return Workers(0)


@pytest.mark.parametrize("what", BAD)
def test_check_catches(what, tmp_path, monkeypatch):
    if what not in IN_PROCESSES:  # three processes, which find what keeps what it saw; the rest shows without them
        monkeypatch.setattr("nextday.testing.Workers", here)
    text, says = BAD[what]
    (tmp_path / "bad.py").write_text(HEAD + text)
    loaded = load_plugins([str(tmp_path / "bad.py")])
    guest = loaded.models.get("mine") or loaded.features["mine"]
    with pytest.raises(PluginError, match=says):
        (check_model if "mine" in loaded.models else check_feature)(guest)


SLOW = {"garch_volatility"}  # fits nine times what garch does


@pytest.mark.parametrize("name", [pytest.param(one, marks=[pytest.mark.slow] * (one in SLOW)) for one in MODELS])
def test_every_model_of_the_house_passes(name, quick, monkeypatch):
    monkeypatch.setattr("nextday.testing.Workers", here)  # processes catch guests that keep what they saw
    options = next(one["options"] for one in quick["variants"].values() if one["model"] == name)
    options = {key: value for key, value in options.items() if key != "head"}

    def make():
        return make_model(name, options, training=Training(learning_rate=0.01), device="cpu", levels=(0.1, 0.5, 0.9))

    assert list(faults_of_model(make)) == []


@pytest.mark.parametrize("name", FEATURES)
def test_every_feature_of_the_house_passes(name):
    check_feature(FEATURES[name], name=name)


def test_the_command_says_in_one_line_each_what_fails(tmp_path):
    text, _ = BAD["a centred feature"]
    (tmp_path / "bad.py").write_text(HEAD + text + "close = nextday.feature('ok', warmup=0)(pl.col('close').log())\n")
    done = command("check", "bad.py", folder=tmp_path, status=1)
    lines = done.stdout.splitlines()
    assert lines[0].startswith("feature mine: bad.py: feature mine uses data after its own date")
    assert lines[1] == "feature ok: passes"
