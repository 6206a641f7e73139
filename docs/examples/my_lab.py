"""A laboratory of one's own: two models and two features that nextday does not have."""

import numpy as np
import polars as pl
from sklearn.linear_model import Ridge
from torch import nn

import nextday


class MeanState(nn.Module):
    """A GRU over the window; the mean of its hidden states, [sample, hidden]. nextday puts the head behind it."""

    def __init__(self, features, hidden, dropout):
        super().__init__()
        self.gru = nn.GRU(features, hidden, batch_first=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):  # windows, [sample, lookback, feature]
        states, _ = self.gru(x)
        return self.dropout(states.mean(1))


@nextday.model("mean_gru")
class MeanGru(nextday.Network):
    """A GRU that forecasts from all days of the window; loop, early stopping, heads and seeds are nextday's."""

    hidden: int = 32
    dropout: float = 0.1

    def build(self, features):
        return MeanState(features, self.hidden, self.dropout)


flat_ridge = nextday.estimator("flat_ridge", Ridge(alpha=100.0), window="flat")

change = (pl.col("adj_close") / pl.col("adj_close").shift(1)).log()
up, down = (change.clip(lower_bound=0).rolling_mean(14), (-change).clip(lower_bound=0).rolling_mean(14))
rsi14 = nextday.feature("rsi14", warmup=14, formula="100 up / (up + down), over t-13..t")(
    pl.when(up + down > 0).then(100 * up / (up + down)).otherwise(50.0)
)


@nextday.feature("drawdown", warmup=0)
def drawdown(bars):
    """Log distance to the highest close so far."""
    close = bars["adj_close"].to_numpy()
    return np.log(close / np.maximum.accumulate(close))
