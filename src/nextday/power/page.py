"""The figure and the page of planted signals, each marked as no result."""

from base64 import b64encode
from functools import partial
from typing import TYPE_CHECKING, Literal

import polars as pl

from nextday.power.rates import ANY_ASKED, ANY_BETTER
from nextday.reporting import style
from nextday.reporting.html import DARK, environment
from nextday.reporting.html_tables import NOTHING, Cell, Table
from nextday.reporting.plates import Exhibit, Plate
from nextday.reporting.style import COLOURS, GREY, looks, new_figure
from nextday.study import Study
from nextday.words import plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Models = Literal["ridge", "own"]
FITTED: dict[Models, str] = {
    "ridge": "ridge regressions of the whole window in place of the study's models",
    "own": "the models of the study",
}
STRIPE = "PLANTED SIGNALS: NOT A RESULT"
BOLD = (ANY_ASKED, ANY_BETTER)


def plate_of(rates: pl.DataFrame, signal: str, question: str) -> Plate:
    """Return the figure of detection rates by strength."""
    return Plate(
        "power",
        f"Share of copies in which a signal planted in {signal} is found",
        partial(_draw, rates, signal, question),
        rates,
    )


def _draw(rates: pl.DataFrame, signal: str, question: str) -> "Figure":
    """Draw the detection rate of each contrast by strength, those of any contrast with their intervals."""
    title = f"How often a signal planted in {signal} is found: {question or 'the study'}"
    count = plural(int(rates["plants"].to_numpy().max()), "copy", "copies")
    details = f"{count} of the bars per strength; area: 95 % CI (Wilson); dotted: 5 % and 80 %."
    figure = new_figure(10, 4.2, title, details)
    panels = figure.subplots(1, 2, sharey=True)
    entries = {}
    for ax, family, heading in zip(
        panels, ("asked", "benchmark"), ("asked contrasts", "against the benchmark"), strict=True
    ):
        own = rates.filter(family=family)
        look = looks(own["contrast"].unique(maintain_order=True))
        for name, one in look.items():
            line = own.filter(contrast=name).sort("strength")
            x, colour = 100 * line["strength"].to_numpy(), "black" if name in BOLD else one.colour
            (drawn,) = ax.plot(
                x, 100 * line["rate"].to_numpy(), color=colour, lw=2 if name in BOLD else 1.2, marker="o", ms=4
            )
            texts = [f"{name}, R² {at:g} %: {100 * rate:.0f} %" for at, rate in zip(x, line["rate"], strict=True)]
            style.series(drawn, one.label, texts)
            if name in BOLD:
                ax.fill_between(
                    x, 100 * line["low"].to_numpy(), 100 * line["high"].to_numpy(), color=GREY, alpha=0.25, lw=0
                )
            entries[name] = style.handle(one.label, colour, "o", line="-")
        for level in (5, 80):
            ax.axhline(level, color="black", lw=0.8, ls=":", zorder=1)
        ax.set(title=heading, xlabel="R² of the planted signal (%)", ylim=(-3, 103))
        ax.grid(axis="y")
    panels[0].set_ylabel("found (% of copies)")
    style.key(figure, list(entries.values()))
    style.stripe(figure, STRIPE)
    return figure


def render_power(
    study: Study, signal: str, sentence: str, rates: pl.DataFrame, image: bytes, models: Models
) -> str:  # fmt: skip
    """Render the page."""
    return environment().get_template("planted.html").render(
        title=study.question or study.name, name=study.name, signal=signal, sentence=sentence, models=FITTED[models],
        stripe=STRIPE, table=exhibit_of(rates, models).table, image=b64encode(image).decode(), nothing=NOTHING,
        no_signal=_better(rates), colours=COLOURS, dark=DARK, version="", points="{}",
    )  # fmt: skip


def _better(rates: pl.DataFrame) -> str:
    """Write how often an asked contrast was better without a signal, for whatever reason."""
    row = rates.filter(strength=0.0, contrast=ANY_ASKED)
    return f"{100 * row['better'].item():.0f} %" if len(row) else ""


def exhibit_of(rates: pl.DataFrame, models: Models) -> Exhibit:
    """Lay out the detection rates, a row per contrast and a column per strength."""
    strengths = rates["strength"].unique().sort().to_list()
    rows = []
    for name in rates["contrast"].unique(maintain_order=True):
        cells = [
            Cell(f"{100 * row['rate']:.0f} ({100 * row['low']:.0f} to {100 * row['high']:.0f})", row["rate"])
            for row in rates.filter(contrast=name).sort("strength").iter_rows(named=True)
        ]
        rows.append((Cell(name), *cells))
    heads = ("contrast", *(f"R² {100 * one:g} %" if one else "no signal" for one in strengths))
    caption = f"Found, % of copies (95 % CI), with {FITTED[models]}"
    return Exhibit("Detection rates", "", "", Table(caption, heads, tuple(rows)))
