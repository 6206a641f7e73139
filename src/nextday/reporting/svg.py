"""Figures as SVG for pages: text stays text, colours follow the page, points carry the values that a script shows."""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nextday.reporting.style import COLOURS, GREY, LINE, STYLE

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

MOST_POINTS = 240  # of one artist that answer to a pointer
SCALE = 1.35  # pixels of a page by point, at most: texts of all figures are of about one size
NAMED = {GREY: "muted", "#555555": "muted", "#AAAAAA": "muted", "#CCCCCC": "line", "#DDDDDD": "line",
    "#000000": "ink", "#FFFFFF": "paper",
}  # fmt: skip
VARIABLES = {colour: f"c{at}" for at, colour in enumerate(COLOURS)} | NAMED
Point = tuple[int, float, float, str]  # number of the series, place from the left and from the top, text


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure for a page.

    Attributes
    ----------
    key
        Its name in the page.
    title, reading
        What it shows, and how to read it.
    svg
        The image; its groups name their series.
    points
        What a pointer may hit, in units of the image.
    """

    key: str
    title: str
    reading: str
    svg: str
    points: tuple[Point, ...]


def picture(key: str, figure: "Figure") -> Picture:
    """Turn a figure into an SVG, its title and details into text.

    Parameters
    ----------
    key
        Unique in a page, since identifiers inside of the image are made from it.
    figure
        A new figure; its title is taken off. The first line of its label is the title, the rest says how to read it.
    """
    import matplotlib as mpl

    with mpl.rc_context(STYLE | {"svg.fonttype": "none", "svg.hashsalt": key}):
        title, reading = _take_title(figure)
        figure.set_dpi(72)  # so that pixels are the points in which the image counts
        figure.draw_without_rendering()
        figure.set_layout_engine(None)  # laid out once: nothing moves, nor is drawn again, between here and the image
        points = tuple(_mark(figure))
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", dpi=72, transparent=True, metadata={"Date": None})
    widest = round(SCALE * figure.bbox.width)
    return Picture(key, title, reading, _for_page(buffer.getvalue(), widest), points)


def _take_title(figure: "Figure") -> tuple[str, str]:
    """Take the title off a figure, with the room that it had."""
    if lines := figure.get_suptitle():
        figure.suptitle("")
        figure.set_figheight(figure.get_figheight() - LINE * len(lines.split("\n")))
    title, _, reading = str(figure.get_label()).replace(r"\$", "$").partition("\n")
    return title, reading


def _mark(figure: "Figure") -> Iterator[Point]:
    """Write the number of each series into the image, and yield the visible points that have a text."""
    known: dict[str, int] = {}
    for artist in figure.findobj(lambda one: bool(one.get_gid())):
        kind, name, *texts = json.loads(str(artist.get_gid()))
        number = known.setdefault(name, len(known))
        artist.set_gid(f"{kind}{number}")
        if texts:
            places = _places(artist)
            for at in _chosen(len(texts)):
                x, y = (float(place) for place in places[at])
                if np.isfinite(x) and np.isfinite(y) and _seen(artist, x, y):
                    yield number, round(x, 1), round(figure.bbox.height - y, 1), texts[at]


def _seen(artist: "Artist", x: float, y: float) -> bool:
    """Whether a place, in pixels, is inside of the axes, or the artist may stand beyond them."""
    assert artist.axes is not None
    return not artist.get_clip_on() or bool(artist.axes.bbox.padded(1).contains(x, y))


def _chosen(count: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(count, MOST_POINTS)).round().astype(int))


def _places(artist: "Artist") -> np.ndarray:
    """Return the points of a line, a scatter or the bars' ends, in pixels from the lower left corner."""
    from matplotlib.collections import PathCollection
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    if isinstance(artist, Line2D):
        return artist.get_transform().transform(artist.get_xydata())
    if isinstance(artist, PathCollection):
        return artist.get_offset_transform().transform(artist.get_offsets())
    assert isinstance(artist, Rectangle)
    assert artist.axes is not None
    middle = artist.get_x() + artist.get_width() / 2, artist.get_y() + artist.get_height()
    return artist.axes.transData.transform([middle])


def _for_page(svg: str, widest: int) -> str:
    """Make an image part of a page: its size and colours are the page's, digits below a tenth of a point are cut."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>',
        rf'<svg viewBox="\1" style="max-width: {widest}px" aria-hidden="true">',
        svg,
        count=1,
    )
    svg = re.sub(r'<g id="(series|key)(\d+)"', r'<g data-\1="\2"', svg)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r"#[0-9a-f]{6}\b", lambda one: _variable(one[0]), svg)
    svg = re.sub(r"'DejaVu Sans'", "'DejaVu Sans', Verdana, sans-serif", svg)
    return re.sub(r' (?:d|x|y|width|height|transform)="[^"]*"', lambda one: _short(one[0]), svg)


def _variable(colour: str) -> str:
    known = VARIABLES.get(colour.upper())
    return f"var(--{known})" if known else colour


def _short(attribute: str) -> str:
    return re.sub(r"(\.\d\d)\d+", r"\1", attribute)
