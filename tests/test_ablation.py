"""Ablations as studies give them: what they lay out, what they refuse, and what the whole pipeline finds with them."""

import json

import numpy as np
import polars as pl
import pytest

import nextday as nd
from nextday.ablation import Ablation, layout, names_of
from nextday.confirmation import confirmation_of
from nextday.data import random_walk
from nextday.effects import effects_of
from nextday.errors import StudyError
from nextday.planning import plan_tables
from nextday.study import Study
from test_cli import nextday
from undrawn import undrawn
from verdict_schema import check

GROUPS = {"vol": ["roll_vol", "range_norm"], "lags": ["ret_lag2", "ret_lag5"], "volume": ["vol_zscore"]}


def study(**changes):
    return Study.from_values({"name": "a", "ablation": {"model": "linear_regression", "groups": GROUPS} | changes})


def planted(features=6, tickers=("AAA", "BBB", "CCC", "DDD"), days=900, strength=0.5, seed=0):
    """Bars and features, of which the first carries the next day's return."""
    rng = np.random.default_rng(seed)
    bars = random_walk(tickers=tickers, sessions=days, seed=seed).frame
    dates = bars["date"].unique().sort()
    rows = []
    for ticker in tickers:
        values = rng.standard_normal((len(dates), features))
        own = bars.filter(ticker=ticker)["adj_close"].to_numpy()
        ahead = np.append(np.diff(np.log(own)), 0.0)
        values[:, 0] = strength * ahead / ahead.std() + np.sqrt(1 - strength**2) * values[:, 0]
        table = {f"f{at}": values[:, at] for at in range(features)}
        rows.append(pl.DataFrame({"date": dates, "ticker": [ticker] * len(dates)} | table))
    return bars, pl.concat(rows)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """An ablation of six features, of which the first carries the answer, with a second design beside."""
    folder = tmp_path_factory.mktemp("ablation")
    bars, features = planted(days=700)
    bars.write_parquet(folder / "bars.parquet")
    features.write_parquet(folder / "mine.parquet")
    values = {
        "name": "mine", "data": str(folder / "bars.parquet"), "market": "none", "lookback": 5,
        "also": [{"file": str(folder / "mine.parquet"), "lag": 0}], "allow": "f0",  # it carries too much to be true
        "ablation": {
            "model": "linear_regression", "groups": {f"f{at}": [f"f{at}"] for at in range(6)},
            "design": ["orthogonal", "leave_one_out"],
        },
    }  # fmt: skip
    with undrawn("effects"):
        return nd.run(Study.from_values(values), out=folder / "results", workers=0, watch=False)


def test_every_run_is_a_variant_and_a_feature_set():
    made = study()
    assert set(made.variants) == {
        "raw", "only vol", "only lags", "only volume", "all but vol", "all but lags", "all but volume", "all groups",
    }  # fmt: skip
    assert made.feature_sets["all but vol"] == ("raw", "ret_lag2", "ret_lag5", "vol_zscore")
    assert made.seeds == (42, 43)


def test_what_an_ablation_lays_out_is_not_written_but_read_again(tmp_path):
    made = study(design="leave_one_out")
    text = made.written(tmp_path)
    assert "variants" not in text
    (tmp_path / "a.yaml").write_text(text)
    assert Study.load(tmp_path / "a.yaml") == made
    assert Study.from_values(made.model_dump(mode="json")) == made


def test_several_models_and_designs_have_runs_of_their_own_each_once():
    made = study(model="linear_regression, lstm", design="orthogonal, add_one_in")
    assert len(made.variants) == 2 * 8  # the runs of the second design are among those of the first
    assert "lstm: all groups" in made.variants
    effects = effects_of(made.ablation)
    assert [one.kind for one in effects].count("effect") == 6
    assert [one.kind for one in effects].count("alternative") == 6
    assert [one.kind for one in effects].count("interaction") == 6


@pytest.mark.parametrize("design", ["orthogonal", "full", "leave_one_out", "add_one_in"])
def test_weights_of_an_effect_sum_to_zero_over_known_variants(design):
    made = study(design=design)
    for one in effects_of(made.ablation):
        assert sum(weight for _, weight in one.weights) == pytest.approx(0)
        assert {name for name, _ in one.weights} <= set(made.variants)


def test_more_runs_are_taken_where_they_are_asked():
    ablation = Ablation(groups=GROUPS, runs=24)
    assert len(layout(ablation)) <= 24  # equal runs are fitted once
    assert len({*names_of(ablation, layout(ablation))}) == len(layout(ablation))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"groups": {}}, "ablation.groups: expected 1 or more entries"),
        ({"groups": {"a": []}}, "'a' is empty; give it a name and one or more features"),
        ({"groups": {"a": ["x", "x"]}}, "a has x twice"),
        ({"groups": {"a": ["x"], "b": ["y", "x"]}}, "a and b both have x; a feature is in one group"),
        ({"groups": {f"g{at}": [f"x{at}"] for at in range(9)}, "design": "full"}, "full takes at most 8 groups"),
        ({"groups": {f"g{at}": [f"x{at}"] for at in range(9)}, "runs": 16}, "9 effects take 24 runs or more"),
        ({"groups": {f"g{at}": [f"x{at}"] for at in range(250)}}, "runs are too many, at most 400; join groups"),
        ({"desing": "full"}, "unknown key 'ablation.desing'; did you mean design?"),
    ],
)
def test_an_ablation_that_cannot_be_is_refused_in_one_line(changes, says):
    with pytest.raises(StudyError) as error:
        study(**changes)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_feature_that_is_constant_or_there_twice_is_refused(tmp_path):
    bars = random_walk(tickers=("AAA", "BBB"), sessions=300, seed=2).frame
    bars = bars.with_columns(still=pl.lit(1.0), one=pl.col("close"), two=pl.col("close"))
    for groups, says in (
        ({"a": ["one"], "b": ["still"]}, "ablation.groups.b: still is constant on the training set and cannot help"),
        ({"a": ["one"], "b": ["two"]}, r"one \(group a\) and two \(group b\) are equal on the training set"),
        ({"a": ["log_return"], "b": ["one"]}, "log_return is there twice"),
    ):
        made = Study.from_values(
            {"name": "a", "market": "none", "ablation": {"model": "linear_regression", "groups": groups}}
        )
        with pytest.raises(StudyError, match=says):
            nd.run(made, bars=bars, out=tmp_path, workers=0, watch=False)


def test_the_feature_that_carries_the_answer_helps_and_no_other_does(found):
    effects = found.findings["effects"].filter(kind="effect")
    helps = effects.filter(finding="helps")["group"].to_list()
    assert helps == ["f0"]
    assert found.verdict.sentence.startswith("Linear regression: f0 helps, +")
    assert set(effects.columns) >= {"group", "effect", "low", "high", "p", "p_adjusted", "finding"}


def test_an_effect_is_the_mean_skill_with_the_group_minus_the_mean_without_it(found):
    skill = {one.first: one.estimate for one in found.comparison.against_benchmark}
    study = found.study
    with_it = [skill[name] for name, one in study.variants.items() if "f2" in study.feature_sets.get(one.features, ())]
    runs = {name for one in found.comparison.asked for name in one.variants}
    without = [skill[name] for name in runs if "f2" not in study.feature_sets.get(study.variants[name].features, ())]
    with_it = [skill[name] for name in runs if "f2" in study.feature_sets.get(study.variants[name].features, ())]
    effect = next(one.estimate for one in found.comparison.asked if one.first == "f2")
    assert effect == pytest.approx(np.mean(with_it) - np.mean(without))


def test_effects_are_in_files_the_report_and_the_json(found):
    table = pl.read_csv(found.out / "mine_effects.csv")
    assert table["kind"].unique().sort().to_list() == ["beside all other groups", "effect", "interaction"]
    assert (found.out / "mine_effects.png").stat().st_size > 10_000
    assert "Effects of groups of features by design" in (found.out / "report.html").read_text()
    values = json.loads((found.out / "verdict.json").read_text())
    assert values["asked"][0]["kind"] == "effect"
    check((found.out / "verdict.json").read_text())
    assert any("Banzhaf value" in remark for remark in found.verdict.remarks)


def test_a_notebook_names_a_group_by_itself(found):
    assert ">f0</td>" in found.verdict._repr_html_()
    assert "f0 - " not in found.verdict._repr_html_() + found._repr_html_()


@pytest.mark.usefixtures("one_undrawn")
def test_what_helps_is_confirmed_on_fresh_seeds(found):
    made = confirmation_of(found)
    assert list(made.variants) == ["base", "groups that help", "other groups"]
    assert made.feature_sets["groups that help"] == ("raw", "f0")
    assert min(made.seeds) > max(found.study.seeds)
    again = nd.confirm(found, workers=0, watch=False)
    assert [one.finding for one in again.verdict.answers] == ["better", "better"]


@pytest.mark.usefixtures("one_undrawn")
def test_a_table_of_features_needs_no_study(tmp_path):
    bars, features = planted(features=3, days=400)
    bars.write_parquet(tmp_path / "bars.parquet")
    features.write_csv(tmp_path / "mine.csv")
    given = [
        "ablate",
        "--features",
        "mine.csv",
        "--data",
        "bars.parquet",
        "--market",
        "none",
        "--model",
        "linear_regression",
    ]
    asked = nextday(*given, folder=tmp_path, status=2)
    assert "--features needs --lag" in asked.stderr
    done = nextday(*given, "--lag", "0", "--confirm", "--workers", "0", folder=tmp_path)
    assert "f0 helps" in done.stdout
    assert "Do the groups that help do so again on fresh seeds?" in done.stdout
    assert (tmp_path / "results" / "mine" / "mine_effects.csv").is_file()


def test_a_plan_of_an_ablation_has_an_effect_per_group_and_one_row_of_costs(tmp_path):
    made = study(
        model="linear_regression, ridge",
        groups={f"g{at}": [name] for at, name in enumerate(GROUPS["vol"] + GROUPS["lags"])},
    )
    prospect = nd.plan(
        made, bars=random_walk(tickers=("AAA", "SPY"), sessions=300, seed=5).frame, out=tmp_path, workers=0, watch=False
    )
    assert [one.name for one in prospect.foresights][:2] == ["linear_regression: g0", "ridge: g0"]
    assert not any(one.withheld.startswith("seed") for one in prospect.foresights)
    units, seen = plan_tables(prospect)
    assert len(units.rows) == 1
    assert len(seen.rows) == 8
