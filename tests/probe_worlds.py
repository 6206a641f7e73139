"""Probes whose truth is known, laid out in tables as a run does."""

import numpy as np
import polars as pl

from worlds import autoregression


def parts_of(errors, known):
    """R2 of each unit and what days add to it, of errors [..., date] against the mean on train."""
    size = (known**2).mean(axis=-1, keepdims=True)
    r2 = 1 - (errors**2).mean(axis=-1, keepdims=True) / size
    return r2[..., 0], r2 + ((1 - r2) * known**2 - errors**2) / size


def tables(sources, known, *, variant="LSTM-Raw", given=False):
    """Lay errors of sources, [seed, ticker, date], or [ticker, date] for the window, out as a run does."""
    probes, days = [], []
    dates = np.datetime64("2000-01-03") + np.arange(known.shape[-1])
    for source, errors in sources.items():
        for seed, mine in enumerate(errors if errors.ndim == 3 else errors[None]):
            r2, parts = parts_of(mine, known)
            seed = seed if errors.ndim == 3 else None
            where = {"variant": variant, "source": source, "feature": "roll_vol", "seed": seed}
            days.append(
                pl.DataFrame({**where, "date": dates, "r2": parts.mean(axis=0)}, schema_overrides={"seed": pl.Int64})
            )
            layer = 2 if errors.ndim == 3 else 0
            probes += [
                {**where, "ticker": f"T{at}", "fold": 0, "layer": layer, "given": given, "r2": value}
                for at, value in enumerate(r2.tolist())
            ]
            below = {"trained": -99.0, "untrained": 99.0}.get(source, 0.0)  # must not be read
            probes += [one | {"layer": 1, "r2": below} for one in probes[-len(r2) :] if layer]
    return pl.DataFrame(probes, schema_overrides={"seed": pl.Int64}), pl.concat(days)


def world(seed, *, gain=0.0, tickers=11, days=627, seeds=3, persistence=0.98, luck=0.1):
    """A persistent feature, and probes that miss a part of it: what all networks miss, and what a seed does."""
    rng = np.random.default_rng(seed)
    level = np.sqrt(0.6) * autoregression(rng, (1, days), persistence)
    level = level + np.sqrt(0.4) * autoregression(rng, (tickers, days), persistence)
    y = np.exp(0.35 * level)
    known = y - 1.17
    missed, errors = autoregression(rng, (tickers, days), 0.9), {}
    for source, slope in (("trained", 0.7), ("untrained", 0.7 - gain), ("shuffled", 0.0)):
        slopes = slope + luck * rng.standard_normal((seeds, tickers, 1))
        own = autoregression(rng, (seeds, tickers, days), 0.9)
        errors[source] = (1 - slopes) * known + 0.21 * y * (missed + own)
    return {**errors, "window": known + 0.05 * missed}, known
