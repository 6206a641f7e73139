"""The pipeline of a study: bars, features, samples, models, forecasts, scores, report."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import polars as pl

from nextday.analyses import ANALYSES, base
from nextday.auditing.causality import check_causality, leaks_first
from nextday.auditing.columns import audit_columns
from nextday.auditing.findings import Finding, findings_of
from nextday.data import Panel, load, panel_of
from nextday.data.yahoo.preset import yahoo_snapshot
from nextday.engine import (
    POOL,
    Execution,
    Options,
    Plan,
    Run,
    RunLog,
    Store,
    choose_device,
    choose_engine,
    collect,
    describe_run,
    execute,
    make_plan,
    open_store,
    open_workers,
    request_of,
    require_packages,
    versions,
)
from nextday.engine.catalogs import own_losses, with_losses
from nextday.engine.plan import inputs_of
from nextday.engine.rehearse import rehearse
from nextday.evaluate import calibrate, load_baselines, score
from nextday.evaluate.export import as_dict, dump
from nextday.evaluate.question import answer
from nextday.features import resolve_sets
from nextday.plugins import catalogs_of
from nextday.progress import STOPPED, Watch, progress_of
from nextday.reporting import date_report, draw_plots, figures_of, render_report, write_csv
from nextday.results import Results
from nextday.storage.files import open_folder
from nextday.storage.folder import LOG, MANIFEST, REPORT, VERDICT, StudyFolder
from nextday.storage.memory import once
from nextday.storage.tables import schemas
from nextday.storage.trail import Trail, trail
from nextday.study import Study
from nextday.threads import limit_threads

if TYPE_CHECKING:
    import pandas as pd


HANDED_OVER = "bars passed in Python"  # in study.yaml, which then can only be run with them


def run(
    study: Study | str | Path, *, bars: "pl.DataFrame | pd.DataFrame | None" = None, out: Path | str = "results",
    models: Mapping[str, Any] | None = None, features: Mapping[str, Any] | None = None, **execution: Unpack[Options],
) -> Results:  # fmt: skip
    """Run a study and write its files to ``out/NAME``.

    Parameters
    ----------
    study
        A ``Study``, the name of a preset, or a YAML file.
    bars
        A frame of bars that replaces the study's ``data``.
    out
        Folder of all studies' results.
    models, features
        Custom models and features by name, in addition to those of the study's ``plugins``: forecaster classes, Polars
        expressions, functions of bars.
    **execution
        Execution settings, see ``Execution``: ``workers``, ``cluster``, ``store``, ``device``, ``fresh``, ``watch``.

    Returns
    -------
    The tables, the verdict, and the folder of the files.

    Raises
    ------
    NextdayError
        For any error that a user can correct.

    Examples
    --------
    >>> import nextday
    >>> study = nextday.Study.load("stage1", {"tickers": "KO,JNJ"})
    >>> results = nextday.run(study, out="results", workers=2)  # doctest: +SKIP
    """
    folder = forecast(study, bars=bars, out=out, models=models, features=features, **execution)
    with RunLog(folder / LOG) as log:
        results = report(folder)
        log.say(f"verdict: {results.verdict.sentence}")
    return results


def forecast(
    study: Study | str | Path, *, bars: "pl.DataFrame | pd.DataFrame | None" = None, out: Path | str = "results",
    models: Mapping[str, Any] | None = None, features: Mapping[str, Any] | None = None, **execution: Unpack[Options],
) -> Path:  # fmt: skip
    """Fit a study and write its tables; ``report`` computes everything else from them.

    Parameters
    ----------
    study, bars, out, models, features, **execution
        As in ``run``.

    Returns
    -------
    The study's folder, ``out/NAME``.

    Raises
    ------
    NextdayError
        For any error that a user can correct.

    Examples
    --------
    >>> import nextday
    >>> folder = nextday.forecast("stage1", out="results")  # doctest: +SKIP
    >>> results = nextday.report(folder)  # doctest: +SKIP
    """
    try:
        with RunLog() as log, trail() as noted:
            return _forecast(study, bars, Path(out), models, features, Execution(**execution), log, noted)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(STOPPED) from None  # it ends a traceback, or a cell


def _forecast(
    study: Study | str | Path, bars: "pl.DataFrame | pd.DataFrame | None", out: Path,
    models: Mapping[str, Any] | None, features: Mapping[str, Any] | None, how: Execution, log: RunLog, noted: Trail,
) -> Path:  # fmt: skip
    started = time.time()
    with open_workers(how.workers, how.cluster) as pool:
        study = study if isinstance(study, Study) else Study.load(study)
        watch = log.watching(progress_of(how.watch, study.name))
        catalogs = catalogs_of(study.plugins, models=models, features=features)
        require_packages(study, catalogs.models)
        folder = StudyFolder(open_folder(out / study.name))
        log.begin(folder.path / LOG, study.name, versions())
        units = Store(folder.units) if how.store is None else open_store(how.store)
        if how.fresh or units.is_empty():
            pool.start()  # PyTorch loads while the bars are read; a finished study needs none
        study, panel = read_panel(study, bars, watch)
        written = study.written(folder.path, bars="" if bars is None else HANDED_OVER)
        alone = not (models or features)
        again = Run(folder, log, watch, request_of(study, panel, how, written) if alone else ())
        if not how.fresh and again.repeats(started):
            return folder.path
        device = choose_device(how.device) if how.cluster is None else "cuda" if how.device == "cuda" else "cpu"
        with leaks_first(panel, catalog=catalogs.features):
            plan = make_plan(study, panel, device=device, catalogs=catalogs)
        again.say(f"{len(plan.units)} units on {device}; bars: {panel.source}, {panel.dates[0]} to {panel.dates[-1]}")
        base.check(ANALYSES, study, panel, folder.path.parent)
        causal = check_causality(
            panel, plan.features, catalog=catalogs.features, first_test=panel.dates[plan.first_test].item()
        )
        findings = audit_inputs(study, panel, plan)
        for one in findings:
            again.say(f"audit, {one.level}: {one.sentence}")
        engine, first = choose_engine(pool, device), partial(rehearse, plan, catalogs=catalogs, engine=pool)
        outcomes = list(again.watched(execute(plan, units, engine, fresh=how.fresh, before=first), len(plan.units)))
        tables = collect(plan, outcomes, panel.dates) | base.keep(ANALYSES, plan, outcomes, panel.dates)
        tables |= base.fit(
            ANALYSES, study, panel, folder.path.parent, units, pool, watch=again.watched, fresh=how.fresh
        )
    copies = {name: (one.of, one.method) for name, one in study.conformal.items()}
    tables["forecasts"] = calibrate(tables["forecasts"], tables["valid"], copies)
    tables["forecasts"] = with_losses(tables["forecasts"], catalogs, own_losses(study))
    remarks = [f"{name}: {model.may_hold}" for name, model in plan.models.items() if model.may_hold]
    described = describe_run(
        study,
        panel,
        outcomes,
        {"causality of features": causal},
        started=started,
        device=device,
        remarks=(*remarks, *plan.notes),
        inputs=inputs_of(plan, catalogs),
        findings=findings,
    )
    folder.write(described, written, tables)
    log.finish(described)
    if not any(one.mended for one in outcomes):
        again.keep(units, noted, described)
    return folder.path


def audit_inputs(study: Study, panel: Panel, plan: Plan) -> tuple[Finding, ...]:
    """Audit the columns of bars and further files that a study has as inputs, see ``audit_columns``."""
    used = {name for one in study.variants.values() for name in plan.feature_sets[one.features]}
    names = [name for name in plan.features.own if name in used]
    if not names and not study.known:
        return ()
    return audit_columns(panel, names, known=study.known, pooled=any(unit.ticker == POOL for unit in plan.units))


def read_panel(
    study: Study, bars: "pl.DataFrame | pd.DataFrame | Panel | None", watch: Watch
) -> tuple[Study, Panel]:  # fmt: skip
    """Read and align the bars of a study, or the given ones; a study of Yahoo's bars records their snapshot."""
    if isinstance(bars, Panel):
        return study, bars
    if study.data == "yahoo" and bars is None:
        study = study.model_copy(update={"data": str(yahoo_snapshot(watch=watch))})
    return study, panel_of(load(study, bars), study)


def report(folder: Path | str) -> Results:
    """Write scores, verdict, plots and report from a study's tables. Nothing is fitted.

    Where none of the files has changed since they were written here, they are left as they are.

    Parameters
    ----------
    folder
        The study's folder; no plugin code is run.

    Returns
    -------
    As for ``run``.

    Raises
    ------
    OutputError
        If the folder does not contain a study's tables.

    Examples
    --------
    >>> import nextday
    >>> print(nextday.report("results/stage2").verdict)  # doctest: +SKIP
    """
    folder = Path(folder)
    place = StudyFolder(folder)
    results = once("report", folder, lambda: _report(folder, place), str(folder))
    date_report(place)
    return results


def _report(folder: Path, place: StudyFolder) -> Results:
    study, manifest, tables = _read(place)
    forecasts, history, folds = (tables[name] for name in ("forecasts", "history", "folds"))
    scores = score(forecasts, folds, interval=study.interval)
    baselines, remark = load_baselines(folder.parent / study.baselines, forecasts) if study.baselines else (None, "")
    with limit_threads():  # the number of threads moves the last bits
        sets, costs = resolve_sets(study.feature_sets), manifest.get("costs")
        audited = findings_of(manifest.get("audit", ()))
        judged = answer(folder, study, sets, forecasts, folds, manifest["pooled"], costs, audited)
    comparison, verdict = judged.comparison, judged.verdict
    shown = base.show(ANALYSES, base.Finished(folder, study, tables, scores, comparison, judged.across))
    write_csv(folder, study.name, forecasts=forecasts, scores=scores)
    for name, content in shown.files.items():
        place.put(f"{study.name}_{name}", content)
    figures = figures_of(
        study.name, forecasts=forecasts, history=history, scores=scores, baselines=baselines,
        comparison=comparison, verdict=verdict, question=study.question, plates=shown.plates,
    )  # fmt: skip
    printed = draw_plots(folder, study.name, figures)
    page = render_report(
        comparison=comparison, verdict=verdict, aside=judged.aside, scores=scores, history=history, folds=folds,
        manifest=manifest, control=judged.control, exhibits=shown.exhibits,
        plates=[printed[one.suffix] for one in shown.plates],
    )  # fmt: skip
    place.put(VERDICT, dump(as_dict(comparison, verdict) | {"beside": asdict(judged.aside)} | dict(shown.said)))
    place.put(REPORT, page)  # it comes last: without it the folder is unfinished
    notes = (*manifest["notes"], *filter(None, (remark, judged.note)))
    return Results(
        study, folder, forecasts, history, scores, comparison, verdict, notes, shown.findings, shown.exhibits, figures
    )


def _read(place: StudyFolder) -> tuple[Study, dict[str, Any], dict[str, pl.DataFrame]]:
    """Read the manifest and all tables; one that is not there has no rows."""
    manifest = place.manifest()
    study = Study.from_values(manifest["study"], where=str(place.path / MANIFEST))
    own = schemas(study.levels, own_losses(study), realised=study.compares)
    return study, manifest, place.tables(own | base.tables_of(ANALYSES))
