"""Write counts: the one place that knows singular and plural."""


def plural(number: int, noun: str, more: str = "") -> str:
    """Write a number and its noun; ``more`` is the plural where it is not the noun and an s.

    Examples
    --------
    >>> plural(1, "pair"), plural(1200, "day"), plural(2, "frequency", "frequencies")
    ('1 pair', '1,200 days', '2 frequencies')
    """
    return f"{number:,} {noun if number == 1 else more or f'{noun}s'}"
