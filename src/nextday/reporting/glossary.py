"""The words of the verdict and of the reports, explained; the documentation shows the same file."""

from importlib import resources

import yaml


def glossary() -> dict[str, str]:
    """Return the explanation of every term, in alphabetical order."""
    return yaml.safe_load((resources.files("nextday.reporting") / "glossary.yaml").read_text("utf-8"))
