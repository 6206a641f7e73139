"""A verdict and its basis as plain values, for JSON; ``verdict.schema.json`` describes them."""

import json
import math
from dataclasses import asdict
from importlib import resources
from typing import Any

import numpy as np

from nextday.evaluate.contrasts import Comparison, Contrast, relation
from nextday.evaluate.verdict import Verdict

SCHEMA = "nextday/verdict/2"
SCHEMA_FILE = resources.files("nextday.evaluate") / "verdict.schema.json"


def as_dict(comparison: Comparison, verdict: Verdict) -> dict[str, Any]:
    """Return a verdict and its basis as plain values; numbers that are not finite become None."""
    losses = comparison.losses
    return finite({
        "schema": SCHEMA,
        "verdict": {name: value for name, value in asdict(verdict).items() if name not in ("parts", "findings")},
        "audit": [one.as_dict() for one in verdict.findings],
        "loss": losses.loss,
        "scale": losses.scale,
        "benchmark": losses.benchmark,
        "margin": comparison.margin,
        "alpha": comparison.alpha,
        "counts": {
            "variants": len(losses.variants),
            "tickers": len(losses.tickers),
            "days": len(losses.dates),
            "pairs": int((~np.isnan(losses.base)).sum()),
            "seeds": dict(zip(losses.variants, map(len, losses.seeds), strict=True)),
        },
        "index_hash": losses.index_hash,
        "block": comparison.block,
        "sensitivity": dict(zip(("half_block", "twice_block"), comparison.sensitivity, strict=False)),
        "minimum_detectable_difference": comparison.detectable,
        "asked": [_contrast(one) for one in comparison.asked],
        "against_benchmark": [_contrast(one) for one in comparison.against_benchmark],
        "others": [_contrast(one) for one in comparison.others],
        "parts": [asdict(one) for one in verdict.parts],
    })  # fmt: skip


def dump(values: dict[str, Any]) -> str:
    """Write plain values as strict JSON, without NaN and Infinity."""
    return json.dumps(finite(values), indent=1, allow_nan=False)


def finite(value: Any) -> Any:  # noqa: ANN401 - plain values of any kind
    """Replace non-finite numbers by None at every depth; tuples become lists, as in JSON."""
    if isinstance(value, dict):
        return {name: finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _contrast(contrast: Contrast) -> dict[str, Any]:
    values = asdict(contrast)
    if contrast.kind == "pair":  # the names say it
        values = {name: value for name, value in values.items() if name not in {"terms", "kind", "model"}}
    return values | {
        "relation": "?" if contrast.withheld else relation(contrast),
        "detectable": contrast.detectable, "equality": contrast.equality,
    }  # fmt: skip
