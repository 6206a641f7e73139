"""Tables of a study as files and on the terminal."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import polars as pl
from rich.table import Table
from rich.text import Text

from nextday.evaluate import Comparison, Verdict, summarise
from nextday.evaluate.metrics import has_directions
from nextday.evaluate.quantiles import levels_of
from nextday.reporting.findings import Line, lines_of, unit
from nextday.reporting.style import MOST_TICKERS, MOST_VARIANTS
from nextday.storage.files import write_atomically
from nextday.words import plural

BEST = 10  # variants that are shown of very many
MOST_ROWS = 30  # of asked contrasts: with headline and remarks, sixty lines of a terminal


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
    """Format the means over tickers and seeds of each variant.

    Standard deviations between seeds are left to the frames: beside a mean they look like an error that one could test
    by, and they are not one.
    """
    table = Table(
        title=title,
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("variant", no_wrap=True)
    signed = has_directions(scores)
    percent = {"DirAcc": "DirAcc %", "R2Zero": "R2 vs zero %", "R2Mean": "R2 vs mean %", "AlwaysUp": "base %"}
    percent = percent if signed else {"R2Mean": percent["R2Mean"]}
    headers = ["MAE", "RMSE", *percent.values(), "days", "seeds"]
    seen = "Contaminated" in scores.columns and scores["Contaminated"].max() > 0  # type: ignore[operator]
    always = "base: base rate of positive returns, the hit rate of an always-long forecast"
    overlap = "seen: test days that the training data may overlap"
    legend = ["mean over tickers and seeds", *([always] if signed else []), *([overlap] if seen else [])]
    table.caption = "; ".join(legend)
    for header in [*headers, "seen %"] if seen else headers:
        table.add_column(header, justify="right", no_wrap=True)
    rows = summarise(scores, by=["variant"])
    if len(rows) > MOST_VARIANTS:
        table.caption = f"the {BEST} of {len(rows)} variants with the smallest RMSE; {table.caption}"
        rows = rows.sort("RMSE")[:BEST]
    for row in rows.iter_rows(named=True):
        errors = [mean_of(row[name], 1, 5) for name in ("MAE", "RMSE")]
        shares = [mean_of(row[name], 100, 2) for name in percent]
        known = [f"{100 * row['Contaminated']:.0f}"] if seen else []  # days that may have been trained on before
        table.add_row(Text(row["variant"]), *errors, *shares, str(row["Days"]), str(row["Seeds"]), *known)
    return table


def mean_of(mean: float | None, factor: float, digits: int, *, nothing: str = "-") -> str:
    """Write a mean, or ``nothing`` if it is not finite."""
    return nothing if mean is None or not math.isfinite(mean) else f"{factor * mean:.{digits}f}"


def contrasts_table(comparison: Comparison, verdict: Verdict | None = None, *, most: int = MOST_ROWS) -> Table:
    """Format the asked contrasts, one line each with the finding first; with the verdict, features help or hurt.

    Of more than ``most`` contrasts those with the largest adjusted p are left out and their findings counted.
    """
    sure = 100 * (1 - comparison.alpha)
    title = f"skill, {unit(comparison)}; margin {100 * comparison.margin:g}; simultaneous {sure:g} % CI"
    table = Table(title=title, title_justify="left", caption_justify="left", box=None, padding=(0, 1, 0, 0))
    asked = comparison.asked
    order = sorted(range(len(asked)), key=lambda at: (asked[at].p_adjusted, asked[at].p_value))
    lines = lines_of([asked[at] for at in sorted(order[:most])], comparison, verdict)
    head, names = _short_names(lines)
    headers = ("finding", "estimate", "interval", "p (adj.)", "detectable")
    rows = [_figures(line) for line in lines]
    taken = sum(max(len(cell) for cell in column) + 1 for column in zip(headers, *rows, strict=True))
    table.add_column(Text(head), overflow="fold", min_width=len(title) - taken)  # the title stays on one line
    for header in headers:
        table.add_column(header, justify="left" if header == "finding" else "right", no_wrap=True)
    for name, row in zip(names, rows, strict=True):
        table.add_row(Text(name), *row)
    left = Counter(line.word for line in lines_of([asked[at] for at in order[most:]], comparison, verdict))
    others = len(comparison.contrasts) - len(asked)
    more = [f"{sum(left.values())} more asked ({', '.join(f'{n} {word}' for word, n in left.items())})"] if left else []
    more += [f"{plural(others, 'other contrast')}, not asked"] if others else []
    if more:
        table.caption = "; ".join(more)
    return table


def _figures(line: Line) -> tuple[str, ...]:
    """Write the finding of a contrast, its estimate, interval, adjusted p and minimum detectable difference."""
    one = line.contrast
    chance = "< 0.001" if one.p_adjusted < 0.001 else f"{one.p_adjusted:.3f}"
    interval = f"({100 * one.low:+.2f} to {100 * one.high:+.2f})"
    return line.word, f"{100 * one.estimate:+.2f}", interval, chance, f"{100 * one.detectable:.2f}"


def _short_names(lines: Sequence[Line]) -> tuple[str, list[str]]:
    """Return the head of the column of names, and the names without what all of them share."""
    firsts = {line.contrast.first for line in lines}
    if all(line.alone for line in lines):
        return "variant", [line.contrast.first for line in lines]
    if len(firsts) == 1 and len(lines) > 1 and all(line.contrast.kind == "pair" for line in lines):
        return f"{firsts.pop()} - ...", [line.contrast.second for line in lines]
    return "contrast", [line.name for line in lines]


def bars_table(bars: pl.DataFrame, title: str) -> Table:
    """Format a summary of bars, one row per ticker; of very many tickers the first."""
    move = (pl.col("adj_close") / pl.col("adj_close").shift(1)).log()
    rows = bars.group_by("ticker", maintain_order=True).agg(
        pl.len(), start=pl.col("date").first(), end=pl.col("date").last(), close=pl.col("close").last(),
        deviation=100 * move.std(), largest=100 * move.get(move.abs().arg_max()),
        on=pl.col("date").get(move.abs().arg_max()),
    )  # fmt: skip
    table = Table(title=f"bars: {title}", title_justify="left", caption_justify="left")
    for header in ("ticker", "sessions", "first", "last", "last close", "daily sd %", "largest move %", "on"):
        table.add_column(header, justify="left" if header == "ticker" else "right", no_wrap=True)
    if len(rows) > MOST_TICKERS:
        table.caption = f"{MOST_TICKERS} of {plural(len(rows), 'ticker')}; --tickers names others"
    for ticker, count, start, end, close, deviation, largest, on in rows[:MOST_TICKERS].iter_rows():
        numbers = [f"{close:.2f}", *("-" if value is None else f"{value:.2f}" for value in (deviation, largest))]
        table.add_row(Text(ticker), str(count), str(start), str(end), *numbers, str(on))
    return table
