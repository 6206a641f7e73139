"""Cuts of the sample sequence into train, valid and test."""

from dataclasses import dataclass
from itertools import pairwise

from nextday.errors import StudyError


@dataclass(frozen=True, slots=True)
class Split:
    """One fold, as half-open ranges over the samples of a ticker in time order.

    Sample ``i`` has its target one session after its origin, and sample ``i + 1`` has its origin there: so a target of
    train lies before every origin's target of valid, and one of valid before those of test, without a gap to leave out.
    """

    fold: int
    train: slice
    valid: slice
    test: slice


def holdout(samples: int, *, train: float, valid: float) -> Split:
    """Take the first share for training, the next for early stopping, the rest for the test.

    ::

        | train ................ | valid . | test .... |

    Examples
    --------
    >>> holdout(10, train=0.7, valid=0.1)
    Split(fold=0, train=slice(0, 7, None), valid=slice(7, 8, None), test=slice(8, 10, None))
    """
    return walk_forward(samples, train=train, valid=valid, folds=1)[0]


def walk_forward(samples: int, *, train: float, valid: float, folds: int) -> list[Split]:
    """Cut the rest after the first train and valid shares into test ranges; train grows, valid keeps its length.

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
    first, held = int(samples * train), int(samples * valid)
    tested = samples - first - held
    if min(first, held) < 1 or tested < folds:
        raise StudyError(
            f"the split needs at least one sample each of train, valid and every test range, but {samples} samples at "
            f"{train} and {valid} give {first}, {held} and {tested} for {folds} test range{'s' if folds > 1 else ''}"
        )
    starts = [samples - tested + tested * fold // folds for fold in range(folds + 1)]
    return [
        Split(fold, slice(0, start - held), slice(start - held, start), slice(start, stop))
        for fold, (start, stop) in enumerate(pairwise(starts))
    ]
