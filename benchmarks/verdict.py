"""Time the verdict: a study of the embedded panel's size, and one of 62 million rows (Linux; ``--small`` for the first).

500 tickers x 2,500 days x 10 variants x 5 seeds are generated variant by variant into a Parquet file, then compared in a
process of its own. Prints seconds and peak memory.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

CODE = """
import resource, sys, time
from nextday.evaluate import compare, judge, load_forecasts, measure
from pathlib import Path
start = time.perf_counter()
judged = judge(compare(measure(load_forecasts(Path(sys.argv[1])))))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
print(f"{time.perf_counter() - start:.1f} s, {peak:.2f} GiB, start-up apart: {judged.sentence[:90]}")
"""


def generate(path: Path, *, tickers: int, days: int, variants: int, seeds: int) -> int:
    """Write a forecasts table without signal; return its rows."""
    rng = np.random.default_rng(0)
    actual = 0.01 * rng.standard_normal((tickers, days))
    origin = np.datetime64("2000-01-03") + np.arange(days)
    keys = {
        "seed": np.repeat(np.arange(seeds), tickers * days),
        "ticker": np.tile(np.repeat([f"T{i:04d}" for i in range(tickers)], days), seeds),
        "origin": np.tile(origin, seeds * tickers),
        "actual": np.tile(actual.reshape(-1), seeds),
    }
    writer = None
    for number in range(variants):
        noise = 0.001 * rng.standard_normal((seeds, tickers, 1)) + 0.0005 * rng.standard_normal((seeds, tickers, days))
        frame = pl.DataFrame({"variant": f"V{number}", **keys, "predicted": noise.reshape(-1)}).to_arrow()
        writer = writer or pq.ParquetWriter(path, frame.schema)
        writer.write_table(frame)
    writer.close()
    return variants * seeds * tickers * days


def main() -> None:
    """Time both sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="the first size only")
    sizes = [
        {"tickers": 11, "days": 630, "variants": 3, "seeds": 10},
        {"tickers": 500, "days": 2500, "variants": 10, "seeds": 5},
    ]
    for size in sizes[:1] if parser.parse_args().small else sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "forecasts.parquet"
            rows = generate(path, **size)
            start = time.perf_counter()
            done = subprocess.run([sys.executable, "-c", CODE, str(path)], capture_output=True, text=True, check=True)
            print(
                f"{rows:,} rows: {done.stdout.strip()}; whole process {time.perf_counter() - start:.1f} s", flush=True
            )


if __name__ == "__main__":
    main()
