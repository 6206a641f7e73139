import datetime
from functools import cache
from itertools import combinations

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest
from matplotlib.colors import to_rgba
from matplotlib.dates import date2num, num2date

from nextday.analyses.uncertainty import figures
from nextday.analyses.uncertainty.figures import coverage, fan, pit, reliability, window_of
from nextday.evaluate import calibration
from nextday.reporting.style import COLOURS, STYLE, looks, png
from reporting.test_plots import assert_apart, tick_labels

VARIANTS = (
    "ConstantQuantile", "EWMA", "GARCH", "LSTM-Prob", "Trans-Prob", "LSTM-Prob-Split", "LSTM-Prob-Adaptive",
    "Trans-Prob-Split", "Trans-Prob-Adaptive",
)  # fmt: skip
HOSTILE = ("<b>$x_1^2$&", "_hidden", "x" * 60 + "a", "x" * 60 + "b", "two\nlines", "%s {0}", "$\\alpha_{$")
NINETEEN = tuple(round(0.05 * step, 2) for step in range(1, 20))
THREE = (0.05, 0.5, 0.95)


def draw(table):
    """Give what there is to see, name and figure."""
    return [(plate.suffix, plate.draw()) for plate in figures.draw(table)]


def make_table(variants=("GARCH", "EWMA"), *, tickers=("B", "A"), seeds=(7, 5), days=60, levels=THREE):
    """Quantiles about zero that are wider by variant, and returns; the variants know nothing."""
    dates = pl.date_range(datetime.date(2020, 1, 1), datetime.date(2030, 1, 1), "1d", eager=True)[: days + 1]
    parts = []
    for at, ticker in enumerate(tickers):
        actual = np.random.default_rng(at).normal(0, 0.01, days)
        for number, variant in enumerate(variants):
            for seed in seeds:
                width = 0.006 * (1 + number) + 0.001 * np.random.default_rng([at, number, seed or 0]).random(days)
                keys = {"variant": variant, "ticker": ticker, "fold": 0, "seed": seed}
                columns = {"origin": dates[:-1], "date": dates[1:], "actual": actual, "predicted": 0.0 * actual}
                columns |= {f"q{level}": width * np.log(level / (1 - level)) for level in levels}
                parts.append(pl.DataFrame(columns).select(*(pl.lit(v).alias(k) for k, v in keys.items()), pl.all()))
    return pl.concat(parts).with_columns(pl.col("seed").cast(pl.Int64))


@pytest.fixture(scope="module", autouse=True)
def report_style():
    with mpl.rc_context(STYLE):
        yield


def render(figure):
    figure.draw_without_rendering()
    return figure


def marks(ax, marker):
    """The points [(date, return)] that are drawn with a marker."""
    (line,) = (line for line in ax.lines if line.get_marker() == marker)
    return [(num2date(x).date(), y) for x, y in zip(date2num(line.get_xdata()), line.get_ydata(), strict=True)]


def segments(ax):
    """The ends of all upright or level lines that are not over the whole panel."""
    return [segment for drawn in ax.collections for segment in getattr(drawn, "get_segments", list)()]


LACKING = {
    "no levels": (lambda table: table.drop("q0.05", "q0.5", "q0.95"), []),
    "no quantiles": (lambda table: table.with_columns(pl.lit(None, pl.Float64).alias(f"q{level}") for level in THREE), []),
    "no interval": (lambda table: table.drop("q0.05"), ["fan", "reliability", "pit"]),
    "20 days": (lambda table: table.filter(pl.col("date") <= datetime.date(2020, 1, 21)), ["fan", "reliability", "pit"]),
    "21 days": (lambda table: table.filter(pl.col("date") <= datetime.date(2020, 1, 22)), ["fan", "reliability", "pit", "coverage"]),
}  # fmt: skip


def plates_of(case):
    change, _ = LACKING[case]
    return list(figures.draw(change(make_table(("GARCH",), seeds=(1,)))))


@pytest.mark.parametrize("case", LACKING)
def test_what_a_table_cannot_show_is_skipped(case):
    assert [plate.suffix for plate in plates_of(case)] == LACKING[case][1]


@pytest.mark.parametrize("case", ["no interval", "21 days"])
def test_what_is_left_of_a_table_is_drawn(case):
    for plate in plates_of(case):
        render(plate.draw())


@pytest.mark.parametrize(
    ("days", "window"), [(19, 0), (20, 0), (21, 20), (80, 20), (200, 50), (499, 124), (500, 250), (2000, 250)]
)
def test_a_window_is_a_year_or_a_quarter_of_the_days(days, window):
    assert window_of(days) == window


def test_variants_without_quantiles_keep_their_colour_to_themselves_and_are_named_as_missing():
    null = (pl.lit(None, pl.Float64).alias(f"q{level}") for level in THREE)
    table = pl.concat([make_table(("Zero",)).with_columns(null), make_table()])
    for name, figure in draw(table):
        assert " Not drawn: Zero." in figure.get_suptitle().replace("\n", " "), name
        colours = {to_rgba(line.get_color()) for ax in figure.axes for line in ax.lines}
        colours |= {(*bar.get_facecolor()[:3], 1.0) for ax in figure.axes for bar in ax.patches}
        assert to_rgba(COLOURS[0]) not in colours, name
        assert {to_rgba(COLOURS[1]), to_rgba(COLOURS[2])} <= colours, name


def test_the_fan_shows_the_last_days_of_the_first_ticker_and_the_smallest_seed():
    table = make_table()
    mine = table.filter(ticker="B", seed=5, variant="EWMA").tail(10)
    figure = fan(
        table.sample(fraction=1, shuffle=True, seed=3).sort(pl.col("ticker") != "B", maintain_order=True), days=10
    )
    ax = next(ax for ax in figure.axes if ax.get_title("left").startswith("EWMA"))
    points = sorted([*marks(ax, "o"), *marks(ax, "X")])
    assert [day for day, _ in points] == mine["date"].to_list()
    assert [value for _, value in points] == pytest.approx(mine["actual"].to_list())
    (median,) = (line for line in ax.lines if line.get_linestyle() == "-")
    assert median.get_ydata() == pytest.approx(mine["q0.5"].to_numpy())
    (band,) = ax.collections
    low, high = band.get_paths()[0].vertices[:, 1].min(), band.get_paths()[0].vertices[:, 1].max()
    assert (low, high) == pytest.approx((mine["q0.05"].min(), mine["q0.95"].max()))
    assert "Returns of B on the last 10 days" in figure.get_suptitle()
    assert "only seed 5" in figure.get_suptitle()


def test_returns_outside_the_widest_interval_are_marked_and_counted():
    table = make_table(("GARCH",), seeds=(1,), levels=(0.1, 0.25, 0.75, 0.9))
    (ax,) = fan(table).axes
    mine = table.filter(ticker="B")
    outside = mine.filter((pl.col("actual") < pl.col("q0.1")) | (pl.col("actual") > pl.col("q0.9")))
    assert 0 < len(outside) < len(mine)
    assert [day for day, _ in marks(ax, "X")] == outside["date"].to_list()
    assert len(marks(ax, "o")) == len(mine) - len(outside)
    assert ax.get_title("left") == f"GARCH: {len(outside)} of 60 outside, 12 expected"


@pytest.mark.parametrize(("levels", "bands"), [((0.05, 0.95), 1), ((0.05, 0.25, 0.5, 0.75, 0.95), 2), (NINETEEN, 9)])
def test_every_central_interval_is_a_band_and_the_inner_ones_are_darker(levels, bands):
    (ax,) = fan(make_table(("GARCH",), seeds=(None,), levels=levels)).axes
    drawn = [(np.ptp(band.get_paths()[0].vertices[:, 1]), band.get_alpha()) for band in ax.collections]
    widths = [width for width, _ in drawn]
    opacity = [1 - np.prod([1 - alpha for _, alpha in drawn[: at + 1]]) for at in range(len(drawn))]
    assert len(drawn) == bands
    assert widths == sorted(widths, reverse=True)
    assert opacity == pytest.approx(np.linspace(0.18, 0.6, bands))


def test_quantiles_without_a_mirror_are_dotted_lines_and_nothing_counts_as_outside():
    table = make_table(("GARCH",), seeds=(None,), levels=(0.05, 0.5))
    figure = fan(table)
    (ax,) = figure.axes
    (dotted,) = (line for line in ax.lines if line.get_linestyle() == ":")
    assert dotted.get_ydata() == pytest.approx(table.filter(ticker="B")["q0.05"].to_numpy())
    assert "Dotted: quantile 0.05." in figure.get_suptitle()
    assert "seed" not in figure.get_suptitle()
    assert (ax.get_title("left"), marks(ax, "X")) == ("GARCH", [])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["return", "median"]


def test_a_fan_has_six_panels_at_most_and_names_the_rest():
    figure = fan(make_table(VARIANTS, seeds=(1,)))
    assert [ax.get_title("left").split(":")[0] for ax in figure.axes] == list(VARIANTS[:6])
    assert f"Not drawn: {', '.join(VARIANTS[6:])}." in figure.get_suptitle().replace("\n", " ")


def test_reliability_of_few_levels_has_a_panel_per_level_with_the_estimates_and_their_intervals():
    table = calibration.reliability(make_table(VARIANTS), replicates=200)
    figure = reliability(table)
    assert [ax.get_title() for ax in figure.axes] == [
        "quantile 0.05, nominal 5 %", "quantile 0.5, nominal 50 %", "quantile 0.95, nominal 95 %"
    ]  # fmt: skip
    for ax, level in zip(figure.axes, THREE, strict=True):
        mine = table.filter(Level=level)
        observed, low, high = (
            100 * (mine[name].to_numpy() - level) for name in ("Observed", "Observed_low", "Observed_high")
        )
        points = [line for line in ax.lines if len(line.get_xdata()) == 1]
        assert [line.get_xdata()[0] for line in points] == pytest.approx(observed)
        assert [line.get_ydata()[0] for line in points] == list(range(9))
        assert [tuple(segment[:, 0]) for segment in segments(ax)] == [
            pytest.approx(ends) for ends in zip(low, high, strict=True)
        ]
        assert [text.get_text() for text in ax.texts] == [f"{100 * share:.1f} %" for share in mine["Observed"]]
        filled = [line.get_markerfacecolor() != "white" for line in points]
        assert filled == [bool(a > 0 or b < 0) for a, b in zip(low, high, strict=True)]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(VARIANTS)


def test_reliability_of_many_levels_has_a_panel_per_variant():
    table = calibration.reliability(make_table(levels=NINETEEN), replicates=200)
    figure = reliability(table)
    assert [ax.get_title() for ax in figure.axes] == ["GARCH", "EWMA"]
    for ax, variant in zip(figure.axes, ("GARCH", "EWMA"), strict=True):
        mine, points = table.filter(variant=variant), [line for line in ax.lines if line.get_marker() in "os"]
        seen = sorted((x, y) for line in points for x, y in zip(*line.get_data(), strict=True))
        expected = [(100 * level, 100 * (share - level)) for level, share in mine.select("Level", "Observed").rows()]
        assert np.array(seen) == pytest.approx(np.array(expected))
        ends = mine.select((pl.col("Observed_low", "Observed_high") - pl.col("Level")) * 100).to_numpy()
        assert np.array([segment[:, 1] for segment in segments(ax)]) == pytest.approx(ends)
        filled = next(line for line in points if line.get_markerfacecolor() != "white")
        assert 100 * mine["Level"].to_numpy()[(ends > 0).all(axis=1) | (ends < 0).all(axis=1)] == pytest.approx(
            filled.get_xdata()
        )


def test_the_caption_says_how_many_intervals_miss_zero_by_chance():
    table = calibration.reliability(make_table(VARIANTS, seeds=(1,), levels=NINETEEN), replicates=50)
    caption = reliability(table, alpha=0.1).get_suptitle().replace("\n", " ")
    assert "pointwise 90 % CI; of 171, about 17 exclude zero by chance" in caption
    assert "Mean over tickers, seeds and 60 days." in caption


@pytest.mark.parametrize("levels", [THREE, (0.01, 0.1, 0.5), NINETEEN])
def test_columns_of_the_pit_are_densities_between_the_levels_with_their_intervals(levels):
    table = calibration.pit_bins(make_table(levels=levels), replicates=200)
    figure = pit(table)
    for ax, variant in zip(figure.axes, ("GARCH", "EWMA"), strict=True):
        mine = table.filter(variant=variant)
        edges = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches]
        assert np.array(edges) == pytest.approx(100 * mine.select("Low", "High").to_numpy())
        areas = [bar.get_height() * bar.get_width() / 100 for bar in ax.patches]
        assert areas == pytest.approx(mine["Share"].to_list())
        assert sum(areas) == pytest.approx(1)
        ends = mine.select(pl.col("Share_low", "Share_high") / pl.col("Nominal")).to_numpy()
        assert np.array([segment[:, 1] for segment in segments(ax)]) == pytest.approx(ends)
        assert ends.max() < ax.get_ylim()[1]
        (line,) = ax.lines
        assert set(line.get_ydata()) == {1}


def test_the_title_of_a_pit_panel_has_its_p_value():
    table = calibration.pit_bins(make_table(seeds=(1,)), replicates=50)
    chosen = table.with_columns(p_uniform=pl.when(variant="GARCH").then(0.0005).otherwise(0.0414))
    assert [ax.get_title() for ax in pit(chosen).axes] == ["GARCH\np < 0.001", "EWMA\np = 0.041"]


def test_coverage_is_that_of_the_widest_interval_over_the_windows():
    table = make_table(days=90, levels=(0.05, 0.25, 0.5, 0.75, 0.95))
    rolling = calibration.rolling_coverage(table, window=30)
    figure = coverage(rolling, window=30)
    for ax, variant, colour in zip(figure.axes, ("GARCH", "EWMA"), COLOURS, strict=False):
        mine = table.filter(variant=variant)
        daily = mine.group_by("date").agg(pl.col("actual").is_between("q0.05", "q0.95").mean()).sort("date")
        expected = np.convolve(daily["actual"], np.ones(30) / 30, "valid")
        (line,) = (line for line in ax.lines if line.get_color() == colour)
        assert line.get_ydata() == pytest.approx(100 * expected)
        assert line.get_xdata().tolist() == daily["date"].to_list()[29:]
        (nominal,) = (line for line in ax.lines if line.get_linestyle() == "--")
        assert list(nominal.get_ydata()) == pytest.approx([90, 90])
        assert ax.get_title() == f"{variant}\n{100 * expected.min():.0f} to {100 * expected.max():.0f} %"
        assert len([line for line in ax.lines if line.get_color() == "#BBBBBB"]) == 2
    caption = figure.get_suptitle().replace("\n", " ")
    assert "nominal 90 % interval, rolling over 30 sessions" in caption
    assert f"±{200 * np.sqrt(0.09 / 30):.1f}," in caption
    assert "Grey: the other variants" in caption


def test_panels_are_in_columns_and_only_the_lowest_of_each_name_their_dates():
    rolling = calibration.rolling_coverage(make_table(VARIANTS[:7], seeds=(1,)), window=20)
    figure = render(coverage(rolling, window=20))
    assert [ax.get_visible() for ax in figure.axes] == [True] * 7 + [False]  # four columns
    assert [len(tick_labels(ax.xaxis)) for ax in figure.axes[:7]] == [0, 0, 0, 3, 3, 3, 3]
    assert [bool(ax.get_ylabel()) for ax in figure.axes[:7]] == [True, False, False, False, True, False, False]
    assert all(ax.bbox.x0 < box.x0 and box.x1 < ax.bbox.x1 for ax in figure.axes[:7] for box in tick_labels(ax.xaxis))
    days = rolling["date"].unique().sort()
    assert [label.get_text() for label in figure.axes[3].get_xticklabels()] == [str(days[at]) for at in (0, 20, 40)]


def test_draw_says_the_window_it_chose():
    *_, last = figures.draw(make_table(("GARCH",), days=100, seeds=(1,)))
    assert "rolling over 25 sessions" in last.draw().get_suptitle()


CASES = {
    "nine": {"variants": VARIANTS, "seeds": (1,)},
    "twelve, many levels": {
        "variants": (*VARIANTS, "DeepAR", "Chronos", "Zero"), "seeds": (1,), "days": 100, "levels": NINETEEN,
    },
    "hostile, short": {
        "variants": HOSTILE, "tickers": ("$\\frac{1}$",), "seeds": (1,), "days": 30, "levels": (0.01, 0.05, 0.5, 0.95, 0.99),
    },
    "one": {"variants": ("GARCH",), "tickers": ("KO",), "seeds": (None,), "days": 30},
    "two, many levels": {"variants": ("GARCH", "EWMA"), "seeds": (None,), "days": 30, "levels": NINETEEN},
}  # fmt: skip


@cache
def rendered(case):
    """Lay out the figures of a case, once for all who look at them."""
    return [(name, render(figure)) for name, figure in draw(make_table(**CASES[case]))]


def test_one_variant_ticker_and_seed_are_drawn_without_a_word_about_others():
    for _, figure in rendered("one"):
        assert not {"Grey", "seed 5", "Not drawn"} & {
            word for word in ("Grey", "seed 5", "Not drawn") if word in figure.get_suptitle()
        }


def test_all_figures_are_drawn_and_each_is_a_png():
    drawn = dict(rendered("one"))
    assert list(drawn) == ["fan", "reliability", "pit", "coverage"]
    assert all(png(figure).startswith(b"\x89PNG") for figure in drawn.values())


@pytest.mark.parametrize("case", CASES)
def test_no_texts_overlap_or_leave_the_figure(case):
    for name, figure in rendered(case):
        ticks = [box for ax in figure.axes for axis in (ax.xaxis, ax.yaxis) for box in tick_labels(axis)]
        assert_apart(ticks)
        panels = [ax for ax in figure.axes if ax.get_visible()]
        titles = [text.get_window_extent() for ax in panels for text in (ax.title, ax._left_title) if text.get_text()]
        above = figure._suptitle.get_window_extent()
        labels = [
            text.get_window_extent() for ax in panels for text in (ax.yaxis.label, ax.xaxis.label) if text.get_text()
        ]
        labels += [
            text.get_window_extent() for text in (figure._supxlabel, figure._supylabel) if text and text.get_text()
        ]
        for one, other in combinations([above, *titles, *labels], 2):
            assert not one.overlaps(other), (name, one, other)
        for box in (above, *titles, *labels, *ticks):
            assert box.x0 >= 0, name
            assert box.x1 <= figure.bbox.x1, name
            assert box.y0 >= 0, name
            assert box.y1 <= figure.bbox.y1, name
        assert max(figure.get_size_inches()) < 16


def test_names_are_drawn_and_never_interpreted():
    for name, figure in rendered("hostile, short"):
        texts = [text for ax in figure.axes for text in (ax.title, ax._left_title, *ax.get_yticklabels())]
        named = [text for text in texts if "alpha" in text.get_text() or "x_1" in text.get_text()]
        assert named, name
        assert not any(text._preprocess_math(text.get_text())[1] for text in [*named, figure._suptitle]), name


def test_a_look_that_is_given_is_the_one_that_is_drawn():
    look = looks(["other", "EWMA", "GARCH"])
    table = make_table(seeds=(1,))
    tables = {
        reliability: calibration.reliability(table, replicates=50), pit: calibration.pit_bins(table, replicates=50),
        coverage: calibration.rolling_coverage(table, window=20), fan: table,
    }  # fmt: skip
    for function, of in tables.items():
        figure = function(of, look)
        drawn = {to_rgba(line.get_color()) for ax in figure.axes for line in ax.lines}
        drawn |= {(*bar.get_facecolor()[:3], 1.0) for ax in figure.axes for bar in ax.patches}
        assert {to_rgba(look[name].colour) for name in ("EWMA", "GARCH")} <= drawn, function
        assert to_rgba(look["other"].colour) not in drawn, function
        assert "Not drawn: other." in figure.get_suptitle().replace("\n", " ")
