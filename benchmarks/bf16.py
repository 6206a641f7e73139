"""What bf16 autocast does to the LSTM of Stage 2: seconds and test RMSE of the 33 units of one seed, beside float32.

One process, one thread, each unit trained both ways in turn. Prints the mean RMSE per variant and the ratio of times.
"""

import argparse
import statistics
import time

import numpy as np
import torch

from nextday.data import align, load_bars
from nextday.models import training
from nextday.run import make_plan
from nextday.run.worker import fit
from nextday.study import Study

FLOAT32 = training._one_epoch


def bf16(*args: object) -> float:
    """Train one epoch under autocast."""
    with torch.autocast("cpu", torch.bfloat16):
        return FLOAT32(*args)


def main() -> None:
    """Train every unit both ways."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", default="42")
    parser.add_argument("--tickers", default="")
    args = parser.parse_args()
    study = Study.load(
        "stage2", {"seeds": args.seed, "tickers": args.tickers} if args.tickers else {"seeds": args.seed}
    )
    plan = make_plan(study, align(load_bars("sample"), tickers=study.tickers))
    ratios, rmse, epochs = [], {}, {}
    for unit in plan.units:
        job, fold, seconds = plan.job(unit), plan.fold_of(unit), {}
        for name, epoch in (("float32", FLOAT32), ("bf16", bf16)):
            training._one_epoch = epoch
            start = time.perf_counter()
            fitted = fit(job)
            error = fold.y[fold.split.test] - fitted.predicted
            seconds[name] = (time.perf_counter() - start) / len(fitted.valid_loss)
            rmse.setdefault((unit.variant, name), []).append(np.sqrt((error**2).mean()))
            epochs.setdefault(name, []).append(len(fitted.valid_loss))
        ratios.append(seconds["bf16"] / seconds["float32"])
    print(f"seconds per epoch, bf16 / float32: median {statistics.median(ratios):.2f} over {len(ratios)} units")
    print({name: round(statistics.mean(values), 1) for name, values in epochs.items()}, "epochs on average")
    for (variant, name), values in rmse.items():
        print(f"{variant:12} {name:8} mean RMSE {np.mean(values):.6f}")


if __name__ == "__main__":
    main()
