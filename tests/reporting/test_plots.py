import datetime
from functools import cache
from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest

from nextday.evaluate import compare, judge, measure, score
from nextday.evaluate.breakdown import skill_by_ticker
from nextday.reporting import draw_plots, figures_of, style
from nextday.reporting.breakdown_plots import by_ticker
from nextday.reporting.static import ablation, comparison, curves, finite, heatmap, predictions, zero_forecast
from nextday.reporting.style import STYLE, focus, looks, plain, shorten

TICKERS = ("AAPL", "GS", "IBM", "JNJ", "JPM", "KO", "MCD", "MSFT", "NVDA", "UNH", "XOM")
VARIANTS = ("LSTM-Raw", "LSTM-OHLCV", "LSTM-Feat")
LONG = tuple(f"Transformer-with-{name}-features-of-the-second-kind" for name in ("raw", "ohlcv", "engineered"))
PNG = b"\x89PNG\r\n\x1a\n"


@cache
def make_forecasts(tickers=TICKERS, variants=VARIANTS, seeds=(42,), days=40, size=0.1):
    dates = pl.date_range(datetime.date(2020, 1, 1), datetime.date(2020, 1, 1) + datetime.timedelta(days), eager=True)
    parts = []
    for at, ticker in enumerate(tickers):
        actual = np.random.default_rng(at).normal(0.001, 0.01 * (1 + at % 5), days)
        for number, variant in enumerate(variants):
            for seed in seeds:
                noise = np.random.default_rng([at, number, seed or 0]).normal(0, 0.01 * size, days)
                keys = {"variant": variant, "ticker": ticker, "fold": 0, "seed": seed}
                columns = {"origin": dates[:-1], "date": dates[1:], "actual": actual, "predicted": noise}
                parts.append(pl.DataFrame(columns).select(*(pl.lit(v).alias(k) for k, v in keys.items()), pl.all()))
    return pl.concat(parts).with_columns(pl.col("seed").cast(pl.Int64), pl.col("fold").cast(pl.Int64))


def compared(forecasts):
    return compare(measure(forecasts), replicates=50)


def make_scores(forecasts):
    folds = forecasts.select("ticker", "fold").unique().with_columns(historical_mean=pl.lit(0.0005))
    return score(forecasts, folds)


def make_history(forecasts, epochs=12, best=3):
    units = forecasts.select("variant", "ticker", "fold", "seed").unique(maintain_order=True)
    losses = {
        "epoch": range(1, epochs + 1),
        "train_loss": np.linspace(2, 1, epochs),
        "valid_loss": np.linspace(1, 2, epochs),
    }
    return units.join(pl.DataFrame(losses).with_columns(best=pl.col("epoch") == best), how="cross")


def draw(forecasts, *, history=None, baselines=None):
    """Draw everything; return the files by name."""
    written = {}
    asked = compared(forecasts)
    figures = figures_of(
        "stage2", forecasts=forecasts, history=make_history(forecasts) if history is None else history,
        scores=make_scores(forecasts), baselines=baselines, comparison=asked, verdict=judge(asked), question="Which?",
    )  # fmt: skip
    draw_plots(Path("results"), "stage2", figures, write=lambda path, content: written.update({str(path): content}))
    return written


def make_baselines(tickers=TICKERS):
    good = make_forecasts(tickers, ("Zero", "HistoricalMean", "ARIMA"), seeds=(None,), size=0.01)
    bad = make_forecasts(tickers, ("Persistence",), seeds=(None,), size=5)
    return make_scores(pl.concat([good, bad]))


def render(figure):
    """Lay a figure out; most of what a PNG takes is not needed to look at its parts."""
    with mpl.rc_context(STYLE):
        figure.draw_without_rendering()
    return figure


def tick_labels(axis):
    """Give the boxes, in pixels, of the tick labels that are drawn."""
    low, high = sorted(axis.get_view_interval())
    shown = [
        tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high and axis.axes.get_visible()
    ]
    return [label.get_window_extent() for label in shown if label.get_visible() and label.get_text()]


def assert_apart(boxes):
    assert len(boxes) > 1
    for one, other in combinations(boxes, 2):
        assert not one.overlaps(other), (one, other)


FILES = {
    f"results/stage2_{name}.png"
    for name in (
        "ablation_bars", "ablation_per_ticker", "ablation_curves", "ablation_predictions", "ablation_heatmap",
        "full_comparison", "verdict",
    )
}  # fmt: skip


def test_all_plots_and_the_verdict_are_handed_to_write_as_png():
    trained = make_forecasts(TICKERS[:2], VARIANTS[:1], seeds=(1, 2))
    forecasts = pl.concat([make_forecasts(TICKERS[:2], ("Zero",), seeds=(None,)), trained])
    written = draw(forecasts, history=make_history(trained), baselines=make_baselines(TICKERS[:2]))
    assert set(written) == FILES
    assert all(content.startswith(PNG) and len(content) > 10_000 for content in written.values())


@pytest.fixture
def laid_out(monkeypatch):
    """Figures that are drawn and laid out, all but their pixels."""
    monkeypatch.setattr(style, "png", lambda figure: figure.draw_without_rendering() or PNG)


@pytest.mark.usefixtures("laid_out")
def test_without_history_there_are_no_curves_and_without_baselines_no_comparison():
    forecasts = make_forecasts(TICKERS[:1], VARIANTS[:1])
    written = draw(forecasts, history=make_history(forecasts).clear())
    assert FILES - set(written) == {"results/stage2_ablation_curves.png", "results/stage2_full_comparison.png"}


@pytest.mark.usefixtures("laid_out")
def test_sixty_tickers_are_drawn():
    names = tuple(f"T{at:03}" for at in range(60))
    assert len(draw(make_forecasts(names, VARIANTS[:1], days=25))) == 6


@pytest.mark.usefixtures("laid_out")
def test_names_are_drawn_and_never_interpreted():
    names = ("$x_{", "A_B", "<b>", "_lead", "$\\frac{1}{2}$", "two\nlines", "%s {0}")
    forecasts = make_forecasts(names, ("$\\alpha_{$", "_hidden", "x" * 200))
    assert len(draw(forecasts)) == 6
    labels = heatmap(make_scores(forecasts), looks(forecasts["variant"].unique())).axes[0].get_yticklabels()
    assert [label._preprocess_math(label.get_text()) for label in labels if "frac" in label.get_text()] == [
        ("$\\frac{1}{2}$", False)
    ]


def test_a_name_that_begins_with_an_underscore_is_in_the_legend():
    figure = by_ticker(compared(make_forecasts(TICKERS[:2], ("_hidden", "seen"))))
    texts = [text.get_text().strip() for text in figure.legends[0].get_texts()]
    assert texts == ["_hidden", "seen"]


@pytest.mark.parametrize("tickers", [40, 41])
def test_tickers_are_named_as_long_as_there_is_room(tickers):
    names = tuple(f"T{at:03}" for at in range(tickers))
    forecasts = make_forecasts(names, VARIANTS[:1], days=10)
    scores, look = make_scores(forecasts), looks(VARIANTS[:1])
    for figure in (by_ticker(compared(forecasts)), heatmap(scores, look)):
        named = {label.get_text() for ax in figure.axes for label in (*ax.get_xticklabels(), *ax.get_yticklabels())}
        assert (set(names) <= named) == (tickers == 40)
        assert tickers == 40 or "41 tickers" in figure.get_suptitle()


def test_of_many_tickers_the_quantiles_are_drawn_and_hit_rates_beside_those_of_coin_tosses():
    names = tuple(f"T{at:03}" for at in range(60))
    forecasts = make_forecasts(names, VARIANTS[:2], days=60)
    asked, scores = compared(forecasts), make_scores(forecasts)
    rates = scores.partition_by("variant", maintain_order=True)
    values = {
        by_ticker(asked): list(100 * skill_by_ticker(asked.losses)),
        heatmap(scores, looks(VARIANTS[:2])): [100 * one["DirAcc"].to_numpy() for one in rates],
    }
    for figure, columns in values.items():
        (ax,) = figure.axes
        lines = [one.get_segments()[0][:, 0] for one in ax.collections]
        for at, column in enumerate(columns):
            low, first, median, third, high = np.quantile(column, [0.05, 0.25, 0.5, 0.75, 0.95])
            np.testing.assert_allclose(lines[2 * at : 2 * at + 2], [(low, high), (first, third)])
            assert [float(line.get_xdata()[0]) for line in ax.lines if line.get_marker() != "None"][
                at
            ] == pytest.approx(median)
        assert ax.get_xlim()[0] < min(map(min, lines)) < max(map(max, lines)) < ax.get_xlim()[1]
    (coin,) = ax.patches
    assert coin.get_x() == pytest.approx(50 - 1.645 * 50 / np.sqrt(60))


def test_no_figure_grows_without_limit():
    forecasts = make_forecasts(tuple(f"T{at}" for at in range(100)), tuple(f"V{at}" for at in range(12)), days=5)
    scores, look = make_scores(forecasts), looks(forecasts["variant"].unique(maintain_order=True))
    for figure in (by_ticker(compared(forecasts)), heatmap(scores, look)):
        assert max(figure.get_size_inches()) < 16


def test_missing_values_are_drawn_as_missing():
    forecasts = make_forecasts(TICKERS[:3])
    first = pl.col("variant") == VARIANTS[0]
    scores = make_scores(forecasts).with_columns(
        DirAcc=pl.when(first).then(None).otherwise("DirAcc"), R2Zero=pl.when(first).then(np.nan).otherwise("R2Zero"),
        RMSE=pl.when(pl.col("ticker") == "GS").then(np.nan).otherwise("RMSE"),
    )  # fmt: skip
    zero, look, scores = zero_forecast(forecasts), looks(VARIANTS), finite(scores)
    render(comparison("", scores, make_baselines(TICKERS[:3]), look))
    assert render(heatmap(scores, look)).axes[1].texts[0].get_text() == "–"
    figure = render(ablation(scores, zero, look))
    assert figure.axes[2].texts[0].get_text() == "missing"
    known = [forecasts.filter(pl.col("ticker") == ticker)["actual"].to_numpy() for ticker in ("AAPL", "IBM")]
    assert reference(figure.axes[1], "zero") == pytest.approx(np.mean([np.sqrt(np.mean(y**2)) for y in known]))


def reference(ax, label):
    (line,) = (line for line in ax.lines if str(line.get_label()).startswith(label))
    (x,) = set(line.get_xdata())
    return x


def test_reference_lines_are_where_a_hand_calculation_puts_them():
    forecasts = make_forecasts(seeds=(1, 2))
    figure = ablation(make_scores(forecasts), zero_forecast(forecasts), looks(VARIANTS))
    one = forecasts.filter((pl.col("variant") == VARIANTS[0]) & (pl.col("seed") == 1))
    returns = [one.filter(pl.col("ticker") == ticker)["actual"].to_numpy() for ticker in TICKERS]
    mae, rmse, accuracy = figure.axes
    assert reference(mae, "zero forecast") == pytest.approx(np.mean([np.mean(np.abs(y)) for y in returns]))
    assert reference(rmse, "zero forecast") == pytest.approx(np.mean([np.sqrt(np.mean(y**2)) for y in returns]))
    assert reference(accuracy, "50 %") == 50
    assert reference(accuracy, "always long") == pytest.approx(100 * np.mean([np.mean(y > 0) for y in returns]))
    for ax in figure.axes:
        low, high = ax.get_xlim()
        assert all(low < x < high for line in ax.lines if line.get_label()[0] != "_" for x in line.get_xdata())


def test_tickers_have_the_skill_of_their_own_losses_within_its_interval():
    forecasts = make_forecasts(TICKERS[:3], seeds=(1, 2))
    (ax,) = by_ticker(found := compared(forecasts)).axes
    points = [line for line in ax.lines if line.get_marker() in "os^" and line.get_clip_on()]
    assert len(points) == len(VARIANTS)
    for line, grid in zip(points, found.losses.grid, strict=True):
        own = 100 * (1 - np.sqrt(grid.mean(axis=1) / found.losses.base.mean(axis=1)))
        inside = [value for value in own if ax.get_ylim()[0] <= value <= ax.get_ylim()[1]]
        assert line.get_ydata() == pytest.approx(inside)
    for bars, line in zip(ax.collections, points, strict=True):
        ends = np.array([segment[:, 1] for segment in bars.get_segments()])
        assert (ends[:, 0] <= line.get_ydata()).all()
        assert (ends[:, 1] >= line.get_ydata()).all()
        assert (np.ptp(ends, axis=1) > 0).all()


@pytest.mark.parametrize(("seeds", "dots"), [((1,), 0), ((1, 2, 3), 3)])
def test_seeds_are_dots_around_their_mean_where_there_are_several(seeds, dots):
    forecasts = make_forecasts(TICKERS[:2], seeds=seeds)
    scores = make_scores(forecasts)
    ax = ablation(scores, zero_forecast(forecasts), looks(VARIANTS)).axes[1]
    drawn = [line.get_xdata() for line in ax.lines if line.get_marker() == "."]
    assert [len(x) for x in drawn] == [dots] * (3 if dots else 0)
    means = [line.get_xdata()[0] for line in ax.lines if line.get_marker() in "os^" and len(line.get_xdata()) == 1]
    assert not ax.containers, "no bars that look like errors"
    expected = [scores.filter(pl.col("variant") == variant)["RMSE"].mean() for variant in VARIANTS]
    assert means == pytest.approx(expected)
    assert all(x.mean() == pytest.approx(mean) for x, mean in zip(drawn, means, strict=False))


def test_a_very_bad_model_is_an_arrow_with_its_value_and_does_not_flatten_the_others():
    baselines, scores = make_baselines(), make_scores(make_forecasts())
    ax = comparison("stage2", scores, baselines, looks(VARIANTS)).axes[0]
    bad = 100 * baselines.filter(pl.col("variant") == "Persistence")["R2Zero"].mean()
    low, high = ax.get_xlim()
    assert bad < low - 5 * (high - low)
    assert [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "<" and line.get_clip_on() is False] == [
        low
    ]
    assert f"{bad:.2f} %".replace("-", "−") in [text.get_text() for text in ax.texts]


def test_the_comparison_is_sorted_with_the_best_on_top():
    baselines, scores = make_baselines(), make_scores(make_forecasts())
    ax = comparison("stage2", scores, baselines, looks(VARIANTS)).axes[0]
    both = (
        pl.concat([baselines, scores]).group_by("variant").agg(pl.col("R2Zero").mean()).sort("R2Zero", descending=True)
    )
    assert [label.get_text() for label in ax.get_yticklabels()] == both["variant"].to_list()


@pytest.mark.parametrize("variants", [VARIANTS, LONG])
def test_no_tick_labels_overlap(variants):
    forecasts = make_forecasts(variants=variants)
    scores, look, zero = make_scores(forecasts), looks(variants), zero_forecast(forecasts)
    figures = [
        ablation(scores, zero, look), by_ticker(compared(forecasts)), heatmap(scores, look),
        comparison("stage2", scores, make_baselines(), look),
    ]  # fmt: skip
    if variants == LONG:  # the others name variants in their legends alone
        figures += [predictions(forecasts, look), curves(make_history(forecasts), look)]
    for figure in figures:
        render(figure)
        boxes = [box for ax in figure.axes for axis in (ax.xaxis, ax.yaxis) for box in tick_labels(axis)]
        assert_apart(boxes)
        assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes)
        assert all(box.y0 >= 0 and box.y1 <= figure.bbox.y1 for box in boxes)


def test_a_variant_has_the_same_colour_in_all_plots_and_no_two_look_alike():
    look = looks([f"V{at}" for at in range(12)])
    assert len({(one.colour, one.marker) for one in look.values()}) == 12
    assert len({(one.colour, one.line) for one in look.values()}) == 12
    forecasts = make_forecasts(TICKERS[:2])
    scores, colours = make_scores(forecasts), [one.colour for one in looks(VARIANTS).values()]
    bars = ablation(scores, zero_forecast(forecasts), looks(VARIANTS))
    lines = predictions(forecasts, looks(VARIANTS))
    assert [line.get_color() for line in bars.axes[0].lines if line.get_marker() in "os^"] == colours
    assert [line.get_color() for line in lines.axes[1].lines][:3] == colours


def test_predictions_are_those_of_the_ticker_of_median_volatility_and_the_title_says_so():
    forecasts = make_forecasts(("AAPL", "GS", "IBM"), VARIANTS[:1], seeds=(7, 5))  # deviations of 1, 2 and 3 %
    forecasts = forecasts.with_columns(pl.col("ticker").replace({"AAPL": "Z", "GS": "Y", "IBM": "X"}))
    figure = predictions(forecasts, looks(VARIANTS[:1]))
    mine = forecasts.filter((pl.col("ticker") == "Y") & (pl.col("seed") == 5))
    assert figure.axes[0].lines[0].get_ydata() == pytest.approx(mine["actual"].to_numpy())
    assert figure.axes[1].lines[0].get_ydata() == pytest.approx(mine["predicted"].to_numpy())
    assert "returns of Y, the ticker of median volatility; first seed only (5)" in figure.get_suptitle()


def test_predictions_as_large_as_the_returns_hide_no_others():
    forecasts = pl.concat([make_forecasts(TICKERS[:1]), make_forecasts(TICKERS[:1], ("Persistence",), size=5)])
    figure = predictions(forecasts, looks([*VARIANTS, "Persistence"]))
    assert "Not drawn: Persistence" in figure.get_suptitle()
    assert len(figure.axes[0].lines) - 1 == len(figure.axes[1].lines) == 4  # the returns; zero and three variants
    assert "Persistence" not in [text.get_text() for text in figure.legends[0].get_texts()]


def test_curves_are_relative_to_the_least_loss_and_mark_the_epochs_kept():
    history = make_history(make_forecasts(TICKERS[:2]), epochs=4, best=2)
    train, valid = curves(history, looks(VARIANTS)).axes[::3]
    assert train.lines[0].get_ydata() == pytest.approx([100, 200 / 3, 100 / 3, 0])
    assert valid.lines[0].get_ydata() == pytest.approx([0, 100 / 3, 200 / 3, 100])
    assert valid.collections[-1].get_offsets().tolist() == [[2, 0]]


def test_a_median_curve_ends_where_trainings_end():
    history = make_history(make_forecasts(TICKERS[:4], VARIANTS[:1]), epochs=10)
    shorter = history.filter((pl.col("ticker") != "GS") | (pl.col("epoch") <= 6))
    figure = curves(shorter, looks(VARIANTS[:1]))
    assert figure.axes[0].lines[0].get_xdata().tolist() == [1, 2, 3, 4, 5, 6]


def test_curves_end_where_the_medians_and_nearly_all_best_epochs_do():
    history = make_history(make_forecasts(seeds=(1, 2), variants=VARIANTS[:1]), epochs=45)
    short = history.filter((pl.col("epoch") <= 11) | ((pl.col("ticker") == "KO") & (pl.col("seed") == 1)))
    figure = curves(short, looks(VARIANTS[:1]))
    assert figure.axes[0].get_xlim()[1] == pytest.approx(11.5)
    entries = [text.get_text() for text in figure.legends[0].get_texts()]
    assert entries[0] == "median while at least 90 % of trainings continue"
    assert entries[1] == "middle 80 % of up to 22 trainings"


def test_cells_that_chance_does_not_reach_are_framed_and_counted():
    forecasts = make_forecasts(TICKERS[:3], VARIANTS[:2], days=250)
    seer = (pl.col("variant") == VARIANTS[1]) & (pl.col("ticker") == "GS")
    forecasts = forecasts.with_columns(predicted=pl.when(seer).then("actual").otherwise(pl.col("predicted")))
    figure = heatmap(make_scores(forecasts), looks(VARIANTS[:2]), forecasts)
    frames = {(round(patch.get_x() + 0.46), round(patch.get_y() + 0.42)) for patch in figure.axes[0].patches}
    assert (1, 1) in frames
    assert len(frames) <= 2, "one of five others, at most, is chance"
    assert f"Framed, {len(frames)} of 6 cells" in " ".join(figure.get_suptitle().split())
    assert "always-long" in figure.get_suptitle()
    assert "Coin tosses" in heatmap(make_scores(forecasts), looks(VARIANTS[:2])).get_suptitle()


def test_numbers_at_the_edge_have_a_header():
    scores = make_scores(forecasts := make_forecasts(TICKERS[:2]))
    figure = ablation(scores, zero_forecast(forecasts), looks(VARIANTS))
    assert [ax.texts[-1].get_text() for ax in figure.axes] == ["vs zero", "vs zero", "DirAcc"]
    assert [ax.texts[-1].get_text() for ax in comparison("a", scores, make_baselines(), looks(VARIANTS)).axes] == [
        "R²",
        "DirAcc",
    ]


def test_presets_are_stages_in_every_text_of_the_comparison():
    scores = make_scores(make_forecasts(TICKERS[:2]))
    figure = comparison("stage2", scores, make_baselines(), looks(VARIANTS))
    assert figure.get_suptitle().startswith("Models of Stage 1 and of Stage 2,")
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {
        "Stage 1",
        *(f"{one} (Stage 2)" for one in VARIANTS),
    }


def test_cells_of_the_heatmap_are_percentages_and_its_colours_centred_at_one_half():
    forecasts = make_forecasts(TICKERS[:3], seeds=(1, 2))
    scores = make_scores(forecasts)
    top, bottom, *_ = heatmap(scores, looks(VARIANTS)).axes
    cell = scores.filter((pl.col("ticker") == "GS") & (pl.col("variant") == VARIANTS[2]))["DirAcc"].mean()
    assert top.images[0].get_array()[1, 2] == pytest.approx(100 * cell)
    mean = scores.filter(pl.col("variant") == VARIANTS[2])["DirAcc"].mean()
    assert [text.get_text() for text in bottom.texts][2] == f"{100 * mean:.1f}"
    assert np.mean(top.images[0].get_clim()) == pytest.approx(50)


def test_a_report_looks_the_same_whatever_the_users_settings_are_and_leaves_them():
    forecasts = make_forecasts(TICKERS[:1], VARIANTS[:1], days=10)
    plainly = draw_first(forecasts)
    with mpl.rc_context({"text.color": "red", "figure.facecolor": "black", "axes.grid": True, "font.size": 20}):
        before = dict(mpl.rcParams)
        assert draw_first(forecasts) == plainly
        assert dict(mpl.rcParams) == before


def draw_first(forecasts):
    """Draw until the first file, whose writing fails."""
    tables = {"forecasts": forecasts, "history": make_history(forecasts), "scores": make_scores(forecasts)}
    written = []

    def fail(path, content):
        written.append((path, content))
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        draw_plots(Path("results"), "stage2", figures_of("stage2", **tables), write=fail)
    return written


@pytest.mark.parametrize(
    ("values", "anchors", "inside", "outside"),
    [
        ([1.0, 2.0, 3.0], [0.0], [0, 3], []),
        ([-1.0, -1.5, -2.0, -100.0], [0.0], [0, -2], [-100]),
        ([0.0, 0.0], [0.0], [0], []),
        ([], [50.0, 52.0], [50, 52], []),
        ([float("nan"), 5.0], [], [5], []),
        ([], [], [0], []),
    ],
)
def test_limits_hold_what_is_common_and_the_references(values, anchors, inside, outside):
    low, high = focus(values, anchors)
    assert low < high
    assert all(low < value < high for value in inside)
    assert not any(low < value < high for value in outside)


def test_long_names_stay_distinct_when_shortened_and_show_where_they_differ():
    assert shorten([*LONG, "short"]) == [
        "…raw-features-of-…-second-kind", "…ohlcv-features-o…-second-kind", "…engineered-featu…-second-kind", "short",
    ]  # fmt: skip
    hidden = [f"{'x' * 40}{at}{'y' * 40}" for at in "ab"] + [f"{'z' * 40}{at}{'y' * 40}" for at in "ab"]
    assert len(set(shorten(hidden))) == 4
    assert max(map(len, shorten(hidden))) < 40


def test_plain_text_is_left_as_it_is():
    assert plain("BRK.B ^GSPC é") == "BRK.B ^GSPC é"


def test_no_text_begins_with_the_underscore_that_hides_it_from_older_legends():
    assert plain("_hidden").strip() == "_hidden"
    assert not plain("_hidden").startswith("_")
