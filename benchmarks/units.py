"""Time what the house does for each unit beside fitting it: plan, fingerprint, store, load, collect.

``python benchmarks/units.py`` for 33 to 10,000 units of 1, 11 and 240 tickers (1,000 sessions each); each in a process of
its own. The model forecasts zero in no time, so that nothing else is left. Seconds of CPU, in all and per unit.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIZES = ((1, 33), (11, 33), (1, 330), (11, 330), (240, 330), (1, 3300), (11, 3300), (240, 3300), (240, 10000))


def measure(tickers: int, units: int) -> dict[str, float]:
    """Plan that many units, store them, open them again and collect their tables."""
    from nextday.data import Panel, align, random_walk
    from nextday.engine import Store, Workers, collect, execute, make_plan
    from nextday.study import Study

    def panel_of(count: int) -> Panel:
        names = tuple(f"T{number:03d}" for number in range(count + 1))
        return align(random_walk(tickers=names, sessions=1000, seed=0), market="T000")

    inputs = ("raw", "ohlcv", "engineered")
    per_ticker = -(-units // tickers)
    variants = {f"V{at}": {"model": "zero", "features": inputs[at % 3]} for at in range(per_ticker)}
    study = Study.from_values({"name": "many", "market": "T000", "variants": variants})
    panel = panel_of(tickers)
    with tempfile.TemporaryDirectory() as folder:  # imports
        list(execute(make_plan(study, panel_of(1)), Store(Path(folder)), Workers(0)))
    took = {}

    def lap(name: str, start: float) -> None:
        took[name] = time.process_time() - start

    start = time.process_time()
    plan = make_plan(study, panel)
    lap("plan", start)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        start = time.process_time()
        outcomes = list(execute(plan, store, Workers(0)))
        lap("fingerprint, fit, store", start)
        start = time.process_time()
        again = list(execute(plan, store, Workers(0)))
        lap("fingerprint, load", start)
        assert all(one.reused for one in again)
    start = time.process_time()
    rows = collect(plan, outcomes, panel.dates)["forecasts"].height
    lap("collect", start)
    return took | {"units": len(plan.units), "rows": rows}


def main() -> None:
    """Print a table, a row per size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", type=int, nargs=2, metavar=("TICKERS", "UNITS"), help="this size alone, as JSON")
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(measure(*chosen.one)))
        return
    for tickers, units in SIZES:
        command = [sys.executable, __file__, "--one", str(tickers), str(units)]
        took = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        count, rows = took.pop("units"), took.pop("rows")
        total = sum(took.values())
        parts = ", ".join(f"{name} {seconds:.2f}" for name, seconds in took.items())
        print(
            f"{tickers:4} tickers, {count:6,} units, {rows:9,} rows: {total:6.2f} s, {1e3 * total / count:5.2f} ms a unit; {parts}",
            flush=True,
        )


if __name__ == "__main__":
    main()
