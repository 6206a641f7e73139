"""The regression of Corsi (2009) on the embedded panel, against the same least squares from the file of prices."""

from dataclasses import replace
from importlib import resources

import numpy as np
import pandas as pd
import pytest
from statsmodels.regression.linear_model import OLS

from nextday.data import align, load_bars
from nextday.engine.plan import make_plan
from nextday.study import Study

LOOKBACK, WARMUP = 4, 30
VARIANT = {"model": "linear_regression", "features": "har"}
STUDY = {
    "name": "har", "tickers": ["KO", "XOM"], "lookback": LOOKBACK, "warmup": WARMUP, "variants": {"HAR": VARIANT},
}  # fmt: skip


@pytest.fixture(scope="module")
def plan():
    return make_plan(Study.from_values(STUDY), align(load_bars("sample"), tickers=STUDY["tickers"]))


def rows_of(ticker):
    """Day, week and month of volatility by range, and what they are to forecast, as precise as the models see them."""
    with resources.files("nextday.data").joinpath("sample_bars.parquet").open("rb") as file:
        bars = pd.read_parquet(file)
    own = bars[bars["ticker"] == ticker].sort_values("date").set_index("date")
    day = np.log(own["high"] / own["low"]) / np.sqrt(4 * np.log(2))
    x = pd.DataFrame({"day": day, "week": day.rolling(5).mean(), "month": day.rolling(22).mean()})
    returns = np.log(own["adj_close"]).diff().shift(-1)
    rows = x.assign(returns=returns, volatility=day.shift(-1)).astype(np.float32).astype(np.float64)
    return rows.iloc[WARMUP + LOOKBACK - 1 : -1]  # the first window begins after the warm-up; the last day has no next


@pytest.mark.parametrize("ticker", ["KO", "XOM"])
@pytest.mark.parametrize("target", ["returns", "volatility"])
def test_linear_regression_on_har_is_least_squares_on_day_week_and_month(plan, ticker, target):
    """Of the next return, which is what a study forecasts, and of the next volatility, which is what Corsi does."""
    job, rows = plan.job(next(one for one in plan.units if one.ticker == ticker)), rows_of(ticker)
    train, valid = len(job.train.y), len(job.valid.y)
    assert train + valid + len(job.test) == len(rows)
    if target == "volatility":
        y = rows["volatility"].to_numpy()
        job = replace(job, train=replace(job.train, y=y[:train]), valid=replace(job.valid, y=y[train : train + valid]))
    x = rows[["day", "week", "month"]].assign(constant=1.0)
    known, later = x.iloc[: train + valid], x.iloc[train + valid :]
    expected = OLS(rows[target].iloc[: train + valid], known).fit()

    found = job.run().predicted
    np.testing.assert_allclose(found, expected.predict(later), rtol=1e-10, atol=1e-12)
    coefficients = np.linalg.lstsq(later.to_numpy(), found)[0]
    np.testing.assert_allclose(coefficients, expected.params, rtol=1e-10, atol=1e-10)
    if target == "volatility":
        assert (coefficients[:3] > 0.1).all()  # as in Corsi's tables, each horizon counts
