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


def stage_label(name: str) -> str:
    """Write the name of a study as readers see it: a preset as a stage, any other as it is.

    Examples
    --------
    >>> stage_label("stage2"), stage_label("stage2-mine"), stage_label("quick")
    ('Stage 2', 'stage2-mine', 'quick')
    """
    number = name.removeprefix("stage")
    return f"Stage {number}" if name.startswith("stage") and number.isdecimal() else name
