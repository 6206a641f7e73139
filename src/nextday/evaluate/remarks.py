"""Remarks on a verdict: its precision, its conditions, and the data that would resolve it."""

import math
from collections.abc import Sequence

import numpy as np

from nextday.evaluate.contrasts import Comparison, Contrast, Needs, relation
from nextday.evaluate.losses import loss_named, seed_counts
from nextday.evaluate.parts import Parts
from nextday.evaluate.wording import begin, join, sign_of, the
from nextday.names import listed
from nextday.words import plural

MOST = 3  # contrasts that are spelled out
FAR = 2.0  # what is estimated of days and seeds scatters by this factor
UNREACHABLE = 100.0  # times the days or seeds of the study


def remarks_on(comparison: Comparison, parts: Sequence[Parts] = (), notes: Sequence[str] = ()) -> tuple[str, ...]:
    """Collect the remarks on a comparison, the most important first."""
    judged = [one for one in comparison.asked if not (one.withheld or one.identical)]
    swings = [one for one in judged if one.swing and relation(one) in "<>"]
    equal = {(one.first, one.second) for one in judged if relation(one) == "="}
    unknown = [one for one in judged if relation(one) == "?"]
    return (
        *(f"{begin(note, comparison.losses).removesuffix('.')}." for note in notes),
        *_twins(comparison),
        *(_swing(one) for one in swings[:MOST]),
        *(_parts(one, comparison) for one in sorted(parts, key=lambda one: (one.first, one.second) in equal)[:MOST]),
        *(what_would_settle(one, comparison) for one in unknown[:MOST]),
        *_seen(judged, comparison),
        *_accidents(comparison),
        _claim(comparison),
    )


def what_would_settle(contrast: Contrast, comparison: Comparison) -> str:
    """Return how many days or seeds would resolve a contrast, by significance or equality, at the estimate."""
    days, seeds = len(comparison.losses.dates), seeds_of(contrast, comparison)
    order = _ways(contrast.needs_for_order(), days, seeds)
    equal = _ways(contrast.needs_for_equality(), days, seeds)
    if abs(contrast.estimate) >= contrast.margin:
        equal = ""  # the estimate lies outside the margin
    said = [f"significance takes {order}" if order else "", f"equality takes {equal}" if equal else ""]
    head = f"{contrast.name}: if the true difference equals the estimate, "
    return f"{head}{' and '.join(filter(None, said)) or 'no feasible number of days or seeds resolves it'}."


def _ways(needs: Needs, days: int, seeds: int) -> str:
    """Name the days, the seeds, or the multiple of both that suffice; empty if none is feasible."""
    ways = []
    if needs.days < UNREACHABLE:
        ways.append(f"about {_spread(needs.days * days)} days (now {days:,})")
    if seeds and needs.seeds < UNREACHABLE:
        alone = "" if ways else "; more days alone are not enough"
        ways.append(f"about {max(math.ceil(needs.seeds * seeds), seeds + 1):,} seeds (now {seeds}{alone})")
    if not ways and seeds and needs.both < UNREACHABLE:
        ways.append(f"about {_spread(needs.both)} times as many days and seeds")
    return " or ".join(ways)


def _spread(value: float) -> str:
    """Write what is estimated with an error of a factor of two as a range."""
    low, high = (_round(value * factor) for factor in (FAR**-0.5, FAR**0.5))
    return f"{low:,} to {high:,}"


def _round(value: float) -> float:
    """Round to two digits, small numbers to one place."""
    if value < 10:
        return round(value, 1)
    digits = math.floor(math.log10(value)) - 1
    return round(value / 10**digits) * 10**digits


def seeds_of(contrast: Contrast, comparison: Comparison) -> int:
    """Return the smallest number of seeds behind a contrast; 0 if both models are deterministic."""
    known = seed_counts(comparison.losses)
    seeds = (known[name] for name in (*contrast.variants, contrast.second) if known.get(name))
    return min(seeds, default=0)


def _twins(comparison: Comparison) -> list[str]:
    twins = [one for one in comparison.contrasts if one.identical]
    said = [_twin(one) for one in twins[:MOST]]
    more = len(twins) - MOST
    return said + ([f"{plural(more, 'more pair')} of identical forecasts."] if more > 0 else [])


def _twin(contrast: Contrast) -> str:
    if contrast.kind == "pair":
        return f"{contrast.first} and {the(contrast.second)} make identical forecasts."
    return f"{contrast.name}: the forecasts are identical."


def _swing(contrast: Contrast) -> str:
    better = contrast.first if contrast.estimate > 0 else contrast.second or f"doing without {contrast.first}"
    return (
        f"{contrast.name} is significant by the bootstrap, not at low frequencies: a "
        f"temporary advantage of {better} that lasts for months would also explain it."
    )


def _parts(parts: Parts, comparison: Comparison) -> str:
    unit = sign_of(comparison.losses)

    def figures(name: str) -> str:
        estimate, low, high = (100 * getattr(parts, f"{name}{end}") for end in ("", "_low", "_high"))
        return f"{estimate:+.2f} {unit} ({low:+.2f} to {high:+.2f})"

    return (
        f"{parts.name} decomposed (pointwise intervals): penalty for the size of the forecasts "
        f"{figures('penalty')}, {_told(parts.penalty_low, parts.penalty_high, 'a saving', 'a cost')}; "
        f"signal {figures('signal')}, {_told(parts.signal_low, parts.signal_high, 'a gain', 'a loss')}."
    )


def _told(low: float, high: float, gain: str, loss: str) -> str:
    if low > 0:
        return gain
    return loss if high < 0 else "not significant"


def _seen(judged: Sequence[Contrast], comparison: Comparison) -> list[str]:
    """Report the minimum detectable difference, and the margin at which equality could be shown."""
    if not judged:
        return []
    unit = sign_of(comparison.losses)

    def reach(values: list[float]) -> str:
        low, high = (f"{100 * value:.2f}" for value in (min(values), max(values)))
        return f"{low} {unit}" if low == high else f"{low} to {high} {unit}"

    detectable, equal = [one.detectable for one in judged], [one.equality for one in judged]
    remark = (
        f"Minimum detectable difference: {reach(detectable)} (80 % power); equality can be shown at a margin of "
        f"{reach(equal)}"
    )
    margin = max(one.margin for one in judged)
    if min(equal) > margin:
        times = (min(equal) / margin) ** 2
        remark += f"; at {100 * margin:g} {unit} it takes about {_round(times):,} times the days and seeds"
    return [f"{remark}."]


def _accidents(comparison: Comparison) -> list[str]:
    """Describe the trainings behind the claim, and report medians over seeds if one of them is an outlier."""
    losses = comparison.losses
    trainings = sum(
        len(by_seed) if together else by_seed.size  # one of a pooled network forecasts all tickers
        for by_seed, seeds, together in zip(losses.by_seed, losses.seeds, losses.pooled, strict=True)
        if seeds
    )
    if not trainings or loss_named(losses.loss).across:  # a mean over tickers shows no single training
        return []
    unseen = 100 * (1 - 0.05 ** (1 / trainings))
    said = [
        f"The verdict rests on {plural(trainings, 'training')}: failures that affect up to {_round(unseen):g} % of "
        "trainings may not have occurred among them."
    ]
    astray = [name for name, seeds, by_seed in zip(losses.variants, losses.seeds, losses.by_seed, strict=True)
              if len(seeds) > 2 and _goes_astray(by_seed)]  # fmt: skip
    if astray:
        said.append(
            f"Single trainings of {join(astray)} are outliers that dominate the mean; with medians over seeds the "
            f"skill is {join([f'{_by_median(comparison, name)} ({name})' for name in astray])}."
        )
    return said + _runs_astray(comparison)


def _runs_astray(comparison: Comparison) -> list[str]:
    """Name the runs of a design with a training that is an outlier among all of them, as two seeds cannot show it."""
    losses, found = comparison.losses, []
    for group in comparison.alike:
        runs = [losses.by_seed[losses.variants.index(name)] for name in group]
        every = np.concatenate(runs)
        found += [name for name, own in zip(group, runs, strict=True) if _goes_astray(own, every)]
    if not found:
        return []
    verb = "has a training that is an outlier" if len(found) == 1 else "have trainings that are outliers"
    return [
        f"{listed(found)} {verb} among all runs; an effect that rests on few runs, as in leave_one_out, may come from "
        "it alone."
    ]


def _goes_astray(by_seed: np.ndarray, among: np.ndarray | None = None) -> bool:
    """Return whether a training's loss lies ten robust deviations and a quarter above the median of its ticker."""
    among = by_seed if among is None else among
    middle = np.median(among, axis=0)
    spread = 1.4826 * np.median(np.abs(among - middle), axis=0)
    return bool(((by_seed > middle + 10 * np.maximum(spread, 1e-12)) & (by_seed > 1.25 * middle)).any())


def _by_median(comparison: Comparison, name: str) -> str:
    losses = comparison.losses
    middle = np.median(losses.by_seed[losses.variants.index(name)], axis=0).mean()
    base = np.nanmean(losses.base_by_ticker)
    skill = loss_named(losses.loss).skill(np.array([middle]), np.array([base]))
    return f"{100 * float(skill[0]):+.2f} {sign_of(losses)}"


def _claim(comparison: Comparison) -> str:
    losses = comparison.losses
    size = f"{plural(len(losses.tickers), 'ticker')} and {plural(len(losses.dates), 'day')}"
    return f"The verdict is conditional on the sample: {size}."
