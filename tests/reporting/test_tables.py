"""What the terminal shows of a comparison, as text of a given width."""

import io

import pytest
from rich.console import Console

from nextday.evaluate import judge
from nextday.evaluate.ask import Ask
from nextday.reporting import contrasts_table, summary_table
from reporting.test_plots import make_forecasts, make_scores
from reporting.test_verdict_plot import PAIRS, SUBJECTS, compared, many, usual


def printed(*parts, width=80):
    screen = Console(file=io.StringIO(), width=width)
    for part in parts:
        screen.print(part, markup=False, highlight=False)
    return screen.file.getvalue().splitlines()


def test_the_finding_stands_second_and_says_what_features_do():
    comparison = usual()
    verdict = judge(comparison, subjects=SUBJECTS)
    title, header, *rows, caption = printed(contrasts_table(comparison, verdict))
    assert title.strip() == "skill, % of the zero forecast's RMSE; margin 0.25; simultaneous 95 % CI"
    assert header.split() == ["contrast", "finding", "estimate", "interval", "p", "(adj.)", "detectable"]
    for row, one, word in zip(rows, comparison.asked, ("hurt", "help"), strict=True):
        figures = f"{100 * one.estimate:+.2f} ({100 * one.low:+.2f} to {100 * one.high:+.2f})"
        assert row.split()[:4] == [one.first, "-", one.second, word]
        assert figures in row
        assert row.rstrip().endswith(f"{100 * one.detectable:.2f}")
    assert caption.strip() == "8 other contrasts, not asked"


def test_without_a_verdict_the_first_is_better_or_worse():
    lines = printed(contrasts_table(usual()))
    assert [line.split()[3] for line in lines[2:4]] == ["worse", "better"]


def test_what_all_rows_share_is_said_once():
    against = printed(contrasts_table(compared(ask=[Ask("Net-Raw", None), Ask("Net-Feat", None)])))
    assert against[1].startswith("variant")
    assert against[2].startswith("Net-Raw ")
    one = printed(contrasts_table(compared(ask=[Ask("Net-Raw", "Net-Feat"), Ask("Net-Raw", "Tree-Raw")])))
    assert one[1].startswith("Net-Raw - ...")
    assert one[2].startswith("Net-Feat ")


@pytest.fixture(scope="module")
def forty():
    comparison, subjects = many(40, signal=0.4)  # all beat the zero forecast
    return comparison, judge(comparison, subjects=subjects)


@pytest.mark.parametrize("width", [80, 100, 140])
def test_forty_asked_contrasts_take_less_than_sixty_lines_with_headline_and_remarks(forty, width):
    comparison, verdict = forty
    table = contrasts_table(comparison, verdict)
    lines = printed(verdict.sentence, table, *verdict.context, *(f"- {one}" for one in verdict.remarks), width=width)
    assert len(lines) < 60
    assert any(line.startswith("without-feature_00") for line in lines)
    assert any("10 more asked (" in line and "821 other contrasts, not asked" in line for line in lines)


def test_every_contrast_is_listed_where_there_is_room():
    comparison, subjects = many(20)
    lines = printed(contrasts_table(comparison, judge(comparison, subjects=subjects)))
    assert sum(line.startswith("without-feature_") for line in lines) == 20


def test_a_withheld_contrast_says_so():
    assert "withheld" in printed(contrasts_table(compared(ask=PAIRS, seeds=1)))[2]


def test_the_summary_names_the_base_rate_of_positive_returns():
    scores = make_scores(make_forecasts(("AAPL",)))
    text = " ".join(" ".join(printed(summary_table(scores, "quick"), width=140)).split())
    assert "base: base rate of positive returns, the hit rate of an always-long forecast" in text
    assert f"{100 * scores['AlwaysUp'].mean():.2f}" in text
