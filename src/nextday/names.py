"""Messages about a name that nobody has: the nearest known names, and the list where it is short."""

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

MANY = 12  # a longer list of known names is not printed in full
ALIKE, TIE = 0.6, 0.05  # similarity that a typing error leaves; differences of it that mean nothing


def nearest(name: str, names: Iterable[str]) -> list[str]:
    """Return the names that a typing error may have made ``name`` of; none where more than three are equally near.

    Examples
    --------
    >>> nearest("lstn", ["zero", "lstm"]), nearest("aapl", ["KO", "AAPL"]), nearest("s9", ["s1", "s2", "s3", "s4"])
    (['lstm'], ['AAPL'], [])
    """
    lowered: dict[str, list[str]] = {}
    for one in names:
        lowered.setdefault(one.lower(), []).append(one)
    close = get_close_matches(name.lower(), lowered, n=4, cutoff=ALIKE)
    likeness = {one: SequenceMatcher(None, one, name.lower()).ratio() for one in close}
    best = [one for one in close if likeness[one] >= likeness[close[0]] - TIE]
    return [one for low in best for one in lowered[low]] if len(best) <= 3 else []


def meant(name: str, names: Iterable[str]) -> str:
    """Write ``did you mean X?`` with a space behind it; empty where no name is near."""
    near = nearest(name, names)
    return f"did you mean {' or '.join(near)}? " if near else ""


def listed(names: Iterable[str], most: int = MANY, *, between: str = ", ") -> str:
    """Write names one after the other; of more than ``most`` the first and the number of the others.

    Examples
    --------
    >>> listed(["KO", "PEP", "SPY"], 2)
    'KO, PEP and 1 more'
    """
    every = [*names]
    more = f" and {len(every) - most:,} more" if len(every) > most else ""
    return between.join(every[:most]) + more or "none"


def known(name: str, names: Iterable[str], *, head: str = "known:") -> str:
    """Write what ``name`` may have meant, and the known names; of a long list the nearest alone if there are any.

    Examples
    --------
    >>> known("row", ["raw", "ohlcv"])
    'did you mean raw? known: raw, ohlcv'
    """
    every = [*names]
    hint = meant(name, every)
    return hint.strip() if hint and len(every) > MANY else f"{hint}{head} {listed(every)}"
