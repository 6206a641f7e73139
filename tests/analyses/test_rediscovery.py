"""What a ladder says of probes, on tables whose truth is known."""

import polars as pl
import pytest

from nextday.analyses.probing.assess import assess_probes, written
from nextday.analyses.probing.lesson import rediscovery
from probe_worlds import tables, world


def lesson_of(sources, known, **options):
    return rediscovery(*tables(sources, known, **options))


def test_a_network_that_holds_more_than_its_controls_has_rediscovered_the_feature():
    sources, known = world(0)
    sources["trained"] = 0.3 * sources["untrained"]
    lesson = lesson_of(sources, known)
    assert lesson.answer == "yes"
    rows = {row["source"]: row for row in assess_probes(*tables(sources, known)).iter_rows(named=True)}
    nearest = rows["untrained"]
    assert (lesson.estimate, lesson.low, lesson.high) == (nearest["Gain"], nearest["Gain_low"], nearest["Gain_high"])
    assert lesson.sentence == (
        f"Yes: a linear probe of roll_vol on the last state of LSTM-Raw has an R2 of {written(rows['trained'], 'R2')}, "
        f"{written(nearest, 'Gain', '+')} beyond the untrained network and {written(rows['window'], 'Gain', '+')} "
        "beyond the input window."
    )
    assert "R2 of 0.92 (0.90 to 0.95), +0.80 (+" in lesson.sentence


def test_a_network_that_holds_what_it_held_untrained_has_not():
    sources, known = world(0)
    sources["trained"] = sources["untrained"]
    lesson = lesson_of(sources, known)
    assert lesson.answer == "no"
    assert lesson.sentence.startswith("No, not beyond the untrained network: a linear probe of roll_vol")
    assert ", +0.00 (+0.00 to +0.00) beyond the untrained network and +" in lesson.sentence
    assert (lesson.estimate, lesson.low, lesson.high) == (0, 0, 0)


def test_a_network_that_holds_less_than_its_window_has_not():
    sources, known = world(0, gain=0.3)
    sources["window"] = 0.1 * sources["trained"][0]
    lesson = lesson_of(sources, known)
    assert lesson.sentence.startswith("No, not beyond the input window: ")
    assert lesson.high < 0


def test_a_network_that_knows_less_than_the_mean_has_not_however_bad_its_controls_are():
    sources, known = world(0)
    worse = dict(zip(sources, (1.2, 1.5, 1.5, 1.4), strict=True))
    lesson = lesson_of({name: factor * known + 0 * sources[name] for name, factor in worse.items()}, known)
    assert lesson.sentence.startswith("No, not beyond the feature's mean: ")
    assert lesson.estimate == pytest.approx(-0.44)


def test_seeds_that_differ_more_than_training_adds_tell_nothing():
    lesson = lesson_of(*world(0, gain=0.1, luck=0.6))
    assert lesson.answer == "inconclusive"
    assert lesson.sentence.startswith("Inconclusive: a linear probe of roll_vol")
    assert lesson.low < 0 < lesson.high


@pytest.mark.parametrize("seeds", [1, 2])
def test_under_three_seeds_the_answer_is_withheld(seeds):
    lesson = lesson_of(*world(0, gain=0.3, seeds=seeds))
    assert (lesson.answer, lesson.estimate) == ("withheld", None)
    assert (
        lesson.sentence
        == f"Withheld: LSTM-Raw was probed for {seeds} seed{'s' if seeds > 1 else ''}, at least 3 are needed."
    )


def test_the_lesson_is_about_the_lstm_on_raw_returns_or_else_another_network_on_them():
    made = [tables(*world(at, tickers=2), variant=name) for at, name in enumerate(("A-Raw", "LSTM-Raw", "LSTM-Feat"))]
    both, other, none = (
        [pl.concat(parts) for parts in zip(*chosen, strict=True)] for chosen in (made, made[:1], made[2:])
    )
    assert rediscovery(*both) == rediscovery(*made[1])
    assert "of A-Raw has" in rediscovery(*other).sentence
    assert rediscovery(*none) is None
    assert rediscovery(*tables(*world(0, tickers=2), given=True)) is None
    assert rediscovery(*(table.with_columns(feature=pl.lit("vol_zscore")) for table in both)) is None
