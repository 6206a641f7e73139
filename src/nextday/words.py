"""Write counts and names of stages: the one place that knows singular and plural, and units of time."""


def plural(number: int, noun: str, more: str = "") -> str:
    """Write a number and its noun; ``more`` is the plural where it is not the noun and an s.

    Examples
    --------
    >>> plural(1, "pair"), plural(1200, "day"), plural(2, "frequency", "frequencies")
    ('1 pair', '1,200 days', '2 frequencies')
    """
    return f"{number:,} {noun if number == 1 else more or f'{noun}s'}"


def duration(seconds: float) -> str:
    """Write a time in its largest unit.

    Examples
    --------
    >>> duration(0.2), duration(200), duration(7_000)
    ('1 s', '3 min', '1.9 h')
    """
    minutes = seconds / 60
    if minutes < 1:
        return f"{max(seconds, 1):.0f} s"
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def signed(*values: float, digits: int = 2) -> list[str]:
    """Write an estimate and the ends of its interval with their signs, and without a minus zero.

    Where the interval excludes zero, an end that rounds to it keeps its sign.

    Examples
    --------
    >>> signed(-0.25, -0.5, -0.001), signed(-0.001, -0.5, 0.5)
    (['-0.25', '-0.50', '-0.00'], ['+0.00', '-0.50', '+0.50'])
    """
    if min(values) > 0 or max(values) < 0:
        return [f"{value:+.{digits}f}" for value in values]
    return [f"{round(value, digits) + 0.0:+.{digits}f}" for value in values]


def stage_label(name: str) -> str:
    """Write the name of a study as readers see it: a preset as a stage, any other as it is.

    Examples
    --------
    >>> stage_label("stage2"), stage_label("stage2-mine"), stage_label("quick")
    ('Stage 2', 'stage2-mine', 'quick')
    """
    number = name.removeprefix("stage")
    return f"Stage {number}" if name.startswith("stage") and number.isdecimal() else name
