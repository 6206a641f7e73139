"""Time feature sets on bars, and apply the tests of admission to some of their tickers.

``python benchmarks/features.py bars.parquet --sets alpha158`` prints seconds and peak memory of every set, each in a
process of its own; loading is apart. ``--admit 40`` tests the sets on 40 tickers and their last 1,000 sessions.
"""

import argparse
import resource
import subprocess
import sys
import time
from dataclasses import replace


def peak() -> float:
    """Peak memory of this process, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(path: str, name: str) -> None:
    """Load, then compute every feature of a set for all rows."""
    import numpy as np
    import polars as pl

    from nextday.data import load_bars
    from nextday.features import SETS
    from nextday.features.values import compute_rows

    start = time.perf_counter()
    table = load_bars(pl.read_parquet(path), accept=("*",), market="SPY").frame.drop_nulls()
    market = table.filter(ticker="SPY").select("date", market_adj_close="adj_close")
    table = table.join(market, on="date", how="left", maintain_order="left")
    every = SETS[name].build()
    features = {feature: every[feature] for feature in SETS[name].names}
    loaded, before = time.perf_counter() - start, peak()
    start, used = time.perf_counter(), time.process_time()
    values = compute_rows(table, features)
    seconds, used = time.perf_counter() - start, time.process_time() - used
    row = table.select(pl.int_range(pl.len()).over("ticker")).to_series().to_numpy()
    lacking = {
        feature: int(bad) for at, feature in enumerate(features)
        if (bad := (~np.isfinite(values[row >= features[feature].warmup, at])).sum())
    }  # fmt: skip
    print(
        f"{name}: {values.shape[1]} features of {values.shape[0]:,} bars of {table['ticker'].n_unique()} tickers in "
        f"{seconds:.1f} s ({used:.1f} s of CPU); peak {peak():.2f} GiB, {before:.2f} of them when loaded, in {loaded:.1f} s; "
        f"not finite: {lacking or 'none'}"
    )


def admit(path: str, name: str, tickers: int) -> None:
    """Apply the tests of admission."""
    import polars as pl

    from nextday.auditing.admission import faults_of_features
    from nextday.data import align, load_bars
    from nextday.features import SETS

    bars = load_bars(pl.read_parquet(path), accept=("*",), market="SPY")
    long = bars.frame.group_by("ticker").agg(pl.len(), pl.col("date").max()).filter(pl.col("len") > 3000)
    chosen = [one for one in long["ticker"].sort().to_list() if one != "SPY"][:tickers]
    panel = align(bars, tickers=chosen)
    first = panel.dates[-1000]
    panel = replace(panel, frame=panel.frame.filter(pl.col("date") >= first), dates=panel.dates[-1000:])
    faults = faults_of_features(panel, SETS[name].build())
    new = {feature: fault for feature, fault in faults.items() if feature in SETS[name].names}
    kept = [feature for feature in SETS[name].refused if feature in SETS[name].build() and feature not in faults]
    print(f"{name}: {len(faults)} fail; of those admitted: {new or 'none'}; refused that pass here: {kept or 'none'}")


def main() -> None:
    """Run every set in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bars")
    parser.add_argument("--sets", default="har,ranges,tsmom,gkx_price,alpha360,alpha158,alpha101,talib")
    parser.add_argument("--admit", type=int, default=0)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    for name in args.sets.split(","):
        if args.one and args.admit:
            admit(args.bars, name, args.admit)
        elif args.one:
            measure(args.bars, name)
        else:
            command = [sys.executable, __file__, args.bars, "--sets", name, "--admit", str(args.admit), "--one"]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
