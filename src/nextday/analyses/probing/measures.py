"""How well linear probes of hidden states predict, and the similarity of two sets of states."""

import numpy as np


def explained(y: np.ndarray, predicted: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Return the R2 of predictions relative to a constant, and the contribution of each day.

    .. math:: R^2 = 1 - \sum_t e_t^2 / \sum_t z_t^2, \quad e_t = y_t - \hat y_t, \quad z_t = y_t - c

    The constant ``c`` is the training mean, the best prediction without the states: an uninformative probe has R2 0,
    whatever the level of the test set. The mean of the test set would use the future and would give it a negative R2.

    The contribution of a day is the first-order change of the ratio with its weight (its influence), normalised so that
    the mean over days is R2: :math:`R^2 + (1 - R^2) z_t^2 / \overline{z^2} - e_t^2 / \overline{z^2}`. Resampling the
    days of a ratio thus becomes resampling a mean, and means over tickers can be resampled as well.

    Parameters
    ----------
    y, predicted
        Shape [day, feature].
    reference
        Shape [feature].

    Returns
    -------
    R2 of shape [feature], and contributions of shape [day, feature]; NaN if the feature always equals its reference.
    """
    known, missed = (y - reference) ** 2, (y - predicted) ** 2
    size = known.mean(axis=0)
    size = np.where(size > 0, size, np.nan)
    r2 = 1 - missed.mean(axis=0) / size
    return r2, r2 + ((1 - r2) * known - missed) / size


def shuffle_blocks(samples: int, block: int, seed: int) -> np.ndarray:
    """Permute positions in blocks, so that the shuffled series keeps its persistence.

    Examples
    --------
    >>> shuffle_blocks(7, 2, seed=0).tolist()
    [4, 5, 0, 1, 2, 3, 6]
    """
    blocks = np.split(np.arange(samples), np.arange(block, samples, block))
    order = np.random.default_rng(seed).permutation(len(blocks))
    return np.concatenate([blocks[at] for at in order])


def alike(first: np.ndarray, second: np.ndarray) -> float:
    """Compare two sets of states of the same samples by unbiased linear centred kernel alignment (CKA).

    It is 1 for states that are rotations and multiples of one another, about 0 for unrelated ones. Kornblith and others
    (2019), "Similarity of neural network representations revisited", ICML, with the unbiased estimate of the
    Hilbert-Schmidt independence criterion by Song and others (2012, JMLR 13), as in Nguyen, Raghu and Kornblith (2021,
    ICLR): for unrelated states with 64 units the biased estimate is 0.1 with 600 samples and 0.5 with 60. The estimate
    assumes independent samples, which neighbouring windows are not: compare with untrained networks.

    Parameters
    ----------
    first, second
        Shapes [sample, width] and [sample, other width].

    Returns
    -------
    NaN if one of them is constant, or there are fewer than four samples.
    """
    x, y = (states.astype(np.float64) - states.mean(axis=0, dtype=np.float64) for states in (first, second))
    if len(x) < 4:
        return float("nan")
    own = _independence(x, x), _independence(y, y)
    return _independence(x, y) / float(np.sqrt(own[0] * own[1])) if min(own) > 0 else float("nan")


def _independence(x: np.ndarray, y: np.ndarray) -> float:
    """Estimate the criterion for linear kernels, times n (n - 3): their diagonals are left out, no n x n is made."""
    n, lengths = len(x), [(states**2).sum(axis=1) for states in (x, y)]
    sums = [states @ states.sum(axis=0) - length for states, length in zip((x, y), lengths, strict=True)]
    together = ((x.T @ y) ** 2).sum() - lengths[0] @ lengths[1]
    return float(together + sums[0].sum() * sums[1].sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (sums[0] @ sums[1]))
