"""Plant a truth in bars, run the product on them, and count what its first sentence says (``--panels`` of each kind).

Each panel goes through features, samples, models and verdict: linear regression, and a seeded random-feature model of the
whole window with ten seeds, each on the three inputs. A sentence is wrong if any answer in it, or a claim to beat the zero
forecast, is not so for the very models that were trained on these very days, in expectation over the noise. It is right if it says what was
planted, see ``RIGHT``.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import planted
from nextday.evaluate import relation
from planted import Judged


def _helps(found: Judged) -> bool:
    """Engineered features are said to help over raw returns."""
    return any(
        one.finding == "better" and "engineered" in one.first and "raw" in one.second for one in found.verdict.answers
    )


def _beats(found: Judged, inputs: str) -> bool:
    return any(relation(one) == ">" and one.first.endswith(inputs) for one in found.comparison.against_benchmark)


RIGHT: dict[str, Callable[[Judged], bool]] = {
    "volz": _helps,
    "mkt": _helps,
    "rollvol": _helps,
    "ar": lambda found: _beats(found, "raw") and not _helps(found),
    "null": lambda found: not _helps(found) and not any(_beats(found, inputs) for inputs in planted.INPUTS),
}


def count(kind: str, panels: int, *, r2: float, seeds: int, first: int = 0) -> dict[str, Counter[str]]:
    """Count wrong and right sentences and codes, by model."""
    counts = {"linear": Counter(), "seeded": Counter()}
    for seed in range(first, first + panels):
        for model, found in planted.judged(kind, seed, r2=r2, seeds=seeds).items():
            counts[model].update(panels=1, wrong=bool(found.lies), right=RIGHT[kind](found) and not found.lies)
            counts[model][found.verdict.code] += 1
            for lie in found.lies:
                print(f"  {kind} {seed}: {lie}", flush=True)
    return counts


def main() -> None:
    """Print one line per kind and model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--panels", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--r2", type=float, default=0.09)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--kinds", default=",".join(planted.KINDS))
    given = parser.parse_args()
    for kind in given.kinds.split(","):
        start = time.process_time()
        for model, found in count(kind, given.panels, r2=given.r2, seeds=given.seeds, first=given.first).items():
            codes = ", ".join(
                f"{name} {n}" for name, n in found.most_common() if name not in {"panels", "wrong", "right"}
            )
            shares = [f"{name} {100 * found[name] / found['panels']:.1f} %" for name in ("wrong", "right")]
            print(f"{kind:8s} {model:7s} R2 {100 * given.r2:g} %: {', '.join(shares)}; {codes}", flush=True)
        print(f"  {time.process_time() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
