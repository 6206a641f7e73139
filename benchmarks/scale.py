"""Time many bars: load, check, align and compute every feature, beside the same features by a plain pandas groupby.

``python benchmarks/scale.py --tickers 500`` (2.5 million rows) and ``--tickers 5000`` (25 million). Each way runs in its
own process on the same Parquet file; wall seconds and peak memory are printed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DAYS = 5000


def make(path: Path, tickers: int) -> None:
    """Write random bars, ticker after ticker."""
    import numpy as np
    import polars as pl

    random = np.random.default_rng(0)
    dates = np.arange(np.datetime64("2000-01-03"), np.datetime64("2000-01-03") + 7 * DAYS // 5)
    dates = dates[(dates.astype(int) + 3) % 7 < 5][:DAYS]
    names = np.array(["SPY", *(f"T{ticker:05d}" for ticker in range(tickers - 1))])
    close = 100 * np.exp(np.cumsum(0.01 * random.standard_normal((tickers, len(dates)), dtype=np.float32), axis=1))
    close = close.astype(np.float64).ravel()
    up, down = (np.exp(0.005 * np.abs(random.standard_normal(close.size, dtype=np.float32))) for _ in range(2))
    opened = close * up / down
    pl.DataFrame({
        "date": np.tile(dates, tickers), "ticker": np.repeat(names, len(dates)), "open": opened,
        "high": np.maximum(opened, close) * up, "low": np.minimum(opened, close) / down, "close": close, "adj_close": close,
        "volume": np.round(1e6 * np.exp(0.5 * random.standard_normal(close.size, dtype=np.float32))).astype(np.float64),
    }).write_parquet(path)  # fmt: skip


def ours(path: Path) -> None:
    """Load, check, align, compute."""
    start = time.perf_counter()

    def lap(what: str) -> None:
        print(f"  {what:40} {time.perf_counter() - start:6.1f} s", flush=True)

    from nextday.data import align, check_bars, load_bars
    from nextday.features import FEATURES, compute_features

    lap("imports")
    bars = load_bars(path)
    lap("loaded, every fatal rule applied")
    found = check_bars(bars.frame)
    lap(f"checked: {len(found)} findings")
    panel = align(bars)
    del bars
    lap("aligned")
    features = compute_features(panel, FEATURES)
    lap(f"features {features.values.shape}")


def pandas(path: Path) -> None:
    """Compute the same features, without a check, as one writes them with groupby."""
    import numpy as np
    import pandas as pd

    bars = pd.read_parquet(path).sort_values(["ticker", "date"])
    by = bars.groupby("ticker", sort=False)
    market = bars[bars.ticker == "SPY"].set_index("date")["adj_close"]
    bars["log_return"] = np.log(bars.adj_close / by.adj_close.shift(1))
    bars["oc_return"] = (bars.close - bars.open) / bars.open
    bars["hl_range"] = (bars.high - bars.low) / bars.close
    bars["close_pos"] = ((bars.close - bars.low) / (bars.high - bars.low)).where(bars.high != bars.low, 0.5)
    bars["log_vol"] = np.log1p(bars.volume)
    by = bars.groupby("ticker", sort=False)
    bars["vol_change"] = by.log_vol.diff()
    bars["roll_vol"] = by.log_return.rolling(20).std().to_numpy()
    bars["range_norm"] = by.hl_range.rolling(20).mean().to_numpy()
    volume = by.log_vol.rolling(20)
    bars["vol_zscore"] = (bars.log_vol - volume.mean().to_numpy()) / volume.std().to_numpy()
    bars["mkt_return"] = bars.date.map(np.log(market / market.shift(1)))
    bars["ret_lag1"], bars["ret_lag2"], bars["ret_lag5"] = (
        bars.log_return,
        by.log_return.shift(1),
        by.log_return.shift(4),
    )


def main() -> None:
    """Run each way in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickers", type=int, default=500)
    parser.add_argument("--way", choices=["ours", "pandas"])
    parser.add_argument("--path", type=Path)
    parser.add_argument("--without-pandas", action="store_true")
    args = parser.parse_args()
    if args.way:
        {"ours": ours, "pandas": pandas}[args.way](args.path)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bars.parquet"
        make_it = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import scale; "
                   f"from pathlib import Path; scale.make(Path({str(path)!r}), {args.tickers})"]  # fmt: skip
        subprocess.run(make_it, check=True)
        print(f"{args.tickers} tickers x {DAYS} days, {path.stat().st_size / 1e6:.0f} MB, {os.cpu_count()} cores")
        for way in ["ours"] if args.without_pandas else ["ours", "pandas"]:
            start = time.perf_counter()
            process = subprocess.Popen([sys.executable, __file__, "--way", way, "--path", str(path)])
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - start
            print(f"{way:8} {seconds:6.1f} s   peak {usage.ru_maxrss / 2**20:5.2f} GiB   status {status}", flush=True)


if __name__ == "__main__":
    main()
