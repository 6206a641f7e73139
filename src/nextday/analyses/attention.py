"""Attention of networks: the share of each lag, by layer and head, compared with the same heads before training."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from nextday.analyses.base import Analysis, Done, Finished, Shown, Tables
from nextday.reporting import style
from nextday.reporting.plates import Plate
from nextday.reporting.style import new_figure, shorten
from nextday.storage.tables import KEYS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TABLES = {
    "attention": KEYS
    | {"trained": pl.Boolean, "layer": pl.Int64, "head": pl.Int64, "lag": pl.Int64, "weight": pl.Float64}
}


def keep(done: Done) -> Tables:
    """Convert a network's attention [trained or not, layer, head, lag] to rows."""
    weights = done.fitted.extras.get("attention")
    if weights is None:
        return {}
    before, layer, head, lag = (index.ravel() for index in np.indices(weights.shape))
    rows = {"trained": before == 0, "layer": layer, "head": head, "lag": lag, "weight": weights.ravel()}
    return {"attention": pl.DataFrame(rows)}


def show(finished: Finished) -> Shown:
    """Draw the attention of networks that have it."""
    table = finished.tables["attention"]
    if table.is_empty():
        return Shown()
    return Shown(plates=(Plate("attention", "Attention by lag", partial(draw, table), table),))


def draw(table: pl.DataFrame) -> "Figure":
    """Draw the share of attention that each head gives to each lag, before and after training.

    The attention weights of a day sum to 1; a head without preference gives each of ``L`` lags 1 / L.
    """
    lags, heads = table["lag"].n_unique(), table["head"].n_unique()
    variants, depth = list(table["variant"].unique(maintain_order=True)), table["layer"].n_unique()
    title = "Attention by lag, averaged over test days and over the attending days of the window"
    details = (
        "Solid: mean over trainings, one colour per head. Dotted: untrained heads (control). Structure present in both "
        f"is not learned. Band: middle 80 % of trainings. Dashed: 1/{lags}, no preference."
    )
    figure = new_figure(max(6.5, 3.4 * len(variants)), 1.2 + 2.5 * depth, title, details)
    panels = figure.subplots(depth, len(variants), sharex=True, sharey=True, squeeze=False)
    for (row, column), ax in np.ndenumerate(panels):
        part = table.filter((pl.col("variant") == variants[column]) & (pl.col("layer") == row))
        for head in range(heads):
            _head(ax, part.filter(head=head), style.COLOURS[head % len(style.COLOURS)])
        ax.axhline(1 / lags, color="black", lw=1, ls="--", zorder=1)
        ax.set_title(f"{shorten([variants[column]])[0]}, layer {row + 1}", fontsize=9)
        ax.grid(axis="y")
    for ax in panels[-1]:
        ax.set_xlabel("lag (sessions before the origin)")
        ax.locator_params(axis="x", integer=True)
    for ax in panels[:, 0]:
        ax.set_ylabel("share of attention")
    keys = [
        style.handle(f"head {head + 1}", style.COLOURS[head % len(style.COLOURS)], line="-") for head in range(heads)
    ]
    style.key(figure, [*keys, style.handle("before training", style.GREY, line=":")])
    return figure


def _head(ax: "Axes", weights: pl.DataFrame, colour: str) -> None:
    by_lag = weights.group_by("trained", "lag").agg(
        pl.col("weight").mean(), low=pl.col("weight").quantile(0.1), high=pl.col("weight").quantile(0.9)
    )
    for trained in (False, True):
        lag, mean, low, high = by_lag.filter(trained=trained).sort("lag").drop("trained").to_numpy().T
        if trained:
            ax.fill_between(lag, low, high, color=colour, alpha=0.12, lw=0)
        ax.plot(lag, mean, color=colour, lw=1.8 if trained else 1.2, ls="-" if trained else ":", zorder=3)


ANALYSIS = Analysis("attention", TABLES, keep=keep, show=show)
