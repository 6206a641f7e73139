"""Output on the terminal: the console, progress, and summaries."""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nextday.progress import Watch
from nextday.words import plural

if TYPE_CHECKING:
    from nextday.evaluate import Comparison, Verdict
    from nextday.expectations import Outcome
    from nextday.pipeline import Results

SCREEN = 58  # lines of a verdict, however much was asked
MOST_CONTRASTS = 40  # rows of its table
EVERY = (5.0, 0.05, 60.0)  # seconds between lines of progress: at least, as a share of the time so far, at most
ENOUGH = 5.0  # seconds of fitting that show a pace


def console() -> Console:
    """Return the console; wide if standard output is not a terminal."""
    return Console(width=None if sys.stdout.isatty() else 140)


def progress_of(name: str = "", *, quiet: bool = False) -> Watch:
    """Return what shows the progress of the study ``name``, or nothing."""
    return _unseen if quiet else partial(watch, name=name)


def _unseen(outcomes: Iterable[Any], total: int) -> Iterable[Any]:  # noqa: ARG001 - the form of a Watch
    return outcomes


def watch(outcomes: Iterable[Any], total: int, *, name: str = "") -> Iterator[Any]:
    """Show what is done, the time left and the current unit; plain lines where standard error is not a terminal."""
    screen = Console(stderr=True)
    if not screen.is_terminal:
        yield from _plain(outcomes, total, screen, name)
        return
    from rich import progress

    columns = (
        progress.BarColumn(), progress.MofNCompleteColumn(), progress.TextColumn("done, left"),
        progress.TimeRemainingColumn(), progress.TextColumn("{task.description}", markup=False),
    )  # fmt: skip
    with progress.Progress(*columns, console=screen, transient=True) as bar:
        head = f"{name}: " if name else ""
        task = bar.add_task(f"{head}starting", total=total)
        for outcome in outcomes:
            bar.update(task, advance=1, description=f"{head}{outcome.unit}")
            yield outcome


def _plain(outcomes: Iterable[Any], total: int, screen: Console, name: str) -> Iterator[Any]:
    """Print a line now and then; the pace is that between fitted units: the first one also waits for its start."""
    began = said = time.monotonic()
    first, fitted, head, what = 0.0, 0, f"{name}: " if name else "", "units" if name else "done"
    for done, outcome in enumerate(outcomes, start=1):
        now = time.monotonic()
        if not getattr(outcome, "reused", False):
            first, fitted = first or now, fitted + 1
        if done == total or now - said >= min(max(EVERY[0], EVERY[1] * (now - began)), EVERY[2]):
            pace = (now - first) / (fitted - 1) if fitted > 1 and now - first >= ENOUGH else 0
            left = f", about {clock(pace * (total - done))} left" if pace and done < total else ""
            line = f"{head}{done:,}/{total:,} {what}, {clock(now - began)}{left}"
            screen.print(line, markup=False, highlight=False, soft_wrap=True)
            said = now
        yield outcome


def clock(seconds: float) -> str:
    """Return a time as ``3:10``, from an hour on as ``1:03:10``.

    Examples
    --------
    >>> clock(0.4), clock(190), clock(3790)
    ('0:00', '3:10', '1:03:10')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def show_study(results: "Results", outcomes: Sequence["Outcome"] = (), *, quiet: bool = False) -> None:
    """Print the summary, the verdict, the outcomes of expectations, and the folder of the files."""
    from nextday.reporting import exhibit_table, summary_table

    study, screen = results.study, console()
    screen.print(summary_table(results.scores, f"{study.name}: {study.question}" if study.question else study.name))
    for exhibit in results.exhibits:
        screen.print(exhibit_table(exhibit))
    show_verdict(results.comparison, results.verdict, outcomes, quiet=quiet)
    hidden = len(results.notes) - 3
    for note in () if quiet else results.notes[:3] + ((f"{hidden} more in manifest.json",) if hidden > 0 else ()):
        screen.print(f"note: {note}", style="dim", markup=False, highlight=False)
    screen.print(f"tables, plots, report.html: {results.out}", markup=False, highlight=False, soft_wrap=True)


def show_verdict(
    comparison: "Comparison", judged: "Verdict", outcomes: Sequence["Outcome"] = (), *, quiet: bool = False
) -> None:
    """Print the headline, the outcomes of expectations, the asked contrasts, context and remarks, on one screen.

    Of many contrasts the table shows the most significant; remarks, most important first, fill the rest of the screen.
    ``quiet`` leaves out context and remarks.
    """
    from nextday.reporting import contrasts_table

    screen = console()
    table = contrasts_table(comparison, judged, most=MOST_CONTRASTS)
    head: list[Table | Text] = [Text(judged.sentence, "bold")]
    head += [*(Text(str(one), "bold") for one in outcomes), table]
    head += [] if quiet else [Text(line) for line in judged.context]
    left = SCREEN - sum([_height(screen, one) for one in head])
    for number, remark in enumerate(() if quiet else judged.remarks):
        text = Text(f"- {remark}")
        left -= _height(screen, text)
        if left < 1 and number < len(judged.remarks) - 1:
            head.append(Text(f"- {plural(len(judged.remarks) - number, 'more remark')}: --json shows all"))
            break
        head.append(text)
    for one in head:
        screen.print(one, highlight=False)


def _height(screen: Console, renderable: Table | Text) -> int:
    return len(screen.render_lines(renderable, pad=False))
