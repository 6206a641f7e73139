"""Commands to start from: files of a study of one's own, the YAML of any study, completion in the shell."""

import importlib.util
import re
import sys
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from nextday.errors import OptionError, OutputError, StudyError
from nextday.presets import LAST, presets

TEMPLATES = resources.files("nextday") / "templates"
FILES = {".yaml": "study.yaml", ".py": "plugin.py"}


class Shell(StrEnum):
    """The shells that ``completion`` knows."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


def complete_study(incomplete: str) -> list[str]:
    """Return what may stand for a study: those that ship with nextday, and YAML files."""
    files = [str(path) for path in sorted(Path().glob("*.yaml"))]
    return [name for name in (*presets(), LAST, "all", *files) if name.startswith(incomplete)]


StudyName = Annotated[
    str, typer.Argument(help="A study that ships with nextday, or a YAML file.", autocompletion=complete_study)
]


def init(name: Annotated[str, typer.Argument(help="Name of the study and of its two files.")]) -> None:
    """Write NAME.yaml and NAME.py to start from: a commented study, and a plugin with a feature and a model."""
    from nextday.storage.files import write_atomically

    name = re.sub(r"\.(ya?ml|py)$", "", name)
    _refuse(name)
    paths = {Path(f"{name}{ending}"): TEMPLATES / file for ending, file in FILES.items()}
    for path in paths:
        if path.exists():
            raise OutputError(f"{path} exists, and nothing is overwritten; choose another name, or move it away")
    for path, template in paths.items():
        write_atomically(path, template.read_text("utf-8").replace("NAME", name).encode())
    typer.echo(f"{' and '.join(map(str, paths))} written. Next:")
    typer.echo(f"  nextday check {name}.py     # does the feature use the future?")
    typer.echo(f"  nextday run {name}.yaml     # runs as it is, on the sample")
    typer.echo(f"  nextday plan {name}.yaml    # what differences it can detect, before long runs")


def _refuse(name: str) -> None:
    """Refuse a name that no study can have, or whose Python file would hide a module."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", name):
        raise OptionError(
            f"a study's name is made of letters, digits and . _ -, first a letter or a digit; got {name!r}"
        )
    if name in {*presets(), LAST, "all"}:
        raise OptionError(f"{name} is a study that ships with nextday; choose another name, or see nextday show {name}")
    if name.isidentifier() and not Path(f"{name}.py").exists() and _is_module(name):
        raise OptionError(f"{name}.py would hide the Python module {name} from programs beside it; choose another name")


def _is_module(name: str) -> bool:
    return name in sys.stdlib_module_names or importlib.util.find_spec(name) is not None


def show(
    study: StudyName,
    full: Annotated[bool, typer.Option("--full", help="Every key with its value, defaults too.")] = False,
) -> None:
    """Print the YAML of a study, to read or to redirect to a file and change."""
    import yaml

    from nextday.study import Study, text_of

    if study in {LAST, "all"}:
        raise StudyError(f"{study} runs or compares other studies and has no YAML; known: {', '.join(presets())}")
    loaded, text = Study.load(study), text_of(study)
    if full:
        values = loaded.model_dump(mode="json", exclude_none=True)
        first = {key: values[key] for key in ("name", "question")}
        text = yaml.safe_dump(first | values, sort_keys=False, allow_unicode=True, width=120)
    typer.echo(text, nl=not text.endswith("\n"))


def completion(shell: Annotated[Shell, typer.Argument(help="Your shell.")]) -> None:
    """Print a script that completes commands, options and studies: eval "$(nextday completion bash)"."""
    from typer.completion import get_completion_script  # type: ignore[attr-defined] # imported there for this

    typer.echo(get_completion_script(prog_name="nextday", complete_var="_NEXTDAY_COMPLETE", shell=shell.value))
