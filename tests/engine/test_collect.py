"""The tables of a study are what each unit gave, unit by unit, however many there are."""

import numpy as np
import pytest

from nextday.data import align, random_walk
from nextday.engine import make_plan
from nextday.engine.collect import MOST_FAILURES, collect
from nextday.engine.execute import Outcome
from nextday.errors import TrainingError
from nextday.models import Fitted
from nextday.study import Study

LEVELS = (0.1, 0.9)


@pytest.fixture(scope="module")
def plan():
    tickers = tuple(f"T{at:02}" for at in range(60))
    variants = {
        "Point": {"model": "zero", "features": "raw"},
        "Quantiles": {"model": "constant_quantile", "features": "raw"},
    }
    study = {
        "name": "many",
        "variants": variants,
        "levels": LEVELS,
        "seeds": [1, 2],
        "split": {"scheme": "walk_forward", "folds": 2},
    }
    panel = align(random_walk(tickers=("MKT", *tickers), sessions=700, seed=0), market="MKT")
    return make_plan(Study.from_values(study), panel), panel.dates


def outcome_of(plan, unit, at):
    """Make up what a unit gave: numbers that tell it from all others."""
    test, valid = (
        sum(len(one.y[getattr(one.split, part)]) for one in plan.folds_of(unit)) for part in ("test", "valid")
    )
    predicted = at + np.arange(test) / 1e6
    if unit.variant != "Quantiles":
        return Outcome(unit, Fitted(predicted, train_loss=np.ones(3), valid_loss=np.arange(3.0), best_epoch=2))
    wide = np.array([[-1.0, 1.0]])
    return Outcome(
        unit, Fitted(predicted, quantiles=predicted[:, None] + wide, valid_quantiles=np.ones((valid, 1)) * wide)
    )


def test_tables_are_those_put_together_row_by_row(plan):
    """The slow and obvious way: one row after the other."""
    plan, dates = plan
    outcomes = [outcome_of(plan, unit, at) for at, unit in enumerate(plan.units)]
    rows, history, valid = [], [], 0
    for outcome in outcomes:
        unit, fitted = outcome.unit, outcome.fitted
        fold = plan.folds[unit.ticker, unit.fold]
        for place, origin in enumerate(fold.origins[fold.split.test]):
            quantiles = list(fitted.quantiles[place]) if len(fitted.quantiles) else [None, None]
            days = [dates[fold.sessions[at]].item() for at in (origin, origin + 1)]
            keys, y = (unit.variant, fold.ticker, unit.fold, unit.seed), fold.y[fold.split.test][place]
            rows.append((*keys, *days, y, fitted.predicted[place], False, *quantiles))
        valid += len(fold.y[fold.split.valid]) if unit.variant == "Quantiles" else 0
        for epoch, loss in enumerate(fitted.valid_loss, start=1):
            history.append((unit.variant, unit.ticker, unit.fold, unit.seed, epoch, 1.0, loss, epoch == 2))
    tables = collect(plan, reversed(outcomes), dates)
    assert tables["forecasts"].rows() == rows
    assert tables["history"].rows() == history
    assert len(tables["valid"]) == valid
    assert tables["folds"]["ticker"].n_unique() == 60


def test_of_many_failures_some_are_told_and_the_others_counted(plan):
    plan, dates = plan
    failed = [Outcome(unit, None, "no luck") for unit in plan.units]
    with pytest.raises(TrainingError) as error:
        collect(plan, failed, dates)
    assert str(error.value).count("no luck") == MOST_FAILURES
    assert f"and {len(failed) - MOST_FAILURES} more; fix the cause" in str(error.value)
