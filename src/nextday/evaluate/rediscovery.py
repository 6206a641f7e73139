"""What Stage 6 teaches about the verdict of Stage 2: does a network on raw returns hold a feature it never saw."""

import math

import numpy as np
import polars as pl
import scipy  # its submodules load when first used

from nextday.errors import VerdictError
from nextday.evaluate.contrasts import MIN_SEEDS
from nextday.evaluate.wording import NO, UNKNOWN, WITHHELD, YES, Lesson, at_once

FEATURE = "roll_vol"
CONTROLS = {"untrained": "an untrained network", "window": "the window itself", "shuffled": "a shuffled target"}
NEEDED = ("variant", "ticker", "fold", "seed", "layer", "source", "feature", "r2")
QUESTION = f"Did the raw network rediscover {FEATURE}?"


def rediscovery(probes: pl.DataFrame, *, alpha: float = 0.05) -> Lesson | None:
    """Tell whether a linear probe finds rolling volatility in the last layer of ``LSTM-Raw``, beyond its controls.

    An R2 below zero counts as zero: a probe that is worse than the mean knows nothing, however bad it is. Differences
    to each control are paired by ticker, fold and seed. Their intervals say what another seed would change (tickers
    draw independently; Satterthwaite's degrees of freedom; Bonferroni over the controls): they are about these tickers
    and days. With fewer than three seeds the answer is withheld.

    Parameters
    ----------
    probes
        One row per ``variant, ticker, fold, seed, layer, source, feature`` with its ``r2`` on test; sources are
        ``trained`` and those of ``CONTROLS``. A control that needs no network may be without seed or layer.

    Returns
    -------
    The lesson, or None where no network on raw returns was probed for the feature.

    Raises
    ------
    VerdictError
        If columns are missing.
    """
    missing = [name for name in NEEDED if name not in probes.columns]
    if missing:
        raise VerdictError(f"the probes have no column {missing[0]!r}; they have {', '.join(probes.columns)}")
    probes = probes.filter(pl.col("feature") == FEATURE).with_columns(
        r2=pl.col("r2").fill_nan(None).clip(lower_bound=0)
    )
    raw = sorted(
        (name for name in probes["variant"].unique() if name.endswith("-Raw")), key=lambda name: name != "LSTM-Raw"
    )
    trained = probes.filter(pl.col("source") == "trained", pl.col("variant").is_in(raw[:1]), pl.col("r2").is_not_null())
    if trained.is_empty():
        return None
    last = trained["layer"].max()
    own = _by_unit(trained.filter(pl.col("layer") == last), ["ticker", "fold", "seed"])
    seeds = own["seed"].n_unique()
    if seeds < MIN_SEEDS:
        return Lesson(
            "stage6", QUESTION, WITHHELD, f"Withheld: {raw[0]} was probed for {seeds} of at least {MIN_SEEDS} seeds."
        )
    pairs = {source: _paired(own, _control(probes, raw[0], source, last)) for source in CONTROLS}
    known = {source: _interval(pair, alpha / len(CONTROLS)) for source, pair in pairs.items() if len(pair)}
    if not known:
        return None
    if all(low > 0 for _, low, _ in known.values()):
        said = YES if len(known) == len(CONTROLS) else UNKNOWN
    else:
        said = NO if any(high < 0 for *_, high in known.values()) else UNKNOWN
    parts = [
        f"{mean:+.2f} ({low:+.2f} to {high:+.2f}) beyond {CONTROLS[name]}" for name, (mean, low, high) in known.items()
    ]
    tightest = min(known, key=lambda name: known[name][0])
    agree = _agreeing(pairs[tightest])
    text = (
        f"{said.capitalize()}: a linear probe finds {FEATURE} in the last state of {raw[0]} with an R2 of "
        f"{float(own['r2'].to_numpy().mean()):.2f}: {', '.join(parts)}{at_once(len(known), 'controls')}, over "
        f"seeds; beyond {CONTROLS[tightest]} in {agree} tickers."
    )
    return Lesson("stage6", QUESTION, said, text, *known[tightest])


def _by_unit(rows: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    return rows.group_by(keys, maintain_order=True).agg(pl.col("r2").mean()).drop_nulls("r2")


def _control(probes: pl.DataFrame, variant: str, source: str, layer: object) -> pl.DataFrame:
    """Give the rows of a control: of the variant and layer, where it has any."""
    rows = probes.filter(source=source)
    for name, value in (("variant", variant), ("layer", layer)):
        rows = same if len(same := rows.filter(pl.col(name) == value)) else rows
    return rows


def _paired(own: pl.DataFrame, control: pl.DataFrame) -> pl.DataFrame:
    """Subtract a control, unit by unit, or for all seeds of a ticker and fold the same where it has no seeds."""
    keys = ["ticker", "fold"] + (["seed"] if control["seed"].null_count() < len(control) else [])
    joined = own.join(_by_unit(control, keys), on=keys, suffix="_control")
    return joined.group_by("ticker", "seed").agg((pl.col("r2") - pl.col("r2_control")).mean().alias("gain"))


def _interval(gains: pl.DataFrame, alpha: float) -> tuple[float, float, float]:
    """Estimate the mean over tickers, and what drawing the seeds anew would change."""
    each = gains.group_by("ticker").agg(pl.col("gain").mean(), pl.col("gain").var(ddof=1).alias("var"), pl.len())
    mean = float(each["gain"].to_numpy().mean())
    parts = (each["var"] / each["len"]).fill_null(0.0).to_numpy()
    if not parts.any():
        return mean, mean, mean
    freedom = parts.sum() ** 2 / np.sum(parts**2 / (each["len"].to_numpy() - 1).clip(1))
    reach = float(scipy.stats.t.ppf(1 - alpha / 2, freedom)) * math.sqrt(parts.sum()) / len(each)
    return mean, mean - reach, mean + reach


def _agreeing(gains: pl.DataFrame) -> str:
    signs = gains.group_by("ticker").agg(pl.col("gain").mean())["gain"] > 0
    return f"{signs.sum()} of {len(signs)}"
