"""The whole flow of a study on one screen: bars, features, samples, models, forecasts, scores, report."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from polars import selectors as cs

from nextday.analyses.probing.assess import assess_probes, sentences
from nextday.analyses.probing.figures import write_probes
from nextday.analyses.probing.run import find_probed, run_probes
from nextday.analyses.regimes.clusters import Regimes, find_regimes
from nextday.data import align, load_bars
from nextday.data.yahoo.preset import yahoo_snapshot
from nextday.engine import Store, choose_engine, collect, describe_run, execute, make_plan, open_store, open_workers
from nextday.errors import OutputError, first_line
from nextday.evaluate import (
    Comparison,
    Verdict,
    assess,
    calibrate,
    load_baselines,
    load_neighbour,
    score,
    summarise,
)
from nextday.evaluate.export import as_dict, dump
from nextday.evaluate.question import answer
from nextday.features import FEATURE_SETS, check_causality
from nextday.models import Device, Precision, resolve_device
from nextday.progress import Watch
from nextday.reporting import draw_plots, render_report, write_csv
from nextday.storage.files import open_folder, write_atomically, write_parquet
from nextday.storage.tables import schemas
from nextday.study import Study

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Results:
    """What a study came to: its tables, as Polars frames, the verdict, and the folder that holds all its files."""

    study: Study
    out: Path
    forecasts: pl.DataFrame
    history: pl.DataFrame
    scores: pl.DataFrame
    comparison: Comparison
    verdict: Verdict
    notes: tuple[str, ...]
    uncertainty: pl.DataFrame = field(default_factory=pl.DataFrame)

    @property
    def summary(self) -> pl.DataFrame:
        """One row per variant: metrics averaged over tickers and seeds, and their spread between seeds."""
        return summarise(self.scores, by=["variant"])


def run(
    study: Study | str | Path, *, bars: "pl.DataFrame | pd.DataFrame | None" = None, out: Path | str = "results",
    workers: int | None = None, cluster: str | None = None, store: Path | str | None = None,
    device: Device = "auto", precision: Precision = "float32", fresh: bool = False,
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
    cluster
        Address of a Ray cluster that fits in their place, or ``auto``.
    store
        Folder of finished units, also of several studies, or a URL of it that fsspec knows; ``out/NAME/units`` unless
        given.
    device
        Where networks train.
    precision
        ``bf16`` rounds what enters the products of LSTM layers to bfloat16, on a CPU; Transformers stay as they are.
    fresh
        Fit every unit, finished or not.
    watch
        Wraps the stream of outcomes, to show progress; also gets their number.

    Raises
    ------
    NextdayError
        For anything that a user can mend.
    """
    return report(
        forecast(
            study, bars=bars, out=out, workers=workers, cluster=cluster, store=store, device=device,
            precision=precision, fresh=fresh, watch=watch,
        )
    )  # fmt: skip


def forecast(
    study: Study | str | Path, *, bars: "pl.DataFrame | pd.DataFrame | None" = None, out: Path | str = "results",
    workers: int | None = None, cluster: str | None = None, store: Path | str | None = None,
    device: Device = "auto", precision: Precision = "float32", fresh: bool = False,
    watch: Watch = lambda outcomes, _: outcomes,
) -> Path:  # fmt: skip
    """Fit a study and write its tables, with the arguments of ``run``; return its folder, for ``report``."""
    started = time.time()
    with open_workers(workers, cluster) as pool:
        study = study if isinstance(study, Study) else Study.load(study)
        folder = open_folder(Path(out) / study.name)
        units = Store(folder / "units") if store is None else open_store(store)
        if fresh or units.is_empty():
            pool.start()  # PyTorch loads while the bars are read; a finished study needs none
        if study.data == "yahoo" and bars is None:
            study = study.model_copy(update={"data": str(yahoo_snapshot(watch=watch))})
        source = study.data if bars is None else bars
        loaded = load_bars(source, accept=study.accept, drop_bad=study.drop_bad)
        panel = align(loaded, tickers=study.tickers, market=study.market)
        device = resolve_device(device) if cluster is None else "cuda" if device == "cuda" else "cpu"
        plan = make_plan(study, panel, device=device, precision=precision)
        find_probed(study, panel, folder.parent)
        engine = choose_engine(pool, device)
        checks = {"causality of features": check_causality(panel, plan.features)}
        outcomes = list(watch(execute(plan, units, engine, fresh=fresh), len(plan.units)))
        tables = collect(plan, outcomes, panel.dates)
        if study.probes:
            tables |= run_probes(study, panel, folder.parent, units, pool, watch=watch, fresh=fresh)
    tables["forecasts"] = calibrate(
        tables["forecasts"], tables["valid"], {name: (one.of, one.method) for name, one in study.conformal.items()}
    )
    (folder / "report.html").unlink(missing_ok=True)  # it comes last: without it the folder is unfinished
    remarks = [f"{name}: {model.may_hold}" for name, model in plan.models.items() if model.may_hold]
    described = describe_run(
        study, panel, outcomes, checks, started=started, device=device, precision=precision, remarks=remarks
    )
    write_atomically(folder / "manifest.json", described)
    for name, table in tables.items():
        write_parquet(folder / f"{name}.parquet", table)
    return folder


def report(folder: Path) -> Results:
    """Write everything that follows from a study's tables: scores, verdict, plots, the report. Nothing is fitted.

    Raises
    ------
    OutputError
        If the folder does not hold a study's tables.
    """
    study, manifest, tables = _read(folder)
    forecasts, history, folds = (tables[name] for name in ("forecasts", "history", "folds"))
    scores = score(forecasts, folds, interval=study.interval)
    baselines, remark = load_baselines(folder.parent / study.baselines, forecasts) if study.baselines else (None, "")
    judged = answer(folder, study, FEATURE_SETS | study.feature_sets, forecasts, folds, manifest["pooled"])
    comparison, verdict = judged.comparison, judged.verdict
    write_csv(folder, study.name, forecasts=forecasts, scores=scores)
    probed = assess_probes(tables["probes"], tables["probe_days"]) if len(tables["probes"]) else pl.DataFrame()
    if len(probed):
        write_probes(folder, study.name, tables["probes"])
    uncertainty = assess(forecasts, scores, alpha=study.verdict.alpha)
    plates = draw_plots(
        folder, study.name, forecasts=forecasts, history=history, scores=scores, baselines=baselines,
        tables=tables, comparison=comparison, verdict=verdict, question=study.question,
        regimes=_regimes(folder, study, tables), probed=probed,
    )  # fmt: skip
    page = render_report(
        comparison=comparison, verdict=verdict, aside=judged.aside, scores=scores, history=history, folds=folds,
        manifest=manifest, uncertainty=uncertainty, plates=plates,
    )  # fmt: skip
    said = as_dict(comparison, verdict) | {"beside": asdict(judged.aside)}
    if len(probed):
        said["probes"] = sentences(probed)
    if len(uncertainty):
        said["uncertainty"] = uncertainty.to_dicts()
    write_atomically(folder / "verdict.json", dump(said).encode())
    write_atomically(folder / "report.html", page.encode())
    notes = (*manifest["notes"], *filter(None, (remark, judged.note)))
    return Results(study, folder, forecasts, history, scores, comparison, verdict, notes, uncertainty)


def _regimes(folder: Path, study: Study, tables: dict[str, pl.DataFrame]) -> Regimes | None:
    """Cluster the latent space, where a study has one, and score the networks of Stage 2 by regime, where they are."""
    if tables["latents"].is_empty():
        return None
    networks, _ = load_neighbour(folder.parent / "stage2", tables["forecasts"])
    others = networks[0] if networks else None
    return find_regimes(tables["latents"], tables["profile"], others, lookback=study.lookback)


def _read(folder: Path) -> tuple[Study, dict[str, Any], dict[str, pl.DataFrame]]:
    file = folder / "manifest.json"
    try:
        manifest, tables = json.loads(file.read_text("utf-8")), {}
        _check(manifest)
        study = Study.from_values(manifest["study"], where=str(file))
        for name, schema in schemas(study.levels).items():
            file = folder / f"{name}.parquet"
            tables[name] = _read_table(file, schema)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, pl.exceptions.PolarsError) as error:
        raise OutputError(
            f"{folder} does not hold a finished study: {file.name}: {first_line(error)}; "
            "run the study, then report its folder"
        ) from None
    return study, manifest, tables


def _read_table(file: Path, schema: Mapping[str, pl.DataType | type[pl.DataType]]) -> pl.DataFrame:
    """Read a table and refuse one of other columns or with missing values; but a seed and quantiles may be missing."""
    table = pl.read_parquet(file, hive_partitioning=False)
    table = table.match_to_schema(schema, extra_columns="ignore", integer_cast="upcast")
    optional = cs.matches(r"^(q\d.*|seed|reconstruction|kl)$")
    lacking = [column.name for column in table.drop(optional) if column.null_count()]
    if lacking:
        raise ValueError(f"values of {lacking[0]} are missing")
    return table


def _check(manifest: dict[str, Any]) -> None:
    """Refuse a manifest whose parts are not what the report reads."""
    for key in ("study", "data", "units", "versions", "checks"):
        if not isinstance(manifest[key], dict):
            raise TypeError(f"{key} is not a group of keys")
    for key in ("notes", "pooled"):
        if not (isinstance(manifest[key], list) and all(isinstance(text, str) for text in manifest[key])):
            raise TypeError(f"{key} is not a list of texts")
