"""The command line of bars: ``nextday data show``, ``check``, ``convert`` and ``fetch``."""

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nextday.cli.bars import settings_of, takes_bars
from nextday.cli.options import AllowOption, KnownOption, announce_plugins, audited, changes_of
from nextday.cli.terminal import console, print_findings
from nextday.errors import DataError, OutputError, StudyError
from nextday.names import known
from nextday.presets import presets
from nextday.progress import progress_of
from nextday.words import plural

if TYPE_CHECKING:
    import polars as pl

    from nextday.data import Bars
    from nextday.settings import BarsSettings

data_app = typer.Typer(help="Look at bars, check them, convert them, fetch them.", no_args_is_help=True)

MOST_LINES = 20  # of what a run would use and note: each of many tickers may have one
SOURCES = "sample, yahoo, a file of bars, or a folder of them"
Day = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d"], metavar="DATE", help="Such as 2015-01-31; that of the preset unless given."),
]


@data_app.command("show")
@takes_bars
def show(
    data: Annotated[str, typer.Option("--data", help=f"{SOURCES}.")] = "sample",
    *,
    bars: dict[str, object],
) -> None:
    """Show what bars there are: per ticker the first and last date, the sessions, and the size of its moves."""
    from nextday.data import load
    from nextday.reporting.tables import bars_table

    wanted = settings_of(_path(data), bars)
    loaded = load(wanted)
    console().print(bars_table(_of_tickers(loaded, wanted), loaded.source))


@data_app.command("check")
@takes_bars
def check(
    path: Annotated[str, typer.Argument(help=f"{SOURCES}; or a study, whose bars and features are looked at.")] = (
        "sample"
    ),
    data: Annotated[str | None, typer.Option(help="Bars to look at in place of the study's own.")] = None,
    exchange: Annotated[
        str, typer.Option(help="Whose sessions to compare with, such as XNYS or XNYS,BTC-USD=24/7.")
    ] = "",
    strict: Annotated[bool, typer.Option("--strict", help="Fail on any finding, not only on bad bars.")] = False,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any key of bars, or of the study, dotted.")
    ] = None,
    allow: AllowOption = None,
    known: KnownOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    *,
    bars: dict[str, object],
) -> None:
    """Check bars or a study: what a run would refuse, what a careful person would look at, what a run would use."""
    from nextday.cli.look import look, tables_of

    seen = look(_wanted(path, changes_of(settings, bars=bars | audited(allow, known), data=data)), exchange)
    if as_json:
        typer.echo(json.dumps(seen.as_dict(), indent=1))
    else:
        screen = console()
        for table in tables_of(seen):
            screen.print(table)
        print_findings(screen, seen.audit)
        for remark in seen.remarks:
            screen.print(f"note: {remark}", style="dim", markup=False, highlight=False)
        more = len(seen.used) - MOST_LINES
        for line in (*seen.used[:MOST_LINES], *([f"{more:,} more: --json shows all"] if more > 0 else [])):
            typer.echo(line)
    if seen.refused:
        raise seen.refused
    count = len(seen.findings) + sum(one.is_open for one in seen.audit)
    if strict and count:
        raise DataError(f"{seen.source}: {plural(count, 'finding')}, and --strict fails on any")


def _wanted(path: str, changes: dict[str, object]) -> "BarsSettings":
    """Return the settings of bars that a path names, or the study; no bars are fetched."""
    from nextday.study import Study

    if not (path.endswith((".yaml", ".yml")) or (path in presets() and not Path(path).exists())):
        if "data" in changes:
            raise StudyError(f"--data is for a study; {path} names bars, or is no study: a study ends in .yaml")
        return settings_of(_path(path), changes)
    study = Study.load(path, changes)
    announce_plugins(study)
    return study.model_copy(update={"data": _path(study.data)})


@data_app.command("convert")
@takes_bars
def convert(
    path: Annotated[str, typer.Argument(metavar="IN", help=f"{SOURCES}.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A file ending in .parquet.")],
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    *,
    bars: dict[str, object],
) -> None:
    """Write bars in nextday's own form, so that the options that read them are given once."""
    import polars as pl

    from nextday.data import load
    from nextday.storage.files import write_parquet

    if out.suffix != ".parquet":
        raise OutputError(f"{out}: bars are written as Parquet; name a file that ends in .parquet")
    if out.exists() and not force:
        raise OutputError(f"{out} is there already; --force writes over it")
    wanted = settings_of(_path(path), bars)
    loaded = load(wanted)
    frame = _of_tickers(loaded, wanted)
    write_parquet(out, frame)
    for note in loaded.notes:
        console().print(f"note: {note}", style="dim", markup=False, highlight=False)
    count = frame["ticker"].n_unique()
    first, last = frame.select(first=pl.min("date"), last=pl.max("date")).row(0)
    typer.echo(f"{out}: {len(frame)} bars of {plural(count, 'ticker')}, {first} to {last}")
    again = " ".join(f"--{name} {','.join(given)}" for name, given in [("accept", wanted.accept)] if given)
    typer.echo(f"use it with --data {out}{f' {again}, as the jumps are as they were' if again else ''}")


def _of_tickers(bars: "Bars", wanted: "BarsSettings") -> "pl.DataFrame":
    """Return the bars of the tickers that were asked for, and of the market."""
    unknown = [ticker for ticker in wanted.tickers if ticker not in bars.tickers]
    if unknown:
        raise DataError(f"{bars.source}: unknown ticker {unknown[0]!r}; {known(unknown[0], bars.tickers)}")
    kept = {*wanted.tickers, wanted.index} if wanted.tickers else bars.tickers
    return bars.frame.filter(bars.frame["ticker"].is_in(list(kept)))


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
    drop_bad: Annotated[bool, typer.Option("--drop-bad", help="Exclude tickers that fail.")] = False,
) -> None:
    """Fetch bars from Yahoo into a snapshot, once; an interrupted fetch goes on where it stopped."""
    from nextday.data.fetch import fetch as fetch_bars
    from nextday.data.yahoo.client import END, START, Yahoo
    from nextday.data.yahoo.preset import TICKERS

    path = fetch_bars(
        tickers.split(",") if tickers else TICKERS,
        start=start.date() if start else START, end=end.date() if end else END, source=Yahoo(), folder=out,
        twice=not once, on_problem="drop" if drop_bad else "refuse", watch=progress_of(watch=True),
        accept=accept.split(",") if accept else (),
    )  # fmt: skip
    typer.echo(f"snapshot: {path}; use it with --data {path}")


def _path(data: str) -> str:
    """Return the snapshot that ``yahoo`` stands for; nothing is fetched to be looked at."""
    from nextday.data.yahoo.preset import FOLDER, latest_snapshot

    if data != "yahoo":
        return data
    found = latest_snapshot()
    if found is None:
        raise DataError(f"there is no snapshot of Yahoo's bars in {FOLDER}; make one with nextday data fetch")
    return str(found)
