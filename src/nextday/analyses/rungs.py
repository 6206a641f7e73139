"""Plots that single stages add to those of every study: what a network attends to, contexts that were tried."""

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from nextday.reporting import style
from nextday.reporting.style import looks, new_figure, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def attention(table: pl.DataFrame) -> "Figure":
    """Draw how much of its attention each head gives to each lag, beside the same head before training.

    A day of the window has attention 1 to give; a head without preference gives each of ``L`` lags 1 / L.
    """
    lags, heads = table["lag"].n_unique(), table["head"].n_unique()
    variants, depth = list(table["variant"].unique(maintain_order=True)), table["layer"].n_unique()
    title = "What the networks attend to: attention by lag, averaged over test days and the days that attend"
    details = (
        "Solid: mean over trainings, one colour per head. Dotted: untrained heads (control). Structure present in both "
        f"is not learned. Band: the middle 80 % of trainings. Dashed: 1/{lags}, no preference."
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


def contexts(sweep: pl.DataFrame) -> "Figure":
    """Draw the loss on valid of each context length that a pretrained model could choose, relative to its best."""
    variants = list(sweep["variant"].unique(maintain_order=True))
    title = "How much history pretrained models want: loss on valid by context, above the least of the same ticker"
    details = (
        "Thin: each ticker; bold: their mean. Dots: contexts chosen, by how many tickers. Test was never looked at."
    )
    figure = new_figure(max(6.5, 3.4 * len(variants)), 3.2, title, details)
    least = pl.col("valid_loss").min().over("variant", "ticker", "fold")
    rows = sweep.with_columns(above=100 * (pl.col("valid_loss") / least - 1))
    for ax, variant, look in zip(
        figure.subplots(1, len(variants), squeeze=False)[0], variants, looks(variants).values(), strict=True
    ):
        mine = rows.filter(variant=variant)
        for _, one in mine.group_by("ticker", "fold", maintain_order=True):
            ax.plot(one["context"], one["above"], color=look.colour, lw=0.7, alpha=0.4)
        mean = mine.group_by("context").agg(pl.col("above").mean(), pl.col("chosen").sum()).sort("context")
        ax.plot(mean["context"], mean["above"], color=look.colour, lw=2)
        for context, above, chosen in mean.iter_rows():
            if chosen:
                ax.plot(context, above, "o", color=look.colour, ms=7)
                ax.annotate(f"{chosen}", (context, above), (6, 6), textcoords="offset points", fontsize=8)
        ax.set_xscale("log", base=2)
        ax.set_xticks(mean["context"].to_list(), [f"{context}" for context in mean["context"]])
        ax.set(xlabel="context (sessions)", title=look.label)
        ax.grid(axis="y")
    figure.axes[0].set_ylabel("loss on valid above the least (%)")
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
