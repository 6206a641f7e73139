"""Probes in a study's folder and report: the networks of other studies are probed after its own units are fitted."""

from functools import partial
from pathlib import Path

from nextday.analyses.base import Analysis, Finished, Shown, Tables, settings_of
from nextday.analyses.probing.assess import assess_probes, sentences
from nextday.analyses.probing.collect import TABLES
from nextday.analyses.probing.figures import cka, probes, results
from nextday.analyses.probing.lesson import rediscovery
from nextday.analyses.probing.run import find_probed, run_probes
from nextday.data import Panel
from nextday.engine.store import Store
from nextday.engine.workers import Engine
from nextday.plugins import catalogs_of
from nextday.progress import Watch
from nextday.reporting.plates import Plate
from nextday.settings import Names, Settings
from nextday.study import Study

NAME = "probing"


class Asked(Settings):
    """Settings: the studies whose networks are probed."""

    studies: Names = ()


def asked_of(study: Study) -> tuple[str, ...]:
    """Return the studies whose networks a study probes."""
    return settings_of(study, NAME, Asked).studies


def check(study: Study, panel: Panel, out: Path) -> None:
    """Refuse studies that were not run or cannot be compared, before anything is fitted."""
    if asked := asked_of(study):
        find_probed(asked, panel, out, catalogs_of(study.plugins))


def fit(
    study: Study, panel: Panel, out: Path, store: Store, workers: Engine, *, watch: Watch, fresh: bool
) -> Tables:  # fmt: skip
    """Probe the networks of the named studies, if any."""
    asked = asked_of(study)
    if not asked:
        return {}
    catalogs = catalogs_of(study.plugins)
    return run_probes(asked, panel, out, store, workers, watch=watch, fresh=fresh, catalogs=catalogs)


def show(finished: Finished) -> Shown:
    """Describe and draw the results of probes, if there are any."""
    found, days, alike = (finished.tables[name] for name in TABLES)
    if found.is_empty():
        return Shown()
    assessed, lesson = assess_probes(found, days), rediscovery(found, days)
    return Shown(
        plates=(
            Plate("probes", "Features encoded in hidden states", partial(probes, assessed), assessed),
            Plate("cka", "Similarity of the networks", partial(cka, alike), alike),
        ),
        said={"probes": [*([f"{lesson.question} {lesson.sentence}"] if lesson else []), *sentences(assessed)]},
        findings={NAME: assessed},
        files={"results.csv": results(found)},
    )


ANALYSIS = Analysis(NAME, TABLES, Asked, check=check, fit=fit, show=show)
