"""Build the wheel, install it with each Python into a new environment, and run what needs no network there.

    python benchmarks/install.py python3.11 python3.12
    python benchmarks/install.py --with torch==2.13.0 --extra torch python3.11
    python benchmarks/install.py --lowest python3.11

``--lowest`` installs the lowest versions that pyproject.toml allows, which needs uv; otherwise those of constraints.txt.
Times are for pip with whatever is in its cache, with the CPU's share behind them; sizes are what the environment takes on
disk, pip included.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMANDS = (
    ("run", "stage1"),
    ("report", "results/stage1"),
    ("verdict", "results/stage1/stage1_all_predictions.csv", "--ask", "HistGB - LinearReg"),
    ("data", "check"),
    ("list",),
)


def main() -> None:
    """Try every Python that is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pythons", nargs="+")
    parser.add_argument("--lowest", action="store_true")
    parser.add_argument("--extra", default="")
    parser.add_argument(
        "--with", dest="also", action="append", default=[], help="a further requirement, such as torch==2.13.0"
    )
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nextday-install-") as folder:
        call(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, str(ROOT))
        (wheel,) = Path(folder).glob("*.whl")
        print(f"wheel: {wheel.stat().st_size / 1e6:.1f} MB")
        pins = lowest(Path(folder), wanted.pythons[0]) if wanted.lowest else ROOT / "constraints.txt"
        name = f"{wheel}[{wanted.extra}]" if wanted.extra else str(wheel)
        for python in wanted.pythons:
            attempt(python, [name, *wanted.also], pins, Path(folder) / "environment")


def attempt(python: str, requirements: Sequence[str], pins: Path, place: Path) -> None:
    """Install into a new environment, run the commands, print seconds and megabytes."""
    shutil.rmtree(place, ignore_errors=True)
    call(python, "-m", "venv", str(place))
    own = str(place / "bin" / "python")
    took = call(own, "-m", "pip", "install", "-q", "-c", str(pins), *requirements)
    size = sum(file.lstat().st_size for file in place.rglob("*") if file.is_file() and not file.is_symlink())
    print(f"{call_text(own, '--version')}: installed in {took}, {size / 1e6:.0f} MB")
    for command in COMMANDS:
        print(f"  nextday {' '.join(command)}: {call(str(place / 'bin' / 'nextday'), *command, cwd=place)}")


def lowest(folder: Path, python: str) -> Path:
    """Resolve the lowest versions that are allowed."""
    pins = folder / "lowest.txt"
    version = call_text(python, "-c", "import sys; print('{}.{}'.format(*sys.version_info))")
    call(
        "uv", "pip", "compile", "-q", "--resolution", "lowest-direct", "--python-version", version,
        str(ROOT / "pyproject.toml"), "-o", str(pins),
    )  # fmt: skip
    return pins


def call(*command: str, cwd: Path = ROOT) -> str:
    """Run a command and say how long it took; what it prints is shown where it fails."""
    start, before = time.perf_counter(), os.times()
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    after = os.times()
    cpu = sum(after[2:4]) - sum(before[2:4])  # of the children that have ended
    return f"{time.perf_counter() - start:.1f} s ({cpu:.1f} s of CPU)"


def call_text(*command: str) -> str:
    """Run a command and return what it says."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
