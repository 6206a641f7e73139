"""The files of a study, and the summary on the terminal."""

import math
from pathlib import Path
from typing import Any

import polars as pl
from rich.table import Table
from rich.text import Text

from nextday.evaluate import Comparison, relation, summarise
from nextday.evaluate.losses import unit_of
from nextday.evaluate.quantiles import levels_of
from nextday.files import write_atomically

MOST_CONTRASTS = 20  # on a terminal


def write_csv(out: Path, name: str, *, forecasts: pl.DataFrame, scores: pl.DataFrame) -> None:
    """Write the tables for readers: results, results by seed, all predictions."""
    titled = scores.rename({"ticker": "Ticker", "variant": "Model", "seed": "Seed"})
    first = ["Ticker", "Model", "MAE", "RMSE", *(["Coverage"] if "Coverage" in scores.columns else [])]
    by_seed = titled.select("Ticker", "Model", "Seed", pl.exclude("Ticker", "Model", "Seed"))
    results = summarise(scores, by=["ticker", "variant"]).rename({"ticker": "Ticker", "variant": "Model"})
    results = results.select(*first, pl.exclude(first))
    predictions = forecasts.select(
        Date="date",
        Origin="origin",
        Ticker="ticker",
        Model="variant",
        Seed="seed",
        Actual="actual",
        Predicted="predicted",
        **{f"q{level}": f"q{level}" for level in levels_of(forecasts)},
        Contaminated="contaminated",
    )
    for kind, table in {"results": results, "results_by_seed": by_seed, "all_predictions": predictions}.items():
        write_atomically(out / f"{name}_{kind}.csv", table.write_csv().encode())


def summary_table(scores: pl.DataFrame, title: str) -> Table:
    """Lay out the mean over tickers per variant, with the spread between seeds where there is more than one."""
    table = Table(
        title=title,
        title_justify="left",
        caption="mean over tickers ± standard deviation between seeds; up %: the hit rate of always up",
        caption_justify="left",
    )
    table.add_column("variant", no_wrap=True)
    headers = ["MAE", "RMSE", "DirAcc %", "R2 vs zero %", "R2 vs mean %", "up %", "days", "seeds"]
    seen = "Contaminated" in scores.columns and scores["Contaminated"].max() > 0  # type: ignore[operator]
    for header in [*headers, "seen %"] if seen else headers:
        table.add_column(header, justify="right", no_wrap=True)
    for row in summarise(scores, by=["variant"]).iter_rows(named=True):
        errors = [spread(row, name, 1, 5) for name in ("MAE", "RMSE")]
        shares = [spread(row, name, 100, 2) for name in ("DirAcc", "R2Zero", "R2Mean")]
        up = "-" if row["AlwaysUp"] is None else f"{100 * row['AlwaysUp']:.2f}"
        known = [f"{100 * row['Contaminated']:.0f}"] if seen else []  # days that may have been trained on before
        table.add_row(Text(row["variant"]), *errors, *shares, up, str(row["Days"]), str(row["Seeds"]), *known)
    return table


def uncertainty_table(assessed: pl.DataFrame) -> Table:
    """Lay out scores of quantiles, coverage beside width, and the tests of the lowest quantile."""
    table = Table(title="quantile forecasts: mean over tickers and seeds", title_justify="left", caption_justify="left")
    table.caption = (
        "coverage with its 95 % interval; Kupiec, clusters: tickers, folds and seeds whose test rejects at 5 %, "
        "one in twenty by chance; PIT p: uniformity"
    )
    for header in uncertainty_headers(assessed):
        table.add_column(header, justify="left" if header == "variant" else "right", no_wrap=True)
    for row in assessed.iter_rows(named=True):
        table.add_row(Text(row["variant"]), *uncertainty_cells(row))
    return table


def uncertainty_headers(assessed: pl.DataFrame) -> tuple[str, ...]:
    """Name the columns of ``assess`` for readers: its variant, and those of ``uncertainty_cells``."""
    head = assessed.row(0, named=True)
    held = "coverage, %" if head["Nominal"] is None else f"coverage of {100 * head['Nominal']:g} %"
    fallen = f"below q{head['Level']:g}, %" if "Level" in head else "below, %"
    scores = ("pinball × 1000", "CRPS × 1000")
    return ("variant", *scores, held, "width, %", fallen, "Kupiec", "clusters", "PIT p")


def uncertainty_cells(row: dict[str, Any], nothing: str = "-") -> list[str]:
    """Write a row of ``assess`` for readers, without its name."""
    covered = width = fallen = kupiec = clusters = nothing
    if row["Nominal"] is not None:
        low, high = (f"{100 * row[f'Coverage_{end}']:.1f}" for end in ("low", "high"))
        covered, width = f"{100 * row['Coverage']:.1f} ({low} to {high})", f"{100 * row['Width']:.2f}"
    if "Level" in row:
        fallen = f"{100 * row['Fallen']:.1f}"
        kupiec, clusters = (f"{row[test]} of {row['Tests']}" for test in ("kupiec", "independence"))
    scores = [f"{1000 * row[name]:.3f}" for name in ("Pinball", "CRPS")]
    return [*scores, covered, width, fallen, kupiec, clusters, f"{row['PIT']:.3f}"]


def spread(row: dict[str, Any], name: str, factor: float, digits: int, *, nothing: str = "-") -> str:
    """Write a mean of a summary with its deviation between seeds, or ``nothing`` where there is no number."""
    mean, deviation = row[name], row[f"{name}_sd"]
    if mean is None or not math.isfinite(mean):
        return nothing
    known = deviation is not None and math.isfinite(deviation)
    return f"{factor * mean:.{digits}f}" + (f" ±{factor * deviation:.{digits}f}" if known else "")


def contrasts_table(comparison: Comparison, what: str = "skill") -> Table:
    """Lay out every contrast with its simultaneous interval."""
    losses = comparison.losses
    title = (
        f"{what} by {losses.loss} loss, {unit_of(losses)}; margin {100 * comparison.margin:g}; "
        f"intervals hold for all at once at {100 * (1 - comparison.alpha):.0f} %"
    )
    table = Table(title=title, title_justify="left")
    for header in ("contrast", "estimate", "interval", "from days", "from seeds", "p alone", "p of all", "is"):
        table.add_column(header, justify="left" if header == "contrast" else "right", no_wrap=True)
    shown = comparison.contrasts if len(comparison.contrasts) <= MOST_CONTRASTS else comparison.against_benchmark
    if len(shown) < len(comparison.contrasts):
        table.caption = f"{len(comparison.between)} contrasts between variants are in report.html"
    for contrast in shown:
        numbers = [f"{100 * contrast.estimate:+.2f}", f"{100 * contrast.low:+.2f} to {100 * contrast.high:+.2f}"]
        errors = [f"{100 * error:.2f}" for error in (contrast.date_error, contrast.seed_error)]
        chances = [f"{value:.3f}" for value in (contrast.p_value, contrast.p_adjusted)]
        name = Text(f"{contrast.first} - {contrast.second}")
        found = "-" if comparison.withheld else relation(contrast, comparison.margin)
        table.add_row(name, *numbers, *errors, *chances, found)
    return table


def bars_table(bars: pl.DataFrame, title: str) -> Table:
    """Lay out what bars there are, one row per ticker."""
    move = (pl.col("adj_close") / pl.col("adj_close").shift(1)).log()
    rows = bars.group_by("ticker", maintain_order=True).agg(
        pl.len(), start=pl.col("date").first(), end=pl.col("date").last(), close=pl.col("close").last(),
        deviation=100 * move.std(), largest=100 * move.get(move.abs().arg_max()),
        on=pl.col("date").get(move.abs().arg_max()),
    )  # fmt: skip
    table = Table(title=f"bars: {title}", title_justify="left")
    for header in ("ticker", "sessions", "first", "last", "last close", "daily sd %", "largest move %", "on"):
        table.add_column(header, justify="left" if header == "ticker" else "right", no_wrap=True)
    for ticker, count, start, end, close, deviation, largest, on in rows.iter_rows():
        numbers = [f"{close:.2f}", *("-" if value is None else f"{value:.2f}" for value in (deviation, largest))]
        table.add_row(Text(ticker), str(count), str(start), str(end), *numbers, str(on))
    return table
