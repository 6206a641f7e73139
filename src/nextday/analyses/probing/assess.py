"""Results of probes: the share of a feature encoded in trained states, and how much of it training added.

As everywhere in nextday, the interval of an R2 covers other test days and other seeds of the same tickers; it is
conditional on the training set and the probes fitted on it. ``Above`` counts the tickers with a gain.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from nextday.evaluate.estimates import estimate

SOURCES = ("trained", "untrained", "window", "shuffled")
CONTROLS = ("untrained", "window")  # what a network must be beyond, to have learned a feature
MARGIN = 0.02  # of R2; less than that is nothing to speak of
VERDICTS = ("encoded", "not encoded beyond its control", "inconclusive")
NAMES = {"untrained": "the untrained network", "window": "the input window", "mean": "the feature's mean"}


def assess_probes(
    probes: pl.DataFrame, days: pl.DataFrame, *, alpha: float = 0.05, replicates: int = 1000, seed: int = 0
) -> pl.DataFrame:
    """Average R2 over tickers and seeds, with intervals, and compare trained states with each control, paired.

    Intervals are those of ``estimate`` over ``days``, in which a ratio's error is linear: dates in blocks, all tickers
    of a date together, and the seeds of each ticker. Each interval is pointwise.
    In 300 simulated worlds each of a feature as persistent as volatility, 627 days, 11 tickers and 3 seeds, 95 to 98 %
    of the 95 % intervals contain the true gain (``tests/evaluate/test_probes.py``). Of those of R2 itself 68 to 91 %
    do, fewer for more persistent features: a test set shows only part of the feature's variance, by which R2 divides.
    Trained states and controls have the same divisor, so decisions are based on gains.

    Parameters
    ----------
    probes
        One row per variant, ticker, fold, seed, layer, source and feature, with ``given`` and ``r2``; a window has
        layer 0 and no seed.
    days
        ``variant, source, feature, seed, date, r2``: contribution of a day to the R2 of last layers and windows.
    alpha
        Error rate of each interval.
    replicates, seed
        Of the bootstrap.

    Returns
    -------
    One row per variant, feature and source: ``R2``, ``R2_low``, ``R2_high``; for ``untrained`` and ``window`` also
    ``Gain``, ``Gain_low``, ``Gain_high``, the R2 of the trained state minus that of the control, and ``Above``, the
    number of ``Tickers`` in which it is positive; ``Given`` where the feature is an input; ``Days``, ``Seeds``.
    """
    found = []
    for variant, feature in days.select("variant", "feature").unique(maintain_order=True).iter_rows():
        wide = _wide(days.filter(variant=variant, feature=feature))
        series = [*map(pl.col, SOURCES), *(pl.col("trained") - pl.col(control) for control in CONTROLS)]
        mine = probes.filter(variant=variant, feature=feature)
        units = _units(mine, series)
        estimates = estimate(wide, series, replicates=replicates, seed=seed, units=units)
        gains = dict(zip(CONTROLS, estimates.of_means("Gain", alpha)[len(SOURCES) :], strict=True))
        above = dict(zip(CONTROLS, (units.mean(axis=1) > 0).sum(axis=1)[len(SOURCES) :].tolist(), strict=True))
        given, tickers = mine["given"].any(), units.shape[2]
        rests = {"Given": given, "Tickers": tickers, "Days": estimates.days, "Seeds": estimates.seeds}
        nothing = dict.fromkeys(("Gain", "Gain_low", "Gain_high", "Above"))
        for source, r2 in zip(SOURCES, estimates.of_means("R2", alpha), strict=False):
            r2["R2_high"] = min(r2["R2_high"], 1.0)
            gain = gains[source] | {"Above": above[source]} if source in gains else nothing
            found.append({"variant": variant, "feature": feature, "source": source, **r2, **gain, **rests})
    return pl.DataFrame(found, SCHEMA)


SCHEMA = {
    "variant": pl.String, "feature": pl.String, "source": pl.String,
    **{f"{name}{end}": pl.Float64 for name in ("R2", "Gain") for end in ("", "_low", "_high")},
    "Above": pl.Int64, "Given": pl.Boolean, "Tickers": pl.Int64, "Days": pl.Int64, "Seeds": pl.Int64,
}  # fmt: skip


def _wide(days: pl.DataFrame) -> pl.DataFrame:
    """Put sources side by side, one row per seed and date; a window is that of every seed."""
    return _beside(days.drop("variant", "feature"), ["seed", "date"])


def _units(probes: pl.DataFrame, series: Sequence[pl.Expr]) -> np.ndarray:
    """Return each series by seed and ticker, of the last layer, averaged over folds; shape [series, seed, ticker]."""
    last = probes.filter((pl.col("layer") == pl.col("layer").max()) | (pl.col("source") == "window"))
    means = last.group_by("source", "seed", "ticker").agg(pl.col("r2").mean())
    table = _beside(means, ["seed", "ticker"]).sort("seed", "ticker")
    named = (values.alias(str(at)) for at, values in enumerate(series))
    return table.select(*named).to_numpy().T.reshape(len(series), table["seed"].n_unique(), -1)


def _beside(table: pl.DataFrame, index: list[str]) -> pl.DataFrame:
    """Put the ``r2`` of sources side by side by seed and another column; a window is that of every seed."""
    window = table.filter(source="window").select(index[1], window="r2")
    by_seed = table.filter(pl.col("source") != "window").pivot("source", index=index, values="r2")
    return by_seed.join(window, on=index[1])


def found(gains: Mapping[str, Sequence[float]], *, margin: float = MARGIN) -> tuple[str, str]:
    """Decide whether a trained state encodes a feature, by the first rule that applies.

    1. The gain over some control is below the margin: not encoded beyond that control. 2. The gains over both controls
    exceed 0, by their intervals: encoded. 3. Otherwise: inconclusive.

    Both controls must be exceeded, so the error rate of "encoded" is at most that of one interval.

    Parameters
    ----------
    gains
        Ends of the interval of the gain over each control.
    margin
        Gains below it are negligible.

    Returns
    -------
    One of ``VERDICTS``, and the control that decided it, if one did.

    Examples
    --------
    >>> found({"untrained": (0.10, 0.30), "window": (0.40, 0.60)})
    ('encoded', '')
    >>> found({"untrained": (-0.02, 0.01), "window": (0.40, 0.60)})
    ('not encoded beyond its control', 'untrained')
    >>> found({"untrained": (-0.05, 0.30), "window": (0.40, 0.60)})
    ('inconclusive', 'untrained')
    """
    least = min(gains, key=lambda control: gains[control][1])
    if gains[least][1] < margin:
        return VERDICTS[1], least
    if all(low > 0 for low, _ in gains.values()):
        return VERDICTS[0], ""
    return VERDICTS[2], min(gains, key=lambda control: gains[control][0])


def conclude(rows: Mapping[str, Mapping[str, Any]], *, margin: float = MARGIN) -> tuple[str, str]:
    """Return the verdict of ``found`` on one feature in one variant, and the decisive or closest control.

    The feature's training ``mean``, the reference of R2, counts as a control: a state with R2 below zero encodes
    nothing, however poor the other controls are.

    Parameters
    ----------
    rows
        Rows of ``assess_probes``, by source.
    margin
        As in ``found``.
    """
    gains = {name: (rows[name]["Gain_low"], rows[name]["Gain_high"]) for name in CONTROLS}
    verdict, control = found(gains | {"mean": (rows["trained"]["R2_low"], rows["trained"]["R2_high"])}, margin=margin)
    return verdict, control or min(CONTROLS, key=lambda name: rows[name]["Gain"])


def written(row: Mapping[str, Any], name: str, sign: str = "") -> str:
    """Write an estimate of ``assess_probes`` and its interval."""
    ends = (round(row[f"{name}{end}"], 2) + 0.0 for end in ("", "_low", "_high"))  # no minus zero
    return "{} ({} to {})".format(*(f"{value:{sign}.2f}" for value in ends))


def sentences(assessed: pl.DataFrame, *, margin: float = MARGIN) -> list[str]:
    """Describe the result for each variant and each feature that is not among its inputs, one sentence each.

    Parameters
    ----------
    assessed
        As ``assess_probes`` returns it.
    margin
        As in ``found``.
    """
    said = []
    for (variant, feature), mine in assessed.filter(~pl.col("Given")).group_by(
        "variant", "feature", maintain_order=True
    ):
        rows = {row["source"]: row for row in mine.iter_rows(named=True)}
        verdict, control = conclude(rows, margin=margin)
        gain = f", {written(rows[control], 'Gain', '+')} against {NAMES[control]}" if control in rows else ""
        said.append(f"{feature} in {variant}: {verdict}, R2 {written(rows['trained'], 'R2')}{gain}")
    return said
