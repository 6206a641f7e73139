"""Small pipelines from bars to forecasts, one without a flaw and eight with one each.

Each learns a ridge regression, or by gradient descent where epochs matter, per ticker: the first 60 % of the days are
its training set and the last 30 % its test set.
"""

import numpy as np
import polars as pl

LAGS, EPOCHS = 5, 60


def inputs_of(bars):
    """Features and tomorrow's return of one ticker, and its days; the last day has no target."""
    close, volume = bars["adj_close"].to_numpy(), bars["volume"].to_numpy()
    returns = np.diff(np.log(close), prepend=np.log(close[0]))
    spread = np.log(bars["high"].to_numpy() / bars["low"].to_numpy())
    columns = [np.roll(returns, lag) for lag in range(LAGS)] + [spread, np.log(volume)]
    x, y = np.column_stack(columns)[LAGS:-1], returns[LAGS + 1 :]
    return x, y, bars["date"].to_numpy()[LAGS:-1]


def scaled(x, by):
    return (x - by.mean(axis=0)) / by.std(axis=0)


def ridge(x, y, penalty=10.0):
    return np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ (y - y.mean()))


def pipeline(predict, name="A"):
    """Make a forecaster of a function that maps x, y, the training and the test slice to forecasts of the test."""

    def forecasts(bars):
        tables = []
        for own in bars.partition_by("ticker", maintain_order=True):
            x, y, days = inputs_of(own)
            train, test = slice(0, int(0.6 * len(y))), slice(int(0.7 * len(y)), len(y))
            tables.append(
                pl.DataFrame({
                    "variant": name, "ticker": own["ticker"][0], "origin": days[test],
                    "predicted": predict(x, y, train, test), "actual": y[test],
                })
            )  # fmt: skip
        return pl.concat(tables)

    return forecasts


def clean(x, y, train, test):
    x = scaled(x, x[train])
    return x[test] @ ridge(x[train], y[train])


def scaler_on_all_days(x, y, train, test):
    x = scaled(x, x)
    return x[test] @ ridge(x[train], y[train])


def stopped_on_the_test_set(x, y, train, test):
    x = scaled(x, x[train])
    weights, best, kept = np.zeros(x.shape[1]), np.inf, None
    for _ in range(EPOCHS):
        weights = weights + 0.05 * x[train].T @ (y[train] - x[train] @ weights) / len(y[train])
        loss = np.mean((y[test] - x[test] @ weights) ** 2)
        if loss < best:
            best, kept = loss, weights
    return x[test] @ kept


def shuffled_split(x, y, train, test):
    drawn = np.random.default_rng(0).permutation(len(y))[train]
    x = scaled(x, x[drawn])
    return x[test] @ ridge(x[drawn], y[drawn])


def training_runs_into_the_test(x, y, train, test):
    longer = slice(0, test.start + 10)
    x = scaled(x, x[train])
    return x[test] @ ridge(x[longer], y[longer])


def selected_on_all_days(x, y, train, test):
    chosen = np.argsort(-np.abs(scaled(x, x).T @ y))[:2]
    return clean(x[:, chosen], y, train, test)


def input_of_tomorrow(x, y, train, test):
    ahead = np.roll(x, -1, axis=0)
    ahead[-1] = x[-1]
    return clean(ahead, y, train, test)


def normalised_by_the_test_batch(x, y, train, test):
    weights = ridge(scaled(x, x[train])[train], y[train])
    return scaled(x[test], x[test]) @ weights


def label_off_by_one(x, y, train, test):
    today = x[:, 0]
    return clean(x, today, train, test)


FLAWED = {
    "a scaler fitted on all days": scaler_on_all_days,
    "early stopping on the test set": stopped_on_the_test_set,
    "a shuffled split": shuffled_split,
    "training that runs into the test range": training_runs_into_the_test,
    "features selected on all days": selected_on_all_days,
    "the row of tomorrow as input": input_of_tomorrow,
    "batch normalisation over the test set": normalised_by_the_test_batch,
}
