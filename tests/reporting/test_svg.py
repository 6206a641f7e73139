"""Figures as parts of a page: series and their entries are joined by number, hidden points have no text."""

import re

import numpy as np
import pytest

from nextday.reporting import style
from nextday.reporting.style import new_figure
from nextday.reporting.svg import MOST_POINTS, picture


def made(names=("first", "second"), x=(1.0, 2.0, 3.0), **limits):
    """Draw a line per name, at the heights 1, 2, ..., with a legend and a text at each point."""
    figure = new_figure(5, 3, "A title", "Some details: $ and more.")
    ax = figure.subplots()
    for at, name in enumerate(names):
        (line,) = ax.plot(x, [at + 1.0] * len(x), color=style.COLOURS[at])
        style.series(line, name, [f"{name} {value:g}" for value in x])
    ax.set(**limits)
    style.key(figure, [style.handle(name, style.COLOURS[at], line="-") for at, name in enumerate(names)])
    return picture("key", figure)


def test_title_and_details_are_text_and_not_drawn():
    one = made()
    assert (one.title, one.reading) == ("A title", "Some details: $ and more.")
    assert "A title" not in one.svg


def test_a_series_and_its_entry_of_the_legend_have_one_number():
    svg = made().svg
    for number in "01":
        assert len(re.findall(f'data-series="{number}"', svg)) == 1
        assert len(re.findall(f'data-key="{number}"', svg)) == 2, "a line and a name"


def test_points_stand_where_they_are_drawn():
    one = made(("first",))
    drawn = re.search(r'data-series="0">\s*<path d="([^"]*)"', one.svg)[1]
    corners = np.array([[float(value) for value in pair] for pair in re.findall(r"[ML] ([\d.]+) ([\d.]+)", drawn)])
    places = np.array([(x, y) for _, x, y, _ in one.points])
    assert [text for *_, text in one.points] == ["first 1", "first 2", "first 3"]
    assert places[[0, -1]] == pytest.approx(corners[[0, -1]], abs=0.15)


def test_points_off_the_axis_have_no_text():
    assert [text for *_, text in made(("first",), xlim=(1.5, 3.5)).points] == ["first 2", "first 3"]


def test_long_series_keep_their_ends_and_a_limited_number_of_points():
    points = made(("long",), x=tuple(np.arange(5000.0))).points
    assert len(points) == MOST_POINTS
    assert [points[0][3], points[-1][3]] == ["long 0", "long 4999"]


def test_colours_are_variables_of_the_page():
    svg = made().svg
    assert "var(--c0)" in svg
    assert "var(--c1)" in svg
    assert not re.search("#0072b2|#d55e00|#000000|#ffffff", svg, re.IGNORECASE)


@pytest.mark.parametrize("name", ["<b>&", '"quoted"', "</svg><script>alert(1)</script>", "$x$", "ünï"])
def test_names_are_text_and_nothing_else(name):
    one = made((style.plain(name), "other"))
    assert "<script" not in one.svg
    assert "<b>" not in one.svg
    assert len(re.findall("data-key", one.svg)) == 4


def test_two_figures_of_a_page_share_no_identifier():
    first, second = (picture(key, _small()) for key in ("one", "two"))
    names = [set(re.findall(r'\bid="([^"]*)"', one.svg)) for one in (first, second)]
    assert names[0]
    assert not names[0] & names[1]


def _small():
    figure = new_figure(4, 2, "t", "d")
    figure.subplots().plot([1, 2], [1, 2], "o")
    return figure
