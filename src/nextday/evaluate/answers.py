"""One answer per question, and the headline that joins them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nextday.evaluate.ask import Subject
from nextday.evaluate.contrasts import Comparison, Contrast, finding_of
from nextday.evaluate.wording import begin, interval, join, sign_of, the
from nextday.words import plural

MODELS = {
    "lstm": "LSTM", "gru": "GRU", "mlp": "MLP", "transformer": "Transformer", "linear_regression": "linear regression",
    "ridge": "ridge regression", "hist_gradient_boosting": "gradient boosting", "arima": "ARIMA", "vae": "VAE",
    "garch": "GARCH", "ewma": "EWMA",
}  # fmt: skip
INPUTS = {"raw": "raw returns", "ohlcv": "OHLCV inputs", "engineered": "engineered features", "lags": "lagged features"}
WHETHER = "it is inconclusive whether "
MOST_NAMED = 3  # answers of one kind that a headline spells out
MOST_BESIDE = 6  # variants that a headline names in one breath


FINDINGS = {  # and what each becomes when the two variants are swapped
    "better": "worse", "worse": "better", "equal": "equal", "cannot tell": "cannot tell", "withheld": "withheld",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one asked contrast.

    Attributes
    ----------
    first, second
        What was compared; ``second`` may be the benchmark.
    finding
        ``better``, ``worse``, ``equal``, ``cannot tell`` or ``withheld``: of ``first`` against ``second``.
    sentence
        The answer with its estimate and interval; without the model, which ``model`` names.
    model
        The model that both share, where the question is about its features; else empty.
    clause
        The answer without figures.
    """

    first: str
    second: str
    finding: str
    sentence: str
    model: str = ""
    clause: str = ""

    @property
    def of_features(self) -> bool:
        """Whether the two differ in their features alone."""
        return bool(self.model)


def answer_of(contrast: Contrast, comparison: Comparison, subjects: Mapping[str, Subject]) -> Answer:
    """Answer one contrast."""
    finding = finding_of(contrast)
    first, second = subjects.get(contrast.first), subjects.get(contrast.second)
    if contrast.kind == "effect":
        clause, model = _of_group(finding, contrast), MODELS.get(contrast.model, contrast.model)
    elif contrast.kind == "difference":
        clause, model = _of_difference(finding, contrast, subjects), ""
    elif first and second and first.model == second.model and first.inputs != second.inputs:
        clause = _of_features(finding, first, second)
        model = MODELS.get(first.model, first.model)
    else:
        clause, model = _of_variants(finding, contrast, comparison), ""
    if finding == "withheld":
        return Answer(contrast.first, contrast.second, finding, f"{clause} ({contrast.withheld})", model, clause)
    if contrast.identical:
        return Answer(contrast.first, contrast.second, finding, clause, model, clause)
    if finding == "equal":
        clause = f"{clause} within {100 * contrast.margin:g} {sign_of(comparison.losses)}"
    turned = contrast.kind == "pair" and not model and contrast.second != comparison.losses.benchmark
    sign = -1 if finding == "worse" and turned else 1  # the better one comes first
    ends = sorted((sign * contrast.low, sign * contrast.high))
    figures = interval(sign * contrast.estimate, ends[0], ends[1], sign_of(comparison.losses))
    text = f"{clause}, {figures}" if finding in {"better", "worse"} else f"{clause} ({_plain(figures)})"
    return Answer(contrast.first, contrast.second, finding, text, model, clause)


def headline_of(answers: Sequence[Answer], comparison: Comparison) -> str:
    """Join the answers, grouped by model; what is resolved first, with figures."""
    if all(one.finding == "withheld" for one in answers):
        reasons = dict.fromkeys(one.withheld for one in comparison.asked)
        return f"withheld: {'; '.join(reasons)}"
    parts, by_model = [], dict.fromkeys(("", *(one.model for one in answers)))
    for model in by_model:
        found = [one for one in answers if one.model == model]
        if not found:
            continue
        said = _of_benchmark(found, comparison) if not model else []
        rest = [one for one in found if model or one.second != comparison.losses.benchmark]
        said += _spelled(rest)
        parts.append(f"{model}: {'; '.join(said)}" if model else "; ".join(said))
    return ". ".join((parts[0], *(begin(part, comparison.losses) for part in parts[1:])))


def _spelled(answers: Sequence[Answer]) -> list[str]:
    """Write out what is answered, and join what is not."""
    said, of_features = [], bool(answers and answers[0].model)
    kinds = {"better": ["better"], "worse": ["worse"]} if of_features else {"resolved": ["better", "worse"]}
    for word, findings in kinds.items():
        mine = [one for one in answers if one.finding in findings]
        said += [one.sentence for one in mine[:MOST_NAMED]]
        said += _counted(len(mine) - MOST_NAMED, word, answers, "more ")
    equal = [one for one in answers if one.finding == "equal"]
    said += [one.sentence for one in equal] if len(equal) <= MOST_NAMED else _counted(len(equal), "equal", answers)
    return said + _open(answers) + _withheld(answers)


def _open(answers: Sequence[Answer]) -> list[str]:
    """Join the inconclusive answers, those of each form on their own; one alone keeps its figures."""
    mine = [one for one in answers if one.finding == "cannot tell"]
    asks = [one for one in mine if one.clause.startswith(WHETHER)]
    others = [one for one in mine if one not in asks]
    said = [one.sentence for part in (asks, others) if len(part) == 1 for one in part]
    if len(asks) > 1:
        helps = " helps" if all(one.clause.endswith(" helps") for one in asks) else ""  # groups, of one verb
        names = [one.clause.removeprefix(WHETHER).removesuffix(helps) for one in asks[:MOST_NAMED]]
        said += [f"{WHETHER}{join(names, 'or')}{helps}", *_more(asks, answers)]
    if len(others) > 1:
        names = [one.clause.removesuffix(" is inconclusive") for one in others[:MOST_NAMED]]
        said += [f"{join(names)} are inconclusive", *_more(others, answers)]
    return said


def _more(mine: Sequence[Answer], answers: Sequence[Answer]) -> list[str]:
    return _counted(len(mine) - MOST_NAMED, "inconclusive", answers, "more ")


def _withheld(answers: Sequence[Answer]) -> list[str]:
    """Join the withheld answers; one alone keeps its reason."""
    mine = [one for one in answers if one.finding == "withheld"]
    if len(mine) < 2:
        return [one.sentence for one in mine]
    names = [one.clause.removeprefix("withheld: ") for one in mine[:MOST_NAMED]]
    more = [plural(len(mine) - MOST_NAMED, f"more {_kind(mine)}")] if len(mine) > MOST_NAMED else []
    return [f"withheld: {join([*names, *more])}"]


def _kind(answers: Sequence[Answer]) -> str:
    """Name what is counted: what an ablation varies, or contrasts."""
    return "contrast" if any(one.second for one in answers) else "input"


def _counted(number: int, word: str, answers: Sequence[Answer], more: str = "") -> list[str]:
    """Count the contrasts that are not named one by one."""
    if number <= 0:
        return []
    kind, be = _kind(answers), "is" if number == 1 else "are"
    s = "s" if number == 1 else ""
    if kind == "contrast":
        return [f"{plural(number, f'{more}{kind}')} {be} {word}"]
    verbs = {"better": f"help{s}", "worse": f"hurt{s}", "equal": f"make{s} no difference"}
    counted = f"{number} {more.strip()}" if more else plural(number, kind)
    return [f"{counted} {verbs.get(word, f'{be} {word}')}"]


def _of_benchmark(answers: Sequence[Answer], comparison: Comparison) -> list[str]:
    """Join the answers against the benchmark by their finding; one alone keeps its figures."""
    mine = [one for one in answers if one.second == comparison.losses.benchmark]
    bench, said = the(comparison.losses.benchmark), []
    for finding, verb in {"better": "beat", "worse": "lose to", "equal": "equal"}.items():
        found = [one for one in mine if one.finding == finding]
        if len(found) == 1:
            said.append(found[0].sentence)
        elif found:
            said.append(f"{_names(found)} {verb} {bench}")
    unknown = [one for one in mine if one.finding == "cannot tell"]
    if len(unknown) == 1:
        said.append(unknown[0].sentence)
    elif unknown:
        said.append(f"it is inconclusive whether {_names(unknown, 'or')} beats {bench}")
    return said + [one.sentence for one in mine if one.finding == "withheld"]


def _names(answers: Sequence[Answer], word: str = "and") -> str:
    """Name the first of each contrast, some of many."""
    names = [one.first for one in answers]
    more = [f"{len(names) - MOST_BESIDE} more"] if len(names) > MOST_BESIDE else []
    return join([*names[: len(names) if not more else MOST_BESIDE], *more], word)


def _of_features(finding: str, first: Subject, second: Subject) -> str:
    """Describe what richer inputs do to a model; raw returns are not named."""
    inputs, other = (INPUTS.get(one.inputs, f"{one.inputs} features") for one in (first, second))
    plain = second.role == "raw"
    return {
        "better": f"{inputs} help" if plain else f"{inputs} help beyond {other}",
        "worse": f"{inputs} hurt" if plain else f"{inputs} hurt compared with {other}",
        "equal": f"{inputs} make no difference" if plain else f"{inputs} and {other} are equal",
        "cannot tell": f"it is inconclusive whether {inputs} help{'' if plain else f' beyond {other}'}",
        "withheld": f"withheld: whether {inputs} help{'' if plain else f' beyond {other}'}",
    }[finding]


def _of_group(finding: str, contrast: Contrast) -> str:
    """Describe what a group of features does to a model."""
    group = contrast.group
    if contrast.identical:
        return f"{group} changes no forecast"
    return {
        "better": f"{group} helps", "worse": f"{group} hurts", "equal": f"{group} makes no difference",
        "cannot tell": f"it is inconclusive whether {group} helps", "withheld": f"withheld: whether {group} helps",
    }[finding]  # fmt: skip


def _of_difference(finding: str, contrast: Contrast, subjects: Mapping[str, Subject]) -> str:
    """Describe the difference of two differences: of one change of inputs in two models, or of any."""
    sides = (side.strip("()").split(" - ") for side in (contrast.first, contrast.second))
    one, two = ([subjects[name] for name in side if name in subjects] for side in sides)
    if not _is_same_change(one, two):
        first, second = contrast.first, contrast.second
        return {
            "better": f"{first} is significantly larger than {second}",
            "worse": f"{first} is significantly smaller than {second}", "equal": f"{first} and {second} are equal",
            "cannot tell": f"{first} against {second} is inconclusive",
            "withheld": f"withheld: {first} against {second}",
        }[finding]  # fmt: skip
    what = INPUTS.get(one[0].inputs, f"{one[0].inputs} features")
    first, second = (MODELS.get(side[0].model, side[0].model) for side in (one, two))
    more = f"{what} do more for {first} than for {second}"
    return {
        "better": more, "worse": f"{what} do less for {first} than for {second}",
        "equal": f"{what} do the same for {first} and {second}", "cannot tell": f"it is inconclusive whether {more}",
        "withheld": f"withheld: whether {more}",
    }[finding]  # fmt: skip


def _is_same_change(one: Sequence[Subject], two: Sequence[Subject]) -> bool:
    """Whether two pairs change the same inputs, each within one model."""
    if len(one) < 2 or len(two) < 2:
        return False
    within = one[0].model == one[1].model != two[0].model == two[1].model
    return within and [side.inputs for side in one] == [side.inputs for side in two]


def _of_variants(finding: str, contrast: Contrast, comparison: Comparison) -> str:
    """Describe which of two variants is better, the better one first."""
    one, two = contrast.first, contrast.second
    if two == comparison.losses.benchmark:
        bench = the(two)
        if contrast.identical:
            return f"{one} is identical to {bench}"
        return {
            "better": f"{one} beats {bench}", "worse": f"{one} loses to {bench}", "equal": f"{one} equals {bench}",
            "cannot tell": f"it is inconclusive whether {one} beats {bench}",
            "withheld": f"withheld: {one} against {bench}",
        }[finding]  # fmt: skip
    if contrast.identical:
        return f"{one} and {two} make identical forecasts"
    return {
        "better": f"{one} is significantly better than {two}", "worse": f"{two} is significantly better than {one}",
        "equal": f"{one} and {two} are equal", "cannot tell": f"{one} against {two} is inconclusive",
        "withheld": f"withheld: {one} against {two}",
    }[finding]  # fmt: skip


def _plain(figures: str) -> str:
    """Write an estimate and its interval inside brackets."""
    estimate, _, reach = figures.partition(" (")
    return f"{estimate}, {reach.removesuffix(')')}"
