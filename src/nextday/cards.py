"""Results as a notebook shows them: HTML without colours of its own, so that it fits a light and a dark page."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

Rows = Sequence[Sequence[str]]
LEFT = "text-align:left;padding:2px 1em 2px 0;vertical-align:top"
SHORT = 40  # letters of a cell that stays on one line
CAPTION = "caption-side:top;text-align:left;color:inherit;padding:0"


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of texts, its caption and its columns; the first column is a name."""

    caption: str
    columns: tuple[str, ...]
    rows: Rows


def card(title: str, sentence: str, grid: Grid | None = None, lines: Iterable[str] = (), *, files: str = "") -> str:
    """Lay out a title, the answer, a table and further lines; every text is escaped.

    Parameters
    ----------
    title, sentence
        What it is, and its answer.
    grid
        A table.
    lines
        Further lines.
    files
        Where files lie: HTML of ``link``.
    """
    parts = [f"<div><small>{escape(title)}</small></div>"]
    parts += (
        [f'<div style="font-size:1.1em;margin:.3em 0"><strong>{escape(sentence)}</strong></div>'] if sentence else []
    )
    parts += [_table(grid)] if grid and grid.rows else []
    parts += [f'<div style="margin:.2em 0">{escape(line)}</div>' for line in lines]
    parts += [f"<div><small>{files}</small></div>"] if files else []
    return f'<div style="max-width:60em;line-height:1.4">{"".join(parts)}</div>'


def link(path: Path, text: str) -> str:
    """Link to a file below the working directory; other places, which a notebook does not serve, are named."""
    name = escape(path.as_posix())
    known = f"<code>{name}</code>"
    return f"{escape(text)}: {known}" if path.is_absolute() else f'{escape(text)}: <a href="{name}">{known}</a>'


def _table(grid: Grid) -> str:
    above = f'<caption style="{CAPTION}"><small>{escape(grid.caption)}</small></caption>'
    head = "".join(f'<th scope="col" style="{LEFT}">{escape(column)}</th>' for column in grid.columns)
    rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in grid.rows)
    body = f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody>"
    return f'<table style="margin:.3em 0;border-collapse:collapse">{above}{body}</table>'


def _cell(text: str) -> str:
    whole = ";white-space:nowrap" if len(text) <= SHORT else ""
    return f'<td style="{LEFT}{whole}">{escape(text)}</td>'
