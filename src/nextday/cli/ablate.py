"""``nextday ablate``: which groups of features help."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nextday.cli.bars import takes_bars
from nextday.cli.data import SOURCES
from nextday.cli.options import (
    DeviceName,
    DeviceOption,
    FreshOption,
    OutOption,
    QuietOption,
    SetOption,
    WorkersOption,
    announce_plugins,
    changes_of,
    load_study,
)
from nextday.cli.terminal import show_study
from nextday.errors import OptionError

if TYPE_CHECKING:
    from nextday.study import Study


@takes_bars
def ablate(
    study: Annotated[str | None, typer.Argument(help="A YAML file with the key ablation; or --features.")] = None,
    features: Annotated[
        Path | None, typer.Option(help="A table with date, ticker and features: each column is a group of its own.")
    ] = None,
    lag: Annotated[
        int | None,
        typer.Option(min=0, help="Sessions that pass before a value of --features is known; 0: at its own close."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="One model or several, such as lstm,ridge.")] = None,
    base: Annotated[str | None, typer.Option(help="The feature set that every run has; default: raw.")] = None,
    design: Annotated[
        str | None, typer.Option(help="orthogonal, full, leave_one_out, add_one_in; several with commas.")
    ] = None,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Fit the groups that help, and the others, again on fresh seeds.")
    ] = False,
    data: Annotated[str | None, typer.Option(help=f"{SOURCES}.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds of the networks, such as 42,43; two suffice.")] = None,
    workers: WorkersOption = None,
    device: DeviceOption = DeviceName.auto,
    out: OutOption = Path("results"),
    settings: SetOption = None,
    fresh: FreshOption = False,
    quiet: QuietOption = False,
    *,
    bars: dict[str, object],
) -> None:
    """Find the groups of features that help: fit the runs of a design, and judge the effect of each group."""
    changes = changes_of(settings, bars=bars, data=data, seeds=seeds)
    own = {"model": model, "base": base, "design": design, "confirm": "true" if confirm else None}
    changes |= {f"ablation.{key}": value for key, value in own.items() if value is not None}
    loaded = _study(study, features, lag, changes)
    if loaded.ablation is None:
        raise OptionError(f"{study} has no key ablation; add one, or name a table of features with --features")
    if not quiet:
        announce_plugins(loaded)

    from nextday.pipeline import run

    options: dict[str, Any] = {"workers": workers, "device": device.value, "fresh": fresh}
    results = run(loaded, out=out, watch=not quiet, **options)
    show_study(results, quiet=quiet)
    if loaded.ablation.confirm:
        follow_up(results, options, quiet=quiet)


def follow_up(results: Any, options: dict[str, Any], *, quiet: bool) -> None:  # noqa: ANN401 - imported late
    """Run and show the study that confirms an ablation; say so where no group helps."""
    from nextday.confirmation import CHOSEN, confirm, helpful

    if not helpful(results):
        typer.echo(f"no group helps, so there are no {CHOSEN} to confirm", err=True)
        return
    show_study(confirm(results, watch=not quiet, **options), quiet=quiet)


def _study(study: str | None, features: Path | None, lag: int | None, changes: dict[str, object]) -> "Study":
    """Load a study, or make one of a table of features."""
    if (study is None) == (features is None):
        raise OptionError("name a study with the key ablation, or a table of features with --features")
    if features is None:
        return load_study(str(study), changes)
    if lag is None:
        raise OptionError(
            "--features needs --lag, the sessions that pass before a value is known: 0 where it is known at the close "
            "of its own date, 1 at the close of the next session"
        )
    from nextday.data.also import KEYS, read_values
    from nextday.settings import Also
    from nextday.study import Study, set_key

    table, _ = read_values(Also(file=str(features), lag=lag), names=(), others={})
    groups = {name: [name] for name in table.columns if name not in KEYS}
    values: dict[str, Any] = {
        "name": features.stem, "question": f"Which features of {features.name} help?", "ablation": {"groups": groups},
        "also": [{"file": str(features), "lag": lag}],
    }  # fmt: skip
    for key, value in changes.items():
        set_key(values, key, value)
    return Study.from_values(values, where="ablate")
