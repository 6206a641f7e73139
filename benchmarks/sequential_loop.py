"""The yardstick: the networks of Stage 2 or 3 as a plain loop would train them, one after another.

Pandas, a ``DataLoader`` of single windows, all threads, seeds reset per network, the best weights restored. It shares
no code with nextday; it writes the mean RMSE per variant and the seconds it took as JSON to standard output.
"""

import argparse
import copy
import ctypes
import json
import math
import sys
import time
from pathlib import Path

SAMPLE = Path(__file__).parents[1] / "src" / "nextday" / "data" / "sample_bars.parquet"
SETS = {
    "Raw": ["log_return"],
    "OHLCV": ["log_return", "oc_return", "hl_range", "close_pos", "log_vol", "vol_change"],
    "Feat": ["log_return", "roll_vol", "range_norm", "vol_zscore", "mkt_return"],
}


def tune_allocator() -> None:
    """Stop glibc from handing freed memory back to the kernel; before torch is imported."""
    libc = ctypes.CDLL("libc.so.6")
    if not (libc.mallopt(-3, 1 << 30) and libc.mallopt(-1, 1 << 30)):  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
        sys.exit("the allocator cannot be tuned here")


def features_of(bars: "pd.DataFrame", market: "pd.Series") -> "pd.DataFrame":
    """Compute the features of one ticker and its target."""
    frame = bars.set_index("date").sort_index()
    r = np.log(frame["adj_close"] / frame["adj_close"].shift(1))
    log_vol = np.log1p(frame["volume"])
    hl_range = (frame["high"] - frame["low"]) / frame["close"]
    out = pd.DataFrame({
        "log_return": r, "oc_return": frame["close"] / frame["open"] - 1, "hl_range": hl_range,
        "close_pos": ((frame["close"] - frame["low"]) / (frame["high"] - frame["low"])).fillna(0.5),
        "log_vol": log_vol, "vol_change": log_vol.diff(), "roll_vol": r.rolling(20).std(),
        "range_norm": hl_range.rolling(20).mean(),
        "vol_zscore": (log_vol - log_vol.rolling(20).mean()) / log_vol.rolling(20).std(), "mkt_return": market,
        "target": r.shift(-1),
    })  # fmt: skip
    return out.dropna()


def train_one(
    frame: "pd.DataFrame", columns: list[str], stage: int, seed: int, max_epochs: int
) -> tuple[float, int]:  # fmt: skip
    """Train one network; return its test RMSE and its number of epochs."""
    kind, rate, patience = (Lstm, 1e-3, 10) if stage == 2 else (Transformer, 1e-4, 12)
    windows = np.lib.stride_tricks.sliding_window_view(frame[columns].to_numpy(), 20, axis=0).swapaxes(1, 2)
    y = frame["target"].to_numpy()[19:]
    first, second = int(0.7 * len(y)), int(0.8 * len(y))
    mean, deviation = windows[:first].mean(axis=(0, 1)), windows[:first].std(axis=(0, 1))
    x = torch.tensor((windows - mean) / deviation, dtype=torch.float32)
    t = torch.tensor(y, dtype=torch.float32)
    torch.manual_seed(seed)
    train = DataLoader(TensorDataset(x[:first], t[:first]), batch_size=64, shuffle=True)
    valid = DataLoader(TensorDataset(x[first:second], t[first:second]), batch_size=64)
    network = kind(len(columns))
    optimizer, loss = torch.optim.Adam(network.parameters(), lr=rate), nn.MSELoss()
    best, best_weights, waited = float("inf"), None, 0
    epochs = 0
    while epochs < max_epochs and waited < patience:
        epochs += 1
        network.train()
        for batch_x, batch_y in train:
            optimizer.zero_grad()
            value = loss(network(batch_x), batch_y)
            value.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
        network.eval()
        with torch.no_grad():
            current = sum(loss(network(a), b).item() * len(b) for a, b in valid) / (second - first)
        if current < best:
            best, best_weights, waited = current, copy.deepcopy(network.state_dict()), 0
        else:
            waited += 1
    network.load_state_dict(best_weights)
    with torch.no_grad():
        error = (network(x[second:]) - t[second:]).numpy()
    return float(np.sqrt((error**2).mean())), epochs


def main() -> None:
    """Train every variant on every ticker."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage", type=int, choices=(2, 3), default=2)
    parser.add_argument("--tuned", action="store_true", help="raise the allocator's thresholds")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--max-epochs", type=int, default=100)
    args = parser.parse_args()
    start = time.perf_counter()
    bars = pd.read_parquet(SAMPLE)
    spy = bars[bars["ticker"] == "SPY"].set_index("date")["adj_close"].sort_index()
    market = np.log(spy / spy.shift(1))
    results = {name: [] for name in SETS}
    for _, group in bars[bars["ticker"] != "SPY"].groupby("ticker"):
        frame = features_of(group, market)
        for name, columns in SETS.items():
            results[name].append(train_one(frame, columns, args.stage, args.seed, args.max_epochs))
    epochs = sum(epoch for values in results.values() for _, epoch in values)
    seconds = time.perf_counter() - start
    rmse = {name: sum(value for value, _ in values) / len(values) for name, values in results.items()}
    print(json.dumps({"seconds": seconds, "epochs": epochs, "ms_per_epoch": 1e3 * seconds / epochs, "rmse": rmse}))


if __name__ == "__main__":
    if "--tuned" in sys.argv:
        tune_allocator()
    import numpy as np
    import pandas as pd
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    class Lstm(nn.Module):
        """Two LSTM layers and a head of two linear layers."""

        def __init__(self, features: int) -> None:
            super().__init__()
            self.lstm = nn.LSTM(features, 64, 2, batch_first=True, dropout=0.2)
            self.head = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """Map windows to forecasts."""
            return self.head(self.lstm(x)[0][:, -1]).squeeze(-1)

    class Transformer(nn.Module):
        """Sinusoidal positions, two encoder layers, the mean over time, and a head of two linear layers."""

        def __init__(self, features: int) -> None:
            super().__init__()
            self.embed, self.dropout = nn.Linear(features, 64), nn.Dropout(0.1)
            angles = torch.arange(20)[:, None] * torch.exp(torch.arange(0, 64, 2) * (-math.log(10000) / 64))
            self.register_buffer("positions", torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1))
            self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 256, 0.1, batch_first=True), 2)
            self.head = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """Map windows to forecasts."""
            x = self.encoder(self.dropout(self.embed(x) + self.positions))
            return self.head(x.mean(dim=1)).squeeze(-1)

    main()
