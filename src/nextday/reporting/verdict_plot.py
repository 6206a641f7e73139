"""The verdict plot: asked contrasts with both intervals, the margin, and the finding in words."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from nextday.evaluate.contrasts import Comparison, Contrast
from nextday.evaluate.verdict import Verdict
from nextday.evaluate.wording import sign_of
from nextday.reporting.findings import (
    BETWEEN,
    Line,
    colour_of,
    exploratory,
    figures,
    interval_of,
    lines_of,
    lines_of_effects,
    reach,
    unit,
)
from nextday.reporting.style import GREY, MOST_VARIANTS, Limits, canvas, plain, series, shorten
from nextday.words import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 10.0  # inches
MOST = 60  # contrasts that a picture holds
MOST_OTHERS = 40  # exploratory pairs that are drawn
TITLE, HEADLINE, FOOT = 13.0, 10.5, 8.0  # points
LEADING = 1.3 / 72  # inches by point: the height of a line
Text = tuple[str, float, str]  # a line, its size, its weight
Row = Line | str  # a contrast, or the head of a group


def draw_verdict(comparison: Comparison, verdict: Verdict, question: str) -> "Figure":
    """Draw the asked contrasts, grouped by model, below the study's question and the verdict's headline."""
    lines = _chosen(comparison, verdict)
    above = [*_wrap(question, TITLE, 2, "bold"), *_wrap(verdict.sentence, HEADLINE, 6)]
    limits = _limits(lines)
    return _draw(lines, comparison, limits, above, _wrap(_details(comparison, lines, limits), FOOT, 4))


def draw_contrasts(comparison: Comparison, verdict: Verdict) -> "Figure":
    """Draw what is asked, then the other contrasts with the benchmark, for a page: it writes title and details."""
    asked = _chosen(comparison, verdict)
    few = len(comparison.losses.variants) <= MOST_VARIANTS
    rest = [
        replace(line, group=f"{line.group}, not asked", beside=True)
        for line in lines_of(comparison.unasked if few else (), comparison)
    ]
    limits = _limits(lines := [*asked, *rest])
    figure = _draw(lines, comparison, limits)
    title = "Asked contrasts, then all others with the benchmark" if rest else "Asked contrasts"
    figure.set_label(f"{title}\n{_details(comparison, lines, limits)}")
    return figure


def draw_others(comparison: Comparison, verdict: Verdict) -> "Figure | None":
    """Draw the pairs that were not asked, at most ``MOST_OTHERS``, for a page; None if there are none."""
    lines = lines_of(exploratory(comparison, MOST_OTHERS), comparison, verdict)
    if not lines:
        return None
    figure = _draw(lines, comparison, _limits(lines))
    few = f"the {len(lines)} of {len(comparison.others)} with the smallest adjusted p"
    drawn = f" Drawn: {few}." if len(lines) < len(comparison.others) else ""
    reading = f"Lines as above. This family is exploratory; the verdict does not depend on it.{drawn}"
    title = "Interactions and other designs" if comparison.alike else "Other pairs of variants"
    figure.set_label(f"{title}\n{reading}")
    return figure


def draw_effects(comparison: Comparison, effects: Sequence[Contrast], beside: Sequence[Contrast] = ()) -> "Figure":
    """Draw the effects of groups of features, the largest first; ``beside`` are those by other designs."""
    lines = sorted(lines_of_effects(effects), key=lambda line: -line.contrast.estimate)[:MOST]
    groups = dict.fromkeys(line.group for line in lines)
    lines = [line for group in groups for line in lines if line.group == group]
    lines += lines_of_effects(beside)[: max(MOST - len(lines), 0)]
    limits = _limits(lines)
    above = _wrap("Effects on skill", TITLE, 1, "bold")
    return _draw(lines, comparison, limits, above, _wrap(_details(comparison, lines, limits), FOOT, 4))


def _limits(lines: Sequence[Line]) -> Limits:
    """Choose the limits by what is asked; contrasts beside it may double them."""
    first = [line.contrast for line in lines if not line.beside]
    low, high = reach(first or [line.contrast for line in lines])
    if len(first) in {0, len(lines)}:
        return low, high
    most, (least, largest) = 2 * max(-low, high), reach([line.contrast for line in lines if line.beside])
    return min(low, max(least, -most)), max(high, min(largest, most))


def _draw(
    lines: Sequence[Line], comparison: Comparison, limits: Limits, above: Sequence[Text] = (),
    below: Sequence[Text] = (),
) -> "Figure":  # fmt: skip
    """Draw contrasts in rows between lines of text."""
    rows = _rows(lines)
    size, tall = (9.5, 0.38) if len(rows) <= 10 else (9.0, 0.28) if len(rows) <= 24 else (8.0, 0.205)
    top, bottom = _height(above) + 0.25, _height(below) + 0.12
    height = top + bottom + 0.95 + tall * len(rows)
    figure = canvas()(figsize=(WIDTH, height), dpi=150, layout="constrained")
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.set(rect=(0.005, bottom / height, 0.99, 1 - (top + bottom) / height))  # type: ignore[call-arg]
    _write(figure, above, height - 0.1, "black")
    _write(figure, below, bottom - 0.04, "#555555")
    ax = figure.subplots()
    _shade(ax, rows)
    for at, row in enumerate(rows):
        if isinstance(row, Line):
            _interval(ax, at, row, limits)
    _name(ax, rows, size)
    _columns(ax, rows, comparison, size)
    ax.set_xlim(limits)
    _directions(ax, lines, comparison, size)
    return figure


def _chosen(comparison: Comparison, verdict: Verdict) -> list[Line]:
    """Return what is asked; of very many those with the smallest adjusted p."""
    asked = comparison.asked
    kept = sorted(range(len(asked)), key=lambda at: (asked[at].p_adjusted, asked[at].p_value))[:MOST]
    return lines_of([asked[at] for at in sorted(kept)], comparison, verdict)


def _rows(lines: Sequence[Line]) -> list[Row]:
    """Put a head above each group; one group of unrelated pairs needs none."""
    rows: list[Row] = []
    for at, line in enumerate(lines):
        new = at == 0 or line.group != lines[at - 1].group
        rows += (
            [line.group, line] if new and not (line.group == BETWEEN and lines[-1].group == lines[0].group) else [line]
        )
    return rows


def _details(comparison: Comparison, lines: Sequence[Line], limits: Limits) -> str:
    """Describe the lines, and the data behind them."""
    losses, asked = comparison.losses, len(comparison.asked)
    shown = sum(not line.beside for line in lines)
    sure, equal = 100 * (1 - comparison.alpha), 100 * (1 - 2 * comparison.alpha)
    once = f", simultaneous over {asked} contrasts" if asked > 1 else ""
    margins = sorted({line.contrast.margin for line in lines})
    margin = f"±{100 * margins[0]:g} {sign_of(losses)}" if len(margins) == 1 else "of each contrast"
    few = f" Drawn: the {shown} of {asked} with the smallest adjusted p." if shown < asked else ""
    off = any(100 * line.contrast.low < limits[0] or 100 * line.contrast.high > limits[1] for line in lines)
    arrows = " Arrows: beyond the axis." if off else ""
    seeds = sorted({len(seeds) for seeds in losses.seeds if seeds})
    many = f"{seeds[0]} to {seeds[-1]} seeds" if len(seeds) > 1 else plural(seeds[0], "seed") if seeds else "no seeds"
    return (
        f"Thin: {sure:g} % CI{once}. Thick: {equal:g} % CI for equivalence. Shaded: negligible differences, margin "
        f"{margin}.{arrows}{few} "
        f"{plural(len(losses.tickers), 'ticker')}, {plural(len(losses.dates), 'day')}, {many}."
    )


def _wrap(text: str, size: float, most: int, weight: str = "normal") -> list[Text]:
    """Break a text at spaces into at most so many lines of the picture's width; a number keeps its unit."""
    lines: list[str] = []
    for word in plain(text).replace(" %", "\u00a0%").replace(" pp", "\u00a0pp").split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and _width(longer, size, weight) <= WIDTH - 0.25:
            lines[-1] = longer
        else:
            lines.append(word)
    lines = lines[:most] if len(lines) <= most else [*lines[: most - 1], f"{lines[most - 1].rsplit(' ', 1)[0]} …"]
    return [(line.replace("\u00a0", " "), size, weight) for line in lines]


@lru_cache(maxsize=4096)
def _width(text: str, size: float, weight: str) -> float:
    """Measure a text, in inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family="DejaVu Sans", size=size, weight=weight)
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]) / 72


def _height(texts: Sequence[Text]) -> float:
    return sum(size for _, size, _ in texts) * LEADING


def _write(figure: "Figure", texts: Sequence[Text], top: float, colour: str) -> None:
    """Write lines from a height [inches] downwards."""
    height = figure.get_figheight()
    for text, size, weight in texts:
        found = figure.text(0.1 / WIDTH, top / height, text, size=size, weight=weight, va="top", color=colour)
        found.set_in_layout(False)
        top -= size * LEADING


def _shade(ax: "Axes", rows: Sequence[Row]) -> None:
    """Shade the margin: one band, or one of each contrast where they differ."""
    margins = [(at, 100 * row.contrast.margin) for at, row in enumerate(rows) if isinstance(row, Line)]
    if len({margin for _, margin in margins}) == 1:
        ax.axvspan(-margins[0][1], margins[0][1], color=GREY, alpha=0.22, lw=0, zorder=0)
    else:
        for at, margin in margins:
            ax.barh(at, 2 * margin, 0.9, -margin, color=GREY, alpha=0.22, lw=0, zorder=0)
    ax.axvline(0, color="black", lw=1, zorder=1)


def _interval(ax: "Axes", at: int, line: Line, limits: Limits) -> None:
    """Draw one contrast; what lies beyond the limits ends in an arrow."""
    contrast, colour = line.contrast, colour_of(line.finding)
    ends, equal = (
        [min(max(100 * end, limits[0]), limits[1]) for end in pair]
        for pair in ((contrast.low, contrast.high), (contrast.equal_low, contrast.equal_high))
    )
    if equal[0] < equal[1]:
        hatch = "//////" if line.finding == "equal" else None
        face = (*_rgb(colour), 0.12 if hatch or line.finding == "withheld" else 0.45)
        edge = colour if hatch else (*_rgb(colour), 0.0)
        ax.barh(
            at, equal[1] - equal[0], 0.42, equal[0], fc=face, ec=edge, hatch=hatch, lw=0.8 if hatch else 0, zorder=2
        )
    if ends[0] < ends[1]:
        ax.hlines(at, *ends, color=colour, lw=1.6, ls=":" if line.finding == "withheld" else "-", zorder=3)
    estimate = 100 * contrast.estimate
    if limits[0] <= estimate <= limits[1]:
        fill = "white" if line.finding in {"cannot tell", "withheld"} else colour
        (dot,) = ax.plot(estimate, at, "o", ms=6, color=colour, mfc=fill, mew=1.5, zorder=4)
        series(dot, line.name, [_said(line)])
    for beyond, edge_at, marker in (
        (100 * contrast.low < limits[0], limits[0], "<"), (100 * contrast.high > limits[1], limits[1], ">")
    ):  # fmt: skip
        if beyond:
            (arrow,) = ax.plot(edge_at, at, marker, ms=7, color=colour, clip_on=False, zorder=4)
            series(arrow, line.name, [_said(line)])


def _said(line: Line) -> str:
    """Return what a page shows of a contrast."""
    one = line.contrast
    return (
        f"{line.name}: {line.word}, {figures(one.estimate, 3)}; CI {interval_of(one)}; for equivalence "
        f"{figures(one.equal_low)} to {figures(one.equal_high)}"
    )


def _rgb(colour: str) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    return to_rgb(colour)


def _name(ax: "Axes", rows: Sequence[Row], size: float) -> None:
    """Name the rows at the left: the heads of groups bold, what stands below a benchmark by its first alone."""
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_yticks(range(len(rows)), labels=[_label(row) for row in rows], fontsize=size)
    for tick, row in zip(ax.get_yticklabels(), rows, strict=True):
        tick.set_fontweight("bold" if isinstance(row, str) else "normal")
    ax.tick_params(axis="y", length=0, pad=8)
    ax.tick_params(axis="x", labelsize=size - 0.5)
    ax.locator_params(axis="x", nbins=7)
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x")


def _label(row: Row) -> str:
    if isinstance(row, str):
        return plain(row)
    if row.contrast.kind not in ("pair", "difference"):  # the head names model and design
        return shorten([row.contrast.group])[0]
    first, second = shorten([row.contrast.first, row.contrast.second])
    return first if row.alone else f"{first} − {second}"


def _columns(ax: "Axes", rows: Sequence[Row], comparison: Comparison, size: float) -> None:
    """Write the finding and the figures at the right, each column below its header."""
    words = [row.word for row in rows if isinstance(row, Line)]
    start, letter = 14.0, 0.66 * size
    second = start + letter * max(map(len, [*words, "finding"])) + 10
    head = f"estimate, {sign_of(comparison.losses)} ({100 * (1 - comparison.alpha):g} % CI)"
    place = {"textcoords": "offset points", "va": "center", "fontsize": size, "annotation_clip": False}
    for offset, text in ((start, "finding"), (second, head)):
        ax.annotate(
            text, (1, 1), (offset, 9), xycoords="axes fraction", color="#555555", **place,  # type: ignore[arg-type]
        )  # fmt: skip
    for at, row in enumerate(rows):
        if isinstance(row, str):
            continue
        told = {"color": colour_of(row.finding) if row.finding != "cannot tell" else "#555555", "fontweight": "bold"}
        numbers = f"{figures(row.contrast.estimate)} ({interval_of(row.contrast)})"
        for offset, text, more in ((start, row.word, told), (second, numbers, {})):
            ax.annotate(
                text, (1, at), (offset, 0), xycoords=ax.get_yaxis_transform(), **place, **more,  # type: ignore[arg-type]
            )  # fmt: skip


def _directions(ax: "Axes", lines: Sequence[Line], comparison: Comparison, size: float) -> None:
    """Label the two sides of zero, and the axis."""
    alone, features = (all(found) for found in zip(*((line.alone, line.of_features) for line in lines), strict=True))
    ways = ("hurt", "help") if features else ("worse", "better") if alone else ("first worse", "first better")
    for side, offset, text in zip(("right", "left"), (-5, 5), (f"←  {ways[0]}", f"{ways[1]}  →"), strict=True):
        ax.annotate(
            text, (0, 0), (offset, -2.5 * size), xycoords=ax.get_xaxis_transform(), textcoords="offset points",
            ha=side, va="top", fontsize=size, annotation_clip=False,
        )  # fmt: skip
    what = "skill" if alone else "difference of skill"
    ax.set_xlabel(f"{what} ({plain(unit(comparison))})", fontsize=size, labelpad=2.4 * size)
