"""Plots of quantile forecasts: single days, and calibration."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from nextday.evaluate import calibration
from nextday.evaluate.quantiles import Interval, has_quantiles, intervals_of, quantile_rows
from nextday.reporting import style
from nextday.reporting.plates import Plate
from nextday.reporting.style import Look, looks, new_figure, shorten
from nextday.words import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_FANS, MOST_LEVELS = 6, 5  # panels of a figure
WINDOW, SHORTEST = 250, 20  # sessions
OUTER, INNER = 0.18, 0.6  # opacity of the widest interval and of the narrowest
POINT = "#444444"


def draw(forecasts: pl.DataFrame) -> Iterator[Plate]:
    """Return the figures that the forecasts table allows: none if no variant has quantiles.

    Rolling coverage needs a central interval and enough days for a window.
    """
    if not has_quantiles(forecasts):
        return
    look = looks(forecasts["variant"].cast(pl.String).unique(maintain_order=True))
    rows, levels = quantile_rows(forecasts)
    yield Plate("fan", "Intervals on the last test days", partial(fan, forecasts, look), rows)
    observed, bins = calibration.reliability(forecasts), calibration.pit_bins(forecasts)
    yield Plate("reliability", "Observed and nominal frequency", partial(reliability, observed, look), observed)
    yield Plate("pit", "Probability integral transform", partial(pit, bins, look), bins)
    window = window_of(int(rows.group_by("variant").agg(pl.col("date").n_unique())["date"].to_numpy().max()))
    if window and intervals_of(levels):
        rolling = calibration.rolling_coverage(forecasts, window=window)
        yield Plate("coverage", "Coverage over time", partial(coverage, rolling, look, window=window), rolling)


def window_of(days: int) -> int:
    """Choose the length of a window: 250 sessions, or a quarter of the days if two do not fit; 0 if that is too few."""
    window = WINDOW if days >= 2 * WINDOW else max(days // 4, SHORTEST)
    return window if window < days else 0


def fan(forecasts: pl.DataFrame, look: Mapping[str, Look] | None = None, *, days: int = 100) -> "Figure":
    """Draw the forecast intervals for the last days of the first ticker, and the realised returns."""
    rows, levels = quantile_rows(forecasts)
    look, _ = _drawn(rows, look)
    rows = rows.filter(ticker=rows["ticker"][0]).sort("date")
    rows = rows.filter(pl.col("seed").eq_missing(pl.col("seed").min().over("variant")))
    rows = rows.filter(pl.col("date") >= rows["date"].unique().sort().tail(days)[0])
    shown = [variant for variant in look if variant in rows["variant"]][:MOST_FANS]
    seeds = sorted(rows.filter(pl.col("variant").is_in(shown))["seed"].drop_nulls().unique())
    intervals = intervals_of(levels)
    lines = [level for level in levels if all(level not in (one.lower, one.upper) for one in intervals)]
    dotted = [f"{level:g}" for level in lines if level != 0.5]
    details = [
        *([f"Shaded: {_central(intervals)}."] if intervals else []),
        *([f"Dotted: quantile {', '.join(dotted)}."] if dotted else []),
        *([f"Models with seeds: only seed {', '.join(map(str, seeds))}."] if seeds else []),
    ]
    ticker, count = shorten([rows["ticker"][0]])[0], rows["date"].n_unique()
    title = f"Returns of {ticker} on the last {plural(count, 'day')}, and their forecasts of the day before"
    figure = new_figure(11, 0.9 + 1.25 * len(shown), title, " ".join(details) + _absent(look, shown))
    panels = figure.subplots(len(shown), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for ax, variant in zip(panels, shown, strict=True):
        mine, colour = rows.filter(variant=variant), look[variant].colour
        _bands(ax, mine, intervals, colour)
        for level in lines:
            quantile, line = mine[f"q{level}"].to_numpy(), "-" if level == 0.5 else ":"
            ax.plot(mine["date"].to_numpy(), quantile, color=colour, lw=1.4, ls=line)
        ax.set_title(f"{look[variant].label}{_returns(ax, mine, intervals[:1])}", loc="left")
        ax.margins(x=0.01, y=0.1)
    panels[0].locator_params(axis="y", nbins=5)
    style.date_columns(panels[0])
    figure.supylabel("log return", fontsize=9)
    entries = [style.handle("return", POINT, "o")]
    entries += [style.handle(f"return outside {_central([one])}", "black", "X") for one in intervals[:1]]
    style.key(figure, [*entries, *([style.handle("median", style.GREY, line="-")] if 0.5 in levels else [])])
    return figure


def _bands(ax: "Axes", rows: pl.DataFrame, intervals: Sequence[Interval], colour: str) -> None:
    """Shade the intervals, the narrower the darker."""
    seen = 0.0
    for interval, opacity in zip(intervals, np.linspace(OUTER, INNER, len(intervals)), strict=True):
        low, high = (rows[f"q{level}"].to_numpy() for level in (interval.lower, interval.upper))
        alpha, seen = (opacity - seen) / (1 - seen), opacity  # of this layer, so that all up to it are as opaque
        ax.fill_between(rows["date"].to_numpy(), low, high, color=colour, alpha=alpha, lw=0)


def _returns(ax: "Axes", rows: pl.DataFrame, widest: Sequence[Interval]) -> str:
    """Draw the returns, those outside the widest interval as crosses; count these, if there is an interval."""
    dates, actual, outside = rows["date"].to_numpy(), rows["actual"].to_numpy(), np.zeros(len(rows), dtype=bool)
    for interval in widest:
        outside = rows.select(interval.held == 0).to_series().to_numpy()
    ax.plot(dates[~outside], actual[~outside], "o", ms=3, color=POINT, mec="none")
    ax.plot(dates[outside], actual[outside], "X", ms=6.5, color="black", mec="white", mew=0.6, zorder=4)
    expected = [f"{len(rows) * (1 - interval.nominal):.3g} expected" for interval in widest]
    return f": {outside.sum()} of {len(rows)} outside, {expected[0]}" if expected else ""


def reliability(table: pl.DataFrame, look: Mapping[str, Look] | None = None, *, alpha: float = 0.05) -> "Figure":
    """Draw ``calibration.reliability``, observed minus nominal, with intervals at ``1 - alpha``.

    With few levels each has a panel; with many, each variant has one.
    """
    look, shown = _drawn(table, look)
    values = ((pl.col(name) - pl.col("Level")) * 100 for name in ("Observed", "Observed_low", "Observed_high"))
    off = table.select("variant", "Level", *values, share=pl.col("Observed") * 100)
    few, chance = off["Level"].n_unique() <= MOST_LEVELS, max(round(alpha * len(off)), 1)
    side, draw_panels = ("right of", _by_level) if few else ("above", _by_variant)
    title = f"Share of returns at or below each quantile minus its level; {side} zero the quantile is too high"
    details = (
        f"Bars: pointwise {100 * (1 - alpha):g} % CI; of {len(off)}, about {chance} exclude zero by chance. Filled "
        f"marker: the CI excludes zero. {_rests(table)}{_absent(look, shown)}"
    )
    return draw_panels(off, {name: look[name] for name in shown}, title, details)


def _by_level(off: pl.DataFrame, look: Mapping[str, Look], title: str, details: str) -> "Figure":
    levels = sorted(off["Level"].unique())
    figure = new_figure(max(6.5, 2 + 2.6 * len(levels)), 1.1 + 0.34 * len(look), title, details)
    panels = figure.subplots(1, len(levels), sharex=True, sharey=True, squeeze=False)[0]
    for ax, level in zip(panels, levels, strict=True):
        ax.axvline(0, color="black", lw=1, zorder=1)
        for at, (variant, one) in enumerate(look.items()):
            for _, _, value, low, high, share in off.filter(variant=variant, Level=level).rows():
                fill = one.colour if low > 0 or high < 0 else "white"
                ax.hlines(at, low, high, color=one.colour, lw=1.5)
                ax.plot(value, at, one.marker, ms=6, color=one.colour, mfc=fill)
                ax.text(1.02, at, f"{share:.1f} %", transform=ax.get_yaxis_transform(), va="center", fontsize=8)
        style.name_rows(ax, [one.label for one in look.values()], 6)
        ax.set(title=f"quantile {level:g}, nominal {100 * level:g} %", xlabel="difference (percentage points)")
        ax.grid(axis="x")
    return figure


def _by_variant(off: pl.DataFrame, look: Mapping[str, Look], title: str, details: str) -> "Figure":
    figure, panels = _multiples(len(look), title, details, "difference\n(percentage points)")
    for ax, (variant, one) in zip(panels, look.items(), strict=False):
        level, value, low, high, _ = off.filter(variant=variant).sort("Level").drop("variant").to_numpy().T
        missed = (low > 0) | (high < 0)
        ax.axhline(0, color="black", lw=1, zorder=1)
        ax.vlines(100 * level, low, high, color=one.colour, lw=1.2)
        for chosen, fill in ((missed, one.colour), (~missed, "white")):
            ax.plot(100 * level[chosen], value[chosen], one.marker, ms=5, color=one.colour, mfc=fill)
        ax.set_title(one.label)
        ax.grid(axis="y")
    panels[0].set(xlim=(-2, 102), xticks=[10, 30, 50, 70, 90])
    figure.supxlabel("level of the quantile (%)", fontsize=9)
    return figure


def pit(table: pl.DataFrame, look: Mapping[str, Look] | None = None, *, alpha: float = 0.05) -> "Figure":
    """Draw ``calibration.pit_bins``, densities with intervals at ``1 - alpha``, a panel per variant."""
    look, shown = _drawn(table, look)
    title = "PIT histogram: share of returns between neighbouring quantiles, relative to nominal (1: calibrated)"
    details = (
        "High at both ends: intervals too narrow; high in the middle: too wide; falling or rising: forecasts too "
        f"high or too low. Bars: pointwise {100 * (1 - alpha):g} % CI. p: test of uniformity. "
        f"{_rests(table)}{_absent(look, shown)}"
    )
    figure, panels = _multiples(len(shown), title, details, "share relative\nto nominal")
    density = [pl.col(name) / pl.col("Nominal") for name in ("Share", "Share_low", "Share_high")]
    for ax, variant in zip(panels, shown, strict=False):
        mine, colour = table.filter(variant=variant).sort("Low"), look[variant].colour
        left, width, height, low, high = mine.select(pl.col("Low", "Nominal") * 100, *density).to_numpy().T
        ax.bar(left, height, width, align="edge", color=colour, alpha=0.45, ec="white", lw=0.4)
        ax.vlines(left + width / 2, low, high, color=colour, lw=1.4)
        ax.axhline(1, color="black", lw=1, ls="--", zorder=3)
        p_value = mine["p_uniform"][0]
        ax.set_title(f"{look[variant].label}\np {'< 0.001' if p_value < 0.001 else f'= {p_value:.3f}'}")
    panels[0].set(xlim=(-2, 102), xticks=[10, 30, 50, 70, 90], ylim=(0, None))
    figure.supxlabel("probability integral transform (%)", fontsize=9)
    return figure


def coverage(rolling: pl.DataFrame, look: Mapping[str, Look] | None = None, *, window: int = WINDOW) -> "Figure":
    """Draw ``calibration.rolling_coverage`` of the widest interval over windows of sessions, a panel per variant."""
    look, shown = _drawn(rolling, look)
    share = float(rolling["Nominal"].to_numpy().max())
    widest = rolling.filter(Nominal=share).sort("date").partition_by("variant", as_dict=True)
    lines = {name: (mine["date"].to_numpy(), 100 * mine["Coverage"].to_numpy()) for (name,), mine in widest.items()}
    nominal, noise = 100 * share, 200 * np.sqrt(share * (1 - share) / window)
    title = f"Empirical coverage of the nominal {nominal:g} % interval, rolling over {plural(window, 'session')}"
    details = (
        "Mean over tickers and seeds; below the names: range. Dashed: nominal. Shaded: ±"
        f"{noise:.1f}, two standard errors for one ticker with independent days."
        f"{' Grey: the other variants.' if len(shown) > 1 else ''}{_absent(look, shown)}"
    )
    figure, panels = _multiples(len(shown), title, details, "coverage (%)")
    for ax, variant in zip(panels, shown, strict=False):
        ax.axhspan(max(nominal - noise, 0), min(nominal + noise, 100), color=style.GREY, alpha=0.15, lw=0)
        for other in shown:
            ax.plot(*lines[other], color="#BBBBBB", lw=0.6, zorder=2)
        ax.axhline(nominal, color="black", lw=1, ls="--", zorder=3)
        ax.plot(*lines[variant], color=look[variant].colour, lw=1.8, zorder=4)
        ax.set_title(f"{look[variant].label}\n{lines[variant][1].min():.0f} to {lines[variant][1].max():.0f} %")
        ax.grid(axis="y")
    days = rolling["date"].unique().sort()
    ticks = days[sorted({0, len(days) // 2, len(days) - 1})]
    panels[0].set_xticks(ticks.to_numpy(), labels=map(str, ticks))
    for ax in panels:  # away from the dates of the next panel
        ax.xaxis.get_major_ticks()[0].label1.set_ha("left")
        ax.xaxis.get_major_ticks()[-1].label1.set_ha("right")
    return figure


def _multiples(count: int, title: str, details: str, label: str) -> tuple["Figure", np.ndarray]:
    """Start a figure of some panels with shared axes, in three or four columns, whichever leaves fewer places empty."""
    columns = count if count <= 4 else min((4, 3), key=lambda columns: -count % columns)
    rows = -(-count // columns)
    figure = new_figure(11 if columns > 2 else 4 + 3 * columns, 0.7 + 2 * rows, title, details)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for at, ax in enumerate(panels):
        ax.set(visible=at < count, ylabel="" if at % columns else label)
        ax.tick_params(labelbottom=at + columns >= count)
    return figure, panels


def _drawn(table: pl.DataFrame, look: Mapping[str, Look] | None) -> tuple[Mapping[str, Look], list[str]]:
    """Return the looks, and the variants that the table has, in their order."""
    known = list(table["variant"].unique(maintain_order=True))
    look = look or looks(known)
    return look, [variant for variant in look if variant in known]


def _rests(table: pl.DataFrame) -> str:
    """Describe the days behind a table of shares."""
    days = table["Days"].to_numpy()
    return f"Mean over tickers, seeds and {' to '.join(f'{day}' for day in np.unique([days.min(), days.max()]))} days."


def _absent(look: Mapping[str, Look], shown: Sequence[str]) -> str:
    """Name the variants that are not drawn."""
    left_out = [one.label for variant, one in look.items() if variant not in shown]
    return f" Not drawn: {', '.join(left_out)}." if left_out else ""


def _central(intervals: Sequence[Interval]) -> str:
    """Name central intervals, widest first."""
    names = [f"{100 * interval.nominal:g}" for interval in intervals]
    if len(names) == 1:
        return f"the {names[0]} % interval"
    listed = ", ".join(names) if len(names) <= 4 else f"{names[0]} down to {names[-1]}"
    return f"the {len(names)} central intervals of {listed} %, the narrower the darker"
