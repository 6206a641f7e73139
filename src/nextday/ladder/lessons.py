"""Lessons: whether any model beats the zero forecast, the answer of each study, and answers across studies.

The answer of a study is read from its own verdict. The interval for the best of several models comes from the
simultaneous intervals of all of them, so that it covers the best model, whichever it is.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from nextday.errors import OutputError
from nextday.evaluate.ask import Ask
from nextday.evaluate.contrasts import Comparison, Contrast
from nextday.evaluate.export import SCHEMA
from nextday.evaluate.inference import compare
from nextday.evaluate.wording import NO, UNKNOWN, WITHHELD, YES, Lesson, interval, join, percent
from nextday.ladder.best import Figure, best_of, best_pair
from nextday.ladder.stages import Stage
from nextday.ladder.table import Ladder, subset
from nextday.presets import LAST
from nextday.storage.folder import BROKEN, VERDICT, StudyFolder
from nextday.study import Across, Kind
from nextday.words import plural, stage_label

OVERALL = "Does any model beat the zero forecast?"
PRETRAINED = ("fracast", "chronos_bolt")  # models that were trained elsewhere; others may be by what their days say
NOUNS = {"models": "model", "networks": "network", "pretrained": "pretrained model"}
MOST = 3  # names, or sentences of one analysis, that are spelled out


def learn(ladder: Ladder) -> tuple[Lesson, ...]:
    """Answer the question of the whole ladder, then those of each stage."""
    found = _overall(ladder)
    for stage in ladder.stages:
        found += _of_verdict(stage)
        found += [lesson for one in stage.study.lessons for lesson in _across(stage, one, ladder)]
    return tuple(found)


def candidates(ladder: Ladder, stages: Sequence[str], kind: Kind = "models") -> list[str]:
    """Name the variants of some stages with distinct forecasts: no calibrated copies, no zero forecast."""
    same = [one.first for one in ladder.comparison.against_benchmark if one.identical]
    elsewhere = pl.col("method").is_in(PRETRAINED) | (pl.col("contaminated") > 0)
    which = {
        "models": pl.lit(value=True), "networks": ~elsewhere & (pl.col("parameters").fill_null(1) > 0),
        "pretrained": elsewhere,
    }[kind]  # fmt: skip
    rows = ladder.entries.filter(pl.col("stage").is_in(list(stages)), pl.col("copy_of").is_null(), which)
    return rows.filter(~pl.col("variant").is_in(same))["variant"].to_list()


def _of_verdict(stage: Stage) -> list[Lesson]:
    """Repeat what a study answers, and what it found beside."""
    question = stage.study.question or "Its contrasts"
    try:
        said, *own = _read(stage.folder)
    except OutputError as error:
        return [Lesson(stage.name, question, WITHHELD, f"Withheld: {error}.")]
    return [Lesson(stage.name, question, *own), *_beside(stage, said)]


def _read(folder: StudyFolder) -> tuple[Any, ...]:
    """Read a verdict: all of it, its code, its sentence, and the figures of the first contrast that it judges."""
    said = folder.verdict()
    try:
        if said.get("schema") != SCHEMA:
            raise ValueError("it has another schema version")
        judged = [one for one in said["asked"] if not one["withheld"]]
        figures = [float(judged[0][key]) for key in ("estimate", "low", "high")] if judged else []
        return said, str(said["verdict"]["code"]), str(said["verdict"]["sentence"]), *figures
    except BROKEN as error:
        raise folder.refusal(VERDICT, error) from None


def _beside(stage: Stage, said: Mapping[str, Any]) -> list[Lesson]:
    """Repeat the sentences of analyses in a verdict: each key whose value is a list of texts."""
    texts = {
        name: values
        for name, values in said.items()
        if isinstance(values, list) and values and all(isinstance(one, str) for one in values)
    }
    found = []
    for name, values in texts.items():
        text = " ".join(f"{one.removesuffix('.')}." for one in values[:MOST])
        more = f" {len(values) - MOST} more in the report of {stage_label(stage.name)}." if len(values) > MOST else ""
        found.append(Lesson(stage.name, f"Supplementary: {name}", "supplementary", f"{text}{more}"))
    return found


def _overall(ladder: Ladder) -> list[Lesson]:
    """Answer whether any model beats the zero forecast, with the intervals of the leaderboard."""
    names = candidates(ladder, [stage.name for stage in ladder.stages])
    contrasts = [one for one in ladder.comparison.against_benchmark if one.first in names]
    judged = [one for one in contrasts if not one.withheld]
    withheld = [one for one in contrasts if one.withheld]
    if withheld and not judged:
        return [Lesson(LAST, OVERALL, WITHHELD, f"Withheld: {withheld[0].withheld}.")]
    return [_against_zero(ladder, judged, withheld)] if judged else []


def _left_out(withheld: Sequence[Contrast]) -> str:
    """Name the models that cannot be judged, with the reason."""
    names = list(dict.fromkeys(one.first for one in withheld))
    return f" Not judged: {_some(names)} ({withheld[0].withheld})." if withheld else ""


def _some(names: Sequence[str]) -> str:
    """Name a few, and count the others."""
    return join([*names[:MOST], f"{len(names) - MOST} more"] if len(names) > MOST else names)


def _against_zero(ladder: Ladder, judged: Sequence[Contrast], withheld: Sequence[Contrast]) -> Lesson:
    """Answer whether any of several models beats the zero forecast, and name the best in sample."""
    top, comparison = best_of(judged), ladder.comparison
    said, why = _leads(top, comparison.margin)
    said = UNKNOWN if said == NO and withheld else said  # none of all cannot be said where one is not judged
    ahead = [one.first for one in judged if one.low > 0]
    what = f"{plural(len(judged), 'model')} of {len(ladder.stages)} stages"
    head = _head(said, f"{what} that can be judged" if withheld else what, ahead, comparison.margin)
    reach = _written(top, comparison, "the best model" if len(judged) > 1 else "")
    reach += ("" if said == NO else why) + _contamination(ladder, top.first)
    text = f"{head} Best in sample: {top.first}, {reach}.{_left_out(withheld)}"
    return Lesson(LAST, OVERALL, said, text, top.estimate, top.low, top.high)


def _head(said: str, what: str, ahead: Sequence[str], margin: float) -> str:
    """Name the models that beat the zero forecast."""
    if said == YES:
        verb = "is" if len(ahead) == 1 else "are"
        return f"Yes: of {what} {_some(ahead)} {verb} significantly better than the zero forecast."
    if what.startswith(f"{plural(1, 'model')} "):
        return f"{said.capitalize()}: the only model is not significantly better than the zero forecast."
    if said == NO:
        return f"No: none of the {what} beats the zero forecast by the margin of {percent(margin)}."
    return f"Inconclusive: none of the {what} is significantly better than the zero forecast."


def _across(stage: Stage, asked: Across, ladder: Ladder) -> list[Lesson]:
    """Compare the best of a stage's models with the best of other stages; nothing if one side is missing."""
    first = candidates(ladder, [stage.name], asked.of)
    second = [name for name in candidates(ladder, asked.against, asked.among) if name not in first]
    if not first or not second:
        return []
    every = ladder.comparison
    pairs = [Ask(name, base) for name in first for base in second]
    comparison = compare(subset(every.losses, [*first, *second]), alpha=every.alpha, matches=pairs)
    judged = [one for one in comparison.contrasts if not one.withheld]
    withheld = [one for one in comparison.contrasts if one.withheld]
    if not judged:
        return [Lesson(stage.name, asked.question, WITHHELD, f"Withheld: {withheld[0].withheld}.")]
    top = best_pair(judged)
    said, why = (_leads if asked.asks == "leads" else _keeps_up)(top, comparison.margin)
    there = [one.name for one in ladder.stages if one.name in asked.against and {*one.names.values()} & {*second}]
    who = f"{_among(top.first, len(first), asked.of, [stage.name])} against "
    who += _among(top.second, len(second), asked.among, there)
    reach = _written(top, comparison, "the best of each" if len(pairs) > 1 else "")
    text = f"{said.capitalize()}: {who}, {reach}{why}{_contamination(ladder, top.first)}.{_left_out(withheld)}"
    return [Lesson(stage.name, asked.question, said, text, top.estimate, top.low, top.high)]


def _among(name: str, count: int, kind: Kind, stages: Sequence[str]) -> str:
    """Describe the models of a kind among which one is the best."""
    among = f"the only {NOUNS[kind]}" if count == 1 else f"the best of {plural(count, NOUNS[kind])}"
    return f"{name} ({among} of {join([stage_label(one) for one in stages])})"


def _leads(figure: Figure, margin: float) -> tuple[str, str]:
    """Answer whether the first is better, with the reason."""
    if figure.low > 0:
        return YES, "" if figure.high >= margin else f", which is below the margin of {percent(margin)}"
    if figure.high < margin:
        return NO, ", which is worse" if figure.high < 0 else f": any gain is below the margin of {percent(margin)}"
    return UNKNOWN, f", which includes both zero and gains above the margin of {percent(margin)}"


def _keeps_up(figure: Figure, margin: float) -> tuple[str, str]:
    """Answer whether the first falls short of the second by less than the margin."""
    if figure.low > -margin:
        short = f": any shortfall is below the margin of {percent(margin)}"
        return YES, ", which is better" if figure.low > 0 else short
    if figure.high < 0:
        return NO, ", which is worse"
    return UNKNOWN, f", which includes both zero and losses above the margin of {percent(margin)}"


def _written(figure: Figure, comparison: Comparison, whose: str) -> str:
    """Write an estimate and its interval; ``whose`` names the model if several could be the best."""
    label = f"{100 * (1 - comparison.alpha):g} % CI{f' for {whose}' if whose else ''} "
    return interval(figure.estimate, figure.low, figure.high, label=label)


def _contamination(ladder: Ladder, name: str) -> str:
    share = ladder.entries.filter(variant=name)["contaminated"][0]
    return f"; its pretraining corpus may overlap {100 * share:.0f} % of the test period" if share > 0 else ""
