"""The folds of a panel: training, validation and test days of each ticker, the same for every variant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from nextday.data import Panel
from nextday.data.gaps import describe_gaps, worst
from nextday.errors import StudyError
from nextday.names import listed
from nextday.samples.split import SPLITS, MakeSplits, Split, make_splits
from nextday.samples.targets import returns_of, targets_of
from nextday.samples.windows import across_gaps, make_origins
from nextday.study import COMPARED, SplitSettings, Target
from nextday.words import plural

TENTH = 10  # of the training samples that a ticker needs, it needs for validation
HISTORY = 250  # training samples that a model of one ticker needs, unless a study says otherwise
LEAST = 2  # that a pooled model can scale


@dataclass(frozen=True, slots=True)
class Fold:
    """One fold of one ticker.

    Attributes
    ----------
    ticker, split
        Ticker of the samples, and their split.
    origins
        Positions of the origins in the ticker's sessions, shape [sample].
    y
        Targets, shape [sample]; those of the test set stay in the pipeline.
    skipped
        Sessions skipped before each of the ticker's own, shape [session].
    sessions
        Positions of the ticker's sessions in the panel's dates, shape [session].
    returns
        Realised returns, shape [sample], where the targets compare them with those of other tickers.
    """

    ticker: str
    split: Split
    origins: np.ndarray
    y: np.ndarray
    skipped: np.ndarray
    sessions: np.ndarray
    returns: np.ndarray | None = None

    @property
    def at(self) -> np.ndarray:
        """Positions of the origins in the panel's dates, shape [sample]."""
        return self.sessions[self.origins]

    @property
    def tested(self) -> bool:
        """Whether the ticker has a test set; without one, pooled models learn from it only."""
        return self.split.test.start < self.split.test.stop

    def truth(self, dates: np.ndarray, part: slice) -> dict[str, np.ndarray]:
        """Return origin, target date and actual value of each sample of a part, and its return if that is another."""
        origins = self.origins[part]
        at, ahead = self.sessions[origins], self.sessions[origins + 1]
        realised = {} if self.returns is None else {"realised_return": self.returns[part]}
        return {"origin": dates[at], "date": dates[ahead], "actual": self.y[part], **realised}

    def describe(self, dates: np.ndarray) -> dict[str, object]:
        """Return the ranges by origin, and the moments of the targets that benchmarks and loss scales need."""
        train = self.y[self.split.train]
        fitted = np.concatenate([train, self.y[self.split.valid]])
        ranges = {
            f"{name}_{end}": dates[self.at[part][at]].item()
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
    target: Target = "return", learners: bool = False,
    schemes: Mapping[str, MakeSplits] = MappingProxyType(SPLITS),
) -> list[Fold]:  # fmt: skip
    """Split every ticker of a panel at the same dates; no sample is across a gap.

    ``warmup`` sessions warm the features up at the start, and ``anew`` of them (all unless given) after a long gap. On
    common sessions all tickers have the same origins. With ``balance: each`` a ticker has those of its own sessions,
    and takes part in a fold where it has enough training samples; it is tested on the days on which it is a ``member``.
    Where another has too few, or ended before the test set, pooled models learn from it all the same: with ``learners``
    its fold comes, too, after the others and with an empty test set.

    Raises
    ------
    StudyError
        If the history is too short for the lookback and the split, or a ticker's training returns are all equal.
    """
    anew = warmup if anew is None else anew
    origins, lost = _origins(panel, lookback=lookback, warmup=warmup, anew=anew)
    if len(origins) < 10:
        left = "1 sample remains" if len(origins) == 1 else f"{len(origins)} samples remain"
        shared = "common " if panel.balance == "common" else ""
        raise StudyError(
            f"{panel.source}: {len(panel.dates)} {shared}sessions are too few: {warmup} warm up the features, "
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
    targets = targets_of(panel, target)
    every = [
        fold for ticker in panel.tickers for fold in
        _of_ticker(panel, ticker, targets[ticker], splits, origins, lookback=lookback, warmup=warmup, anew=anew)
    ]  # fmt: skip
    history = settings.history or HISTORY
    folds = every if panel.balance == "common" else [one for one in every if _takes_part(one, history)]
    if target in COMPARED:
        folds = [replace(one, returns=returns_of(panel, one.ticker)[one.origins]) for one in folds]
    flat = [one for one in folds if one.y[one.split.train].std() == 0]
    if flat:
        raise StudyError(
            f"{panel.source}: the training returns of {flat[0].ticker} are all {flat[0].y[0]}; there is nothing to "
            "learn"
        )
    if not folds:
        raise StudyError(
            f"{panel.source}: no ticker has {history} training samples and a test sample; set split.history "
            "lower, or take a longer history"
        )
    return folds + (_learners(every, folds) if learners else [])


def _of_ticker(
    panel: Panel, ticker: str, targets: np.ndarray, splits: Sequence[Split], calendar: np.ndarray, *, lookback: int,
    warmup: int, anew: int,
) -> list[Fold]:  # fmt: skip
    """Cut the samples of a ticker where the origins of all, ``calendar``, are cut."""
    sessions, skipped = panel.sessions(ticker), panel.skipped_by(ticker)
    if len(sessions) < warmup + lookback + 1:
        return []
    own = make_origins(len(sessions), warmup=warmup, lookback=lookback)
    own = own[~np.logical_or(*across_gaps(skipped, own, reach=lookback + anew))]
    y, member = targets[own], panel.member(ticker)[own]
    folds = []
    for one in splits:
        kept = member | (sessions[own] < calendar[one.test.start])  # what came before membership may be learned from
        kept &= ~np.isnan(y)
        at = sessions[own[kept]]
        train, valid, test = (
            slice(*np.searchsorted(at, [calendar[part.start], calendar[part.stop - 1] + 1]).tolist())
            for part in (one.train, one.valid, one.test)
        )
        folds.append(Fold(ticker, Split(one.fold, train, valid, test), own[kept], y[kept], skipped, sessions))
    return folds


def _takes_part(fold: Fold, history: int) -> bool:
    """Whether a ticker has enough samples of its own to be trained and tested in a fold."""
    train, valid, test = (len(fold.y[part]) for part in (fold.split.train, fold.split.valid, fold.split.test))
    enough = train >= history and valid >= max(history // TENTH, 1) and test > 0
    return enough and _moves(fold)


def _learners(every: Sequence[Fold], folds: Sequence[Fold]) -> list[Fold]:
    """Return the folds that are not among ``folds`` but have samples to learn from, without their test sets."""
    tested = {(one.ticker, one.split.fold) for one in folds}
    found = []
    for one in every:
        train, valid, number = one.split.train, one.split.valid, one.split.fold
        if (one.ticker, number) not in tested and len(one.y[train]) >= LEAST and _moves(one):
            found.append(replace(one, split=Split(number, train, valid, slice(valid.stop, valid.stop))))
    return found


def _moves(fold: Fold) -> bool:
    return bool(fold.y[fold.split.train].std() > 0)


def note_absent(
    panel: Panel, settings: SplitSettings, folds: Sequence[Fold], learners: Sequence[Fold] = ()
) -> tuple[str, ...]:  # fmt: skip
    """Name the tickers that are not tested in a fold, and those of them that pooled models learn from."""
    found, least = [], plural(settings.history or HISTORY, "training sample")
    for number in sorted({one.split.fold for one in folds}):
        there, learned = (
            [one.ticker for one in some if one.split.fold == number] for some in (folds, learners)
        )  # fmt: skip
        absent = [ticker for ticker in panel.tickers if ticker not in {*there, *learned}]
        where = f"fold {number}" if len({one.split.fold for one in folds}) > 1 else "the study"
        why = f"with fewer than {least}, no test sample, or returns that never move"
        if absent:
            found.append(f"left out of {where}, {why}: {plural(len(absent), 'ticker')}, {listed(absent)}")
        if learned:
            found.append(
                f"not tested in {where}, but in the training set of pooled models, {why}: "
                f"{plural(len(learned), 'ticker')}, {listed(learned)}"
            )
    return tuple(found)


def note_gaps(panel: Panel, *, lookback: int, warmup: int, anew: int) -> tuple[str, ...]:
    """Describe which gaps cost how many samples; nothing where they cost none."""
    lost = _origins(panel, lookback=lookback, warmup=warmup, anew=anew)[1]
    return (lost,) if lost else ()


def _origins(panel: Panel, *, lookback: int, warmup: int, anew: int) -> tuple[np.ndarray, str]:
    """Return the origins that are samples, and what gaps cost; empty if nothing."""
    origins = make_origins(len(panel.dates), warmup=warmup, lookback=lookback)
    targets, windows = across_gaps(panel.skipped, origins, reach=lookback + anew)  # no gaps where each has its own
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
