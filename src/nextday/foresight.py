"""Power analysis: extrapolate the errors of a finished comparison to a study of another size."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nextday.evaluate.bootstrap import freedom_of, heavy, robust_block
from nextday.evaluate.contrasts import Comparison, Contrast, detectable_of, pair_name
from nextday.evaluate.inference import ask_of, design_of, room_of, slopes_of
from nextday.evaluate.losses import average, loss_named, seed_counts
from nextday.evaluate.noise import intervals
from nextday.evaluate.seeds import Pivot, reason_of_design, reason_of_seeds

DRAWS = 20_000  # of the largest |t| of a family


@dataclass(frozen=True, slots=True)
class Design:
    """Size of a study: tickers, days of its test sets, seeds of each network."""

    tickers: int
    days: int
    seeds: int


@dataclass(frozen=True, slots=True)
class Foresight:
    """Power of a planned study for one contrast, in units of skill.

    Attributes
    ----------
    date_error, seed_error
        Standard errors from dates and from seeds.
    together
        Correlation of the daily differential between tickers; more tickers reduce the variance as 1 / N only if it is
        zero.
    detectable
        Minimum detectable difference of the simultaneous test at 80 % power.
    equality
        Margin at which equality would be shown with 80 % power if there were no difference.
    margin
        The margin of the study.
    times
        Factor on days and seeds that equality at that margin needs.
    withheld
        Why the verdict would be withheld; else empty.
    identical
        Whether both make identical forecasts so far, so that nothing is known.
    """

    first: str
    second: str
    date_error: float
    seed_error: float
    together: float
    detectable: float
    equality: float
    margin: float
    times: float
    withheld: str
    identical: bool

    @property
    def name(self) -> str:
        """How a reader knows the contrast."""
        return pair_name(self.first, self.second)


def foresee(
    comparison: Comparison, here: Design, there: Design, *, pooled: Collection[str] = ()
) -> tuple[Foresight, ...]:
    """Extrapolate the power for each asked contrast from a comparison of size ``here`` to a study of size ``there``.

    The variance of a mean over N tickers is proportional to ``rho + (1 - rho) / N``, where ``rho`` is the correlation
    of the daily differential between tickers; that of a mean over days is proportional to 1 / days; seed variance to 1
    / (seeds x tickers), or to 1 / seeds if one network forecasts all tickers.
    """
    series = _series(comparison)  # [contrast, ticker, date]
    together = [_together(own) for own in series]
    planned = [
        _scale(one, rho, here, there, pooled=bool({*one.variants, one.second} & set(pooled)))
        for one, rho in zip(comparison.asked, together, strict=True)
    ]
    seeds = seed_counts(comparison.losses)
    random = [[name for name in (*one.variants, one.second) if seeds.get(name)] for one in planned]
    shapes = [_shape(one, names, there, pooled) for one, names in zip(planned, random, strict=True)]
    critical = _critical(comparison, planned, shapes, average(series, axis=1), there)
    samples, share = _room(comparison, there)
    found = []
    for one, rho, wide, names, shape in zip(planned, together, critical, random, shapes, strict=True):
        one = replace(one, critical=wide, detectable=detectable_of(one.standard_error, wide, samples, share))
        times = one.needs_for_equality().both if one.standard_error > 0 else 0.0
        found.append(
            Foresight(
                one.first, one.second, one.date_error, one.seed_error, rho, one.detectable, one.equality, one.margin,
                times, _withheld(one, [(name, there.seeds) for name in names], shape, here, there), one.identical,
            )
        )  # fmt: skip
    return tuple(found)


def _room(comparison: Comparison, there: Design) -> tuple[int, float]:
    """Count the pairs of ticker and date in the planned study, and say which share can be forecast at most."""
    losses = comparison.losses
    means, base = (np.nanmean(average(one, axis=axis), axis=-1) for one, axis in ((losses.grid, 1), (losses.base, 0)))
    samples, share = room_of(losses, loss_named(losses.loss).skill(means, base))
    return (there.tickers * there.days if samples else 0), share


def _scale(one: Contrast, rho: float, here: Design, there: Design, *, pooled: bool) -> Contrast:
    """Return a contrast the errors that it would have in another study, were there no difference."""
    of_tickers = (rho + (1 - rho) / there.tickers) / (rho + (1 - rho) / here.tickers)
    date_error = one.date_error * math.sqrt(of_tickers * here.days / there.days)
    few, many = (max(design.seeds, 1) * (1 if pooled else design.tickers) for design in (here, there))
    seed_error = one.seed_error * math.sqrt(few / many)
    error = math.hypot(date_error, seed_error)
    wider = error / one.standard_error if one.standard_error > 0 else 1.0
    low, high = (wider * (end - one.estimate) for end in (one.equal_low, one.equal_high))
    return replace(
        one,
        estimate=0.0,
        date_error=date_error,
        seed_error=seed_error,
        standard_error=error,
        equal_low=low,
        equal_high=high,
    )


def _series(comparison: Comparison) -> np.ndarray:
    """Influence of each day and ticker on each asked contrast, [contrast, ticker, date]."""
    losses = comparison.losses
    stacked = np.concatenate([losses.grid, losses.base[None]])  # [column, ticker, date]
    means = np.array([np.nanmean(average(one, axis=0)) for one in stacked])
    asks = [ask_of(one, comparison) for one in comparison.asked]
    at = {name: position for position, name in enumerate(losses.variants)}
    weights = design_of(asks, at) @ slopes_of(loss_named(losses.loss), means)
    return np.stack([np.tensordot(row[row != 0], stacked[row != 0], axes=1) for row in weights])


def _together(series: np.ndarray) -> float:
    """Correlation between tickers of a daily series, [ticker, date], from 0 to 1; 1 where there is one ticker."""
    tickers = len(series)
    alone = np.nanmean(np.nanvar(series, axis=1))
    if tickers == 1 or not alone > 0:
        return 1.0
    share = np.nanvar(average(series, axis=0)) / alone  # rho + (1 - rho) / tickers
    return float(np.clip((share * tickers - 1) / (tickers - 1), 0, 1))


def _critical(
    comparison: Comparison, planned: Sequence[Contrast], shapes: Sequence[Pivot], daily: np.ndarray, there: Design
) -> list[float]:
    """Return the half-width of each contrast's simultaneous interval in the planned study, in standard errors."""
    rng = np.random.default_rng(0)
    used = ~np.isnan(daily).any(axis=0)
    centred = daily[:, used] - daily[:, used].mean(axis=1, keepdims=True)
    centred /= np.maximum(np.sqrt((centred**2).sum(axis=1, keepdims=True)), 1e-300)
    values, vectors = np.linalg.eigh(centred @ centred.T)  # correlations of contrasts
    root = np.sqrt(np.maximum(values, 0)) * vectors
    freedom = freedom_of(there.days, robust_block(np.array([comparison.block]), there.days))
    normal, again = (rng.standard_normal((DRAWS, len(root))) @ root.T for _ in range(2))  # [draw, contrast]
    of_dates = normal * heavy(rng, freedom, DRAWS)
    of_seeds = np.stack([shape.of_normal(z) for shape, z in zip(shapes, again.T, strict=True)], axis=1)
    date_errors, seed_errors = np.array([(one.date_error, one.seed_error) for one in planned]).T
    noise, errors = of_dates * date_errors + of_seeds * seed_errors, np.hypot(date_errors, seed_errors)
    return intervals(np.zeros(len(planned)), noise, errors, comparison.alpha)["critical"].tolist()


def _withheld(one: Contrast, used: list[tuple[str, int]], shape: Pivot, here: Design, there: Design) -> str:
    """Return why the planned contrast would be withheld: too few seeds, or days if there are no more than here."""
    if one.kind == "effect" and len(used) > 1:
        reason = reason_of_design(used, shape, residual=int(len(used) > 2))  # leaving one out has none
    else:
        reason = reason_of_seeds(used, shape, one.date_error, one.seed_error)
    return reason or (one.withheld if one.withheld.startswith("too few days") and there.days <= here.days else "")


def _shape(one: Contrast, names: Sequence[str], there: Design, pooled: Collection[str]) -> Pivot:
    """Distribution of the error from seeds; skewed where one of the two is random and the other is not."""
    tickers = 1 if {*one.variants, one.second} & set(pooled) else there.tickers
    runs = len(names) - 1 if one.kind == "effect" and len(names) > 1 else 1
    return Pivot(max(there.seeds, 2), tickers, int(len(names) == 1 and one.seed_error > 0), runs=runs)
