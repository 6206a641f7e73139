"""The stationary bootstrap over dates: one set of dates per replicate, the same for all tickers, variants and seeds."""

import numpy as np

MIN_BLOCK = 5.0
FEWEST = 20  # dates below which no length can be estimated
COSINES = 3  # terms of the long-run variance that a swing of months cannot fool
REMEMBERS = 2 * MIN_BLOCK  # optimal lengths beyond it are those of series that remember


def optimal_blocks(series: np.ndarray) -> np.ndarray:
    """Compute the mean block length of each daily series, shape [series, date]: its optimal length, at least 5.

    Politis and White (2004), "Automatic block-length selection for the dependent bootstrap", Econometric Reviews 23(1),
    with the correction of Patton, Politis and White (2009). All series at once; ``arch`` is the oracle of its test.
    """
    lengths = np.full(len(series), MIN_BLOCK)
    moving: np.ndarray = series.max(axis=1) > series.min(axis=1)
    if moving.any() and series.shape[1] >= FEWEST:
        found = _politis_white(series[moving])
        lengths[moving] = np.where(np.isfinite(found), found, MIN_BLOCK)
    return np.clip(lengths, MIN_BLOCK, max(series.shape[1] / 3, MIN_BLOCK))


def _politis_white(series: np.ndarray) -> np.ndarray:
    """Optimal mean block length of the stationary bootstrap for each series, shape [series, date].

    The correlogram decides how far dependence reaches: up to the first lag after which ``enough`` in a row are
    insignificant. The flat-top window of twice that width then gives the long-run variance and its first-order bias.
    """
    days = series.shape[1]
    enough = max(5, int(np.log10(days)))
    most = int(np.ceil(np.sqrt(days))) + enough
    centred = series - series.mean(axis=1, keepdims=True)
    spectrum = np.abs(np.fft.rfft(centred, 2 * days)) ** 2
    covariances = np.fft.irfft(spectrum)[:, : most + 1] / days  # [series, lag]
    squares = np.cumsum(centred**2, axis=1)
    lags = np.arange(most + 1)
    early, late = squares[:, days - lags - 2], squares[:, -1:] - squares[:, lags]
    small = np.abs(covariances) * days < 2 * np.sqrt(np.log10(days) / days) * np.sqrt(early * late)
    within = np.lib.stride_tricks.sliding_window_view(small[:, :most], enough, axis=1)  # from lag 0 on
    runs = within.min(axis=-1)
    width = np.where(runs.any(axis=-1), 2 * np.maximum(runs.argmax(axis=1), 1), most)
    width = np.minimum(width, most)[:, None]
    window = np.where((lags > 0) & (lags <= width), np.clip(2 * (1 - lags / width), 0, 1), 0.0)
    bias = 2 * (window * lags * covariances).sum(axis=1)
    variance = covariances[:, 0] + 2 * (window * covariances).sum(axis=1)
    length = (days * (bias / np.where(variance != 0, variance, np.nan)) ** 2) ** (1 / 3)
    return np.minimum(length, np.ceil(min(3 * np.sqrt(days), days / 3)))


def optimal_block(series: np.ndarray) -> float:
    """Compute the mean block length of several daily series together: the largest of their optimal lengths."""
    return float(optimal_blocks(series).max(initial=MIN_BLOCK))


def robust_block(lengths: np.ndarray, days: int) -> float:
    """Compute the mean block length of contrasts: the median of their optimal lengths, and at least ``1.3 sqrt(days)``.

    Serial dependence of daily losses can last longer than an estimated length shows; long blocks with a t correction
    for their number cost almost no power (Lazarus, Lewis, Stock and Watson 2018, "HAR Inference", JBES 36(4), whose
    constant this is).
    """
    longest = max(days / 3, 1.0)
    return float(min(max(np.median(lengths), 1.3 * np.sqrt(days)), longest))


def resample(dates: int, *, block: float, replicates: int, seed: int) -> np.ndarray:
    """Count how often each date is drawn in each replicate; shape [replicate, date], each row sums to ``dates``.

    Blocks start at any date and have geometric lengths of mean ``block``; the calendar wraps around at its end.
    Politis and Romano (1994), "The Stationary Bootstrap", JASA 89(428).
    """
    rng = np.random.default_rng(seed)
    ends = np.empty((replicates, 0), dtype=np.int64)
    while not ends.size or ends[:, -1].min() < dates:
        more = rng.geometric(1 / block, (replicates, max(int(1.5 * dates / block), 1))).cumsum(axis=1)
        ends = np.hstack([ends, more + (ends[:, -1:] if ends.size else 0)])
    ends = np.minimum(ends, dates)
    lengths = np.diff(ends, axis=1, prepend=0)  # 0 once the calendar is full
    starts, rows = rng.integers(0, dates, lengths.shape), np.arange(replicates)[:, None] * dates
    turns, stops = np.divmod(starts + lengths, dates)
    steps, falls = (np.bincount((days + rows).ravel(), minlength=replicates * dates) for days in (starts, stops))
    steps -= falls
    steps = steps.reshape(replicates, dates)
    steps[:, 0] += turns.sum(axis=1)  # a block that reaches past the end goes on at the beginning
    return steps.cumsum(axis=1, dtype=float)  # how many blocks cover a date


def kept(days: int, block: float) -> float:
    """Compute the expected ratio of bootstrap variance to true variance for a mean of independent days."""
    lags = np.arange(1, days)
    together = ((1 - lags / days) * (1 - 1 / block) ** lags).sum()  # pairs of days in one block
    return float(1 - (1 + 2 * together) / days) if days > 1 else 1.0


def freedom_of(days: int, block: float) -> float:
    """Return the degrees of freedom of the date errors: the number of blocks minus one, at least 2."""
    return max(days / block - 1, 2)


def heavy(rng: np.random.Generator, freedom: float, replicates: int) -> np.ndarray:
    """Draw the factors that turn normal draws into t draws, shape [replicate, 1]."""
    return np.sqrt(freedom / rng.chisquare(freedom, (replicates, 1)))


def cosine_error(series: np.ndarray) -> np.ndarray:
    """Compute the standard error of the mean of each daily series, [series, date], from its three slowest cosines.

    The equal-weighted cosine estimator of the long-run variance, to be read with a t distribution of three degrees of
    freedom: the mean of the squared projections on ``sqrt(2 / T) cos(pi j (t + 1/2) / T)``, j = 1 .. 3. It is wider
    than the bootstrap's, and correct where an advantage itself persists for months. Lazarus, Lewis, Stock and Watson
    (2018) take eight; with eight, three of four differences that are due to an advantage persisting one to three months
    still pass.
    """
    days = series.shape[1]
    terms = np.arange(1, min(COSINES, days - 1) + 1)[:, None]
    waves = np.sqrt(2 / days) * np.cos(np.pi * terms * (np.arange(days) + 0.5) / days)  # [term, date]
    return np.sqrt(((series @ waves.T) ** 2).mean(axis=1) / days)
