"""Forecasts across tickers: rank coefficients with intervals, by year and by days ahead, and a sorted portfolio."""

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from nextday.analyses.base import Analysis, Finished, Shown
from nextday.evaluate.contrasts import Comparison, Contrast
from nextday.evaluate.cross_section import coefficient, daily_scores, decay
from nextday.evaluate.losses import BASIS_POINT
from nextday.reporting import style
from nextday.reporting.html_tables import Cell, Table
from nextday.reporting.plates import Exhibit, Plate
from nextday.reporting.style import looks, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEADING = "Across tickers"
COST = 10  # basis points, of the portfolio after costs
NET = pl.col("spread") - COST * BASIS_POINT * pl.col("turnover")  # return of a day after costs
YEAR = 252  # trading days
LIMITS = "No capacity, no cost of selling short, no market impact: what a portfolio would earn on paper."


def show(finished: Finished) -> Shown:
    """Lay out what forecasts are worth across tickers; nothing where no day has ten of them."""
    across = finished.across
    if across is None:
        return Shown()
    forecasts = finished.tables["forecasts"]
    days, ahead = daily_scores(forecasts), decay(forecasts)
    summary = summarise(days)
    name = f"cumulative return before costs (line) and after {COST} bp (dashed)"
    plate = Plate("across", f"Highest less lowest fifth: {name}", lambda: _draw(days), _earned(days))
    exhibits = [
        _exhibit(HEADING, _READ["summary"], _by_variant(summary, across)),
        _exhibit("Contrasts across tickers", _READ["contrasts"], _contrasts(across)),
        _exhibit("Rank IC by year", _READ["years"], _by_year(days)),
        _exhibit("Rank IC by days ahead", _READ["ahead"], _by_lag(ahead)),
    ]
    many = len(summary) > style.MOST_VARIANTS
    return Shown(
        plates=() if many else (plate,),
        exhibits=tuple(one for one in exhibits if one.table.rows),
        findings={"across": summary, "daily_across": days, "decay": ahead},
        files={"cross_section.csv": days.rename({"origin": "date"}).write_csv().encode()},
    )


_READ = {
    "summary": (
        "The rank IC of a day is the rank correlation of its forecasts and its returns over tickers; IR is its mean "
        "divided by its standard deviation, times the square root of 252. The spread is the return of the fifth of "
        "tickers with the highest forecasts less that of the lowest, equally weighted, in basis points a day; turnover "
        f"is the sum of its absolute changes of weights, at most 4. {LIMITS}"
    ),
    "contrasts": "Differences of the mean rank IC, simultaneous over the asked contrasts.",
    "years": "Mean over seeds and days; years with few days are noisier.",
    "ahead": "Correlation of a forecast with the return of the day that it is for (1), and of the days after it.",
}


def summarise(days: pl.DataFrame) -> pl.DataFrame:
    """Average daily scores.

    Returns
    -------
    One row per variant: ``variant, rank_ic, ir, ic, spread, net, turnover, names, days``, means over seeds and days;
    ``spread`` and ``net``, which is after 10 basis points of cost, are returns of a day.
    """
    ratio = pl.col("rank_ic").mean() / pl.col("rank_ic").std() * np.sqrt(YEAR)
    by_seed = days.group_by("variant", "seed", maintain_order=True).agg(
        pl.col("rank_ic").mean(), ratio.alias("ir"), pl.col("ic", "spread").mean(), NET.mean().alias("net"),
        pl.col("turnover", "names").mean(), pl.len().alias("days"),
    )  # fmt: skip
    return by_seed.drop("seed").group_by("variant", maintain_order=True).mean()


def _exhibit(heading: str, reading: str, table: Table) -> Exhibit:
    return Exhibit(heading, reading, "", table, printed=heading == HEADING)


def _by_variant(summary: pl.DataFrame, across: Comparison) -> Table:
    against = {one.first: one for one in across.against_benchmark}
    rows = [
        (
            Cell(row["variant"]), _coefficient(against.get(row["variant"]), row["rank_ic"]), _cell(row["ir"], 2),
            _cell(row["ic"], 3), _cell(row["spread"] / BASIS_POINT, 1), _cell(row["net"] / BASIS_POINT, 1),
            Cell(f"{row['turnover']:.2f}", row["turnover"]),
        )
        for row in summary.iter_rows(named=True)
    ]  # fmt: skip
    sure = f"{100 * (1 - across.alpha):g} % CI"
    heads = ("variant", f"rank IC ({sure})", "IR", "IC", "spread, bp", f"after {COST} bp", "turnover")
    return Table("Across tickers: mean over days and seeds", heads, tuple(rows))


def _contrasts(across: Comparison) -> Table:
    pairs = [one for one in across.asked if one.second != across.losses.benchmark]
    rows = [
        (Cell(one.name), _coefficient(one, one.estimate), Cell(f"{one.p_adjusted:.3f}", one.p_adjusted))
        for one in pairs
    ]
    heads = ("contrast", f"rank IC ({100 * (1 - across.alpha):g} % CI)", "p (adjusted)")
    return Table("Asked contrasts by rank IC", heads, tuple(rows))


def _by_year(days: pl.DataFrame) -> Table:
    found = days.group_by("variant", pl.col("origin").dt.year().alias("year"), maintain_order=True).agg(
        pl.col("rank_ic").mean(), pl.col("origin").n_unique().alias("days")
    )
    years = found["year"].unique().sort().to_list()
    counts = dict(found.group_by("year").agg(pl.col("days").max()).iter_rows())
    rows = []
    for variant in found["variant"].unique(maintain_order=True):
        own = dict(found.filter(variant=variant).select("year", "rank_ic").iter_rows())
        rows.append((Cell(variant), *(_cell(own.get(year), 3) for year in years)))
    return Table("Rank IC by calendar year", ("variant", *(f"{year} ({counts[year]})" for year in years)), tuple(rows))


def _by_lag(ahead: pl.DataFrame) -> Table:
    rows = [(Cell(name), *(_cell(value, 3) for value in values)) for name, *values in ahead.iter_rows()]
    return Table("Rank IC by days ahead", ("variant", *ahead.columns[1:]), tuple(rows))


def _coefficient(contrast: Contrast | None, mean: float) -> Cell:
    if contrast is None:
        return _cell(mean, 3)
    return Cell("withheld" if contrast.withheld else coefficient(contrast), mean)


def _cell(value: float | None, digits: int) -> Cell:
    if value is None or not np.isfinite(value):
        return Cell("-", None)
    return Cell(f"{round(value, digits) + 0.0:+.{digits}f}", value)


def _earned(days: pl.DataFrame) -> pl.DataFrame:
    """Add up the returns of the portfolio, mean over seeds, in percent: ``variant, origin, gross, net``."""
    daily = days.group_by("variant", "origin", maintain_order=True).agg(
        (100 * pl.col("spread")).mean().alias("gross"), (100 * NET).mean().alias("net")
    )
    return daily.sort("origin", maintain_order=True).with_columns(pl.col("gross", "net").cum_sum().over("variant"))


def _draw(days: pl.DataFrame) -> "Figure":
    """Draw the cumulative return of the portfolio of each variant, before and after costs."""
    earned = _earned(days)
    look = looks(days["variant"].unique(maintain_order=True))
    details = f"Sum of daily returns, mean over seeds. Solid: before costs; dashed: after {COST} bp of trades. {LIMITS}"
    figure = new_figure(10, 4.0, "Highest less lowest fifth of forecasts: cumulative return", details)
    ax = figure.subplots()
    for name, one in look.items():
        own = earned.filter(variant=name)
        dates = own["origin"].to_numpy().astype("datetime64[D]")
        for column, line in (("gross", "-"), ("net", "--")):
            (drawn,) = ax.plot(dates, own[column].to_numpy(), color=one.colour, ls=line, lw=1.4)
            texts = [
                f"{one.label}, {day}, {column}: {value:+.1f} %" for day, value in zip(dates, own[column], strict=True)
            ]
            style.series(drawn, one.label, texts)
    ax.axhline(0, color="black", lw=1, zorder=1)
    ax.set_ylabel("cumulative return (%)")
    ax.margins(x=0.01)
    ax.grid(axis="y")
    style.date_columns(ax)
    style.key(figure, style.handles(look, lines=True))
    return figure


ANALYSIS = Analysis("across", show=show)
