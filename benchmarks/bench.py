"""Time ``nextday run stage2 --seeds 42``, and stage3, against a plain sequential loop over the same 33 networks.

The three commands run in turn, so that a slow hour of the machine falls on all of them; medians and ratios are printed,
and the peak memory of every process of nextday (Linux). ``--runs 1`` and ``--max-epochs 10`` for a quick look.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LOOP = [sys.executable, str(Path(__file__).parent / "sequential_loop.py")]
NEXTDAY = str(Path(sys.executable).parent / "nextday")


def timed(command: list[str]) -> tuple[float, str, list[float]]:
    """Run a command; return its wall seconds, its output, and the peak MiB of each of its processes, the main one first."""
    peaks: dict[int, float] = {}
    with tempfile.TemporaryFile("w+") as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            for pid in descendants(process.pid):
                peaks[pid] = max(peaks.get(pid, 0.0), peak_of(pid))
            time.sleep(0.1)
        seconds = time.perf_counter() - start
        if process.returncode:
            sys.exit(f"{' '.join(command)} ended with status {process.returncode}")
        output.seek(0)
        return seconds, output.read(), list(peaks.values())


def descendants(pid: int) -> list[int]:
    """List a process and the processes it started, itself first."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(below for child in children for below in descendants(int(child)))]


def peak_of(pid: int) -> float:
    """Read the peak resident memory of a process in MiB; 0 where it is gone or the system does not say."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def compare(stage: int, runs: int, epochs: int) -> None:
    """Run the commands of a stage in turn and print the table."""
    limit = f"training.max_epochs={epochs}"
    loop = [*LOOP, "--stage", str(stage), "--max-epochs", str(epochs)]
    study = [NEXTDAY, "run", f"stage{stage}", "--seeds", "42", "--set", limit]
    commands = {
        "nextday": study,
        **({"nextday, bf16": [*study, "--precision", "bf16"]} if stage == 2 else {}),  # Transformers have none
        "loop, allocator tuned": [*loop, "--tuned"],
        "loop": loop,
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    peaks = {}
    for turn in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            for name, command in commands.items():
                took, output, peaks[name] = timed(
                    [*command, "--out", f"{folder}/{name}"] if command[0] == NEXTDAY else command
                )
                seconds[name].append(took)
                detail = json.loads(output.splitlines()[-1]) if command[0] != NEXTDAY else {}
                note = f"  {detail['epochs']} epochs of {detail['ms_per_epoch']:.0f} ms" if detail else ""
                print(f"stage {stage}, run {turn + 1}: {name:22} {took:7.1f} s{note}", flush=True)
    ours = statistics.median(seconds["nextday"])
    print(
        f"\nstage {stage}, medians of {runs} runs in turn, {os.cpu_count()} cores; "
        "nextday with start-up, features, tables and plots"
    )
    for name, values in seconds.items():
        median = statistics.median(values)
        memory = ", ".join(f"{peak:.0f}" for peak in peaks[name])
        print(f"{name:22} {median:7.1f} s   nextday / this {ours / median:5.2f}   peak MiB per process: {memory}")
    print(flush=True)


def main() -> None:
    """Compare stage by stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage", type=int, choices=(2, 3), help="only this one")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--max-epochs", type=int, default=100)
    chosen = parser.parse_args()
    for stage in [chosen.stage] if chosen.stage else [2, 3]:
        compare(stage, chosen.runs, chosen.max_epochs)


if __name__ == "__main__":
    main()
