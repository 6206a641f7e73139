"""What can be read from some states by a straight line: ridge probes, and how alike two sets of states are."""

from dataclasses import dataclass

import numpy as np

PENALTIES = 10.0 ** np.arange(-6, 3.5, 0.5)  # 1 halves a direction of average variance; below 1e-6 is float32's noise


@dataclass(frozen=True, slots=True)
class Readout:
    """A ridge regression of some features on standardised states.

    Attributes
    ----------
    mean, scale
        Of each unit of the state on train; an infinite scale leaves a unit out that never moves. Shape [width].
    weights, offset
        Shapes [width, feature] and [feature]; ``offset`` is the mean of the features on train.
    penalty
        The penalty chosen for each feature, shape [feature].
    """

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    offset: np.ndarray
    penalty: np.ndarray

    def predict(self, states: np.ndarray) -> np.ndarray:
        """Read the features from states [sample, width], shape [sample, feature]."""
        return (states - self.mean) / self.scale @ self.weights + self.offset


def fit_readout(train: np.ndarray, y: np.ndarray, valid: np.ndarray, valid_y: np.ndarray) -> Readout:
    r"""Fit a ridge probe on train; valid chooses its penalty, for each feature by itself.

    .. math:: \min_w \frac{1}{n} \lVert y - \bar y - X w \rVert^2 + \alpha \lVert w \rVert^2

    States are standardised on train: a penalty asks what is large, and units of untrained networks, of trained ones and
    inputs differ a hundredfold in size, which is no difference in what can be read from them. Penalties are chosen on
    the days after train, not by leaving single days of train out: neighbouring windows share all but one day, so a day
    left out is known from its neighbours, and the penalty comes out too small.

    Alain and Bengio (2017), "Understanding intermediate layers using linear classifier probes", ICLR workshop.

    Parameters
    ----------
    train, valid
        States, shape [sample, width].
    y, valid_y
        What to read from them, shape [sample, feature].
    """
    train, valid = train.astype(np.float64), valid.astype(np.float64)
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    scale = np.where(deviation > 1e-6 * np.abs(train).max(axis=0), deviation, np.inf)
    offset, x = y.mean(axis=0), (train - mean) / scale
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    moments = vectors.T @ (x.T @ (y - offset)) / len(x)  # [direction, feature]
    shrunk = moments / (np.maximum(values, 0)[:, None] + PENALTIES[:, None, None])  # [penalty, direction, feature]
    off = (valid - mean) / scale @ vectors @ shrunk - (valid_y - offset)  # [penalty, sample, feature]
    best = (off**2).mean(axis=1).argmin(axis=0)
    weights = vectors @ shrunk[best, :, np.arange(len(best))].T
    return Readout(mean, scale, weights, offset, PENALTIES[best])


def explained(y: np.ndarray, predicted: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Give the R2 of predictions against a constant, and what each day adds to it.

    .. math:: R^2 = 1 - \sum_t e_t^2 / \sum_t z_t^2, \quad e_t = y_t - \hat y_t, \quad z_t = y_t - c

    The constant ``c`` is the mean on train, all that is known without the states: a probe that finds nothing is at 0,
    whatever level the test range has. The mean of the test range would know the future, and would put it below 0.

    A day's part is the first-order change of the ratio with its weight (its influence), put so that the mean over days
    is R2 itself: :math:`R^2 + (1 - R^2) z_t^2 / \overline{z^2} - e_t^2 / \overline{z^2}`. Resampling the days of a
    ratio so becomes resampling a mean, and means over tickers need no ticker by itself.

    Parameters
    ----------
    y, predicted
        Shape [day, feature].
    reference
        Shape [feature].

    Returns
    -------
    R2 of shape [feature], and parts of shape [day, feature]; not a number where the feature is always at its reference.
    """
    known, missed = (y - reference) ** 2, (y - predicted) ** 2
    size = known.mean(axis=0)
    size = np.where(size > 0, size, np.nan)
    r2 = 1 - missed.mean(axis=0) / size
    return r2, r2 + ((1 - r2) * known - missed) / size


def shuffle_blocks(samples: int, block: int, seed: int) -> np.ndarray:
    """Permute positions in blocks of neighbours, so that what is shuffled keeps its persistence.

    Examples
    --------
    >>> shuffle_blocks(7, 2, seed=0).tolist()
    [4, 5, 0, 1, 2, 3, 6]
    """
    blocks = np.split(np.arange(samples), np.arange(block, samples, block))
    order = np.random.default_rng(seed).permutation(len(blocks))
    return np.concatenate([blocks[at] for at in order])


def alike(first: np.ndarray, second: np.ndarray) -> float:
    """Compare two sets of states of the same samples by linear centred kernel alignment, without its bias.

    1 for states that are rotations and multiples of one another, about 0 for unrelated ones. Kornblith and others
    (2019), "Similarity of neural network representations revisited", ICML, with the unbiased estimate of the
    Hilbert-Schmidt independence criterion by Song and others (2012, JMLR 13), as Nguyen, Raghu and Kornblith (2021,
    ICLR) take it: with 64 units and 600 samples the plain one gives unrelated states 0.1, with 60 samples 0.5.
    The estimate takes samples as independent, which neighbouring windows are not: compare with untrained networks.

    Parameters
    ----------
    first, second
        Shapes [sample, width] and [sample, other width].

    Returns
    -------
    Not a number where one of them never moves, or there are fewer than four samples.
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
