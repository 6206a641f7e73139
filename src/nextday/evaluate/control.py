"""The positive control: what the same networks find on the same days where there is something to find, volatility."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nextday.errors import NextdayError
from nextday.evaluate.wording import interval
from nextday.presets import CONTROL
from nextday.storage.folder import StudyFolder
from nextday.study import TARGETS, Study


@dataclass(frozen=True, slots=True)
class Control:
    """The finding of a finished control, in a sentence; ``finds`` is whether any network finds volatility."""

    sentence: str
    finds: bool


def read_control(out: Path, study: Study | None, index_hash: str) -> Control | None:
    """Read the control in a folder of results; None if there is none, or it has other tickers or days.

    Parameters
    ----------
    out
        Folder of all studies' results.
    study
        The study beside which it is shown, for the networks that both have; None for all of a folder.
    index_hash
        Digest of its (ticker, origin) pairs.
    """
    folder = StudyFolder(out / CONTROL)
    if study is not None and study.name == CONTROL:
        return None
    try:
        control = Study.from_values(folder.manifest()["study"])
        said = folder.verdict()
        found = {one["first"]: one for one in said["against_benchmark"]}
        if said["index_hash"] != index_hash:
            return None
        networks = {name for name, seeds in said["counts"]["seeds"].items() if seeds and name in found}
        alike = study is not None and (study.training, study.lookback) == (control.training, control.lookback)
        own = list(study.variants.values()) if study and alike else []
        shared = {name for name in networks if control.variants[name] in own}
        asked = [one for name, one in found.items() if name in (shared or networks)]
        return _said(asked, TARGETS[control.target], said["benchmark"], shared=bool(shared))
    except (NextdayError, OSError, ValueError, KeyError, TypeError):
        return None  # unfinished, or of another version


def _said(asked: list[dict[str, Any]], what: str, benchmark: str, *, shared: bool) -> Control:
    better = [one for one in asked if one["relation"] == ">"]
    if better:
        top = max(better, key=lambda one: one["estimate"])
        figures = interval(top["estimate"], top["low"], top["high"])
        return Control(
            f"Control: on these bars and days {'the same networks' if shared else 'networks'} find {figures} where "
            f"there is something to find ({top['first']} against {benchmark}, {what}).",
            finds=True,
        )
    withheld = [one["withheld"] for one in asked if one["withheld"]]
    if withheld:
        return Control(
            f"Control: withheld ({withheld[0]}); it does not show whether these networks could find anything.",
            finds=False,
        )
    return Control(
        f"Control: on these bars and days the networks do not find even {what}, which is known to be predictable; "
        "nothing can be concluded from what they do not find here.",
        finds=False,
    )
