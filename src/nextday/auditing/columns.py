"""Columns of one's own, from data alone: whether they know the returns or the ranges of days still to come.

A column is held against all days around it at once. What it has to do with days more than a year away is chance, so
that the spread of these correlations is their standard error: all tickers of a day stay together, and what returns and
the column remember is in it. An alarm takes a correlation that is large, too, and larger than those of nextday's own
features on the same bars, which cannot leak.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import polars.selectors
import scipy  # its submodules load when first used, see calibration.py

from nextday.auditing.findings import Finding
from nextday.auditing.fingerprints import find_fingerprints
from nextday.auditing.moves import Moves, grid, residual, standard, views
from nextday.auditing.questions import ask_questions
from nextday.auditing.steps import find_early, find_steps
from nextday.data import COLUMNS, Panel
from nextday.data.panel import MEMBER
from nextday.features.catalog import FEATURES
from nextday.features.values import MARKET, compute_values
from nextday.threads import limit_threads
from nextday.words import plural

SURE, SURER = 6.0, 7.0  # standard errors; of sums of many days, and of levels that remember, whose draws are few
POWER = 0.84  # more of them for a power of 80 %
FAR, FURTHEST = 260, 65  # days: beyond the first all is chance, up to the second single days are looked at
FEWEST = 600  # days, below which too few are far
SOLE = 1e-3  # share of a view's variance that has to be left
SHORT = 2  # days; longer sums have bounds of their own
# by number of days: the least correlation of an alarm, and how many times that of the house's features it must be
RETURNS = {1: (0.07, 1.5), 2: (0.07, 1.5), 5: (0.10, 1.5), 10: (0.10, 1.5), 20: (0.10, 1.5)}
RANGES = {1: (0.12, 1.5), 5: (0.25, 2.0), 20: (0.25, 2.0)}
HOUSE = 12  # features of the catalog that set the floor


@dataclass(frozen=True, slots=True)
class Link:
    """The largest correlation of a column with days to come, over a number of days.

    Attributes
    ----------
    size, errors
        Absolute correlation, and how many standard errors it has.
    lag
        Days ahead at which it is largest; 1 for a sum of days.
    error
        Its standard error.
    wanted
        Standard errors that an alarm takes.
    """

    size: float
    errors: float
    lag: int
    error: float
    wanted: float = SURE

    @property
    def is_sure(self) -> bool:
        """Whether it is significant."""
        return self.errors >= self.wanted


Links = dict[tuple[str, int], Link]  # by what is known, returns or ranges, and over how many days


def audit_columns(
    panel: Panel, names: Sequence[str], *, known: Mapping[str, str] | None = None, pooled: bool = False
) -> tuple[Finding, ...]:
    """Audit columns of bars for data of the future.

    Parameters
    ----------
    panel
        Bars with the columns; of more than 300 tickers some are looked at.
    names
        The columns.
    known
        When their values were public, by column: so long after the end of a period (``45d``), or a column of dates.
    pooled
        Whether one model is trained on all tickers, so that a column's location and scale matter.

    Returns
    -------
    Findings by column: ``T1`` next returns, ``T2`` next ranges, ``T3`` fits to the whole sample, ``T4`` steps stamped
    at their start, ``T5`` values used before they were public, questions ``Q1`` to ``Q4``; and a note ``T0`` on what
    was tested and from which R2 on it is found.
    """
    moves = Moves.of(panel)
    values = {name: grid(moves.panel, name) for name in names}
    known = known or {}
    found = [*find_early(panel, known), *find_fingerprints(moves, values, pooled=pooled)]
    if len(panel.dates) < FEWEST:
        few = (
            f"{plural(len(panel.dates), 'day')} are too few to test columns for knowing the next returns: {FEWEST} are"
        )
        found += [Finding("", "note", "T0", f"{few} needed.")] if values else []
    elif values:
        with limit_threads():  # on a busy machine threads of small products wait for one another
            found += _know_the_future(moves, values, found)
    asked = ask_questions(moves, values, known)
    alarmed = {one.name for one in found if one.level == "alarm"}
    return (*found, *(one for one in asked if one.name not in alarmed))


def _know_the_future(moves: Moves, values: Mapping[str, np.ndarray], others: Sequence[Finding]) -> list[Finding]:
    """Test all columns for knowledge of days to come, and say what such a test can see."""
    floor, found, errors = _floor(moves), list[Finding](), list[float]()
    for name, own in values.items():
        links = links_of(own, moves)
        errors += [link.error for (what, days), link in links.items() if (what, days) == ("returns", 1)]
        found += list(find_steps(name, own, moves)) or list(_alarm(name, links, floor))
    return [*found, _limit(moves, values, floor, errors, [*others, *found])]


def own_columns(panel: Panel) -> list[str]:
    """Return the numeric columns that bars have beyond the required ones, those with a value."""
    own = panel.frame.select(pl.selectors.numeric() | pl.selectors.boolean()).columns
    return [name for name in own if name not in (*COLUMNS, MEMBER) and panel.frame[name].drop_nulls().len()]


def links_of(values: np.ndarray, moves: Moves) -> Links:
    """Return the largest correlations of a column with returns and with ranges to come; [ticker, date]."""
    best: Links = {}
    for view, remembers in views(values):
        left = _left(view, moves.known)
        for one in [view, *([left] if left is not None else [])]:
            transform = np.conj(scipy.fft.rfft(one, axis=1))
            for target in ("returns", "excess"):
                _keep(best, "returns", _links(transform, one, target, moves, RETURNS, remembers=remembers))
        for shape in (view, standard(view**2, view != 0)):
            left = _left(shape, moves.known_ranges)
            if left is not None:
                transform = np.conj(scipy.fft.rfft(left, axis=1))
                _keep(best, "ranges", _links(transform, left, "ranges", moves, RANGES, remembers=remembers))
    return best


def _left(view: np.ndarray, bases: list[np.ndarray]) -> np.ndarray | None:
    """Return what the past does not explain of a view; None if next to nothing is left."""
    left = residual(view, bases)
    share = (left**2).sum() / max((view**2).sum(), 1e-300)
    return np.where(view != 0, left, 0.0) if share > SOLE else None


def _keep(best: Links, what: str, found: Mapping[int, Link]) -> None:
    """Keep the strongest of each number of days, among those that are significant if any is."""
    for days, link in found.items():
        held = best.get((what, days))
        if held is None or (link.is_sure, link.size) > (held.is_sure, held.size):
            best[what, days] = link


def _links(
    transform: np.ndarray, view: np.ndarray, target: str, moves: Moves, windows: Mapping[int, object], *,
    remembers: bool,
) -> dict[int, Link]:  # fmt: skip
    """Correlate a view with a target at all lags, around the calendar, and with its sums over some days."""
    days = view.shape[1]
    covariance = scipy.fft.irfft((transform * moves.spectra[target]).sum(axis=0), days)  # [lag]
    own = np.sqrt((view**2).sum())
    found = {}
    for window in windows:
        totals = np.cumsum(np.concatenate([[0.0], covariance, covariance[: window - 1]]))
        profile = (totals[window:] - totals[:-window]) / max(own * moves.norm(target, window), 1e-300)
        error = float(profile[FAR : days - FAR].std())
        lags = np.arange(1, FURTHEST + 1 if window == 1 else 2)  # of the window's first day
        at = int(lags[np.abs(profile[lags]).argmax()])
        reach = float(abs(profile[at]))
        wanted = SURER if window > SHORT or remembers else SURE
        found[window] = Link(reach, reach / max(error, 1e-300), at, error, wanted)
    return found


def _floor(moves: Moves) -> dict[tuple[str, int], float]:
    """Return the largest significant correlations of nextday's own features, by target and days."""
    house = dict(list(FEATURES.items())[:HOUSE])
    if not moves.panel.market:
        house = {name: one for name, one in house.items() if MARKET not in one.expression.meta.root_names()}  # type: ignore[union-attr]
    values = compute_values(moves.panel, house).astype(np.float64)
    floor: dict[tuple[str, int], float] = {}
    for at in range(len(house)):
        for key, link in links_of(values[..., at], moves).items():
            floor[key] = max(floor.get(key, 0.0), link.size if link.is_sure else 0.0)
    return floor


def _alarm(name: str, links: Links, floor: Mapping[tuple[str, int], float]) -> Iterator[Finding]:
    """Return the strongest of the correlations that nothing known at the close has, if there is one."""
    beyond = []
    for (what, days), link in links.items():
        bound, times = (RETURNS if what == "returns" else RANGES)[days]
        house = _house(floor, what, days)
        if link.is_sure and link.size >= max(bound, times * house):
            beyond.append((link.size, what, days, link, house))
    if beyond:
        size, what, days, link, house = max(beyond, key=lambda one: one[0])
        code = "T1" if what == "returns" else "T2"
        numbers = {"correlation": size, "errors": link.errors, "days": float(days), "lag": float(link.lag)}
        yield Finding(name, "alarm", code, _say(name, what, days, link, house), numbers)


def _house(floor: Mapping[tuple[str, int], float], what: str, days: int) -> float:
    """Return the floor of short or of long windows."""
    alike = [size for (of, own), size in floor.items() if of == what and (own > SHORT) == (days > SHORT)]
    return max(alike, default=0.0)


def _say(name: str, what: str, days: int, link: Link, house: float) -> str:
    knows, of = ("the next returns", "return") if what == "returns" else ("how much prices will move", "range")
    if days > 1:
        when = f"the {of}s of the next {days} days together"
    else:
        when = f"tomorrow's {of}" if link.lag == 1 else f"the {of} {link.lag} days ahead, where it is strongest,"
    own = f" (the best of nextday's own features on these bars: {house:.2f})" if house else ""
    return (
        f"{name} knows {knows}: its correlation with {when} is {link.size:.2f}{own}. Nothing known at the close does "
        "that. Typical causes: shift(-1), a centred window, a smoother."
    )


def _limit(
    moves: Moves, values: Mapping[str, np.ndarray], floor: Mapping[tuple[str, int], float], errors: Sequence[float],
    found: Sequence[Finding],
) -> Finding:  # fmt: skip
    """Say what was tested, and from which R2 of the next return on it would be found with a power of 80 %."""
    error = float(np.median(errors)) if errors else 0.0
    least = max(RETURNS[1][0], 1.5 * _house(floor, "returns", 1), (SURE + POWER) * error)
    panel = moves.panel
    alarms = {one.name for one in found if one.level == "alarm"} & set(values)
    clean = len(values) - len(alarms)
    head = f"Nothing found in {plural(clean, 'column')}: tested" if clean else "Tested"
    size = f"{plural(len(panel.tickers), 'ticker')} and {plural(len(panel.dates), 'day')}"
    return Finding(
        "", "note", "T0",
        f"{head} for knowing the next returns (from an R2 of about {100 * least**2:.1g} % on these {size}) and ranges, "
        "for steps stamped at their start, and for fits to the whole sample. A pass is no proof.",
        {"r2": least**2, "columns": float(len(values))},
    )  # fmt: skip
