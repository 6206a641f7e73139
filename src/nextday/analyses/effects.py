"""Effects of groups of features: their table and figure, what groups share, and interactions of two groups."""

from typing import TYPE_CHECKING

import polars as pl

from nextday.ablation import Ablation
from nextday.analyses.base import Analysis, Done, Finished, Shown, Tables
from nextday.evaluate.contrasts import Comparison, Contrast, finding_of, relation
from nextday.features.groups import overlaps
from nextday.reporting.findings import effect_word, figures, interval_of
from nextday.reporting.html_tables import Cell, Table
from nextday.reporting.plates import Exhibit, Plate
from nextday.reporting.verdict_plot import draw_effects
from nextday.words import plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TABLES = {"overlap": {"group": pl.String, "other": pl.String, "share": pl.Float64}}
MUCH = 0.8  # of a group's variance, from where on another one carries the same
MOST = 20  # rows of a table


def keep(done: Done) -> Tables:
    """Return what the groups of an ablation share on the training sets, with the first unit alone."""
    ablation, plan = done.plan.study.ablation, done.plan
    if ablation is None or done.unit != plan.units[0]:
        return {}
    folds = [one for one in plan.folds.values() if one.split.fold == done.unit.fold]
    rows = [(one.ticker, one.at[one.split.train]) for one in folds]
    found = overlaps(plan.groups, plan.features, rows)
    return {"overlap": pl.DataFrame(found, schema=list(TABLES["overlap"]), orient="row")}


def show(finished: Finished) -> Shown:
    """Lay out the effects of an ablation; nothing for other studies."""
    ablation, comparison = finished.study.ablation, finished.comparison
    if ablation is None or comparison is None:
        return Shown()
    effects = effects_frame(comparison)
    sentences = [*_shared(finished.tables["overlap"]), *_interactions(comparison), *_disagreements(comparison)]
    plate = Plate("effects", "Effects of groups of features", lambda: _draw(comparison), effects)
    exhibits = _exhibits(ablation, comparison, finished.tables["overlap"])
    return Shown(
        plates=(plate,), said={"groups": sentences}, exhibits=exhibits,
        findings={"effects": effects, "overlap": finished.tables["overlap"]},
        files={"effects.csv": effects.write_csv().encode()},
    )  # fmt: skip


def effects_frame(comparison: Comparison) -> pl.DataFrame:
    """Return one row per effect: those that are asked, then those by other designs, then interactions."""
    kinds = ("effect", "alternative", "interaction")
    found = [one for kind in kinds for one in (*comparison.asked, *comparison.others) if one.kind == kind]
    rows = [
        (
            one.group, one.estimate, one.low, one.high, one.p_value, one.p_adjusted,
            effect_word(one), one.detectable, one.model, one.second or one.kind,
        )
        for one in found
    ]  # fmt: skip
    columns = ["group", "effect", "low", "high", "p", "p_adjusted", "finding", "detectable", "model", "kind"]
    return pl.DataFrame(rows, schema=columns, orient="row")


def _draw(comparison: Comparison) -> "Figure":
    beside = [one for one in comparison.others if one.kind == "alternative"]
    return draw_effects(comparison, [one for one in comparison.asked if one.kind == "effect"], beside)


def _much(overlap: pl.DataFrame) -> list[tuple[str, str, float]]:
    """Return the groups of which another one carries most."""
    return overlap.filter(pl.col("share") >= MUCH).sort("share", descending=True).head(MOST).rows()


def _shared(overlap: pl.DataFrame) -> list[str]:
    return [
        f"{other} carries much of the same information as {group}: it explains {100 * share:.0f} % of the variance of "
        f"{group} on the training set."
        for group, other, share in _much(overlap)
    ]


def _strong(comparison: Comparison) -> list[Contrast]:
    """Return the interactions that are significant, simultaneously over all pairs of groups."""
    strong = [one for one in comparison.others if one.kind == "interaction" and relation(one) in "<>"]
    return sorted(strong, key=lambda one: one.p_adjusted)[:MOST]


def _interactions(comparison: Comparison) -> list[str]:
    """Name the pairs of groups whose effects depend on each other."""
    found = []
    for one in _strong(comparison):
        first, second = one.group.split(" x ")
        more = "more" if one.estimate > 0 else "less"
        told = f"{figures(one.estimate)} % ({interval_of(one)})"
        found.append(f"Interaction: {first} helps {more} beside {second} than without it, {told}.")
    return found


def _disagreements(comparison: Comparison) -> list[str]:
    """Name the groups that another design resolves otherwise than the first one."""
    asked = {one.first: one for one in comparison.asked}
    found = []
    for one in comparison.others:
        first = asked.get(one.first)
        if one.kind != "alternative" or first is None or finding_of(one) == finding_of(first):
            continue
        words = [effect_word(each) for each in (first, one)]
        if not {*words} & {"helps", "hurts"}:
            continue  # two open answers do not contradict each other
        found.append(f"{one.first}: {words[0]} by the first design, {words[1]} {one.second}.")
    return found


def _exhibits(ablation: Ablation, comparison: Comparison, overlap: pl.DataFrame) -> tuple[Exhibit, ...]:
    """Lay out effects by design where there are several, interactions, and what groups share."""
    runs = f"{plural(len(comparison.losses.variants), 'run')}, {', '.join(ablation.model)}"
    designs = f"Designs: {', '.join(ablation.design)}; {runs}."
    found = (
        (f"{designs} {' '.join(_disagreements(comparison))}", _by_design(comparison)),
        ("Effect of the first group with the second minus its effect without it.", _pairs(comparison)),
        (
            "Share of the variance of a group's features that a linear regression on the other group's explains on the "
            "training set: groups that share much cannot both add much.", _overlap(overlap),
        ),
    )  # fmt: skip
    return tuple(Exhibit(table.caption, reading.strip(), "", table) for reading, table in found if table.rows)


def _by_design(comparison: Comparison) -> Table:
    by_name: dict[str, list[Contrast]] = {}
    others = [one for one in comparison.others if one.kind == "alternative"]
    for one in (*comparison.asked, *others) if others else ():
        if one.kind in ("effect", "alternative"):
            by_name.setdefault(one.first, []).append(one)
    rows = [(Cell(name), *map(_cell, each)) for name, each in by_name.items()]
    heads = [one.second or "effect" for one in next(iter(by_name.values()), [])]
    return Table("Effects of groups of features by design, % of skill", ("group", *heads), tuple(rows))


def _pairs(comparison: Comparison) -> Table:
    rows = [
        (
            Cell(one.first), Cell(figures(one.estimate), one.estimate), Cell(interval_of(one)),
            Cell(f"{one.p_adjusted:.3f}"),
        )
        for one in _strong(comparison)
    ]  # fmt: skip
    return Table("Interactions of two groups, % of skill", ("groups", "interaction", "CI", "p (adjusted)"), tuple(rows))


def _overlap(overlap: pl.DataFrame) -> Table:
    rows = [(Cell(group), Cell(other), Cell(f"{100 * share:.0f} %", share)) for group, other, share in _much(overlap)]
    return Table("Groups that carry the same information", ("group", "explained by", "share"), tuple(rows))


def _cell(contrast: Contrast) -> Cell:
    return Cell(f"{figures(contrast.estimate)}, {effect_word(contrast)}", contrast.estimate)


ANALYSIS = Analysis("effects", TABLES, keep=keep, show=show)
