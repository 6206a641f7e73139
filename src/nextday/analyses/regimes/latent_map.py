"""Plots of a latent space: a map, and the training of the network."""

import importlib
import importlib.util
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from nextday.analyses.regimes.clusters import Regimes
from nextday.analyses.regimes.figures import named, one_training, shades, told
from nextday.reporting import style
from nextday.reporting.style import COLOURS, GREY, looks, new_figure, shorten

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 2000  # at most, of a map: UMAP takes 3 s for them and 11 s for twice as many, after 10 s of compiling
NEIGHBOURS = 15  # of UMAP
_WITHOUT = "No UMAP: it needs the package umap-learn and more than 30 windows. "
MOST_TICKERS = 12  # with a colour of their own


def latent_map(latents: pl.DataFrame, regimes: Regimes, *, seed: int = 0) -> "Figure":
    """Draw the latent vectors of one training in two dimensions, by UMAP and by principal components.

    At most 2000 points are drawn at random. The principal components are those of the training set. UMAP is fitted to
    all drawn points, including test days, because a map fitted to the training set places a new point among known ones
    and could not show a test day unlike all of them. The map is for display only. Without the package umap-learn only
    principal components are drawn, and the caption notes it.

    References
    ----------
    McInnes, Healy and Melville (2018), "UMAP: uniform manifold approximation and projection", arXiv:1802.03426.
    """
    rows = latents.join(one_training(regimes.labels), on=["ticker", "fold", "seed", "origin"]).sort("ticker", "origin")
    every, points = len(rows), np.array(rows["z"].to_list(), dtype=np.float64)
    chosen = np.random.default_rng(seed).permutation(every)[:POINTS]  # also the order of drawing: none hides another
    components, shares = _components(points, (rows["part"] == "train").to_numpy())
    rows, drawn = rows[chosen], {"principal components": components[chosen]}
    laid = _umap(points[chosen], seed)
    drawn = drawn if laid is None else {"UMAP": laid, **drawn}
    count = f"all {every}" if every <= POINTS else f"{len(rows)} of {every}"
    details = (
        f"Each point is a window of a ticker; {count} windows. {told(rows)} "
        + (_WITHOUT if laid is None else "UMAP preserves neighbourhoods; axes and large distances have no meaning. ")
        + "Principal components: directions of largest variance on the training set."
    )  # fmt: skip
    title = f"Latent space of {shorten([rows['variant'][0]])[0]} by ticker, year and regime"
    figure = new_figure(11, 0.9 + 3.3 * len(drawn), title, details)
    grid = figure.add_gridspec(len(drawn) + 1, 3, height_ratios=[1.0] * len(drawn) + [0.32])
    keys = [figure.add_subplot(grid[-1, at]) for at in range(3)]
    colours = (_by_ticker(keys[0], rows), _by_year(keys[1], rows), _by_regime(keys[2], rows, regimes.number))
    for row, (name, places) in enumerate(drawn.items()):
        for column, (what, colour) in enumerate(zip(("ticker", "year", "regime"), colours, strict=True)):
            ax = figure.add_subplot(grid[row, column])
            ax.scatter(places[:, 0], places[:, 1], c=colour, s=7, lw=0, alpha=0.75, rasterized=True)
            ax.set(xticks=[], yticks=[], title=f"{name}, by {what}")
            if name != "UMAP":
                ax.set(xlabel=f"first ({shares[0]:.0%} of variance)", ylabel=f"second ({shares[1]:.0%})")
    return figure


def _components(points: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Project on the two directions in which train varies most, shape [point, 2]; with their shares of its variance."""
    off = points - points[train].mean(axis=0)
    _, size, axes = np.linalg.svd(off[train], full_matrices=False)
    axes *= np.where(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)] < 0, -1, 1)[:, None]  # or up to a sign
    shares = size**2 / max((size**2).sum(), 1e-300)
    wide = np.pad(off @ axes.T, ((0, 0), (0, max(0, 2 - len(axes)))))
    return wide[:, :2], np.pad(shares, (0, 2))[:2]


def _umap(points: np.ndarray, seed: int) -> np.ndarray | None:
    """Lay points out by UMAP, in one thread; None without the package, or with too few points for neighbours."""
    if importlib.util.find_spec("umap") is None or len(points) <= 2 * NEIGHBOURS:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it misses TensorFlow, and starts otherwise where no spectrum is found
        umap = importlib.import_module("umap")  # seconds of start-up, for numba
        layout = umap.UMAP(n_neighbors=NEIGHBOURS, min_dist=0.1, n_epochs=200, random_state=seed, n_jobs=1)
        return np.asarray(layout.fit_transform(points), dtype=np.float64)


def _by_ticker(ax: "Axes", rows: pl.DataFrame) -> list[str]:
    names = sorted(rows["ticker"].unique())
    colours = dict(zip(names, _qualitative(len(names)), strict=True))
    shown = list(colours.items())[:MOST_TICKERS]
    entries = [style.handle(label, colour, "o") for label, (_, colour) in
               zip(shorten([name for name, _ in shown]), shown, strict=True)]  # fmt: skip
    entries += [style.handle(f"{len(names) - MOST_TICKERS} others", GREY, "o")] if len(names) > MOST_TICKERS else []
    _legend(ax, entries)
    return [colours[name] for name in rows["ticker"]]


def _qualitative(count: int) -> list[str]:
    """Return colours to names: six, the same six darker, and grey."""
    from matplotlib.colors import to_hex, to_rgb

    dark = [to_hex(tuple(0.5 * part for part in to_rgb(colour))) for colour in COLOURS]
    return [*COLOURS, *dark, *[GREY] * count][:count]


def _by_year(ax: "Axes", rows: pl.DataFrame) -> np.ndarray:
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    years = rows["origin"].dt.year().to_numpy()
    first, last = int(years.min()), int(years.max())
    scale = ScalarMappable(Normalize(first - 0.5, last + 0.5), colormaps["viridis"].resampled(last - first + 1))
    bar = ax.inset_axes((0.06, 0.55, 0.88, 0.18))
    step = -(-(last - first + 1) // 7)
    ax.figure.colorbar(scale, cax=bar, orientation="horizontal", ticks=range(first, last + 1, step))
    ax.axis("off")
    return scale.to_rgba(years)


def _by_regime(ax: "Axes", rows: pl.DataFrame, number: int) -> list[str]:
    colours = shades(number)
    _legend(ax, [style.handle(name, colour, "o") for name, colour in zip(named(number), colours, strict=True)])
    return [colours[at - 1] for at in rows["regime"]]


def _legend(ax: "Axes", entries: "Sequence[Artist]") -> None:
    longest = max(len(str(entry.get_label())) for entry in entries)
    rows = -(-len(entries) // max(1, int(3.4 / (style.CHARACTER * longest + 0.3))))
    columns = -(-len(entries) // rows)
    ax.legend(handles=entries, loc="upper center", ncols=columns, handletextpad=0.2, columnspacing=0.9, borderpad=0)
    ax.axis("off")


def training(history: pl.DataFrame) -> "Figure":
    """Draw reconstruction error and KL divergence on the validation set by epoch, a line per training."""
    folds = history["fold"].n_unique()
    title = "Training of the latent space: reconstruction error and KL divergence"
    details = (
        f"Validation set, a line per training{' (seed and fold)' if folds > 1 else ''}; dot: the epoch whose weights "
        "are used. KL: divergence of the latent code from the prior; at 0 the code carries no information."
    )
    figure = new_figure(9, 2.9, title, details)
    look = looks([f"seed {seed}" for seed in sorted(history["seed"].unique())])
    panels = {"reconstruction": "reconstruction error", "kl": "KL (nats)"}
    for ax, (column, label) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        for (seed, _), own in sorted(history.partition_by("seed", "fold", as_dict=True).items()):
            one, own = look[f"seed {seed}"], own.sort("epoch")
            ax.plot(own["epoch"], own[column], color=one.colour, lw=1.3, ls=one.line)
            best = own.filter("best")
            ax.plot(best["epoch"], best[column], "o", ms=6, color=one.colour, mec="white")
        ax.set(xlabel="epoch", ylabel=label)
        ax.locator_params(axis="x", integer=True, nbins=8)
        ax.grid(axis="y")
    style.key(figure, style.handles(look, lines=True))
    return figure
