"""What gradient boosting makes of noise and of planted signals: as it is, and with scikit-learn's defaults.

    python benchmarks/boosting.py --worlds 8

Daily returns with the tails of a Student t of 4 degrees of freedom; 2,200 days for training, 315 for validation, 635 for
the test. The R2 is against zero, in %, mean over worlds; a perfect forecast has the planted share.
"""

import argparse

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from nextday.models import Key, make_model
from nextday.samples import Samples, Windows
from nextday.study import Training

PARTS = ((0, 2200), (2200, 2515), (2515, 3150))
SIGNALS = {
    "noise": lambda x: np.zeros(len(x)),
    "a line": lambda x: x[:, 0],
    "an absolute value": lambda x: np.abs(x[:, 0]),
    "a step": lambda x: (x[:, 0] > 1).astype(float) - (x[:, 0] < -1),
    "a line on half the days": lambda x: x[:, 0] * (x[:, 1] > 0),
    "a product": lambda x: x[:, 0] * x[:, 1],
}
CASES = [
    ("noise", 0.0, 7), ("noise", 0.0, 20), ("noise", 0.0, 100), ("a line", 0.05, 20), ("an absolute value", 0.05, 20),
    ("a step", 0.05, 20), ("a line on half the days", 0.05, 20), ("a product", 0.05, 20), ("a product", 0.2, 20),
]  # fmt: skip


def world(signal: str, share: float, inputs: int, seed: int) -> tuple[Samples, Samples, Windows, np.ndarray]:
    """Draw inputs and returns: train, valid, the windows of the test, and its returns."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((PARTS[-1][1], inputs)).astype(np.float32)
    mean = SIGNALS[signal](x.astype(np.float64))
    mean = (mean - mean.mean()) / (mean.std() or 1)
    y = 0.015 * (np.sqrt(share) * mean + np.sqrt(1 - share) * rng.standard_t(4, len(x)) / np.sqrt(2))
    windows = Windows(x, 1, tuple(map(str, range(inputs))))
    train, valid, test = (Samples(windows.cut(first, last), y[first:last]) for first, last in PARTS)
    return train, valid, test.windows, test.y


def by_default(train: Samples, valid: Samples, test: Windows) -> np.ndarray:
    """Grow 100 trees of up to 31 leaves on all that is known, as ``hist_gradient_boosting`` did at first."""
    x = np.concatenate([train.windows.newest, valid.windows.newest])
    plain = HistGradientBoostingRegressor(early_stopping=False, random_state=0)
    return plain.fit(x, np.concatenate([train.y, valid.y])).predict(test.newest)


def main() -> None:
    """Print a row for each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=8)
    count, key = parser.parse_args().worlds, Key(0, "A", 0)
    models = {
        name: make_model(name, {}, training=Training(), device="cpu") for name in ("hist_gradient_boosting", "ridge")
    }
    print(
        "| signal | share, % | inputs | defaults | boosting (lowest) | ridge |\n| --- | --- | --- | --- | --- | --- |"
    )
    for signal, share, inputs in CASES:
        rows = []
        for seed in range(count):
            train, valid, test, y = world(signal, share, inputs, seed)
            fits = [by_default(train, valid, test)]
            fits += [model.fit_predict(train, valid, test, key=key).predicted for model in models.values()]
            rows.append([100 * (1 - ((y - fit) ** 2).sum() / (y**2).sum()) for fit in fits])
        found = np.array(rows)
        plain, boosted, line = found.mean(axis=0)
        low = found[:, 1].min()
        print(
            f"| {signal} | {100 * share:g} | {inputs} | {plain:.1f} | {boosted:.1f} ({low:.1f}) | {line:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
