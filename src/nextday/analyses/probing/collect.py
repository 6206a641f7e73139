"""The tables of probes: R2 of each, contributions of days, and similarity of networks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import polars as pl

from nextday.analyses.probing.job import SOURCES
from nextday.engine.store import Arrays
from nextday.storage.tables import KEYS

PROBES = KEYS | {
    "layer": pl.Int64, "source": pl.String, "feature": pl.String, "given": pl.Boolean, "r2": pl.Float64,
}  # fmt: skip
PROBE_DAYS = {
    "variant": pl.String, "source": pl.String, "feature": pl.String, "seed": pl.Int64, "date": pl.Date,
    "r2": pl.Float64,
}  # fmt: skip
CKA = {
    "ticker": pl.String, "fold": pl.Int64, "first": pl.String, "first_seed": pl.Int64, "second": pl.String,
    "second_seed": pl.Int64, "source": pl.String, "cka": pl.Float64,
}  # fmt: skip
TABLES = {"probes": PROBES, "probe_days": PROBE_DAYS, "cka": CKA}

Key = tuple[str, str, str, int | None, int]  # variant, source, feature, seed, fold


@dataclass(frozen=True, slots=True)
class Result:
    """Results for the networks of one ticker and fold.

    ``subjects`` are their variants and seeds, ``inputs`` the features that each reads, ``targets`` the probed features,
    ``origins`` the dates of the test set.
    """

    ticker: str
    fold: int
    subjects: Sequence[tuple[str, int | None]]
    inputs: Sequence[tuple[str, ...]]
    targets: Sequence[str]
    origins: np.ndarray
    arrays: Arrays


def collect_probes(results: Iterable[Result]) -> dict[str, pl.DataFrame]:
    """Concatenate results; the columns are those of ``TABLES``."""
    probes, cka, days = [pl.DataFrame(schema=PROBES)], [pl.DataFrame(schema=CKA)], _Days()
    for result in results:
        names = [_name(result, *row) for row in result.arrays["rows"].tolist()]
        where = {"ticker": result.ticker, "fold": result.fold}
        found = [{**name, **where, "r2": r2} for name, r2 in zip(names, result.arrays["r2"].tolist(), strict=True)]
        probes.append(pl.DataFrame(found, PROBES))
        cka.append(pl.DataFrame(_pairs(result, where), CKA).drop_nans("cka"))
        days.add(result, [names[at] for at in result.arrays["ends"]])
    return {"probes": pl.concat(probes), "probe_days": days.table(), "cka": pl.concat(cka)}


def _name(result: Result, subject: int, layer: int, source: int, feature: int) -> dict[str, object]:
    variant, seed = result.subjects[subject]
    kind, target = SOURCES[source], result.targets[feature]
    given = target in result.inputs[subject]
    return {
        "variant": variant, "seed": None if kind == "window" else seed, "layer": layer, "source": kind,
        "feature": target, "given": given,
    }  # fmt: skip


def _pairs(result: Result, where: dict[str, object]) -> list[dict[str, object]]:
    pairs = list(combinations(result.subjects, 2))
    return [
        {
            **where, "first": first, "first_seed": first_seed, "second": second, "second_seed": second_seed,
            "source": source, "cka": value,
        }
        for source, values in zip(("trained", "untrained"), result.arrays["cka"].tolist(), strict=True)
        for ((first, first_seed), (second, second_seed)), value in zip(pairs, values, strict=True)
    ]  # fmt: skip


@dataclass(slots=True)
class _Days:
    """Sums over tickers of what days add, so that as many tickers as there are take no more memory."""

    sums: dict[Key, tuple[np.ndarray, int]] = field(default_factory=dict)
    origins: dict[int, np.ndarray] = field(default_factory=dict)

    def add(self, result: Result, names: Sequence[dict[str, object]]) -> None:
        self.origins[result.fold] = result.origins
        for name, parts in zip(names, result.arrays["days"].astype(np.float64), strict=True):
            key: Key = (*(name[part] for part in ("variant", "source", "feature", "seed")), result.fold)  # type: ignore[assignment]
            total, count = self.sums.get(key, (np.zeros(len(parts)), 0))
            self.sums[key] = total + parts, count + 1

    def table(self) -> pl.DataFrame:
        tables = [pl.DataFrame(schema=PROBE_DAYS)]
        for (*names, fold), (total, count) in self.sums.items():
            constant = {name: pl.lit(value) for name, value in zip(PROBE_DAYS, names, strict=False)}
            parts = pl.DataFrame({"date": self.origins[fold], "r2": total / count}).with_columns(**constant)
            tables.append(parts.select(*PROBE_DAYS).cast(PROBE_DAYS))  # type: ignore[arg-type]
        return pl.concat(tables)
