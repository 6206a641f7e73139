"""Standard errors of contrasts from resampled dates and seeds, and intervals from draws of these errors."""

from collections.abc import Sequence

import numpy as np

from nextday.evaluate.bootstrap import freedom_of, heavy, kept
from nextday.evaluate.contrasts import NORMAL
from nextday.evaluate.seeds import Columns, Pivot, Runs, pivots, seed_errors

TINY = 1e-9  # of skill: rounding, where two variants forecast the same
TAIL = 25  # draws that a quantile rests on, at least


def draw_errors(
    drawn: np.ndarray, columns: Columns, weights: np.ndarray, covariances: tuple[np.ndarray, np.ndarray], *,
    block: float, seed: int, alike: Sequence[Runs] = (),
) -> tuple[dict[str, np.ndarray], np.ndarray, list[Pivot]]:  # fmt: skip
    """Estimate the standard errors of contrasts, and draw their errors.

    Parameters
    ----------
    drawn
        Contrasts on resampled dates, shape [replicate, contrast].
    columns, weights
        The mean losses of the contrasts, and their slopes with respect to them, [contrast, column].
    covariances, alike
        As returned by ``seed_covariance`` and given to it.

    Returns
    -------
    errors
        ``date_error, seed_error, standard_error``, by contrast.
    noise
        Shape [2 x replicate, contrast].
    shapes
        Distribution of each contrast's seed error.
    """
    days = columns.daily.shape[1]
    by_date = (drawn - drawn.mean(axis=0)) / np.sqrt(kept(days, block))
    shapes = pivots(columns, weights, alike)
    date_errors, of_seeds = by_date.std(axis=0, ddof=1), seed_errors(weights, covariances, shapes)
    whole = np.hypot(date_errors, of_seeds)
    errors = {
        "date_error": date_errors, "seed_error": of_seeds, "standard_error": np.where(whole < TINY, 0.0, whole),
    }  # fmt: skip
    freedom = freedom_of(days, block)
    return errors, _noise(by_date, of_seeds, shapes, covariances[1], weights, freedom=freedom, seed=seed), shapes


def _noise(
    by_date: np.ndarray, by_seed: np.ndarray, shapes: Sequence[Pivot], covariance: np.ndarray, weights: np.ndarray,
    *, freedom: float, seed: int,
) -> np.ndarray:  # fmt: skip
    """Draw the errors of all contrasts together, each draw and its mirror image, [2 x replicate, contrast].

    Parameters
    ----------
    by_date
        Errors from resampled dates, shape [replicate, contrast].
    by_seed, shapes
        Standard error from seeds and its distribution, by contrast.
    covariance, weights
        Of the columns' errors from seeds, and of contrasts by columns.
    freedom
        Degrees of freedom of the errors from dates.
    """
    rng = np.random.default_rng([seed, 1])
    by_date = by_date * heavy(rng, freedom, len(by_date))
    if not by_seed.any():
        return np.concatenate([by_date, -by_date])
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))
    normal = rng.standard_normal((len(by_date), len(root))) @ (root.T @ weights.T)
    normal /= np.where(by_seed > 0, np.maximum(normal.std(axis=0), 1e-300), 1)
    alike: dict[Pivot, list[int]] = {}
    for at, shape in enumerate(shapes):
        alike.setdefault(shape, []).append(at)
    drawn = []
    for sign in (1, -1):
        of_seeds = np.empty_like(normal)
        for shape, columns in alike.items():
            of_seeds[:, columns] = shape.of_normal(sign * normal[:, columns])
        drawn.append(sign * by_date + by_seed * of_seeds)
    return np.concatenate(drawn)


def intervals(
    estimates: np.ndarray, noise: np.ndarray, errors: np.ndarray, alpha: float, judged: np.ndarray | None = None, *,
    alone: bool = False,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Compute simultaneous and equivalence intervals, p-values alone and adjusted; each of shape [contrast].

    By max-|t| (Romano and Wolf 2005), after each tail of each contrast's noise, [draw, contrast], has been standardised
    at the end of the simultaneous interval: a contrast with few seeds, whose draws are heavy-tailed or skewed, does not
    widen the others. Contrasts that are not ``judged`` are excluded from the maximum. With ``alone`` each contrast is
    its own family.
    """
    safe = np.where(errors == 0, np.inf, errors)
    t = noise / safe
    share = alpha / 2 / (1 if alone else len(estimates))
    beyond = min(max(share, TAIL / len(t)), alpha / 2)  # past Bonferroni's, if draws suffice
    up, down = (np.maximum(np.quantile(side, 1 - beyond, axis=0) / NORMAL, 1e-9) for side in (t, -t))
    level = np.where(t > 0, t / up, -t / down)  # [draw, contrast]
    counted = level[:, judged] if judged is not None and judged.any() else level
    largest, seen = level if alone else counted.max(axis=1, keepdims=True), estimates / safe
    seen = np.where(seen > 0, seen / up, -seen / down)  # what puts zero at the end of an interval
    seen = np.where((errors == 0) & (np.abs(estimates) > TINY), np.inf, seen)  # a difference without any error
    wide, narrow = np.quantile(largest, 1 - alpha, axis=0), np.quantile(level, 1 - 2 * alpha, axis=0)
    return {
        "low": estimates - wide * up * errors,
        "high": estimates + wide * down * errors,
        "equal_low": estimates - narrow * up * errors,
        "equal_high": estimates + narrow * down * errors,
        "p_value": (1 + (level >= seen).sum(axis=0)) / (1 + len(level)),
        "p_adjusted": (1 + (largest >= seen).sum(axis=0)) / (1 + len(level)),
        "critical": np.where(errors > 0, wide * np.maximum(up, down), NORMAL),
    }
