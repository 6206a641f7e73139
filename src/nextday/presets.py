"""Names of the studies that ship with nextday; they are read by ``study``."""

import re
from importlib import resources

PRESETS = resources.files("nextday") / "studies"
STAGE = re.compile(r"stage\d+")  # names of the presets that build on one another
LAST = "stage7"  # compares the other stages, and so is no study
CONTROL = "control"  # the preset that shows whether networks find anything


def presets() -> list[str]:
    """Names of the studies that ship with nextday: the stages in their order, then the others."""
    names = [entry.name.removesuffix(".yaml") for entry in PRESETS.iterdir() if entry.name.endswith(".yaml")]
    return sorted(names, key=lambda name: (not STAGE.fullmatch(name), name))


def stages() -> list[str]:
    """Names of the presets that ``nextday run all`` runs one after the other."""
    return [name for name in presets() if STAGE.fullmatch(name)]
