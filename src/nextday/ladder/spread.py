"""What Stage 4 teaches: whether networks know more of tomorrow's spread than simple models, and whether they cover."""

from collections.abc import Sequence

import polars as pl

from nextday.evaluate.inference import compare
from nextday.evaluate.quantiles import coverage_intervals, intervals_of, levels_of
from nextday.evaluate.seeds import MIN_SEEDS
from nextday.evaluate.table import measure
from nextday.evaluate.wording import (
    NO,
    UNKNOWN,
    WITHHELD,
    Figure,
    Lesson,
    answer,
    at_once,
    because,
    best,
    best_of,
    best_pair,
    figures,
    whichever,
    withhold,
)
from nextday.ladder.stages import Ladder, Rung

STAGE = "stage4"
SPREAD, VOLATILITY = "Can we predict uncertainty?", "Do networks predict it better than volatility models?"
COVER = "Do the networks' intervals hold what they should?"


def uncertainty(ladder: Ladder) -> list[Lesson]:
    """Tell the networks of Stage 4 against its baselines by pinball loss, and the coverage of their intervals."""
    rung = ladder.rung(STAGE)
    if rung is None or not (levels := levels_of(rung.forecasts)):
        return []
    rows = ladder.entries.filter((pl.col("stage") == STAGE) & pl.col("copy_of").is_null())
    known = rung.forecasts.filter(pl.col(f"q{levels[0]}").is_not_null())["variant"].unique()
    rows, trained = rows.filter(pl.col("variant").is_in(known.to_list())), pl.col("parameters").fill_null(1) > 0
    networks, baselines = (rows.filter(which)["variant"].to_list() for which in (trained, ~trained))
    if not networks:
        return []
    named = rung.names.get(rung.study.get("verdict", {}).get("benchmark", ""), "")
    baselines.sort(key=lambda name: name != named)  # the study's benchmark first
    alpha = ladder.comparison.alpha
    pooled = rows.filter("pooled")["variant"].to_list()
    found = _pinball(rung, networks, baselines, pooled, alpha) if baselines else []
    return found + ([_coverage(rung, networks, alpha)] if intervals_of(levels) else [])


def _pinball(rung: Rung, networks: list[str], baselines: list[str], pooled: list[str], alpha: float) -> list[Lesson]:
    """Compare by pinball loss: with the benchmark of the study, then with the best of the other baselines."""
    benchmark, *others = baselines
    table = rung.forecasts.filter(pl.col("variant").is_in([*networks, *baselines]))
    losses = measure(table, loss="pinball", benchmark=benchmark, folds=rung.folds, pooled=pooled)
    pairs: list[tuple[str, str | None]] = [(name, against) for name in networks for against in (None, *others)]
    comparison = compare(losses, alpha=alpha, matches=pairs)
    if comparison.withheld:
        return [withhold(STAGE, SPREAD, comparison)]
    network = f"by pinball loss the {best(networks, 'network')}"

    def tell(question: str, top: Figure, candidates: int, against: str) -> Lesson:
        said = answer(top, comparison.margin)
        reach = f"{figures(top)}{whichever(candidates)}{because(top, comparison.margin)}"
        text = f"{said.capitalize()}: {network}, {top.first}, less {against}: {reach}."
        return Lesson(STAGE, question, said, text, top.estimate, top.low, top.high)

    found = [tell(SPREAD, best_of(comparison.against_benchmark), len(networks), benchmark)]
    if others:
        top = best_pair(comparison.between)
        found.append(
            tell(VOLATILITY, top, len(comparison.between), f"the {best(others, 'other baseline')}, {top.second}")
        )
    return found


def _coverage(rung: Rung, networks: Sequence[str], alpha: float) -> Lesson:
    """Tell whether the widest interval of each network holds what it should; Bonferroni over the networks."""
    own = rung.forecasts.filter(pl.col("variant").is_in(networks))
    table = coverage_intervals(own, alpha=alpha / len(networks))
    rows = table.filter(pl.col("Nominal") == pl.col("Nominal").max()).to_dicts()
    few = [row for row in rows if 0 < row["Seeds"] < MIN_SEEDS]
    if few:
        why = f"{few[0]['variant']} has {few[0]['Seeds']} of the {MIN_SEEDS} seeds that the spread of trainings takes"
        return Lesson(STAGE, COVER, WITHHELD, f"Withheld: {why}.")
    nominal, parts, wrong = rows[0]["Nominal"], [], 0
    for row in rows:
        low, high = row["Coverage_low"], row["Coverage_high"]
        word = "too few" if high < nominal else "too many" if low > nominal else "not told from it"
        wrong += word != "not told from it"
        parts.append(f"{row['variant']} {100 * row['Coverage']:.1f} % ({100 * low:.1f} to {100 * high:.1f} %), {word}")
    head = "No" if wrong == len(rows) else "Not all" if wrong else "Nothing speaks against it"
    text = f"{head}: of the {100 * nominal:g} % of days they should hold they hold: {'; '.join(parts)}"
    first = min(rows, key=lambda row: -abs(row["Coverage"] - nominal))
    return Lesson(
        STAGE, COVER, NO if wrong else UNKNOWN, f"{text}{at_once(len(rows), 'networks')}.",
        first["Coverage"], first["Coverage_low"], first["Coverage_high"],
    )  # fmt: skip
