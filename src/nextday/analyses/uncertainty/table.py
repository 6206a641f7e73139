"""Table of quantile forecasts, for the report and the terminal."""

from typing import Any

import polars as pl

from nextday.reporting.html_tables import NOTHING, Cell, Table
from nextday.reporting.plates import Exhibit

SORTED_BY = ("Pinball", "CRPS", "Coverage", "Width", "Fallen", "kupiec", "independence", "PIT")  # of ``assess``
READING = (
    "Coverage is the share of returns inside the interval; compare it together with the width, because wide "
    "intervals cover easily. “Kupiec” counts the tickers, folds and seeds whose share of returns below the lowest "
    "quantile differs from its level at 5 %, “clusters” those whose violations are dependent; one in twenty rejects "
    "by chance. “PIT p” is the p-value of uniformity of the probability integral transform."
)
NOTE = (
    "coverage with 95 % CI; Kupiec, clusters: tickers, folds and seeds whose test rejects at 5 %, one in twenty by "
    "chance; PIT p: uniformity"
)


def lay_out(assessed: pl.DataFrame) -> Exhibit:
    """Build the table of quantile scores, coverage, width, and tests of the lowest quantile."""
    rows = [
        (Cell(row["variant"]), *(Cell(text, row.get(name)) for name, text in zip(SORTED_BY, _cells(row), strict=True)))
        for row in assessed.iter_rows(named=True)
    ]
    table = Table("Quantile forecasts: mean over tickers and seeds", _headers(assessed), tuple(rows))
    return Exhibit("Uncertainty", READING, NOTE, table)


def _headers(assessed: pl.DataFrame) -> tuple[str, ...]:
    head = assessed.row(0, named=True)
    held = "coverage, %" if head["Nominal"] is None else f"coverage of {100 * head['Nominal']:g} %"
    fallen = f"below q{head['Level']:g}, %" if "Level" in head else "below, %"
    return ("variant", "pinball × 1000", "CRPS × 1000", held, "width, %", fallen, "Kupiec", "clusters", "PIT p")


def _cells(row: dict[str, Any]) -> list[str]:
    """Write a row of ``assess`` for readers, without its name."""
    covered = width = fallen = kupiec = clusters = NOTHING
    if row["Nominal"] is not None:
        low, high = (f"{100 * row[f'Coverage_{end}']:.1f}" for end in ("low", "high"))
        covered, width = f"{100 * row['Coverage']:.1f} ({low} to {high})", f"{100 * row['Width']:.2f}"
    if "Level" in row:
        fallen = f"{100 * row['Fallen']:.1f}"
        kupiec, clusters = (f"{row[test]} of {row['Tests']}" for test in ("kupiec", "independence"))
    scores = [f"{1000 * row[name]:.3f}" for name in ("Pinball", "CRPS")]
    return [*scores, covered, width, fallen, kupiec, clusters, f"{row['PIT']:.3f}"]
