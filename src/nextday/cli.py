"""The command line: ``nextday run stage2``. Every mistake a user can mend is one line and exit status 1."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nextday.cli_data import SOURCES, data_app
from nextday.errors import NextdayError, StudyError
from nextday.study import LAST, Study, presets
from nextday.terminal import console, watch

if TYPE_CHECKING:
    from nextday.evaluate import Comparison, Verdict
    from nextday.ladder import Comparisons
    from nextday.pipeline import Results

app = typer.Typer(
    help="Do engineered features help to forecast the next day's stock return?", no_args_is_help=True,
    add_completion=False, pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip
app.add_typer(data_app, name="data")

DEFAULTS = {"workers": None, "cluster": None, "store": None, "device": "auto", "precision": "float32", "fresh": False}
UsageError: Any = typer.BadParameter.__base__  # typer names its subclasses alone


class DeviceName(StrEnum):
    """What --device takes."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class PrecisionName(StrEnum):
    """What --precision takes."""

    float32 = "float32"
    bf16 = "bf16"


@app.command()
def run(
    study: Annotated[
        str, typer.Argument(help=f"{', '.join(presets())}; {LAST} compares them; all runs them all; or a YAML file.")
    ],
    data: Annotated[str | None, typer.Option(help=f"{SOURCES}.")] = None,
    market: Annotated[str | None, typer.Option(help="Ticker of the market factor.")] = None,
    tickers: Annotated[
        str | None, typer.Option(help="What to forecast, such as AAPL,KO; all but the market unless given.")
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds of the networks, such as 42,43,44.")] = None,
    folds: Annotated[
        int | None, typer.Option(help="Walk forward over so many test ranges, fitting again for each.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes; the cores unless given; 0 fits in this one.")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="auto|ADDRESS", help="Fit on this Ray cluster, in place of processes.")
    ] = None,
    device: Annotated[DeviceName, typer.Option(help="Where networks train.")] = DeviceName.auto,
    precision: Annotated[
        PrecisionName,
        typer.Option(
            help="bf16 rounds what LSTM layers multiply, faster on CPUs with AVX512_BF16; Transformers stay float32."
        ),
    ] = PrecisionName.float32,
    out: Annotated[Path, typer.Option(help="Folder of all results.")] = Path("results"),
    store: Annotated[
        str | None,
        typer.Option(metavar="PATH|URL", help="Folder of finished units, or its URL; OUT/NAME/units unless given."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any key of the study, dotted.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Fit finished units again.")] = False,
    drop_bad: Annotated[bool, typer.Option("--drop-bad", help="Leave out tickers with bad bars.")] = False,
) -> None:
    """Run a study: fit what is missing, write tables and plots, print the summary."""
    changes: dict[str, object] = dict(_pair(setting) for setting in settings or [])
    given = {"data": data, "market": market, "tickers": tickers, "seeds": seeds}
    changes |= {key: value for key, value in given.items() if value is not None}
    if drop_bad:
        changes["drop_bad"] = True
    if folds is not None:
        changes |= {"split.scheme": "walk_forward", "split.folds": folds}
    options: dict[str, Any] = {
        "workers": workers, "cluster": cluster, "store": store, "device": device.value,
        "precision": precision.value, "fresh": fresh,
    }  # fmt: skip
    if study in {LAST, "all"}:
        _climb(study, changes, out, options)
        return
    loaded = Study.load(study, changes)

    from nextday.pipeline import run as run_study

    if loaded.data == "yahoo":
        _announce()
    results = run_study(loaded, out=out, watch=watch, **options)
    _show(results)


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="A study's folder, such as results/stage2.")]) -> None:
    """Write scores, verdict, plots and report.html anew from a study's tables; nothing is fitted."""
    from nextday.pipeline import report as report_study

    _show(report_study(folder))


@app.command()
def verdict(
    file: Annotated[Path, typer.Argument(help="Parquet or CSV: variant, ticker, origin, actual, predicted[, seed].")],
    benchmark: Annotated[
        str | None, typer.Option(help="Variant to measure skill against; the zero forecast unless given.")
    ] = None,
    loss: Annotated[str, typer.Option(help="squared, absolute, miss, or a column that holds a loss.")] = "squared",
    margin: Annotated[
        float | None, typer.Option(min=1e-6, help="Differences of skill below it do not matter; 0.01 is 1 %.")
    ] = None,
    pooled: Annotated[
        str, typer.Option(metavar="A,B", help="Variants of which one network forecasts all tickers.")
    ] = "",
    alpha: Annotated[float, typer.Option(min=1e-4, max=0.4, help="Error rate of all intervals together.")] = 0.05,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare forecasts that were made anywhere."""
    from nextday.evaluate import as_dict, compare, judge, load_forecasts, measure

    losses = measure(load_forecasts(file), loss=loss, benchmark=benchmark, pooled=pooled.split(","))
    comparison = compare(losses, margin=margin, alpha=alpha)
    judged = judge(comparison)
    if as_json:
        typer.echo(json.dumps(as_dict(comparison, judged), indent=1))
    else:
        _show_verdict(comparison, judged)


def _climb(study: str, changes: dict[str, object], out: Path, options: dict[str, Any]) -> None:
    """Run all stages, or compare those that are there, and print the leaderboard and the lessons."""
    if study == LAST and (changes or options != DEFAULTS):
        raise StudyError(f"{LAST} compares what is in --out and takes no other option; nextday run all runs the stages")
    from nextday.ladder import compare_stages, run_all

    if study == "all":
        if changes.get("data") == "yahoo":
            _announce()
        found = run_all(changes, out=out, watch=watch, show=_show, **options)
    else:
        found = compare_stages(out)
    _show_ladder(found)


def _show_ladder(found: "Comparisons") -> None:
    """Print the leaderboard, what was learned, and where the files are."""
    from nextday.report.ladder_page import leaderboard_table

    screen = console()
    screen.print(leaderboard_table(found.ladder, found.leaderboard))
    for lesson in found.lessons:
        screen.print(f"{lesson.stage}: {lesson.question}", style="bold", markup=False, highlight=False)
        screen.print(f"  {lesson.sentence}", markup=False, highlight=False)
    for note in found.notes:
        screen.print(f"note: {note}", style="dim", markup=False, highlight=False)
    files = "final_comparison.csv, plots, report.html"
    screen.print(f"{files}: {found.out}", markup=False, highlight=False, soft_wrap=True)


def _show(results: "Results") -> None:
    """Print the summary, the verdict and where the files are."""
    from nextday.report import contrasts_table, summary_table, uncertainty_table

    study, screen = results.study, console()
    screen.print(summary_table(results.scores, f"{study.name}: {study.question}" if study.question else study.name))
    if len(results.uncertainty):
        screen.print(uncertainty_table(results.uncertainty))
    _show_verdict(results.comparison, results.verdict)
    if results.rung:
        screen.print(contrasts_table(results.rung, f"skill against the networks of {study.below}"))
    hidden = len(results.notes) - 3
    for note in results.notes[:3] + ((f"{hidden} more in manifest.json",) if hidden > 0 else ()):
        screen.print(f"note: {note}", style="dim", markup=False, highlight=False)
    screen.print(f"tables, plots, report.html: {results.out}", markup=False, highlight=False, soft_wrap=True)


def _show_verdict(comparison: "Comparison", judged: "Verdict") -> None:
    from nextday.report import contrasts_table

    screen = console()
    screen.print(contrasts_table(comparison))
    screen.print(judged.sentence, style="bold", markup=False, highlight=False)
    for remark in judged.remarks:
        screen.print(f"- {remark}", markup=False, highlight=False)


@app.command()
def bench(
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of each network.")] = 3,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; the cores unless given.")] = None,
    device: Annotated[DeviceName, typer.Option(help="cpu leaves a GPU out.")] = DeviceName.auto,
) -> None:
    """Time this machine: units per minute by engine and device, and what studies of several sizes would take."""
    from nextday.bench import bench_table, measure_engines

    screen, timings = console(), []
    for timing in measure_engines(epochs=epochs, workers=workers, device=device.value):
        timings.append(timing)
        typer.echo(f"timed: {timing.engine}, {timing.device}", err=True)
    screen.print(bench_table(timings))


@app.command("list")
def list_() -> None:
    """Show the studies, models, feature sets and features that a study file can name."""
    from nextday.features import FEATURE_SETS, FEATURES
    from nextday.models import MODELS

    studies = {name: (study := Study.load(name)).question + f" ({', '.join(study.variants)})" for name in presets()}
    models = {name: (model.__doc__ or "").splitlines()[0] for name, model in MODELS.items()}
    sets = {name: ", ".join(features) for name, features in FEATURE_SETS.items()}
    features = {name: feature.formula for name, feature in FEATURES.items()}
    for title, entries in {"studies": studies, "models": models, "feature sets": sets, "features": features}.items():
        typer.echo(typer.style(title, bold=True))
        width = max(map(len, entries))
        for name, text in entries.items():
            typer.echo(f"  {name:{width}}  {text}")


def _announce() -> None:
    """Say that bars are about to be fetched, where they are not there yet."""
    from nextday.data.preset import FOLDER, TICKERS, latest_snapshot

    if latest_snapshot() is None:
        typer.echo(f"no snapshot of Yahoo's bars in {FOLDER} yet: fetching {len(TICKERS)} tickers, once", err=True)


def _pair(setting: str) -> tuple[str, str]:
    key, equals, value = setting.partition("=")
    if not (key and equals):
        raise StudyError(f"--set {setting}: expected KEY=VALUE, such as training.max_epochs=50")
    return key, value


def main() -> None:
    """Run the command line; turn a mistake into one line and status 1, Ctrl-C into 130."""
    try:
        status = app(standalone_mode=False)
    except NextdayError as error:
        status = _say(str(error), 1)
    except UsageError as error:
        said = error.format_message()
        status = _say(f"{said} (nextday --help lists what there is)", 1) if said else 0
    if status == 130:
        _say("stopped; finished units are kept, the same command goes on from here", 130)
    sys.exit(status if isinstance(status, int) else 0)


def _say(message: str, status: int) -> int:
    typer.echo("nextday: " + " ".join(message.split()), err=True)
    return status
