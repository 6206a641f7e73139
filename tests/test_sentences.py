"""Every sentence that the product can print, from its source: plain English, one word per thing."""

import re
import runpy
import sys
from functools import cache
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "docs" / "sentences.py"
LISTED = runpy.run_path(str(SCRIPT))
FORBIDDEN = {
    r"\bluck|\blucky\b": "seed variance",
    r"\brungs?\b": "stage",
    r"\bmend(ed|s|ing)?\b": "fix, correct",
    r"\btold (from|apart)\b": "distinguish",
    r"\bis told\b": "is reported",
    r"\bstands? beside\b": "supplementary",
    r"\bwhat another seed\b": "seed variance",
    r"\b(on|in|of|by|from|before|reaches|lengthen) valid\b(?!ation)(?!``)": "validation set",
    r"\bvalid (loss|day|days|range|says|holds|chooses)\b": "validation",
    r"\b(on|of|in) train\b(?!``)(?!ing)": "training set",
    r"(?<!\d)1 (?!days?/)(pairs|days|seeds|tickers|features|models|contrasts|rows)\b": "singular",
    r"\bs a training\b": "s per training",
    r"\bmay all have been\b": "too few trainings",
    r"\bcould have gone unseen\b": "may not have occurred",
    r"\bforecast the same everywhere\b": "identical forecasts",
    r"\bcould see\b|\bcould have seen\b": "minimum detectable difference",
    r"\bin four studies of five\b|\bfour studies of five\b": "power of 80 %",
    r"\bhold at once\b|\bhold for all at once\b": "simultaneous",
    r"\bshould they hold\b|\bas it should\b": "nominal",
    r"\bdirections found\b|\bup %": "directional accuracy, base rate",
    r"\bcannot tell\b": "inconclusive",
}
KEPT = ("``cannot tell``", "cannot tell")  # the value of ``finding`` in verdict.json, and its description


@cache
def listed():
    return list(LISTED["sentences"]())


@pytest.mark.parametrize("pattern", FORBIDDEN, ids=str)
def test_no_sentence_reads_as_if_translated(pattern):
    found = [
        f"{one.where}: {one.text[:160]}"
        for one in listed()
        if re.search(pattern, one.text) and not (one.text == KEPT[1] or KEPT[0] in one.text)
    ]
    assert not found, f"write {FORBIDDEN[pattern]}: {found}"


def test_docstrings_of_public_names_are_imperative():
    wrong = [f"{one.where}: {one.text}" for one in listed() if re.match(r"(Gives?|Tells?|Says?)\b", one.text)]
    assert not wrong


def test_messages_labels_texts_docstrings_and_templates_are_listed():
    by_kind = {}
    for one in listed():
        by_kind.setdefault(one.kind, []).append(one.text)
    assert set(by_kind) == {"docstring", "error", "label", "template", "text"}
    assert any(
        text.startswith("variants are scored on different samples: {self.reference}") for text in by_kind["error"]
    )
    assert "{inputs} help beyond {other}" in by_kind["text"]
    assert "DirAcc (%)" in by_kind["text"]
    assert any(text.startswith("No trading:") for text in by_kind["template"])
    assert any(text.startswith("Tickers to forecast") for text in by_kind["label"])
    assert len(listed()) == len({(one.kind, one.text) for one in listed()}) > 2000


def test_a_written_text_names_what_is_filled_in(tmp_path):
    (tmp_path / "a.py").write_text(
        '"""Compute one."""\n\n\ndef price(n):\n    """Return a price.\n\n    Of n days.\n    """\n'
        '    raise ValueError(f"{n} days are " "too few")\n'
    )
    (tmp_path / "b.html").write_text('<p>Skill of {{ name }}</p><script>let a = "no text";</script>')
    assert [(one.kind, one.text) for one in LISTED["sentences"](tmp_path)] == [
        ("docstring", "Compute one."),
        ("docstring", "Return a price."),
        ("docstring", "Of n days."),
        ("error", "{n} days are too few"),
        ("template", "Skill of {{ name }}"),
    ]


def test_the_script_prints_a_line_per_sentence(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--kind", "error"])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 100
    assert all(line.split("\t")[1] == "error" for line in lines)
