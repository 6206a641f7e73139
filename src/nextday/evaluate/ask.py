"""The contrasts that a study asks, named before the run, and the model and inputs of their variants."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from nextday.effects import Effect, effects_of
from nextday.questions import BENCHMARKS, Pair, parse_question
from nextday.study import Question, Study

HOUSE_ROLES = {"raw": "raw", "ohlcv": "rich", "alpha360": "rich"} | dict.fromkeys(
    ("engineered", "lags", "har", "ranges", "tsmom", "gkx_price", "alpha158", "alpha101", "talib"), "engineered"
)
RANKS = ("", "raw", "rich", "engineered")  # from poorer to richer


@dataclass(frozen=True, slots=True)
class Ask:
    """One contrast that is asked: skill of ``first`` minus that of ``second``, where None is the benchmark.

    Other sums of skills are named by ``first``, with what sets them apart from others of that name as ``second``.

    Attributes
    ----------
    margin
        Applies to this contrast alone; None means the margin of the study.
    terms
        Variants and their weights, of what is not the skill of one or the difference of two.
    kind
        ``pair``; ``difference`` of two pairs; of an ablation ``effect``, ``alternative`` or ``interaction``.
    model
        Whose effect it is.
    """

    first: str
    second: str | None
    margin: float | None = None
    terms: tuple[tuple[str, float], ...] = ()
    kind: str = "pair"
    model: str = ""

    @property
    def weights(self) -> tuple[tuple[str, float], ...]:
        """Variants and their weights; the benchmark, whose skill is zero, has none."""
        pair = ((self.first, 1.0), *(() if self.second is None else ((self.second, -1.0),)))
        return self.terms or pair

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of the variants that it is of."""
        return tuple(name for name, _ in self.weights)


@dataclass(frozen=True, slots=True)
class Subject:
    """What matters of a variant for the question: its model, the name of its feature set, and the role of that set.

    The role is ``raw``, ``rich`` (raw data beyond returns), ``engineered``, or empty if unknown.
    """

    model: str
    inputs: str
    role: str = ""


def asked_by(study: Study, feature_sets: Mapping[str, Sequence[str]], others: Collection[str] = ()) -> list[Ask]:
    """List the contrasts that a study asks: the effects of its ``ablation``, and those of ``verdict.ask``.

    A study with neither asks every pair of variants with the same model and equal options whose features differ, richer
    minus poorer: by the roles of their feature sets, else by inclusion, else the later in the file minus the earlier. A
    study without such a pair asks for every variant against the benchmark. The choice never depends on results.
    ``others`` are variants of the study below that a contrast may name too.

    Raises
    ------
    StudyError
        If a contrast names an unknown variant, or one is asked twice.
    """
    asked = [read_question(question, study, others) for question in study.verdict.ask]
    effects = [one for one in effects_asked(study) if one.kind == "effect"]
    return effects + asked or _ablation(study, feature_sets)


def effects_asked(study: Study) -> list[Ask]:
    """List the effects of a study's ablation: the asked ones, those by other designs, and interactions."""
    if study.ablation is None:
        return []
    several = len(study.ablation.model) > 1
    return [_of_effect(one, several=several) for one in effects_of(study.ablation)]


def _of_effect(effect: Effect, *, several: bool) -> Ask:
    first = f"{effect.model}: {effect.group}" if several else effect.group
    second = effect.company if effect.kind == "alternative" else ""
    return Ask(first, second, terms=effect.weights, kind=effect.kind, model=effect.model)


def subjects_of(study: Study, feature_sets: Mapping[str, Sequence[str]]) -> dict[str, Subject]:
    """Return the subject of every variant of a study."""
    found = {}
    for name, variant in study.variants.items():
        found[name] = Subject(variant.model, variant.features, role_of(variant.features, study.roles, feature_sets))
    return found | {name: found[copy.of] for name, copy in study.conformal.items()}


def role_of(name: str, roles: Mapping[str, str], feature_sets: Mapping[str, Sequence[str]]) -> str:
    """Return the role of a feature set: as declared, as known for built-in sets, else by the features it contains."""
    built_in = HOUSE_ROLES.get(name.partition(":")[0], "")  # a group of a set has the role of the set
    if name in roles or built_in:
        return roles.get(name) or built_in
    own = set(feature_sets.get(name, ()))
    return next((role for house, role in HOUSE_ROLES.items() if own <= set(feature_sets.get(house, ()))), "engineered")


def read_question(question: Question, study: Study, others: Collection[str]) -> Ask:
    """Read one contrast of a study; ``others`` are variants of the study below."""
    benchmark = study.verdict.benchmark
    one, two = parse_question(question.contrast, [*study.variants, *study.conformal, *others])
    first, second = (Ask(a, None if b == benchmark else b) for a, b in (one, two or one))
    if two is None:
        return replace(first, margin=question.margin)
    terms = _summed([*first.weights, *((name, -weight) for name, weight in second.weights)], benchmark)
    return Ask(f"({_written(one)})", f"({_written(two)})", question.margin, terms, "difference")


def _written(pair: Pair) -> str:
    return f"{pair[0]} - {pair[1] or BENCHMARKS[0]}"


def _summed(weights: Sequence[tuple[str, float]], benchmark: str) -> tuple[tuple[str, float], ...]:
    """Add up the weights of each variant; the benchmark and what cancels are left out."""
    total: dict[str, float] = {}
    for name, weight in weights:
        total[name] = total.get(name, 0.0) + weight
    return tuple((name, weight) for name, weight in total.items() if weight and name != benchmark)


def _ablation(study: Study, feature_sets: Mapping[str, Sequence[str]]) -> list[Ask]:
    subjects = subjects_of(study, feature_sets)
    pairs = []
    for one, two in combinations(study.variants, 2):
        first, second = study.variants[one], study.variants[two]
        if (first.model, first.options) == (second.model, second.options) and first.features != second.features:
            pairs.append(_richer_first(one, two, subjects, feature_sets))
    benchmark = study.verdict.benchmark
    alone = [Ask(name, None) for name in [*study.variants, *study.conformal] if name != benchmark]
    return [Ask(one, None if two == benchmark else two) for one, two in pairs if one != benchmark] or alone


def _richer_first(
    one: str, two: str, subjects: Mapping[str, Subject], feature_sets: Mapping[str, Sequence[str]]
) -> tuple[str, str]:
    """Order two variants: by role, then by inclusion, then as in the file, the later first."""
    ranks = [RANKS.index(subjects[name].role) for name in (one, two)]
    if ranks[0] != ranks[1]:
        return (one, two) if ranks[0] > ranks[1] else (two, one)
    held = [set(feature_sets.get(subjects[name].inputs, ())) for name in (one, two)]
    return (one, two) if held[0] > held[1] else (two, one)
