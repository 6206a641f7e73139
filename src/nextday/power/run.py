"""Plant signals of several strengths into copies of a study's bars, and count how often the study finds them."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np
import polars as pl

from nextday.cards import card, link
from nextday.data import Panel
from nextday.engine import Execution, Options, Store, make_plan, open_store, open_workers
from nextday.engine.collect import collect
from nextday.engine.execute import Outcome
from nextday.engine.plan import code_fingerprint
from nextday.engine.workers import Engine
from nextday.errors import StudyError, TrainingError
from nextday.evaluate import asked_by, compare, measure
from nextday.evaluate.contrasts import finding_of
from nextday.evaluate.parts import split
from nextday.evaluate.question import alike_of
from nextday.features import resolve_sets
from nextday.pipeline import read_panel
from nextday.plugins import catalogs_of
from nextday.power.page import Models, exhibit_of, plate_of, render_power
from nextday.power.plants import SIGNALS, mirror
from nextday.power.plants import plant as plant_signal
from nextday.power.rates import Found, rates_of, sentence_of, unit_of
from nextday.progress import STOPPED, progress_of
from nextday.reporting import Exhibit
from nextday.storage.files import open_folder, write_atomically
from nextday.storage.folder import REPORT
from nextday.study import PLANTED, Study

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

STRENGTHS = (0.01, 0.02, 0.05, 0.09)
PLANTS = 40
REPLICATES = 2000  # of dates: only whether an interval excludes zero counts
SHOWN = ("estimate", "low", "high")


@dataclass(frozen=True, slots=True)
class Plant:
    """One copy of a panel with a signal; the complete input of a worker."""

    study: Study
    panel: Panel
    signal: str
    strength: float
    number: int

    def __str__(self) -> str:
        return unit_of(self.strength, self.number)

    def run(self) -> dict[str, np.ndarray]:
        """Plant the signal, fit the study, and judge its contrasts."""
        catalogs = catalogs_of(self.study.plugins)
        still = mirror(self.panel, np.random.default_rng([self.number]))
        panel, share = plant_signal(
            still, self.signal, self.strength, catalog=catalogs.features, warmup=self.study.warmup
        )
        plan = make_plan(self.study, panel, catalogs=catalogs)
        outcomes = [Outcome(unit, plan.job(unit).run()) for unit in plan.units]
        tables = collect(plan, outcomes, panel.dates)
        terms, pooled = self.study.verdict, [name for name, model in plan.models.items() if model.pooled]
        losses = measure(
            tables["forecasts"], loss=terms.loss, benchmark=terms.benchmark or None, folds=tables["folds"],
            pooled=pooled, scale=terms.scale, parts=terms.loss == "squared",
        )  # fmt: skip
        found = compare(
            losses, ask=asked_by(self.study, resolve_sets(self.study.feature_sets)), margin=terms.margin,
            alpha=terms.alpha, replicates=REPLICATES, other_blocks=(), others={}, alike=alike_of(self.study),
        )  # fmt: skip
        contrasts = [*found.asked, *found.against_benchmark]
        gains = {(one.first, one.second): one.signal_low > 0 for one in split(found)}  # none for other losses
        better = [finding_of(one) == "better" for one in contrasts]
        by_signal = [gains.get((one.first, one.second), True) for one in contrasts]
        names = "\n".join(one.name for one in contrasts)
        findings = {
            "withheld": [bool(one.withheld) for one in contrasts], "better": better,
            "found": [one and gain for one, gain in zip(better, by_signal, strict=True)],
        }  # fmt: skip
        return {
            "names": np.frombuffer(names.encode(), np.uint8), "asked": np.array([len(found.asked)]),
            "share": np.array([share]), **{name: np.array(values, int) for name, values in findings.items()},
            **{name: np.array([getattr(one, name) for one in contrasts]) for name in SHOWN},
        }  # fmt: skip

    def read(self, arrays: Mapping[str, np.ndarray]) -> Found:
        """Read what ``run`` returned."""
        names = tuple(arrays["names"].tobytes().decode().split("\n"))
        return Found(self.strength, self.number, float(arrays["share"][0]), names, int(arrays["asked"][0]), arrays)

    def fingerprint(self, of_panel: str) -> str:
        """Hash everything that decides the result, given the hash of the panel; 64 hex digits."""
        values = self.study.model_dump(mode="json", exclude={"name", "question"})
        text = json.dumps([values, of_panel, self.signal, self.strength, self.number], sort_keys=True)
        digest = hashlib.sha256(text.encode())
        digest.update(code_fingerprint("models", "evaluate", "features", "samples", "power"))
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Power:
    """How often a study finds planted signals; shown by a notebook with the rate of each strength.

    Attributes
    ----------
    study
        The study that was fitted to the copies.
    signal
        The feature that was planted.
    models
        Whether ridge regressions were fitted, or the models of the study.
    out
        Folder of the files.
    found
        What was found in each copy.
    """

    study: Study
    signal: str
    models: Models
    out: Path
    found: tuple[Found, ...]

    @property
    def sentence(self) -> str:
        """The rates in one sentence."""
        return sentence_of(self.frame(), self.signal)

    def frame(self) -> pl.DataFrame:
        """Return one row per strength and contrast, see ``rates_of``."""
        return rates_of(self.found)

    def plants(self) -> pl.DataFrame:
        """Return one row per copy and contrast, see ``Found.frame``."""
        return pl.concat([one.frame() for one in self.found])

    def exhibit(self) -> Exhibit:
        """Lay out the rates as a table, a column per strength."""
        return exhibit_of(self.frame(), self.models)

    def plot(self) -> "Figure":
        """Draw the rates by strength."""
        return plate_of(self.frame(), self.signal, self.study.question).plot()

    def __repr__(self) -> str:
        return f"{self.sentence}\nfiles: {self.out}"

    def _repr_html_(self) -> str:
        return card("Power by planted signals", self.sentence, files=link(self.out / REPORT, "report"))


def plant(
    study: Study | str | Path, *, strengths: Sequence[float] = STRENGTHS, signal: str = "volume", plants: int = PLANTS,
    models: Models = "ridge", bars: "pl.DataFrame | pd.DataFrame | None" = None, out: Path | str = "results",
    **execution: Unpack[Options],
) -> Power:  # fmt: skip
    """Plant signals of known R2 into copies of a study's bars, and count how often the study finds them.

    In each copy the return of every day has a random sign, so that nothing but the planted signal can be forecast; see
    ``mirror`` and ``plants.plant``. A strength of 0, which shows how often something is found where there is nothing,
    is always added. Nothing of this is mixed with results of the study: the folder is ``out/NAME-planted``.

    Parameters
    ----------
    study, bars, out, **execution
        As in ``run``. Finished copies are not fitted again.
    strengths
        Shares of the variance of the next day's return, from 0 to below 1.
    signal
        What is planted: ``lag`` (yesterday's return), ``volume`` (the z-score of log volume), or any feature or column
        of the bars.
    plants
        Copies per strength.
    models
        ``ridge``: ridge regressions of the whole window take the place of the study's models; ``own``: the models of
        the study itself, which takes as many times its run time as there are copies.

    Raises
    ------
    StudyError
        If a strength is not in [0, 1), the target is no return, or the contrasts compare models and not inputs, which
        ridge regressions in their place cannot do.
    TrainingError
        If a copy cannot be fitted.

    Examples
    --------
    >>> import nextday
    >>> nextday.plant("stage2", strengths=[0.01, 0.05], signal="volume").frame()  # doctest: +SKIP
    """
    try:
        return _plant(study, strengths, signal, plants, models, bars, Path(out), Execution(**execution))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(STOPPED) from None


def _plant(
    study: Study | str | Path, strengths: Sequence[float], signal: str, plants: int, models: Models,
    bars: "pl.DataFrame | pd.DataFrame | None", out: Path, how: Execution,
) -> Power:  # fmt: skip
    loaded = study if isinstance(study, Study) else Study.load(study)
    fitted = study_of(loaded, models)
    wanted = sorted({0.0, *strengths})
    if wrong := [one for one in wanted if not 0 <= one < 1]:
        raise StudyError(f"a planted R2 is a share of the variance, from 0 to below 1; got {wrong[0]:g}")
    folder = open_folder(out / fitted.name)
    watch = progress_of(how.watch, fitted.name)
    with open_workers(how.workers, how.cluster) as pool:
        fitted, panel = read_panel(fitted, bars, watch)
        every = [
            Plant(fitted, panel, SIGNALS.get(signal, signal), strength, number)
            for number in range(plants)
            for strength in wanted
        ]
        store = Store(folder / "units") if how.store is None else open_store(how.store)
        found = list(watch(_found(every, store, pool, fresh=how.fresh), len(every)))
    power = Power(
        loaded, SIGNALS.get(signal, signal), models, folder, tuple(sorted(found, key=lambda one: one.strength))
    )
    _write(power, fitted)
    return power


def study_of(study: Study, models: Models) -> Study:
    """Return the study that is fitted to the copies: under another name, by ridge regressions or by its own models.

    Raises
    ------
    StudyError
        If the target is no return, or variants that are compared would be the same ridge regression.
    """
    if study.target != "return":
        raise StudyError(f"signals are planted in returns; the target of {study.name} is {study.target}")
    values = study.model_dump(mode="json", exclude={"analyses", "lessons", "conformal", "baselines"})
    values |= {"name": f"{study.name}{PLANTED}"}
    if models == "own":
        return Study.from_values(values)
    used = ("features", "representation", "lookback")
    inputs = {name: tuple(values["variants"][name][key] for key in used) for name in study.variants}
    for one in asked_by(study, resolve_sets(study.feature_sets)):
        if one.second in inputs and inputs.get(one.first) == inputs[one.second]:
            raise StudyError(
                f"{study.name} compares the models of {one.first} and {one.second}, not their inputs; plant with the "
                "models of the study: --plant-models own"
            )
    values["variants"] = {
        name: one | {"model": "ridge", "options": {"window": "flat"}} for name, one in values["variants"].items()
    }
    if study.ablation is not None:
        values["ablation"] |= {"model": ["ridge"], "options": {"ridge": {"window": "flat"}}}
    values |= {"seeds": [0], "verdict": values["verdict"] | {"loss": "squared", "benchmark": ""}, "levels": []}
    return Study.from_values(values | {"interval": None})


def _found(every: Sequence[Plant], store: Store, workers: Engine, *, fresh: bool) -> Iterator[Found]:
    """Run the copies that are not in the store, and yield what was found in each."""
    of_panel = hashlib.sha256(every[0].panel.frame.write_ipc(None).getvalue()).hexdigest()
    todo: dict[str, tuple[Plant, str]] = {}
    for one in every:
        key = one.fingerprint(of_panel)
        known = "" if fresh else store.load_arrays(key)
        if isinstance(known, dict):
            yield one.read(known)
        else:
            todo[str(one)] = one, key
    for name, result, seconds in workers.map(todo, lambda name: todo[name][0]):
        one, key = todo[name]
        if isinstance(result, str):
            raise TrainingError(f"{name}: {result}")
        store.save_arrays(key, result, label=name, seconds=seconds)
        yield one.read(result)


def _write(power: Power, fitted: Study) -> None:
    """Write the tables, the figure and the page."""
    rates, plate = power.frame(), plate_of(power.frame(), power.signal, power.study.question)
    write_atomically(power.out / "power.csv", rates.write_csv().encode())
    write_atomically(power.out / "plants.csv", power.plants().write_csv().encode())
    write_atomically(power.out / "study.yaml", fitted.written(power.out).encode())
    content = plate.png()
    write_atomically(power.out / "power.png", content)
    page = render_power(power.study, power.signal, power.sentence, rates, content, power.models)
    write_atomically(power.out / REPORT, page.encode())
