"""Kill runs at random moments, let the same command go on, and hold its files against those of an undisturbed run (Linux).

``kill -9`` hits the main process at ``--moments`` moments, then a worker at as many. Exit status 1 if a file differs in
any byte, a worker outlives its run by five seconds (it needs tenths), or a run ends otherwise than it should. ``--row-group`` instead reads
bars from one Parquet file whose only row group holds 2 GB, and prints what was said and the peak memory.
"""

import argparse
import contextlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nextday.data import random_walk

NEXTDAY = [str(Path(sys.executable).parent / "nextday"), "run", "study.yaml"]
STUDY = {
    "name": "survival", "data": "bars.parquet", "market": "MKT", "lookback": 10, "seeds": [1, 2],
    "variants": {
        "Raw": {"model": "lstm", "features": "raw", "options": {"hidden": 16}},
        "OHLCV": {"model": "lstm", "features": "ohlcv", "options": {"hidden": 16}},
        "LinearReg": {"model": "linear_regression", "features": "lags"},
        "Zero": {"model": "zero", "features": "raw"},
    },
}  # fmt: skip
TABLES = ("*.parquet", "*.csv", "verdict.json")  # the manifest and the report tell the time
WORKERS = 2
LIMIT = 300  # seconds that a run may take
LINGER = 5  # seconds that a worker may outlive its run
MEASURED = """
import atexit
atexit.register(lambda: print(*[line.strip() for line in open("/proc/self/status") if line.startswith("VmHWM")]))
from nextday.cli.main import main
main()
"""
ROWS = 33_500_000  # of 8 columns of 8 bytes: 2.1 GB


@dataclass(frozen=True, slots=True)
class Kill:
    """What came of killing a process: the units kept by then, the exit status, and the seconds until all workers were gone."""

    units: int
    status: int
    gone: float


def prepare(folder: Path, epochs: int = 1) -> None:
    """Write the study and its bars."""
    study = STUDY | {"training": {"max_epochs": epochs, "patience": epochs}}
    random_walk(tickers=("AAA", "BBB", "CCC", "MKT"), sessions=400, seed=0).frame.write_parquet(folder / "bars.parquet")
    (folder / "study.yaml").write_text(json.dumps(study))


def start(folder: Path, out: str) -> subprocess.Popen[str]:
    """Start the study in a process of its own; its words go to a file, as nobody reads them meanwhile."""
    with (folder / f"{out}.log").open("w") as log:
        command = [*NEXTDAY, "--out", out, "--workers", str(WORKERS)]
        return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=log, text=True)


def finish(folder: Path, out: str) -> None:
    """Run the study to its end."""
    if start(folder, out).wait(LIMIT):
        sys.exit(f"{out} did not end well: {(folder / f'{out}.log').read_text()}")


def tables(folder: Path, out: str) -> dict[str, bytes]:
    """Read the files that must not differ."""
    return {path.name: path.read_bytes() for kind in TABLES for path in (folder / out / "survival").glob(kind)}


def units(folder: Path, out: str) -> int:
    """Count the units that are kept."""
    return len(list((folder / out / "survival" / "units").glob("*.json")))


def workers(process: subprocess.Popen[str]) -> list[int]:
    """List the processes that a process started, from whichever of its threads."""
    found = Path(f"/proc/{process.pid}/task").glob("*/children")
    return [int(pid) for path in found for pid in path.read_text().split()]


def alive(pid: int) -> bool:
    """Tell whether a process is there and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def seconds_until_gone(pids: list[int]) -> float:
    """Wait until some processes have ended, no longer than ``LINGER``."""
    began = time.monotonic()
    while any(map(alive, pids)) and time.monotonic() - began < LINGER:
        time.sleep(0.02)
    return time.monotonic() - began


def kill_main(folder: Path, out: str, moment: float) -> Kill | None:
    """Kill the main process; None if it ended before."""
    process = start(folder, out)
    time.sleep(moment)
    started = workers(process) if process.poll() is None else []
    process.kill()
    if process.wait() == 0:
        return None
    return Kill(units(folder, out), process.returncode, seconds_until_gone(started))


def kill_worker(folder: Path, out: str, moment: float) -> Kill | None:
    """Kill one worker, at the earliest when there is one, and let the run come to its end; None if it has none any more."""
    process = start(folder, out)
    time.sleep(moment)
    while not (started := workers(process)) and process.poll() is None:
        time.sleep(0.02)
    kept = units(folder, out)
    if started:
        with contextlib.suppress(ProcessLookupError):
            os.kill(random.choice(started), signal.SIGKILL)
    process.wait(LIMIT)
    return Kill(kept, process.returncode, seconds_until_gone(started)) if started else None


def survives(folder: Path, out: str, kill: Callable[[Path, str, float], Kill | None], moment: float) -> str:
    """Kill once, go on, compare; the row of the table, ending in yes or what was wrong, empty if nothing was killed."""
    killed = kill(folder, out, moment)
    if killed is None:
        return ""
    said = (folder / f"{out}.log").read_text()
    finish(folder, out)
    wrong = [
        name for name, content in tables(folder, "undisturbed").items() if tables(folder, out).get(name) != content
    ]
    expected = {-9} if kill is kill_main else {0, 1}
    if killed.status not in expected or (killed.status == 1 and "the worker process ended" not in said):
        wrong.append(f"status {killed.status}: {said.strip()}")
    if killed.gone >= LINGER:
        wrong.append("workers left")
    who, found = kill.__name__.removeprefix("kill_"), ", ".join(wrong) or "yes"
    return f"{moment:8.2f}  {who:8} {killed.units:14}  {killed.status:6}  {killed.gone:14.1f}  {found}"


def show_moments(folder: Path, moments: int, epochs: int) -> int:
    """Kill both kinds at random moments, workers before the last unit is fitted; the number of printed rows that are wrong."""
    prepare(folder, epochs)
    began = time.time()
    finish(folder, "undisturbed")
    length = time.time() - began
    fitted = max(path.stat().st_mtime for path in folder.glob("undisturbed/survival/units/*.json")) - began
    print(
        f"undisturbed: {length:.1f} s, {units(folder, 'undisturbed')} units, {len(tables(folder, 'undisturbed'))} files"
    )
    print("moment s  killed   units finished  status  workers gone s  identical", flush=True)
    rows: list[str] = []
    folders = (f"killed{number}" for number in itertools.count())
    for kill, last in ((kill_main, length), (kill_worker, fitted)):
        wanted = len(rows) + moments
        while len(rows) < wanted:
            if row := survives(folder, next(folders), kill, random.uniform(0, last)):
                rows.append(row)
                print(row, flush=True)
    good = sum(row.endswith("yes") for row in rows)
    print(f"{good} of {len(rows)} identical")
    return len(rows) - good


def show_row_group(folder: Path) -> int:
    """Run the study on bars of one row group of 2 GB; 0 if it ended by itself, in no more than one line of error."""
    prepare(folder)
    columns = {
        name: pa.repeat(pa.scalar(100.0), ROWS) for name in ("open", "high", "low", "close", "adj_close", "volume")
    }
    date = pa.repeat(pa.scalar(np.datetime64("2000-01-03", "D").item()), ROWS)
    table = pa.table({"date": date, "ticker": pa.repeat(pa.scalar("AAA"), ROWS), **columns})
    pq.write_table(table, folder / "bars.parquet", row_group_size=ROWS)
    del table, columns, date
    size = (folder / "bars.parquet").stat().st_size
    began = time.monotonic()
    command = [sys.executable, "-c", MEASURED, *NEXTDAY[1:], "--workers", "0"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    print(f"{size:,} bytes on disk; {done.stdout.strip()}; {time.monotonic() - began:.1f} s; status {done.returncode}")
    print(done.stderr.strip())
    return 0 if done.returncode in {0, 1} and done.stderr.count("\n") <= 1 else 1


def main() -> None:
    """Show the moments, or the row group."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=50, help="of each network; fewer for a quick look")
    parser.add_argument("--seed", type=int, help="of the moments; another one each time unless given")
    parser.add_argument("--row-group", action="store_true")
    chosen = parser.parse_args()
    random.seed(chosen.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wrong = show_row_group(folder) if chosen.row_group else show_moments(folder, chosen.moments, chosen.epochs)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
