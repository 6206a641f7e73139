"""What several commands take: options, and the study that they make."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nextday.errors import NextdayError, OptionError, StudyError, first_line
from nextday.presets import presets

if TYPE_CHECKING:
    from nextday.expectations import Expectation
    from nextday.study import Study

AskOption = Annotated[
    list[str] | None,
    typer.Option(
        "--ask", metavar="'A - B'|@FILE", help="A contrast to answer; B may be zero. A file has one per line."
    ),
]
ExpectOption = Annotated[
    list[str] | None,
    typer.Option(
        "--expect", metavar="'A > B'|@FILE",
        help="Also < and =. Exit status 3 if the data refute it, 4 if they are inconclusive.",
    ),
]  # fmt: skip
AllowOption = Annotated[
    str | None,
    typer.Option(metavar="NAME,...", help="Alarms of the audit to accept: a column or variant, or NAME:RULE."),
]
KnownOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME=LAG,...",
        help="When values of columns were public: eps=45d after the quarter, or a column of dates.",
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes.")]


class DeviceName(StrEnum):
    """What --device takes."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


DeviceOption = Annotated[DeviceName, typer.Option(help="Device for training networks.")]
FreshOption = Annotated[bool, typer.Option("--fresh", help="Refit finished units.")]
OutOption = Annotated[Path, typer.Option(help="Folder of all results.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any key of the study, dotted.")
]
WorkersOption = Annotated[int | None, typer.Option(min=0, help="Worker processes; default: number of cores.")]


class ScaleName(StrEnum):
    """What --scale takes."""

    training = "training"
    predicted = "predicted"


class PlantModels(StrEnum):
    """What --plant-models takes."""

    ridge = "ridge"
    own = "own"


class PrecisionName(StrEnum):
    """What --precision takes."""

    float32 = "float32"
    bf16 = "bf16"


def audited(allow: str | None, known: str | None) -> dict[str, object]:
    """Return the keys of bars that the options of an audit change."""
    return {key: value for key, value in {"allow": allow, "known": known}.items() if value is not None}


def texts_of(given: list[str] | None, option: str) -> list[str]:
    """Take contrasts as they are given, and those of files named with ``@``: one a line, ``#`` starts a comment."""
    found = []
    for text in given or []:
        found += _lines(Path(text[1:]), option) if text.startswith("@") else [text.strip()]
    return found


def _lines(path: Path, option: str) -> list[str]:
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"{option} @{path} cannot be read: {first_line(error)}") from None
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise OptionError(f"{option} @{path}: the file holds no contrast")
    return found


def changes_of(
    settings: list[str] | None, *, bars: Mapping[str, object], data: str | None, seeds: str | None = None,
    folds: int | None = None, precision: str | None = None,
) -> dict[str, object]:  # fmt: skip
    """Return the keys of a study that options change; ``bars`` are those of ``takes_bars``."""
    changes: dict[str, object] = dict(_pair(setting) for setting in settings or [])
    given = {"data": data, "seeds": seeds, "training.precision": precision}
    changes |= {key: value for key, value in given.items() if value is not None} | dict(bars)
    if folds is not None:
        changes |= {"split.scheme": "walk_forward", "split.folds": folds}
    return changes


def _pair(setting: str) -> tuple[str, object]:
    """Cut KEY=VALUE; a value in brackets or braces is YAML."""
    key, equals, value = setting.partition("=")
    if not (key and equals):
        raise OptionError(f"--set {setting}: expected KEY=VALUE, such as training.max_epochs=50")
    if not value.lstrip().startswith(("[", "{")):
        return key, value
    from nextday.study import read_flow

    try:
        return key, read_flow(value)
    except StudyError as error:
        raise OptionError(f"--set {key}: {error}") from None


def load_study(study: str, changes: Mapping[str, object]) -> "Study":
    """Load a study as options change it.

    Raises
    ------
    OptionError
        If the study is right without the options.
    StudyError
        If it is wrong by itself.
    """
    from nextday.study import Study

    try:
        return Study.load(study, changes)
    except StudyError as error:
        if changes and _is_right(study):
            raise OptionError(str(error)) from None
        raise


def _is_right(study: str) -> bool:
    from nextday.study import Study

    try:
        Study.load(study)
    except StudyError:
        return False
    return True


def load_asking(
    study: str, changes: dict[str, object], ask: list[str] | None, expect: list[str] | None, out: Path
) -> tuple["Study", list["Expectation"]]:
    """Load a study that asks what ``--ask`` and ``--expect`` name, in place of what its file asks."""
    loaded = load_study(study, changes)
    if not (ask or expect):
        return loaded, []
    from nextday.expectations import join_questions, read_expectations, read_questions, written

    names = list(dict.fromkeys([*loaded.variants, *loaded.conformal, *_names_below(loaded, out)]))
    benchmark = loaded.verdict.benchmark
    try:
        expected = read_expectations(texts_of(expect, "--expect"), names, benchmark)
        asks = join_questions(read_questions(texts_of(ask, "--ask"), names, benchmark), expected)
    except StudyError as error:
        raise OptionError(str(error)) from None
    return load_study(study, changes | {"verdict.ask": [written(one) for one in asks]}), expected


def _names_below(study: "Study", out: Path) -> list[str]:
    """Name the variants of the study below, as it was run or as it ships."""
    if not study.below:
        return []
    from nextday.storage.folder import StudyFolder
    from nextday.study import Study

    try:
        below = Study.from_values(StudyFolder(out / study.below).manifest()["study"])
    except NextdayError:
        below = Study.load(study.below) if study.below in presets() else study
    return [*below.variants, *below.conformal]


def announce_plugins(study: "Study") -> None:
    """Describe whose code is about to run."""
    for name in study.plugins:
        typer.echo(f"plugin {name}: its code runs now", err=True)


def announce() -> None:
    """Describe that bars are about to be fetched, where they are not there yet."""
    from nextday.data.yahoo.preset import FOLDER, TICKERS, latest_snapshot

    if latest_snapshot() is None:
        typer.echo(f"no snapshot of Yahoo's bars in {FOLDER} yet: fetching {len(TICKERS)} tickers, once", err=True)
