"""The picture of the verdict: what is drawn is what was asked, and nothing is cut or covered."""

from dataclasses import replace
from functools import cache
from itertools import combinations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb

import worlds
from nextday.evaluate import compare, judge, measure
from nextday.evaluate.ask import Ask, Subject
from nextday.reporting.findings import BETWEEN, lines_of, reach
from nextday.reporting.style import COLOURS, GREY, STYLE, png
from nextday.reporting.verdict_plot import MOST, WIDTH, draw_verdict

SUBJECTS = {
    f"{model}-{name}": Subject(kind, features, role)
    for model, kind in {"Net": "lstm", "Tree": "hist_gradient_boosting"}.items()
    for name, features, role in (("Raw", "raw", "raw"), ("Feat", "engineered", "engineered"))
}
PAIRS = [Ask("Tree-Feat", "Tree-Raw"), Ask("Net-Feat", "Net-Raw")]
QUESTION = "Do features help?"


@pytest.fixture(scope="module", autouse=True)
def report_style():
    with mpl.rc_context(STYLE):
        yield


def compared(strengths=None, ask=PAIRS, *, seed=0, explore=None, **changes):
    strengths = strengths or {"Net-Raw": 0.2, "Net-Feat": 1.0, "Tree-Raw": 1.0, "Tree-Feat": 0.1}
    settings = {"days": 600, "tickers": 4, "seeds": 3, "bias": 0.02, "wiggle": 0.02, "signal": 0.1} | changes
    world = worlds.World(strengths=strengths, **settings)
    return compare(measure(worlds.draw(world, seed)), ask=ask, explore=explore, replicates=300)


@cache
def usual():
    """What most tests look at, compared once."""
    return compared()


def changed(comparison, *changes):
    """Put other numbers into the asked contrasts."""
    asked = [replace(one, **change) for one, change in zip(comparison.asked, changes, strict=True)]
    return replace(comparison, asked=tuple(asked))


def drawn(comparison, subjects=SUBJECTS, question=QUESTION):
    figure = draw_verdict(comparison, judge(comparison, subjects=subjects), question)
    figure.draw_without_rendering()
    return figure


def rows_of(figure):
    """Names of the rows by position; heads of groups are bold."""
    labels = figure.axes[0].get_yticklabels()
    return [(label.get_text(), label.get_fontweight() == "bold") for label in labels]


def texts_of(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def thin(ax):
    return [tuple(line.get_segments()[0][:, 0]) for line in ax.collections]


def thick(ax):
    return [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches[1:]]


def test_the_picture_is_titled_with_the_question_and_the_headline():
    comparison = usual()
    figure = drawn(comparison)
    title, *below = [text.get_text() for text in figure.texts]
    assert title == QUESTION
    assert " ".join(below).startswith(judge(comparison, subjects=SUBJECTS).sentence)
    assert "4 tickers, 600 days, 3 seeds." in below[-1]


def test_contrasts_stand_below_their_model_with_both_intervals_in_percent():
    comparison = usual()
    (ax,) = (figure := drawn(comparison)).axes
    assert rows_of(figure) == [
        ("gradient boosting", True), ("Tree-Feat − Tree-Raw", False), ("LSTM", True), ("Net-Feat − Net-Raw", False),
    ]  # fmt: skip
    asked = comparison.asked
    assert np.array(thin(ax)) == pytest.approx(100 * np.array([(one.low, one.high) for one in asked]))
    assert np.array(thick(ax)) == pytest.approx(100 * np.array([(one.equal_low, one.equal_high) for one in asked]))
    dots = [(line.get_xdata()[0], line.get_ydata()[0]) for line in ax.lines if line.get_marker() == "o"]
    assert np.array(dots) == pytest.approx(
        np.array([(100 * one.estimate, row) for one, row in zip(asked, (1, 3), strict=True)])
    )
    margin = ax.patches[0]
    assert (margin.get_x(), margin.get_x() + margin.get_width()) == pytest.approx((-0.25, 0.25))


def test_features_that_help_are_green_that_hurt_are_vermilion_and_both_are_said_in_words():
    figure = drawn(usual())
    colours = [to_hex(line.get_color()[0]).upper() for line in figure.axes[0].collections]
    assert colours == [COLOURS[1], COLOURS[2]]
    words = {text.get_text(): to_hex(text.get_color()).upper() for text in figure.axes[0].texts}
    assert words["hurt"] == COLOURS[1]
    assert words["help"] == COLOURS[2]
    assert {"finding", "estimate, % (95 % CI)", "←  hurt", "help  →"} <= set(words)


def test_every_estimate_is_printed_with_its_interval():
    comparison = usual()
    texts = texts_of(drawn(comparison))
    for one in comparison.asked:
        figures = f"{100 * one.estimate:+.2f} ({100 * one.low:+.2f} to {100 * one.high:+.2f})".replace("-", "−")
        assert figures in texts


def test_cannot_tell_is_grey_equal_is_hatched_and_withheld_is_dotted():
    unsure = {"estimate": 0.001, "low": -0.02, "high": 0.022, "equal_low": -0.01, "equal_high": 0.012}
    equal = {"estimate": 0.0005, "low": -0.002, "high": 0.003, "equal_low": -0.001, "equal_high": 0.002}
    (ax,) = (figure := drawn(changed(usual(), unsure, equal))).axes
    assert [to_hex(line.get_color()[0]).upper() for line in ax.collections] == [GREY, COLOURS[0]]
    assert [bar.get_hatch() for bar in ax.patches[1:]] == [None, "//////"]
    assert {"inconclusive", "equal"} <= set(texts_of(figure))
    (ax,) = (figure := drawn(changed(usual(), unsure | {"withheld": "too few days"}, equal))).axes
    assert "withheld" in texts_of(figure)
    solid = [line.get_linestyle()[0][1] is None for line in ax.collections]
    assert solid == [False, True]


def test_a_hopeless_model_is_an_arrow_at_the_edge_and_does_not_set_the_axis():
    strengths = {name: 0.1 * at for at, name in enumerate("ABCD")} | {"Persistence": -9.0}
    comparison = compared(strengths, [Ask(name, None) for name in strengths])
    (ax,) = (figure := drawn(comparison)).axes
    (bad,) = (one for one in comparison.asked if one.first == "Persistence")
    low, high = ax.get_xlim()
    assert 100 * bad.high < low, "all of its interval is off the axis"
    assert high - low < -50 * bad.estimate
    arrows = [(line.get_xdata()[0], line.get_ydata()[0]) for line in ax.lines if line.get_marker() == "<"]
    assert arrows == [(low, 5)]
    assert any(text.startswith(f"−{abs(100 * bad.estimate):.2f} (") for text in texts_of(figure))
    assert "Arrows: beyond the axis." in " ".join(text.get_text() for text in figure.texts)
    assert [name for name, _ in rows_of(figure)] == ["Against the zero forecast", *strengths]


def test_without_anything_far_nothing_is_said_of_arrows():
    assert "Arrows" not in " ".join(text.get_text() for text in drawn(usual()).texts)


def test_margins_of_their_own_are_shaded_row_by_row():
    ask = [replace(one, margin=margin) for one, margin in zip(PAIRS, (0.002, 0.01), strict=True)]
    (ax,) = (figure := drawn(compared(ask=ask))).axes
    shades = [bar for bar in ax.patches if to_rgb(bar.get_facecolor()) == to_rgb(GREY)]
    assert [bar.get_y() + bar.get_height() / 2 for bar in shades] == pytest.approx([1, 3])
    assert [bar.get_width() for bar in shades] == pytest.approx([0.4, 2.0])
    assert "margin of each contrast" in " ".join(text.get_text() for text in figure.texts)


def test_the_colour_of_a_worse_pair_and_its_direction_need_no_features():
    comparison = compared({"a": 1.0, "b": 0.1}, [Ask("b", "a")])
    figure = drawn(comparison, {})
    assert rows_of(figure) == [("b − a", False)]
    assert {"worse", "←  first worse", "first better  →"} <= set(texts_of(figure))


def many(count, **changes):
    """A model beside those that lack one of its features, asked of each."""
    useful = (0, count - 1)
    strengths = {"All": 1.0} | {f"without-feature_{at:02d}": 0.4 if at in useful else 1.0 for at in range(count)}
    ask = [Ask("All", name) for name in strengths if name != "All"]
    comparison = compared(strengths, ask, days=150, tickers=2, **changes)
    return comparison, {name: Subject("lstm", name, "engineered") for name in strengths}


HOSTILE = ("$\\alpha_{$", "_hidden", "<b>&", "two\nlines", "x" * 80, "%s {0}")
CASES = {
    "one": (lambda: (compared(ask=PAIRS[:1]), SUBJECTS)),
    "three": (lambda: (compared(ask=[*PAIRS, Ask("Net-Raw", None)]), SUBJECTS)),
    "six": (
        lambda: (compared({name: 0.1 * at for at, name in enumerate("ABCDEF")}, [Ask(n, None) for n in "ABCDEF"]), {})
    ),
    "very many": (lambda: many(MOST + 2, explore=())),
    "hostile": (
        lambda: (compared(dict.fromkeys(HOSTILE, 0.5), [Ask(a, b) for a, b in combinations(HOSTILE, 2)][:6]), {})
    ),
}


QUESTIONS = {"none": "", "short": QUESTION, "long": "WHICH OF THESE MODELS IS WORTH ITS COST, " * 6}


@cache
def judged_case(case):
    comparison, subjects = CASES[case]()
    return comparison, judge(comparison, subjects=subjects)


@cache
def drawn_case(case, question="long"):
    """Lay the picture of a case out, once for all who look at it."""
    figure = draw_verdict(*judged_case(case), QUESTIONS[question])
    figure.draw_without_rendering()
    return figure


@pytest.mark.parametrize(
    ("case", "question"), [*((case, "long") for case in CASES), ("one", "none"), ("three", "none"), ("three", "short")]
)
def test_nothing_is_cut_or_covered(case, question):
    figure = drawn_case(case, question)
    (ax,) = figure.axes
    labels = [label for label in ax.get_yticklabels() if label.get_text()]
    ticks = [label for label in ax.get_xticklabels() if ax.get_xlim()[0] <= label.get_position()[0] <= ax.get_xlim()[1]]
    texts = [*figure.texts, *ax.texts, *labels, ax.xaxis.label, *ticks]
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts if text.get_text().strip()]
    for name, box in boxes:
        assert 0 <= box.x0 < box.x1 <= figure.bbox.x1, name
        assert 0 <= box.y0 < box.y1 <= figure.bbox.y1, name
    for (name, one), (other, two) in combinations(boxes, 2):
        assert not one.overlaps(two), (name, other)
    assert figure.get_figwidth() == WIDTH
    assert figure.get_figheight() < (16 if case == "very many" else 15)
    assert not any(label._preprocess_math(label.get_text())[1] for label in labels)


@pytest.mark.parametrize("case", ["three", "hostile"])
def test_the_picture_is_written_as_png(case):
    assert png(drawn_case(case)).startswith(b"\x89PNG")


def test_of_very_many_contrasts_the_picture_holds_those_that_say_most_and_says_so():
    figure = drawn_case("very many")
    names = [name for name, bold in rows_of(figure) if not bold]
    assert len(names) == MOST
    assert {"All − without-feature_00", f"All − without-feature_{MOST + 1}"} <= set(names)
    assert f"Drawn: the {MOST} of {MOST + 2} with the smallest adjusted p." in " ".join(
        text.get_text() for text in figure.texts
    )


def test_a_single_far_contrast_is_shown_whole():
    comparison = usual()
    far = replace(comparison.asked[0], estimate=-0.45, low=-0.5, high=-0.4)
    low, high = reach([far])
    assert low < -50
    assert high > 0.25


def test_groups_keep_the_order_in_which_they_are_asked():
    ask = [Ask("Net-Feat", "Net-Raw"), Ask("Net-Feat", "Tree-Feat"), Ask("Tree-Feat", "Tree-Raw"), Ask("Net-Raw", None)]
    comparison = compared(ask=ask)
    lines = lines_of(comparison.asked, comparison, judge(comparison, subjects=SUBJECTS))
    assert [line.group for line in lines] == ["LSTM", BETWEEN, "gradient boosting", "Against the zero forecast"]
    again = compared(ask=[*PAIRS[1:], Ask("Net-Raw", None), Ask("Net-Raw", "Net-Feat")])
    found = lines_of(again.asked, again, judge(again, subjects=SUBJECTS))
    assert [line.group for line in found] == ["LSTM", "LSTM", "Against the zero forecast"]
