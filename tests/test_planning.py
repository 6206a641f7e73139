"""What a study would take and could see: from a pilot that wastes nothing, or from a finished folder."""

import io
import json
from dataclasses import astuple

import polars as pl
import pytest

import nextday
from nextday import planning
from nextday.data import random_walk
from nextday.errors import NextdayError
from nextday.study import Study

pytestmark = pytest.mark.usefixtures("undrawn")
NETWORK = {"model": "lstm", "options": {"hidden": 4, "layers": 1}}
STUDY = {
    "name": "small", "market": "MKT", "lookback": 5, "seeds": [1, 2, 3, 4], "training": {"max_epochs": 1},
    "variants": {
        "Net-Raw": NETWORK | {"features": "raw"}, "Net-Feat": NETWORK | {"features": "engineered"},
        "Lin": {"model": "linear_regression", "features": "raw"},
    },
}  # fmt: skip
LINEAR = STUDY | {
    "name": "linear",
    "variants": {name: {"model": "linear_regression", "features": name} for name in ("raw", "engineered")},
}


@pytest.fixture(scope="module")
def bars():
    frame = random_walk(tickers=("AAA", "BBB", "CCC", "DDD", "MKT"), sessions=260, seed=4).frame
    missing = frame["date"].unique().sort()[100]
    return frame.filter(~((pl.col("ticker") == "BBB") & (pl.col("date") == missing)))  # a session that the pilot has


@pytest.fixture(scope="module")
def finished(bars, tmp_path_factory):
    """A finished study of linear regressions, and the folder of all results."""
    out = tmp_path_factory.mktemp("finished")
    return nextday.run(Study.from_values(LINEAR), bars=bars, out=out, workers=0), out


@pytest.fixture(scope="module")
def piloted(bars, tmp_path_factory):
    out = tmp_path_factory.mktemp("pilot")
    return nextday.plan(Study.from_values(STUDY), bars=bars, out=out, workers=0), out


def test_units_are_those_of_the_whole_study(piloted):
    prospect, _ = piloted
    assert {cost.variant: cost.units for cost in prospect.costs} == {"Net-Raw": 16, "Net-Feat": 16, "Lin": 4}
    assert prospect.units == 36
    assert prospect.minutes == pytest.approx(sum(cost.units * cost.seconds for cost in prospect.costs) / 60)
    assert (prospect.tickers, prospect.seeds, prospect.workers) == (4, 4, 1)


def test_a_pilot_leaves_units_and_nothing_else_and_the_study_takes_all_of_them(piloted, bars):
    _, out = piloted
    assert [path.name for path in (out / "small").iterdir()] == ["units"]
    assert len(list((out / "small" / "units").glob("*.json"))) == 2 * (2 * 3 + 1)  # two tickers, three seeds
    nextday.forecast(Study.from_values(STUDY), bars=bars, out=out, workers=0)
    units = json.loads((out / "small" / "manifest.json").read_text())["units"]
    assert (units["reused"], units["fitted"]) == (14, 22)


def test_what_is_extrapolated_is_said(piloted):
    prospect, _ = piloted
    assert prospect.basis == "a pilot of 2 tickers and 3 seeds"
    assert prospect.notes[-1] == (
        "Times and errors are taken from a pilot of 2 tickers and 3 seeds, extrapolated (tickers 2 to 4; seeds 3 to 4); "
        "they are rough."
    )
    assert any("takes about" in note or "out of reach" in note for note in prospect.notes)


def test_a_finished_folder_is_gone_by_and_nothing_is_fitted(bars, finished, monkeypatch):
    study, (results, out) = Study.from_values(LINEAR), finished
    monkeypatch.setattr(planning, "forecast", lambda *_, **__: pytest.fail("a pilot was fitted"))
    prospect = nextday.plan(study, bars=bars, out=out, workers=2)
    assert prospect.basis == str(results.out)
    assert (prospect.seeds, prospect.workers) == (0, 2)
    (one,), (real,) = prospect.foresights, results.comparison.asked
    assert (one.first, one.second) == ("engineered", "raw")
    assert (one.date_error, one.seed_error) == pytest.approx((real.date_error, 0))
    assert one.equality == pytest.approx(real.equality)
    assert "extrapolated" not in prospect.notes[-1]
    walking = Study.from_values(LINEAR | {"split": {"scheme": "walk_forward", "folds": 3}})
    longer = nextday.plan(walking, bars=bars, source=results.out, workers=2)
    assert longer.days > prospect.days
    assert longer.units == 3 * prospect.units
    assert longer.foresights[0].detectable < one.detectable


def test_a_folder_of_other_variants_is_refused_where_it_is_named_and_passed_over_where_not(bars, finished):
    study, (_, out) = Study.from_values(LINEAR), finished
    third = LINEAR["variants"] | {"ohlcv": {"model": "linear_regression", "features": "ohlcv"}}
    changed = Study.from_values(LINEAR | {"variants": third})
    with pytest.raises(NextdayError, match="linear: no variant ohlcv; it has raw, engineered"):
        nextday.plan(changed, bars=bars, out=out, source=out / "linear", workers=0)
    assert nextday.plan(changed, bars=bars, out=out, workers=0).basis.startswith("a pilot of 2 tickers")
    with pytest.raises(NextdayError, match="nowhere does not contain a finished study to go by"):
        nextday.plan(study, bars=bars, out=out, source=out / "nowhere", workers=0)


def test_a_study_of_one_seed_is_told_that_its_verdict_would_be_withheld(bars, piloted, tmp_path):
    _, out = piloted
    single = Study.from_values(STUDY | {"seeds": [1]})
    prospect = nextday.plan(single, bars=bars, out=out.parent / "single", workers=0)
    assert prospect.notes[0] == (
        "The verdict on Net-Feat - Net-Raw would be withheld: seed variance unknown: Net-Feat has 1 seed, at least 3 are "
        "needed."
    )


def test_asked_contrasts_are_planned_for_with_their_margins(bars, tmp_path):
    ask = ["raw - zero", {"contrast": "engineered - raw", "margin": 0.5}]
    prospect = nextday.plan(Study.from_values(LINEAR | {"verdict": {"ask": ask}}), bars=bars, out=tmp_path, workers=0)
    assert [(one.first, one.second, one.margin) for one in prospect.foresights] == [
        ("raw", "zero forecast", 0.0025),
        ("engineered", "raw", 0.5),
    ]
    wide = prospect.foresights[1]
    assert wide.times < 1
    assert not any("engineered - raw: equality" in note for note in prospect.notes)


def test_networks_of_all_tickers_cost_more_and_are_fitted_again(bars, tmp_path):
    pooled = {"model": "lstm", "features": "raw", "options": {"hidden": 4, "layers": 1, "pooled": True}}
    study = Study.from_values(STUDY | {"variants": {"One": pooled, "Lin": STUDY["variants"]["Lin"]}})
    prospect = nextday.plan(study, bars=bars, out=tmp_path, workers=0)
    assert {cost.variant: cost.units for cost in prospect.costs} == {"One": 4, "Lin": 4}
    assert prospect.notes[0].startswith("Pooled networks must be refitted")


def test_the_prospect_is_described_in_a_few_lines(piloted):
    prospect, _ = piloted
    head, *lines = repr(prospect).splitlines()
    assert head.startswith("Prospect of small: 36 units, about ")
    assert head.endswith(f" with 1 worker; 4 tickers, {prospect.days} test days, 4 seeds")
    assert len(lines) == len(prospect.foresights)
    assert lines[0].startswith(f"{prospect.foresights[0].first} - {prospect.foresights[0].second}: detectable")


def test_the_prospect_is_plain_values(piloted):
    prospect, _ = piloted
    said = json.loads(json.dumps(prospect.to_dict(), allow_nan=False))
    assert said["units"] == 36
    assert {"detectable", "equality", "times", "withheld"} <= set(said["foresights"][0])
    assert len(astuple(prospect)) < len(said)


def test_the_tables_show_every_variant_and_every_contrast(piloted):
    from rich.console import Console

    prospect, _ = piloted
    screen = Console(width=140, record=True, file=io.StringIO())
    for table in planning.plan_tables(prospect):
        screen.print(table)
    shown = screen.export_text()
    for text in (
        "small: 36 units, about",
        "Net-Raw",
        "Lin",
        "Net-Feat - Net-Raw",
        "4 tickers",
        "4 seeds",
        "factor on days",
    ):
        assert text in shown


def test_a_pilot_reads_bars_that_need_options_and_further_files_once(bars, tmp_path):
    """It goes by the panel, whose columns have their names already and hold those of further files."""
    renamed = bars.rename({"date": "day"}).drop("adj_close")
    pl.DataFrame({"date": bars["date"].unique().sort(), "mood": 1.0}).write_csv(tmp_path / "mood.csv")
    own = {
        "feature_sets": {"mine": ["log_return", "mood"]}, "columns": {"date": "day"}, "adjusted": True,
        "also": {"file": str(tmp_path / "mood.csv"), "lag": 0},
        "variants": LINEAR["variants"] | {"mine": {"model": "linear_regression", "features": "mine"}},
    }  # fmt: skip
    prospect = nextday.plan(Study.from_values(LINEAR | own), bars=renamed, out=tmp_path, workers=0)
    assert {cost.variant: cost.units for cost in prospect.costs} == {"raw": 4, "engineered": 4, "mine": 4}
