"""Detection rates: how often planted signals of each strength were found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from nextday.evaluate.wording import join
from nextday.words import plural

ANY_ASKED, ANY_BETTER = "any asked contrast", "any variant vs benchmark"
CONFIDENCE = 0.95
FINDINGS = ("withheld", "better", "found")


def unit_of(strength: float, number: int) -> str:
    """Name one copy of the bars."""
    return f"R² {100 * strength:g} %, copy {number + 1}"


@dataclass(frozen=True, slots=True)
class Found:
    """What a study found in one plant.

    Attributes
    ----------
    strength, number
        R2 of the signal, and number of the plant.
    share
        Share of the variance of returns that the signal has in this plant.
    names, asked
        The contrasts, and how many of them, from the first on, are asked; the others are against the benchmark.
    numbers
        ``estimate, low, high, withheld, better, found`` of each contrast, shape [contrast]. A contrast is better if
        its interval lies above zero and the difference matters; it is found if, besides, its gain is signal: the
        interval of that part of the difference (see ``parts``) lies above zero, too. Without a signal, a variant can
        still be better because it overfits less.
    """

    strength: float
    number: int
    share: float
    names: tuple[str, ...]
    asked: int
    numbers: Mapping[str, np.ndarray]

    @property
    def unit(self) -> str:
        """What progress calls it."""
        return unit_of(self.strength, self.number)

    def frame(self) -> pl.DataFrame:
        """Return one row per contrast.

        Columns: ``strength, plant, share, family, contrast, estimate, low, high, withheld, better, found``.
        """
        family = ["asked"] * self.asked + ["benchmark"] * (len(self.names) - self.asked)
        numbers = {name: self.numbers[name] for name in ("estimate", "low", "high")}
        return pl.DataFrame({"family": family, "contrast": self.names, **numbers}).select(
            pl.lit(self.strength).alias("strength"), pl.lit(self.number + 1).alias("plant"),
            pl.lit(self.share).alias("share"), pl.all(),
            *(pl.Series(name, self.numbers[name] > 0) for name in FINDINGS),
        )  # fmt: skip


def rates_of(found: Sequence[Found]) -> pl.DataFrame:
    """Compute the detection rate of each contrast at each strength.

    Returns
    -------
    One row per strength and contrast: ``strength, family, contrast, plants, rate, low, high`` (how often it was found,
    and Wilson's interval at 95 %), ``withheld`` and ``better`` (how often it was, for whatever reason), ``estimate``
    (mean over plants); and two rows per strength on whether any asked contrast was, or any variant against the
    benchmark.
    """
    each = pl.concat([one.frame() for one in found])
    any_of = each.group_by("strength", "plant", "family", maintain_order=True).agg(
        pl.col(FINDINGS).any(), pl.lit(None, pl.Float64).alias("estimate")
    )
    titles = {"asked": ANY_ASKED, "benchmark": ANY_BETTER}
    rows = pl.concat(
        [any_of.with_columns(contrast=pl.col("family").replace_strict(titles)), each], how="diagonal_relaxed"
    )
    counts = rows.group_by("strength", "family", "contrast", maintain_order=True).agg(
        pl.len().alias("plants"), pl.col("found").sum().alias("hits"), pl.col("withheld", "better", "estimate").mean()
    )
    counts = counts.sort("strength", maintain_order=True)
    ends = [_interval(*row) for row in counts.select("hits", "plants").iter_rows()]
    return counts.select(
        "strength", "family", "contrast", "plants", (pl.col("hits") / pl.col("plants")).alias("rate"),
        *(pl.Series(name, column) for name, column in zip(("low", "high"), zip(*ends, strict=True), strict=True)),
        "withheld", "better", "estimate",
    )  # fmt: skip


def _interval(hits: int, plants: int) -> tuple[float, float]:
    """Return Wilson's interval of a share."""
    from scipy.stats import binomtest

    found = binomtest(hits, plants).proportion_ci(CONFIDENCE, method="wilson")
    return float(found.low), float(found.high)


def sentence_of(rates: pl.DataFrame, signal: str) -> str:
    """Write how often signals of each strength are found, and how often something is found without one."""
    plants = plural(int(rates["plants"].to_numpy().max()), "copy", "copies")
    asked, against = (rates.filter(contrast=name) for name in (ANY_ASKED, ANY_BETTER))
    parts = [
        _clause(asked, "an asked contrast finds the signal"),
        _clause(against, "some variant is significantly better than the benchmark"),
    ]
    said = "; ".join(part for part in parts if part)
    return f"Signals planted in {signal}, {plants} of the bars per strength: {said}."


def _clause(rates: pl.DataFrame, what: str) -> str:
    each = {row["strength"]: f"{100 * row['rate']:.0f} %" for row in rates.iter_rows(named=True)}
    strengths = [strength for strength in each if strength]
    if not strengths:
        return ""
    r2 = join([f"{100 * one:g}" for one in strengths])
    text = f"{what} in {join([each[one] for one in strengths])} of copies at an R² of {r2} %"
    withheld = float(rates["withheld"].to_numpy().max())
    text += f", and in {each[0.0]} without a signal" if 0.0 in each else ""
    return text + (f" (contrasts were withheld in up to {100 * withheld:.0f} %)" if withheld else "")
