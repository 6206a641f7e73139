"""The interactive plots of the HTML report, as plain values for plotly.js.

Colours are written ``@name`` or ``@name/opacity``; the page's script resolves them for light and dark mode.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from nextday.evaluate.breakdown import Breakdown
from nextday.evaluate.contrasts import Comparison
from nextday.evaluate.losses import Losses, average, unit_of
from nextday.reporting.style import COLOURS, Look, focus, looks, shorten
from nextday.words import plural

SYMBOLS = dict(zip("os^Dv", ("circle", "square", "triangle-up", "diamond", "triangle-down"), strict=True))
DASHES = {"-": "solid", "--": "dash", ":": "dot"}
UNIT = ("variant", "ticker", "fold", "seed")
MOST_BANDS, MOST_TICKERS = 4, 60  # what can be told apart
AROUND, ROW, LOW_ROW = 100, 46, 36  # pixels above and below all rows, and for each, where there are few or many


@dataclass(frozen=True, slots=True)
class Picture:
    """An interactive plot with a title and one sentence on how to read it."""

    key: str
    title: str
    reading: str
    height: int
    data: list[dict[str, Any]]
    layout: dict[str, Any]


def draw_saved(losses: Losses, numbers: Breakdown) -> Picture:
    """Draw the cumulative loss that each variant saves against the benchmark."""
    dates = np.datetime_as_string(losses.dates, unit="D").tolist()
    data = [
        _line(one) | {"x": dates, "y": _values(100 * saved), "hovertemplate": "%{x|%Y-%m-%d}: %{y:+.3f} %"}
        for one, saved in zip(_looks(losses).values(), numbers.saved, strict=True)
    ]
    layout = _layout("", "cumulative loss saved (% of total)") | {"hovermode": "x"}
    layout["xaxis"] |= {"type": "date", "hoverformat": "%Y-%m-%d"}
    reading = (
        f"Up is better: a line rises on days when the variant's loss is below that of the {losses.benchmark} and "
        "falls when it is above; a gain made on a few days shows as a step."
    )
    return Picture("saved", "Cumulative loss saved against the benchmark", reading, _tall(420, losses), data, layout)


def draw_tickers(losses: Losses, numbers: Breakdown) -> Picture:
    """Draw the skill of each variant by ticker: the best ticker first, or as a distribution if there are many."""
    few = len(losses.tickers) <= MOST_TICKERS
    layout = _layout("" if few else "share of tickers, worst first (%)", f"skill ({unit_of(losses)})")
    outside = _focus(layout, 100 * numbers.by_ticker)
    names = np.array(_labels(losses.tickers), dtype=object)
    mean = np.nan_to_num(average(numbers.by_ticker, axis=0), nan=-np.inf)
    order, data = np.argsort(-mean, kind="stable"), []
    for one, skill in zip(_looks(losses).values(), 100 * numbers.by_ticker, strict=True):
        own = order if few else np.argsort(skill)[: np.isfinite(skill).sum()]
        across = names[order].tolist() if few else _values(100 * (np.arange(len(own)) + 0.5) / max(len(own), 1))
        data.append((_marks(one, 8) if few else _line(one)) | {
            "x": across, "y": _values(skill[own]), "text": names[own].tolist(), "hovertemplate": "%{text}: %{y:+.3f}",
        })  # fmt: skip
    if few:
        layout["xaxis"] |= {"type": "category", "range": [-0.7, len(names) - 0.3]}
    reading = (
        "Above zero, the variant beats the benchmark on that ticker; tickers are ordered by their mean skill."
        if few
        else "Each line runs from a variant's worst ticker to its best; the benchmark is better on the tickers left "
        "of its zero crossing."
    )
    return Picture("tickers", "Skill by ticker", reading + outside, _tall(420, losses), data, layout)


def draw_years(losses: Losses, numbers: Breakdown) -> Picture:
    """Draw the skill of each variant by calendar year."""
    names = [f"{year} ({plural(days, 'day')})" for year, days in zip(numbers.years, numbers.days, strict=True)]
    data = [
        {
            "type": "bar", "name": one.label, "marker": {"color": _shade(one), "pattern": {"shape": _pattern(one)}},
            "x": names, "y": _values(100 * skill), "hovertemplate": "%{x}: %{y:+.3f}",
        }
        for one, skill in zip(_looks(losses).values(), numbers.by_year, strict=True)
    ]  # fmt: skip
    layout = _layout("", f"skill ({unit_of(losses)})") | {"barmode": "group"}
    layout["xaxis"] |= {"type": "category", "showgrid": False}
    outside = _focus(layout, 100 * numbers.by_year)
    reading = (
        f"Bars above zero: the variant beats the benchmark in that year; years with few days are noisier.{outside}"
    )
    return Picture("years", "Skill by calendar year", reading, _tall(380, losses), data, layout)


def draw_seeds(comparison: Comparison, numbers: Breakdown) -> Picture:
    """Draw the skill of every seed of each variant, and their mean."""
    losses = comparison.losses
    found = _looks(losses)
    texts = [one.label for one in found.values()]
    data: list[dict[str, Any]] = []
    for row, (one, skills, seeds) in enumerate(zip(found.values(), numbers.by_seed, losses.seeds, strict=True)):
        hover = [f"{one.label}, {f'seed {seed}' if seeds else 'no seed'}" for seed in (seeds or [0])]
        data += [
            _marks(one, 10) | {
                "x": _values(100 * skills), "y": [row] * len(skills), "text": hover,
                "hovertemplate": "%{text}: %{x:+.3f}<extra></extra>", "legendgroup": one.label,
            },
            {
                "mode": "markers", "x": _values(100 * skills[None].mean(axis=1)), "y": [row], "showlegend": False,
                "marker": {"symbol": "line-ns", "size": 22, "color": "@ink", "line": {"width": 2, "color": "@ink"}},
                "hovertemplate": "mean: %{x:+.3f}<extra></extra>", "legendgroup": one.label,
            },
        ]  # fmt: skip
    layout = _rows_layout(texts, f"skill ({unit_of(losses)})") | {"showlegend": False}
    reading = (
        "Each marker is the training runs of all tickers with one seed, the bar the mean over seeds; a deterministic "
        "model has one marker."
    )
    return Picture("seeds", "Skill by seed", reading, _height(texts), data, layout)


def draw_curves(losses: Losses, history: pl.DataFrame) -> Picture | None:
    """Draw the validation loss by epoch, each training relative to its minimum; None without training by epochs."""
    known = (
        history.filter(pl.col("valid_loss").is_finite() & (pl.col("valid_loss").min().over(UNIT) != 0))
        if len(history)
        else history
    )
    if known.is_empty():
        return None
    least = pl.col("valid_loss").min().over(UNIT)  # negative for a likelihood
    above = known.with_columns(above=100 * (pl.col("valid_loss") - least) / least.abs())
    found = {name: one for name, one in _looks(losses).items() if name in above["variant"]}
    data: list[dict[str, Any]] = []
    for name, one in found.items():
        mine = above.filter(pl.col("variant") == name)
        data += _curve(mine, one, band=len(found) <= MOST_BANDS)
    layout = _layout("epoch", "validation loss above its minimum (%)")
    later = above.filter(pl.col("epoch") > 1)
    layout["yaxis"] |= {"range": _limits([(later if len(later) else above)["above"].quantile(0.97) or 1.0], 0)}
    band = "the band the middle 80 %, " if len(found) <= MOST_BANDS else ""
    reading = (
        f"The line is the median over trainings (of a ticker, fold and seed), {band}while at least 90 % of them "
        "continue; a curve that rises early indicates overfitting."
    )
    return Picture(
        "curves",
        "Validation loss by epoch, relative to the minimum of the same training",
        reading,
        _tall(400, losses),
        data,
        layout,
    )


def _curve(history: pl.DataFrame, one: Look, *, band: bool) -> list[dict[str, Any]]:
    trainings = history.select(UNIT).n_unique()
    quantiles = (pl.col("above").quantile(q, "linear").alias(f"{q}") for q in (0.1, 0.5, 0.9))
    table = history.group_by("epoch").agg(*quantiles, pl.len()).filter(pl.col("len") >= 0.9 * trainings).sort("epoch")
    x, group = table["epoch"].to_list(), _tag(one)
    low, middle, high = (_values(table[f"{q}"].to_numpy()) for q in (0.1, 0.5, 0.9))
    area = {
        "mode": "lines", "x": [*x, *x[::-1]], "y": [*high, *low[::-1]], "fill": "toself", "line": {"width": 0},
        "fillcolor": f"{_shade(one)}/0.15", "hoverinfo": "skip", "showlegend": False, "legendgroup": group,
    }  # fmt: skip
    line = _line(one) | {"x": x, "y": middle, "legendgroup": group, "hovertemplate": "epoch %{x}: %{y:.2f} %"}
    return [area, line] if band else [line]


def _safe(text: str) -> str:
    """Keep plotly from reading a name as markup; it knows these three entities."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _labels(names: Sequence[str]) -> list[str]:
    return [_safe(label.replace(r"\$", "$")) for label in shorten(names)]


def _clip(name: str) -> str:
    """Shorten a name so that two of them fit on a phone."""
    return name if len(name) <= 22 else f"{name[:11]}…{name[-9:]}"


def _looks(losses: Losses) -> dict[str, Look]:
    found = looks(losses.variants)
    named = zip(found.items(), _labels(losses.variants), strict=True)
    return {name: Look(label, one.colour, one.marker, one.line) for (name, one), label in named}


def _shade(one: Look) -> str:
    return f"@{COLOURS.index(one.colour)}"


def _pattern(one: Look) -> str:
    return {"-": "", "--": "/", ":": "."}[one.line]


def _tag(one: Look) -> str:
    return f"{one.colour}{one.line}"


def _line(one: Look) -> dict[str, Any]:
    return {"mode": "lines", "name": one.label, "line": {"color": _shade(one), "width": 2, "dash": DASHES[one.line]}}


def _marks(one: Look, size: int) -> dict[str, Any]:
    symbol = SYMBOLS.get(one.marker, "circle-open")
    return {"mode": "markers", "name": one.label, "marker": {"color": _shade(one), "size": size, "symbol": symbol}}


def _values(values: np.ndarray) -> list[float | None]:
    """Return numbers that JSON knows, of five digits."""
    return [float(f"{value:.5g}") if math.isfinite(value) else None for value in values]


def _limits(values: Sequence[float], anchor: float, times: float = np.inf) -> list[float]:
    return list(focus(values, [anchor], times=times))


def _focus(layout: dict[str, Any], values: np.ndarray) -> str:
    """Choose limits so that a few outliers do not flatten the others, and count the values outside."""
    finite = values[np.isfinite(values)]
    low, high = focus(finite.tolist(), [0.0], times=10)
    layout["yaxis"] |= {"range": [low, high]}
    outside = int(((finite < low) | (finite > high)).sum())
    return f" {plural(outside, 'value')} off the axis: double-click to show all." if outside else ""


def _layout(across: str, upward: str) -> dict[str, Any]:
    axis = {"zeroline": True, "zerolinecolor": "@ink", "zerolinewidth": 1, "gridcolor": "@line", "automargin": True}
    return {
        "xaxis": {**axis, "title": _title(across), "zeroline": False},
        "yaxis": {**axis, "title": _title(upward)},
        "margin": {"l": 48, "r": 12, "t": 40, "b": 48 if across else 32},
        "showlegend": True,
    }


def _title(text: str) -> dict[str, Any]:
    return {"text": text, "font": {"size": 13}, "standoff": 8}


def _rows_layout(texts: Sequence[str], across: str) -> dict[str, Any]:
    """Lay out rows 0, 1, ... from the top, each below its text, so that a phone's whole width is left to the plot."""
    layout = _layout(across, "")
    layout["margin"] |= {"l": 8}
    layout["yaxis"] |= {"visible": False, "range": [len(texts) - 0.4, -0.8], "fixedrange": True}
    layout["shapes"] = [{
        "type": "line", "x0": 0, "x1": 0, "yref": "paper", "y0": 0, "y1": 1, "layer": "between",
        "line": {"color": "@ink", "width": 1},
    }]  # fmt: skip
    layout["annotations"] = [
        {
            "xref": "paper", "x": 0, "xanchor": "left", "y": row - 0.38, "yanchor": "middle", "text": text,
            "showarrow": False, "font": {"color": "@ink"},
        }
        for row, text in enumerate(texts)
    ]  # fmt: skip
    return layout


def _band(margin: float) -> dict[str, Any]:
    return {
        "type": "rect", "x0": -margin, "x1": margin, "yref": "paper", "y0": 0, "y1": 1, "layer": "below",
        "fillcolor": "@0/0.14", "line": {"width": 0}, "name": f"margin ±{margin:g}", "showlegend": True,
    }  # fmt: skip


def _tall(height: int, losses: Losses) -> int:
    """Leave room for a legend of many variants."""
    return height + 14 * max(len(losses.variants) - 3, 0)


def _height(texts: Sequence[str]) -> int:
    return AROUND + (ROW if len(texts) <= 16 else LOW_ROW) * len(texts)
