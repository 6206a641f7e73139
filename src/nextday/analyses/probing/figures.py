"""Results of probes, as figures and as a CSV file."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from nextday.analyses.probing.assess import MARGIN
from nextday.reporting import style
from nextday.reporting.style import Look, focus, looks, new_figure, shorten, upright
from nextday.words import plural

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CONTROLS = {"untrained": ("o", "untrained"), "window": ("s", "input window"), "shuffled": ("x", "feature shuffled")}
WORST = -0.5  # of R2; what is worse is an arrow
LOWER = 0.2  # rows, by which controls are below the trained network


def probes(assessed: pl.DataFrame, *, alpha: float = 0.05, margin: float = MARGIN) -> "Figure":
    """Draw the R2 of each variant's trained state and of its controls, and their difference; a column per feature.

    Parameters
    ----------
    assessed
        As ``assess_probes`` returns it.
    alpha
        Error rate of the intervals.
    margin
        Gains below it are negligible.
    """
    look = looks(assessed["variant"].unique(maintain_order=True))
    features = list(assessed["feature"].unique(maintain_order=True))
    row = assessed.row(0, named=True)
    title = "Ridge probes of the last state of each network: R2 on the test set, relative to the training mean"
    details = (
        f"Filled: trained, with pointwise {100 * (1 - alpha):g} % CI over days and seeds. Hollow: controls; a network "
        "has learned a feature if it lies right of both. Below: trained minus untrained, shaded: negligible. Grey "
        "rows: the feature is an input. "
        f"Mean over {plural(row['Tickers'], 'ticker')} and {plural(row['Seeds'], 'seed')}."
    )
    figure = new_figure(max(6.5, 2 + 2.4 * len(features)), 1.6 + 0.6 * len(look), title, details)
    panels = figure.subplots(2, len(features), sharex="row", sharey=True, squeeze=False)
    gains = assessed.filter(source="untrained")
    limits = focus(assessed["R2"].clip(WORST), [0.0, 1.0], times=np.inf)
    reach = focus([*gains["Gain_low"], *gains["Gain_high"]], [-margin, margin], times=np.inf)
    for (upper, lower), feature, name in zip(panels.T, features, shorten(features), strict=True):
        for ax in (upper, lower):
            _shade(ax, assessed.filter(feature=feature), look)
        _levels(upper, assessed.filter(feature=feature), look, limits)
        lower.axvspan(-margin, margin, color=style.GREY, alpha=0.25, lw=0)
        _gains(lower, gains.filter(feature=feature), look, reach)
        upper.set_title(name)
    panels[0, 0].set_ylabel("R2 on the test set")
    panels[1, 0].set_ylabel("R2, trained − untrained")
    entries = [style.handle("trained", "black", "D")]
    style.key(figure, [*entries, *(_hollow(label, marker) for marker, label in CONTROLS.values())])
    return figure


def _shade(ax: "Axes", assessed: pl.DataFrame, look: Mapping[str, Look]) -> None:
    """Name the rows, and shade those of variants that read the feature."""
    given = set(assessed.filter("Given")["variant"])
    for at, variant in enumerate(look):
        if variant in given:
            ax.axhspan(at - 0.5, at + 0.5, color=style.GREY, alpha=0.15, lw=0)
    ax.axvline(0, color="black", lw=1, zorder=1)
    style.name_rows(ax, [one.label for one in look.values()], 4)
    ax.grid(axis="y")


def _levels(ax: "Axes", assessed: pl.DataFrame, look: Mapping[str, Look], limits: style.Limits) -> None:
    ax.axvline(1, color="black", lw=1, ls=":", zorder=1)
    rows = {variant: at for at, variant in enumerate(look)}
    for row in assessed.iter_rows(named=True):
        at, colour, r2 = rows[row["variant"]], look[row["variant"]].colour, row["R2"]
        trained = row["source"] == "trained"
        if trained:
            ax.hlines(at - LOWER, max(row["R2_low"], limits[0]), row["R2_high"], color=colour, lw=1.8, zorder=2)
        marker = "<" if r2 < limits[0] else "D" if trained else CONTROLS[row["source"]][0]
        size, fill = (5, colour) if trained else (6, "none")
        place = max(r2, limits[0]), at - LOWER if trained else at + LOWER
        ax.plot(*place, marker, ms=size, color=colour, mfc=fill, mew=1.1, zorder=3)
    ax.set_xlim(limits)


def _gains(ax: "Axes", gains: pl.DataFrame, look: Mapping[str, Look], limits: style.Limits) -> None:
    rows = {variant: at for at, variant in enumerate(look)}
    for row in gains.iter_rows(named=True):
        at, colour = rows[row["variant"]], look[row["variant"]].colour
        ax.hlines(at, row["Gain_low"], row["Gain_high"], color=colour, lw=1.8, zorder=2)
        ax.plot(row["Gain"], at, "D", ms=5, color=colour, zorder=3)
    ax.set_xlim(limits)


def cka(table: pl.DataFrame) -> "Figure":
    """Draw the similarity of the last states of variants, trained and untrained: means over tickers and pairs of seeds.

    Parameters
    ----------
    table
        ``ticker, fold, first, first_seed, second, second_seed, source, cka``.
    """
    both = pl.concat([table, table.rename({"first": "second", "second": "first"}).select(table.columns)])
    variants = list(table.select(pl.concat_list("first", "second").explode()).to_series().unique(maintain_order=True))
    names, means = shorten(variants), both.group_by("source", "first", "second").agg(pl.col("cka").mean())
    title = "Similarity of the networks' last states on the same test days (unbiased linear CKA, 1: rotations)"
    details = (
        f"Mean over {plural(table['ticker'].n_unique(), 'ticker')} and pairs of seeds; on the diagonal, pairs of "
        "different seeds of a variant. Similarity of untrained networks comes from inputs and architecture."
    )
    width = max(7.0, 3 + 1.1 * len(variants))
    place = (width - 2.5) / 2 / len(variants)
    figure = new_figure(width, 0.8 + 0.38 * len(variants) + upright(names, place), title, details)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for ax, source in zip(panels, ("trained", "untrained"), strict=True):
        values = np.full((len(variants), len(variants)), np.nan)
        for _, first, second, value in means.filter(source=source).iter_rows():
            values[variants.index(first), variants.index(second)] = value
        _cells(ax, values)
        ax.set_title(source)
        style.name_columns(ax, names, place)
    panels[0].set_yticks(range(len(names)), labels=names)
    figure.colorbar(panels[0].images[0], ax=list(panels), label="CKA")
    return figure


def _cells(ax: "Axes", values: np.ndarray) -> None:
    ax.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    ax.set_facecolor("#CCCCCC")
    ax.tick_params(length=0)
    for (row, column), value in np.ndenumerate(values):
        text = "–" if np.isnan(value) else f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")
        colour = "white" if value > 0.6 else "black"
        ax.text(column, row, text, ha="center", va="center", fontsize=8, color=colour).set_in_layout(False)


def results(table: pl.DataFrame) -> bytes:
    """Write R2 by network, layer, source and feature as CSV, averaged over folds.

    Layers count from 1; layer 0 is the window itself, which has no seed.
    """
    keys = {"Model": "variant", "Ticker": "ticker", "Seed": "seed", "Layer": "layer"}
    keys |= {"Source": "source", "Feature": "feature"}
    means = table.group_by(list(keys.values()), maintain_order=True).agg(pl.col("r2").mean())
    return means.select(**keys, R2="r2").write_csv().encode()


def _hollow(label: str, marker: str) -> "Artist":
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, color="black", marker=marker, mfc="none", ls="", ms=6)
