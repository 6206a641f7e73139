"""Slow, obvious versions of what nextday computes, written independently of it."""

import copy

import numpy as np
import pandas as pd
import torch
from torch import nn


def features(bars: pd.DataFrame, market: pd.DataFrame) -> pd.DataFrame:
    """Every feature of the catalog for one ticker, one row at a time; NaN before its first value."""
    rows = []
    for t in range(len(bars)):
        now = bars.iloc[t]
        back = {k: bars.iloc[t - k] if t >= k else None for k in (1, 4, 5)}
        log_return = np.log(now.adj_close / back[1].adj_close) if t >= 1 else np.nan
        market_return = np.log(market.iloc[t].adj_close / market.iloc[t - 1].adj_close) if t >= 1 else np.nan
        returns = [np.log(bars.iloc[s].adj_close / bars.iloc[s - 1].adj_close) for s in range(max(1, t - 19), t + 1)]
        ranges = [(bars.iloc[s].high - bars.iloc[s].low) / bars.iloc[s].close for s in range(max(0, t - 19), t + 1)]
        volumes = [np.log(1 + bars.iloc[s].volume) for s in range(max(0, t - 19), t + 1)]
        deviation = np.std(volumes, ddof=1) if len(volumes) == 20 else np.nan
        if len(set(volumes)) == 1 and len(volumes) == 20:
            score = 0.0
        else:
            score = (volumes[-1] - np.mean(volumes)) / deviation if len(volumes) == 20 else np.nan
        rows.append({
            "log_return": log_return,
            "oc_return": (now.close - now.open) / now.open,
            "hl_range": (now.high - now.low) / now.close,
            "close_pos": 0.5 if now.high == now.low else (now.close - now.low) / (now.high - now.low),
            "log_vol": np.log(1 + now.volume),
            "vol_change": np.log(1 + now.volume) - np.log(1 + back[1].volume) if t >= 1 else np.nan,
            "roll_vol": np.std(returns, ddof=1) if len(returns) == 20 else np.nan,
            "range_norm": np.mean(ranges) if len(ranges) == 20 else np.nan,
            "vol_zscore": score,
            "mkt_return": market_return,
            "ret_lag1": log_return,
            "ret_lag2": np.log(back[1].adj_close / bars.iloc[t - 2].adj_close) if t >= 2 else np.nan,
            "ret_lag5": np.log(back[4].adj_close / back[5].adj_close) if t >= 5 else np.nan,
        })  # fmt: skip
    return pd.DataFrame(rows)


class PlainLstm(nn.Module):
    """The network of Stage 2, from the specification."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, hidden, num_layers=2, batch_first=True)
        self.one = nn.Linear(hidden, hidden // 2)
        self.two = nn.Linear(hidden // 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        last = self.lstm(x)[0][:, -1, :]
        return self.two(torch.relu(self.one(last)))[:, 0]


def plain_loop(
    network: nn.Module, x: np.ndarray, y: np.ndarray, valid_x: np.ndarray, valid_y: np.ndarray,
    batches: list[list[np.ndarray]], *, learning_rate: float, patience: int,
) -> tuple[list[float], list[float], int, nn.Module]:  # fmt: skip
    """Train on given batches of row numbers: losses of every epoch, the best epoch (from 1) and the network it left."""
    parameters = list(network.parameters())
    first = [torch.zeros_like(p) for p in parameters]
    second = [torch.zeros_like(p) for p in parameters]
    train_losses, valid_losses, step = [], [], 0
    best, best_network = 0, None
    for epoch in batches:
        total = 0.0
        for rows in epoch:
            out = network(torch.tensor(np.stack([x[i] for i in rows])))
            loss = sum((out[k] - float(y[i])) ** 2 for k, i in enumerate(rows)) / len(rows)
            gradients = torch.autograd.grad(loss, parameters)
            norm = sum(float((g**2).sum()) for g in gradients) ** 0.5
            factor = min(1.0, 1.0 / (norm + 1e-6))
            step += 1
            with torch.no_grad():
                for p, g, m, v in zip(parameters, gradients, first, second, strict=True):
                    m.mul_(0.9).add_(0.1 * factor * g)
                    v.mul_(0.999).add_(0.001 * (factor * g) ** 2)
                    p -= learning_rate * (m / (1 - 0.9**step)) / ((v / (1 - 0.999**step)).sqrt() + 1e-8)
            total += float(loss.detach()) * len(rows)
        train_losses.append(total / len(y))
        with torch.no_grad():
            valid_losses.append(
                float(((network(torch.tensor(valid_x)) - torch.tensor(valid_y, dtype=torch.float32)) ** 2).mean())
            )
        if best == 0 or valid_losses[-1] < valid_losses[best - 1]:
            best, best_network = len(valid_losses), copy.deepcopy(network)
        elif len(valid_losses) - best >= patience:
            break
    return train_losses, valid_losses, best, best_network
