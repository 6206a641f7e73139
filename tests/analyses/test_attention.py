import matplotlib as mpl
import numpy as np
import polars as pl
import pytest
from matplotlib.colors import to_rgba

from nextday.analyses.attention import draw
from nextday.reporting.style import COLOURS, STYLE, png
from reporting.test_plots import assert_apart, tick_labels

LAGS, TRAININGS = 6, 5


@pytest.fixture(scope="module", autouse=True)
def report_style():
    with mpl.rc_context(STYLE):
        yield


def make_attention(variants=("Trans-Raw", "Trans-Feat"), *, layers=2, heads=4, trainings=TRAININGS):
    rng = np.random.default_rng(0)
    keys = {"variant": variants, "ticker": ["A"], "fold": [0], "seed": range(trainings), "trained": [False, True]}
    keys |= {"layer": range(layers), "head": range(heads), "lag": range(LAGS)}
    table = pl.DataFrame({"seed": [None]}).select()
    for name, values in keys.items():
        column = pl.DataFrame({name: list(values)})
        table = column if table.is_empty() else table.join(column, how="cross")
    weights = rng.dirichlet(np.ones(LAGS), len(table) // LAGS).ravel()
    return table.with_columns(weight=pl.Series(weights)).sample(fraction=1, shuffle=True, seed=1).sort(
        pl.col("variant") != variants[0], maintain_order=True
    )  # fmt: skip


def of_head(ax, head, line):
    """The line of a head in a panel."""
    (found,) = (one for one in ax.lines if one.get_color() == COLOURS[head] and one.get_linestyle() == line)
    return found


def test_attention_is_the_mean_over_trainings_by_lag_of_each_head_and_layer():
    table = make_attention()
    figure = draw(table)
    panels = np.reshape(figure.axes, (2, 2))  # [layer, variant]
    for (layer, column), ax in np.ndenumerate(panels):
        variant = ("Trans-Raw", "Trans-Feat")[column]
        assert ax.get_title() == f"{variant}, layer {layer + 1}"
        for head in range(4):
            mine = table.filter(variant=variant, layer=layer, head=head)
            for trained, line in ((True, "-"), (False, ":")):
                by_lag = mine.filter(trained=trained).group_by("lag").agg(pl.col("weight").mean()).sort("lag")
                drawn = of_head(ax, head, line)
                assert drawn.get_xdata().tolist() == list(range(LAGS))
                assert drawn.get_ydata() == pytest.approx(by_lag["weight"].to_numpy())
        (even,) = (line for line in ax.lines if line.get_linestyle() == "--")
        assert set(even.get_ydata()) == {1 / LAGS}


def test_bands_hold_the_middle_of_the_trained_heads_alone():
    table = make_attention(("Trans-Raw",), layers=1, heads=2, trainings=11)
    (ax,) = draw(table).axes
    assert len(ax.collections) == 2
    for head, band in enumerate(ax.collections):
        assert band.get_facecolor()[0][:3] == pytest.approx(to_rgba(COLOURS[head])[:3])
        weights = table.filter(trained=True, head=head).sort("lag", "weight")["weight"].to_numpy().reshape(LAGS, 11)
        drawn = {(x, round(y, 9)) for x, y in band.get_paths()[0].vertices}
        for lag in range(LAGS):  # the second and the last but one of eleven
            assert {(lag, round(weights[lag, 1], 9)), (lag, round(weights[lag, 9], 9))} <= drawn


def test_heads_and_the_untrained_control_are_in_the_key():
    figure = draw(make_attention(heads=3))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "head 1",
        "head 2",
        "head 3",
        "before training",
    ]
    assert [line.get_linestyle() for line in figure.legends[0].get_lines()] == ["-", "-", "-", ":"]
    assert [line.get_color() for line in figure.legends[0].get_lines()][:3] == list(COLOURS[:3])
    assert f"Dashed: 1/{LAGS}" in figure.get_suptitle().replace("\n", " ")


def test_a_single_head_and_layer_are_one_panel_of_two_lines_and_the_reference():
    figure = draw(make_attention(("Trans-Raw",), layers=1, heads=1, trainings=1))
    (ax,) = figure.axes
    assert sorted(line.get_linestyle() for line in ax.lines) == ["-", "--", ":"]
    assert ax.get_title() == "Trans-Raw, layer 1"
    assert png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("variants", "layers"),
    [(("one",), 1), (("Trans-Raw", "Trans-OHLCV", "Trans-Feat"), 3), (("<b>$x_1^2$&", "_hidden", "x" * 60), 1)],
)
def test_labels_of_attention_keep_apart(variants, layers):
    figure = draw(make_attention(variants, layers=layers))
    figure.draw_without_rendering()
    assert_apart([box for ax in figure.axes for axis in (ax.xaxis, ax.yaxis) for box in tick_labels(axis)])
    titles = [ax.title for ax in figure.axes]
    assert_apart([*(title.get_window_extent() for title in titles), figure._suptitle.get_window_extent()])
    assert not any(title._preprocess_math(title.get_text())[1] for title in titles)
    assert all(title.get_window_extent().x1 <= figure.bbox.x1 for title in titles)
