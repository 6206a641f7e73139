"""Contrasts in words: ``A - B`` of two variants, or ``(A - B) - (C - D)``."""

from collections.abc import Collection, Sequence

from nextday.errors import StudyError
from nextday.names import listed, meant

BENCHMARKS = ("zero", "zero forecast", "benchmark")  # in a contrast: what skill is measured against
Pair = tuple[str, str | None]  # the second may be the benchmark


def parse_question(text: str, names: Collection[str]) -> tuple[Pair, Pair | None]:
    """Read ``A - B``, or ``(A - B) - (C - D)``, whose second pair is subtracted from the first.

    Raises
    ------
    StudyError
        If a name is unknown.

    Examples
    --------
    >>> parse_question("A - zero", "ABCD")
    (('A', None), None)
    >>> parse_question("(A - B) - (C - D)", "ABCD")
    (('A', 'B'), ('C', 'D'))
    """
    inside, middle = text.strip(), ") - ("
    if inside.startswith("(") and inside.endswith(")") and inside.count(middle) == 1 and inside not in names:
        first, second = (_pair(side, names) for side in inside[1:-1].split(middle))
        return first, second
    return _pair(text, names), None


def _pair(text: str, names: Collection[str]) -> Pair:
    first, _, second = parse_contrast(text, names)
    return first, second


def parse_contrast(text: str, names: Collection[str], *, signs: Sequence[str] = ("-",)) -> tuple[str, str, str | None]:
    """Read ``A - B``: the first, the sign, and the second, None being the benchmark.

    Names may hold the sign themselves: of all places to cut, the one where both sides are known is taken.

    Raises
    ------
    StudyError
        If no cut gives two known names.
    """
    sides = [*names, *BENCHMARKS]
    cuts = [  # first where spaces stand around the sign
        (text[:at].strip(), sign, text[at + len(cut) :].strip())
        for around in (" ", "")
        for sign in signs
        for cut in [f"{around}{sign}{around}"]
        for at in range(len(text))
        if text.startswith(cut, at)
    ]
    fits = [cut for cut in cuts if cut[0] in sides and cut[2] in sides and cut[0] not in BENCHMARKS]
    if not fits:
        form = " or ".join(f"'A {sign} B'" for sign in signs)
        nearest = sorted(cuts, key=lambda cut: not {cut[0], cut[2]} & {*sides})  # one side known: the other is meant
        strange = [side for cut in nearest if cut[0] and cut[2] for side in (cut[0], cut[2]) if side not in sides]
        why = f"{strange[0]!r} is no variant; {meant(strange[0], names)}" if strange else ""
        raise StudyError(f"{text!r}: {why}expected {form}, of {listed(names)}, or zero as B")
    first, sign, second = fits[0]
    return first, sign, None if second in BENCHMARKS else second
