import pytest
import torch

from nextday.data import Bars, random_walk
from nextday.study import Study

TICKERS = ("AAA", "BBB", "MKT")
SESSIONS = 260

torch.set_num_threads(1)  # as in the workers; threads of several test processes would wait for one another


@pytest.fixture(scope="session")
def bars() -> Bars:
    """Two tickers and a market, a year of sessions, nothing to forecast."""
    return random_walk(tickers=TICKERS, sessions=SESSIONS, seed=0)


@pytest.fixture(scope="session")
def quick() -> dict[str, object]:
    """Every model of the catalog that the stages name, made small enough for tests."""
    stages = [Study.load(f"stage{number}").model_dump() for number in (1, 2, 3, 4)]
    variants = {name: variant for stage in stages for name, variant in stage["variants"].items()}
    small = {"lstm": {"hidden": 8}, "transformer": {"width": 8, "heads": 2, "feedforward": 16}}
    for variant in variants.values():
        variant["options"] |= small.get(variant["model"], {})
    variants["ARIMA"]["options"] = {"max_order": 1}
    return {
        "name": "quick", "market": "MKT", "accept": ["*"], "lookback": 10, "variants": variants, "seeds": [1],
        "levels": stages[-1]["levels"], "conformal": stages[-1]["conformal"],
        "training": {"max_epochs": 3, "patience": 2, "learning_rate": 0.01},
    }  # fmt: skip
