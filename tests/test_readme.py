"""What the README shows runs as it stands there, and its figures are those of the result files."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import nextday
from nextday.evaluate import asked_by, subjects_of
from nextday.evaluate.verdict import CODES
from nextday.features import FEATURE_SETS
from undrawn import undrawn

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
PAGE = (ROOT / "docs" / "verdict.md").read_text("utf-8")


def block(language: str, holding: str, page: str = README) -> str:
    return next(text for text in re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL) if holding in text)


def test_figures_are_those_of_the_result_files(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(ROOT / "docs")
    monkeypatch.setattr(sys, "argv", ["docs/generate.py", "--check"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path("docs/generate.py", run_name="__main__")
    assert ended.value.code == 0
    assert "| LSTM-Feat | engineered | 0.01" in (ROOT / "docs" / "results.md").read_text("utf-8")
    assert "> **LSTM: " in README


def test_the_python_example_runs_where_its_training_is_short(tmp_path, monkeypatch, capsys):
    """As it stands it runs below; here, one epoch of one ticker and seed on the days that this takes."""

    def run(study):
        assert isinstance(study, nextday.Study)
        short = study.model_dump() | {
            "tickers": ["KO"],
            "seeds": [1],
            "training": study.training.model_dump() | {"max_epochs": 1},
        }
        with undrawn():
            return real(nextday.Study.from_values(short), workers=0)

    real = nextday.run
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(nextday, "run", run)
    exec(compile(block("python", "nextday.run"), "example.py", "exec"), {"__name__": "__main__"})
    assert "LSTM-OHLCV" in capsys.readouterr().out


@pytest.mark.slow  # trains six networks on all days, in processes
def test_the_python_example_runs_without_a_main_guard(tmp_path):
    path = f"import sys; sys.path.append({str(Path(__file__).parent)!r})"
    undrawn = "from undrawn import undrawn; drawing = undrawn(); drawing.__enter__()"
    (tmp_path / "example.py").write_text(f"{path}\n{undrawn}\n{block('python', 'nextday.run')}")
    done = subprocess.run([sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "LSTM-OHLCV" in done.stdout
    assert [line for line in done.stderr.splitlines() if not line.startswith("stage2: ")] == []  # progress alone


def test_the_study_of_ones_own_is_a_study(tmp_path):
    (tmp_path / "mine.yaml").write_text(block("yaml", "LSTM-Mine"))
    study = nextday.Study.load(tmp_path / "mine.yaml")
    assert study.feature_sets["momentum"] == ("log_return", "roll_vol", "my_column")


def test_the_commands_are_targets_and_commands():
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"^make (\w+)", README, re.MULTILINE)) <= set(targets)
    assert set(re.findall(r"nextday (run|data|list)", README)) == {"run", "data", "list"}


def test_the_example_of_the_verdicts_page_answers(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(block("python", "nextday.verdict", PAGE), "example.py", "exec"), {"__name__": "__main__"})
    said = capsys.readouterr().out
    assert said.startswith("full is significantly better than raw, +")
    assert said.splitlines()[-1].startswith("resolved 0.0")


def test_the_study_of_the_verdicts_page_asks_what_it_says(tmp_path):
    (tmp_path / "mine.yaml").write_text(block("yaml", "ask:", PAGE))
    study = nextday.Study.load(tmp_path / "mine.yaml")
    asks = asked_by(study, FEATURE_SETS | study.feature_sets)
    assert [(one.first, one.second, one.margin) for one in asks] == [("B", "A", None), ("B", None, 0.005)]
    assert subjects_of(study, FEATURE_SETS | study.feature_sets)["B"].role == "engineered"


def test_the_codes_of_the_verdicts_page_are_those_there_are():
    assert set(re.findall(r"`(\w+)`", PAGE)) >= set(CODES)
