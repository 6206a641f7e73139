"""What a person sees while and after something runs: the console, and progress."""

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console


def console() -> Console:
    """Give the console; wide where nobody's window limits it."""
    return Console(width=None if sys.stdout.isatty() else 140)


def watch(outcomes: Iterable[Any], total: int) -> Iterator[Any]:
    """Show what is done, the time left and the current unit; plain lines where standard error is not a terminal."""
    screen = Console(stderr=True)
    if not screen.is_terminal:
        yield from _plain(outcomes, total, screen)
        return
    from rich import progress

    columns = (
        progress.BarColumn(), progress.MofNCompleteColumn(), progress.TextColumn("done, left"),
        progress.TimeRemainingColumn(), progress.TextColumn("{task.description}", markup=False),
    )  # fmt: skip
    with progress.Progress(*columns, console=screen, transient=True) as bar:
        task = bar.add_task("starting", total=total)
        for outcome in outcomes:
            bar.update(task, advance=1, description=str(outcome.unit))
            yield outcome


def _plain(outcomes: Iterable[Any], total: int, screen: Console) -> Iterator[Any]:
    step = max(1, total // 10)
    for done, outcome in enumerate(outcomes, start=1):
        if done % step == 0 or done == total:
            screen.print(f"{done} of {total} done; {outcome.unit}", markup=False, highlight=False)
        yield outcome
