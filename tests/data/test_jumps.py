"""Jumps whose cause is known: splits are refused, news let pass, and what cannot be decided is asked."""

from collections import Counter

import numpy as np
import polars as pl
import pytest

import jump_worlds
from jump_worlds import PRICES, news, split, verdict
from nextday.data import check_bars, load_bars, random_walk
from nextday.data.jumps import judge_jumps
from nextday.errors import DataError

AT = 40


def walk(*tickers, seed=3, vol=0.02, sessions=60):
    return random_walk(tickers=tickers or ("AAA", "BBB", "CCC"), sessions=sessions, seed=seed, daily_vol=vol).frame


def calm(*tickers, **given):
    """Draw bars whose day of the jump is like that before it, so that nothing but what a test does is odd."""
    frame = walk(*tickers, **given)
    row = pl.int_range(pl.len()).over("ticker")
    level = (
        pl.when(row < AT)
        .then(1.0)
        .otherwise((pl.col("close").shift(1) / pl.col("close")).filter(row == AT).first().over("ticker"))
    )
    frame = frame.with_columns(pl.col(name) * level for name in PRICES)
    day = row == AT
    return frame.with_columns(
        pl.when(day).then(pl.col("close")).otherwise("open").alias("open"),
        pl.when(day).then(pl.col("close") * 1.01).otherwise("high").alias("high"),
        pl.when(day).then(pl.col("close") * 0.99).otherwise("low").alias("low"),
        pl.when(row >= AT).then(1e6).otherwise("volume").alias("volume"),
    )


def scaled(frame, ticker, factor, first=AT, last=10**6, columns=PRICES):
    row = pl.int_range(pl.len()).over("ticker")
    here = (pl.col("ticker") == ticker) & row.is_between(first, last)
    return frame.with_columns(pl.col(name) * pl.when(here).then(factor).otherwise(1.0) for name in columns)


def evidence(frame, **given):
    return {finding.ticker: (finding.rule, finding.evidence) for finding in check_bars(frame, fatal_only=True, **given)}


@pytest.mark.parametrize("volume", [False, True])
@pytest.mark.parametrize("ratio", jump_worlds.RATIOS)
def test_splits_that_were_not_applied_are_refused(ratio, volume):
    rule, says = evidence(split(calm(), "BBB", AT, ratio, volume=volume))["BBB"]
    assert rule == "split not applied"
    assert says.endswith(f"looks like a split of {max(ratio, 1 / ratio):.3g} that was not applied")
    assert "times the usual range and " in says


def test_news_are_not_refused():
    said = Counter(
        verdict(news(walk(seed=seed), "BBB", AT, np.random.default_rng(seed)), "BBB", AT) for seed in range(40)
    )
    assert said["refused"] <= 1
    assert said["news"] > 30


@pytest.mark.parametrize(("tickers", "said"), [(3, "refused"), (2, "refused"), (1, "asked")])
def test_the_market_s_move_of_the_day_is_taken_off(tickers, said):
    frame = calm(*("AAA", "BBB", "CCC")[:tickers])
    for ticker in frame["ticker"].unique():
        frame = scaled(frame, ticker, 0.9)
    assert verdict(split(frame, "AAA", AT, 2), "AAA", AT) == said


def test_an_error_in_most_tickers_is_no_move_of_the_market():
    frame = calm("AAA", "BBB")
    for ticker in ("AAA", "BBB"):
        frame = split(frame, ticker, AT, 2)
    assert {name: rule for name, (rule, _) in evidence(frame).items()} == dict.fromkeys(
        ("AAA", "BBB"), "split not applied"
    )


def test_a_bar_of_another_scale_comes_and_goes():
    rule, says = evidence(scaled(calm(), "BBB", 0.5, last=AT))["BBB"]
    dates = calm()["date"].unique().sort()
    assert rule == "split not applied"
    assert f"a split of 2 that comes and goes, on {dates[AT]} and {dates[AT + 1]}" in says
    assert evidence(scaled(calm(), "BBB", 3 / 5, last=AT))["BBB"][0] == "split not applied", "however unusual"


def test_an_unusual_ratio_is_refused_only_where_others_have_it_on_the_same_day():
    frame = split(calm(), "AAA", AT, 5 / 3)
    assert evidence(frame)["AAA"][0] == "split or news"
    for ticker in ("BBB", "CCC"):
        frame = split(frame, ticker, AT, 5 / 3)
    found = evidence(frame)
    assert {rule for rule, _ in found.values()} == {"split not applied"}
    assert "2 other tickers jump alike; looks like a split of 1.67" in found["AAA"][1]


def test_a_step_of_the_least_price_is_no_split():
    cents = pl.when(pl.int_range(pl.len()).over("ticker") % 20 < 10).then(0.02).otherwise(0.03)
    frame = calm("AAA").with_columns(cents.alias(name) for name in PRICES)
    assert [finding.rule for finding in check_bars(frame) if finding.rule != "stale"] == ["extreme move"]


def test_without_range_and_trade_the_factor_alone_is_asked():
    flat = split(calm(), "BBB", AT, 4).with_columns(pl.col("close").alias(name) for name in ("open", "high", "low"))
    assert verdict(flat, "BBB", AT) == "refused"
    assert verdict(flat.with_columns(volume=0.0), "BBB", AT) == "asked"
    assert verdict(split(calm(sessions=6), "BBB", 3, 4), "BBB", 3) == "asked"


def test_a_move_that_a_ticker_often_makes_is_asked():
    wild = calm(vol=0.1, seed=1)
    assert verdict(split(wild, "BBB", AT, 1.5), "BBB", AT) == "asked"
    assert verdict(split(wild, "BBB", AT, 4), "BBB", AT) == "refused"


def test_an_adjustment_that_close_does_not_show_is_named():
    assert (
        "an adjustment by 3 that close does not show"
        in evidence(scaled(calm(), "BBB", 3.0, columns=["adj_close"]))["BBB"][1]
    )


def test_a_move_within_the_day_is_no_split():
    frame = split(calm(), "BBB", AT, 2, volume=True)
    before = pl.when((pl.col("ticker") == "BBB") & (pl.int_range(pl.len()).over("ticker") == AT)).then(
        pl.col("close").shift(1)
    )
    assert (
        verdict(frame.with_columns(open=before.otherwise("open"), high=before.otherwise("high")), "BBB", AT) == "news"
    )


def test_jumps_at_both_ends_are_judged():
    for at in (1, 59):
        assert verdict(split(calm(), "BBB", at, 10), "BBB", at) in ("asked", "refused")


def test_other_columns_of_the_bars_are_in_nobody_s_way():
    frame = split(calm(), "BBB", AT, 4)
    assert judge_jumps(frame.with_columns(ratio=0.0, move=0.0, jumps=0.0)).equals(judge_jumps(frame))


def test_questions_go_into_the_notes_and_block_nothing():
    frame = split(calm(), "BBB", AT, 5 / 3)
    bars = load_bars(frame, drop_bad=True)
    assert bars.frame.select(frame.columns).equals(frame)
    date = frame["date"].unique().sort()[AT]
    (note,) = bars.notes
    assert note.startswith(f"BBB on {date}: adj_close by a factor of 0.6 on ")
    assert note.endswith(
        ": a split of 1.67 that was not applied, or news; fix it, or accept it as real with --accept BBB"
    )
    for accept in ("BBB", "*"):
        assert load_bars(frame, accept=(accept,)).notes == ()
    assert check_bars(frame, accept=("AAA",)) == check_bars(frame)


def test_many_questions_are_counted():
    names = [f"T{number:02d}" for number in range(13)]
    frame = calm(*names)
    for number, name in enumerate(names):
        frame = split(frame, name, 20 + number, 5 / 3)  # a day of its own, as errors of a source share one
    notes = load_bars(frame).notes
    assert len(notes) == 11
    assert notes[-1].endswith("more such questions; nextday data check lists all")


def test_the_line_of_a_refusal_names_both_ways_out():
    with pytest.raises(DataError, match=r"--accept BBB; --drop-bad excludes such tickers"):
        load_bars(split(calm(), "BBB", AT, 4))


@pytest.mark.slow
@pytest.mark.parametrize("source", ["random walks", "embedded panel"])
def test_rates_of_both_errors(source):
    draw = jump_worlds.walks if source == "random walks" else jump_worlds.sample()
    total = {}
    for kind, plant in jump_worlds.kinds().items():
        total.setdefault(kind.split(",")[0].split()[0] if "split" in kind else kind, Counter()).update(
            jump_worlds.rates(draw, plant, 100 if "split" in kind else 600)
        )
    splits, plain = total["split"], total["news"]
    assert splits["refused"] > 0.95 * splits.total()
    assert splits["news"] < 0.01 * splits.total()
    assert plain["refused"] < 0.02 * plain.total()
