"""The command line of bars: ``nextday data show``, ``check`` and ``fetch``."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from nextday.cli.terminal import console, watch
from nextday.errors import DataError

if TYPE_CHECKING:
    from nextday.data import Finding, Panel

data_app = typer.Typer(help="Look at bars, check them, fetch them.", no_args_is_help=True)

SOURCES = "sample, yahoo, a Parquet or CSV file, or a folder of them"
Source = Annotated[str, typer.Argument(help=f"{SOURCES}.")]
Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="DATE")]


@data_app.command("show")
def show(
    data: Annotated[str, typer.Option("--data", help=f"{SOURCES}.")] = "sample",
    adjusted: Annotated[bool, typer.Option("--adjusted", help="Closes are adjusted already.")] = False,
) -> None:
    """Show what bars there are: per ticker the first and last date, the sessions, and the size of its moves."""
    from nextday.data import load_bars
    from nextday.reporting.tables import bars_table

    bars = load_bars(_path(data), adjusted=adjusted)
    console().print(bars_table(bars.frame, bars.source))


@data_app.command("check")
def check(
    path: Source = "sample",
    market: Annotated[str, typer.Option(help="Ticker of the market factor.")] = "SPY",
    exchange: Annotated[
        str, typer.Option(help="Whose sessions to compare with, such as XNYS or XNYS,BTC-USD=24/7.")
    ] = "",
    accept: Annotated[str, typer.Option(help="Tickers whose jumps are real, such as AIG,C; * for all.")] = "",
    adjusted: Annotated[bool, typer.Option("--adjusted", help="Closes are adjusted already.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on any finding, not only on bad bars.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:  # fmt: skip
    """Check bars: what a run would refuse, what a careful person would look at, what a run would use."""
    from nextday.data import Calendar, align, check_bars, check_keys, load_bars, read_bars, survivors
    from nextday.data.jumps import REFUSED

    frame, source, notes = read_bars(_path(path), adjusted=adjusted)
    check_keys(frame, source)
    accepted = tuple(filter(None, (part.strip() for part in accept.split(","))))
    findings = check_bars(frame, accept=accepted, calendar=Calendar.parse(exchange) if exchange else None)
    remarks = [*notes, *filter(None, [survivors(frame)])]
    bad = sorted({finding.ticker for finding in findings if finding.fatal})
    used = [] if bad else _describe(align(load_bars(frame, accept=accepted), market=market), source)
    if as_json:
        said = {"source": source, "findings": [finding.as_dict() for finding in findings], "remarks": [*remarks, *used]}
        typer.echo(json.dumps(said, indent=1))
    else:
        if findings:
            console().print(_findings_table(findings, source))
        for remark in remarks:
            console().print(f"note: {remark}", style="dim", markup=False, highlight=False)
        for line in used:
            typer.echo(line)
    if bad:
        jumps = sorted({finding.ticker for finding in findings if finding.rule in REFUSED})
        real = f", or say that jumps are real with --set accept={','.join(jumps[:10])}" if jumps else ""
        raise DataError(
            f"{source}: bars of {', '.join(bad[:10])}{' ...' if len(bad) > 10 else ''} cannot be used; mend them, or "
            f"leave these tickers out of a run with --drop-bad{real}"
        )
    if strict and findings:
        raise DataError(f"{source}: {len(findings)} findings, and --strict fails on any")


def _findings_table(findings: Sequence["Finding"], title: str) -> Table:
    """Lay out what was found in bars, one row per ticker and rule."""
    table = Table(title=f"findings: {title}", title_justify="left")
    for header in ("", "ticker", "finding", "first on", "bars", "evidence"):
        table.add_column(header, justify="right" if header == "bars" else "left", no_wrap=header != "evidence")
    for finding in findings:
        mark = Text("bad", style="bold red") if finding.fatal else Text("look", style="yellow")
        table.add_row(
            mark, Text(finding.ticker), finding.rule, str(finding.on), str(finding.bars), Text(finding.evidence)
        )
    return table


def _describe(panel: "Panel", source: str) -> list[str]:
    """Say what a run would use, and what it would leave out."""
    return [
        f"{source}: {len(panel.tickers)} tickers and the market {panel.market} on {len(panel.dates)} common sessions, "
        f"{panel.dates[0]} to {panel.dates[-1]}; they can be used",
        *(
            f"{ticker}: {count} sessions are not common to all and would be left out"
            for ticker, count in panel.dropped.items()
            if count
        ),
    ]


@data_app.command("fetch")
def fetch(
    tickers: Annotated[
        str, typer.Option(help="What to fetch, such as AAPL,BTC-USD,SPY; the ladder's own universe unless given.")
    ] = "",
    start: Day = None,
    end: Day = None,
    out: Annotated[Path, typer.Option(help="Folder of snapshots.")] = Path("bars"),
    once: Annotated[bool, typer.Option("--once", help="Download every ticker once, not twice to compare.")] = False,
    accept: Annotated[str, typer.Option(help="Tickers whose jumps are real, such as AIG,C.")] = "",
    drop_bad: Annotated[bool, typer.Option("--drop-bad", help="Leave out tickers that fail.")] = False,
) -> None:
    """Fetch bars from Yahoo into a snapshot, once; an interrupted fetch goes on where it stopped."""
    from nextday.data.fetch import fetch as fetch_bars
    from nextday.data.yahoo.client import END, START, Yahoo
    from nextday.data.yahoo.preset import TICKERS

    path = fetch_bars(
        tickers.split(",") if tickers else TICKERS,
        start=start.date() if start else START, end=end.date() if end else END, source=Yahoo(), folder=out,
        twice=not once, on_problem="drop" if drop_bad else "refuse", watch=watch,
        accept=accept.split(",") if accept else (),
    )  # fmt: skip
    typer.echo(f"snapshot: {path}; use it with --data {path}")


def _path(data: str) -> str:
    """Give the snapshot that ``yahoo`` stands for; nothing is fetched to be looked at."""
    from nextday.data.yahoo.preset import FOLDER, latest_snapshot

    if data != "yahoo":
        return data
    found = latest_snapshot()
    if found is None:
        raise DataError(f"there is no snapshot of Yahoo's bars in {FOLDER}; make one with nextday data fetch")
    return str(found)
