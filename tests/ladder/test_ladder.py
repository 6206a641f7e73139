"""All stages compared: what is refused, what is written, what is said."""

import datetime
import json
import re
import struct

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from finished import DAYS, START, make_folds, make_stage, say, write
from nextday.cli.main import app
from nextday.errors import MissingError, OutputError, StudyError, VerdictError
from nextday.evaluate import compare, measure, score, summarise
from nextday.ladder.figures import pareto, reach_of
from nextday.ladder.leaderboard import rank
from nextday.ladder.lessons import learn
from nextday.ladder.run import compare as compare_studies
from nextday.ladder.run import run_all
from nextday.ladder.table import load_ladder
from reporting.browser import CHROMIUM, visit
from undrawn import LADDER

browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium")


SIMPLE = {"Zero": (0.0, 0.0, 0), "Mean": (0.0, 0.01, 0), "Noise": (0.0, 0.9, 0)}
LSTMS = {"LSTM-Raw": (0.0, 0.05, 0), "LSTM-Feat": (0.0, 0.3, 0)}
LEVELS = (0.05, 0.5, 0.95)
SEEDS = tuple(range(1, 8))  # so many that none of two tickers is withheld


SEQUENCES = {"question": "Does sequence learning help?", "of": "networks", "against": ["stage1"]}
MATCH = {
    "question": "Does it keep up?", "of": "pretrained", "asks": "keeps_up", "among": "networks",
    "against": ["stage2", "stage3", "stage4", "stage5"],
}  # fmt: skip


@pytest.fixture
def climbed(tmp_path):
    write(tmp_path / "stage1", make_stage(SIMPLE), question="Simple?", answer="Inconclusive. Nothing is better.")
    write(tmp_path / "stage2", make_stage(LSTMS, seeds=(1, 2, 3)), parameters=LSTMS, lessons=[SEQUENCES])
    return tmp_path


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Five stages, with quantiles, a calibrated copy, a model that saw the test days and a verdict of two."""
    out = tmp_path_factory.mktemp("ladder")
    write(out / "stage1", make_stage(SIMPLE), question="Simple?", answer="Inconclusive. Nothing is better.")
    write(
        out / "stage2", make_stage(LSTMS, seeds=SEEDS), parameters=LSTMS, lessons=[SEQUENCES], question="Features?",
        answer="Inconclusive: no order.",
    )  # fmt: skip
    higher = {"Transformer-Raw": (0.1, 0.001, 0), "Transformer-Feat": (0.0, 0.6, 0)}
    write(out / "stage3", make_stage(higher, seeds=SEEDS), parameters=higher)
    spread = {"Flat": (0.0, 0.02, 3), "Net": (0.0, 0.02, 1)}
    flat, net = (
        make_stage({name: spread[name]}, seeds=seeds, levels=LEVELS)
        for name, seeds in (("Flat", (None,)), ("Net", SEEDS))
    )
    table = pl.concat([flat, net, net.with_columns(variant=pl.lit("Net-Split"))])
    write(out / "stage4", table, parameters=["Net"], conformal={"Net-Split": {"of": "Net", "method": "split"}})
    seen = pl.col("origin") < START + datetime.timedelta(0.4 * DAYS)
    forecasts = make_stage({"Pretrained": (0.2, 0.0, 0)}).with_columns(contaminated=seen)
    write(out / "stage5", forecasts, lessons=[MATCH], question="Pretrained?", answer="Pretrained beats all.")
    return compare_studies(out)


def test_one_model_with_fewer_days_is_refused_with_the_counts_the_folder_and_the_way_out(climbed):
    file = climbed / "stage2" / "forecasts.parquet"
    table = pl.read_parquet(file)
    last = table["origin"].max()
    table.filter((pl.col("variant") != "LSTM-Feat") | (pl.col("origin") != last)).write_parquet(file)
    with pytest.raises(VerdictError) as raised:
        load_ladder(climbed)
    said = str(raised.value)
    assert "Zero in" in said
    assert "has 500 (ticker, origin) pairs, LSTM-Feat seed 1 in" in said
    assert "has 498, 498 are in both" in said
    assert f"{climbed / 'stage2'}" in said
    assert "run stage2 again" in said


def test_a_model_with_other_days_but_as_many_is_refused(climbed):
    file = climbed / "stage2" / "forecasts.parquet"
    moved = pl.col("origin") + pl.when(pl.col("origin") == pl.col("origin").max()).then(pl.duration(days=9))
    pl.read_parquet(file).with_columns(origin=pl.coalesce(moved, "origin")).write_parquet(file)
    with pytest.raises(VerdictError, match="has 500, 498 are in both"):
        load_ladder(climbed)


def test_other_actual_values_are_refused_with_the_first(climbed):
    file = climbed / "stage2" / "forecasts.parquet"
    table = pl.read_parquet(file).with_row_index()
    table.with_columns(pl.col("actual") + 1e-6 * (pl.col("index") < 3)).drop("index").write_parquet(file)
    with pytest.raises(
        VerdictError, match=r"3 of 500 actual values differ between .*stage1 and .*stage2; first: AAA at 2020-01-01"
    ):
        load_ladder(climbed)


def test_one_stage_is_no_ladder_and_a_broken_one_is_named(climbed):
    (climbed / "stage2" / "manifest.json").write_text("{}")
    with pytest.raises(
        OutputError, match=r"stage1 alone; .* nextday run all .*stage2 does not contain a finished study"
    ):
        load_ladder(climbed)
    (climbed / "stage2" / "forecasts.parquet").unlink()
    with pytest.raises(OutputError, match="contains the forecasts of stage1 alone; .* nextday run all"):
        load_ladder(climbed)
    with pytest.raises(OutputError, match="contains no study's forecasts"):
        load_ladder(climbed / "nowhere")


def test_a_name_that_two_stages_use_is_told_apart(climbed):
    write(climbed / "stage5", make_stage({"Zero": (0.0, 0.0, 0), "New": (0.1, 0, 0)}))
    ladder = load_ladder(climbed)
    assert {"Zero (stage1)", "Zero (stage5)", "New", "Mean"} <= set(ladder.comparison.losses.variants)
    assert any("Zero is in several stages" in note for note in ladder.notes)
    assert any(note.endswith("so not compared: stage3, stage4, stage6") for note in ladder.notes)


def test_a_benchmark_that_two_stages_have_counts_once(climbed):
    write(climbed / "stage5", make_stage({"Mean": SIMPLE["Mean"], "New": (0.1, 0, 0)}))  # the second there as here
    ladder = load_ladder(climbed)
    copies = dict(ladder.entries.select("variant", "copy_of").rows())
    assert copies.pop("Mean (stage5)") is None, "of the same name, but other forecasts"
    assert set(copies.values()) == {None}
    table = pl.read_parquet(climbed / "stage1" / "forecasts.parquet").filter(variant="Mean")
    other = pl.read_parquet(climbed / "stage5" / "forecasts.parquet").filter(variant="New")
    pl.concat([table, other]).write_parquet(climbed / "stage5" / "forecasts.parquet")
    copies = dict(load_ladder(climbed).entries.select("variant", "copy_of").rows())
    assert copies["Mean (stage5)"] == "Mean (stage1)"


def test_days_that_a_model_may_have_seen_are_read_off_the_forecasts(climbed):
    file = climbed / "stage2" / "forecasts.parquet"
    seen = (pl.col("variant") == "LSTM-Raw") & (pl.col("ticker") == "AAA")
    pl.read_parquet(file).with_columns(contaminated=seen).write_parquet(file)
    shares = dict(load_ladder(climbed).entries.select("variant", "contaminated").rows())
    assert shares == {"Zero": 0, "Mean": 0, "Noise": 0, "LSTM-Raw": 0.5, "LSTM-Feat": 0}


def test_the_luck_of_a_pooled_network_counts_once_for_all_tickers(climbed):
    apart = load_ladder(climbed).comparison
    file = climbed / "stage2" / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["pooled"] = ["LSTM-Feat"]
    file.write_text(json.dumps(manifest))
    together = load_ladder(climbed).comparison
    assert together.losses.pooled == (False, False, False, False, True)
    assert together.against_benchmark[-1].seed_error != apart.against_benchmark[-1].seed_error


def test_other_training_days_are_noted(climbed):
    folds = pl.read_parquet(climbed / "stage2" / "folds.parquet")
    folds.with_columns(train_to=datetime.date(2017, 1, 1)).write_parquet(climbed / "stage2" / "folds.parquet")
    assert "stage2 was trained on other days than stage1" in load_ladder(climbed).notes


def test_figures_are_those_of_measure_score_and_compare(climbed):
    ladder = load_ladder(climbed)
    tables = [pl.read_parquet(climbed / stage / "forecasts.parquet") for stage in ("stage1", "stage2")]
    every = pl.concat(tables)
    losses = measure(every, folds=make_folds())
    np.testing.assert_array_equal(losses.grid, ladder.comparison.losses.grid)
    board, zero = rank(ladder)
    contrasts = {one.first: one for one in compare(losses).against_benchmark}
    metrics = {
        row["variant"]: row for row in summarise(score(every, make_folds()), by=["variant"]).iter_rows(named=True)
    }
    assert board["skill"].to_list() == sorted(board["skill"], reverse=True)
    for row in board.iter_rows(named=True):
        assert row["skill"] == pytest.approx(contrasts[row["variant"]].estimate, abs=1e-12)
        narrower = contrasts[row["variant"]].high - contrasts[row["variant"]].low  # over more contrasts: not narrower
        assert row["high"] - row["low"] <= narrower + 1e-12
        for name in ("MAE", "RMSE", "DirAcc", "R2Zero"):
            assert row[name] == metrics[row["variant"]][name]
    noise = board.row(by_predicate=pl.col("variant") == "Noise", named=True)
    assert not noise["may_be_best"]
    assert noise["confidence_set"] < 0.05 < zero
    assert board.filter(variant="LSTM-Raw")["seconds_per_unit"].item() == 0.5
    assert board.filter(variant="LSTM-Raw")["seeds"].item() == 3


def test_a_network_whose_seeds_scatter_may_be_best_though_the_confidence_set_throws_it_out(climbed):
    table = pl.read_parquet(climbed / "stage2" / "forecasts.parquet")
    lucky = pl.when(pl.col("seed") == 1).then(0.5 * pl.col("actual")).otherwise(-0.6 * pl.col("actual"))
    table.with_columns(
        predicted=pl.when(pl.col("variant") == "LSTM-Raw").then(lucky).otherwise("predicted")
    ).write_parquet(climbed / "stage2" / "forecasts.parquet")
    row = rank(load_ladder(climbed))[0].row(by_predicate=pl.col("variant") == "LSTM-Raw", named=True)
    assert row["confidence_set"] < 0.05
    assert row["high"] > 0
    assert row["may_be_best"]


def test_the_csv_begins_with_stage_model_and_errors_and_has_a_row_per_variant(whole):
    table = pl.read_csv(whole.out / "final_comparison.csv")
    assert table.columns[:5] == ["Stage", "Model", "MAE", "RMSE", "DirAcc"]
    assert {"Skill", "SkillLow", "SkillHigh", "MayBeBest", "Pinball@Levels", "Levels", "Contaminated"} <= set(
        table.columns
    )
    assert len(table) == 3 + 2 + 2 + 3 + 1
    assert table["Model"][0] == "Pretrained"
    seen = dict(zip(table["Model"], table["Contaminated"], strict=True))
    assert seen["Pretrained"] == 0.4
    assert sum(seen.values()) == 0.4
    copy = table.row(by_predicate=pl.col("Model") == "Net-Split", named=True)
    assert copy["Method"] == "made + split"
    assert copy["Parameters"] == 50_000
    assert copy["Levels"] == "0.05 0.5 0.95"
    assert table.filter(Model="Zero")["Levels"].item() is None


def test_the_lessons_are_those_of_the_numbers_and_of_the_verdicts(whole):
    said = {(lesson.stage, lesson.question): lesson for lesson in whole.lessons}
    by_stage = [lesson.stage for lesson in whole.lessons]
    assert by_stage == ["stage7", "stage1", "stage2", "stage2", "stage3", "stage4", "stage5", "stage5"]
    top = whole.lessons[0]
    assert top.answer == "yes"
    assert top.sentence.startswith("Yes: of 9 models of 5 stages Transformer-Raw and Pretrained are significantly"), (
        "neither zero nor calibrated copies count"
    )
    assert "Best in sample: Pretrained, +20.00 % (95 % CI for the best model +" in top.sentence
    assert "its pretraining corpus may overlap 40 % of the test period" in top.sentence
    features = said["stage2", "Features?"]
    assert features.sentence == "Inconclusive: no order."
    assert (features.estimate, features.low, features.high) == (-0.01, -0.04, 0.02)
    sequences = said["stage2", "Does sequence learning help?"]
    assert sequences.answer == "no"
    assert re.search(
        r"the best of 2 networks of Stage 2\) against \w+ \(the best of 2 models of Stage 1\)", sequences.sentence
    )
    assert said["stage5", "Pretrained?"].sentence == "Pretrained beats all."
    match = said["stage5", "Does it keep up?"]
    assert match.answer == "yes"
    assert (
        "(the only pretrained model of Stage 5) against Transformer-Raw (the best of 5 networks of " in match.sentence
    )
    assert "which is better" in match.sentence
    assert json.loads((whole.out / "lessons.json").read_text())[0]["sentence"] == top.sentence


@pytest.mark.usefixtures("one_undrawn")
def test_with_too_few_seeds_what_rests_on_them_is_withheld_and_the_rest_is_told(tmp_path):
    write(tmp_path / "stage1", make_stage(SIMPLE), question="Simple?", answer="None is better.")
    write(tmp_path / "stage2", make_stage(LSTMS, seeds=(1,)), parameters=LSTMS, lessons=[SEQUENCES], answer="Told.")
    said = {lesson.question: lesson.answer for lesson in learn(load_ladder(tmp_path))}
    assert said == {
        "Does any model beat the zero forecast?": "inconclusive", "Simple?": "inconclusive",
        "Its contrasts": "inconclusive", "Does sequence learning help?": "withheld",
    }  # fmt: skip
    page = (compare_studies(tmp_path).out / "report.html").read_text()
    assert "Not judged: LSTM-Raw" in page


def size(png):
    return struct.unpack(">II", png[16:24])


def test_plots_are_written_and_grow_with_the_models(whole, climbed, monkeypatch):
    monkeypatch.setattr("nextday.ladder.page._pictures", lambda *_: LADDER)  # those of the page are looked at below
    few = compare_studies(climbed)
    tall = {out: size((out / "final_leaderboard.png").read_bytes())[1] for out in (whole.out, few.out)}
    assert tall[whole.out] > tall[few.out] > 200
    assert size((whole.out / "final_frontier.png").read_bytes())[0] > 1000


def test_hopeless_models_do_not_squeeze_the_others():
    skill = np.array([0.001, 0.0, -0.004, -0.006, -0.01, -0.013, -0.45])
    board = pl.DataFrame({"skill": skill, "low": skill - 0.01, "high": skill + 0.01})
    low, high = reach_of(board, 0.0025)
    assert -10 < low < -2.3, "Persistence is off the axis, the intervals of the others are on it"
    assert 1.1 < high < 3


def test_the_frontier_holds_what_nothing_cheaper_beats():
    cost, skill = np.array([1.0, 0.1, 2.0, 0.1]), np.array([0.0, 0.1, 0.3, -0.2])
    assert pareto(cost, skill) == [1, 2]


def test_the_page_has_every_lesson_and_links_to_each_stage(whole):
    page = (whole.out / "report.html").read_text().split('<script type="application/json"')[0]
    text = re.sub(r"\s+", " ", re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL))
    for lesson in whole.lessons:
        assert lesson.sentence.replace("'", "&#39;") in text
    links = re.findall(r'href="([^"#]+)"', page)
    assert [link for link in links if not link.startswith("data:")] == [f"../stage{n}/report.html" for n in range(1, 6)]
    assert all((whole.out / link).is_file() for link in links if not link.startswith("data:"))
    assert not re.search(r"\b(nan|NaN|None|inf)\b", text)


@pytest.mark.usefixtures("one_undrawn")
def test_a_control_is_a_card_of_the_page_and_no_stage(climbed):
    plain = compare_studies(climbed)
    assert "Control: " not in (plain.out / "report.html").read_text()
    ranges = make_stage({"Mean": (0.0, 0.0, 0), "LSTM-Raw": (0.5, 0.05, 0)}, seeds=(1, 2, 3))
    ranges = ranges.with_columns(pl.col("actual", "predicted").abs())
    write(climbed / "control", ranges, target="log_range", verdict={"benchmark": "Mean"})
    contrast = {"first": "LSTM-Raw", "estimate": 0.3, "low": 0.2, "high": 0.4, "relation": ">", "withheld": ""}
    losses = plain.ladder.comparison.losses
    say(
        climbed / "control", "The LSTM beats the mean.", index_hash=losses.index_hash, benchmark="Mean",
        against_benchmark=[contrast], counts={"seeds": {"LSTM-Raw": 3, "Mean": 0}},
    )  # fmt: skip
    found = compare_studies(climbed)
    assert "control" not in {stage.name for stage in found.ladder.stages}
    assert not [note for note in found.notes if note.startswith("control")]
    page = (found.out / "report.html").read_text()
    assert page.count("Control: on these bars and days networks find +30.00 % (+20.00 to +40.00 %)") == 1
    assert 'href="../control/report.html"' in page


SORT = """
found.plots = document.querySelectorAll(".plot svg").length;
found.wide = document.documentElement.scrollWidth > innerWidth;
found.paper = getComputedStyle(document.body).backgroundColor;
const table = document.querySelector("table");
const head = table.tHead.rows[0].cells[2];
head.querySelector("button").click();
found.up = [...table.tBodies[0].rows].map((row) => Number(row.cells[2].dataset.v));
const box = document.querySelector('[data-figure="leaderboard"]');
const points = JSON.parse(document.getElementById("points").textContent).leaderboard;
found.points = new Set(points.map(([, , , text]) => text.split(",")[0])).size;
box.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
found.hover = box.querySelector(".read-out").textContent;
"""


@browser
@pytest.mark.parametrize(("scheme", "width", "paper"), [(1, 1200, "rgb(255, 255, 255)"), (0, 500, "rgb(20, 23, 27)")])
def test_the_page_opens_without_errors_draws_sorts_and_follows_the_scheme(whole, tmp_path, scheme, width, paper):
    page = (whole.out / "report.html").read_text()
    found = visit(page, SORT, tmp_path, width=width, flags=(f"--blink-settings=preferredColorScheme={scheme}",))
    assert found["problems"] == found["console"] == found["loaded"] == []
    assert found["plots"] >= 2
    assert not found["wide"]
    assert found["paper"] == paper
    assert found["up"] == sorted(found["up"])
    assert found["points"] == 10, "one row per model, without the calibrated copy"
    assert "to +" in found["hover"]


@pytest.mark.usefixtures("one_undrawn")
def test_run_stage7_prints_the_leaderboard_and_the_lessons_and_takes_no_other_option(climbed):
    done = CliRunner().invoke(app, ["run", "stage7", "--out", str(climbed)])
    assert done.exit_code == 0, done.output
    for text in (
        "LSTM-Raw",
        "no other model is significantly better",
        "Stage 1: Simple?",
        "not in",
        "final_comparison.csv",
    ):
        assert text in done.output
    refused = CliRunner().invoke(app, ["run", "stage7", "--out", str(climbed), "--seeds", "1"])
    assert isinstance(refused.exception, StudyError)
    assert "takes no other option" in str(refused.exception)


@pytest.mark.usefixtures("one_undrawn")
def test_run_all_runs_each_stage_notes_those_whose_package_is_missing_and_ends_with_the_comparison(
    climbed, monkeypatch
):
    ran = []

    def run(study, **options):
        ran.append((study.name, study.seeds, study.training.precision))
        if study.name == "stage3":
            raise MissingError("fracast is not installed: pip install 'nextday[foundation]'")
        return study.name

    monkeypatch.setattr("nextday.ladder.run.run", run)
    shown = []
    found = run_all({"seeds": "7,8,9", "training.precision": "bf16"}, out=climbed, show=shown.append)
    assert [name for name, *_ in ran] == ["control", *(f"stage{number}" for number in range(1, 7))]
    assert {given[1:] for given in ran} == {((7, 8, 9), "bf16")}
    assert "stage3" not in shown
    assert shown[:4] == ["control", "stage1", "stage2", "stage4"]
    assert found.notes[0] == "stage3 was skipped: fracast is not installed: pip install 'nextday[foundation]'"
    assert (found.out / "report.html").is_file()


def test_run_all_reads_every_study_before_it_runs_the_first(climbed, monkeypatch):
    monkeypatch.setattr("nextday.ladder.run.run", lambda *_, **__: pytest.fail("a study ran"))
    with pytest.raises(StudyError, match="unknown key 'trainin'"):
        run_all({"trainin.max_epochs": 1}, out=climbed)
