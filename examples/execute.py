"""Run the notebooks beside this file from top to bottom; ``--check`` runs them and leaves the files alone.

Each runs in an empty folder of its own. What is stored holds output and no times, so that a run which changes nothing
leaves the files as they are.
"""

import argparse
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
LARGEST = 300_000  # bytes; to be read on the web


def execute(path: Path) -> nbformat.NotebookNode:
    """Return a notebook with the output of a fresh kernel.

    Raises
    ------
    CellExecutionError
        If a cell fails.
    """
    book = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(book, timeout=600, kernel_name="python3", resources={"metadata": {"path": folder}}).execute()
    for cell in book.cells:
        cell.metadata.clear()
    book.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return book


def main() -> None:
    """Run every notebook, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="*", type=Path, default=sorted(HERE.glob("*.ipynb")))
    parser.add_argument("--check", action="store_true", help="write nothing")
    args = parser.parse_args()
    for path in args.notebooks:
        text = nbformat.writes(execute(path)) + "\n"
        if len(text) > LARGEST:
            raise SystemExit(f"{path} has {len(text):,} bytes, more than {LARGEST:,}")
        if not args.check:
            path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
