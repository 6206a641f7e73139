"""Whether a stack means what the loop means, at the real size: Stage 2 without dropout, both ways on this machine's CPU.

Prints the largest relative difference of the losses per epoch, how many units chose the same epoch, and the times.
"""

import argparse
import time

import numpy as np

from nextday.data import align, load_bars
from nextday.engine import Stacked, Workers, make_plan
from nextday.study import Study


def main() -> None:
    """Train every unit of a seed in a stack and by the loop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickers", default="AAPL,KO,XOM,JNJ")
    parser.add_argument("--seeds", default="42")
    args = parser.parse_args()
    changes = {f"variants.LSTM-{name}.options.dropout": 0 for name in ("Raw", "OHLCV", "Feat")}
    study = Study.load("stage2", {**changes, "tickers": args.tickers, "seeds": args.seeds})
    plan = make_plan(study, align(load_bars(study.data), tickers=study.tickers, market=study.market))
    found, seconds = {}, {}
    with Workers(0) as loop:
        for name, engine in (("loop", loop), ("stack", Stacked(loop, device="cpu"))):
            start = time.perf_counter()
            found[name] = {unit: fitted for unit, fitted, _ in engine.map(plan.units, plan.job)}
            seconds[name] = time.perf_counter() - start
    same, worst = 0, []
    for unit, ours in found["stack"].items():
        theirs = found["loop"][unit]
        both = min(len(ours.valid_loss), len(theirs.valid_loss))
        pairs = ((ours.train_loss, theirs.train_loss), (ours.valid_loss, theirs.valid_loss))
        apart = np.max([np.abs(one[:both] / other[:both] - 1) for one, other in pairs], axis=0)
        worst.append(apart.max())
        same += ours.best_epoch == theirs.best_epoch
        if worst[-1] > 1e-4:
            print(
                f"{unit}: apart by {worst[-1]:.1e}, by more than 1e-4 from epoch {np.argmax(apart > 1e-4) + 1} of {both}"
            )
            print("  valid loss:", " ".join(f"{loss:.3e}" for loss in theirs.valid_loss))
    print(f"{len(worst)} units: same epoch chosen in {same}")
    print(f"relative difference of losses: {np.median(worst):.1e} in the median unit, {max(worst):.1e} at most")
    print(f"seconds: loop {seconds['loop']:.0f}, stack {seconds['stack']:.0f}")


if __name__ == "__main__":
    main()
