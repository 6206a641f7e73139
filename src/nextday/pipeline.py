"""The whole flow of a study on one screen: bars, features, samples, models, forecasts, scores, report."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from nextday.data import align, load_bars
from nextday.evaluate import load_baselines, score, summarise
from nextday.models import Device
from nextday.report import draw_plots, write_tables
from nextday.run import (
    Outcome,
    Store,
    Workers,
    collect,
    describe_run,
    execute,
    make_plan,
    open_folder,
    write_atomically,
)
from nextday.study import Study

if TYPE_CHECKING:
    import pandas as pd

Watch = Callable[[Iterable[Outcome], int], Iterable[Outcome]]


@dataclass(frozen=True, slots=True)
class Results:
    """What a study came to: its tables, as Polars frames, and the folder that holds all its files."""

    study: Study
    out: Path
    forecasts: pl.DataFrame
    history: pl.DataFrame
    scores: pl.DataFrame
    notes: tuple[str, ...]

    @property
    def summary(self) -> pl.DataFrame:
        """One row per variant: metrics averaged over tickers and seeds, and their spread between seeds."""
        return summarise(self.scores, by=["variant"])


def run(
    study: Study | str | Path, *, bars: "pl.DataFrame | pd.DataFrame | None" = None, out: Path | str = "results",
    workers: int | None = None, device: Device = "auto", fresh: bool = False,
    watch: Watch = lambda outcomes, _: outcomes,
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
        Wraps the stream of outcomes, to show progress; also gets their number.

    Raises
    ------
    NextdayError
        For anything that a user can mend.
    """
    started = time.time()
    with Workers(workers) as pool:  # first, so that PyTorch loads while the bars are read
        study = study if isinstance(study, Study) else Study.load(study)
        folder = open_folder(Path(out) / study.name)
        panel = align(load_bars(study.data if bars is None else bars), tickers=study.tickers, market=study.market)
        plan = make_plan(study, panel, device=device)
        outcomes = list(watch(execute(plan, Store(folder / "units"), pool, fresh=fresh), len(plan.units)))
    forecasts, history, folds = collect(plan, outcomes, panel.dates)
    scores = score(forecasts, folds)
    baselines, remark = load_baselines(folder.parent / "stage1", forecasts)
    manifest, notes = describe_run(study, panel, outcomes, remark, started=started, device=device)
    (folder / "manifest.json").unlink(missing_ok=True)  # it comes last: without it the folder is unfinished
    tables = {"forecasts": forecasts, "history": history, "folds": folds}
    write_tables(folder, study.name, tables=tables, scores=scores, write=write_atomically)
    draw_plots(
        folder, study.name, forecasts=forecasts, history=history, scores=scores,
        baselines=None if study.name == "stage1" else baselines, write=write_atomically,
    )  # fmt: skip
    write_atomically(folder / "manifest.json", manifest)
    return Results(study, folder, forecasts, history, scores, notes)
