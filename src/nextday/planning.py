"""Run time and power of a planned study: from a finished folder, else from a small pilot."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from rich.table import Table
from rich.text import Text

from nextday.data import Panel
from nextday.engine import POOL, Plan, Workers, choose_device, make_plan, require_packages
from nextday.errors import StudyError
from nextday.evaluate import Comparison, compare, measure
from nextday.evaluate.export import finite
from nextday.evaluate.question import alike_of, gather
from nextday.evaluate.wording import sign_of
from nextday.features import resolve_sets
from nextday.foresight import Design, Foresight, foresee
from nextday.models import Device
from nextday.pipeline import forecast, read_panel
from nextday.plugins import catalogs_of
from nextday.progress import Watch, progress_of
from nextday.reporting.style import MOST_VARIANTS
from nextday.storage.folder import BROKEN, MANIFEST, StudyFolder
from nextday.storage.tables import schemas
from nextday.study import COMPARED, Study
from nextday.words import duration, plural

if TYPE_CHECKING:
    import pandas as pd

PILOT_TICKERS, PILOT_SEEDS = 2, 3
MOST_LINES = 5  # contrasts of a short description


@dataclass(frozen=True, slots=True)
class Cost:
    """Units of a variant, and seconds per unit on one core; None if no similar unit was fitted yet."""

    variant: str
    units: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Prospect:
    """Estimated run time and power of a study.

    Attributes
    ----------
    costs
        Units and seconds by variant.
    workers
        Number of processes behind the time.
    tickers, days, seeds
        Size of the planned study; ``days`` are those of its test sets.
    foresights
        Power for each asked contrast.
    basis
        Source of costs and errors.
    notes
        Notes on extrapolation, and on obstacles to a verdict.
    """

    study: str
    costs: tuple[Cost, ...]
    workers: int
    tickers: int
    days: int
    seeds: int
    unit: str
    foresights: tuple[Foresight, ...]
    basis: str
    notes: tuple[str, ...]

    @property
    def units(self) -> int:
        """Total number of units."""
        return sum(cost.units for cost in self.costs)

    @property
    def minutes(self) -> float | None:
        """Time to fit all units, in minutes; None if the time of some is unknown."""
        known = [cost.units * cost.seconds for cost in self.costs if cost.seconds is not None]
        return sum(known) / self.workers / 60 if len(known) == len(self.costs) else None

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return finite(asdict(self) | {"units": self.units, "minutes": self.minutes})

    def __repr__(self) -> str:
        size = f"{plural(self.tickers, 'ticker')}, {plural(self.days, 'test day')}, {plural(self.seeds, 'seed')}"
        lines = [f"Prospect of {self.study}: {_effort(self)}; {size}"]
        for one in self.foresights[:MOST_LINES]:
            power = f"detectable difference {100 * one.detectable:.2f} {self.unit}, margin {100 * one.margin:g}"
            lines.append(f"{one.name}: {'no difference yet' if one.identical else power}")
        more = len(self.foresights) - MOST_LINES
        return "\n".join(lines + ([plural(more, "more contrast")] if more > 0 else []))


@dataclass(frozen=True, slots=True)
class _Basis:
    """A finished folder to go by: its manifest and tables, and how a person would call it."""

    name: str
    manifest: dict[str, Any]
    forecasts: pl.DataFrame
    folds: pl.DataFrame


def plan(
    study: Study | str | Path, *, bars: "pl.DataFrame | pd.DataFrame | None" = None, out: Path | str = "results",
    source: Path | str | None = None, workers: int | None = None, device: Device = "auto",
    watch: Watch | bool = True,
) -> Prospect:  # fmt: skip
    """Estimate the run time and the power of a study.

    Parameters
    ----------
    study, bars, out, workers, device, watch
        As in ``nextday.run``.
    source
        A finished folder with the same variants. Default: ``out/NAME`` if it contains a finished study, else a pilot is
        fitted with at most two tickers and three seeds; the study reuses its units.

    Returns
    -------
    Units and minutes by variant, and the minimum detectable difference of each asked contrast.

    Raises
    ------
    NextdayError
        For any error that a user can correct, such as a folder without an asked variant.

    Examples
    --------
    >>> import nextday
    >>> nextday.plan("stage2", workers=2).minutes  # doctest: +SKIP
    3.4
    """
    study = study if isinstance(study, Study) else Study.load(study)
    catalogs = catalogs_of(study.plugins)
    require_packages(study, catalogs.models)
    watch = progress_of(watch, study.name)
    study, panel = read_panel(study, bars, watch)
    planned = make_plan(study, panel, device=choose_device(device), catalogs=catalogs)
    folder = Path(out) / study.name
    basis = _finished(folder, study, source)
    notes = []
    if basis is None:
        basis = _pilot(study, panel, folder, workers=workers, device=device, watch=watch)
        if any(model.pooled for model in planned.models.values()):
            notes.append("Pooled networks must be refitted: those of the pilot were trained on its tickers only.")
    comparison, asked_notes = _compare(study, basis, folder)
    here = _design(basis.forecasts, basis.forecasts["seed"].drop_nulls().unique().to_list())
    there = _design_of(planned)
    pooled = set(basis.manifest["pooled"])
    foresights = foresee(comparison, here, there, pooled=pooled)
    count = 1 if basis.manifest.get("device") == "cuda" else max(Workers(workers).count, 1)
    unit = sign_of(comparison.losses)
    return Prospect(
        study.name, _costs(planned, basis, here), count, there.tickers, there.days, there.seeds, unit, foresights,
        basis.name, (*notes, *asked_notes, *_notes(foresights, here, there, unit, basis)),
    )  # fmt: skip


def _finished(folder: Path, study: Study, source: Path | str | None) -> _Basis | None:
    """Read the folder that a user names, or the study's own where it is finished and holds its variants."""
    chosen = folder if source is None else Path(source)
    if source is None and not StudyFolder(folder).is_finished:
        return None
    basis = _read(chosen, str(chosen))
    known = basis.forecasts["variant"].unique(maintain_order=True).to_list()
    lacking = [name for name in study.variants if name not in known]
    if not lacking:
        return basis
    if source is None:
        return None
    raise StudyError(f"--from {chosen}: no variant {lacking[0]}; it has {', '.join(known)}")


def _read(folder: Path, name: str) -> _Basis:
    place = StudyFolder(folder, " to go by", "name another, or none")
    manifest = place.manifest()
    try:
        known = {key: manifest[key] for key in ("costs", "pooled", "device")}
        kinds = schemas(manifest["study"].get("levels", ()), realised=manifest["study"].get("target") in COMPARED)
    except BROKEN as error:
        raise place.refusal(MANIFEST, error) from None
    return _Basis(name, known, *(place.table(table, kinds[table]) for table in ("forecasts", "folds")))


def _pilot(study: Study, panel: Panel, folder: Path, *, workers: int | None, device: Device, watch: Watch) -> _Basis:
    """Fit two tickers and three seeds on the study's own sessions; units go into its folder, tables nowhere."""
    tickers = tuple(dict.fromkeys((panel.tickers[0], panel.tickers[-1])))[:PILOT_TICKERS]
    fewer = {"tickers": tickers, "seeds": study.seeds[:PILOT_SEEDS], "analyses": {}}
    small = study.model_copy(update=fewer)
    with tempfile.TemporaryDirectory(prefix="nextday-plan-") as nowhere:
        units = StudyFolder(folder).units
        done = forecast(
            small, bars=panel.only(tickers), out=nowhere, workers=workers, store=units, device=device, watch=watch
        )
        return _read(done, f"a pilot of {_count(len(tickers), 'ticker')} and {_count(len(small.seeds), 'seed')}")


def _compare(study: Study, basis: _Basis, folder: Path) -> tuple[Comparison, list[str]]:
    """Compare what the study asks on the forecasts there are."""
    terms, sets = study.verdict, resolve_sets(study.feature_sets)
    asked = gather(folder, study, sets, basis.forecasts, basis.manifest["pooled"])
    losses = measure(
        asked.forecasts, loss=terms.loss, benchmark=terms.benchmark or None, folds=basis.folds, pooled=asked.pooled,
        scale=terms.scale,
    )  # fmt: skip
    comparison = compare(
        losses, ask=asked.asks, margin=terms.margin, alpha=terms.alpha, explore=(), other_blocks=(),
        alike=alike_of(study),
    )  # fmt: skip
    return comparison, [f"Not planned for: {asked.note}."] if asked.note else []


def _design(forecasts: pl.DataFrame, seeds: Sequence[int]) -> Design:
    return Design(forecasts["ticker"].n_unique(), forecasts["origin"].n_unique(), len(seeds))


def _design_of(planned: Plan) -> Design:
    days = {day for fold in planned.folds.values() for day in fold.at[fold.split.test].tolist()}
    seeds = {unit.seed for unit in planned.units} - {None}
    return Design(len({ticker for ticker, _ in planned.folds}), len(days), len(seeds))


def _costs(planned: Plan, basis: _Basis, here: Design) -> tuple[Cost, ...]:
    """Take what a unit took there; one of all tickers takes longer with more of them."""
    tickers, found = len({ticker for ticker, _ in planned.folds}), []
    for name in planned.study.variants:
        own = [unit for unit in planned.units if unit.variant == name]
        known: Mapping[str, Any] = basis.manifest["costs"].get(name, {})
        seconds = known["seconds"] / known["units"] if known.get("units") else None
        if seconds is not None and own[0].ticker == POOL:
            seconds *= tickers / here.tickers
        found.append(Cost(name, len(own), seconds))
    return tuple(found)


def _notes(foresights: Sequence[Foresight], here: Design, there: Design, unit: str, basis: _Basis) -> list[str]:
    """Describe obstacles to a verdict, and the extrapolation."""
    said = [f"The verdict on {one.name} would be withheld: {one.withheld}." for one in foresights if one.withheld]
    far = [one for one in foresights if one.times > 1 and not one.identical]
    said += [f"{one.name}: {_far(one, unit)}." for one in far[:3]]
    if len(far) > 3:
        said.append(f"{plural(len(far) - 3, 'more contrast')}: equality at the margin is out of reach.")
    if here.tickers == 1 and there.tickers > 1:
        said.append(
            "One ticker does not reveal the correlation between tickers: further tickers are assumed to add "
            "no information."
        )
    if here.seeds == 1 and there.seeds > 1:
        said.append("One seed does not reveal seed variance: errors include days only and are too small.")
    moved = [
        f"{name} {old:,} to {new:,}"
        for name, old, new in zip(("tickers", "days", "seeds"), astuple(here), astuple(there), strict=True)
        if old != new
    ]
    how = f", extrapolated ({'; '.join(moved)})" if moved else ""
    return [*said, f"Times and errors are taken from {basis.name}{how}; they are rough."]


def _far(one: Foresight, unit: str) -> str:
    margin = f"equality at the margin of {100 * one.margin:g} {unit}"
    seeds = " and seeds" if one.seed_error > 0 else ""
    return f"{margin} is out of reach: it takes about {_times(one.times)} times the days{seeds}"


def _of_many(costs: Sequence[Cost]) -> Sequence[Cost]:
    """Return costs by variant; of very many variants, as an ablation has, one for all."""
    if len(costs) <= MOST_VARIANTS:
        return costs
    units, known = sum(cost.units for cost in costs), [cost for cost in costs if cost.seconds is not None]
    seconds = sum(cost.units * (cost.seconds or 0) for cost in known) / units if len(known) == len(costs) else None
    return [Cost(plural(len(costs), "variant"), units, seconds)]


def plan_tables(prospect: Prospect) -> tuple[Table, Table]:
    """Format units and time, then the power for each contrast."""
    units = Table(title=f"{prospect.study}: {_effort(prospect)}", title_justify="left")
    for header in ("variant", "units", "seconds per unit", "time"):
        units.add_column(header, justify="left" if header == "variant" else "right", no_wrap=True)
    for cost in _of_many(prospect.costs):
        each = ["-", "-"]
        if cost.seconds is not None:
            each = [f"{cost.seconds:.2f}", duration(cost.units * cost.seconds / prospect.workers)]
        units.add_row(Text(cost.variant), f"{cost.units:,}", *each)
    title = (
        f"power 80 % with {_count(prospect.tickers, 'ticker')}, {_count(prospect.days, 'test day')} and "
        f"{_count(prospect.seeds, 'seed')}, in {prospect.unit}"
    )
    seen = Table(title=title, title_justify="left")
    for header in ("contrast", "detectable difference", "equality margin", "margin", "factor on days and seeds"):
        seen.add_column(header, justify="left" if header == "contrast" else "right")
    for one in prospect.foresights:
        figures = ("-",) * 4 if one.identical else (
            f"{100 * one.detectable:.2f}", f"{100 * one.equality:.2f}", f"{100 * one.margin:g}",
            _times(max(one.times, 1)),
        )  # fmt: skip
        seen.add_row(Text(one.name), *figures)
    return units, seen


def _effort(prospect: Prospect) -> str:
    minutes = prospect.minutes
    time = "" if minutes is None else f", about {duration(60 * minutes)} with {_count(prospect.workers, 'worker')}"
    return f"{_count(prospect.units, 'unit')}{time}"


def _times(ratio: float) -> str:
    return f"{float(f'{ratio:.2g}'):,g}"


def _count(number: int, what: str) -> str:
    return plural(number, what) if number else f"no {what}s"
