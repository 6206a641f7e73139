"""``nextday check``: the conformance tests of models and features, applied to a plugin."""

from typing import Annotated

import typer


def check(
    plugins: Annotated[list[str], typer.Argument(help="Plugins: files ending in .py, or installed modules.")],
) -> None:
    """Test the models and features of a plugin for leakage, reproducibility and the other assumptions of nextday."""
    from nextday.plugins import load_plugins
    from nextday.testing import faults_of

    failed = 0
    for kind, name, faults in faults_of(load_plugins(plugins)):
        failed += bool(faults)
        typer.echo(f"{kind} {name}: {'; '.join(faults) or 'passes'}")
    raise typer.Exit(1 if failed else 0)
