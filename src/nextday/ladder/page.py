"""The report on all stages: lessons, leaderboard, cost, links to each stage; and a summary for the terminal."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from rich import table as rich
from rich.text import Text

from nextday.evaluate.wording import UNKNOWN, WITHHELD, Lesson
from nextday.ladder.figures import FREE, costs, originals, pareto, reach_of, stage_looks
from nextday.ladder.table import Ladder
from nextday.reporting.html import DARK, environment, scripts
from nextday.reporting.html_tables import NOTHING, Cell, Table
from nextday.reporting.interactive import Picture, _band, _height, _layout, _rows_layout, _safe
from nextday.reporting.style import COLOURS
from nextday.storage.folder import REPORT
from nextday.study import LAST
from nextday.words import plural

UNANSWERED = (UNKNOWN, WITHHELD)
SYMBOLS = {
    "o": "circle", "s": "square", "^": "triangle-up", "D": "diamond", "v": "triangle-down", "P": "cross", "X": "x",
    "*": "star", "h": "hexagon", "p": "pentagon",
}  # fmt: skip


def render_ladder(ladder: Ladder, board: pl.DataFrame, lessons: Sequence[Lesson], zero: float) -> str:
    """Render the report.

    Parameters
    ----------
    ladder
        The compared stages.
    board, zero
        The leaderboard, and the p-value with which the zero forecast leaves the model confidence set.
    lessons
        The lessons.
    """
    withheld = [one for one in ladder.comparison.against_benchmark if one.withheld]
    pictures = {one.key: one for one in (draw_leaderboard(ladder, board), draw_frontier(ladder, board))}
    stages = [(one.name, one.study.question, (one.folder.path / REPORT).is_file()) for one in ladder.stages]
    tables = {"board": _board(board)} | ({"quantiles": _quantiles(board)} if board["levels"].count() else {})
    return environment().get_template("ladder.html").render(
        lessons=lessons, last=LAST, unanswered=UNANSWERED, withheld=withheld, tables=tables, stages=stages,
        pictures=pictures,
        notes=ladder.notes, text=_texts(ladder, board, zero), nothing=NOTHING, colours=COLOURS, dark=DARK,
        version=ladder.stages[0].manifest["versions"].get("nextday", ""), **scripts(pictures),
    )  # fmt: skip


def _texts(ladder: Ladder, board: pl.DataFrame, zero: float) -> dict[str, str]:
    comparison, losses = ladder.comparison, ladder.comparison.losses
    first, last = (str(date) for date in losses.dates[[0, -1]].astype("datetime64[D]"))
    return {
        "models": f"{len(originals(board))}", "stages": f"{len(ladder.stages)}",
        "samples": f"{int((~np.isnan(losses.base)).sum()):,}", "days": f"{len(losses.dates):,}",
        "tickers": plural(len(losses.tickers), "ticker"),
        "first": first, "last": last, "confidence": f"{100 * (1 - comparison.alpha):g} %",
        "margin": f"{100 * comparison.margin:g} %", "alpha": f"{comparison.alpha:g}", "zero": f"{zero:.3f}",
        "hash": losses.index_hash[:16], "folder": str(ladder.folder),
    }  # fmt: skip


def draw_leaderboard(ladder: Ladder, board: pl.DataFrame) -> Picture:
    """Draw the skill of every model with its simultaneous interval, the best on top."""
    board, look, data = originals(board), stage_looks(board), []
    limits, margin = reach_of(board, ladder.comparison.margin), 100 * ladder.comparison.margin
    names = [_safe(name) for name in board["variant"]]
    for stage, one in look.items():
        rows = [(at, row) for at, row in enumerate(board.iter_rows(named=True)) if row["stage"] == stage]
        colour, shown = (
            f"@{COLOURS.index(one.colour)}",
            [min(max(100 * row["skill"], limits[0]), limits[1]) for _, row in rows],
        )
        beyond = [abs(x - 100 * row["skill"]) > 1e-9 for x, (_, row) in zip(shown, rows, strict=True)]
        symbols = [
            ("triangle-left" if x <= limits[0] else "triangle-right") if off
            else SYMBOLS.get(one.marker, "circle") + ("" if row["may_be_best"] else "-open")
            for x, off, (_, row) in zip(shown, beyond, rows, strict=True)
        ]  # fmt: skip
        lines: dict[str, list[float | None]] = {"x": [], "y": []}
        for at, row in rows:
            low, high = (min(max(100 * row[end], limits[0]), limits[1]) for end in ("low", "high"))
            lines["x"] += [low, high, None]
            lines["y"] += [at, at, None]
        data += [
            lines | {
                "mode": "lines", "line": {"color": colour, "width": 1.5}, "hoverinfo": "skip", "showlegend": False,
                "legendgroup": stage,
            },
            {
                "mode": "markers", "name": _safe(one.label), "legendgroup": stage, "x": shown,
                "y": [at for at, _ in rows],
                "marker": {"color": colour, "size": 10, "symbol": symbols}, "text": [_hover(row) for _, row in rows],
                "hovertemplate": "%{text}<extra></extra>", "cliponaxis": False,
            },
        ]  # fmt: skip
    texts = [
        f"{name} {100 * row['skill'] + 0.0:+.2f}" for name, row in zip(names, board.iter_rows(named=True), strict=True)
    ]
    layout = _rows_layout(texts, "skill (% of the zero forecast's RMSE)")
    layout["shapes"] += [_band(margin)]
    layout["xaxis"] |= {"range": list(limits)}
    reading = (
        f"Lines: simultaneous {100 * (1 - ladder.comparison.alpha):g} % CI. Filled markers: no other model is "
        f"significantly better. Shaded: the margin of ±{margin:g}. Triangles: models off the axis, with their skill "
        "beside the name."
    )
    return Picture(
        "leaderboard", "Skill of all models against the zero forecast", reading, _height(texts), data, layout
    )


def draw_frontier(ladder: Ladder, board: pl.DataFrame) -> Picture:
    """Draw skill against seconds per training."""
    board, look = originals(board).drop_nulls("seconds_per_unit"), stage_looks(board)
    limits, data = reach_of(board, ladder.comparison.margin), []
    cost = costs(board)
    best = pareto(cost, board["skill"].to_numpy())
    for stage, one in look.items():
        rows = [(at, row) for at, row in enumerate(board.iter_rows(named=True)) if row["stage"] == stage]
        sizes = [9 + 9 * float(np.log10(1 + (row["parameters"] or 0) / 20_000)) for _, row in rows]
        data.append({
            "mode": "markers+text", "name": _safe(one.label), "x": [float(cost[at]) for at, _ in rows],
            "y": [min(max(100 * row["skill"], limits[0]), limits[1]) for _, row in rows],
            "marker": {"color": f"@{COLOURS.index(one.colour)}", "size": sizes, "symbol": [
                SYMBOLS.get(one.marker, "circle") if limits[0] <= 100 * row["skill"] <= limits[1] else "triangle-down"
                for _, row in rows
            ]},
            "text": [_safe(row["variant"]) if at in best else "" for at, row in rows], "textposition": "top right",
            "hovertext": [_hover(row) for _, row in rows], "hovertemplate": "%{hovertext}<extra></extra>",
            "cliponaxis": False,
        })  # fmt: skip
    steps = [float(cost[at]) for at in best] + [2 * float(cost.max())] if best else []
    heights = [100 * float(board["skill"][at]) for at in best]
    data.append({
        "mode": "lines", "name": "frontier", "x": steps, "y": heights + heights[-1:], "hoverinfo": "skip",
        "line": {"color": "@ink", "width": 1, "dash": "dash", "shape": "hv"},
    })  # fmt: skip
    layout = _layout("seconds per training (log scale)", "skill (% of the zero forecast's RMSE)")
    layout["xaxis"] |= {
        "type": "log",
        "range": [float(np.log10(FREE / 1.8)), float(np.log10(3 * max(cost.max(), 0.1)))] if len(cost) else None,
    }
    layout["yaxis"] |= {"range": list(limits)}
    reading = (
        "Each marker is a model; its size shows the parameters. The line joins models that no cheaper model "
        f"outperforms in sample; this does not prove that they are better. Left edge: under {1000 * FREE:g} ms; lower "
        "edge: off the axis, hover for the value."
    )
    return Picture("frontier", "Skill against the cost of a training", reading, 480, data, layout)


def _hover(row: dict[str, Any]) -> str:
    skill, low, high = (100 * row[name] + 0.0 for name in ("skill", "low", "high"))
    cost = (
        ""
        if row["seconds_per_unit"] is None
        else f"<br>{row['seconds_per_unit']:.2f} s, {row['parameters'] or 0:,} parameters"
    )
    return f"<b>{_safe(row['variant'])}</b> ({_safe(row['stage'])})<br>{skill:+.3f} ({low:+.3f} to {high:+.3f}){cost}"


def _board(board: pl.DataFrame) -> Table:
    columns = (
        "model", "stage", "skill, %", "simultaneous CI", "may be best", "confidence set, p", "Clark‑West, p",
        "MAE", "RMSE", "DirAcc, %", "R² against zero, %", "features", "seeds", "seconds per training",
        "parameters trained here", "seen, %",
    )  # fmt: skip
    rows = []
    for row in board.iter_rows(named=True):
        skill, low, high = (100 * row[name] + 0.0 for name in ("skill", "low", "high"))
        rows.append((
            Cell(row["variant"]), Cell(row["stage"]), Cell(f"{skill:+.2f}", skill),
            Cell(f"{low:+.2f} to {high:+.2f}", low), Cell("yes" if row["may_be_best"] else "no"),
            *(_number(row[name], 1, 3) for name in ("confidence_set", "clark_west")),
            *(_number(row[name], 1, 5) for name in ("MAE", "RMSE")),
            *(_number(row[name], 100, 2) for name in ("DirAcc", "R2Zero")),
            Cell(row["features"]), _number(row["seeds"], 1, 0), _number(row["seconds_per_unit"], 1, 2),
            _number(row["parameters"], 1, 0), _number(row["contaminated"], 100, 0),
        ))  # fmt: skip
    return Table("All models on the same days, highest skill first", columns, tuple(rows))


def _quantiles(board: pl.DataFrame) -> Table:
    columns = (
        "model",
        "stage",
        "levels",
        "pinball of these levels × 1000",
        "CRPS of these levels × 1000",
        "nominal, %",
        "coverage, %",
        "width, %",
    )
    known = board.filter(pl.col("levels").is_not_null()).sort("levels", "Pinball")
    rows = [
        (
            Cell(row["variant"]), Cell(row["stage"]), Cell(row["levels"]),
            *(_number(row[name], 1000, 3) for name in ("Pinball", "CRPS")),
            _number(row["Nominal"], 100, 0), _number(row["Coverage"], 100, 1), _number(row["Width"], 100, 2),
        )
        for row in known.iter_rows(named=True)
    ]  # fmt: skip
    return Table("Quantile forecasts; scores are comparable if the levels are the same", columns, tuple(rows))


def _number(value: float | None, factor: float, digits: int) -> Cell:
    if value is None or not np.isfinite(value):
        return Cell(NOTHING)
    return Cell(f"{factor * value + 0.0:,.{digits}f}", factor * value)


def leaderboard_table(ladder: Ladder, board: pl.DataFrame) -> rich.Table:
    """Format the leaderboard for the terminal."""
    comparison = ladder.comparison
    title = (
        f"{len(originals(board))} models on the same {len(comparison.losses.dates):,} days: skill against the zero "
        f"forecast, % of its RMSE; simultaneous {100 * (1 - comparison.alpha):g} % CI"
    )
    table = rich.Table(title=title, title_justify="left", caption_justify="left")
    table.caption = (
        "*: no other model is significantly better; set p, CW p: model confidence set, Clark-West; s: seconds per "
        "training; seen: share of the test period that the pretraining corpus may overlap"
    )
    table.add_column("model", no_wrap=True)
    headers = ("stage", "skill", "interval", "*", "set p", "CW p", "RMSE", "DirAcc %", "s", "parameters", "seen %")
    for header in headers:
        table.add_column(header, justify="right", no_wrap=True)
    for row in originals(board).iter_rows(named=True):
        skill, low, high = (100 * row[name] + 0.0 for name in ("skill", "low", "high"))
        cells = (
            _number(row["confidence_set"], 1, 3), _number(row["clark_west"], 1, 3), _number(row["RMSE"], 1, 5),
            _number(row["DirAcc"], 100, 2), _number(row["seconds_per_unit"], 1, 2), _number(row["parameters"], 1, 0),
            _number(row["contaminated"], 100, 0),
        )  # fmt: skip
        table.add_row(
            Text(row["variant"]), row["stage"], f"{skill:+.2f}", f"{low:+.2f} to {high:+.2f}",
            "*" if row["may_be_best"] else "", *(cell.text for cell in cells),
        )  # fmt: skip
    return table
