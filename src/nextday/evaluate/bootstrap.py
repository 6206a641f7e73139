"""The stationary bootstrap over dates: one set of dates per replicate, the same for all tickers, variants and seeds."""

import numpy as np

MIN_BLOCK = 5.0
FEWEST = 20  # dates below which no length can be estimated


def optimal_block(differentials: np.ndarray) -> float:
    """Mean block length for some daily series, shape [series, date]: the largest of their optimal lengths, at least 5.

    Politis and White (2004), "Automatic block-length selection for the dependent bootstrap", Econometric Reviews 23(1),
    with the correction of Patton, Politis and White (2009); from ``arch``, which can answer less than 1 or NaN.
    """
    from arch.bootstrap import optimal_block_length  # a second of start-up

    moving = differentials[np.ptp(differentials, axis=1) > 0]
    if not len(moving) or differentials.shape[1] < FEWEST:
        return MIN_BLOCK
    lengths = optimal_block_length(moving.T)["stationary"].to_numpy()
    longest = np.nanmax(np.append(lengths[np.isfinite(lengths)], MIN_BLOCK))
    return float(min(max(longest, MIN_BLOCK), differentials.shape[1] / 3))


def resample(dates: int, *, block: float, replicates: int, seed: int) -> np.ndarray:
    """Count how often each date is drawn, by replicate; shape [replicate, date], each row sums to ``dates``.

    Blocks start anywhere and have geometric lengths of mean ``block``; the calendar is wrapped around its end.
    Politis and Romano (1994), "The Stationary Bootstrap", JASA 89(428).
    """
    rng = np.random.default_rng(seed)
    counts = np.zeros((replicates, dates))
    rows = np.arange(replicates)
    at = rng.integers(0, dates, replicates)
    for _ in range(dates):
        counts[rows, at] += 1
        at = np.where(rng.random(replicates) < 1 / block, rng.integers(0, dates, replicates), (at + 1) % dates)
    return counts
