"""Time this checkout against an earlier commit: opening, many units, Stages 2 to 6, the whole ladder, the tests.

    python benchmarks/before.py                                  # against the commit before, one seed, two tickers
    python benchmarks/before.py --commit v0.9 --only ladder --seeds 42-44 --tickers ""     # the whole ladder, an hour each

The earlier commit gets a work tree of its own, and an environment of its own if ``constraints.txt`` differs. Commands run in
turn, so that a slow hour of the machine falls on both; each is run once before it is timed, except fits. Medians of seconds
on the clock, of seconds of CPU in all processes, and ratios of the medians are printed, and lines for LOG.md.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
KERNELS = """
from importlib import import_module
from pkgutil import walk_packages
from nextday.models import kernels
for one in walk_packages(kernels.__path__, "nextday.models.kernels."):
    import_module(one.name)
"""  # compiled before anything is timed
UNITS = ROOT / "benchmarks" / "units.py"
STAGES = ("stage2", "stage3", "stage4", "stage5", "stage6")
PARTS = ("opening", "units", "stages", "ladder", "tests")


@dataclass(frozen=True)
class Tree:
    """A checkout and the Python that runs it."""

    name: str
    folder: Path
    python: str

    def run(self, *command: str) -> tuple[float, float]:
        """Run ``python COMMAND`` in it; return seconds on the clock and of CPU."""
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        own = {**os.environ, "PYTHONPATH": str(self.folder / "src")}
        done = subprocess.run([self.python, *command], cwd=self.folder, env=own, capture_output=True, text=True)
        seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            sys.exit(f"{self.name}: {' '.join(command)} ended with status {done.returncode}\n{done.stderr[-2000:]}")
        return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@contextmanager
def checked_out(commit: str) -> Iterator[Tree]:
    """Check a commit out beside this one, with an environment of its own where versions differ."""
    with tempfile.TemporaryDirectory(prefix="nextday-before-") as folder:
        place, python = Path(folder) / "tree", sys.executable
        subprocess.run(["git", "worktree", "add", "-q", "--detach", str(place), commit], cwd=ROOT, check=True)
        try:
            if (place / "constraints.txt").read_bytes() != (ROOT / "constraints.txt").read_bytes():
                subprocess.run(["make", "-s", ".venv/ready"], cwd=place, check=True)
                python = str(place / ".venv" / "bin" / "python")
            yield Tree("before", place, python)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(place)], cwd=ROOT, check=True)


def cases(only: set[str], seeds: str, tickers: str) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Yield what is timed: its name, its command, and its kind; TREE and OUT stand for the tree's name and a folder."""
    cli = ("-m", "nextday")
    few = ("--seeds", seeds, *(("--tickers", tickers) if tickers else ()))
    if "opening" in only:
        opened = "OUT/TREE opened"
        yield "import nextday", ("-c", "import nextday"), "short"
        yield "nextday --help", (*cli, "--help"), "short"
        small = (*few, "--set", "training.max_epochs=2", "--quiet", "--out", opened)
        yield "nextday run, finished", (*cli, "run", "stage2", *small), "short"
        yield "nextday report", (*cli, "report", f"{opened}/stage2"), "short"
    if "units" in only:
        for names, units in (("11", "33"), ("11", "330"), ("240", "3300"), ("240", "10000")):
            yield f"{units} units of {names} tickers", (str(UNITS), "--one", names, units), "units"
    for stage in STAGES if "stages" in only else sorted(only & set(STAGES)):
        yield stage, (*cli, "run", stage, *few, "--out", "OUT/TREE fits"), "long"
    if "ladder" in only:
        yield "ladder", (*cli, "run", "all", *few, "--out", "OUT/TREE ladder"), "long"
    if "tests" in only:
        yield "tests", ("-m", "pytest", "-q", "-n", "auto", "--dist", "worksteal"), "long"


def main() -> None:
    """Time each case in both trees, in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--commit", default="HEAD~1", help="what to compare with; default: the commit before")
    parser.add_argument("--only", default=",".join(PARTS), help=f"of {', '.join((*PARTS, *STAGES))}")
    parser.add_argument("--runs", type=int, default=3, help="pairs of each; fits, the ladder and tests: --fits")
    parser.add_argument("--fits", type=int, default=1)
    parser.add_argument("--seeds", default="42")
    parser.add_argument("--tickers", default="KO,XOM", help='"" for all')
    chosen = parser.parse_args()
    now = Tree("now", ROOT, sys.executable)
    print(f"{'':28} {'before':>9} {'now':>9}  ratio   CPU {'before':>9} {'now':>9}  ratio")
    with checked_out(chosen.commit) as before, tempfile.TemporaryDirectory() as folder:
        for tree in (before, now):
            tree.run("-c", KERNELS)
        for name, command, kind in cases(set(chosen.only.split(",")), chosen.seeds, chosen.tickers):
            took: dict[str, list[tuple[float, float]]] = {"before": [], "now": []}
            runs, trees = chosen.fits if kind == "long" else chosen.runs, (before, now)
            for turn in range(-1 if kind == "short" else 0, runs):  # the first turn of short ones warms them up
                place = folder if kind == "short" else f"{folder}/{turn}"
                for tree in trees:
                    words = (word.replace("OUT", place).replace("TREE", tree.name) for word in command)
                    seconds = tree.run(*words)
                    took[tree.name] += [seconds] if turn >= 0 else []
            row = []
            for at in (0, 1):
                a, b = (statistics.median(one[at] for one in took[tree.name]) for tree in trees)
                row.append(f"{a:9.2f} {b:9.2f}  {b / a:5.2f}")
            print(f"{name:28} {row[0]}       {row[1]}", flush=True)


if __name__ == "__main__":
    main()
