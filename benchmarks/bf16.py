"""What ``--precision bf16`` does to the LSTM of Stage 2: epochs until it stops, seconds and test RMSE, beside float32.

One process, one thread, each unit trained every way in turn: float32, bf16, bf16 with its valid losses in float32, and
PyTorch's autocast, which rounds more. Prints what an epoch takes as a share of float32's, the epochs, and the mean RMSE per
variant. ``--tickers AAPL,KO --seeds 42,43`` for some of the units.
"""

import argparse
import statistics
import time
from dataclasses import replace

import numpy as np
import torch

from nextday.data import align, load_bars
from nextday.engine import make_plan
from nextday.engine.worker import fit
from nextday.models.networks import lstm, training
from nextday.study import Study

EPOCH, LOSS = training._one_epoch, training._loss
WAYS = ("float32", "bf16", "bf16, valid float32", "autocast")


def autocast(*args: object) -> float:
    """Train one epoch under autocast."""
    with torch.autocast("cpu", torch.bfloat16):
        return EPOCH(*args)


def loss_in_float32(network: torch.nn.Module, *args: object) -> float:
    """Give the loss on valid as a float32 network of the same weights has it."""
    layers = [module for module in network.modules() if isinstance(module, lstm.LstmLayer)]
    for layer in layers:
        layer.precision = "float32"
    try:
        return LOSS(network, *args)
    finally:
        for layer in layers:
            layer.precision = "bf16"


def main() -> None:
    """Train every unit every way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="42")
    parser.add_argument("--tickers", default="")
    args = parser.parse_args()
    study = Study.load("stage2", {"seeds": args.seeds} | ({"tickers": args.tickers} if args.tickers else {}))
    plan = make_plan(study, align(load_bars("sample"), tickers=study.tickers))
    ratios, rmse, epochs = {}, {}, {}
    for unit in plan.units:
        job, (fold,), seconds = plan.job(unit), plan.folds_of(unit), {}
        for way in WAYS:
            training._one_epoch = autocast if way == "autocast" else EPOCH
            training._loss = loss_in_float32 if way.endswith("valid float32") else LOSS
            precision = "bf16" if way.startswith("bf16") else "float32"
            model = replace(job.model, training=job.model.training.model_copy(update={"precision": precision}))
            start = time.thread_time()
            fitted = fit(replace(job, model=model))
            seconds[way] = (time.thread_time() - start) / len(fitted.valid_loss)
            error = fold.y[fold.split.test] - fitted.predicted
            rmse.setdefault((unit.variant, way), []).append(np.sqrt((error**2).mean()))
            epochs.setdefault(way, []).append(len(fitted.valid_loss))
            ratios.setdefault(way, []).append(seconds[way] / seconds["float32"])
    for way in WAYS:
        share = statistics.median(ratios[way])
        print(
            f"{way:20} epoch {share:.2f} of float32, {statistics.mean(epochs[way]):.1f} epochs, {len(ratios[way])} units"
        )
    for (variant, way), values in rmse.items():
        print(f"{variant:12} {way:20} mean RMSE {np.mean(values):.6f}")


if __name__ == "__main__":
    main()
