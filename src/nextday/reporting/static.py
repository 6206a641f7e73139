"""The plots of a study, each drawn from its tables alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from nextday.evaluate import METRICS, Comparison, Verdict, summarise
from nextday.evaluate.bootstrap import robust_block
from nextday.evaluate.guards import is_size
from nextday.evaluate.metrics import has_directions
from nextday.evaluate.pointwise import hit_widths
from nextday.reporting import style
from nextday.reporting.breakdown_plots import by_ticker, hit_rates
from nextday.reporting.plates import Figures, Plate, Printed
from nextday.reporting.style import MOST_VARIANTS, Limits, Look, Row, focus, looks, new_figure, plain, shorten, upright
from nextday.reporting.verdict_plot import draw_verdict
from nextday.storage.files import write_atomically
from nextday.words import plural, stage_label

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Write = Callable[[Path, bytes], None]

LABELS = {"MAE": "MAE (log return)", "RMSE": "RMSE (log return)", "DirAcc": "DirAcc (%)"}
OF_SIZES = {"MAE": "MAE", "RMSE": "RMSE", "R2Mean": "R² against the mean (%)"}  # where targets have no sign
HEADERS = {"R2Mean": "R²"}
LOSSES = {"train_loss": "training loss", "valid_loss": "validation loss"}
UNIT = ["variant", "ticker", "fold", "seed"]
MOST_LINES = 15  # thin lines that can be told apart; beyond it a band is shown


def figures_of(
    name: str, *, forecasts: pl.DataFrame, history: pl.DataFrame, scores: pl.DataFrame,
    baselines: pl.DataFrame | None = None, comparison: Comparison | None = None, verdict: Verdict | None = None,
    question: str = "", plates: Sequence[Plate] = (),
) -> Figures:  # fmt: skip
    """Return the figures of a study, none of them drawn yet.

    Parameters
    ----------
    name
        The study.
    forecasts, history, scores
        The tables of the study; without history no curves are drawn.
    baselines
        The scores of Stage 1 on the same days; without them there is no comparison plot.
    comparison, verdict, question
        The contrasts, the verdict, and the question in words; default: ``name``.
    plates
        Figures of analyses.
    """
    few = scores["variant"].n_unique() <= MOST_VARIANTS
    found = list(_figures(name, forecasts, history, scores, baselines)) if few else []
    if comparison is not None and verdict is not None and comparison.asked:
        rows = comparison.frame().filter(family="asked")
        draw = partial(draw_verdict, comparison, verdict, question or name)
        found.insert(0, Plate("verdict", "Asked contrasts, their intervals and the margin", draw, rows))
        by_cell = summarise(scores, by=["variant", "ticker"])
        per_ticker = Plate("ablation_per_ticker", "Skill by ticker", partial(by_ticker, comparison), by_cell)
        found[2:2] = [per_ticker] if few else []
    return Figures({plate.suffix: plate for plate in (*found, *plates)})


def draw_plots(
    out: Path, name: str, figures: Mapping[str, Plate], *, write: Write = write_atomically
) -> dict[str, Printed]:
    """Draw one figure after the other, so that only one is in memory, and pass each to ``write`` as a PNG.

    Parameters
    ----------
    out, name
        Folder, and prefix of the file names.
    figures
        As ``figures_of`` returns them.
    write
        Called with a path and the content.
    """
    printed = {}
    for suffix, plate in figures.items():
        printed[suffix] = Printed(plate.title, plate.png())
        write(out / f"{name}_{suffix}.png", printed[suffix].content)
    return printed


def _figures(
    name: str, forecasts: pl.DataFrame, history: pl.DataFrame, scores: pl.DataFrame, baselines: pl.DataFrame | None
) -> Iterator[Plate]:
    look, zero, scores = looks(scores["variant"].unique(maintain_order=True)), zero_forecast(forecasts), finite(scores)
    per_variant = summarise(scores, by=["variant"])
    yield Plate("ablation_bars", "Errors and hit rate", partial(ablation, scores, zero, look), per_variant)
    if not history.is_empty():
        yield Plate("ablation_curves", "Loss by epoch", partial(curves, history, look), history)
    title, draw = f"Actual and predicted {_named(forecasts)}", partial(predictions, forecasts, look)
    yield Plate("ablation_predictions", title, draw, of_typical(forecasts))
    by_cell = summarise(scores, by=["variant", "ticker"])
    if has_directions(scores):
        yield Plate("ablation_heatmap", "Hit rate by ticker", partial(heatmap, scores, look, forecasts), by_cell)
    if baselines is not None:
        simple = finite(baselines)
        rows = pl.concat([summarise(simple, by=["variant"]), per_variant], how="diagonal_relaxed")
        title, draw = "Baselines and the models of this study", partial(comparison, name, scores, simple, look)
        yield Plate("full_comparison", title, draw, rows)


def of_typical(forecasts: pl.DataFrame) -> pl.DataFrame:
    """Select the ticker of median volatility and, of each variant, the first seed."""
    first = pl.col("seed").eq_missing(pl.col("seed").min().over("variant"))
    return forecasts.filter(pl.col("ticker") == _typical(forecasts)).filter(first).sort("date")


def _named(forecasts: pl.DataFrame) -> str:
    return "values" if is_size(forecasts) else "returns"


def zero_forecast(forecasts: pl.DataFrame) -> pl.DataFrame:
    """Score the zero forecast, one row per ticker: its errors are the returns."""
    errors = {"MAE": pl.col("actual").abs().mean(), "RMSE": (pl.col("actual") ** 2).mean().sqrt()}
    units = forecasts.group_by("ticker", "variant", "seed").agg(**errors)  # the same days in all of them
    return units.group_by("ticker").agg(pl.col(*errors).mean()).sort("ticker")


def ablation(scores: pl.DataFrame, zero: pl.DataFrame, look: Mapping[str, Look]) -> "Figure":
    """Draw the mean over tickers of MAE, RMSE and DirAcc per variant, with reference values."""
    what = "Errors and hit rate" if has_directions(scores) else "Errors"
    title = f"{what} of each variant, {_tickers(scores, 'mean over ')}; the axes do not start at zero"
    details = _seeds(scores, dots=True)
    figure = new_figure(11, 1.3 + 0.34 * len(look), title, details)
    labels = LABELS if has_directions(scores) else OF_SIZES
    third = [*labels][-1]
    for ax, metric in zip(figure.subplots(1, 3, sharey=True), labels, strict=True):
        lines = _coin(scores) if metric == "DirAcc" else {} if metric == third else _nothing(zero, scores, metric)
        reference = None if metric == third else next(iter(lines.values()), None)
        header = HEADERS.get(metric, metric) if metric == third else "vs zero" if reference else metric
        style.dots(ax, _rows(scores, metric, look, reference), lines, labels[metric], header)
    return figure


def curves(history: pl.DataFrame, look: Mapping[str, Look]) -> "Figure":
    """Draw training and validation loss by epoch for each variant, relative to the minimum of the same training.

    Tickers differ tenfold in variance and trainings in length: raw losses are not averaged, and a median ends with the
    first trainings, because otherwise it would change with the trainings that remain.
    """
    least = pl.col(*LOSSES).min().over(UNIT)  # negative for a likelihood
    losses = history.with_columns((pl.col(*LOSSES) - least) / least.abs() * 100)
    trainings = history.select(UNIT).unique()["variant"].value_counts()["count"].to_numpy().max()
    look = {variant: look[variant] for variant in history["variant"].unique(maintain_order=True)}
    title = "Loss by epoch, each training (of a ticker, fold and seed) relative to its minimum"
    details = "First epochs and the highest 1 % of the others may be outside a panel."
    lines, columns = -(-len(look) // 4), min(len(look), 4)
    figure = new_figure(max(6.5, 2.9 * columns), 4.1 * lines, title, details)
    panels = figure.subplots(2 * lines, columns, sharex=True, squeeze=False)
    for ax in panels.ravel():
        ax.set_visible(False)
    ends = [_last_epoch(losses.filter(pl.col("variant") == variant)) for variant in look]
    for at, (variant, one) in enumerate(look.items()):
        pair = panels[2 * (at // columns) :, at % columns][:2]
        for ax, loss in zip(pair, LOSSES, strict=True):
            _curves(ax, losses.filter(pl.col("variant") == variant), loss, one, each=trainings <= MOST_LINES)
            ax.set(ylim=_from_second(losses, loss), xlim=(0.5, max(ends) + 0.5), visible=True)
            ax.tick_params(labelleft=at % columns == 0, labelbottom=ax is pair[1] and at + columns >= len(look))
            ax.locator_params(axis="x", integer=True, nbins=6)
            ax.set_ylabel("" if at % columns else f"{LOSSES[loss]}\n(% above min.)")
        pair[0].set_title(one.label)
        pair[1].set_xlabel("epoch")
    style.key(figure, _curve_keys(trainings))
    return figure


def _curve_keys(trainings: int) -> list["Artist"]:
    from matplotlib.patches import Patch

    middle = style.handle("median while at least 90 % of trainings continue", style.GREY, line="-")
    best = style.handle("best epochs (area: number of trainings)", "black", "o")
    each = style.handle("each training", "#BBBBBB", line="-")
    band = Patch(color=style.GREY, alpha=0.3, lw=0, label=f"middle 80 % of up to {trainings} trainings")
    return [middle, each if trainings <= MOST_LINES else band, best]


def _last_epoch(losses: pl.DataFrame) -> float:
    """Return where a panel may end: with the median curve, and after 95 % of the best epochs."""
    lengths = losses.group_by(UNIT).agg(pl.col("epoch").max())["epoch"]
    best = losses.filter("best")["epoch"].quantile(0.95, "higher")
    return max(float(lengths.quantile(0.1, "lower") or 1), float(best or 1), 2.0)


def _curves(ax: "Axes", losses: pl.DataFrame, loss: str, look: Look, *, each: bool) -> None:
    trainings, value = losses.select(UNIT).n_unique(), pl.col(loss)
    quantiles = (value.quantile(share, "linear").alias(f"{share}") for share in (0.5, 0.1, 0.9))
    by_epoch = losses.group_by("epoch").agg(*quantiles, pl.len()).sort("epoch")
    middle = by_epoch.filter(pl.col("len") >= 0.9 * trainings).drop("len").to_numpy()
    lines = [one.select("epoch", loss).to_numpy() for one in losses.partition_by(UNIT)] if each else []
    median = style.trails(ax, lines, middle, look.colour)
    name = f"{look.label}, {LOSSES[loss]}"
    style.series(median, name, [f"{name}, epoch {epoch:.0f}: {height:.2f} %" for epoch, height in middle[:, :2]])
    if loss == "valid_loss":
        kept = losses.filter("best").group_by("epoch").len().sort("epoch")
        spots = ax.scatter(
            kept["epoch"], [0] * len(kept), 6 + 150 * kept["len"] / trainings, color="black", zorder=3, lw=0
        )
        style.series(spots, name, [f"best epoch {epoch}: {plural(count, 'training')}" for epoch, count in kept.rows()])


def _from_second(losses: pl.DataFrame, loss: str) -> Limits:
    """Choose limits from the second epoch on: in the first a network may still learn the size of a return."""
    later = losses.filter(pl.col("epoch") > 1) if losses["epoch"].max() != 1 else losses
    return focus([later[loss].quantile(0.99) or 0.0], [0.0], times=np.inf)


def predictions(forecasts: pl.DataFrame, look: Mapping[str, Look]) -> "Figure":
    """Draw the forecasts for a typical ticker over the realised returns, and on their own scale.

    The ticker is that of median volatility. Variants whose predictions are as large as returns, as those of Persistence
    are, would hide all others and are left out.
    """
    rows = of_typical(forecasts)
    ticker = rows["ticker"][0]
    seeds = sorted(rows["seed"].drop_nulls().unique())
    small = rows.filter(_common_size()) if (rows["predicted"] != 0).any() else rows
    left_out = [one.label for variant, one in look.items() if variant not in small["variant"]]
    rule = ", the ticker of median volatility" if forecasts["ticker"].n_unique() > 1 else ""
    title = f"Actual and predicted {_named(forecasts)} of {shorten([ticker])[0]}{rule}"
    details = "Lower panel: the predictions alone, on their own scale."
    if left_out:
        details += f" Not drawn: {', '.join(left_out)}, whose predictions are as large as the returns."
    figure = new_figure(11, 5, f"{title}; first seed only ({seeds[0]})" if seeds else title, details)
    top, bottom = figure.subplots(2, 1, sharex=True)
    actual = rows.unique("date").sort("date")
    top.plot(actual["date"].to_numpy(), actual["actual"].to_numpy(), color="#AAAAAA", lw=0.8)
    look = {variant: one for variant, one in look.items() if one.label not in left_out}
    for ax, label in ((top, "actual and predicted"), (bottom, "predicted")):
        for (variant,), mine in small.partition_by("variant", as_dict=True).items():
            one = look[variant]
            ax.plot(mine["date"].to_numpy(), mine["predicted"].to_numpy(), color=one.colour, ls=one.line, lw=0.9)
        ax.axhline(0, color="black", lw=0.8, zorder=1)
        ax.set_ylabel(label if is_size(forecasts) else f"{label}\n(log return)")
        ax.margins(x=0.01)
    style.date_columns(bottom)
    style.key(figure, [style.handle("actual", "#AAAAAA", line="-"), *style.handles(look, lines=True)])
    return figure


def _typical(forecasts: pl.DataFrame) -> str:
    """Return the ticker of median volatility; of two the calmer, by name where they are equal."""
    by_size = forecasts.group_by("ticker").agg(size=(pl.col("actual") ** 2).mean()).sort("size", "ticker")
    return str(by_size["ticker"][(len(by_size) - 1) // 2])


def _common_size() -> pl.Expr:
    """Select variants whose predictions are not far larger than most, as those of Persistence are."""
    size = pl.col("predicted").abs().quantile(0.99).over("variant")
    return size <= 4 * size.filter(size > 0).median()


def heatmap(scores: pl.DataFrame, look: Mapping[str, Look], forecasts: pl.DataFrame | None = None) -> "Figure":
    """Draw the DirAcc of each ticker and variant, and the mean over tickers, as colours centred at 50 %.

    With the forecasts, cells whose pointwise interval excludes 50 % are framed. Of many tickers the distribution is
    drawn.
    """
    table = summarise(scores, by=["variant", "ticker"]).sort("ticker")
    tickers, variants = list(table["ticker"].unique(maintain_order=True)), [one.label for one in look.values()]
    values = 100 * _matrix(table, "DirAcc", tickers, list(look))
    noise = 50 / float(np.sqrt(max(np.median((scores["Days"] - scores["ZeroDays"]).to_numpy()), 1)))
    if len(tickers) > style.MOST_TICKERS:
        return hit_rates(values.T, list(look.values()), noise, LABELS["DirAcc"], _seeds(scores))
    mean = np.array([[row.mean for row in _rows(scores, "DirAcc", look)]], dtype=np.float64)
    widths = None if forecasts is None else _widths(scores, forecasts, tickers, list(look))
    marked = None if widths is None else np.abs(values - 50) > widths
    title = f"DirAcc of each variant by ticker ({_tickers(scores)})"
    details = f"{_seeds(scores)} {_band(values, widths, scores, noise)}"
    rows, width = len(tickers), max(6.5, 2.5 + 0.7 * len(look))
    height = max(1.8, 0.6 + 0.24 * (rows + 1)) + upright(variants, (width - 2) / len(look))
    figure = new_figure(width, height, title, details)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[rows, 1])
    known = np.vstack([values, mean])
    away = max(3 * noise, float(np.max(np.abs(known[np.isfinite(known)] - 50), initial=0)))
    style.cells(top, values, away, shorten(tickers), marked)
    style.cells(bottom, mean, away, ["mean"])
    style.name_columns(bottom, variants, (width - 2) / len(look))
    figure.colorbar(top.images[0], ax=[top, bottom], label=LABELS["DirAcc"])
    return figure


def _widths(
    scores: pl.DataFrame, forecasts: pl.DataFrame, tickers: Sequence[str], variants: Sequence[str]
) -> np.ndarray:
    """Compute the half-widths of the intervals of cells [ticker, variant], in percent."""
    found = hit_widths(forecasts, scores, block=robust_block(np.ones(1), max(forecasts["origin"].n_unique(), 1)))
    return 100 * _matrix(found, "width", tickers, variants)


def _band(values: np.ndarray, widths: np.ndarray | None, scores: pl.DataFrame, noise: float) -> str:
    """Say what is framed, or where chance ends."""
    if widths is None:
        return f"Coin tosses on the days of one ticker: 50 ± {2 * noise:.1f} % (two standard errors)."
    framed, tested = int((np.abs(values - 50) > widths).sum()), int(((values != 50) | (widths > 0)).sum())
    up = scores["AlwaysUp"].mean()
    always = f" An always-long forecast has {100 * up:.1f} %." if isinstance(up, float) else ""
    return (
        f"Framed, {framed} of {plural(tested, 'cell')}: the pointwise 95 % CI (dependent days, seeds) excludes 50 %; "
        f"one in twenty would by chance alone.{always}"
    )


def comparison(name: str, scores: pl.DataFrame, baselines: pl.DataFrame, look: Mapping[str, Look]) -> "Figure":
    """Draw R2 and DirAcc of the models of Stage 1 and of this study, the best R2 first."""
    here = stage_label(name)
    simple = list(baselines["variant"].unique(maintain_order=True))
    grey = {variant: Look(label, style.GREY, "o") for variant, label in zip(simple, shorten(simple), strict=True)}
    errors, hits = ([*_rows(baselines, m, grey), *_rows(scores, m, look)] for m in ("R2Zero", "DirAcc"))
    order = sorted(range(len(errors)), key=lambda at: np.inf if (mean := errors[at].mean) is None else -mean)
    title = f"Models of Stage 1 and of {plain(here)}, {_tickers(scores, 'mean over ')}, the best R² on top"
    details = f"{_seeds(scores, dots=True)} Arrows: off the axis."
    figure = new_figure(11, 1.6 + 0.27 * len(order), title, details)
    left, right = figure.subplots(1, 2, sharey=True)
    style.dots(left, [errors[at] for at in order], {"zero forecast": 0.0}, "R² vs zero forecast (%)", "R²")
    style.dots(right, [hits[at] for at in order], _coin(scores), LABELS["DirAcc"], "DirAcc")
    own = [style.handle(f"{one.label} ({plain(here)})", one.colour, one.marker) for one in look.values()]
    style.key(figure, [style.handle("Stage 1", style.GREY, "o"), *own])
    return figure


def finite(scores: pl.DataFrame) -> pl.DataFrame:
    """Replace values that are not finite by missing ones."""
    return scores.with_columns(pl.col(*METRICS).cast(pl.Float64).fill_nan(None))


def _rows(scores: pl.DataFrame, metric: str, look: Mapping[str, Look], reference: float | None = None) -> list[Row]:
    """Make a row of dots per variant: the mean over tickers, over all seeds and per seed; shares in percent.

    The note is the mean, or how far it is from the reference.
    """
    factor = 1 if metric in {"MAE", "RMSE"} else 100
    means = {row["variant"]: row for row in summarise(scores, by=["variant"]).iter_rows(named=True)}
    seeds = scores.group_by("variant", "seed", maintain_order=True).agg(pl.col(metric).mean() * factor)
    rows = []
    for variant, one in look.items():
        mean = means.get(variant, {}).get(metric)
        if mean is None:
            rows.append(Row(one, None, note="missing"))
            continue
        alone = f"{mean:.5f}" if factor == 1 else f"{factor * mean:.2f} %"
        note = f"{100 * (mean / reference - 1):+.2f} %" if reference else alone
        values = seeds.filter(pl.col("variant") == variant)[metric].drop_nulls()
        rows.append(Row(one, factor * mean, tuple(values), note))
    return rows


def _matrix(table: pl.DataFrame, metric: str, tickers: Sequence[str], variants: Sequence[str]) -> np.ndarray:
    """Lay a column out as [ticker, variant], NaN where there is none."""
    found = {(ticker, variant): value for ticker, variant, value in table.select("ticker", "variant", metric).rows()}
    return np.array([[found.get((ticker, variant)) for variant in variants] for ticker in tickers], dtype=np.float64)


def _nothing(zero: pl.DataFrame, scores: pl.DataFrame, metric: str) -> dict[str, float]:
    """Return the reference of an error: that of the zero forecast, over the tickers that have one."""
    if not has_directions(scores):
        return {}
    known = zero.join(scores.drop_nulls(metric), on="ticker", how="semi")[metric].to_numpy()
    return {f"zero forecast {known.mean():.5f}": float(known.mean())} if len(known) else {}


def _coin(scores: pl.DataFrame) -> dict[str, float]:
    """Return the references of a hit rate, in percent: a coin, and that of an always-long forecast."""
    up = scores.group_by("ticker").agg(pl.col("AlwaysUp").mean())["AlwaysUp"].drop_nulls().to_numpy()
    return {"50 %": 50.0} | ({f"always long {100 * up.mean():.1f} %": 100 * float(up.mean())} if len(up) else {})


def _tickers(scores: pl.DataFrame, of_many: str = "") -> str:
    tickers = list(scores["ticker"].unique())
    return shorten(tickers)[0] if len(tickers) == 1 else f"{of_many}{plural(len(tickers), 'ticker')}"


def _seeds(scores: pl.DataFrame, *, dots: bool = False) -> str:
    """Describe the seeds behind a mean, and missing values."""
    seeds = scores["seed"].drop_nulls().n_unique()
    text = ("All models are deterministic.", "One seed: seed variance is unknown.")[min(seeds, 1)]
    if seeds > 1:
        text = f"Mean of {seeds} seeds{' (small dots: each seed)' if dots else ''}."
    missing = scores.select(pl.col(*METRICS).is_null().any()).to_numpy().any()
    return f"{text} Means exclude missing values." if missing else text
