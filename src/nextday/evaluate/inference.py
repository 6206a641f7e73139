"""Skill of variants and its differences, with standard errors for dependent days and for seed variance."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np
import scipy  # its submodules load when first used, see calibration.py

from nextday.evaluate.ask import Ask
from nextday.evaluate.bootstrap import (
    COSINES,
    REMEMBERS,
    cosine_error,
    freedom_of,
    optimal_blocks,
    resample,
    robust_block,
)
from nextday.evaluate.contrasts import Comparison, Contrast, detectable_of
from nextday.evaluate.losses import Loss, Losses, loss_named
from nextday.evaluate.noise import TINY, draw_errors, intervals
from nextday.evaluate.seeds import (
    Pivot,
    Runs,
    columns_of,
    reason_of_design,
    reason_of_seeds,
    residual_variance,
    seed_covariance,
)
from nextday.words import plural

ROUGH = 1000  # replicates, for the sensitivity to the block length
BLOCKS = 10  # at least, of a contrast's own optimal length
BEST_R2 = 0.05  # against zero, beyond what is known of daily returns


def compare(  # noqa: PLR0913
    losses: Losses, *, ask: Iterable[Ask] | None = None, margin: float | None = None, alpha: float = 0.05,
    replicates: int = 5000, seed: int = 0, other_blocks: tuple[float, ...] = (0.5, 2),
    matches: Iterable[Ask] | None = None, explore: Sequence[str] | None = None,
    others: Mapping[str, Sequence[Ask]] | None = None, alike: Sequence[Sequence[str]] = (),
) -> Comparison:  # fmt: skip
    """Estimate contrasts of skill and their uncertainty.

    Dates are resampled by the stationary bootstrap, with the same dates for all tickers, variants and seeds, in blocks
    of at least ``1.3 sqrt(days)``; the bootstrap's downward bias of variance is corrected, and draws follow a t
    distribution with one degree of freedom less than blocks. Seed variance is added by the delta method, see ``seeds``.

    Parameters
    ----------
    ask
        Asked contrasts; default: every pair of variants, in alphabetical order.
    margin
        Differences of skill below it are irrelevant; default: that of the loss.
    alpha
        Error rate of each family of intervals.
    matches
        Compare only these, as one family.
    explore
        Variants whose other contrasts are computed too; default: all.
    others
        Supplementary families, instead of all other pairs.
    alike
        Groups of variants that are runs of one design: seed variance is estimated from all runs of a group together.

    Returns
    -------
    Families of contrasts: the asked ones, all with the benchmark, all other pairs.
    """
    engine = _Engine(losses, alpha=alpha, replicates=replicates, seed=seed, margin=margin, alike=alike)
    if matches is not None:
        found = engine.family(list(matches), other_blocks)
        return engine.comparison(found, tuple(one for one in found if one.second == losses.benchmark), ())
    names = list(losses.variants if explore is None else explore)
    pairs = [Ask(one, two) for one, two in combinations(sorted(names), 2)]
    wanted = list(ask) if ask is not None else pairs or [Ask(name, None) for name in names]
    known = {frozenset((one.first, one.second)) for one in wanted}
    rest = [one for one in pairs if frozenset((one.first, one.second)) not in known]
    asked = engine.family(wanted, other_blocks)
    families = [rest] if others is None else list(others.values())
    beside = tuple(one for family in families for one in engine.family(family, rough=True))
    return engine.comparison(asked, engine.family([Ask(name, None) for name in names]), beside)


def may_be_best(losses: Losses, *, alpha: float = 0.05, replicates: int = 2000, seed: int = 0) -> dict[str, bool]:
    """Return which variants may be the best: those than which no other is significantly better.

    Multiple comparisons with the best (Hsu 1984, "Constrained simultaneous confidence intervals for multiple
    comparisons with the best", Annals of Statistics 12(3)): each variant against all others, one-sided. It excludes
    more of the inferior variants than two-sided intervals over all pairs do, and the best one in at most ``alpha`` of
    studies.
    """
    engine = _Engine(losses, alpha=alpha, replicates=replicates, seed=seed, margin=None)
    return {name: len(losses.variants) == 1 or not engine.beaten(name) for name in losses.variants}


class _Engine:
    """Everything that the families of a comparison share: skills, one draw of dates, one covariance of seeds."""

    def __init__(
        self, losses: Losses, *, alpha: float, replicates: int, seed: int, margin: float | None,
        alike: Sequence[Sequence[str]] = (),
    ) -> None:  # fmt: skip
        chosen = loss_named(losses.loss)
        self.skill = chosen.skill
        self.losses, self.alpha, self.seed, self.replicates = losses, alpha, seed, replicates
        self.margin = chosen.margin if margin is None else margin
        columns = columns_of(losses)
        order = [*np.argsort(columns.daily[:-1].mean(axis=1), kind="stable"), len(losses.variants)]
        self.columns = columns.take(order)  # so that draws depend on the numbers, not on names or their order
        self.at = {losses.variants[old]: new for new, old in enumerate(order[:-1])}
        self.groups = tuple(map(tuple, alike))
        self.alike = [Runs(self._of_most_seeds(group)) for group in alike]
        self.days = self.columns.daily.shape[1]
        means = self.columns.daily.mean(axis=1)
        self.skills = self.skill(means[:-1], means[-1])
        self.slopes = slopes_of(chosen, means)  # [variant, column]
        self.block = 0.0
        self.sensitivity: tuple[float, ...] = ()
        self.shares, self.covariances = np.empty((0, 0)), (np.empty((0, 0)), np.empty((0, 0)))

    def _of_most_seeds(self, names: Sequence[str]) -> tuple[int, ...]:
        """Return the columns of runs; without those whose seeds all forecast the same, which have no seed variance."""
        most = max(len(self.columns.seeds[self.at[name]]) for name in names)
        return tuple(self.at[name] for name in names if len(self.columns.seeds[self.at[name]]) == most)

    def comparison(
        self, asked: tuple[Contrast, ...], against: tuple[Contrast, ...], others: tuple[Contrast, ...]
    ) -> Comparison:
        return Comparison(
            self.losses, self.margin, self.alpha, asked, against, others, self.block, self.sensitivity, self.groups
        )

    def family(
        self, asks: Sequence[Ask], other_blocks: Sequence[float] = (), *, rough: bool = False
    ) -> tuple[Contrast, ...]:
        """Estimate some contrasts, with intervals simultaneous over them; the first family decides the block.

        ``rough`` takes fewer draws, for the many that nobody asked.
        """
        if not asks:
            return ()
        design = design_of(asks, self.at)
        weights = design @ self.slopes  # contrasts by losses, [contrast, column]
        series = weights @ (self.columns.daily - self.columns.daily.mean(axis=1, keepdims=True))
        own = optimal_blocks(series) if self.days > 1 else np.ones(len(asks))
        if not self.block:
            self._resample(robust_block(own, self.days) if self.days > 1 else 1.0)
            self._of_one_seed(design)
            drawn = self._by_date(self.shares, design).std(axis=0, ddof=1)
            self.sensitivity = tuple(self._change(factor, design, drawn) for factor in other_blocks)
        columns, noise, shapes = self._draws(design, weights, self.shares[:ROUGH] if rough else self.shares)
        facts = zip(weights, shapes, own, columns["date_error"], columns["seed_error"], strict=True)
        withheld = [self._withheld(*each) for each in facts]
        judged = np.array([not reason for reason in withheld])
        columns |= intervals(columns["estimate"], noise, columns["standard_error"], self.alpha, judged)
        columns["detectable"] = self._detectable(columns)
        columns["slow_error"] = cosine_error(series) if self.days > 1 else np.zeros(len(asks))
        columns["swing"] = _swings(columns, freedom_of(self.days, self.block)) & (own > REMEMBERS)
        same = ((columns["standard_error"] == 0) & (np.abs(columns["estimate"]) < TINY)).tolist()
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        return tuple(
            Contrast(
                ask.first, self.losses.benchmark if ask.second is None else ask.second,
                margin=self.margin if ask.margin is None else ask.margin,
                terms=ask.weights, kind=ask.kind, model=ask.model,
                **dict(zip(columns, row, strict=True)), identical=twins, withheld=reason,
            )
            for ask, row, twins, reason in zip(asks, rows, same, withheld, strict=True)
        )  # fmt: skip

    def beaten(self, name: str) -> bool:
        """Whether some other variant is significantly better, one-sided, over all others at once."""
        asks = [Ask(other, name) for other in self.losses.variants if other != name]
        design = design_of(asks, self.at)
        if not self.block:
            self._resample(robust_block(np.array([1.0]), self.days))
        columns, noise, _ = self._draws(design, design @ self.slopes, self.shares)
        errors = np.where(columns["standard_error"] == 0, np.inf, columns["standard_error"])
        t = noise / errors
        up = np.maximum(np.quantile(t, 1 - self.alpha, axis=0), 1e-9)
        critical = np.quantile((t / up).max(axis=1), 1 - self.alpha)
        return bool((columns["estimate"] / errors > critical * up).any())

    def _draws(
        self, design: np.ndarray, weights: np.ndarray, shares: np.ndarray
    ) -> tuple[dict[str, np.ndarray], np.ndarray, list[Pivot]]:
        """Estimate contrasts, and draw their errors, [draw, contrast]."""
        drawn = self._by_date(shares, design)
        columns, noise, shapes = draw_errors(
            drawn, self.columns, weights, self.covariances, block=self.block, seed=self.seed, alike=self.alike
        )
        return {"estimate": design @ self.skills, **columns}, noise, shapes

    def _resample(self, block: float) -> None:
        self.block, self.shares = block, self._draw(block, self.replicates)
        self.covariances = seed_covariance(self.columns, self.shares, self.alike)

    def _design_of(self, names: set[str]) -> Runs | None:
        """Return the runs of the design that some variants are of, if several are of one."""
        found = zip(self.groups, self.alike, strict=True)
        return next((runs for group, runs in found if len(names) > 1 and names <= {*group}), None)

    def _of_one_seed(self, effects: np.ndarray) -> None:
        """Take the seed variance of runs with one seed each from the residual of their design."""
        for place, runs in enumerate(self.alike):
            if any(len(self.columns.seeds[at]) != 1 for at in runs.at):
                continue
            variance, free = residual_variance(self.columns, self.shares, runs, effects)
            self.alike[place] = Runs(runs.at, free)
            for one in self.covariances:
                one[np.ix_(runs.at, runs.at)] = variance * np.eye(len(runs.at))

    def _draw(self, block: float, replicates: int) -> np.ndarray:
        """Draw shares of dates, shape [replicate, date]."""
        return resample(self.days, block=block, replicates=replicates, seed=self.seed) / self.days

    def _by_date(self, shares: np.ndarray, design: np.ndarray) -> np.ndarray:
        """Compute the contrasts of resampled calendars, shape [replicate, contrast]."""
        drawn = shares @ self.columns.daily.T
        return self.skill(drawn[:, :-1], drawn[:, -1:]) @ design.T

    def _change(self, factor: float, design: np.ndarray, errors: np.ndarray) -> float:
        draws = self._by_date(self._draw(max(factor * self.block, 1.0), min(self.replicates, ROUGH)), design)
        ratios = draws.std(axis=0, ddof=1)[errors > 0] / errors[errors > 0]
        return float(ratios[np.argmax(np.abs(np.log(ratios)))]) if len(ratios) else 1.0

    def _detectable(self, columns: dict[str, np.ndarray]) -> np.ndarray:
        """Return the minimum detectable differences of some contrasts."""
        samples, share = room_of(self.losses, self.skills)
        both = zip(columns["standard_error"].tolist(), columns["critical"].tolist(), strict=True)
        return np.array([detectable_of(error, critical, samples, share) for error, critical in both])

    def _withheld(self, row: np.ndarray, shape: Pivot, own: float, date_error: float, seed_error: float) -> str:
        names = (*self.at, self.losses.benchmark)
        used = [(names[at], len(self.columns.seeds[at])) for at in np.flatnonzero(row) if self.columns.seeds[at]]
        design = self._design_of({name for name, _ in used})
        if design is None:
            reason = reason_of_seeds(used, shape, date_error, seed_error)
        else:
            reason = reason_of_design(used, shape, residual=design.residual)
        if reason:
            return reason
        if self.days < BLOCKS * own:
            return f"too few days: {self.days}, at least ten blocks of {plural(round(own), 'day')} are needed"
        return ""


def _swings(columns: dict[str, np.ndarray], freedom: float) -> np.ndarray:
    """Return where the simultaneous interval excludes zero and that of the slowest cosines, at its level, does not."""
    critical = scipy.special.stdtrit(COSINES, scipy.special.stdtr(freedom, columns["critical"]))
    wide = critical * np.hypot(columns["slow_error"], columns["seed_error"])
    resolved = (columns["low"] > 0) | (columns["high"] < 0)
    return resolved & (np.abs(columns["estimate"]) < wide) & (columns["standard_error"] > 0)


def room_of(losses: Losses, skills: np.ndarray) -> tuple[int, float]:
    """Return the number of pairs of ticker and date, and the largest predictable share of the variance.

    For the squared loss, that share is the largest known for daily returns, or that of the best variant here.
    """
    if losses.loss != "squared":
        return 0, 1.0
    return int((~np.isnan(losses.base)).sum()), max(BEST_R2, 1 - (1 - float(skills.max())) ** 2)


def slopes_of(loss: Loss, means: np.ndarray) -> np.ndarray:
    """Compute the derivative of each variant's skill by each mean loss, the benchmark's last, [variant, column]."""
    skill, own = loss.skill, loss.slope(means[:-1], means[-1])
    step = 1e-6 * means[-1]
    of_base = (skill(means[:-1], means[-1] + step) - skill(means[:-1], means[-1] - step)) / (2 * step)
    return np.column_stack([np.diag(own), of_base])


def ask_of(contrast: Contrast, comparison: Comparison) -> Ask:
    """Return what a contrast was asked as."""
    second = None if contrast.second == comparison.losses.benchmark else contrast.second
    return Ask(contrast.first, second, contrast.margin, contrast.terms, contrast.kind, contrast.model)


def design_of(asks: Sequence[Ask], at: Mapping[str, int]) -> np.ndarray:
    """Return the matrix that maps skills to contrasts, [contrast, variant]; the benchmark's skill is 0."""
    weights = np.zeros((len(asks), len(at)))
    for row, ask in zip(weights, asks, strict=True):
        for name, weight in ask.weights:
            row[at[name]] += weight
    return weights
