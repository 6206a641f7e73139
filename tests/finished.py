"""Writes folders of finished studies of made-up forecasts, as a run leaves them."""

import datetime
import json

import numpy as np
import polars as pl

from nextday.evaluate.export import SCHEMA

DAYS, TICKERS = 250, ("AAA", "BBB")
START = datetime.date(2020, 1, 1)


def make_stage(variants, *, seeds=(None,), levels=(), days=DAYS, tickers=TICKERS):
    """Forecast ``skill`` times the return plus noise that each seed draws anew; ``spread`` scales the quantiles."""
    dates = pl.date_range(START, START + datetime.timedelta(days), eager=True)
    parts = []
    for at, ticker in enumerate(tickers):
        actual = np.random.default_rng(at).normal(0, 0.01, DAYS)[:days]
        for number, (name, (skill, noise, spread)) in enumerate(variants.items()):
            for seed in seeds:
                rng = np.random.default_rng([at, number, seed or 0, 1])  # a last 0 would draw the returns themselves
                predicted = skill * actual + noise * rng.normal(0, 0.01, days)
                quantiles = {f"q{level}": spread * (level - 0.5) * 0.0366 + 0 * predicted for level in levels}
                columns = {"origin": dates[:days], "date": dates[1:], "actual": actual, "predicted": predicted}
                keys = {"variant": name, "ticker": ticker, "fold": 0, "seed": seed, "contaminated": False}
                keyed = [pl.lit(value).alias(key) for key, value in keys.items()]
                parts.append(pl.DataFrame(columns | quantiles).select(*keyed, pl.all()))
    return pl.concat(parts).with_columns(pl.col("seed", "fold").cast(pl.Int64))


def make_folds(tickers=TICKERS):
    """Make the folds that go with them."""
    day = datetime.date
    ranges = {
        "train_from": day(2015, 1, 1), "train_to": day(2018, 1, 1), "valid_from": day(2018, 1, 2),
        "valid_to": day(2019, 12, 1), "test_from": day(2020, 1, 1), "test_to": day(2020, 9, 1), "train": 700,
        "valid": 100, "test": DAYS, "historical_mean": 0.0, "train_variance": 1e-4, "train_deviation": 0.008,
    }  # fmt: skip
    columns = {name: pl.lit(value) for name, value in ranges.items()}
    return pl.DataFrame({"ticker": list(tickers), "fold": [0] * len(tickers)}).with_columns(**columns)


def write(folder, forecasts, *, parameters=(), answer="", **study):
    """Write what a run leaves; ``answer`` is the sentence of its verdict, further keywords are keys of the study.

    Networks are those of ``parameters``.
    """
    copies = study.get("conformal", {})
    own = [name for name in forecasts["variant"].unique(maintain_order=True) if name not in copies]
    features = study.pop("features", {})
    variants = {name: {"model": "made", "features": features.get(name, "raw")} for name in own}
    costs = {
        name: {"units": 4, "seconds": 2.0 * (at + 1), "parameters": 50_000 if name in parameters else 0}
        for at, name in enumerate(own)
    }
    levels = [float(name[1:]) for name in forecasts.columns if name.startswith("q")]
    manifest = {
        "study": {"name": folder.name, "variants": variants, "levels": levels} | study, "costs": costs, "pooled": [],
        "versions": {"nextday": "0"}, "data": {}, "units": {}, "checks": {}, "notes": [],
    }  # fmt: skip
    folder.mkdir(parents=True)
    forecasts.write_parquet(folder / "forecasts.parquet")
    make_folds(forecasts["ticker"].unique(maintain_order=True)).write_parquet(folder / "folds.parquet")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    if answer:
        say(folder, answer)
    (folder / "report.html").write_text(f"<p>{folder.name}</p>")


def say(folder, sentence, *, code="inconclusive", schema=SCHEMA, withheld="", **more):
    """Write a verdict of one contrast."""
    asked = [{"first": "A", "second": "B", "estimate": -0.01, "low": -0.04, "high": 0.02, "withheld": withheld}]
    said = {"schema": schema, "verdict": {"sentence": sentence, "code": code}, "asked": asked} | more
    (folder / "verdict.json").write_text(json.dumps(said))
