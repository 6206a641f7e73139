"""Regimes: clusters of the latent space, their stability, and their effects on the test set."""

import warnings
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from nextday.analyses.regimes.effects import differences
from nextday.errors import VerdictError
from nextday.threads import limit_threads
from nextday.words import plural

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

UNIT = ["fold", "seed"]
KEYS = [*UNIT, "ticker", "origin"]
FLOOR = 0.01  # added to variances; a latent dimension has 1 by its prior: a deviation below a tenth of it is nothing
STARTS = 4  # fits from different beginnings, of which the likeliest is kept
POINTS = 15  # at least, for each regime: as many as it has parameters in 4 dimensions
HALVES = 10  # times that train is split in two
MONTHS = 5  # length of the blocks that halves are made of, in lookbacks of 20 sessions


@dataclass(frozen=True, slots=True)
class Regimes:
    """Regimes of one variant's latent space, numbered from 1, the calmest on the training set.

    Attributes
    ----------
    labels
        ``ticker, fold, seed, part, origin, regime``: one row per row of the latents.
    criterion
        ``fold, seed, k, bic, cautious, certainty, chosen``: the criterion of each number of regimes; the same with
        correlated tickers discounted; the mean probability of a training day for its assigned regime; and whether ``k``
        is the chosen number, which minimises the mean ``bic``.
    stability
        ``kind, fold, seed, other, part, ari``: the adjusted Rand index of two labellings, 1 for identical partitions
        and 0 on average for unrelated ones. ``kind`` is "seeds" (the trainings ``seed`` and ``other``) or "halves" (one
        training, regimes fitted to two halves of the training set; ``other`` counts the splits). Empty if there is one
        regime.
    transitions
        ``fold, seed, regime, next, days, share, sojourn``: pairs of consecutive origins of a ticker, their share of the
        pairs that start in ``regime``, and its mean sojourn in sessions, ``1 / (1 - share of staying)``; null if it was
        never left. Overlapping windows make labels persistent even if the market is not.
    profile
        ``fold, seed, part, regime, feature, mean, days``: means of the features, in standard deviations of the training
        set.
    differences
        Returned by ``regime_effects.differences``.
    """

    labels: pl.DataFrame
    criterion: pl.DataFrame
    stability: pl.DataFrame
    transitions: pl.DataFrame
    profile: pl.DataFrame
    differences: pl.DataFrame

    @property
    def number(self) -> int:
        """Number of regimes; 1 means that the criterion finds none."""
        return int(self.criterion.filter("chosen")["k"][0])

    @property
    def cautious(self) -> int:
        """Number of regimes if correlated tickers are discounted."""
        return _number(self.criterion, "cautious")


def find_regimes(
    latents: pl.DataFrame, profile: pl.DataFrame, forecasts: pl.DataFrame | None = None, *, lookback: int = 20,
    most: int = 8, alpha: float = 0.05, replicates: int = 2000, seed: int = 0,
) -> Regimes:  # fmt: skip
    r"""Cluster latent vectors by a Gaussian mixture fitted on the training set, and describe the clusters.

    .. math:: BIC = -2 \log L + p \log n

    Each training of the network has its own latent space and mixture, shared by all tickers. Covariances are full.
    Mixture, criterion and order of the regimes use only the training set.

    The criterion assumes independent points, but windows of consecutive origins share all rows but one, so that with
    all training days each likelihood contribution counts about ``lookback`` times. Mixtures are therefore fitted to
    every ``lookback``-th origin, whose windows do not overlap, with offsets between tickers so that most dates are
    used. One Gaussian in four dimensions, 11 tickers that share half of their variance, 2100 days seen through windows
    of 20: with all days 17 of 20 draws have 2 regimes or more, thinned none of 40; where the days themselves persist
    (0.98), all of 10 draws have 6 or 8 of 8, thinned 2 of 40 have 2.

    Tickers of a date remain dependent: where they share 0.8 of a persistent variance, 36 of 40 draws have 2 regimes or
    more. ``cautious`` divides likelihood and number of points by Kish's design effect, the variance of a date's sum
    over tickers relative to that of independent ones; there it finds 1 in all of 16 draws. It is conservative, because
    tickers also share the regimes: of 8 draws with 3 planted states it finds 3 in 6, ``bic`` in all.

    The number of regimes minimises the mean ``bic`` over seeds on the training set of the first fold, which precedes
    all other sets: regimes of all seeds and folds can be compared by number. 1 is among the candidates. A mixture also
    approximates one skewed cluster by several Gaussians, so the number does not prove that states exist; ``certainty``
    and ``stability`` measure their separation.

    Regimes are ordered by the mean squared next-session return on the training set, relative to the ticker's mean, so
    that regime 2 of one seed roughly corresponds to regime 2 of another.

    Parameters
    ----------
    latents
        One variant: ``variant, ticker, fold, seed, part, origin, date, actual, z``; ``part`` is train, valid or test.
    profile
        ``ticker, origin, feature, value``, standardised on the training set.
    forecasts
        As in ``differences``.
    lookback
        Sessions of a window.
    most
        Largest number of regimes to try. It is lowered until the training set has 15 points for each.

    Raises
    ------
    VerdictError
        If there are several variants, no training rows, duplicate rows, or vectors of different length or with invalid
        numbers.

    References
    ----------
    Schwarz (1978), "Estimating the dimension of a model", Annals of Statistics 6(2). Hubert and Arabie (1985),
    "Comparing partitions", Journal of Classification 2(1).
    """
    rows = _checked(latents)
    units = dict(sorted(rows.partition_by(UNIT, as_dict=True).items()))
    points = {key: _points(own) for key, own in units.items()}
    thin = {key: _thinned(own, lookback) & (own["part"] == "train").to_numpy() for key, own in units.items()}
    mixtures, found = {}, []
    for key in units:
        fitted, shared = points[key][thin[key]], _shared(units[key], points[key])
        for number in range(1, max(1, min(most, len(fitted) // POINTS)) + 1):
            mixture = mixtures[*key, number] = _fit(fitted, number, seed)
            sure = float(mixture.predict_proba(fitted).max(axis=1).mean())
            cautious = _cautious(mixture, fitted, shared)
            found.append((*key, number, float(mixture.bic(fitted)), cautious, sure))
    criterion = pl.DataFrame(found, schema=["fold", "seed", "k", "bic", "cautious", "certainty"], orient="row")
    k = _number(criterion, "bic")
    labelled, halves = [], []
    for key, own in units.items():
        mixture = mixtures.get((*key, k)) or _fit(points[key][thin[key]], k, seed)
        labelled.append(own.with_columns(regime=pl.Series(_ordered(mixture, own, points[key]))))
        halves += _halves(own, points[key], thin[key], k, seed, MONTHS * lookback) if k > 1 else []
    rows = pl.concat(labelled)
    schema = {"kind": pl.String, "fold": pl.Int64, "seed": pl.Int64, "other": pl.Int64, "part": pl.String}
    between = _between_seeds(rows) if k > 1 else []
    return Regimes(
        labels=rows.select("ticker", "fold", "seed", "part", "origin", "regime"),
        criterion=criterion.with_columns(chosen=pl.col("k") == k),
        stability=pl.DataFrame(between + halves, schema=schema | {"ari": pl.Float64}, orient="row"),
        transitions=_transitions(rows, k),
        profile=_profile(rows, profile),
        differences=differences(rows, forecasts, alpha=alpha, replicates=replicates, seed=seed),
    )


def _checked(latents: pl.DataFrame) -> pl.DataFrame:
    """Sort the rows, and give each its squared return ``square`` in units of the ticker's own on train."""
    variants = latents["variant"].unique().to_list()
    if len(variants) != 1:
        raise VerdictError(f"regimes need the latent space of one variant; the table has {sorted(variants)}")
    rows = latents.drop("variant").with_columns(pl.col(UNIT).cast(pl.Int64)).sort(KEYS)
    if (twice := rows.filter(pl.struct(KEYS).is_duplicated())).height:
        raise VerdictError(f"latents: {twice.height} rows share {', '.join(KEYS)}; first: {twice.select(KEYS).row(0)}")
    width = pl.col("z").list.len()
    numbers = pl.col("z").list.eval(pl.element().is_finite()).list.all() & pl.col("actual").is_finite()
    wrong = rows.filter(~(numbers & (width > 0) & (width == width.first())).fill_null(value=False))
    if wrong.height:
        raise VerdictError(
            f"latents: no numeric vector in {plural(wrong.height, 'row')}; first: {wrong.select(KEYS).row(0)}"
        )
    own = (pl.col("actual") ** 2).filter(pl.col("part") == "train").mean().over("fold", "seed", "ticker")
    rows = rows.with_columns(scale=pl.when(own > 0).then(own).otherwise(pl.when(own == 0).then(1.0)))
    if rows["scale"].null_count():
        first = rows.filter(pl.col("scale").is_null()).select(KEYS).row(0)
        raise VerdictError(f"latents: no training rows to fit regimes on; first such: {first}")
    return rows.with_columns(square=pl.col("actual") ** 2 / pl.col("scale"))


def _points(rows: pl.DataFrame) -> np.ndarray:
    return np.array(rows["z"].to_list(), dtype=np.float64)


def _thinned(rows: pl.DataFrame, lookback: int) -> np.ndarray:
    """Mark every ``lookback``-th origin of each ticker, tickers in turn, shape [row]."""
    ticker, session = (rows[name].rank("dense").to_numpy().astype(int) - 1 for name in ("ticker", "origin"))
    turn = ticker * lookback // (ticker.max() + 1)
    return (session + turn) % lookback == 0


def _fit(points: np.ndarray, k: int, seed: int) -> "GaussianMixture":
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    mixture = GaussianMixture(k, reg_covar=FLOOR, n_init=STARTS, max_iter=300, random_state=seed)
    with limit_threads(), warnings.catch_warnings():  # the number of threads moves the last bits
        warnings.simplefilter("ignore", ConvergenceWarning)  # a likelihood nearly reached serves as well
        return mixture.fit(points)


def _shared(rows: pl.DataFrame, points: np.ndarray) -> float:
    """Return Kish's design effect of the tickers of a date on train: 1 if independent, their number if all the same."""
    train = (rows["part"] == "train").to_numpy()
    off = points[train] - points[train].mean(axis=0)
    at = rows["origin"].to_numpy()[train].argsort(kind="stable")
    starts = np.flatnonzero(np.diff(rows["origin"].to_numpy()[train][at].astype(np.int64), prepend=-(10**9)))
    sums, alone = np.add.reduceat(off[at], starts), (off**2).sum()
    return float(max((sums**2).sum() / alone, 1.0)) if alone > 0 else 1.0


def _cautious(mixture: "GaussianMixture", points: np.ndarray, shared: float) -> float:
    """Return the criterion of as many points as would be as informative, were they independent (Kish, 1965)."""
    likelihood, count = mixture.score(points) * len(points), max(len(points) / shared, 1.0)
    free = (mixture.bic(points) + 2 * likelihood) / np.log(len(points))  # parameters
    return float(-2 * likelihood / shared + free * np.log(count))


def _number(criterion: pl.DataFrame, column: str) -> int:
    """Choose the number of regimes: the least mean criterion over seeds in the first fold, the smaller of equals."""
    first = criterion.filter(pl.col("fold") == pl.col("fold").min())
    tried = first.group_by("k").agg(pl.col(column).mean(), pl.len()).filter(pl.col("len") == pl.col("len").max())
    return int(tried.sort(column, "k")["k"][0])


def _ordered(mixture: "GaussianMixture", rows: pl.DataFrame, points: np.ndarray) -> np.ndarray:
    """Label the rows, regimes numbered by the mean squared next return of their share of the train rows."""
    train = (rows["part"] == "train").to_numpy()
    belongs = mixture.predict_proba(points)
    weights = belongs[train]
    size = weights.T @ rows["square"].to_numpy()[train] / np.maximum(weights.sum(axis=0), 1e-12)
    return np.argsort(np.argsort(size, kind="stable"))[belongs.argmax(axis=1)] + 1


def _halves(
    rows: pl.DataFrame, points: np.ndarray, thin: np.ndarray, k: int, seed: int, block: int
) -> list[tuple[object, ...]]:
    """Fit to random halves of train, made of blocks of sessions so that they are no near copies; compare labels."""
    from sklearn.metrics import adjusted_rand_score

    at = (rows["origin"].rank("dense").to_numpy().astype(int) - 1) // block
    number, test = at[thin].max() + 1, (rows["part"] == "test").to_numpy()
    found: list[tuple[object, ...]] = []
    for draw in range(HALVES if number > 1 else 0):
        half = np.random.default_rng([seed, draw]).permutation(number) < number / 2
        first = half[np.minimum(at, number - 1)]
        parts = [points[thin & chosen] for chosen in (first, ~first)]
        if min(map(len, parts)) > k:
            one, other = (_fit(part, k, seed).predict(points) for part in parts)
            unit = ("halves", rows["fold"][0], rows["seed"][0], draw)
            found.append((*unit, "all", adjusted_rand_score(one, other)))
            found += [(*unit, "test", adjusted_rand_score(one[test], other[test]))] if test.any() else []
    return found


def _between_seeds(rows: pl.DataFrame) -> list[tuple[object, ...]]:
    """Compare the labels of every pair of seeds, on the rows that both have."""
    from sklearn.metrics import adjusted_rand_score

    found: list[tuple[object, ...]] = []
    for (fold,), own in sorted(rows.partition_by("fold", as_dict=True).items()):
        for one, other in combinations(sorted(own["seed"].unique()), 2):
            first, second = (
                own.filter(seed=seed).select("ticker", "origin", "part", "regime") for seed in (one, other)
            )
            both = first.join(second, on=["ticker", "origin"])
            for part, chosen in {"all": both, "test": both.filter(part="test")}.items():
                if chosen.height:
                    index = adjusted_rand_score(chosen["regime"].to_numpy(), chosen["regime_right"].to_numpy())
                    found.append(("seeds", fold, one, other, part, index))
    return found


def _transitions(rows: pl.DataFrame, k: int) -> pl.DataFrame:
    """Count how often each regime follows each, from one origin of the calendar to the next."""
    session, group = pl.col("origin").rank("dense"), ["fold", "seed", "ticker"]
    pairs = (
        rows.with_columns(at=session.over("fold", "seed"))
        .with_columns(pl.col("regime", "at").shift(-1).over(group).name.suffix(" next"))
        .filter(pl.col("at next") == pl.col("at") + 1)
        .group_by("fold", "seed", "regime", pl.col("regime next").alias("next"))
        .agg(days=pl.len().cast(pl.Int64))
    )
    every = pl.DataFrame({"regime": range(1, k + 1)})
    grid = rows.select(UNIT).unique().join(every, how="cross").join(every.rename({"regime": "next"}), how="cross")
    names, starts = [*UNIT, "regime", "next"], pl.col("days").sum().over(*UNIT, "regime")
    stays = pl.col("days").filter(pl.col("next") == pl.col("regime")).sum().over(*UNIT, "regime")
    return (
        grid.join(pairs, on=names, how="left")
        .with_columns(pl.col("days").fill_null(0))
        .sort(names)
        .with_columns(
            share=pl.when(starts > 0).then(pl.col("days") / starts),
            sojourn=pl.when(starts > stays).then(starts / (starts - stays)),
        )
    )


def _profile(rows: pl.DataFrame, profile: pl.DataFrame) -> pl.DataFrame:
    order = profile["feature"].unique(maintain_order=True).to_list()
    joined = rows.select("ticker", "fold", "seed", "part", "origin", "regime").join(profile, on=["ticker", "origin"])
    return (
        joined.group_by(*UNIT, "part", "regime", "feature")
        .agg(mean=pl.col("value").mean(), days=pl.len().cast(pl.Int64))
        .sort(*UNIT, pl.col("part").replace_strict({"train": 0, "valid": 1, "test": 2}), "regime",
              pl.col("feature").replace_strict(order, range(len(order))))
    )  # fmt: skip
