"""From intervals to words: the verdict, generated from the numbers, for any number and names of variants."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np

from nextday.evaluate.contrasts import Comparison, Contrast
from nextday.evaluate.wording import join

MOST_KNOWN = 8  # orders to name one by one
ROLES = {"raw": "-Raw", "rich": "-OHLCV", "engineered": "-Feat"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a comparison says.

    Attributes
    ----------
    code
        ``withheld``, ``equal_baseline``, ``features_help``, ``learns_its_own``, ``features_add_noise``, ``resolved``
        or ``inconclusive``.
    sentence
        The verdict in one sentence.
    remarks
        What has to be said beside it: how sure, under which condition, what would settle it.
    """

    code: str
    sentence: str
    remarks: tuple[str, ...]


def judge(comparison: Comparison) -> Verdict:
    """Put a comparison into words; the first rule that fits decides."""
    if comparison.withheld:
        return Verdict("withheld", f"Withheld: {comparison.withheld}.", _conditions(comparison))
    for rule in (_equal_baseline, _ablation, _resolved):
        found = rule(comparison)
        if found is not None:
            return Verdict(found[0], found[1], (*found[2:], *_conditions(comparison)))
    return Verdict("inconclusive", *_inconclusive(comparison))


def relation(contrast: Contrast, margin: float) -> str:
    """Say ``>`` or ``<`` where the simultaneous interval excludes zero, ``=`` by two one-sided tests, else ``?``.

    A difference that is both resolved and inside the margin is ``=``: it is too small to matter.
    """
    if contrast.identical or (-margin < contrast.equal_low and contrast.equal_high < margin):
        return "="
    if contrast.low > 0:
        return ">"
    return "<" if contrast.high < 0 else "?"


def _equal_baseline(comparison: Comparison) -> tuple[str, ...] | None:
    """Checked first: an order among models that lose to the baseline says nothing about features."""
    if not all(contrast.high < comparison.margin for contrast in comparison.against_benchmark):
        return None
    worse = [contrast.first for contrast in comparison.against_benchmark if contrast.high < 0]
    better = [contrast.first for contrast in comparison.against_benchmark if contrast.low > 0]
    loses = f"; {join(worse)} {'loses' if len(worse) == 1 else 'lose'} to it" if worse else ""
    beats = f"; {join(better)} beat it by less than the margin" if better else ""
    sentence = (
        f"No variant beats the {comparison.losses.benchmark} by the margin of {_amount(comparison.margin, comparison)}"
        f"{loses}{beats}: there is no skill here that features could add to."
    )
    ordered = [_compared(contrast, comparison.margin) for contrast in comparison.between]
    resolved = [text for text in ordered if text]
    remark = f"Among them {'; '.join(resolved)}: that means less overfitting, not that inputs help." if resolved else ""
    return ("equal_baseline", sentence, *([remark] if remark else []))


def _ablation(comparison: Comparison) -> tuple[str, ...] | None:
    """The four orders that answer the question of Stage 2, where the variants are its three."""
    names = {role: [name for name in comparison.losses.variants if name.endswith(end)] for role, end in ROLES.items()}
    if len(comparison.losses.variants) != 3 or any(len(found) != 1 for found in names.values()):
        return None
    raw, rich, engineered = (names[role][0] for role in ROLES)
    order = _relations(comparison)
    if order(engineered, rich) == order(rich, raw) == order(engineered, raw) == ">":
        return "features_help", f"Features help: {engineered} > {rich} > {raw}."
    if order(rich, engineered) == "=" and order(rich, raw) == order(engineered, raw) == ">":
        return (
            "learns_its_own",
            f"The network learns its own features from rich raw data: {rich} = {engineered} > {raw}.",
        )
    if order(raw, rich) == order(raw, engineered) == ">":
        return "features_add_noise", f"The engineered inputs add noise: {raw} > {rich}, {engineered}."
    return None


def _resolved(comparison: Comparison) -> tuple[str, ...] | None:
    """Name any order in which every neighbour is resolved and every pair agrees with it."""
    if len(comparison.against_benchmark) == 1:
        (only,) = comparison.against_benchmark
        text = f"Resolved: {only.first} > {only.second}."
        return ("resolved", text) if relation(only, comparison.margin) == ">" else None
    order = _relations(comparison)
    ranked = sorted(comparison.against_benchmark, key=lambda contrast: -contrast.estimate)
    names = [contrast.first for contrast in ranked]
    pairs = [order(a, b) for at, a in enumerate(names) for b in names[at + 1 :]]
    if not pairs or any(pair not in (">", "=") for pair in pairs):
        return None
    text = names[0] + "".join(f" {order(a, b)} {b}" for a, b in pairwise(names))
    return "resolved", f"Resolved: {text}."


def _inconclusive(comparison: Comparison) -> tuple[str, tuple[str, ...]]:
    open_ones = [contrast for contrast in comparison.between if relation(contrast, comparison.margin) == "?"]
    open_ones = open_ones or [
        contrast for contrast in comparison.against_benchmark if relation(contrast, comparison.margin) == "?"
    ]
    remarks = [_what_would_settle(contrast, comparison) for contrast in open_ones]
    known = _known(comparison)
    if known:
        remarks.insert(0, f"Resolved: {'; '.join(known)}.")
    pairs = join(_first([f"{contrast.first} from {contrast.second}" for contrast in open_ones], 3))
    sentence = f"Inconclusive: the data cannot tell {pairs}, nor show that they are equal."
    return sentence, (*remarks, *_conditions(comparison))


def _what_would_settle(contrast: Contrast, comparison: Comparison) -> str:
    days = len(comparison.losses.dates)
    needed = contrast.days_to_settle(days, comparison.margin)
    smallest = max(abs(contrast.equal_low), abs(contrast.equal_high))
    if needed == float("inf"):
        way = "no number of days would settle it with these seeds: more seeds are needed first"
    else:
        margin = _amount(comparison.margin, comparison)
        way = f"about {needed:,.0f} days (now {days:,}) would settle it at the margin of {margin}"
    estimate, low, high = (
        _amount(value, comparison, signed=True) for value in (contrast.estimate, contrast.low, contrast.high)
    )
    return (
        f"{contrast.first} - {contrast.second}: {estimate}, interval {low} to {high}; equivalence would hold at a "
        f"margin of {_amount(smallest, comparison)}; {way}."
    )


def _conditions(comparison: Comparison) -> tuple[str, ...]:
    losses = comparison.losses
    tickers = f"{len(losses.tickers)} ticker{'s' if len(losses.tickers) > 1 else ''}"
    twins = [f"{c.first} and {c.second} forecast the same everywhere" for c in comparison.contrasts if c.identical]
    return (
        *(f"{text}." for text in twins),
        f"Minimum detectable difference of this study: {_amount(comparison.detectable, comparison)} (80 % power).",
        f"The claim is about the listed {tickers} and these {len(losses.dates):,} days.",
    )


def _relations(comparison: Comparison) -> Callable[[str, str], str]:
    known = {}
    for contrast in comparison.between:
        found = relation(contrast, comparison.margin)
        known[contrast.first, contrast.second] = found
        known[contrast.second, contrast.first] = {">": "<", "<": ">"}.get(found, found)
    return lambda first, second: known[first, second]


def _known(comparison: Comparison) -> list[str]:
    """Say what is resolved; of many, the benchmark's in one, and how many are equal."""
    known = [text for contrast in comparison.contrasts if (text := _compared(contrast, comparison.margin))]
    if len(known) <= MOST_KNOWN:
        return known
    sides = {sign: [one.first for one in comparison.against_benchmark if relation(one, comparison.margin) == sign]
             for sign in (">", "=", "<")}  # fmt: skip
    found = [f"{join(names)} {sign} {comparison.losses.benchmark}" for sign, names in sides.items() if names]
    pairs = [text for contrast in comparison.between if (text := _compared(contrast, comparison.margin))]
    ordered, equal = [text for text in pairs if " > " in text], sum(" = " in text for text in pairs)
    found += _first(ordered, MOST_KNOWN)
    return found + ([f"{equal} pairs of variants are equal within the margin"] if equal else [])


def _first(pairs: list[str], most: int) -> list[str]:
    """Name some pairs, and say how many more there are; never one more, which takes no more room than its name."""
    return pairs if len(pairs) <= most + 1 else [*pairs[:most], f"{len(pairs) - most} more pairs"]


def _compared(contrast: Contrast, margin: float) -> str:
    found = relation(contrast, margin)
    if found == "<":
        return f"{contrast.second} > {contrast.first}"
    return "" if found == "?" else f"{contrast.first} {found} {contrast.second}"


def _amount(value: float, comparison: Comparison, *, signed: bool = False) -> str:
    """Write a skill or a difference in its unit: percent of the benchmark's loss, or points of days hit."""
    unit = "pp" if comparison.losses.loss == "miss" else "%"
    return f"{100 * value:+.2f} {unit}" if signed else f"{100 * value:.2f} {unit}"


def as_dict(comparison: Comparison, verdict: Verdict) -> dict[str, object]:
    """Lay out a verdict and all it rests on as plain values, for JSON."""
    losses = comparison.losses
    return {
        "verdict": asdict(verdict),
        "loss": losses.loss,
        "benchmark": losses.benchmark,
        "margin": comparison.margin,
        "alpha": comparison.alpha,
        "counts": {
            "variants": len(losses.variants),
            "tickers": len(losses.tickers),
            "days": len(losses.dates),
            "pairs": int((~np.isnan(losses.base)).sum()),
            "seeds": dict(zip(losses.variants, map(len, losses.seeds), strict=True)),
        },
        "index_hash": losses.index_hash,
        "block": comparison.block,
        "sensitivity": {"half_block": comparison.sensitivity[0], "twice_block": comparison.sensitivity[1]},
        "minimum_detectable_difference": comparison.detectable,
        "contrasts": [
            asdict(contrast) | {"relation": relation(contrast, comparison.margin)} for contrast in comparison.contrasts
        ],
    }
