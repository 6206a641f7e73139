"""Features and models of the study NAME. Its code runs where NAME.yaml is run, and nowhere else."""

import polars as pl

import nextday

# A feature: an expression over the bars of one ticker, in the order of dates. Row t may use nothing later than the
# close of t; nextday check NAME.py tests that. warmup is the number of rows before the first value.
price = pl.col("adj_close")  # carries splits and dividends; the other prices are as traded
distance = nextday.feature("distance", warmup=19, formula="ln(adj_close / mean of the last 20)")(
    (price / price.rolling_mean(20)).log()
)

# A model: any PyTorch module. Remove "# " from here to the end, and from the two lines of GRU in NAME.yaml.
# nextday puts the head behind it, trains it, stops early and repeats it for every seed.
#
# from torch import nn
#
#
# class MeanState(nn.Module):
#     """A GRU over the window; the mean of its states, [sample, hidden]."""
#
#     def __init__(self, features, hidden):
#         super().__init__()
#         self.gru = nn.GRU(features, hidden, batch_first=True)
#
#     def forward(self, windows):  # [sample, lookback, feature]
#         states, _ = self.gru(windows)
#         return states.mean(1)
#
#
# @nextday.model("mean_gru")
# class MeanGru(nextday.Network):
#     """A GRU that forecasts from all days of the window."""
#
#     hidden: int = 32  # an option of variants: {model: mean_gru, features: raw, options: {hidden: 64}}
#
#     def build(self, features):
#         return MeanState(features, self.hidden)
