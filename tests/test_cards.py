"""What notebooks show: everything is escaped, and no colour is fixed, so that it fits a light and a dark page."""

import re
from pathlib import Path

from nextday.cards import Grid, card, link

EVIL = '<script>alert("1")</script>&'


def test_every_text_is_escaped():
    grid = Grid(EVIL, (EVIL,), [(EVIL,)])
    made = card(EVIL, EVIL, grid, [EVIL], files=link(Path(EVIL), EVIL))
    assert "<script" not in made
    assert made.count("&lt;script&gt;") == 9


def test_no_colour_is_fixed():
    made = card("title", "sentence", Grid("caption", ("a",), [("b",)]), ["line"])
    assert re.findall(r"background|#[0-9a-f]{3}|rgb", made) == []
    assert set(re.findall(r"[^-]color:(\w+)", made)) == {"inherit"}


def test_what_is_not_there_takes_no_room():
    assert card("title", "", Grid("caption", ("a",), []), []).count("<div") == 2


def test_a_report_below_the_notebook_is_a_link_and_another_a_path():
    assert link(Path("results/mine/report.html"), "Report").startswith('Report: <a href="results/mine/report.html">')
    assert link(Path("/elsewhere/report.html"), "Report") == "Report: <code>/elsewhere/report.html</code>"
