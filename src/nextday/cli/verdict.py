"""The commands ``plan`` and ``verdict``: power before a run, and the verdict on any forecasts."""

import json
from pathlib import Path
from typing import Annotated

import typer

from nextday.cli.bars import takes_bars
from nextday.cli.options import (
    AllowOption,
    AskOption,
    DeviceName,
    DeviceOption,
    ExpectOption,
    OutOption,
    QuietOption,
    ScaleName,
    SetOption,
    WorkersOption,
    announce,
    changes_of,
    load_asking,
    texts_of,
)
from nextday.cli.start import StudyName
from nextday.cli.terminal import console, show_verdict
from nextday.errors import OptionError, StudyError


def verdict(
    file: Annotated[
        Path,
        typer.Argument(
            help="Parquet or CSV (also .gz): variant, ticker, origin, actual, predicted[, seed]; - is standard input.",
            allow_dash=True,
        ),
    ],
    benchmark: Annotated[
        str | None, typer.Option(help="Variant against which skill is measured; default: the zero forecast.")
    ] = None,
    loss: Annotated[
        str,
        typer.Option(
            help="squared, absolute, miss (directional error), pinball; ic, rank_ic, spread; or a column with a loss."
        ),
    ] = "squared",
    scale: Annotated[
        ScaleName, typer.Option(help="predicted: divide squared errors by the predicted variance of the day.")
    ] = ScaleName.training,
    margin: Annotated[
        float | None, typer.Option(min=1e-6, help="Smaller differences of skill are negligible; 0.01 is 1 %.")
    ] = None,
    pooled: Annotated[
        str, typer.Option(metavar="A,B", help="Variants in which one network forecasts all tickers.")
    ] = "",
    alpha: Annotated[float, typer.Option(min=1e-4, max=0.4, help="Joint error rate of the intervals.")] = 0.05,
    ask: AskOption = None,
    expect: ExpectOption = None,
    allow: AllowOption = None,
    quiet: QuietOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare the forecasts in a table from any source, and answer the asked contrasts."""
    from nextday.evaluate.export import dump
    from nextday.judgement import verdict as judge_table

    try:
        judged = judge_table(
            file, benchmark=benchmark, loss=loss, scale=scale.value, margin=margin, alpha=alpha, pooled=pooled,
            ask=texts_of(ask, "--ask"), expect=texts_of(expect, "--expect"), allow=allow or (),
        )  # fmt: skip
    except StudyError as error:  # of what is asked and expected; the table's are others
        raise OptionError(str(error)) from None
    if as_json:
        typer.echo(dump(judged.to_dict()))
        for outcome in () if quiet else judged.outcomes:
            typer.echo(str(outcome), err=True)
    else:
        show_verdict(judged.comparison, judged.verdict, judged.outcomes, quiet=quiet)
    raise typer.Exit(judged.status)


@takes_bars
def plan(
    study: StudyName,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FOLDER", help="Finished study to extrapolate; default: OUT/NAME, else a pilot."
        ),
    ] = None,
    data: Annotated[str | None, typer.Option(help="As for run.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds of the networks, such as 42,43 or 42-46.")] = None,
    folds: Annotated[int | None, typer.Option(min=1, help="Number of walk-forward test sets.")] = None,
    workers: WorkersOption = None,
    device: DeviceOption = DeviceName.auto,
    out: OutOption = Path("results"),
    settings: SetOption = None,
    ask: AskOption = None,
    quiet: QuietOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    *,
    bars: dict[str, object],
) -> None:
    """Estimate the run time and the power of a study before running it."""
    from nextday.planning import plan as plan_study
    from nextday.planning import plan_tables

    changes = changes_of(settings, bars=bars, data=data, seeds=seeds, folds=folds)
    loaded, _ = load_asking(study, changes, ask, None, out)
    if loaded.data == "yahoo" and not quiet:
        announce()
    prospect = plan_study(loaded, out=out, source=source, workers=workers, device=device.value, watch=not quiet)
    if as_json:
        typer.echo(json.dumps(prospect.to_dict(), indent=1, allow_nan=False))
        return
    screen = console()
    for table in plan_tables(prospect):
        screen.print(table)
    for note in () if quiet else prospect.notes:
        screen.print(f"- {note}", markup=False, highlight=False)
