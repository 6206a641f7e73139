"""Plots of where a skill comes from: tickers, years, seeds, and days one after the other."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nextday.evaluate.breakdown import Breakdown, skill_by_ticker
from nextday.evaluate.contrasts import Comparison
from nextday.evaluate.losses import Losses
from nextday.evaluate.pointwise import skill_widths
from nextday.evaluate.wording import the
from nextday.reporting import style
from nextday.reporting.findings import unit
from nextday.reporting.style import MOST_TICKERS, Limits, Look, Row, focus, looks, new_figure, plain, shorten, upright
from nextday.words import plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HATCHES = {"-": "", "--": "////", ":": "...."}
NORMAL_90 = 1.645  # standard errors, the middle 90 % of a normal distribution
FAR = 5  # times the median distance from zero, beyond which a value is an arrow


def by_ticker(comparison: Comparison) -> "Figure":
    """Draw the skill of each variant on each ticker with its interval; of many tickers the distribution."""
    losses = comparison.losses
    skill = 100 * skill_by_ticker(losses)  # [variant, ticker]
    if len(losses.tickers) > MOST_TICKERS:
        return _distribution(comparison, skill)
    widths = 100 * skill_widths(losses, block=comparison.block, alpha=comparison.alpha)
    look, names = list(looks(losses.variants).values()), shorten(losses.tickers)
    width = min(max(7.0, 2 + 0.09 * len(names) * len(look)), 15)
    place = (width - 1) / len(names)
    details = (
        f"Above zero: better than {plain(the(losses.benchmark))} on that ticker. Lines: pointwise "
        f"{100 * (1 - comparison.alpha):g} % CI over days and seeds, not adjusted for the number of tickers. Arrows: "
        "off the axis."
    )
    figure = new_figure(width, 3.2 + upright(names, place), "Skill of each variant by ticker", details)
    ax = figure.subplots()
    style.beside(ax, names, skill.T, widths.T, look, _limits(skill, widths))
    ax.set_ylabel(f"skill ({plain(unit(comparison))})")
    style.name_columns(ax, names, place)
    style.key(figure, style.handles(looks(losses.variants)))
    return figure


def _limits(skill: np.ndarray, widths: np.ndarray) -> Limits:
    """Choose limits that hold all but far skills, and of the intervals what does not more than double them."""
    low, high = focus(skill.ravel(), [0.0], times=2 * FAR)
    near, room = (skill >= low) & (skill <= high), high - low
    ends = np.concatenate([(skill - widths)[near], (skill + widths)[near]])
    return focus(np.clip(ends, low - room / 2, high + room / 2), [0.0, low, high], times=np.inf)


def _distribution(comparison: Comparison, skill: np.ndarray) -> "Figure":
    losses, look = comparison.losses, list(looks(comparison.losses.variants).values())
    title = f"Skill over {plural(len(losses.tickers), 'ticker')}: {style.SPREAD}"
    details = "Each ticker's own sampling error is part of the spread. Arrows: off the axis."
    figure = new_figure(10, 1.3 + 0.3 * len(look), title, details)
    ax = figure.subplots()
    ax.axvline(0, color="black", lw=1, zorder=1)
    style.spread(ax, list(zip(look, skill, strict=True)), (0.0,), f"skill ({plain(unit(comparison))})")
    return figure


def hit_rates(rates: np.ndarray, look: Sequence[Look], noise: float, label: str, seeds: str) -> "Figure":
    """Draw the distribution of hit rates [variant, ticker] over many tickers, in percent, and that of coin tosses.

    ``noise`` is the standard error of a coin's, ``label`` the name of the axis, ``seeds`` says what was averaged.
    """
    title = f"DirAcc of each variant over {plural(rates.shape[1], 'ticker')}: {style.SPREAD}"
    details = f"{seeds} Grey: the middle 90 % of coin tosses on the days of one ticker. Arrows: off the axis."
    figure = new_figure(10, 1.3 + 0.3 * len(look), title, details)
    ax, reach = figure.subplots(), NORMAL_90 * noise
    ax.axvspan(50 - reach, 50 + reach, color="#DDDDDD", lw=0, zorder=0)
    ax.axvline(50, color="black", lw=1, zorder=1)
    style.spread(ax, list(zip(look, rates, strict=True)), (50 - reach, 50 + reach), label)
    return figure


def over_time(losses: Losses, numbers: Breakdown) -> "Figure":
    """Draw the cumulative loss that each variant saves against the benchmark."""
    look, dates = looks(losses.variants), losses.dates.astype("datetime64[D]")
    saved = 100 * numbers.saved
    details = (
        f"Up is better: a line rises on days when the variant's loss is below that of {plain(the(losses.benchmark))}. "
        "A gain made on a few days shows as a step. Arrows: off the axis."
    )
    figure = new_figure(10, 4.0, "Cumulative loss saved against the benchmark", details)
    ax, (low, high) = figure.subplots(), focus(_of_most(saved), [0.0], times=np.inf)
    for one, line in zip(look.values(), saved, strict=True):
        (drawn,) = ax.plot(dates, line, color=one.colour, ls=one.line, lw=1.4)
        texts = [f"{one.label}, {day}: {value:+.2f} %" for day, value in zip(dates.astype(str), line, strict=True)]
        style.series(drawn, one.label, texts)
        if not low <= line[-1] <= high:
            edge = low if line[-1] < low else high
            ax.plot(dates[-1], edge, "v" if line[-1] < low else "^", ms=6, color=one.colour, clip_on=False)
    ax.axhline(0, color="black", lw=1, zorder=1)
    ax.set(ylim=(low, high), ylabel="cumulative loss saved (% of total)")
    ax.margins(x=0.01)
    ax.grid(axis="y")
    style.date_columns(ax)
    style.key(figure, style.handles(look, lines=True))
    return figure


def _of_most(saved: np.ndarray) -> np.ndarray:
    """Return the lines [variant, date] that set the axis: those that do not end far beyond the others."""
    size = np.nanmax(np.abs(saved), axis=1)
    usual = np.median(size[size > 0]) if (size > 0).any() else 0.0
    return saved[size <= FAR * usual].ravel()


def by_year(losses: Losses, numbers: Breakdown, axis: str) -> "Figure":
    """Draw the skill of each variant by calendar year; ``axis`` names the unit."""
    look, skill = looks(losses.variants), 100 * numbers.by_year  # [variant, year]
    names = [f"{year}\n{plural(days, 'day')}" for year, days in zip(numbers.years, numbers.days, strict=True)]
    details = (
        "Above zero: better than the benchmark in that year. Years with few days are noisier. Arrows: off the axis."
    )
    figure = new_figure(10, 3.6, "Skill by calendar year", details)
    ax, limits, step = figure.subplots(), focus(skill.ravel(), [0.0], times=FAR), 0.84 / len(look)
    for at, (one, heights) in enumerate(zip(look.values(), skill, strict=True)):
        x = np.arange(len(names)) + (at + 0.5) * step - 0.42
        for place, height, name in zip(x, np.nan_to_num(heights), names, strict=True):
            (bar,) = ax.bar(place, np.clip(height, *limits), 0.9 * step, color=one.colour, hatch=HATCHES[one.line])
            style.series(bar, one.label, [f"{name.split()[0]}, {one.label}: {height:+.3f}"])
            style.beyond(ax, height, place, limits, one, text=f"{height:.3g}", up=True)
    ax.axhline(0, color="black", lw=1)
    ax.set(ylim=limits, xlim=(-0.5, len(names) - 0.5), ylabel=axis)
    ax.set_xticks(range(len(names)), labels=names)
    ax.tick_params(axis="x", length=0)
    ax.grid(axis="y")
    style.key(figure, style.handles(look))
    return figure


def by_seed(losses: Losses, numbers: Breakdown, axis: str) -> "Figure":
    """Draw the skill of every seed of each variant, and their mean; ``axis`` names the unit."""
    look = looks(losses.variants)
    rows = [
        Row(one, 100 * float(skills.mean()), tuple(100 * skills), f"{100 * skills.mean():+.2f}")
        for one, skills in zip(look.values(), numbers.by_seed, strict=True)
    ]
    details = (
        "Small dots: the training runs of all tickers with one seed; marker: their mean. A deterministic model has one "
        "marker. Arrows: off the axis."
    )
    figure = new_figure(8, 1.2 + 0.34 * len(rows), "Skill by seed", details)
    style.dots(figure.subplots(), rows, {"the benchmark": 0.0}, axis, "mean")
    return figure
