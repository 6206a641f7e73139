"""Figures and tables that analyses add to a report."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl
from rich import table as rich
from rich.text import Text

from nextday.errors import OutputError
from nextday.names import known
from nextday.reporting import style
from nextday.reporting.html_tables import NOTHING, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Plate:
    """A figure, drawn on demand, so that only one is in memory; a notebook shows it.

    Attributes
    ----------
    suffix
        Its name among the figures of a study, and the end of its file name.
    title
        Alternative text.
    draw
        Draws the figure, including its caption.
    rows
        The frame behind it.
    """

    suffix: str
    title: str
    draw: "Callable[[], Figure]" = field(repr=False)
    rows: pl.DataFrame = field(repr=False)

    def frame(self) -> pl.DataFrame:
        """Return the frame behind the figure."""
        return self.rows

    def plot(self) -> "Figure":
        """Draw the figure: matplotlib's, without pyplot, so that neither its state nor the backend is touched."""
        import matplotlib as mpl

        with mpl.rc_context(style.STYLE):
            return self.draw()

    def png(self) -> bytes:
        """Draw the figure as in its file."""
        import matplotlib as mpl

        with mpl.rc_context(style.STYLE):
            return style.png(self.draw())

    def _repr_png_(self) -> bytes:
        return self.png()


class Figures(dict[str, Plate]):
    """The figures of a study by name.

    Raises
    ------
    OutputError
        If there is no figure of a name.
    """

    def __missing__(self, name: str) -> Plate:
        raise OutputError(f"no figure {name!r} here; {known(name, self)}")

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {plate.title}" for name, plate in self.items()) or "no figures"


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
    printed
        Whether the terminal shows it, too.
    """

    heading: str
    reading: str
    note: str
    table: Table
    printed: bool = True


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
