"""Effects of regimes: next-day volatility and losses of forecasts by regime, on the test set."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from nextday.errors import VerdictError
from nextday.evaluate.bootstrap import FEWEST, heavy
from nextday.evaluate.estimates import Estimates, estimate

SCHEMA = {
    "measure": pl.String, "variant": pl.String, "regime": pl.Int64, "value": pl.Float64, "low": pl.Float64,
    "high": pl.Float64, "p_equal": pl.Float64, "share": pl.Float64, "dates": pl.Int64,
}  # fmt: skip
SQUARE = pl.col("actual") ** 2 / pl.col("scale")


@dataclass(frozen=True, slots=True)
class _Days:
    """Where the regimes are: means over the tickers of a date, and which regimes there is enough of.

    Attributes
    ----------
    shares
        Of the tickers in each regime, shape [seed, date, regime].
    dates
        With the regime, in the seed that has fewest of them, shape [regime].
    firm
        Positions of the regimes with dates enough for an interval.
    base
        Position of the calmest of them, which the others are compared with.
    """

    shares: np.ndarray
    dates: np.ndarray
    firm: np.ndarray
    base: int

    def ratio(self, above: np.ndarray, below: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return a ratio of means over dates, shape [seed, regime], and what each date adds to it, of mean zero.

        Arguments have shape [seed, date, regime]; the second result too.
        """
        size = np.where(self.dates > 0, below.mean(axis=1), np.nan)
        value = above.mean(axis=1) / size
        return value, (above - value[:, None] * below) / size[:, None]


def differences(
    rows: pl.DataFrame, forecasts: pl.DataFrame | None = None, *, alpha: float = 0.05, replicates: int = 2000,
    seed: int = 0,
) -> pl.DataFrame:  # fmt: skip
    r"""Compare the regimes on the test set: next-day volatility, and losses of forecasts.

    .. math::
        V_r = \sqrt{\frac{\overline{y^2 \mid r}}{\overline{y^2 \mid 1}}}, \qquad
        L_r = \frac{\overline{(y - f)^2 \mid r}}{\overline{y^2 \mid r}}

    Squares are relative to the ticker's mean squared training return, so that a regime is not volatile because of its
    tickers. Regimes are known at the origin and returns follow one session later, so differences of volatility are
    predictions.

    Errors: each ratio is decomposed into contributions of dates (its influence function), all tickers of a date
    together; ``estimate`` resamples the dates in blocks and adds the seed variance of the network with the latent
    space, and for losses that of the forecasting networks. Intervals of volatility ratios are symmetric on the
    logarithmic scale. Intervals are pointwise and valid for periods like this one: for a regime that occurs once in the
    test set they rest on one occurrence. In 600 test days with regimes of 45 days, 95 % of the 95 % intervals of
    volatility contain the truth, and 93 to 94 % if volatility is persistent in addition; if it is persistent and
    unrelated to regimes, 87 %. ``p_equal`` therefore uses another test: it is below 0.05 in 6 % and 4 % of worlds whose
    labels are unrelated to volatility, without and with persistence (16 % by intervals).

    Parameters
    ----------
    rows
        Labelled rows of all sets: ``fold, seed, ticker, part, origin, date, actual``, ``regime``, and ``scale``, the
        ticker's mean squared training return.
    forecasts
        ``variant, ticker, seed, origin, actual, predicted``; test rows that it lacks are left out.

    Returns
    -------
    ``measure, variant, regime, value, low, high, p_equal, share, dates``; a row per measure, variant and regime.

    ``volatility``
        ``V_r``: root mean squared return relative to that of the calmest regime in the test set, for which it is 1.
    ``loss``
        ``L_r`` of each variant: mean squared error over that of the zero forecast; above 1 the zero forecast is better.
    ``loss difference``
        ``L_r`` minus that of the calmest regime.

    ``p_equal`` tests that all regimes have the same value: for volatility by circular shifts of the labels (see
    ``_shifted``), for losses by the largest difference from the calmest regime in standard errors. ``share`` is the
    share of test rows, the mean over seeds; ``dates`` the number of dates with the regime, the minimum over seeds.
    Bounds are missing for a regime with fewer than 20 dates, values if a seed has none.

    Raises
    ------
    VerdictError
        If seeds differ in their test rows, or a variant of the forecasts shares no row with them.
    """
    test = rows.filter(part="test").sort("seed", "date", "ticker").with_columns(square=SQUARE)
    if test.is_empty():
        return pl.DataFrame(schema=SCHEMA)
    if test.group_by("ticker", "date").len()["len"].n_unique() > 1:
        raise VerdictError("latents: seeds differ in their test rows; every seed must have every ticker and date")
    numbers = range(1, int(rows["regime"].to_numpy().max()) + 1)
    found = _volatility(test, numbers, alpha, replicates, seed)
    if forecasts is not None:
        for name in forecasts["variant"].unique(maintain_order=True):
            found += _losses(test, forecasts.filter(variant=name), numbers, alpha, replicates, seed)
    return pl.DataFrame(found, schema=SCHEMA)


def _daily(rows: pl.DataFrame, value: pl.Expr, numbers: Sequence[int]) -> np.ndarray:
    """Average a value over the tickers of each date, 0 where a ticker is in another regime: [seed, date, regime]."""
    inside = [pl.when(pl.col("regime") == at).then(value).otherwise(0.0).mean().alias(f"{at}") for at in numbers]
    daily = rows.group_by("seed", "date").agg(inside).sort("seed", "date")
    return daily.drop("seed", "date").to_numpy().reshape(rows["seed"].n_unique(), -1, len(numbers))


def _days(rows: pl.DataFrame, numbers: Sequence[int]) -> _Days:
    shares = _daily(rows, pl.lit(1.0), numbers)
    dates = (shares > 0).sum(axis=1).min(axis=0)
    firm = np.flatnonzero(dates >= FEWEST)
    return _Days(shares, dates, firm, int((firm if len(firm) else np.flatnonzero(dates))[0]) if dates.any() else 0)


def _volatility(
    test: pl.DataFrame, numbers: Sequence[int], alpha: float, replicates: int, seed: int
) -> list[dict[str, object]]:
    days = _days(test, numbers)
    value, added = days.ratio(_daily(test, SQUARE, numbers), days.shares)
    level = 0.5 * np.log(np.where(value > 0, value, np.nan))  # of the root, so that a difference is a ratio
    series = level[:, None] + 0.5 * added / value[:, None]
    known = _estimated(series - series[..., [days.base]], replicates, seed)
    bounds = [{name: np.exp(bound) for name, bound in row.items()} for row in known.of_means("value", alpha)]
    return _rows("volatility", None, days, bounds, _shifted(test, days, len(numbers)))


def _shifted(test: pl.DataFrame, days: _Days, count: int) -> float | None:
    """Return the p-value of labels that know nothing of volatility: how often labels of other days tell as much.

    Labels are moved against returns around the calendar, all tickers and seeds together, by every number of sessions:
    both keep their persistence and lose each other. Statistic: the spread of the regimes' log mean squares, each
    weighted by its rows. Where both drift over the whole range such a test rejects far too often: Harris (2020),
    "Nonsense correlations in neuroscience", bioRxiv 2020.11.29.402719; what volatility's persistence does to it is said
    at ``differences``.
    """
    if len(days.firm) < 2:
        return None
    wide = test.pivot("ticker", index=["seed", "date"], values=["square", "regime"], aggregate_function="first")
    wide = wide.sort("seed", "date")
    shape = (test["seed"].n_unique(), -1, test["ticker"].n_unique())
    square, label = (
        wide.select(pl.col(f"^{name}_.*$").cast(pl.Float64)).to_numpy().reshape(shape) for name in ("square", "regime")
    )
    inside = np.stack([label == at + 1 for at in range(count)])  # [regime, seed, date, ticker]
    known = np.nan_to_num(square)[0], np.isfinite(square)[0].astype(float)
    sums, rows = (_moved(inside, values) for values in known)  # [shift, seed, regime]
    with np.errstate(divide="ignore", invalid="ignore"):
        level = np.where((sums > 0) & (rows > 0), np.log(sums / rows), 0.0)[..., days.firm]
    weight = rows[..., days.firm] / rows[..., days.firm].sum(axis=-1, keepdims=True)
    off = level - (weight * level).sum(axis=-1, keepdims=True)
    spread = (weight * off**2).sum(axis=-1).mean(axis=-1)  # [shift]
    return float((spread >= spread[0] * (1 - 1e-9)).mean())  # the first is no shift


def _moved(inside: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sum values [date, ticker] by regime for labels [regime, seed, date, ticker] moved by 0, 1, ... dates."""
    turned = np.conj(np.fft.rfft(inside, axis=2)) * np.fft.rfft(values, axis=0)
    return np.fft.irfft(turned.sum(axis=-1), n=values.shape[0], axis=-1).round(9).transpose(2, 1, 0)


def _losses(
    test: pl.DataFrame, own: pl.DataFrame, numbers: Sequence[int], alpha: float, replicates: int, seed: int
) -> list[dict[str, object]]:
    variant, pair = own["variant"][0], ["ticker", "origin"]
    errors = own.select(*pair, "seed", error=(pl.col("actual") - pl.col("predicted")) ** 2)
    rows = test.join(errors.group_by(pair).agg(pl.col("error").mean()), on=pair).sort("seed", "date", "ticker")
    if rows.is_empty():
        raise VerdictError(f"{variant}: the forecasts share no ticker and origin with the test rows of the latents")
    days, error = _days(rows, numbers), pl.col("error") / pl.col("scale")
    base = _daily(rows, SQUARE, numbers)
    value, added = days.ratio(_daily(rows, error, numbers), base)
    series = value[:, None] + added
    alone = []  # the ratio of each training of the forecasting network, shape [regime]
    for trained in sorted(errors["seed"].drop_nulls().unique()):
        by_one = test.join(errors.filter(seed=trained).drop("seed"), on=pair).sort("seed", "date", "ticker")
        alone.append(days.ratio(_daily(by_one, error, numbers), _daily(by_one, SQUARE, numbers))[0].mean(axis=0))
    networks = np.array(alone or [value.mean(axis=0)])
    ratio = _with_seeds(_estimated(series, replicates, seed), networks, seed)
    against = [days.base]
    apart = _estimated(series - series[..., against], replicates, seed)
    apart = _with_seeds(apart, networks - networks[:, against], seed)
    p_equal = _equal(apart, days)
    return [
        *_rows("loss", variant, days, ratio.of_means("value", alpha), p_equal),
        *_rows("loss difference", variant, days, apart.of_means("value", alpha), p_equal),
    ]


def _estimated(series: np.ndarray, replicates: int, seed: int) -> Estimates:
    """Estimate the means of series [seed, date, regime]; a value missing makes its mean so."""
    seeds, dates, count = series.shape
    missing = np.isnan(series).any(axis=(0, 1))
    flat = np.where(missing, 0.0, series).reshape(-1, count)
    names = [f"regime {at}" for at in range(count)]
    keys = {"seed": np.repeat(np.arange(seeds), dates), "date": np.tile(np.arange(dates), seeds)}
    frame = pl.DataFrame(keys).hstack(pl.DataFrame(flat, schema=names, orient="row"))
    known = estimate(frame, [pl.col(name) for name in names], replicates=replicates, seed=seed)
    return replace(known, means=np.where(missing, np.nan, known.means))


def _with_seeds(known: Estimates, values: np.ndarray, seed: int) -> Estimates:
    """Add what another training changes, seen from the values of some trainings, shape [training, regime]."""
    count = len(values)
    if count < 2:
        return known
    apart = np.nan_to_num(values - values.mean(axis=0)) / np.sqrt(count * (count - 1))
    rng, replicates = np.random.default_rng([seed, 2]), len(known.noise)
    noise = heavy(rng, count - 1, replicates) * (rng.standard_normal((replicates, count)) @ apart)
    return replace(known, errors=np.sqrt(known.errors**2 + (apart**2).sum(axis=0)), noise=known.noise + noise)


def _equal(known: Estimates, days: _Days) -> float | None:
    """Return the p-value of no difference from the calmest regime, all regimes with dates enough together."""
    others = [at for at in days.firm if at != days.base and known.errors[at] > 0]
    if not others:
        return None
    seen, drawn = (
        np.abs(values[..., others] / known.errors[others]).max(axis=-1) for values in (known.means, known.noise)
    )
    return (1 + int((drawn >= seen).sum())) / (1 + len(drawn))


def _rows(
    measure: str, variant: str | None, days: _Days, bounds: Sequence[dict[str, float]], p_equal: float | None
) -> list[dict[str, object]]:
    share = days.shares.mean(axis=(0, 1))
    found: list[dict[str, object]] = []
    for at, (value, low, high) in enumerate(tuple(row.values()) for row in bounds):
        firm = at in days.firm and not np.isnan(value)
        ends = {
            "value": None if np.isnan(value) else value,
            "low": low if firm else None,
            "high": high if firm else None,
        }
        where = {"p_equal": p_equal, "share": float(share[at]), "dates": int(days.dates[at])}
        found.append({"measure": measure, "variant": variant, "regime": at + 1, **ends, **where})
    return found
