"""What was learned: one sentence per question of a stage, generated from the numbers, with its figure and interval.

Contrasts that were named before the run are told as they are, with intervals simultaneous over them. Where the best of
several is asked for, the interval is for whichever is best, from the simultaneous intervals of all candidates, and the
sentence says so. An interval that holds both zero and gains that matter is "cannot tell".
"""

import json
from collections.abc import Callable, Sequence

import polars as pl

from nextday.analyses.probing.lesson import rediscovery
from nextday.evaluate.contrasts import Comparison, Contrast
from nextday.evaluate.export import SCHEMA
from nextday.evaluate.inference import compare
from nextday.evaluate.wording import (
    NO,
    UNKNOWN,
    WITHHELD,
    YES,
    Figure,
    Lesson,
    answer,
    at_once,
    because,
    best,
    best_of,
    best_pair,
    figures,
    join,
    percent,
    whichever,
    withhold,
)
from nextday.ladder.spread import uncertainty
from nextday.ladder.stages import Ladder, subset
from nextday.study import LAST

PRETRAINED = ("fracast", "chronos_bolt")  # models that were trained elsewhere; others may be by what their days say


def learn(ladder: Ladder) -> tuple[Lesson, ...]:
    """Answer each question whose stages are there: that of the whole ladder, then in order of the stages."""
    tellers: tuple[Callable[[Ladder], Sequence[Lesson]], ...] = (
        _everything, _simple, _sequences, _features, _attention, uncertainty, _pretrained, _probes,
    )  # fmt: skip
    return tuple(lesson for tell in tellers for lesson in tell(ladder))


def candidates(ladder: Ladder, *stages: str, networks: bool = False) -> list[str]:
    """Name the variants of some stages with a forecast of their own: no calibrated copies, not zero itself."""
    same = [one.first for one in ladder.comparison.against_benchmark if one.identical]
    rows = ladder.entries.filter(pl.col("stage").is_in(stages) & pl.col("copy_of").is_null())
    rows = rows.filter(pl.col("parameters").fill_null(1) > 0) if networks else rows
    return rows.filter(~pl.col("variant").is_in(same))["variant"].to_list()


def _everything(ladder: Ladder) -> list[Lesson]:
    """Tell whether anything beats the zero forecast, with the intervals of the leaderboard."""
    names = candidates(ladder, *(rung.name for rung in ladder.rungs))
    contrasts = [one for one in ladder.comparison.against_benchmark if one.first in names]
    what = f"models of {len(ladder.rungs)} stages"
    return _tell_best(LAST, "What did we learn?", contrasts, ladder.comparison, what, ladder)


def _simple(ladder: Ladder) -> list[Lesson]:
    names = candidates(ladder, "stage1")
    if not names:
        return []
    every = ladder.comparison
    comparison = compare(subset(every.losses, names), alpha=every.alpha, matches=[(name, None) for name in names])
    question = "Can simple models predict returns?"
    return _tell_best("stage1", question, comparison.contrasts, comparison, "simple models", ladder)


def _tell_best(
    stage: str, question: str, contrasts: Sequence[Contrast], comparison: Comparison, what: str, ladder: Ladder
) -> list[Lesson]:
    """Tell of the best of several whether it beats the zero forecast."""
    if not contrasts:
        return []
    contrasts, withheld = _judged(contrasts)
    if withheld and not any(one.low > 0 for one in contrasts):  # a gain stands alone, "none" does not
        return [Lesson(stage, question, WITHHELD, f"Withheld: {withheld[0].withheld}.")]
    top, margin, many = best_of(contrasts), percent(comparison.margin), len(contrasts)
    said = answer(top, comparison.margin)
    ahead = [one.first for one in contrasts if one.low > 0]
    if said == YES:
        who = f"Yes: of {many} {what} {_some(ahead)} better than the zero forecast"
    elif said == NO:
        who = f"No: none of {many} {what} beats the zero forecast by the {margin} that would matter"
    else:
        who = f"Cannot tell whether any of {many} {what} beats the zero forecast"
    reach = f"{figures(top)}{whichever(many)}{_contamination(ladder, top.first)}"
    why = "" if said == NO else because(top, comparison.margin)
    text = f"{who}; the best on these days, {top.first}: {reach}{why}{_left_out(withheld)}."
    return [Lesson(stage, question, said, text, top.estimate, top.low, top.high)]


def _judged(contrasts: Sequence[Contrast]) -> tuple[list[Contrast], list[Contrast]]:
    """Tell the contrasts that are judged from those that are withheld; each stands alone."""
    return [one for one in contrasts if not one.withheld], [one for one in contrasts if one.withheld]


def _left_out(withheld: Sequence[Contrast]) -> str:
    """Say how many contrasts are withheld, and why the first is."""
    return f"; {len(withheld)} more withheld ({withheld[0].withheld})" if withheld else ""


def _some(names: Sequence[str]) -> str:
    """Write up to three names, and their verb."""
    shown = [*names[:3], f"{len(names) - 3} more"] if len(names) > 3 else names
    return f"{join(shown)} {'is' if len(names) == 1 else 'are'}"


def _sequences(ladder: Ladder) -> list[Lesson]:
    """Tell the best LSTM against the best simple model."""
    lstms, simple = candidates(ladder, "stage2"), candidates(ladder, "stage1")
    return _tell_pair(ladder, "stage2", "Does sequence learning help?", ("LSTM", lstms), ("simple model", simple))


def _pretrained(ladder: Ladder) -> list[Lesson]:
    """Tell whether the best pretrained model falls short of the best network that was trained here."""
    known = ladder.entries.filter(pl.col("method").is_in(PRETRAINED) | (pl.col("contaminated") > 0))[
        "variant"
    ].to_list()
    pretrained = [name for name in candidates(ladder, "stage5") if name in known]
    own = candidates(ladder, "stage2", "stage3", "stage4", "stage5", networks=True)
    groups = ("pretrained model", pretrained), ("network trained here", [name for name in own if name not in known])
    return _tell_pair(ladder, "stage5", "Can a pretrained model match custom ones?", *groups, match=True)


def _tell_pair(
    ladder: Ladder, stage: str, question: str, one: tuple[str, list[str]], other: tuple[str, list[str]], *,
    match: bool = False,
) -> list[Lesson]:  # fmt: skip
    """Tell the best of some variants against the best of others; ``match`` asks whether it keeps up, not leads."""
    (what, first), (against, second) = one, other
    if not first or not second:
        return []
    pairs: list[tuple[str, str | None]] = [(name, base) for name in first for base in second]
    losses, alpha = subset(ladder.comparison.losses, [*first, *second]), ladder.comparison.alpha
    comparison = compare(losses, alpha=alpha, matches=pairs)
    if comparison.withheld:
        return [withhold(stage, question, comparison)]
    top, margin = best_pair(comparison.contrasts), comparison.margin
    said, why = (_keeps_up if match else _leads)(top, margin)
    names = f"the {best(first, what)}, {top.first}, less the {best(second, against)}, {top.second}"
    reach = f"{figures(top)}{whichever(len(pairs))}{_contamination(ladder, top.first)}"
    text = f"{said.capitalize()}: {names}: {reach}{why}."
    return [Lesson(stage, question, said, text, top.estimate, top.low, top.high)]


def _leads(contrast: Figure, margin: float) -> tuple[str, str]:
    return answer(contrast, margin), because(contrast, margin)


def _keeps_up(contrast: Figure, margin: float) -> tuple[str, str]:
    """Answer whether the first falls short of the second by less than the margin."""
    if contrast.low > -margin:
        by_less = f"; if it falls short, then by less than the {percent(margin)} that would matter"
        return YES, "; it is better" if contrast.low > 0 else by_less
    if contrast.high < 0:
        return NO, "; it falls short"
    return UNKNOWN, "; that includes zero and losses that would matter"


def _features(ladder: Ladder) -> list[Lesson]:
    """Repeat the headline of Stage 2, with the figures of its first contrast between features of one model."""
    rung, question = ladder.rung("stage2"), "Does feature engineering matter?"
    if rung is None:
        return []
    try:
        said = json.loads((rung.folder / "verdict.json").read_text("utf-8"))
        if said.get("schema") != SCHEMA:
            way_out = f"the verdict of {rung.folder} is of another version: run stage2 again"
            return [Lesson("stage2", question, WITHHELD, f"Withheld: {way_out}.")]
        sentence, code = str(said["verdict"]["sentence"]), str(said["verdict"]["code"])
        of_features = {(one["first"], one["second"]) for one in said["verdict"]["answers"] if one["model"]}
        found = [one for one in said["asked"] if (one["first"], one["second"]) in of_features and not one["withheld"]]
        figures = [float(found[0][key]) for key in ("estimate", "low", "high")] if found else []
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    return [Lesson("stage2", question, code, sentence, *figures)]


def _attention(ladder: Ladder) -> list[Lesson]:
    """Tell each Transformer against the LSTM that reads the same features: pairs that were named beforehand."""
    known = ladder.entries.filter(pl.col("copy_of").is_null())
    above, below = (known.filter(stage=stage).select("features", "variant") for stage in ("stage3", "stage2"))
    pairs = above.join(below, on="features", maintain_order="left", suffix="_below").drop("features").rows()
    if not pairs:
        return []
    question, every = "Does attention add value over an LSTM?", ladder.comparison
    names = list(dict.fromkeys([first for first, _ in pairs] + [second for _, second in pairs]))
    comparison = compare(subset(every.losses, names), alpha=every.alpha, matches=pairs)
    contrasts, withheld = _judged(comparison.contrasts)
    if withheld and not any(one.low > 0 for one in contrasts):
        return [Lesson("stage3", question, WITHHELD, f"Withheld: {withheld[0].withheld}.")]
    said, head = _summary(contrasts, comparison.margin)
    each = "; ".join(f"{one.first} less {one.second} {figures(one)}" for one in contrasts)
    text, main = f"{head}: {each}{at_once(len(pairs), 'pairs')}{_left_out(withheld)}.", best_of(contrasts)
    return [Lesson("stage3", question, said, text, main.estimate, main.low, main.high)]


def _summary(contrasts: Sequence[Contrast], margin: float) -> tuple[str, str]:
    """Answer by several contrasts at once: one gain is a yes, and is named; all without a gain are a no."""
    answers = {one.first: answer(one, margin) for one in contrasts}
    gains, worse = [name for name in answers if answers[name] == YES], [one.first for one in contrasts if one.high < 0]
    if gains:
        return YES, "Yes" if len(gains) == len(answers) else f"Yes, for {join(gains)}"
    if set(answers.values()) == {NO}:
        does_worse = len(worse) == len(answers)
        return (
            NO,
            "No, it does worse" if does_worse else f"No, any gain is below the {percent(margin)} that would matter",
        )
    return (
        UNKNOWN,
        f"Cannot tell, but {join(worse)} {'is' if len(worse) == 1 else 'are'} worse" if worse else "Cannot tell",
    )


def _probes(ladder: Ladder) -> list[Lesson]:
    """Read the probes of Stage 6, if there are any."""
    files = [ladder.folder / "stage6" / f"{name}.parquet" for name in ("probes", "probe_days")]
    try:
        tables = [pl.read_parquet(file, hive_partitioning=False) for file in files]
        found = rediscovery(*tables, alpha=ladder.comparison.alpha)
    except (OSError, pl.exceptions.PolarsError):
        return []
    return [found] if found else []


def _contamination(ladder: Ladder, name: str) -> str:
    share = ladder.entries.filter(variant=name)["contaminated"][0]
    return f"; its training data may reach {100 * share:.0f} % of the test days" if share > 0 else ""
