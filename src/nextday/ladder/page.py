"""The report on all stages: lessons, leaderboard, cost, links to each stage; and a summary for the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from rich import table as rich
from rich.text import Text

from nextday.evaluate.control import read_control
from nextday.evaluate.wording import UNKNOWN, WITHHELD, Lesson
from nextday.ladder.figures import frontier, leaderboard, originals
from nextday.ladder.table import Ladder
from nextday.presets import LAST
from nextday.reporting.html import DARK, environment, points_of, survivors
from nextday.reporting.html_tables import NOTHING, Cell, Table
from nextday.reporting.style import COLOURS, STYLE
from nextday.reporting.svg import Picture, picture
from nextday.words import plural, stage_label

UNANSWERED = (UNKNOWN, WITHHELD)


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
    pictures = _pictures(ladder, board)
    stages = [(one.name, one.study.question, one.folder.has_report) for one in ladder.stages]
    control = read_control(ladder.folder, None, ladder.comparison.losses.index_hash)
    tables = {"board": _board(board)} | ({"quantiles": _quantiles(board)} if board["levels"].count() else {})
    return environment().get_template("ladder.html").render(
        label=stage_label, control=control,
        lessons=lessons, last=LAST, unanswered=UNANSWERED, withheld=withheld, tables=tables, stages=stages,
        pictures=pictures,
        notes=ladder.notes, text=_texts(ladder, board, zero), nothing=NOTHING, colours=COLOURS, dark=DARK,
        version=ladder.stages[0].manifest["versions"].get("nextday", ""), points=points_of(pictures),
    )  # fmt: skip


def _pictures(ladder: Ladder, board: pl.DataFrame) -> dict[str, Picture]:
    """Draw both figures, which are those of the PNGs."""
    import matplotlib as mpl

    margin, confidence = ladder.comparison.margin, 1 - ladder.comparison.alpha
    with mpl.rc_context(STYLE):
        return {
            "leaderboard": picture("leaderboard", leaderboard(board, margin, confidence)),
            "frontier": picture("frontier", frontier(board, margin, confidence)),
        }


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
        "survivors": survivors(comparison),
    }  # fmt: skip


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
            Cell(_named(row)), Cell(stage_label(row["stage"])), Cell(f"{skill:+.2f}", skill),
            Cell(f"{low:+.2f} to {high:+.2f}", low), Cell("yes" if row["may_be_best"] else "no"),
            *(_number(row[name], 1, 3) for name in ("confidence_set", "clark_west")),
            *(_number(row[name], 1, 5) for name in ("MAE", "RMSE")),
            *(_number(row[name], 100, 2) for name in ("DirAcc", "R2Zero")),
            Cell(row["features"]), _number(row["seeds"], 1, 0), _number(row["seconds_per_unit"], 1, 2),
            _number(row["parameters"], 1, 0), _number(row["contaminated"], 100, 0),
        ))  # fmt: skip
    return Table("All models on the same days, highest skill first", columns, tuple(rows))


def _named(row: Mapping[str, Any]) -> str:
    """Return the name of a model, and whether its study's audit has an open alarm about it."""
    return f"{row['variant']} (not to be trusted)" if row["leak"] else str(row["variant"])


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
            Cell(row["variant"]), Cell(stage_label(row["stage"])), Cell(row["levels"]),
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
            Text(_named(row)), stage_label(row["stage"]), f"{skill:+.2f}", f"{low:+.2f} to {high:+.2f}",
            "*" if row["may_be_best"] else "", *(cell.text for cell in cells),
        )  # fmt: skip
    return table
