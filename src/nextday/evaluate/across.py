"""Losses of the cross-section: how well the forecasts of a day order its returns, and what a portfolio of them earns.

Every score of a day is the mean over its tickers of a contribution of each, so that these losses have a cell per ticker
and date as all others, and take the same road to a verdict. They say nothing of capacity, of the cost of selling short,
or of market impact.
"""

import numpy as np

from nextday.study import LEAST_NAMES

FIFTHS = 5  # tickers in each leg of a portfolio, as a part of all


def information(actual: np.ndarray, predicted: np.ndarray, *, ranks: bool) -> np.ndarray:
    r"""Compute the contribution of each ticker to the information coefficient of its day.

    .. math:: \mathrm{IC}_t = \frac{1}{n_t} \sum_i z_{it} \hat z_{it}

    ``z`` are actual and predicted values in standard deviations of the day, of their ranks if ``ranks`` (Spearman;
    tied values share their mean rank). A day whose forecasts are all equal orders nothing: its coefficient is 0.

    Grinold and Kahn (2000), "Active Portfolio Management".

    Parameters
    ----------
    actual, predicted
        Shapes [ticker, date] and [seed, ticker, date]; NaN where a ticker has no sample.

    Returns
    -------
    Shape [seed, ticker, date]; NaN where there is no sample, and on days with fewer than ten.
    """
    return _standardised(predicted, ranks=ranks) * _standardised(actual[None], ranks=ranks)


def _standardised(values: np.ndarray, *, ranks: bool) -> np.ndarray:
    """Return values in standard deviations of their day, [.., ticker, date]; 0 where all are equal."""
    from scipy.stats import rankdata  # a third of a second of start-up

    present = ~np.isnan(values)
    if ranks:  # what is missing comes last, and so moves no rank
        values = np.where(present, rankdata(np.where(present, values, np.inf), axis=-2), np.nan)
    count = present.sum(axis=-2, keepdims=True)
    enough = np.where(count >= LEAST_NAMES, count, np.nan)
    centred = values - np.nansum(values, axis=-2, keepdims=True) / enough
    deviation = np.sqrt(np.nansum(centred**2, axis=-2, keepdims=True) / enough)
    largest = np.abs(np.where(present, values, 0)).max(axis=-2, keepdims=True)
    still = deviation <= 1e-12 * largest  # rounding of the mean of equal values
    return np.where(still, 0 * centred, centred / np.where(still, 1, deviation))


def weights_of(predicted: np.ndarray, *, parts: int = FIFTHS) -> np.ndarray:
    """Return the weights of the portfolio that is long the highest and short the lowest forecasts of a day.

    Equal weights of one in each leg; tickers that are tied at the edge of a leg share what is left of it, so that equal
    forecasts hold nothing. Fama and French (1993), "Common risk factors in the returns on stocks and bonds", Journal of
    Financial Economics 33, for portfolios of sorted stocks.

    Parameters
    ----------
    predicted
        Shape [seed, ticker, date]; NaN where a ticker has no sample.
    parts
        A leg holds this part of the tickers of a day: 5 are fifths, 10 tenths.

    Returns
    -------
    Shape [seed, ticker, date]; 0 where there is no sample, and on days with fewer than ten.
    """
    from scipy.stats import rankdata

    present = ~np.isnan(predicted)
    count = present.sum(axis=1, keepdims=True)
    held = np.maximum(count // parts, 1)
    filled = np.where(present, predicted, np.inf)
    first, last = (rankdata(filled, method=how, axis=1) for how in ("min", "max"))
    size = last - first + 1  # of a group of equal forecasts
    top = np.clip(last - np.maximum(first, count - held + 1) + 1, 0, None)
    bottom = np.clip(np.minimum(last, held) - first + 1, 0, None)
    return np.where(present & (count >= LEAST_NAMES), (top - bottom) / size / held, 0.0)


def turnover_of(weights: np.ndarray) -> np.ndarray:
    """Return the sum of absolute changes of weights from day to day, [seed, date]; the first day buys everything.

    Weights of a day with fewer than ten tickers are 0. Drift of weights within a day is left out.
    """
    return np.abs(np.diff(weights, axis=2, prepend=0.0)).sum(axis=1)


def spread(actual: np.ndarray, predicted: np.ndarray, *, parts: int = FIFTHS, cost: float = 0.0) -> np.ndarray:
    """Compute the contribution of each ticker to the return of ``weights_of``, less costs.

    Parameters
    ----------
    actual, predicted, parts
        As for ``information`` and ``weights_of``; returns of a day.
    cost
        Of a change of weights by one, as a share: 0.001 is 10 basis points. Costs of a day are borne by its tickers
        alike.

    Returns
    -------
    Shape [seed, ticker, date], whose mean over tickers is the return of the day.
    """
    weights, present = weights_of(predicted, parts=parts), ~np.isnan(predicted)
    count = present.sum(axis=1, keepdims=True)
    earned = weights * np.where(present, actual, 0) * count - cost * turnover_of(weights)[:, None]
    return np.where(present & (count >= LEAST_NAMES), earned, np.nan)
