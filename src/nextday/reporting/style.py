"""Style of all plots of a report: colours, texts, limits, and kinds of panels."""

import io
import json
import math
import os
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # matplotlib is imported only by who draws: it takes a third of a second
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito (2008), safe for colour-blind readers; without yellow, faint on white, and black, kept for references
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "*", ">", "h", "p")
GREY = "#7F7F7F"
STYLE: dict[str, object] = {  # whatever the user's own matplotlib settings are, a report looks the same
    "font.family": ["DejaVu Sans"], "font.size": 9.0, "axes.labelsize": 9.0, "axes.titlesize": 9.0,
    "legend.fontsize": 8.5, "xtick.labelsize": 8.5, "ytick.labelsize": 8.5,
    "text.usetex": False, "text.parse_math": True, "text.color": "black",
    "figure.autolayout": False, "figure.constrained_layout.use": False,
    "figure.facecolor": "white", "axes.facecolor": "white", "savefig.facecolor": "auto", "savefig.bbox": None,
    "axes.formatter.useoffset": False, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False,
    "axes.grid": False, "axes.axisbelow": True, "grid.color": "#DDDDDD", "grid.linewidth": 0.6, "grid.linestyle": "-",
}  # fmt: skip
Limits = tuple[float, float]
LONGEST = 30  # characters of a name
CHARACTER = 0.075  # inches, a character at 9 points
LINE = 0.17  # inches, a line of the title
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
SPREAD = "middle 90 % (line), middle half (bar), median (marker)"  # how ``spread`` draws them


@dataclass(frozen=True, slots=True)
class Look:
    """Label, colour and marker of a variant, the same in all plots of a study."""

    label: str
    colour: str
    marker: str
    line: str = "-"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a panel of dots: a mean, the value of each seed, and a note."""

    look: Look
    mean: float | None
    seeds: tuple[float, ...] = ()
    note: str = ""

    @property
    def values(self) -> tuple[float, ...]:
        """All values of the row."""
        return () if self.mean is None else (self.mean, *self.seeds)


def looks(variants: Iterable[str]) -> dict[str, Look]:
    """Assign a label, a colour, a marker and a line style to each variant."""
    names, found = list(variants), {}
    for at, (name, label) in enumerate(zip(names, shorten(names), strict=True)):
        again = at // len(COLOURS) % 3
        found[name] = Look(label, COLOURS[at % len(COLOURS)], MARKERS[at % len(MARKERS)], ("-", "--", ":")[again])
    return found


def shorten(names: Sequence[str]) -> list[str]:
    """Shorten names for plots; long ones lose their middle, and their common part if they would look alike."""
    short = [_clip(name) for name in names]
    twins = [name for name, text in zip(names, short, strict=True) if short.count(text) > 1]
    shared = len(os.path.commonprefix(twins))  # noqa: RUF071 - of names, by character
    short = [_clip(f"…{name[shared:]}") if name in twins else text for name, text in zip(names, short, strict=True)]
    return [plain(f"{at + 1}. {text}" if short.count(text) > 1 else text) for at, text in enumerate(short)]


def _clip(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[:17]}…{name[-12:]}"


MOST_VARIANTS = 30  # that a figure or a table of a terminal can tell apart
MOST_TICKERS = 40  # the same of tickers; beyond it a distribution is shown


def plain(text: str) -> str:
    """Escape a name for matplotlib: no mathematics between dollars, no line breaks, no leading underscore.

    Legends before matplotlib 3.10 omit names that start with an underscore.
    """
    printable = "".join(character if character.isprintable() else "·" for character in text).replace("$", r"\$")
    return f" {printable}" if printable.startswith("_") else printable


@cache
def canvas() -> "type[Figure]":
    """Return matplotlib's figure, shown by a notebook even where pyplot, which would choose a backend, is not used."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    class Canvas(Figure):
        def _repr_png_(self) -> bytes:
            with mpl.rc_context(STYLE):
                return png(self)

    return Canvas


def new_figure(width: float, height: float, title: str, details: str) -> "Figure":
    """Start a figure [inches] with a title of one sentence and a line of details, wrapped to its width."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    limit = int(width / CHARACTER)
    kept = [text.replace(" %", "\u00a0%") for text in (title, details)]  # a number stays with its unit
    lines = [line for text in kept for line in textwrap.wrap(text, limit, break_on_hyphens=False)]
    figure = canvas()(figsize=(width, height + LINE * len(lines)), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)  # one renderer for every measure of a text, where a bare canvas makes one for each
    figure.suptitle("\n".join(lines).replace("\u00a0", " "), x=0.01, ha="left", fontsize=9.5)
    figure.set_label(f"{title}\n{details}")  # for pages, which write them as text
    return figure


def png(figure: "Figure") -> bytes:
    """Render a figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150, pil_kwargs={"compress_level": 3})  # a third faster, 2 % larger
    return buffer.getvalue()


def stripe(figure: "Figure", text: str) -> None:
    """Mark a figure along its right edge as something else than a result."""
    from matplotlib.patches import Rectangle

    width = 0.22 / figure.get_figwidth()
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.set(rect=(0, 0, 1 - 1.5 * width, 1))  # type: ignore[call-arg] # of the constrained layout
    figure.add_artist(Rectangle((1 - width, 0), width, 1, color=COLOURS[1], transform=figure.transFigure, zorder=3))
    figure.text(1 - width / 2, 0.5, text, rotation=90, ha="center", va="center", color="white", weight="bold", zorder=4)


def key(figure: "Figure", entries: Sequence["Artist"]) -> None:
    """Put a legend below all panels, in as many columns as fit."""
    longest = max(len(str(entry.get_label())) for entry in entries)
    columns = max(1, int(figure.get_figwidth() / (CHARACTER * longest + 0.5)))
    legend = figure.legend(handles=entries, loc="outside lower left", ncols=min(columns, len(entries)))
    for parts in (legend.get_texts(), legend.legend_handles):
        for entry, part in zip(entries, parts, strict=True):
            if part is not None:
                part.set_gid(json.dumps(["key", str(entry.get_label())]))


def series(artist: "Artist", name: str, texts: Sequence[str] = ()) -> None:
    """Assign an artist to an entry of the legend, with the text that a page shows at each of its points."""
    artist.set_gid(json.dumps(["series", name, *texts]))


def handle(label: str, colour: str, marker: str = "", *, line: str = "") -> "Artist":
    """Make an entry of a legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, color=colour, marker=marker, ls=line, ms=5)


def handles(look: Mapping[str, Look], *, lines: bool = False) -> list["Artist"]:
    """Make the legend's entries of the variants, drawn as markers or as lines."""
    if lines:
        return [handle(one.label, one.colour, line=one.line) for one in look.values()]
    return [handle(one.label, one.colour, one.marker) for one in look.values()]


def upright(names: Sequence[str], inches: float) -> float:
    """Return the height [inches] of names that are too wide for their place and are drawn upright, or 0."""
    longest = max(map(len, names)) * CHARACTER
    return longest if longest > inches else 0.0


def name_columns(ax: "Axes", names: Sequence[str], inches: float) -> None:
    """Label the positions 0, 1, ... of the horizontal axis, each of a width in inches."""
    ax.set_xticks(range(len(names)), labels=names, rotation=90 if upright(names, inches) else 0)
    ax.tick_params(axis="x", length=0)


def date_columns(ax: "Axes") -> None:
    """Label the horizontal axis with dates that do not overlap."""
    from matplotlib.dates import AutoDateFormatter, AutoDateLocator

    locator = AutoDateLocator(minticks=3, maxticks=8)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(AutoDateFormatter(locator))


def name_rows(ax: "Axes", names: Sequence[str], bins: int) -> None:
    """Label the positions 0, 1, ... of the vertical axis, from the top, with about ``bins`` ticks on the other."""
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_yticks(range(len(names)), labels=names)
    ax.tick_params(axis="y", length=0, pad=8)
    ax.locator_params(axis="x", nbins=bins)


def focus(values: Iterable[float], anchors: Iterable[float] = (), *, times: float = 5) -> Limits:
    """Choose the limits of an axis so that a few outliers do not flatten the others.

    The anchors are always inside. A value is left out if it is further from them than ``times`` the median distance.
    """
    finite = np.array([value for value in values if math.isfinite(value)])
    fixed = np.array(list(anchors) or [np.median(finite) if len(finite) else 0.0])
    away = np.maximum(np.maximum(fixed.min() - finite, finite - fixed.max()), 0)
    reach = max(times * np.median(away[away > 0]), np.ptp(fixed)) if (away > 0).any() else 0.0
    kept = np.concatenate([fixed, finite[away <= reach]])
    margin = 0.08 * float(np.ptp(kept)) or 0.05 * float(abs(kept).max()) or 1.0
    return float(kept.min()) - margin, float(kept.max()) + margin


def dots(ax: "Axes", rows: Sequence[Row], references: Mapping[str, float], label: str, header: str) -> None:
    """Draw one row of dots per entry, from the top, its note below a header at the right; references are lines.

    A mean outside the limits is an arrow at the edge; its note gives the value.
    """
    limits = focus([value for row in rows for value in row.values], references.values())
    for (name, value), style in zip(references.items(), ("-", "--"), strict=False):
        ax.axvline(value, color="black", lw=1, ls=style, label=name, zorder=1)
    for at, row in enumerate(rows):
        _row(ax, at, row, limits)
        ax.text(1.03, at, row.note.replace("-", "−"), transform=ax.get_yaxis_transform(), va="center", fontsize=8)
    ax.text(1.03, 1.0, header, transform=ax.transAxes, va="bottom", fontsize=8, color="#555555")
    ax.set(xlim=limits, xlabel=label)
    name_rows(ax, [row.look.label for row in rows], 4)
    ax.grid(axis="y")
    if references:
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), borderaxespad=0.2, ncols=2, handlelength=1.5)


def _row(ax: "Axes", at: int, row: Row, limits: Limits) -> None:
    look = row.look
    if row.mean is None:
        return
    if len(row.seeds) > 1:
        (each,) = ax.plot(row.seeds, [at + 0.25] * len(row.seeds), ".", ms=6, color=look.colour, alpha=0.6, mec="none")
        series(each, look.label, [f"{look.label}, one seed: {value:+.3f}" for value in row.seeds])
    if not beyond(ax, row.mean, at, limits, look):
        (mean,) = ax.plot(row.mean, at, look.marker, ms=6, color=look.colour)
        series(mean, look.label, [f"{look.label}, mean: {row.mean:+.3f}"])


def beyond(
    ax: "Axes", value: float, at: float, limits: Limits, look: Look, *, text: str = "", up: bool = False
) -> bool:
    """Draw an arrow at the edge, with a text, where a value lies outside the limits; say whether it does."""
    if limits[0] <= value <= limits[1]:
        return False
    low = bool(value < limits[0])
    edge, inwards = limits[not low], 6 if low else -6
    place, offset, marker = ((at, edge), (0, inwards), "^v") if up else ((edge, at), (inwards, 0), "><")
    ax.plot(*place, marker[low], ms=5 if up else 7, color=look.colour, clip_on=False)
    ax.annotate(
        text.replace("-", "−"), place, offset, textcoords="offset points", fontsize=6.5 if up else 8, color=look.colour,
        rotation=90 if up else 0, ha="center" if up else "left" if low else "right",
        va="center" if not up else "bottom" if low else "top",
    ).set_in_layout(False)  # fmt: skip
    return True


def spread(ax: "Axes", columns: Sequence[tuple[Look, np.ndarray]], anchors: Iterable[float], label: str) -> None:
    """Draw one row per column of values, as ``SPREAD`` says; ``anchors`` are always on the axis.

    The ends are quantiles, because the range of 2,000 tickers shows two of them.
    """
    found = [np.quantile(known, QUANTILES) for _, values in columns if len(known := values[np.isfinite(values)])]
    limits = focus(np.ravel(found), anchors, times=10)
    for at, (look, values) in enumerate(columns):
        if not (known := np.isfinite(values)).any():
            continue
        low, first, median, third, high = np.quantile(values[known], QUANTILES)
        if not beyond(ax, median, at, limits, look, text=f"median {median:.3g}"):
            ax.hlines(at, low, high, color=look.colour, lw=1)
            ax.hlines(at, first, third, color=look.colour, lw=7, alpha=0.4)
            (middle,) = ax.plot(median, at, look.marker, ms=7, color=look.colour)
            texts = [f"median {median:+.3f}", f"middle half {first:+.3f} to {third:+.3f}"]
            series(middle, look.label, [f"{look.label}: {', '.join([*texts, f'90 % {low:+.3f} to {high:+.3f}'])}"])
    ax.set(xlim=limits, xlabel=label)
    name_rows(ax, [look.label for look, _ in columns], 7)
    ax.grid(axis="x")


def beside(
    ax: "Axes", names: Sequence[str], values: np.ndarray, widths: np.ndarray, look: Sequence[Look], limits: Limits
) -> None:
    """Draw values [place, variant] with intervals of half-widths [place, variant], variants side by side."""
    places, step = np.arange(len(values)), 0.84 / len(look)
    ax.axhline(0, color="black", lw=1, zorder=1)
    for at, one in enumerate(look):
        x, column, width = places + (at + 0.5) * step - 0.42, values[:, at], np.nan_to_num(widths[:, at])
        known = np.flatnonzero(np.isfinite(column)).tolist()
        shown = [i for i in known if not beyond(ax, column[i], x[i], limits, one, text=f"{column[i]:.3g}", up=True)]
        low, high = (np.clip(column[shown] + sign * width[shown], *limits) for sign in (-1, 1))
        series(ax.vlines(x[shown], low, high, color=one.colour, lw=1.2, alpha=0.55), one.label)
        (points,) = ax.plot(x[shown], column[shown], one.marker, ms=4, color=one.colour)
        ends = zip(column - width, column + width, strict=True)
        texts = [f"{value:+.2f} ({a:+.2f} to {b:+.2f})" for value, (a, b) in zip(column, ends, strict=True)]
        series(points, one.label, [f"{names[i]}, {one.label}: {texts[i]}" for i in shown])
    ax.set(xlim=(-0.5, len(values) - 0.5), ylim=limits)
    ax.set_xticks(places[1:] - 0.5, minor=True)
    ax.tick_params(axis="x", which="both", length=0)
    ax.locator_params(axis="y", nbins=7)
    ax.grid(axis="y")
    ax.grid(axis="x", which="minor")


def trails(ax: "Axes", lines: Sequence[np.ndarray], middle: np.ndarray, colour: str) -> "Artist":
    """Draw and return ``middle`` [point, (x, median, low, high)] as a line in a band, or over thin lines [point, 2]."""
    from matplotlib.collections import LineCollection

    if lines:
        ax.add_collection(LineCollection(lines, color=colour, lw=0.7, alpha=0.4))
    else:
        ax.fill_between(middle[:, 0], middle[:, 2], middle[:, 3], color=colour, alpha=0.25, lw=0)
    (line,) = ax.plot(middle[:, 0], middle[:, 1], color=colour, lw=2)
    ax.grid(axis="y")
    ax.autoscale_view()
    return line


def cells(ax: "Axes", values: np.ndarray, away: float, names: Sequence[str], marked: np.ndarray | None = None) -> None:
    """Draw values [row, column] as colours within ``away`` of 50, numbered, and framed where they are marked."""
    from matplotlib.patches import Rectangle

    ax.imshow(values, cmap="RdBu", vmin=50 - away, vmax=50 + away, aspect="auto", interpolation="nearest")
    ax.set_facecolor("#CCCCCC")
    ax.tick_params(length=0)
    ax.set_yticks(range(len(names)), labels=names)
    for (row, column), value in np.ndenumerate(values):
        text = "–" if np.isnan(value) else f"{value:.1f}"
        colour = "white" if abs(value - 50) > 0.65 * away else "black"
        frame = marked is not None and bool(marked[row, column])
        if frame:
            ax.add_patch(Rectangle((column - 0.46, row - 0.42), 0.92, 0.84, fill=False, ec="black", lw=1.4))
        weight = "bold" if frame else "normal"
        note = ax.text(column, row, text, ha="center", va="center", fontsize=8, color=colour, weight=weight)
        note.set_in_layout(False)
