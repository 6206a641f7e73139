"""The tables of the HTML report: their texts, and the numbers by which they are sorted."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from nextday.evaluate import Beside, summarise
from nextday.evaluate.breakdown import Breakdown
from nextday.evaluate.contrasts import Comparison, Contrast
from nextday.evaluate.metrics import has_directions
from nextday.evaluate.parts import Parts
from nextday.evaluate.verdict import Verdict
from nextday.evaluate.wording import sign_of
from nextday.reporting.findings import Line, exploratory, lines_of, unit
from nextday.reporting.style import MOST_TICKERS, QUANTILES
from nextday.reporting.tables import mean_of

NOTHING = "–"
LONGEST = 24  # letters of a word that is not broken
NAMES = {"squared": "squared error", "absolute": "absolute error", "miss": "directional error",
    "qlike": "QLIKE", "pinball": "pinball loss",
}  # fmt: skip
PARTS = {"train": "training", "valid": "validation", "test": "test"}
MOST_OTHERS = 100  # rows of exploratory pairs


@dataclass(frozen=True, slots=True)
class Cell:
    """Text of a cell, and the number by which it is sorted, if any. ``kind`` is a CSS class."""

    text: str
    value: float | None = None
    kind: str = ""

    @property
    def words(self) -> tuple[tuple[str, bool], ...]:
        """Words of a name, and whether each is short enough to stay on one line."""
        return tuple((word, len(word) <= LONGEST) for word in self.text.split(" "))

    @property
    def whole(self) -> bool:
        """Whether a wide screen can show the text on one line."""
        return len(self.text) <= 2 * LONGEST


@dataclass(frozen=True, slots=True)
class Table:
    """A caption, column names, and rows; the first cell of a row is its name."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Positions of the numeric columns."""
        return tuple(any(row[at].value is not None for row in self.rows) for at in range(len(self.columns)))


def lay_out(
    comparison: Comparison, verdict: Verdict, numbers: Breakdown, *, scores: pl.DataFrame, history: pl.DataFrame,
    folds: pl.DataFrame, manifest: dict[str, Any], aside: Beside | None,
) -> dict[str, Table]:  # fmt: skip
    """Build all tables; empty ones are left out."""
    return (
        _aside(comparison, aside)
        | _contrasts(comparison, verdict)
        | _parts(comparison, verdict.parts)
        | _inputs(manifest)
        | {
            "variants": _variants(comparison, manifest),
            "folds": _folds(folds),
            "metrics": _metrics(scores, comparison),
            "tickers": _by_ticker(comparison, numbers),
            "robust": _robust(comparison, numbers),
            "years": _by_year(comparison, numbers),
            "curves": _trainings(history),
            "seeds": _by_seed(comparison, numbers),
            "detectable": _detectable(comparison, verdict),
        }
    )


def _contrasts(comparison: Comparison, verdict: Verdict) -> dict[str, Table]:
    """Lay out the families of contrasts, each contrast once: what is asked, others with the benchmark, other pairs."""
    of, chosen = unit(comparison), exploratory(comparison, MOST_OTHERS)
    few = f", the {len(chosen)} of {len(comparison.others)} with the smallest adjusted p"
    found = {
        "asked": (f"Asked contrasts: difference of skill, {of}", comparison.asked),
        "benchmark": (f"Not asked: skill against the {comparison.losses.benchmark}, {of}", comparison.unasked),
        "others": (f"Not asked: other pairs{few if len(chosen) < len(comparison.others) else ''}; {of}", chosen),
    }
    return {
        key: _family(caption, lines_of(contrasts, comparison, verdict), comparison)
        for key, (caption, contrasts) in found.items()
        if contrasts
    }


def _family(caption: str, lines: Sequence[Line], comparison: Comparison) -> Table:
    """Lay out contrasts with the finding beside the name, where a narrow screen shows it."""
    sign, noted = sign_of(comparison.losses), any(line.note for line in lines)
    rows = [
        (
            Cell(line.name), Cell(line.word, kind=f"finding {line.finding.replace(' ', '-')}"),
            _percent(c.estimate, comparison), _range(c.low, c.high, comparison), _p(c.p_adjusted),
            _percent(c.detectable, comparison, signed=False),
            *([Cell(line.note or NOTHING, kind="note")] if noted else []),
        )
        for line in lines
        for c in [line.contrast]
    ]  # fmt: skip
    columns = (
        "contrast", "finding", f"estimate,\u00a0{sign}", f"simultaneous {100 * (1 - comparison.alpha):g}\u00a0% CI",
        "p (adjusted)", "detectable", *(["note"] if noted else []),
    )  # fmt: skip
    return _table(caption, columns, rows)


def _parts(comparison: Comparison, parts: Sequence[Parts]) -> dict[str, Table]:
    """Lay out penalty and signal of what is asked."""
    rows = [
        (
            Cell(one.name), _percent(one.penalty, comparison),
            _range(one.penalty_low, one.penalty_high, comparison), _percent(one.signal, comparison),
            _range(one.signal_low, one.signal_high, comparison),
        )
        for one in parts
    ]  # fmt: skip
    sure = f"{100 * (1 - comparison.alpha):g}\u00a0% CI, pointwise"
    columns = ("contrast", "penalty", sure, "signal", sure)
    return {"parts": _table(f"Penalty and signal, {unit(comparison)}", columns, rows)} if rows else {}


def _variants(comparison: Comparison, manifest: dict[str, Any]) -> Table:
    known = manifest.get("study", {}).get("variants", {})
    rows = []
    for name, seeds in zip(comparison.losses.variants, comparison.losses.seeds, strict=True):
        variant = known.get(name, {})
        options = ", ".join(f"{key} {value}" for key, value in variant.get("options", {}).items())
        cells = (variant.get("model"), variant.get("features"), options, ", ".join(map(str, seeds)))
        rows.append((Cell(name), *(Cell(str(text) if text else NOTHING) for text in cells)))
    return _table("Variants", ("variant", "model", "features", "options", "seeds"), rows)


def _inputs(manifest: dict[str, Any]) -> dict[str, Table]:
    """List the features of every set that a variant reads."""
    sets = manifest.get("inputs", {})
    rows = [(Cell(name), Cell(one), Cell(formula)) for name, own in sets.items() for one, formula in own.items()]
    return {"inputs": _table("Feature sets", ("set", "feature", "formula"), rows)} if rows else {}


def _folds(folds: pl.DataFrame) -> Table:
    parts = [part for part in ("train", "valid", "test") if f"{part}_from" in folds.columns]
    ends = [(pl.col(f"{part}_from").min(), pl.col(f"{part}_to").max(), pl.col(part).sum()) for part in parts]
    each = folds.group_by("fold").agg(pl.len(), *(one for three in ends for one in three)).sort("fold")
    rows = []
    for fold, tickers, *rest in each.iter_rows():
        spans = [
            cell
            for start, end, count in zip(rest[::3], rest[1::3], rest[2::3], strict=True)
            for cell in (Cell(f"{start} to {end}"), _count(count))
        ]
        rows.append((_count(fold), _count(tickers), *spans))
    columns = [f"{PARTS[part]} {what}" for part in parts for what in ("origins", "samples")]
    return _table("Training, validation and test sets: samples of all tickers", ("fold", "tickers", *columns), rows)


def _metrics(scores: pl.DataFrame, comparison: Comparison) -> Table:
    counts = zip(comparison.losses.variants, comparison.losses.seeds, strict=True)
    seeds, rows = {name: len(own) or None for name, own in counts}, []
    percent = {"DirAcc": "DirAcc, %", "R2Zero": "R² against zero, %", "R2Mean": "R² against the mean, %"}
    if not has_directions(scores):
        percent = {"R2Mean": percent["R2Mean"]}
    for row in summarise(scores, by=["variant"]).iter_rows(named=True):
        errors = [_score(row[name], 1, 5) for name in ("MAE", "RMSE")]
        shares = [_score(row[name], 100, 2) for name in percent]
        rows.append((Cell(row["variant"]), *errors, *shares, _count(seeds.get(row["variant"]))))
    columns = ("variant", "MAE", "RMSE", *percent.values(), "seeds")
    return _table("Point metrics: mean over tickers and seeds", columns, rows)


def _by_ticker(comparison: Comparison, numbers: Breakdown) -> Table:
    """Lay out the skill on each ticker; of many tickers its distribution, which a page of thousands of rows hides."""
    if len(comparison.losses.tickers) > MOST_TICKERS:
        return _over_tickers(comparison, numbers)
    days = (~np.isnan(comparison.losses.base)).sum(axis=1)
    rows = [
        (Cell(name), _count(int(count)), *(_percent(skill, comparison) for skill in column))
        for name, count, column in zip(comparison.losses.tickers, days, numbers.by_ticker.T, strict=True)
    ]
    caption = f"Skill by ticker, {unit(comparison)}"
    return _table(caption, ("ticker", "days", *comparison.losses.variants), rows)


def _over_tickers(comparison: Comparison, numbers: Breakdown) -> Table:
    rows = []
    for name, skills in zip(comparison.losses.variants, numbers.by_ticker, strict=True):
        known = skills[np.isfinite(skills)]
        figures = np.quantile(known, [0, *QUANTILES, 1]) if len(known) else np.full(len(QUANTILES) + 2, np.nan)
        above = float((known > 0).mean()) if len(known) else math.nan
        cells = [_percent(float(value), comparison) for value in figures]
        rows.append((Cell(name), _count(len(known)), *cells, Cell(share(above), _finite(above))))
    quantiles = ["median" if at == 0.5 else f"{100 * at:g}\u00a0%" for at in QUANTILES]
    columns = ("variant", "tickers", "lowest", *quantiles, "highest", "above zero")
    return _table(f"Skill over the tickers, its quantiles, {unit(comparison)}", columns, rows)


def _robust(comparison: Comparison, numbers: Breakdown) -> Table:
    rows = []
    for c, agree, without in zip(numbers.contrasts, numbers.agree, numbers.left_out, strict=True):
        known = without[np.isfinite(without)]
        low, high = (float(known.min()), float(known.max())) if len(known) else (math.nan, math.nan)
        rows.append(
            (
                Cell(_name(c)),
                _percent(c.estimate, comparison),
                Cell(share(agree), _finite(agree)),
                _range(low, high, comparison),
            )
        )
    columns = ("contrast", "skill", "tickers with the same sign", "range with one ticker left out")
    return _table("Influence of single tickers", columns, rows)


def _by_year(comparison: Comparison, numbers: Breakdown) -> Table:
    rows = [
        (Cell(str(year), year), _count(days), *(_percent(skill, comparison) for skill in column))
        for year, days, column in zip(numbers.years, numbers.days, numbers.by_year.T, strict=True)
    ]
    caption = f"Skill by calendar year, {unit(comparison)}"
    return _table(caption, ("year", "days", *comparison.losses.variants), rows)


def _trainings(history: pl.DataFrame) -> Table:
    columns = ("variant", "trainings", "epochs, median", "best epoch, median", "best epoch, range")
    if history.is_empty():
        return _table("Trainings", columns, [])
    kept = pl.col("epoch").filter("best").max().alias("kept")
    units = history.group_by("variant", "ticker", "fold", "seed", maintain_order=True).agg(pl.col("epoch").max(), kept)
    each = units.group_by("variant", maintain_order=True).agg(
        pl.len(),
        pl.col("epoch").median(),
        middle=pl.col("kept").median(),
        least=pl.col("kept").min(),
        most=pl.col("kept").max(),
    )
    rows = [
        (Cell(name), _count(count), _count(epochs), _count(middle), Cell(f"{least} to {most}", least))
        for name, count, epochs, middle, least, most in each.iter_rows()
    ]
    return _table("Trainings: one for each ticker, fold and seed", columns, rows)


def _by_seed(comparison: Comparison, numbers: Breakdown) -> Table:
    losses, rows = comparison.losses, []
    seeds = sorted({seed for own in losses.seeds for seed in own})
    for name, own, skills in zip(losses.variants, losses.seeds, numbers.by_seed, strict=True):
        known = dict(zip(own, skills, strict=True)) if own else {}
        deviation = float(skills.std(ddof=1)) if len(skills) > 1 else math.nan
        cells = [_percent(known.get(seed, math.nan), comparison) for seed in seeds]
        rows.append(
            (
                Cell(name),
                _percent(float(skills.mean()), comparison),
                _percent(deviation, comparison, signed=False),
                *cells,
            )
        )
    columns = ("variant", "mean", "standard deviation", *(f"seed {seed}" for seed in seeds))
    return _table(f"Skill by seed, {unit(comparison)}; variants without seeds are deterministic", columns, rows)


def _detectable(comparison: Comparison, verdict: Verdict) -> Table:
    """Lay out what the first table leaves out of the asked contrasts."""
    equal, rows = 100 * (1 - 2 * comparison.alpha), []
    for line in lines_of(comparison.asked, comparison, verdict):
        c = line.contrast
        values = (c.equality, c.margin, c.standard_error, c.date_error, c.seed_error)
        figures = (_percent(value, comparison, signed=False) for value in values)
        rows.append((Cell(line.name), _range(c.equal_low, c.equal_high, comparison), _p(c.p_value), *figures))
    columns = (
        "contrast", f"equivalence, {equal:g}\u00a0% CI", "p", "equality margin", "margin", "standard error",
        "date error", "seed error",
    )  # fmt: skip
    return _table(f"Equivalence, and the parts of the standard error; {unit(comparison)}", columns, rows)


def _table(caption: str, columns: Sequence[str], rows: Iterable[tuple[Cell, ...]]) -> Table:
    return Table(caption, tuple(columns), tuple(rows))


def _name(contrast: Contrast) -> str:
    return contrast.name


def number(value: float, comparison: Comparison, *, signed: bool = True) -> str:
    """Write a skill in percent with three digits of the margin; nothing if it is not finite."""
    if not math.isfinite(value):
        return NOTHING
    digits = min(max(2 - math.floor(math.log10(100 * comparison.margin)), 2), 8) if comparison.margin > 0 else 3
    rounded = round(value, digits) + 0.0  # no minus zero
    return f"{rounded:+.{digits}f}" if signed and rounded else f"{rounded:.{digits}f}"


def _percent(value: float, comparison: Comparison, *, signed: bool = True) -> Cell:
    return Cell(number(100 * value, comparison, signed=signed), _finite(value))


def _range(low: float, high: float, comparison: Comparison) -> Cell:
    if not (math.isfinite(low) and math.isfinite(high)):
        return Cell(NOTHING)
    return Cell(f"{number(100 * low, comparison)} to {number(100 * high, comparison)}", low)


def _score(value: float | None, factor: float, digits: int) -> Cell:
    text = mean_of(value, factor, digits, nothing=NOTHING)
    return Cell(text) if text == NOTHING else Cell(text, value)


def share(value: Any) -> str:  # noqa: ANN401 - what polars and NumPy give
    """Write a share in percent."""
    return NOTHING if value is None or not math.isfinite(value) else f"{100 * value:.1f} %"


def _p(value: float) -> Cell:
    if not math.isfinite(value):
        return Cell(NOTHING)
    return Cell("< 0.001" if value < 0.001 else f"{value:.3f}", value)


def _count(value: float | None) -> Cell:
    return Cell(NOTHING) if value is None or not math.isfinite(value) else Cell(f"{value:,.0f}", value)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _aside(comparison: Comparison, aside: Beside | None) -> dict[str, Table]:
    """Build the tables of the supplementary tests."""
    if aside is None:
        return {}
    rows = [
        (
            Cell(name),
            *(Cell(f"{value:.3f}", value) for value in aside.clark_west[name]),
            Cell("{:,} of {:,}".format(*aside.directions[name]), aside.directions[name][0]),
            Cell(f"{aside.confidence_set[name]:.3f}", aside.confidence_set[name]),
        )
        for name in comparison.losses.variants
    ]
    columns = ("variant", "Clark-West", "p", "directions significant", "confidence set, p")
    asked = {frozenset((one.first, one.second)) for one in comparison.asked}
    others = [
        (Cell(f"{first} - {second}"), Cell(NAMES[loss]), Cell(f"{100 * value:+.2f}", value), Cell(f"{p:.3f}", p))
        for loss, first, second, value, p in aside.secondary
        if frozenset((first, second)) in asked
    ]
    return {
        "aside": _table("Signal, and variants that may be the best", columns, rows),
        "secondary": _table("Asked contrasts by other losses", ("contrast", "loss", "skill, %", "p (Holm)"), others),
    }
