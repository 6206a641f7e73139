"""From the forecasts table to scores and the verdict; no model is imported."""

from nextday.evaluate.assess import assess
from nextday.evaluate.baselines import compare_rungs, load_baselines, load_forecasts, load_neighbour
from nextday.evaluate.conformal import calibrate
from nextday.evaluate.contrasts import Comparison, Contrast, compare
from nextday.evaluate.losses import LOSSES, Losses, measure
from nextday.evaluate.metrics import METRICS, score, summarise
from nextday.evaluate.regimes import Regimes, find_regimes
from nextday.evaluate.side_tests import Beside, beside
from nextday.evaluate.verdict import Verdict, as_dict, judge, relation

__all__ = [
    "LOSSES",
    "METRICS",
    "Beside",
    "Comparison",
    "Contrast",
    "Losses",
    "Regimes",
    "Verdict",
    "as_dict",
    "assess",
    "beside",
    "calibrate",
    "compare",
    "compare_rungs",
    "find_regimes",
    "judge",
    "load_baselines",
    "load_forecasts",
    "load_neighbour",
    "measure",
    "relation",
    "score",
    "summarise",
]  # fmt: skip
