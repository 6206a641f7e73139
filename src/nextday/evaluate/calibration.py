"""Calibration of quantile forecasts: unconditional coverage, independence of violations, and coverage over time."""

from itertools import pairwise

import numpy as np
import polars as pl
import scipy  # its submodules load when first used: scipy.stats takes half a second, and workers do without

from nextday.errors import VerdictError
from nextday.evaluate.estimates import estimate
from nextday.evaluate.quantiles import UNIT, intervals_of, quantile_rows


def kupiec(violations: np.ndarray, days: np.ndarray, level: float) -> np.ndarray:
    r"""Compute the likelihood ratio of unconditional coverage; ``kupiec_p_value`` gives its p-value.

    .. math:: LR = 2 \log \frac{\hat p^x (1 - \hat p)^{n - x}}{p^x (1 - p)^{n - x}}, \quad \hat p = x / n

    Kupiec (1995), "Techniques for verifying the accuracy of risk measurement models", Journal of Derivatives 3(2).

    Examples
    --------
    >>> round(float(kupiec(np.array(20), np.array(252), 0.05)), 2)  # J.P. Morgan in 1998: Jorion, Value at Risk
    3.91
    """
    return np.maximum(2 * (_likelihood(violations, days, violations / days) - _likelihood(violations, days, level)), 0)


def kupiec_p_value(violations: np.ndarray, days: np.ndarray, level: float) -> np.ndarray:
    r"""Compute the exact p-value of Kupiec's test: the probability of violation counts at least as unlikely.

    .. math:: P = \sum_{k : LR(k) \ge LR(x)} \binom nk p^k (1 - p)^{n - k}

    The number of violations is binomial if the level is right and days are independent, so no approximation is needed.
    By the chi-squared distribution the true level of 5 % is rejected, at 5 %, in 7.6 % of samples of 60 days, 5.9 % of
    250 and 5.5 % of 627; by this one in 4.9, 4.6 and 4.3 %.

    Parameters
    ----------
    violations, days
        Shape [test].
    level
        Probability of a violation on one day.

    Returns
    -------
    P-values, shape [test].

    References
    ----------
    Kupiec (1995), as in ``kupiec``.

    Examples
    --------
    >>> kupiec_p_value(np.array([0, 20]), np.array([60, 252]), 0.05).round(3)
    array([0.049, 0.059])
    """
    exact = np.ones(len(days))
    for number in np.unique(days):
        possible = np.arange(number + 1)
        ratios = kupiec(possible, np.full(number + 1, number), level)
        order = np.argsort(-ratios, kind="stable")
        reached = np.cumsum(scipy.stats.binom.pmf(possible[order], number, level))
        of_number = days == number
        seen = ratios[violations[of_number]] * (1 - 1e-12)  # ties, but rounded
        exact[of_number] = reached[np.searchsorted(-ratios[order], -seen, side="right") - 1]
    return np.minimum(exact, 1)


def christoffersen(transitions: np.ndarray) -> np.ndarray:
    """Compute the likelihood ratio of independence, chi-squared with one degree of freedom if days are independent.

    A first-order Markov chain against a constant probability. If no violation precedes another day, or all days are
    violations, both models coincide and the ratio is 0. The test detects violations on consecutive days, but hardly
    those that cluster over months: in 500 days of GARCH with a persistence of 0.97 it rejects a constant quantile in 8
    %.

    Parameters
    ----------
    transitions
        Shape [..., 2, 2]: pairs of days in a row, by whether the first and the second are violations.

    References
    ----------
    Christoffersen (1998), "Evaluating interval forecasts", International Economic Review 39(4).

    Examples
    --------
    >>> round(float(christoffersen(np.array([[218, 14], [14, 6]]))), 2)  # the same year
    9.53
    """
    days, violations = transitions.sum(axis=-1), transitions[..., 1]  # [..., first of the pair]
    together, all_days = violations.sum(axis=-1), days.sum(axis=-1)
    chain = _likelihood(violations, days, violations / np.maximum(days, 1)).sum(axis=-1)
    return np.maximum(2 * (chain - _likelihood(together, all_days, together / np.maximum(all_days, 1))), 0)


def _likelihood(violations: np.ndarray, days: np.ndarray, level: np.ndarray | float) -> np.ndarray:
    """Logarithm of a Bernoulli likelihood, with 0 log 0 = 0."""
    return scipy.special.xlogy(violations, level) + scipy.special.xlog1py(days - violations, -np.asarray(level))


def value_at_risk(table: pl.DataFrame, level: float = 0.05) -> pl.DataFrame:
    """Test the days on which the actual value fell below a lower quantile, for each variant, ticker, fold and seed.

    Parameters
    ----------
    table
        The forecasts table.
    level
        One of its levels, below 0.5.

    Returns
    -------
    ``Days``, ``Violations``, ``Expected``; the likelihood ratios ``kupiec``, ``independence`` and ``conditional``, the
    sum of the two; and their p-values: exact for ``kupiec`` (``kupiec_p_value``), by the chi-squared distribution with
    1 and 2 degrees of freedom for the others. The rows of tickers are dependent, and some of so many tests reject by
    chance: count rejections, do not pick one. With few expected violations the last two p-values are rough: below 25,
    that of independence rejects 1 to 3 % of the true models at 5 %, and with 50 it rejects 8 %.
    """
    rows, levels = quantile_rows(table)
    near = [known for known in levels if abs(known - level) < 1e-9 and known < 0.5]
    if not near:
        lower = ", ".join(str(known) for known in levels if known < 0.5) or "none"
        raise VerdictError(f"level {level} is not a lower quantile of the forecasts table; lower quantiles: {lower}")
    now = pl.col("fell").sort_by("date")
    pairs = {
        f"{first} then {second}": ((now.shift() == bool(first)) & (now == bool(second))).sum()
        for first in (0, 1)
        for second in (0, 1)
    }
    counts = (
        rows.with_columns(fell=pl.col("actual") < pl.col(f"q{near[0]}"))
        .group_by(UNIT, maintain_order=True)
        .agg(pl.len().alias("Days"), now.sum().alias("Violations"), **pairs)
        .with_columns(pl.exclude(UNIT).cast(pl.Int64))
    )
    coverage = kupiec(counts["Violations"].to_numpy(), counts["Days"].to_numpy(), near[0])
    transitions = counts.select(*pairs).to_numpy().reshape(-1, 2, 2)
    independence = christoffersen(transitions)
    both = coverage + independence
    exact = kupiec_p_value(counts["Violations"].to_numpy(), counts["Days"].to_numpy(), near[0])
    return counts.drop(*pairs).with_columns(
        (near[0] * pl.col("Days")).alias("Expected"),
        kupiec=coverage, independence=independence, conditional=both, p_kupiec=exact,
        p_independence=scipy.stats.chi2.sf(independence, 1), p_conditional=scipy.stats.chi2.sf(both, 2),
    )  # fmt: skip


def reliability(table: pl.DataFrame, *, alpha: float = 0.05, replicates: int = 2000, seed: int = 0) -> pl.DataFrame:
    """Compare the frequency of actual values at or below each quantile with the quantile's level.

    Returns
    -------
    One row per variant and level: ``Level``, ``Observed`` with ``_low`` and ``_high`` at ``1 - alpha`` as in
    ``coverage_intervals``, ``Days``, ``Seeds``.
    """
    rows, levels = quantile_rows(table)
    below = [(pl.col("actual") <= pl.col(f"q{level}")).cast(pl.Float64) for level in levels]
    found = []
    for name in rows["variant"].unique(maintain_order=True):
        shares = estimate(rows.filter(variant=name), below, replicates=replicates, seed=seed)
        found += [
            {"variant": name, "Level": level, **share, "Days": shares.days, "Seeds": shares.seeds}
            for level, share in zip(levels, shares.of_shares("Observed", alpha), strict=True)
        ]
    return pl.DataFrame(found)


def pit_bins(table: pl.DataFrame, *, alpha: float = 0.05, replicates: int = 2000, seed: int = 0) -> pl.DataFrame:
    r"""Count actual values between neighbouring quantiles: the probability integral transform, known up to an interval.

    Bin ``k`` counts values above quantile ``k`` and at or below the next. Its nominal share is the difference of
    levels.

    .. math:: X = \sum_k (\hat s_k - s_k)^2 / s_k

    Uniformity: Pearson's ``X`` of the shares is compared with ``X`` of bootstrap draws of their errors, which keep the
    tickers of a day and the days of a block together (``estimate``); the chi-squared distribution would assume that all
    samples are independent. Shares are means over tickers: a ticker with intervals too wide and one with intervals too
    narrow can cancel; ``value_at_risk`` tests each ticker.

    Returns
    -------
    One row per variant and bin: ``Low``, ``High`` (levels, 0 and 1 at the ends), ``Nominal``, ``Share`` with ``_low``
    and ``_high`` at ``1 - alpha``, ``p_uniform`` (the same for all bins of a variant), ``Days``, ``Seeds``.

    References
    ----------
    Diebold, Gunther and Tay (1998), "Evaluating density forecasts", International Economic Review 39(4).
    """
    rows, levels = quantile_rows(table)
    edges = (0.0, *levels, 1.0)
    nominal = np.diff(edges)
    passed = pl.sum_horizontal(pl.col("actual") > pl.col(f"q{level}") for level in levels)
    inside = [(passed == at).cast(pl.Float64) for at in range(len(nominal))]
    found = []
    for name in rows["variant"].unique(maintain_order=True):
        shares = estimate(rows.filter(variant=name), inside, replicates=replicates, seed=seed)
        seen, drawn = (((off**2) / nominal).sum(axis=-1) for off in (shares.means - nominal, shares.noise))
        p_value = (1 + int((drawn >= seen).sum())) / (1 + len(drawn))
        ends = {"p_uniform": p_value, "Days": shares.days, "Seeds": shares.seeds}
        found += [
            {"variant": name, "Low": low, "High": high, "Nominal": round(high - low, 10), **share, **ends}
            for (low, high), share in zip(pairwise(edges), shares.of_shares("Share", alpha), strict=True)
        ]
    return pl.DataFrame(found)


def rolling_coverage(table: pl.DataFrame, *, window: int = 250) -> pl.DataFrame:
    """Compute the rolling coverage of each central interval.

    Returns
    -------
    One row per variant, interval (widest first) and date that ends ``window`` sessions: ``Nominal``, ``date``,
    ``Coverage``, the mean over seeds, tickers and these sessions; none for a variant with fewer.
    """
    if window < 1:
        raise VerdictError(f"the window must be at least 1 session, got {window}")
    rows, levels = quantile_rows(table)
    intervals = intervals_of(levels)
    held = rows.select("variant", "date", *(interval.held.alias(f"{interval.nominal}") for interval in intervals))
    daily = held.group_by("variant", "date").agg(pl.exclude("variant", "date").mean()).sort("date")
    parts = [
        daily.filter(variant=name).select(
            "variant", pl.lit(interval.nominal).alias("Nominal"), "date",
            Coverage=pl.col(f"{interval.nominal}").rolling_mean(window),
        )
        for name in rows["variant"].unique(maintain_order=True)
        for interval in intervals
    ]  # fmt: skip
    return pl.concat(parts).drop_nulls("Coverage")
