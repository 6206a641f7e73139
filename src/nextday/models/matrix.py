"""Windows as the rows of a matrix, for models that read no sequence."""

from typing import Literal

import numpy as np

from nextday.samples import Windows

Reading = Literal["last", "flat"]  # what a regression reads of a window


def matrix_of(windows: Windows, reading: Reading) -> np.ndarray:
    """Lay windows out as a matrix, float64.

    ``last``: the features of the origin, [sample, feature], enough for lags and rolling statistics, which already look
    back. ``flat``: those of all sessions of the window, oldest first, [sample, lookback x feature], which is what
    networks see.
    """
    x = windows.newest if reading == "last" else windows.x.reshape(len(windows), -1)
    return x.astype(np.float64)
