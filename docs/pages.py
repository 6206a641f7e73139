"""Run the commands and the code of pages, in their order and in one folder; compare or ``--write`` what they show.

A comment before a fence says what becomes of it: ``file: NAME`` is written, ``slow`` runs only when asked for, ``not
run: WHY`` is left alone. After a fence that runs, ``output: PATTERN`` and a text fence show those lines of its output
in which the pattern, a regular expression, is found. Fences of ``sh`` and ``python`` run.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parent
MARK = r"(?:<!-- (?P<mark>[a-z ]+?)(?:: (?P<value>.*?))? -->\n)?"
FENCE = re.compile(MARK + r"```(?P<language>\w+)\n(?P<body>.*?)```", re.DOTALL)
NEXTDAY = "from nextday.cli.main import main; main()"


@dataclass(frozen=True, slots=True)
class Block:
    """A fence of a page: what stands before it, what is in it, and where its body lies."""

    mark: str
    value: str
    language: str
    body: str
    span: tuple[int, int]


def blocks_of(text: str) -> Iterator[Block]:
    """Find the fences of a page."""
    for found in FENCE.finditer(text):
        yield Block(found["mark"] or "", found["value"] or "", found["language"], found["body"], found.span("body"))


def run_page(page: Path, folder: Path, *, slow: bool = True) -> str:
    """Return a page with the output that its blocks have now.

    Raises
    ------
    RuntimeError
        If a block fails.
    """
    text, environment = page.read_text("utf-8"), environment_of(folder)
    replaced, output = [], None
    for number, block in enumerate(blocks_of(text)):
        if block.mark == "file":
            (folder / block.value).write_text(block.body, "utf-8")
        elif block.mark == "output" and output is not None:
            lines = [line.rstrip() for line in output.splitlines() if re.search(block.value, line)]
            replaced.append((block.span, "".join(f"{line}\n" for line in lines)))
        elif block.language in {"sh", "python"}:
            wanted = block.mark != "not run" and (slow or block.mark != "slow")
            output = run_block(block, folder, environment, f"{page.name}, block {number + 1}") if wanted else None
    for (start, end), body in reversed(replaced):
        text = text[:start] + body + text[end:]
    return text


def environment_of(folder: Path) -> dict[str, str]:
    """Put this Python and this nextday first, and keep the width of tables."""
    bin_ = folder / ".bin"
    bin_.mkdir()
    for name, command in {"nextday": f'"{sys.executable}" -c "{NEXTDAY}"', "python": f'"{sys.executable}"'}.items():
        (bin_ / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (bin_ / name).chmod(0o755)
    return os.environ | {"PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "96"}


def run_block(block: Block, folder: Path, environment: dict[str, str], where: str) -> str:
    """Run one block and return its output."""
    if block.language == "sh":
        command = ["bash", "-euo", "pipefail", "-c", block.body]
    else:
        (folder / "block.py").write_text(block.body, "utf-8")
        command = [sys.executable, "block.py"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{where} fails:\n{block.body}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def main() -> None:
    """Run pages, and write or compare what they show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--write", action="store_true", help="bring the shown output up to date")
    args = parser.parse_args()
    for page in args.pages:
        with tempfile.TemporaryDirectory() as folder:
            text = run_page(page, Path(folder))
        if args.write:
            page.write_text(text, "utf-8")
        elif text != page.read_text("utf-8"):
            sys.exit(f"{page} shows old output: run python docs/pages.py --write {page}")


if __name__ == "__main__":
    main()
