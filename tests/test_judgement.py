"""The verdict in Python: any table in, the answer out."""

import io
import json
import sys

import polars as pl
import pytest
from threadpoolctl import threadpool_limits

import nextday
import worlds
from nextday.cli.main import main
from nextday.errors import NextdayError
from nextday.evaluate import compare
from nextday.evaluate.contrasts import Contrast
from nextday.evaluate.export import SCHEMA_FILE, dump
from verdict_schema import check, validator

WORLD = worlds.World(days=400, tickers=3, seeds=3, signal=0.06, bias=0.02, strengths={"mine": 1.0, "other": 0.2})


@pytest.fixture(scope="module")
def table():
    return worlds.draw(WORLD, 0)


@pytest.fixture(scope="module")
def judged(table):
    return nextday.verdict(table, ask="mine - other")


def test_it_is_shown_in_a_few_lines_and_in_a_notebook_with_its_contrasts(table):
    judged = nextday.verdict(table, ask="mine - other", expect="mine > other")
    assert repr(judged).splitlines() == ["Verdict: resolved", judged.sentence, str(judged.outcomes[0])]
    made = judged._repr_html_()
    assert f"{100 * judged.contrasts[0].estimate:+.2f}</td>" in made
    assert "expected mine &gt; other: holds" in made
    assert judged.frame().equals(judged.comparison.frame())
    assert judged.to_pandas()["finding"][0] == "better"


def test_it_prints_as_the_answer(judged):
    assert str(judged).startswith("mine is significantly better than other, +")
    assert str(judged).splitlines()[0] == judged.sentence
    assert judged.code == "resolved"
    assert [one.finding for one in judged.answers] == ["better"]
    assert (judged.contrasts[0].first, judged.contrasts[0].second) == ("mine", "other")
    assert judged.comparison.asked == judged.contrasts[:1]


def test_it_says_that_its_scale_is_not_that_of_a_study(judged, table):
    said = (
        "Losses are scaled by each ticker's mean squared return in this table; a study scales by the variance of the "
        "training set, so figures differ slightly."
    )
    assert said in judged.remarks
    absolute, miss = (nextday.verdict(table, loss=loss).remarks for loss in ("absolute", "miss"))
    assert "mean absolute return in this table; a study scales by the mean absolute deviation" in " ".join(absolute)
    assert not any("Losses are divided" in remark for remark in miss)


def test_pandas_polars_lazy_frames_and_files_give_the_same(judged, table, tmp_path):
    table.write_csv(tmp_path / "table.csv")
    table.write_parquet(tmp_path / "table.parquet")
    (tmp_path / "table.csv.gz").write_bytes(__import__("gzip").compress(table.write_csv().encode()))
    titled = table.select(
        Date=pl.col("origin").dt.offset_by("1d"), Origin="origin", Ticker="ticker", Model="variant", Seed="seed",
        Actual="actual", Predicted="predicted",
    )  # fmt: skip
    titled.write_csv(tmp_path / "x_all_predictions.csv")
    kinds = [table.to_pandas(), table.lazy(), *sorted(tmp_path.iterdir()), str(tmp_path / "table.csv")]
    for kind in kinds:
        again = nextday.verdict(kind, ask=["mine - other"])
        assert again.sentence == judged.sentence, kind
        assert again.contrasts[0].low == pytest.approx(judged.contrasts[0].low)


def test_standard_input_is_a_table_too(judged, table, monkeypatch, capsys):
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    given = io.TextIOWrapper(io.BytesIO(buffer.getvalue()))
    monkeypatch.setattr(sys, "stdin", given)
    monkeypatch.setattr(sys, "argv", ["nextday", "verdict", "-", "--ask", "mine - other", "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert check(capsys.readouterr().out)["verdict"]["sentence"] == judged.sentence


@pytest.mark.parametrize(
    ("options", "moves"),
    [
        ({"benchmark": "other"}, lambda one: one.comparison.losses.benchmark),
        ({"loss": "absolute"}, lambda one: one.contrasts[0].estimate),
        ({"margin": 0.1}, lambda one: one.contrasts[0].margin),
        ({"alpha": 0.2}, lambda one: one.contrasts[0].low),
        ({"pooled": " mine , other"}, lambda one: one.comparison.losses.pooled),
        ({"pooled": ["mine", "other"]}, lambda one: one.comparison.losses.pooled),
        ({"ask": ["mine - zero", "mine - other"]}, lambda one: len(one.answers)),
        ({"expect": "mine > other"}, lambda one: len(one.outcomes)),
        ({"scale": "predicted"}, lambda one: one.contrasts[0].estimate),
    ],
)
def test_every_option_is_heard(table, judged, options, moves):
    assert moves(
        nextday.verdict(table, **{"ask": "mine - other", **options} if "benchmark" not in options else options)
    ) != moves(judged)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"ask": "mine - none"}, "'none' is no variant; expected 'A - B', of mine, other, or zero as B"),
        ({"expect": "mine > none"}, "'none' is no variant"),
        ({"pooled": "mine, none"}, "none"),
        ({"loss": "log"}, "no column 'log'"),
        ({"loss": "absolute", "scale": "predicted"}, "the predicted scale is defined for the squared loss"),
    ],
)
def test_unknown_names_are_refused(table, options, says):
    with pytest.raises(NextdayError) as refused:
        nextday.verdict(table, **options)
    assert says in str(refused.value)


def test_expectations_are_asked_too_and_are_in_the_json(table):
    judged = nextday.verdict(table, expect=["mine > other", "other > mine", "mine < zero"])
    assert [one.outcome for one in judged.outcomes] == ["holds", "refuted", "undecided"]  # three seeds, three tickers
    assert judged.status == 3
    assert len(judged.comparison.asked) == 2
    said = check(dump(judged.to_dict()))
    assert [one["outcome"] for one in said["expectations"]] == ["holds", "refuted", "undecided"]
    assert str(judged).splitlines()[-1] == said["expectations"][2]["sentence"]


def test_the_schema_knows_every_field_of_a_contrast_and_no_other():
    properties = json.loads(SCHEMA_FILE.read_text())["$defs"]["contrast"]["properties"]
    assert set(properties) == set(Contrast.__dataclass_fields__) | {"relation", "detectable", "equality"}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda said: said.pop("asked"),
        lambda said: said.update(schema="nextday/verdict/1"),
        lambda said: said.update(more=1),
        lambda said: said["verdict"].update(code="perhaps"),
        lambda said: said["asked"][0].update(estimate="+0.1"),
        lambda said: said["asked"][0].pop("low"),
        lambda said: said["asked"][0].update(extra=0),
        lambda said: said["counts"].update(days=0),
    ],
)
def test_the_schema_refuses_what_no_verdict_is(judged, spoil):
    said = judged.to_dict()
    assert validator().is_valid(said)
    spoil(said)
    assert not validator().is_valid(said)


def test_numbers_that_are_none_are_null_in_the_json(judged):
    assert json.loads(dump({"a": [float("nan"), (float("inf"), 1.0)], "b": {"c": float("-inf")}})) == {
        "a": [None, [None, 1.0]],
        "b": {"c": None},
    }
    with pytest.raises(AssertionError, match="NaN is no JSON"):
        check('{"schema": NaN}')


def test_the_verdict_of_a_table_is_that_of_its_parts(judged):
    with threadpool_limits(1):  # the number of threads moves the last bits
        again = compare(judged.comparison.losses, ask=[nextday.evaluate.Ask("mine", "other")])
    assert again.asked == judged.comparison.asked
