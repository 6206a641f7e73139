"""The folds of a panel: training, validation and test days of each ticker, the same for every variant."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import polars as pl

from nextday.data import Panel
from nextday.data.gaps import describe_gaps, worst
from nextday.errors import StudyError
from nextday.samples.split import SPLITS, MakeSplits, Split, make_splits
from nextday.samples.windows import across_gaps, make_origins, make_targets
from nextday.study import SplitSettings
from nextday.words import plural


@dataclass(frozen=True, slots=True)
class Fold:
    """One fold of one ticker.

    Attributes
    ----------
    ticker, split
        Ticker of the samples, and their split.
    origins
        Positions of the origins in the panel's dates, shape [sample].
    y
        Targets, shape [sample]; those of the test set stay in the pipeline.
    skipped
        Sessions skipped before each of the panel's dates, shape [date].
    """

    ticker: str
    split: Split
    origins: np.ndarray
    y: np.ndarray
    skipped: np.ndarray

    def truth(self, dates: np.ndarray, part: slice) -> pl.DataFrame:
        """Return origin, target date and realised return of each sample of a part."""
        at = self.origins[part]
        return pl.DataFrame({"origin": dates[at], "date": dates[at + 1], "actual": self.y[part]})

    def describe(self, dates: np.ndarray) -> dict[str, object]:
        """Return the ranges by origin, and the moments of the targets that benchmarks and loss scales need."""
        train = self.y[self.split.train]
        fitted = np.concatenate([train, self.y[self.split.valid]])
        ranges = {
            f"{name}_{end}": dates[self.origins[part][at]].item()
            for name, part in (("train", self.split.train), ("valid", self.split.valid), ("test", self.split.test))
            for end, at in (("from", 0), ("to", -1))
        }
        return {
            "ticker": self.ticker, "fold": self.split.fold, **ranges,
            "train": len(train), "valid": len(fitted) - len(train), "test": len(self.y[self.split.test]),
            "historical_mean": float(fitted.mean()),  # train and valid, as Stage 1 fits
            "train_variance": float(train.var()),
            "train_deviation": float(np.abs(train - train.mean()).mean()),
        }  # fmt: skip


def make_folds(
    panel: Panel, settings: SplitSettings, *, lookback: int, warmup: int, anew: int | None = None,
    schemes: Mapping[str, MakeSplits] = MappingProxyType(SPLITS),
) -> list[Fold]:  # fmt: skip
    """Split every ticker of a panel; all have the same origins, none of them across a gap.

    ``warmup`` sessions warm the features up at the start, and ``anew`` of them (all unless given) after a long gap.

    Raises
    ------
    StudyError
        If the history is too short for the lookback and the split, or a ticker's training returns are all equal.
    """
    skipped, anew = panel.skipped, warmup if anew is None else anew
    origins, lost = _origins(panel, lookback=lookback, warmup=warmup, anew=anew)
    if len(origins) < 10:
        left = "1 sample remains" if len(origins) == 1 else f"{len(origins)} samples remain"
        raise StudyError(
            f"{panel.source}: {len(panel.dates)} common sessions are too few: {warmup} warm up the features, "
            f"{lookback} fill the first window, and {left} to be split; at least 10 are needed"
            + "".join(f"; {cost}" for cost in panel.costs)
            + (f". {lost}; {_way_out(panel)}" if lost else "")
        )
    try:
        splits = make_splits(len(origins), settings, schemes)
    except StudyError as error:
        if lost:
            raise StudyError(f"{error}. {lost}; {_way_out(panel)}") from None
        raise
    folds = []
    for ticker in panel.tickers:
        y = make_targets(panel.of(ticker)["adj_close"].to_numpy(), origins)
        if y[splits[0].train].std() == 0:
            raise StudyError(
                f"{panel.source}: the training returns of {ticker} are all {y[0]}; there is nothing to learn"
            )
        folds += [Fold(ticker, split, origins, y, skipped) for split in splits]
    return folds


def note_gaps(panel: Panel, *, lookback: int, warmup: int, anew: int) -> tuple[str, ...]:
    """Describe which gaps cost how many samples; nothing where they cost none."""
    lost = _origins(panel, lookback=lookback, warmup=warmup, anew=anew)[1]
    return (lost,) if lost else ()


def _origins(panel: Panel, *, lookback: int, warmup: int, anew: int) -> tuple[np.ndarray, str]:
    """Return the origins that are samples, and what gaps cost; empty if nothing."""
    origins = make_origins(len(panel.dates), warmup=warmup, lookback=lookback)
    targets, windows = across_gaps(panel.skipped, origins, reach=lookback + anew)
    lost = targets | windows
    if not lost.any():
        return origins, ""
    counts = [(int(targets.sum()), "target"), (int((windows & ~targets).sum()), "window")]
    named = " and ".join(plural(count, what) for count, what in counts if count)
    verbs = "spans a gap is" if lost.sum() == 1 else "span gaps are"
    return origins[~lost], f"{describe_gaps(panel.gaps)}: {named} that {verbs} left out"


def _way_out(panel: Panel) -> str:
    ticker = worst(panel.gaps)
    if ticker == panel.market:
        return "choose another market with --market"
    only = len(panel.tickers) == 1
    return "take a longer history" if only else f"leave out {ticker}: name the others with --tickers"
