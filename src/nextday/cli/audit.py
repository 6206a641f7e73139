"""``nextday audit``: whether columns, functions, forecasts or a newer file contain data of days still to come."""

from typing import Annotated

import typer

from nextday.cli.bars import settings_of, takes_bars
from nextday.cli.options import AllowOption, KnownOption, QuietOption, audited
from nextday.cli.terminal import console, print_findings


@takes_bars
def audit(
    source: Annotated[str, typer.Argument(help="Bars, or a table of forecasts: a file, a folder of bars, or sample.")],
    before: Annotated[str | None, typer.Option(help="An older vintage of the bars, to compare with.")] = None,
    features: Annotated[
        str | None,
        typer.Option(metavar="FILE.py:NAME", help="A function from bars to columns, for other futures."),
    ] = None,
    forecaster: Annotated[
        str | None, typer.Option(metavar="FILE.py:NAME", help="A function from bars to forecasts, for other futures.")
    ] = None,
    prices: Annotated[
        str | None, typer.Option("--bars", help="Bars to hold the actual values of a table of forecasts against.")
    ] = None,
    known: KnownOption = None,
    allow: AllowOption = None,
    cuts: Annotated[int, typer.Option(min=8, help="Days at which the future is cut off and rewritten.")] = 24,
    quiet: QuietOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    *,
    bars: dict[str, object],
) -> None:
    """Look for data of the future in columns, functions of bars, or forecasts. Exit status 1 on an alarm."""
    from nextday.evaluate.export import dump
    from nextday.examination import audit as examine
    from nextday.plugins import load_function

    found = examine(
        source, before=before, bars=prices, features=load_function(features) if features else None,
        forecaster=load_function(forecaster) if forecaster else None, cuts=cuts,
        settings=settings_of(source, bars | audited(allow, known)),
    )  # fmt: skip
    if as_json:
        typer.echo(dump(found.to_dict()))
    else:
        screen = console()
        print_findings(screen, [one for one in found.findings if not quiet or one.level != "note"])
        screen.print(found.sentence, style="bold", markup=False, highlight=False)
    raise typer.Exit(found.status)
