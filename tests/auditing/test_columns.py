"""Columns from data alone: each rule fires on its planted leak, with its words, and on nothing of nextday's own."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from nextday.auditing.columns import audit_columns, own_columns
from nextday.auditing.findings import accept, by_level, findings_of, warning
from nextday.data import align, random_walk
from nextday.errors import DataError
from nextday.features import FEATURES

TICKERS, DAYS = ("AAA", "BBB", "CCC", "MKT"), 900
MOVE = (pl.col("adj_close") / pl.col("adj_close").shift(1)).log()
RANGE = (pl.col("high") / pl.col("low")).log()


@pytest.fixture(scope="module")
def panel():
    return align(random_walk(tickers=TICKERS, sessions=DAYS, seed=3), market="MKT")


def having(panel, **columns):
    made = {name: one.over("ticker") if isinstance(one, pl.Expr) else one for name, one in columns.items()}
    return replace(panel, frame=panel.frame.with_columns(**made))


def found_in(panel, *, known=None, pooled=False, **columns):
    return audit_columns(having(panel, **columns), list(columns), known=known, pooled=pooled)


def about(found, name):
    return [one for one in found if one.name == name]


def test_nextdays_own_features_raise_nothing_but_the_note_of_a_pass(panel):
    own = {f"own_{name}": one.expression for name, one in FEATURES.items() if name != "mkt_return"}
    (one,) = found_in(panel, **own)
    assert (one.level, one.code) == ("note", "T0")
    assert one.sentence.startswith(
        "Nothing found in 12 columns: tested for knowing the next returns (from an R2 of about "
    )
    assert one.sentence.endswith("on these 3 tickers and 900 days) and ranges, for steps stamped at their start, and for "
                                 "fits to the whole sample. A pass is no proof.")  # fmt: skip


RULES = {
    "tomorrow": (MOVE.shift(-1), "T1", "tomorrow knows the next returns: its correlation with tomorrow's return is "),
    "later": (
        MOVE.shift(-3),
        "T1",
        "later knows the next returns: its correlation with the return 3 days ahead, where ",
    ),
    "together": (
        MOVE.rolling_sum(5).shift(-5),
        "T1",
        "its correlation with the return 5 days ahead, where it is strongest, is ",
    ),
    "swing": (
        RANGE.shift(-1),
        "T2",
        "swing knows how much prices will move: its correlation with tomorrow's range is ",
    ),
    "ranks": (pl.col("volume").rank("ordinal") / pl.len(), "T3", "ranks has values as evenly spaced as ranks"),
    "encoded": (MOVE.mean() + 0 * pl.col("close"), "T3", "encoded is each ticker's mean return over all days"),
}


@pytest.mark.parametrize("name", RULES)
def test_each_rule_fires_on_its_leak(panel, name):
    column, code, words = RULES[name]
    (one,) = about(found_in(panel, **{name: column}), name)
    assert (one.level, one.code) == ("alarm", code)
    assert words in one.sentence


def test_scaling_by_the_whole_sample_is_a_note_and_an_alarm_where_one_model_reads_all_tickers(panel):
    score = (pl.col("volume") - pl.col("volume").mean()) / pl.col("volume").std()
    ends = (pl.col("volume") - pl.col("volume").min()) / (pl.col("volume").max() - pl.col("volume").min())
    for column in (score, ends):
        (note,) = about(found_in(panel, scaled=column), "scaled")
        (alarm,) = about(found_in(panel, scaled=column, pooled=True), "scaled")
        assert (note.level, note.code, alarm.level) == ("note", "T3", "alarm")


def test_a_beginning_filled_backwards_is_an_alarm_and_a_filled_warm_up_a_note(panel):
    late = pl.when(pl.int_range(pl.len()) >= 60).then(pl.col("volume"))
    (alarm,) = about(found_in(panel, early=late.backward_fill()), "early")
    assert (alarm.level, alarm.code) == ("alarm", "T3")
    (note,) = about(found_in(panel, early=late.fill_null(0.0)), "early")
    assert note.level == "note"


def test_principal_components_of_the_whole_sample_are_an_alarm(panel):
    panel = replace(panel, frame=panel.frame.filter(pl.col("ticker") != "MKT"), market="")
    rows = panel.frame.select(a=MOVE.over("ticker").fill_null(0.0), b=RANGE, c=pl.col("volume").log()).to_numpy()
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    _, vectors = np.linalg.eigh(rows.T @ rows)
    scores = rows @ vectors[:, ::-1]
    changed = replace(panel, frame=panel.frame.with_columns(one=pl.Series(scores[:, 0]), two=pl.Series(scores[:, 1])))
    found = audit_columns(changed, ["one", "two"])
    assert any(one.code == "T3" and "principal components" in one.sentence for one in found)


@pytest.mark.parametrize(("every", "period"), [("1w", "week"), ("1mo", "month")])
def test_a_value_stamped_at_the_start_of_its_period_is_an_alarm(panel, every, period):
    key = pl.col("date").dt.truncate(every)
    frame = panel.frame.with_columns(move=MOVE.over("ticker").fill_null(0.0))
    held = replace(panel, frame=frame.with_columns(stamped=pl.col("move").sum().over("ticker", key)).drop("move"))
    (one,) = about(audit_columns(held, ["stamped"]), "stamped")
    assert (one.level, one.code) == ("alarm", "T4")
    assert one.sentence.endswith(f"it is stamped at the start of its {period}.")


def quarterly(frame, days=0):
    """A figure of each quarter, from so many days after its end on."""
    quarter = (pl.col("date") - pl.duration(days=days)).dt.truncate("1q")
    drawn = pl.struct("ticker", quarter).hash(7).cast(pl.Float64) / 2**64
    return frame.with_columns(eps=drawn, eps_known=quarter.dt.offset_by("40d"))


def test_a_value_used_before_it_was_public_is_an_alarm_by_dates_and_by_a_lag():
    panel = align(random_walk(tickers=TICKERS, sessions=2600, seed=3), market="MKT")
    early, late = (replace(panel, frame=quarterly(panel.frame, days)) for days in (0, 45))
    for known in ({"eps": "eps_known"}, {"eps": "45d"}):
        (one,) = about(audit_columns(early, ["eps"], known=known), "eps")
        assert (one.level, one.code) == ("alarm", "T5")
        assert "eps of AAA is used on " in one.sentence
    assert about(audit_columns(late, ["eps"], known={"eps": "45d"}), "eps") == []
    (question,) = about(audit_columns(early, ["eps"]), "eps")
    assert (question.level, question.code) == ("question", "Q1")
    with pytest.raises(DataError, match="known: random walk has no column 'esp'; did you mean eps"):
        audit_columns(early, ["eps"], known={"esp": "45d"})
    with pytest.raises(DataError, match="known: column volume of random walk holds Float64; expected dates, or a lag"):
        audit_columns(early, ["eps"], known={"eps": "volume"})


def test_levels_of_adjusted_prices_and_survivors_are_questions(panel):
    paid = 0.99 ** (pl.int_range(pl.len()).over("ticker").reverse() // 120)
    lower = replace(panel, frame=panel.frame.with_columns(adj_close=pl.col("close") * paid))
    for column in (pl.col("adj_close"), pl.col("adj_close").log().exp() * 2, pl.col("adj_close") / pl.col("close")):
        (one,) = about(found_in(lower, level=column), "level")
        assert (one.level, one.code) == ("question", "Q3")
    assert about(found_in(lower, level=pl.col("close") * 1.0), "level") == []
    grown = 1.004 ** pl.int_range(pl.len()).over("ticker")
    better = pl.when(pl.col("ticker") != "MKT").then(grown).otherwise(1.0)
    won = replace(panel, frame=panel.frame.with_columns(adj_close=pl.col("adj_close") * better))
    (one,) = [one for one in audit_columns(won, []) if one.code == "Q4"]
    assert one.sentence.startswith("All 3 names beat MKT, together by ")
    assert [one for one in audit_columns(panel, []) if one.code == "Q4"] == []


def test_of_few_days_it_is_said_that_they_are_too_few():
    short = align(random_walk(tickers=TICKERS, sessions=400, seed=3), market="MKT")
    (one,) = found_in(short, tomorrow=MOVE.shift(-1))
    assert one.sentence == "400 days are too few to test columns for knowing the next returns: 600 are needed."


def test_columns_without_values_constants_and_tickers_that_come_and_go_are_no_trouble(panel):
    lives = panel.frame.filter((pl.col("ticker") != "BBB") | (pl.col("date") > panel.dates[300]))
    each = align(
        replace(random_walk(tickers=TICKERS, sessions=DAYS, seed=3), frame=lives), market="MKT", balance="each"
    )
    columns = {
        "empty": pl.lit(None, pl.Float64),
        "still": pl.lit(1.0),
        "holes": pl.when(pl.col("volume") > 1e6).then(MOVE),
    }
    found = found_in(each, **columns, tomorrow=MOVE.shift(-1))
    assert {one.name for one in found if one.level == "alarm"} == {"tomorrow"}
    assert own_columns(having(each, **columns)) == ["still", "holes"]


def test_findings_are_accepted_by_name_or_rule_sorted_and_kept_as_plain_values(panel):
    found = found_in(panel, tomorrow=MOVE.shift(-1), swing=RANGE.shift(-1))
    assert warning(by_level(found)).startswith(
        "Not to be trusted: tomorrow knows the next returns: its correlation with "
    )
    assert warning(by_level(found)).endswith(" (and 1 more alarm).")
    half = accept(found, ["tomorrow:T1", "swing:T1"])
    assert [one.accepted for one in half if one.level == "alarm"] == [True, False]
    assert by_level(half)[0].name == "swing"
    assert warning(accept(found, ["tomorrow", "swing"])) == ""
    assert findings_of([one.as_dict() for one in found]) == found


def test_many_tickers_are_thinned_out_and_columns_are_found_on_them():
    many = tuple(f"T{at:03}" for at in range(310))
    panel = align(random_walk(tickers=(*many, "MKT"), sessions=600, seed=0), market="MKT")
    (one,) = about(found_in(panel, tomorrow=MOVE.shift(-1)), "tomorrow")
    assert one.code == "T1"


def test_a_state_that_ends_when_the_price_turns_is_no_stamp(panel):
    """The price above its moving average: returns up to its own end agree with it, and it is known at the close."""
    above = {
        f"above_{days}": (pl.col("close") > pl.col("close").rolling_mean(days)).cast(pl.Float64)
        for days in (5, 10, 20, 50)
    }
    assert [one.sentence for one in found_in(panel, **above) if one.level == "alarm"] == []
