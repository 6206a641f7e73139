"""The manifest: settings, data and versions of a run, sufficient to reproduce it."""

import hashlib
import json
import platform
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import polars as pl

from nextday.auditing.findings import Finding
from nextday.data import Panel
from nextday.engine.execute import Outcome
from nextday.engine.needs import version_of
from nextday.engine.plan import POOL
from nextday.study import Study
from nextday.words import plural

LIBRARIES = ("nextday", "torch", "numba", "numpy", "polars", "scikit-learn", "statsmodels", "qweave", "polars-talib")


def describe_run(  # noqa: PLR0913
    study: Study, panel: Panel, outcomes: Sequence[Outcome], checks: dict[str, str], *, started: float, device: str,
    remarks: Sequence[str] = (), inputs: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    findings: Sequence[Finding] = (),
) -> bytes:  # fmt: skip
    """Return the manifest as JSON, with notes for readers: dropped sessions, fits that did not converge."""
    dropped = {ticker: count for ticker, count in panel.dropped.items() if count}
    notes = [*remarks, *panel.costs, *panel.notes]
    why = "not every ticker has" if panel.balance == "common" else "the market's calendar lacks"
    notes += [
        f"{ticker}: {plural(count, 'session')} dropped because {why} {'it' if count == 1 else 'them'}"
        for ticker, count in dropped.items()
    ]
    notes += sorted(
        f"{outcome.unit}: {note}" for outcome in outcomes if outcome.fitted for note in outcome.fitted.notes
    )
    own = {outcome.unit.variant for outcome in outcomes if outcome.unit.ticker == POOL}
    copies = [name for name, copy in study.conformal.items() if copy.of in own]
    costs = {name: _cost([one for one in outcomes if one.unit.variant == name]) for name in study.variants}
    manifest = {
        "study": study.model_dump(mode="json"),
        "data": {
            "source": panel.source, "fingerprint": fingerprint(panel.frame), "tickers": panel.tickers,
            "market": panel.market, "sessions": len(panel.dates),
            "from": str(panel.dates[0]), "to": str(panel.dates[-1]),
            "dropped": dropped,
        },
        "units": {
            "fitted": sum(not outcome.reused for outcome in outcomes),
            "reused": sum(outcome.reused for outcome in outcomes),
            "seconds": round(sum(cost["seconds"] for cost in costs.values()), 1),
        },
        "costs": costs,
        "pooled": sorted(own) + copies,  # one network forecasts all tickers
        **times(started),
        "device": device, "machine": platform.machine(), "python": platform.python_version(),
        "versions": versions(),
        "checks": checks,
        "audit": [one.as_dict() for one in findings],
        "inputs": {name: dict(features) for name, features in inputs.items()},
        "notes": notes,
    }  # fmt: skip
    return json.dumps(manifest, indent=1).encode()


def times(started: float) -> dict[str, str | float]:
    """Return when a run started, and how many seconds ago."""
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started, 1),
    }


def versions() -> dict[str, str]:
    """Return the versions of the libraries that results depend on, of those that are installed."""
    return {library: version for library in LIBRARIES if (version := version_of(library))}


def _cost(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Sum up what the units of a variant took, whenever they were fitted, and say how large its largest network is."""
    seconds = round(sum(one.fitted.seconds for one in outcomes if one.fitted), 3)
    return {"units": len(outcomes), "seconds": seconds, "parameters": max(one.parameters for one in outcomes)}


def fingerprint(bars: pl.DataFrame) -> str:
    """Hash the values of bars, independently of their file; 64 hex digits."""
    digest = hashlib.sha256()
    for column in bars:
        values = column.to_physical() if column.dtype != pl.String else column
        content = (
            "\n".join(values.fill_null("").to_list()).encode()
            if column.dtype == pl.String
            else values.to_numpy().tobytes()
        )
        digest.update(column.name.encode() + b"\n" + content)
    return digest.hexdigest()
