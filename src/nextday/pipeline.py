"""The whole flow of a study on one screen: bars, features, samples, models, forecasts, scores, report."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from nextday.data import align, load_bars
from nextday.evaluate import score
from nextday.models import Device
from nextday.report import draw_plots, write_tables
from nextday.run import Outcome, Store, Workers, collect, execute, make_plan
from nextday.run.manifest import describe_run
from nextday.run.store import write_atomically
from nextday.study import Study

if TYPE_CHECKING:
    import pandas as pd

Watch = Callable[[Iterable[Outcome], int], Iterator[Outcome]]


@dataclass(frozen=True, slots=True)
class Results:
    """What a study came to: its tables, as Polars frames, and the folder that holds all its files."""

    study: Study
    out: Path
    forecasts: pl.DataFrame
    history: pl.DataFrame
    scores: pl.DataFrame
    notes: tuple[str, ...]


def run(
    study: Study | str | Path, *, bars: "pl.DataFrame | pd.DataFrame | None" = None, out: Path | str = "results",
    workers: int | None = None, device: Device = "auto", fresh: bool = False, watch: Watch = lambda outcomes, _: iter(outcomes),
) -> Results:  # fmt: skip
    """Run a study and write its files to ``out/NAME``.

    Parameters
    ----------
    study
        A ``Study``, the name of a preset, or a YAML file.
    bars
        A frame of bars to use in place of the study's ``data``.
    out
        Folder of all studies' results.
    workers
        Worker processes; the number of cores unless given; 0 fits in this process.
    device
        Where networks train.
    fresh
        Fit every unit, finished or not.
    watch
        Wraps the stream of outcomes, to show progress.
    """
    study = study if isinstance(study, Study) else Study.load(study)
    folder, started = Path(out) / study.name, time.time()
    with Workers(len(os.sched_getaffinity(0)) if workers is None else workers) as pool:
        panel = align(load_bars(study.data if bars is None else bars), tickers=study.tickers, market=study.market)
        plan = make_plan(study, panel, device=device)
        outcomes = list(watch(execute(plan, Store(folder / "units"), pool, fresh=fresh), len(plan.units)))
    forecasts, history = collect(plan, outcomes, panel.dates)
    folds = pl.DataFrame([fold.describe(panel.dates) for fold in plan.folds.values()])
    scores = score(forecasts, folds)
    manifest, notes = describe_run(study, panel, outcomes, started=started, device=device)
    write_tables(folder, study.name, forecasts=forecasts, history=history, folds=folds, scores=scores, write=write_atomically)
    draw_plots(folder, study.name, forecasts=forecasts, history=history, scores=scores, write=write_atomically)
    write_atomically(folder / "manifest.json", manifest)
    return Results(study, folder, forecasts, history, scores, notes)
