import matplotlib as mpl
import numpy as np
import polars as pl
import pytest

from analyses.test_assess_probes import tables, world
from nextday.analyses.probing.assess import assess_probes
from nextday.analyses.probing.figures import LOWER, cka, probes, results
from nextday.reporting.style import COLOURS, STYLE, png
from reporting.test_plots import assert_apart, tick_labels


@pytest.fixture(scope="module", autouse=True)
def report_style():
    with mpl.rc_context(STYLE):
        yield


@pytest.fixture(scope="module")
def assessed():
    made = []
    for name, given, gain in (("LSTM-Raw", False, 0.3), ("LSTM-Feat", True, 0.0)):
        found = assess_probes(
            *tables(*world(0, tickers=3, days=200, gain=gain, persistence=0.9), variant=name, given=given),
            replicates=100,
        )
        made += [found, found.with_columns(feature=pl.lit("range_norm"))]
    return pl.concat(made)


def test_each_source_is_drawn_at_its_r2_and_each_gain_with_its_interval(assessed):
    figure = probes(assessed)
    panels = np.reshape(figure.axes, (2, 2))
    assert [ax.get_title() for ax in panels[0]] == ["roll_vol", "range_norm"]
    for ax in panels[0]:
        drawn = {
            (round(line.get_xdata()[0], 9), round(line.get_ydata()[0], 3))
            for line in ax.lines
            if len(line.get_xdata()) == 1
        }
        expected = {
            (round(max(row["R2"], ax.get_xlim()[0]), 9), at + (-LOWER if row["source"] == "trained" else LOWER))
            for at, name in enumerate(("LSTM-Raw", "LSTM-Feat"))
            for row in assessed.filter(variant=name, feature="roll_vol").iter_rows(named=True)
        }
        assert drawn == expected
    gains = assessed.filter(source="untrained", feature="roll_vol")
    ends = [tuple(one.get_segments()[0][:, 0]) for one in panels[1, 0].collections]
    assert np.array(ends) == pytest.approx(gains.select("Gain_low", "Gain_high").to_numpy())
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "trained",
        "untrained",
        "input window",
        "feature shuffled",
    ]


def test_trained_is_filled_and_controls_are_hollow(assessed):
    upper = np.reshape(probes(assessed).axes, (2, 2))[0, 0]
    raw = [line for line in upper.lines if line.get_color() == COLOURS[0] and len(line.get_xdata()) == 1]
    assert [line.get_markerfacecolor() == "none" for line in raw] == [False, True, True, True]


def test_rows_of_networks_that_read_the_feature_are_shaded(assessed):
    upper = np.reshape(probes(assessed).axes, (2, 2))[0, 0]
    (band,) = upper.patches
    assert (band.get_y(), band.get_y() + band.get_height()) == (0.5, 1.5)


def test_a_probe_that_is_far_off_is_an_arrow(assessed):
    wild = assessed.with_columns(pl.when(source="shuffled").then(-80.0).otherwise("R2").alias("R2"))
    upper = np.reshape(probes(wild).axes, (2, 2))[0, 0]
    arrows = [line for line in upper.lines if line.get_marker() == "<"]
    assert len(arrows) == 2
    assert upper.get_xlim()[0] > -1


def make_cka(variants=("LSTM-Raw", "LSTM-Feat")):
    networks = [(variant, seed) for variant in variants for seed in (1, 2)]
    rows, rng = [], np.random.default_rng(0)
    for ticker in "AB":
        for source in ("trained", "untrained"):
            for at, first in enumerate(networks):
                rows += [(ticker, 0, *first, *second, source, rng.random()) for second in networks[at + 1 :]]
    names = ["ticker", "fold", "first", "first_seed", "second", "second_seed", "source", "cka"]
    return pl.DataFrame(rows, names, orient="row")


def test_likeness_is_the_mean_over_tickers_and_pairs_of_seeds_on_both_sides():
    table = make_cka()
    figure = cka(table)
    for ax, source in zip(figure.axes, ("trained", "untrained"), strict=False):
        mine, values = table.filter(source=source), np.asarray(ax.images[0].get_array())
        between = mine.filter(pl.col("first") != pl.col("second"))["cka"].mean()
        assert values[0, 1] == values[1, 0] == pytest.approx(between)
        assert values[1, 1] == pytest.approx(mine.filter(first="LSTM-Feat", second="LSTM-Feat")["cka"].mean())
        assert ax.get_title() == source
    assert "Mean over 2 tickers" in figure.get_suptitle()


@pytest.mark.parametrize("variants", [("one",), ("<b>$x_1^2$&", "_hidden", "x" * 60)])
def test_single_and_hostile_names_are_drawn(assessed, variants):
    parts = [assessed.filter(variant="LSTM-Raw").with_columns(variant=pl.lit(name)) for name in variants]
    for figure in (probes(pl.concat(parts)), cka(make_cka(variants))):
        assert png(figure).startswith(b"\x89PNG")
        assert_apart([figure._suptitle.get_window_extent(), *tick_labels(figure.axes[0].yaxis)])
        assert not any(label._preprocess_math(label.get_text())[1] for label in figure.axes[0].get_yticklabels())


def test_the_file_has_a_row_per_network_layer_source_and_feature():
    table, _ = tables(*world(0, tickers=2, days=60))
    twice = pl.concat([table, table.with_columns(fold=pl.lit(1, pl.Int64), r2=pl.col("r2") + 1)])
    found = pl.read_csv(results(twice))
    assert found.columns == ["Model", "Ticker", "Seed", "Layer", "Source", "Feature", "R2"]
    assert len(found) == table.select("ticker", "seed", "layer", "source").n_unique()
    assert found.row(0)[:6] == ("LSTM-Raw", "T0", 0, 2, "trained", "roll_vol")
    assert found["R2"][0] == pytest.approx(table["r2"][0] + 0.5)
