"""The contrasts that a study asks, named before the run, and the model and inputs of their variants."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from nextday.study import Question, Study, parse_contrast

HOUSE_ROLES = {"raw": "raw", "ohlcv": "rich", "alpha360": "rich"} | dict.fromkeys(
    ("engineered", "lags", "har", "ranges", "tsmom", "gkx_price", "alpha158", "alpha101", "talib"), "engineered"
)
RANKS = ("", "raw", "rich", "engineered")  # from poorer to richer


@dataclass(frozen=True, slots=True)
class Ask:
    """One contrast that is asked: skill of ``first`` minus that of ``second``, where None is the benchmark.

    ``margin`` applies to this contrast alone; None means the margin of the study.
    """

    first: str
    second: str | None
    margin: float | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What matters of a variant for the question: its model, the name of its feature set, and the role of that set.

    The role is ``raw``, ``rich`` (raw data beyond returns), ``engineered``, or empty if unknown.
    """

    model: str
    inputs: str
    role: str = ""


def asked_by(study: Study, feature_sets: Mapping[str, Sequence[str]], others: Collection[str] = ()) -> list[Ask]:
    """List the contrasts that a study asks; without ``verdict.ask``, its ablation.

    The ablation is every pair of variants with the same model and equal options whose features differ, richer minus
    poorer: by the roles of their feature sets, else by inclusion, else the later in the file minus the earlier. A study
    without such a pair asks for every variant against the benchmark. The choice never depends on results.
    ``others`` are variants of the study below that a contrast may name too.

    Raises
    ------
    StudyError
        If a contrast names an unknown variant, or one is asked twice.
    """
    if not study.verdict.ask:
        return _ablation(study, feature_sets)
    return [_read(question, study, others) for question in study.verdict.ask]


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


def _read(question: Question, study: Study, others: Collection[str]) -> Ask:
    first, _, second = parse_contrast(question.contrast, [*study.variants, *study.conformal, *others])
    return Ask(first, None if second == study.verdict.benchmark else second, question.margin)


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
