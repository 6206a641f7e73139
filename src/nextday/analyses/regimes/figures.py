"""Plots of the regimes of a latent space: over time, characteristics, and effects on the test set."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from nextday.analyses.regimes.clusters import Regimes
from nextday.reporting import style
from nextday.reporting.style import COLOURS, MOST_TICKERS, looks, new_figure, shorten
from nextday.words import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_VARIANTS = 6  # with losses drawn


def ribbons(regimes: Regimes) -> "Figure":
    """Draw the regime of every day, a ribbon per ticker, and the transition frequencies, for one training.

    Of many tickers the share in each regime is drawn.
    """
    rows, k = one_training(regimes.labels), regimes.number
    tickers, days = sorted(rows["ticker"].unique()), rows["origin"].unique().sort()
    title = _how_many(regimes) if regimes.number == 1 else f"{_how_many(regimes)}, over time"
    many = len(tickers) > MOST_TICKERS
    height = 3.4 if many else max(2.9, 1.3 + 0.26 * len(tickers))
    figure = new_figure(11, height, title, f"{told(rows)} {_firmness(regimes)}")
    left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": [2.6, 1]})
    if many:
        _composition(left, rows, f"share of {plural(len(tickers), 'ticker')} (%)", shades(k))
    else:
        _ribbon(left, rows, tickers, days, shades(k))
    _matrix(right, regimes.transitions.filter(fold=rows["fold"][0], seed=rows["seed"][0]), k)
    style.key(figure, [style.handle(f"regime {name}", colour, "s") for name, colour in
                       zip(named(k), shades(k), strict=True)])  # fmt: skip
    return figure


def _ribbon(ax: "Axes", rows: pl.DataFrame, tickers: Sequence[str], days: pl.Series, colours: Sequence[str]) -> None:
    from matplotlib.colors import ListedColormap

    at = np.searchsorted(days.to_numpy(), rows["origin"].to_numpy())
    row = rows["ticker"].replace_strict(tickers, range(len(tickers)), return_dtype=pl.Int64).to_numpy()
    table = np.full((len(tickers), len(days)), np.nan)
    table[row, at] = rows["regime"].to_numpy()
    dates = days.to_numpy().astype("datetime64[D]")
    edges = np.append(dates, dates[-1] + np.timedelta64(1, "D"))
    style.name_rows(ax, shorten(tickers), 8)  # before there are dates, whose ticks it does not know
    ax.set_facecolor("#EEEEEE")
    ax.pcolormesh(
        edges, np.arange(len(tickers) + 1) - 0.5, table, cmap=ListedColormap(list(colours)), vmin=0.5,
        vmax=len(colours) + 0.5, rasterized=True,
    )  # fmt: skip
    ax.hlines(np.arange(1, len(tickers)) - 0.5, edges[0], edges[-1], color="white", lw=2)
    for part in ("train", "valid", "test"):
        own = rows.filter(part=part).group_by("ticker").agg(pl.col("origin").min())
        if own.is_empty():
            continue
        for ticker, start in own.rows() if part != "train" else ():
            place = tickers.index(ticker)
            ax.vlines(np.datetime64(start), place - 0.5, place + 0.5, color="black", lw=1.2)
        ax.annotate(part, (own["origin"].min(), -0.5), (2, 2), textcoords="offset points", fontsize=8)
    style.date_columns(ax)
    ax.spines[["left", "bottom"]].set_visible(False)


def _composition(ax: "Axes", rows: pl.DataFrame, label: str, colours: Sequence[str]) -> None:
    """Draw the share of the tickers of each day that are in each regime, one above the other."""
    days = rows.group_by("origin").agg((pl.col("regime") == at + 1).mean().alias(f"{at}") for at in range(len(colours)))
    days = days.sort("origin")
    ax.stackplot(days["origin"].to_numpy(), *(100 * days.drop("origin").to_numpy().T), colors=list(colours), lw=0)
    for part in ("train", "valid", "test"):
        start = rows.filter(part=part)["origin"].min()
        if start is not None:
            ax.annotate(part, (start, 100), (2, 2), textcoords="offset points", fontsize=8)
            ax.axvline(start, color="black", lw=1.2 if part != "train" else 0)  # type: ignore[arg-type]
    ax.set(ylim=(0, 100), ylabel=label)
    ax.margins(x=0)
    style.date_columns(ax)


def _matrix(ax: "Axes", table: pl.DataFrame, k: int) -> None:
    """Draw the transition matrix in percent, with the mean sojourns."""
    share = 100 * table["share"].cast(pl.Float64).fill_null(float("nan")).to_numpy().reshape(k, k)
    sojourn = table["sojourn"].to_list()[::k]
    ax.imshow(share, cmap="Greys", vmin=0, vmax=140, aspect="auto", interpolation="nearest")
    size = 8.5 if k <= 5 else 7
    for (row, column), value in np.ndenumerate(share):
        text = "–" if np.isnan(value) else "<1" if 0 < value < 0.5 else f"{value:.0f}"
        ax.text(column, row, text, ha="center", va="center", fontsize=size, color="white" if value > 75 else "black")
    for row, stay in enumerate(sojourn):
        text = "never left" if stay is None else f"{stay:.3g}"
        ax.text(1.04, row, text, transform=ax.get_yaxis_transform(), va="center", fontsize=8.5)
    ax.text(1.04, 1.02, "mean sojourn\n(sessions)", transform=ax.transAxes, va="bottom", fontsize=8)
    names = [str(at) for at in range(1, k + 1)]
    ax.set_xticks(range(k), labels=names)
    ax.set_yticks(range(k), labels=names)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set(xlabel="regime of the next session (%)", ylabel="regime")


def profile(regimes: Regimes) -> "Figure":
    """Draw the regimes' features on the training set, and their volatility and losses of forecasts on the test set."""
    table, k = regimes.differences, regimes.number
    volatility = table.filter(pl.col("measure") == "volatility", pl.lit(value=k > 1))  # of one regime nothing to say
    losses = table.filter(measure="loss")
    variants = list(losses["variant"].unique(maintain_order=True))
    look = looks(variants)
    seeds = regimes.labels["seed"].n_unique()
    title = ". ".join(text for text in (_how_many(regimes), _verdict(volatility)) if text)
    details = (
        "Left: mean of the features on the training set, in standard deviations of the ticker"
        + (f"; small: standard deviation between {seeds} seeds" if seeds > 1 else "")
        + (". Test set: next-day volatility relative to the calmest regime" if len(volatility) else "")
        + (". Loss on the test set: squared error relative to zero forecast (below 1: better)" if variants else "")
        + (". Bars: pointwise 95 % CI" if len(volatility) or variants else "")
        + ("; open: no CI, fewer than 20 test dates." if table["low"].null_count() else ".")
        + (f" Not drawn: {', '.join(look[name].label for name in variants[MOST_VARIANTS:])}."
           if len(variants) > MOST_VARIANTS else "")
    )  # fmt: skip
    shown = variants[:MOST_VARIANTS]
    ratios = [4.2, 1.2, *([2.2] if len(volatility) else []), *([2.6] if shown else [])]
    names = shorten(list(regimes.profile["feature"].unique(maintain_order=True)))
    upright = style.upright(names, 4.2 / max(len(names), 1))
    figure = new_figure(11, upright + 1.4 + max(0.5, 0.16 * len(shown) + 0.2) * max(k, 2), title, details)
    panels = list(figure.subplots(1, len(ratios), sharey=True, squeeze=False, gridspec_kw={"width_ratios": ratios})[0])
    _heat(panels[0], regimes)
    _shares(panels[1], regimes)
    if len(volatility):
        _intervals(panels[2], {"": volatility}, {"": style.Look("", "black", "o")}, 1.0)
        panels[2].set(title="volatility, test set", xlabel="times the calmest")
    if shown:
        own = {name: losses.filter(variant=name) for name in shown}
        _intervals(panels[-1], own, look, 1.0)
        panels[-1].set(title="loss, test set", xlabel="times the zero forecast")
        style.key(figure, style.handles({name: look[name] for name in shown}))
    return figure


def _heat(ax: "Axes", regimes: Regimes) -> None:
    """Draw the means of the features by regime, over the seeds."""
    k, train = regimes.number, regimes.profile.filter(pl.col("part") == "train", pl.col("fold") == pl.col("fold").max())
    features = list(train["feature"].unique(maintain_order=True))
    mean, spread = np.full((2, k, len(features)), np.nan)
    of_seeds = train.group_by("regime", "feature").agg(pl.col("mean").mean(), spread=pl.col("mean").std())
    for regime, feature, value, deviation in of_seeds.rows():
        at = regime - 1, features.index(feature)
        mean[at], spread[at] = value, np.nan if deviation is None else deviation
    reach = max(float(np.nanmax(np.abs(mean), initial=0.0)), 0.5)
    ax.imshow(mean, cmap="RdBu_r", vmin=-reach, vmax=reach, aspect="auto", interpolation="nearest")
    ax.set_facecolor("#CCCCCC")
    for (row, column), value in np.ndenumerate(mean):
        colour = "white" if abs(value) > 0.6 * reach else "black"
        text = "–" if np.isnan(value) else f"{round(value, 2) + 0.0:+.2f}".replace("-", "−")  # no minus before zero
        known = np.isfinite(spread[row, column])
        ax.text(column, row - 0.1 * known, text, ha="center", va="center", fontsize=9, color=colour)
        if known:
            text = f"±{spread[row, column]:.2f}"
            ax.text(column, row + 0.24, text, ha="center", va="center", fontsize=6.5, color=colour)
    style.name_rows(ax, named(k), 8)
    ax.set_ylabel("regime")
    style.name_columns(ax, shorten(features), 4.2 / max(len(features), 1))
    ax.set_title("features, training set")
    ax.spines[:].set_visible(False)


def _shares(ax: "Axes", regimes: Regimes) -> None:
    """Draw the share of days in each regime, on train and on test."""
    for part, off, colour in (("train", -0.17, "#BBBBBB"), ("test", 0.17, "#555555")):
        last = (pl.col("fold") == pl.col("fold").max()) | (part == "test")  # train ranges of folds overlap
        own = regimes.labels.filter(last, pl.col("part") == part)["regime"].to_numpy()
        for at in range(regimes.number if len(own) else 0):
            share = 100 * float((own == at + 1).mean())
            ax.barh(at + off, share, 0.3, color=colour)
            ax.text(share, at + off, f" {share:.0f}", va="center", fontsize=7.5)
    ax.set(xlim=(0, 130), xticks=[], title="share of days (%)", xlabel="light: training,\ndark: test")
    ax.tick_params(axis="y", length=0)
    ax.spines[["bottom"]].set_visible(False)


def _intervals(
    ax: "Axes", tables: Mapping[str, pl.DataFrame], look: Mapping[str, style.Look], reference: float
) -> None:
    """Draw values with intervals, tables below one another in each row."""
    ax.axvline(reference, color="black", lw=1, zorder=1)
    places = np.linspace(-0.3, 0.3, len(tables)) if len(tables) > 1 else [0.0]
    for off, (name, table) in zip(places, tables.items(), strict=True):
        one = look[name]
        for regime, value, low, high in table.select("regime", "value", "low", "high").rows():
            if value is None:
                continue
            place = regime - 1 + off
            if low is not None:
                ax.hlines(place, low, high, color=one.colour, lw=1.5)
            ax.plot(value, place, one.marker, ms=5, color=one.colour, mfc=one.colour if low is not None else "white")
            if len(tables) == 1:
                text = f"{value:.2f}" if low is None or low < high else ""  # the calmest is 1 by definition
                ax.annotate(text, (value, place), (0, 5), textcoords="offset points", ha="center", fontsize=8)
    ax.locator_params(axis="x", nbins=5)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")


def one_training(labels: pl.DataFrame) -> pl.DataFrame:
    """Select the training that single plots show: the last fold, the smallest seed."""
    last = labels.filter(pl.col("fold") == pl.col("fold").max())
    return last.filter(pl.col("seed") == pl.col("seed").min()).select(
        "ticker", "fold", "seed", "part", "origin", "regime"
    )


def told(rows: pl.DataFrame) -> str:
    """Describe the training."""
    fold = f", fold {rows['fold'][0]}" if rows["fold"][0] else ""
    return f"Seed {rows['seed'][0]}{fold}."


def shades(number: int) -> list[str]:
    """Assign colours to the regimes, from calm (light) to wild (dark)."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(colormaps["magma_r"](at)) for at in np.linspace(0.12, 0.88, number)] if number > 1 else [COLOURS[0]]


def named(number: int) -> list[str]:
    """Name the regimes, the first and the last by their volatility."""
    ends = {1: "1, calmest", number: f"{number}, wildest"} if number > 1 else {1: "1, the only"}
    return [ends.get(at, f"{at}") for at in range(1, number + 1)]


def _how_many(regimes: Regimes) -> str:
    """Describe the number of regimes, and the conservative number."""
    k, tried = regimes.number, int(regimes.criterion["k"].to_numpy().max())
    if k == 1:
        return "No regimes: a single Gaussian describes the latent space best"
    most = ", the maximum allowed" if k == tried else ""
    fewer = f"{regimes.cautious}" if regimes.cautious > 1 else "none"
    return f"{k} regimes by BIC{most}" + (f" ({fewer} by a conservative count)" if regimes.cautious != k else "")


def _firmness(regimes: Regimes) -> str:
    """Describe the agreement of labels, by the adjusted Rand index on the test set."""
    if regimes.number == 1:
        return ""
    agreement = []
    for kind, between in (("seeds", "between seeds"), ("halves", "between halves of the training set")):
        index = regimes.stability.filter(kind=kind, part="test")["ari"].to_numpy()
        if len(index):
            ends = f" ({index.min():.2f} to {index.max():.2f})" if len(index) > 1 else ""
            agreement.append(f"{between} {np.median(index):.2f}{ends}".replace("-", "−"))
    lasting = "Neighbouring windows share all days but one, so regimes are persistent even if the market is not."
    known = "Agreement of labels on the test set (adjusted Rand index, 1: identical, 0: chance; median and range)"
    return f"{lasting} {known}: {', '.join(agreement)}." if agreement else lasting


def _verdict(volatility: pl.DataFrame) -> str:
    """Describe the test of equal volatility."""
    p_value = volatility["p_equal"][0] if len(volatility) else None
    if p_value is None:
        return ""
    size = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
    word = "differs" if p_value < 0.05 else "does not differ significantly"
    return f"Next-day volatility {word} between them on the test set ({size})"
