"""The command line: ``nextday run stage2``.

User errors print one line and exit with status 1, wrong usage with 2, a refuted expectation with 3, an undecided with
4.
"""

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nextday.cli.ablate import ablate, follow_up
from nextday.cli.audit import audit
from nextday.cli.bars import takes_bars
from nextday.cli.check import check
from nextday.cli.data import SOURCES, data_app
from nextday.cli.options import (
    AllowOption,
    AskOption,
    DeviceName,
    DeviceOption,
    ExpectOption,
    FreshOption,
    KnownOption,
    OutOption,
    PlantModels,
    PrecisionName,
    QuietOption,
    SetOption,
    announce,
    announce_plugins,
    audited,
    changes_of,
    load_asking,
    load_study,
)
from nextday.cli.start import complete_study, completion, init, show
from nextday.cli.terminal import console, show_study
from nextday.cli.verdict import plan, verdict
from nextday.errors import NextdayError, OptionError
from nextday.presets import LAST, presets, stages
from nextday.words import stage_label

if TYPE_CHECKING:
    from nextday.ladder.run import Comparisons
    from nextday.study import Study

STATUS = """Exit status:

0    done
1    a mistake in bars, a study or files
2    wrong usage: unknown option, missing argument, bad value of an option
3    an expectation is refuted
4    an expectation is undecided
130  stopped; the same command continues"""

app = typer.Typer(
    help="Do engineered features help to forecast the next day's stock return?", no_args_is_help=True, epilog=STATUS,
    add_completion=False, pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip
app.add_typer(data_app, name="data")

DEFAULTS = {"workers": None, "cluster": None, "store": None, "device": "auto", "fresh": False}
UsageError: Any = typer.BadParameter.__base__  # typer names its subclasses alone


def _show_version(asked: bool) -> None:
    if asked:
        from nextday import __version__

        typer.echo(f"nextday {__version__}")
        raise typer.Exit


@app.callback()
def _(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None: ...


@app.command()
@takes_bars
def run(
    study: Annotated[
        str,
        typer.Argument(
            help=f"{', '.join(presets())}; {LAST} compares what was run; all runs the stages; or a YAML file.",
            autocompletion=complete_study,
        ),
    ],
    data: Annotated[str | None, typer.Option(help=f"{SOURCES}.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds of the networks, such as 42,43 or 42-46.")] = None,
    folds: Annotated[
        int | None, typer.Option(min=1, help="Number of walk-forward test sets; models are refitted for each.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Worker processes; default: number of cores; 0: fit in this process.")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="auto|ADDRESS", help="Fit on this Ray cluster instead of local processes.")
    ] = None,
    device: DeviceOption = DeviceName.auto,
    precision: Annotated[
        PrecisionName | None,
        typer.Option(
            help="bf16: LSTM matrix products with bfloat16 operands, faster on CPUs with AVX512_BF16; Transformers "
            "use float32."
        ),
    ] = None,
    out: OutOption = Path("results"),
    store: Annotated[
        str | None,
        typer.Option(metavar="PATH|URL", help="Folder or URL of finished units; default: OUT/NAME/units."),
    ] = None,
    settings: SetOption = None,
    fresh: FreshOption = False,
    ask: AskOption = None,
    expect: ExpectOption = None,
    allow: AllowOption = None,
    known: KnownOption = None,
    plant: Annotated[
        str | None,
        typer.Option(metavar="R2,...", help="Plant signals of known R2, such as 0.01,0.05, and count what is found."),
    ] = None,
    plant_signal: Annotated[str | None, typer.Option(help="lag, volume (default), or a feature or column.")] = None,
    plants: Annotated[int | None, typer.Option(min=1, help="Copies of the bars per R2; default: 40.")] = None,
    plant_models: Annotated[
        PlantModels | None, typer.Option(help="ridge (default, in minutes), or own: the models of the study.")
    ] = None,
    quiet: QuietOption = False,
    *,
    bars: dict[str, object],
) -> None:
    """Run a study: fit missing units, write tables and plots, print the summary."""
    changes = changes_of(
        settings, bars=bars | audited(allow, known), data=data, seeds=seeds, folds=folds,
        precision=precision.value if precision else None,
    )  # fmt: skip
    options: dict[str, Any] = {
        "workers": workers, "cluster": cluster, "store": store, "device": device.value, "fresh": fresh,
    }  # fmt: skip
    if study in {LAST, "all"}:
        if ask or expect or plant:
            raise OptionError(f"--ask, --expect and --plant need a single study; {study} covers several")
        _climb(study, changes, out, options, quiet=quiet)
        return
    loaded, expected = load_asking(study, changes, ask, expect, out)
    own = {"signal": plant_signal, "plants": plants, "models": plant_models and plant_models.value}
    own = {name: value for name, value in own.items() if value is not None}
    if own and plant is None:
        raise OptionError("--plant-signal, --plants and --plant-models take --plant, the R2 of the signals")

    from nextday.expectations import hold, status_of
    from nextday.pipeline import run as run_study

    if not quiet:
        announce_plugins(loaded)
    if loaded.data == "yahoo" and not quiet:
        announce()
    if plant is not None:
        _plant(loaded, plant, own | {"out": out, "watch": not quiet, **options})
        return
    results = run_study(loaded, out=out, watch=not quiet, **options)
    outcomes = [hold(one, results.comparison) for one in expected]
    show_study(results, outcomes, quiet=quiet)
    if loaded.ablation is not None and loaded.ablation.confirm:
        follow_up(results, options, quiet=quiet)
    raise typer.Exit(status_of(outcomes))


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A study's folder, such as results/mine.")],
    quiet: QuietOption = False,
) -> None:
    """Rewrite scores, verdict, plots and report.html from a study's tables; nothing is fitted."""
    from nextday.pipeline import report as report_study

    show_study(report_study(folder), quiet=quiet)


for command in (ablate, audit, verdict, plan, check, init, show, completion):
    app.command()(command)


def _plant(study: "Study", strengths: str, options: dict[str, Any]) -> None:
    """Plant signals into copies of a study's bars, and print how often they are found."""
    from nextday.power import plant
    from nextday.reporting import exhibit_table

    try:
        wanted = [float(text) for text in strengths.split(",")]
    except ValueError:
        raise OptionError(f"--plant {strengths}: expected an R2 or several, such as 0.01,0.05") from None
    found, screen = plant(study, strengths=wanted, **options), console()
    screen.print(exhibit_table(found.exhibit()))
    screen.print(found.sentence, style="bold", markup=False, highlight=False)
    screen.print(
        f"power.csv, plants.csv, power.png, report.html: {found.out}", markup=False, highlight=False, soft_wrap=True
    )


def _climb(study: str, changes: dict[str, object], out: Path, options: dict[str, Any], *, quiet: bool) -> None:
    """Run all stages, or compare the existing ones, and print the leaderboard and the lessons."""
    if study == LAST and (changes or options != DEFAULTS):
        raise OptionError(
            f"{LAST} compares the studies in --out and takes no other option; nextday run all runs the stages"
        )
    from nextday.ladder.run import compare, run_all

    if study == "all":
        for name in stages():
            load_study(name, changes)  # a bad value of an option is wrong usage
        if changes.get("data") == "yahoo" and not quiet:
            announce()
        shown = partial(show_study, quiet=quiet)
        found = run_all(changes, out=out, watch=not quiet, show=shown, **options)
    else:
        found = compare(out)
    _show_ladder(found, quiet=quiet)


def _show_ladder(found: "Comparisons", *, quiet: bool) -> None:
    """Print the leaderboard, each question with its answer, and the folder of the files."""
    from nextday.ladder.page import leaderboard_table

    screen = console()
    screen.print(leaderboard_table(found.ladder, found.leaderboard))
    for lesson in found.lessons:
        screen.print(f"{stage_label(lesson.stage)}: {lesson.question}", style="bold", markup=False, highlight=False)
        screen.print(f"  {lesson.sentence}", markup=False, highlight=False)
    for note in () if quiet else found.notes:
        screen.print(f"note: {note}", style="dim", markup=False, highlight=False)
    files = "final_comparison.csv, plots, report.html"
    screen.print(f"{files}: {found.out}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def bench(
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of each network.")] = 3,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes; default: number of cores.")] = None,
    device: Annotated[DeviceName, typer.Option(help="cpu ignores a GPU.")] = DeviceName.auto,
) -> None:
    """Benchmark training throughput on this machine and estimate run times."""
    from nextday.bench import bench_table, measure_engines

    screen, timings = console(), []
    for timing in measure_engines(epochs=epochs, workers=workers, device=device.value):
        timings.append(timing)
        typer.echo(f"timed: {timing.engine}, {timing.device}", err=True)
    screen.print(bench_table(timings))


@app.command("list")
def list_() -> None:
    """List the studies, models, feature sets and features that a study file can use."""
    from nextday.features import FEATURES, SETS
    from nextday.features.sets import describe_set
    from nextday.models import MODELS
    from nextday.study import Study

    studies = {name: (study := Study.load(name)).question + f" ({', '.join(study.variants)})" for name in presets()}
    models = {name: (model.__doc__ or "").splitlines()[0] for name, model in MODELS.items()}
    sets = {name: describe_set(one) for name, one in SETS.items()}
    features = {name: feature.formula for name, feature in FEATURES.items()}
    for title, entries in {"studies": studies, "models": models, "feature sets": sets, "features": features}.items():
        typer.echo(typer.style(title, bold=True))
        width = max(map(len, entries))
        for name, text in entries.items():
            typer.echo(f"  {name:{width}}  {text}")


def main() -> None:
    """Run the command line; exit with status 1 on a user error, 2 on wrong usage, 130 on Ctrl-C."""
    if "_NEXTDAY_COMPLETE" in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined] # imported there for this

        completion_init()
    try:
        status = app(standalone_mode=False, prog_name="nextday")
    except NextdayError as error:
        status = _say(str(error), 2 if isinstance(error, OptionError) else 1)
    except UsageError as error:
        said = error.format_message().replace("Value error, ", "")
        status = _say(f"{said} (see nextday --help)", 2) if said else 0
    if status == 130:
        _say("stopped; finished units are reused when you run the same command again", 130)
    sys.exit(status if isinstance(status, int) else 0)


def _say(message: str, status: int) -> int:
    typer.echo("nextday: " + " ".join(message.split()), err=True)
    return status
