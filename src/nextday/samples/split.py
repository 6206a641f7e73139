"""Cuts of the sample sequence into train, valid and test."""

from dataclasses import dataclass

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
    first = int(samples * train)
    second = first + int(samples * valid)
    if min(first, second - first, samples - second) < 1:
        raise StudyError(
            f"the split needs at least one sample each of train, valid and test, but {samples} samples at "
            f"{train} and {valid} give {first}, {second - first} and {samples - second}"
        )
    return Split(0, slice(0, first), slice(first, second), slice(second, samples))
