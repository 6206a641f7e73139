"""From the forecasts table to scores and the verdict; no model is imported."""

from nextday.evaluate.answers import Answer
from nextday.evaluate.ask import Ask, Subject, asked_by, subjects_of
from nextday.evaluate.baselines import load_baselines, load_neighbour
from nextday.evaluate.conformal import calibrate
from nextday.evaluate.contrasts import Comparison, Contrast, relation
from nextday.evaluate.credible import examine
from nextday.evaluate.guards import twins
from nextday.evaluate.inference import compare
from nextday.evaluate.losses import LOSSES, Losses
from nextday.evaluate.metrics import METRICS, score, summarise
from nextday.evaluate.predictive_tests import Beside, beside
from nextday.evaluate.reading import Prepared, load_forecasts, prepare
from nextday.evaluate.table import measure
from nextday.evaluate.verdict import Verdict, judge

__all__ = [
    "LOSSES",
    "METRICS",
    "Answer",
    "Ask",
    "Beside",
    "Comparison",
    "Contrast",
    "Losses",
    "Prepared",
    "Subject",
    "Verdict",
    "asked_by",
    "beside",
    "calibrate",
    "compare",
    "examine",
    "judge",
    "load_baselines",
    "load_forecasts",
    "load_neighbour",
    "measure",
    "prepare",
    "relation",
    "score",
    "subjects_of",
    "summarise",
    "twins",
]  # fmt: skip
