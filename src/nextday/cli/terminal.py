"""Output on the terminal: the console, and summaries."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nextday.words import plural

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from nextday.auditing.findings import Finding
    from nextday.evaluate import Comparison, Verdict
    from nextday.expectations import Outcome
    from nextday.results import Results

SCREEN = 58  # lines of a verdict, however much was asked
MOST_CONTRASTS = 40  # rows of its table


def console() -> "Console":
    """Return the console; wide if standard output is not a terminal."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 140)


def show_study(results: "Results", outcomes: Sequence["Outcome"] = (), *, quiet: bool = False) -> None:
    """Print the summary, the verdict, the outcomes of expectations, and the folder of the files."""
    from nextday.reporting import exhibit_table, summary_table

    study, screen = results.study, console()
    screen.print(summary_table(results.scores, f"{study.name}: {study.question}" if study.question else study.name))
    for exhibit in [one for one in results.exhibits if one.printed]:
        screen.print(exhibit_table(exhibit))
    show_verdict(results.comparison, results.verdict, outcomes, quiet=quiet)
    hidden = len(results.notes) - 3
    for note in () if quiet else results.notes[:3] + ((f"{hidden:,} more in manifest.json",) if hidden > 0 else ()):
        screen.print(f"note: {note}", style="dim", markup=False, highlight=False)
    screen.print(f"tables, plots, report.html: {results.out}", markup=False, highlight=False, soft_wrap=True)


def print_findings(screen: "Console", findings: Sequence["Finding"]) -> None:
    """Print what an audit found, one line each: level, rule, sentence."""
    from rich.text import Text

    for one in findings:
        style = {"alarm": "bold red", "question": "yellow"}.get(one.status, "dim")
        line = Text(f"{one.status} {one.code}: ", style)
        screen.print(line.append(one.sentence, ""), highlight=False)


def show_verdict(
    comparison: "Comparison", judged: "Verdict", outcomes: Sequence["Outcome"] = (), *, quiet: bool = False
) -> None:
    """Print the headline, the outcomes of expectations, the asked contrasts, context and remarks, on one screen.

    Of many contrasts the table shows the most significant; remarks, most important first, fill the rest of the screen.
    ``quiet`` leaves out context and remarks.
    """
    from rich.text import Text

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


def _height(screen: "Console", renderable: "Table | Text") -> int:
    return len(screen.render_lines(renderable, pad=False))
