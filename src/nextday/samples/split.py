"""Splits of the sample sequence into training, validation and test sets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

from nextday.errors import StudyError
from nextday.names import known
from nextday.study import SplitSettings
from nextday.words import plural


@dataclass(frozen=True, slots=True)
class Split:
    """One fold, as half-open ranges over the samples of a ticker in time order.

    Sample ``i`` has its target one session after its origin, and sample ``i + 1`` has its origin there, or later where
    sessions are missing: targets of the training set therefore precede those of the validation set, and these precede
    those of the test set, without a gap.

    Examples
    --------
    >>> Split(0, train=slice(0, 70), valid=slice(70, 80), test=slice(80, 100)).test.stop
    100
    """

    fold: int
    train: slice
    valid: slice
    test: slice


def holdout(samples: int, *, train: float, valid: float) -> Split:
    """Use the first share for training, the next for early stopping, the rest as the test set.

    ::

        | train ................ | valid . | test .... |

    Examples
    --------
    >>> holdout(10, train=0.7, valid=0.1)
    Split(fold=0, train=slice(0, 7, None), valid=slice(7, 8, None), test=slice(8, 10, None))
    """
    return walk_forward(samples, train=train, valid=valid, folds=1)[0]


def walk_forward(samples: int, *, train: float, valid: float, folds: int) -> list[Split]:
    """Split the rest after the first training and validation sets into test sets; the training set grows.

    ::

        | train ........ | valid . | test . |
        | train ................. | valid . | test . |
        | train .......................... | valid . | test . |

    Examples
    --------
    >>> for split in walk_forward(10, train=0.4, valid=0.2, folds=2):
    ...     print(split.train, split.valid, split.test)
    slice(0, 4, None) slice(4, 6, None) slice(6, 8, None)
    slice(0, 6, None) slice(6, 8, None) slice(8, 10, None)
    """
    _, held, starts = _starts(samples, train=train, valid=valid, folds=folds)
    return [
        Split(fold, slice(0, start - held), slice(start - held, start), slice(start, stop))
        for fold, (start, stop) in enumerate(pairwise(starts))
    ]


def rolling(samples: int, settings: SplitSettings) -> list[Split]:
    """Walk forward with a training set of constant length: each fold drops the oldest samples of the previous one.

    ::

        | train ........ | valid . | test . |
                  | train ........ | valid . | test . |

    Examples
    --------
    >>> for split in rolling(10, SplitSettings(scheme="rolling", train=0.4, valid=0.2, folds=2)):
    ...     print(split.train, split.valid, split.test)
    slice(0, 4, None) slice(4, 6, None) slice(6, 8, None)
    slice(2, 6, None) slice(6, 8, None) slice(8, 10, None)
    """
    first, held, starts = _starts(samples, train=settings.train, valid=settings.valid, folds=settings.folds)
    return [
        Split(fold, slice(start - held - first, start - held), slice(start - held, start), slice(start, stop))
        for fold, (start, stop) in enumerate(pairwise(starts))
    ]


def purged(samples: int, settings: SplitSettings) -> list[Split]:
    """Walk forward with ``gap`` samples dropped before the validation and test sets, so that no window overlaps both.

    A model with a state (ARIMA, GARCH) continues from the last sample before the gap. Lopez de Prado (2018), "Advances
    in financial machine learning", chapter 7.

    ::

        | train ... |  gap  | valid . |  gap  | test . |

    Examples
    --------
    >>> print(purged(20, SplitSettings(scheme="purged", train=0.5, valid=0.2, folds=1, gap=2))[0])
    Split(fold=0, train=slice(0, 8, None), valid=slice(10, 12, None), test=slice(14, 20, None))
    """
    gap, splits = settings.gap, walk_forward(samples, train=settings.train, valid=settings.valid, folds=settings.folds)
    cut = [
        Split(
            one.fold,
            slice(one.train.start, one.train.stop - gap),
            slice(one.valid.start, one.valid.stop - gap),
            one.test,
        )
        for one in splits
    ]
    if cut[0].train.stop < 1 or cut[0].valid.stop <= cut[0].valid.start:
        raise StudyError(
            f"split.gap {gap} leaves an empty training or validation set; {plural(samples, 'sample')} to split"
        )
    return cut


def _starts(samples: int, *, train: float, valid: float, folds: int) -> tuple[int, int, list[int]]:
    """Return the lengths of the first training and of every validation range, and where test ranges start and end."""
    first, held = int(samples * train), int(samples * valid)
    tested = samples - first - held
    if min(first, held) < 1 or tested < folds:
        raise StudyError(
            f"the training, validation and test sets need at least one sample each, but {plural(samples, 'sample')} at "
            f"{train} and {valid} give {first}, {held} and {tested} for {plural(folds, 'test set')}"
        )
    return first, held, [samples - tested + tested * fold // folds for fold in range(folds + 1)]


MakeSplits = Callable[[int, SplitSettings], Sequence[Split]]


def _walk(samples: int, settings: SplitSettings) -> list[Split]:
    return walk_forward(samples, train=settings.train, valid=settings.valid, folds=settings.folds)


SPLITS: dict[str, MakeSplits] = {"holdout": _walk, "walk_forward": _walk, "rolling": rolling, "purged": purged}


def make_splits(
    samples: int, settings: SplitSettings, schemes: Mapping[str, MakeSplits] = MappingProxyType(SPLITS)
) -> list[Split]:
    """Split samples by the scheme in the settings, and check that no set overlaps a later one.

    Raises
    ------
    StudyError
        If the scheme is unknown, or does not return training, validation and test sets in this order within the
        samples.
    """
    if settings.scheme not in schemes:
        raise StudyError(f"split.scheme: unknown scheme {settings.scheme!r}; {known(settings.scheme, schemes)}")
    splits, end = list(schemes[settings.scheme](samples, settings)), 0
    for number, one in enumerate(splits):
        bounds = [at for part in (one.train, one.valid, one.test) for at in (part.start, part.stop)]
        parts_grow = all(low < high for low, high in zip(bounds[::2], bounds[1::2], strict=True))
        in_order = bounds == sorted(bounds) and bounds[0] >= 0 and bounds[-1] <= samples
        if not (parts_grow and in_order and one.test.start >= end and one.fold == number):
            raise StudyError(
                f"split.scheme {settings.scheme}: fold {number} is {one}; expected training before validation before "
                f"test set, each with a sample, within {plural(samples, 'sample')}, and consecutive test sets"
            )
        end = one.test.stop
    if not splits:
        raise StudyError(f"split.scheme {settings.scheme} returns no fold")
    return splits
