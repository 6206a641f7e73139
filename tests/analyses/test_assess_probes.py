"""Averages, gains and words about probes, on tables whose truth is known."""

import numpy as np
import polars as pl
import pytest

from nextday.analyses.probing.assess import CONTROLS, MARGIN, VERDICTS, assess_probes, found, sentences
from probe_worlds import parts_of, tables, world

HOLDS, NO_MORE, UNKNOWN = VERDICTS


def rows_of(assessed):
    return {row["source"]: row for row in assessed.iter_rows(named=True)}


def test_means_are_over_tickers_and_seeds_of_the_last_layer():
    sources, known = world(0, gain=0.3)
    rows = rows_of(assess_probes(*tables(sources, known), replicates=200))
    for source, errors in sources.items():
        expected = parts_of(errors, known)[0].mean()
        assert rows[source]["R2"] == pytest.approx(expected)
        assert rows[source]["R2_low"] < expected < rows[source]["R2_high"] <= 1
    for control in ("untrained", "window"):
        assert rows[control]["Gain"] == pytest.approx(rows["trained"]["R2"] - rows[control]["R2"])
    assert [rows[control]["Above"] for control in ("untrained", "window")] == [11, 10]
    assert rows["trained"]["Gain"] is None
    assert (rows["trained"]["Tickers"], rows["trained"]["Days"], rows["trained"]["Seeds"]) == (11, 627, 3)


def test_no_interval_ends_above_one():
    sources, known = world(0, tickers=2)
    sources["trained"] = 0.1 * sources["trained"] * np.geomspace(0.01, 3, known.shape[1])
    row = rows_of(assess_probes(*tables(sources, known), replicates=200))["trained"]
    assert row["R2_low"] < row["R2"] < row["R2_high"] == 1


def test_a_gain_in_some_tickers_is_counted_there():
    sources, known = world(1, tickers=4, luck=0.0)
    better = np.array([1.0, 1.0, 0.0, 1.0])[:, None]
    sources["untrained"] = sources["trained"] * (1 + better) * np.where(better, 1, 0.5)
    rows = rows_of(assess_probes(*tables(sources, known), replicates=200))
    assert rows["untrained"]["Above"] == 3
    assert rows["untrained"]["Tickers"] == 4


def test_gains_are_paired_by_seed_ticker_and_day():
    sources, known = world(2, luck=0.3)
    sources["untrained"] = sources["trained"] * 1.05
    rows = rows_of(assess_probes(*tables(sources, known), replicates=500))
    width = rows["untrained"]["Gain_high"] - rows["untrained"]["Gain_low"]
    assert width < 0.25 * (rows["trained"]["R2_high"] - rows["trained"]["R2_low"])
    assert rows["untrained"]["Gain_low"] > 0


def test_few_seeds_widen_intervals():
    widths = []
    for seeds in (6, 2):
        sources, known = world(3, seeds=6, luck=0.4)
        sources = {name: errors[:seeds] if errors.ndim == 3 else errors for name, errors in sources.items()}
        row = rows_of(assess_probes(*tables(sources, known), replicates=500))["untrained"]
        widths.append(row["Gain_high"] - row["Gain_low"])
    assert widths[1] > 1.4 * widths[0]


def test_a_study_without_networks_comes_to_an_empty_table():
    probes, days = tables(*world(0, tickers=2, days=60))
    assert assess_probes(probes.clear(), days.clear()).is_empty()


@pytest.mark.parametrize(
    ("untrained", "window", "expected"),
    [
        ((0.1, 0.2), (0.3, 0.4), (HOLDS, "")),
        ((0.1, 0.2), (-0.3, -0.2), (NO_MORE, "window")),
        ((-0.01, MARGIN / 2), (0.3, 0.4), (NO_MORE, "untrained")),
        ((0.001, MARGIN / 2), (0.3, 0.4), (NO_MORE, "untrained")),
        ((-0.01, 0.1), (0.3, 0.4), (UNKNOWN, "untrained")),
        ((0.1, 0.2), (-0.1, 0.4), (UNKNOWN, "window")),
    ],
)
def test_words_follow_from_intervals(untrained, window, expected):
    assert found({"untrained": untrained, "window": window}) == expected


def test_sentences_leave_out_what_a_network_is_given():
    sources, known = world(0)
    sources["trained"] = 0.2 * sources["untrained"]
    networks = (("LSTM-Raw", False), ("LSTM-Feat", True))
    raw, feat = (
        assess_probes(*tables(sources, known, variant=name, given=given), replicates=200) for name, given in networks
    )
    (said,) = sentences(pl.concat([raw, feat]))
    assert said.startswith(f"roll_vol in LSTM-Raw: {HOLDS}, R2 {rows_of(raw)['trained']['R2']:.2f} (")
    least = min(rows_of(raw)[control]["Gain"] for control in CONTROLS)
    assert f", +{least:.2f} (" in said
    assert said.endswith("against the untrained network")


def truth(**options):
    """Gain in the long run, of ratios of means over many worlds."""
    errors, size = np.zeros(2), 0.0
    for seed in range(600):
        sources, known = world(10_000 + seed, tickers=2, seeds=2, **options)
        errors += [(sources[source] ** 2).mean() for source in ("trained", "untrained")]
        size += (known**2).mean()
    return float((errors[1] - errors[0]) / size)


def test_a_state_that_knows_less_than_the_mean_holds_nothing_however_bad_its_controls_are():
    sources, known = world(0)
    worse = dict(zip(sources, (1.2, 1.5, 1.5, 1.4), strict=True))
    sources = {name: factor * known + 0 * sources[name] for name, factor in worse.items()}
    (said,) = sentences(assess_probes(*tables(sources, known), replicates=200))
    assert said == f"roll_vol in LSTM-Raw: {NO_MORE}, R2 -0.44 (-0.44 to -0.44)"


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"gain": 0.3}, {"persistence": 0.99}, {"luck": 0.3}])
def test_intervals_hold_the_true_gain(options):
    expected, held = truth(**options), []
    for seed in range(100):
        row = rows_of(assess_probes(*tables(*world(seed, **options)), replicates=300, seed=seed))["untrained"]
        held.append(row["Gain_low"] <= expected <= row["Gain_high"])
    assert np.mean(held) >= 0.9
