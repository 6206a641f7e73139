"""Context lengths of pretrained models: validation loss of every candidate."""

from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from nextday.analyses.base import Analysis, Done, Finished, Shown, Tables
from nextday.reporting.plates import Plate
from nextday.reporting.style import MOST_TICKERS, looks, new_figure
from nextday.storage.tables import KEYS
from nextday.words import plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TABLES = {"sweep": KEYS | {"context": pl.Int64, "valid_loss": pl.Float64, "chosen": pl.Boolean}}


def keep(done: Done) -> Tables:
    """Return the candidate contexts of a model [context, (length, loss)], and mark the one with the smallest loss."""
    sweep = done.fitted.extras.get("sweep")
    if sweep is None:
        return {}
    context, loss = sweep.T
    rows = {"context": context, "valid_loss": loss, "chosen": context == context[loss.argmin()]}
    return {"sweep": pl.DataFrame(rows)}


def show(finished: Finished) -> Shown:
    """Draw the losses by context, if a model had a choice."""
    table = finished.tables["sweep"]
    if table.is_empty():
        return Shown()
    return Shown(plates=(Plate("context", "Validation loss by context length", partial(draw, table), table),))


def draw(sweep: pl.DataFrame) -> "Figure":
    """Draw the validation loss of each candidate context length of a pretrained model, relative to its minimum."""
    variants = list(sweep["variant"].unique(maintain_order=True))
    title = "Validation loss of pretrained models by context length, above the minimum of the same ticker"
    many = sweep["ticker"].n_unique() > MOST_TICKERS
    each = f"Band: middle 80 % of {plural(sweep['ticker'].n_unique(), 'ticker')}" if many else "Thin: each ticker"
    details = f"{each}; bold: their mean. Dots: chosen contexts, with the number of tickers. The test set is not used."
    figure = new_figure(max(6.5, 3.4 * len(variants)), 3.2, title, details)
    least = pl.col("valid_loss").min().over("variant", "ticker", "fold")
    rows = sweep.with_columns(above=100 * (pl.col("valid_loss") / least - 1))
    for ax, variant, look in zip(
        figure.subplots(1, len(variants), squeeze=False)[0], variants, looks(variants).values(), strict=True
    ):
        mine = rows.filter(variant=variant)
        if many:
            ends = [pl.col("above").quantile(share, "linear").alias(f"{share}") for share in (0.1, 0.9)]
            band = mine.group_by("context").agg(ends).sort("context").to_numpy()
            ax.fill_between(*band.T, color=look.colour, alpha=0.25, lw=0)
        else:
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
    figure.axes[0].set_ylabel("validation loss above its minimum (%)")
    return figure


ANALYSIS = Analysis("contexts", TABLES, keep=keep, show=show)
