"""Standardise features by the training windows only."""

from dataclasses import dataclass, replace

import numpy as np

from nextday.samples.windows import Windows


@dataclass(frozen=True, slots=True)
class Scaler:
    """Mean and standard deviation of each feature, shape [feature]; constant features are scaled to 0, not to NaN."""

    mean: np.ndarray
    deviation: np.ndarray

    def apply(self, windows: Windows) -> Windows:
        """Scale the rows of windows to float32."""
        safe = np.where(self.deviation > 0, self.deviation, 1.0)
        scaled = np.where(self.deviation > 0, (windows.rows - self.mean) / safe, 0.0)
        return replace(windows, rows=scaled.astype(np.float32))


def fit_scaler(train: Windows) -> Scaler:
    """Compute the moments over all entries of the training windows, in float64.

    A row counts once for each window that contains it, as in the training of a network.
    """
    x = train.x  # [sample, lookback, feature]
    constant = x.max(axis=(0, 1)) == x.min(axis=(0, 1))  # exact, as a computed deviation is not
    deviation = np.where(constant, 0.0, x.std(axis=(0, 1), dtype=np.float64))
    return Scaler(x.mean(axis=(0, 1), dtype=np.float64), deviation)
