"""Ridge regression whose penalty the validation set chooses: returns on windows, features on hidden states."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PENALTIES = tuple(10 ** (exponent / 2) for exponent in range(-12, 7))  # 1 halves a direction of average variance


@dataclass(frozen=True, slots=True)
class RidgeFit:
    """A ridge regression of targets on standardised inputs.

    Attributes
    ----------
    mean, scale
        Training mean and scale of each input; an infinite scale excludes a constant input. Shape [width].
    weights, offset
        Shapes [width, target] and [target]; ``offset`` is the training mean of the targets.
    penalty
        The penalty chosen for each target, shape [target].
    """

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    offset: np.ndarray
    penalty: np.ndarray

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predict the targets from inputs [sample, width], shape [sample, target]."""
        return (x - self.mean) / self.scale @ self.weights + self.offset


def fit_ridge(
    train: np.ndarray, y: np.ndarray, valid: np.ndarray, valid_y: np.ndarray,
    penalties: Sequence[float] = PENALTIES,
) -> RidgeFit:  # fmt: skip
    r"""Fit a ridge regression on the training set; the validation set chooses the penalty of each target.

    .. math:: \min_w \frac{1}{n} \lVert y - \bar y - X w \rVert^2 + \alpha \lVert w \rVert^2

    Inputs are standardised on the training set: a penalty depends on scale, and returns and volumes, or the units of
    untrained and trained networks, differ a hundredfold in scale without a difference in information. Penalties are
    chosen on the days after the training set, not by leave-one-out: neighbouring windows share all but one day, so an
    omitted day is known from its neighbours, and the penalty would be too small. One decomposition of the inputs serves
    all penalties.

    Hoerl and Kennard (1970), "Ridge regression: biased estimation for nonorthogonal problems", Technometrics 12(1).

    Parameters
    ----------
    train, valid
        Inputs, shape [sample, width].
    y, valid_y
        Targets, shape [sample, target].
    penalties
        The penalties to choose from, positive.
    """
    train, valid, grid = train.astype(np.float64), valid.astype(np.float64), np.array(penalties)
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    scale = np.where(deviation > 1e-6 * np.abs(train).max(axis=0), deviation, np.inf)  # below is float32's noise
    offset, x = y.mean(axis=0), (train - mean) / scale
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    moments = vectors.T @ (x.T @ (y - offset)) / len(x)  # [direction, target]
    shrunk = moments / (np.maximum(values, 0)[:, None] + grid[:, None, None])  # [penalty, direction, target]
    off = (valid - mean) / scale @ vectors @ shrunk - (valid_y - offset)  # [penalty, sample, target]
    best = (off**2).mean(axis=1).argmin(axis=0)
    weights = vectors @ shrunk[best, :, np.arange(len(best))].T
    return RidgeFit(mean, scale, weights, offset, grid[best])
