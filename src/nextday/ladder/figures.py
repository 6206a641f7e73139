"""The files of the last stage: leaderboard as CSV, leaderboard plot, and frontier of skill against cost."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from nextday.reporting import style
from nextday.reporting.style import Limits, Look, focus, new_figure, shorten
from nextday.storage.files import write_atomically
from nextday.words import plural, stage_label

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = {
    "Stage": "stage", "Model": "variant", "MAE": "MAE", "RMSE": "RMSE", "DirAcc": "DirAcc", "R2Zero": "R2Zero",
    "Rank": "rank", "Method": "method", "Features": "features", "Seeds": "seeds", "Days": "days",
    "Skill": "skill", "SkillLow": "low", "SkillHigh": "high", "MayBeBest": "may_be_best",
    "ConfidenceSetP": "confidence_set", "ClarkWestP": "clark_west", "Levels": "levels", "Pinball@Levels": "Pinball",
    "CRPS@Levels": "CRPS", "Nominal": "Nominal", "Coverage": "Coverage", "Width": "Width",
    "SecondsPerUnit": "seconds_per_unit", "Units": "units", "Parameters": "parameters", "Contaminated": "contaminated",
    "Leak": "leak",
}  # fmt: skip
FREE = 1e-2  # seconds: what takes less counts as free
SIDES = ((0, 7), (0, -12), (8, -3), (-8, -3), (7, 6), (-7, 6), (7, -11), (-7, -11))  # points
PLACES = (*SIDES, *((x, up) for up in (17, -22, 27, -32, 37, -42, 47) for x in (0, 8, -8)))


def write_comparison(out: Path, board: pl.DataFrame) -> None:
    """Write the leaderboard, one row per variant, highest skill first."""
    table = board.select(**COLUMNS)
    write_atomically(out / "final_comparison.csv", table.write_csv().encode())


def draw_ladder(out: Path, board: pl.DataFrame, *, margin: float, confidence: float) -> None:
    """Draw the leaderboard and the frontier, and write each as a PNG."""
    import matplotlib as mpl

    with mpl.rc_context(style.STYLE):
        write_atomically(out / "final_leaderboard.png", style.png(leaderboard(board, margin, confidence)))
        write_atomically(out / "final_frontier.png", style.png(frontier(board, margin, confidence)))


def originals(board: pl.DataFrame) -> pl.DataFrame:
    """Drop calibrated copies: their point forecasts equal those of their originals."""
    return board.filter(pl.col("copy_of").is_null())


def stage_looks(board: pl.DataFrame) -> dict[str, Look]:
    """Assign a colour and a marker to each stage, in order."""
    found = style.looks(board["stage"].unique().sort().to_list())
    return {
        name: replace(one, label=stage_label(name) if one.label == name else one.label) for name, one in found.items()
    }


def reach_of(board: pl.DataFrame, margin: float) -> Limits:
    """Choose the limits of skill, in percent, so that very poor models do not compress the others."""
    skill, ends = 100 * board["skill"].to_numpy(), 100 * board.select("low", "high").to_numpy()
    low, high = focus(skill, (-100 * margin, 100 * margin), times=4)
    shown = ends[(skill >= low) & (skill <= high)]
    room = 1.5 * (high - low)  # an interval may be wider than all that is between the models
    low, high = min(low, max(shown.min(), low - room)), max(high, min(shown.max(), high + room))
    return float(low - 0.02 * (high - low)), float(high + 0.02 * (high - low))


def leaderboard(board: pl.DataFrame, margin: float, confidence: float) -> "Figure":
    """Draw the skill of every model with its simultaneous interval, best model on top."""
    copies, board, look = len(board), originals(board), stage_looks(board)
    copies -= len(board)
    title = f"Skill of {len(board)} models against the zero forecast: % of its RMSE, best on top"
    details = (
        f"Lines: simultaneous {100 * confidence:g} % CI. Filled: no other is significantly better. Shaded: the margin "
        f"of ±{100 * margin:g} %. Arrows: off the axis."
    )
    details += f" Not drawn: {copies} with the same point forecasts as another." if copies else ""
    if (board["contaminated"] > 0).any():
        details += " †: its pretraining corpus may overlap the test period."
    figure = new_figure(10, 1.2 + 0.24 * len(board), title, details)
    ax, limits = figure.subplots(), reach_of(board, margin)
    ax.axvspan(-100 * margin, 100 * margin, color=style.GREY, alpha=0.25, lw=0)
    ax.axvline(0, color="black", lw=1)
    for at, row in enumerate(board.iter_rows(named=True)):
        _standing(ax, at, row, look[row["stage"]], limits)
    ax.set(xlim=limits, xlabel="skill (% of the zero forecast's RMSE)")
    style.name_rows(ax, _names(board), 9)
    ax.grid(axis="x")
    keys = [*style.handles(look), style.handle("margin", "#CCCCCC", "s")]
    style.key(figure, keys)
    return figure


def _standing(ax: "Axes", at: int, row: Mapping[str, Any], look: Look, limits: Limits) -> None:
    """Draw one model, and write its figures to the right."""
    skill, low, high = (100 * row[name] for name in ("skill", "low", "high"))
    text = f"{skill + 0.0:+.2f} ({low + 0.0:+.2f} to {high + 0.0:+.2f})".replace("-", "−")
    ax.text(1.02, at, text, transform=ax.get_yaxis_transform(), va="center", fontsize=8)
    ends = [min(max(end, limits[0]), limits[1]) for end in (low, high)]
    if ends[0] < ends[1]:
        style.series(ax.hlines(at, *ends, color=look.colour, lw=1.5), look.label)
    for end, edge, marker in ((low, limits[0], "<"), (high, limits[1], ">")):
        if (end < edge) if marker == "<" else (end > edge):
            (arrow,) = ax.plot(edge, at, marker, ms=6, color=look.colour, clip_on=False)
            style.series(arrow, look.label, [_said(row)])
    if limits[0] <= skill <= limits[1]:
        fill = look.colour if row["may_be_best"] else "white"
        (point,) = ax.plot(skill, at, look.marker, ms=6.5, color=look.colour, mfc=fill, mew=1.3, zorder=3)
        style.series(point, look.label, [_said(row)])


def _said(row: Mapping[str, Any]) -> str:
    """Return what a page shows of a model."""
    skill, low, high = (100 * row[name] + 0.0 for name in ("skill", "low", "high"))
    seconds, parameters = row["seconds_per_unit"], row["parameters"] or 0
    cost = "" if seconds is None else f"; {seconds:.2f} s, {plural(parameters, 'parameter')}"
    return f"{row['variant']}, {stage_label(row['stage'])}: {skill:+.3f} ({low:+.3f} to {high:+.3f}){cost}"


def frontier(board: pl.DataFrame, margin: float, confidence: float) -> "Figure":
    """Draw skill against seconds per training, and the Pareto frontier."""
    board, look = originals(board).drop_nulls("seconds_per_unit"), stage_looks(board)
    title = "Skill against the zero forecast by seconds per training (all tickers for pooled networks)"
    details = (
        f"Area: parameters of the network. Faint lines: simultaneous {100 * confidence:g} % CI. Line: no cheaper "
        f"model is better in sample. Left edge: under {1000 * FREE:g} ms. Arrows: off the axis."
    )
    figure = new_figure(10, 5.6, title, details)
    ax, (low, high) = figure.subplots(), reach_of(board, margin)
    ax.axhspan(-100 * margin, 100 * margin, color=style.GREY, alpha=0.25, lw=0)
    ax.axhline(0, color="black", lw=1)
    cost = costs(board)
    best = pareto(cost, board["skill"].to_numpy())
    line = np.array([(cost[at], 100 * board["skill"][at]) for at in best])
    if len(line):
        ax.step([*line[:, 0], 2 * cost.max()], [*line[:, 1], line[-1, 1]], where="post", color="black", lw=1.2, ls="--")
    spots = []
    for at, row in enumerate(board.iter_rows(named=True)):
        one, skill = look[row["stage"]], 100 * row["skill"]
        spots.append(
            (cost[at], min(max(skill, low), high), row["skill"] if skill < low or skill > high else None, at in best)
        )
        _spot(ax, cost[at], row, one, (low, high))
    ax.set(xscale="log", xlim=(FREE / 1.8, 2 * cost.max()), ylim=(low, high))
    ax.set(xlabel="seconds per training (log scale)", ylabel="skill (% of the zero forecast's RMSE)")
    ax.grid(axis="both", which="major")
    _label(figure, ax, _names(board), spots)
    style.key(figure, [*style.handles(look), style.handle("frontier", "black", line="--")])
    return figure


def costs(board: pl.DataFrame) -> np.ndarray:
    """Return the seconds per training, at least ``FREE``."""
    return np.maximum(board["seconds_per_unit"].to_numpy(), FREE)


def pareto(cost: np.ndarray, skill: np.ndarray) -> list[int]:
    """Find the models that no model of at most the same cost beats, cheapest first.

    Examples
    --------
    >>> pareto(np.array([1.0, 2.0, 3.0, 1.0]), np.array([0.1, 0.0, 0.3, 0.2]))
    [3, 2]
    """
    found: list[int] = []
    for at in sorted(range(len(cost)), key=lambda i: (cost[i], -skill[i])):
        if not found or skill[at] > skill[found[-1]]:
            found.append(at)
    return found


def area(parameters: int | None) -> float:
    """Return the area of a marker, in square points."""
    return float(30 + 270 * np.log10(1 + (parameters or 0) / 50_000))


def _spot(ax: "Axes", cost: float, row: Mapping[str, Any], look: Look, limits: Limits) -> None:
    skill, low, high = (100 * row[name] for name in ("skill", "low", "high"))
    if limits[0] <= skill <= limits[1]:
        ends = max(low, limits[0]), min(high, limits[1])
        style.series(ax.vlines(cost, *ends, color=look.colour, lw=1, alpha=0.35), look.label)
        size = area(row["parameters"])
        spot: Artist = ax.scatter(
            cost, skill, size, color=look.colour, marker=look.marker, alpha=0.75, lw=0.6, edgecolor="white", zorder=3
        )
    else:
        edge = limits[0] if skill < limits[0] else limits[1]
        (spot,) = ax.plot(cost, edge, "v" if skill < limits[0] else "^", ms=7, color=look.colour, clip_on=False)
    style.series(spot, look.label, [_said(row)])


def _label(
    figure: "Figure", ax: "Axes", names: Sequence[str], spots: Sequence[tuple[float, float, float | None, bool]]
) -> None:
    """Write each name where it lies on no other, those of the frontier first; one without a place is left out."""
    from matplotlib.patheffects import withStroke

    figure.draw_without_rendering()  # lays out, so that positions are known
    pixels = ax.transData.transform([(x, y) for x, y, _, _ in spots]) / figure.dpi * 72  # in points
    frame = ax.get_window_extent().get_points() / figure.dpi * 72
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in pixels]
    for at in sorted(range(len(spots)), key=lambda i: not spots[i][3]):
        x, y, beyond, best = spots[at]
        text = names[at] + ("" if beyond is None else f" {100 * beyond:+.0f} %".replace("-", "−"))
        for across, up in PLACES:
            box = _box(pixels[at], (across, up), 4.6 * len(text))
            inside = frame[0, 0] <= box[0] and box[2] <= frame[1, 0] and frame[0, 1] <= box[1] and box[3] <= frame[1, 1]
            others = taken[:at] + taken[at + 1 :]
            if inside and not any(_overlap(box, other) for other in others):
                side = "left" if across > 0 else "right" if across < 0 else "center"
                weight = "bold" if best else "normal"
                note = ax.annotate(text, (x, y), (across, up), textcoords="offset points", fontsize=7.5, ha=side)
                note.set(weight=weight, path_effects=[withStroke(linewidth=2.5, foreground="white")], zorder=4)
                note.set_in_layout(False)
                taken.append(box)
                break


Box = tuple[float, float, float, float]


def _box(place: np.ndarray, offset: tuple[int, int], width: float) -> Box:
    left = place[0] + offset[0] - (0 if offset[0] > 0 else width if offset[0] < 0 else width / 2)
    return left, place[1] + offset[1] - 1, left + width, place[1] + offset[1] + 8


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _names(board: pl.DataFrame) -> list[str]:
    """Name the models; a dagger marks those whose pretraining corpus may overlap the test period."""
    short = shorten(board["variant"].to_list())
    return [f"{name}†" if seen > 0 else name for name, seen in zip(short, board["contaminated"], strict=True)]
