"""Figures and tables that analyses add to a report."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich import table as rich
from rich.text import Text

from nextday.reporting.html_tables import NOTHING, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Plate:
    """A figure, drawn on demand, so that only one is in memory.

    Attributes
    ----------
    suffix
        End of its file name.
    title
        Alternative text.
    draw
        Draws the figure, including its caption.
    """

    suffix: str
    title: str
    draw: "Callable[[], Figure]"


@dataclass(frozen=True, slots=True)
class Printed:
    """A drawn plate, as PNG."""

    title: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A table, for the report and the terminal.

    Attributes
    ----------
    heading
        Heading of its section in the report.
    reading
        Explanation for readers.
    note
        A short explanation for the terminal.
    table
        Its values.
    """

    heading: str
    reading: str
    note: str
    table: Table


def exhibit_table(exhibit: Exhibit) -> rich.Table:
    """Format an exhibit for the terminal."""
    title, (first, *others) = exhibit.table.caption, exhibit.table.columns
    table = rich.Table(
        title=title[:1].lower() + title[1:], title_justify="left", caption=exhibit.note, caption_justify="left"
    )
    table.add_column(first, no_wrap=True)
    for header in others:
        table.add_column(header, justify="right", no_wrap=True)
    for row in exhibit.table.rows:
        table.add_row(*(Text("-" if cell.text == NOTHING else cell.text) for cell in row))
    return table
