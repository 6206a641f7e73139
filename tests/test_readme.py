"""What the README shows runs as it stands there, and its figures are those of the result files."""

import re
import subprocess
import sys
from pathlib import Path

import nextday

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def block(language: str, holding: str) -> str:
    return next(text for text in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if holding in text)


def test_figures_are_those_of_the_result_files():
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "| LSTM-Feat | engineered | 0.01" in README


def test_the_python_example_runs_without_a_main_guard(tmp_path):
    (tmp_path / "example.py").write_text(block("python", "nextday.run"))
    done = subprocess.run([sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "LSTM-OHLCV" in done.stdout
    assert done.stderr == ""


def test_the_study_of_ones_own_is_a_study(tmp_path):
    (tmp_path / "mine.yaml").write_text(block("yaml", "LSTM-Mine"))
    study = nextday.Study.load(tmp_path / "mine.yaml")
    assert study.feature_sets["momentum"] == ("log_return", "roll_vol", "my_column")


def test_the_commands_are_targets_and_commands():
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"^make (\w+)", README, re.MULTILINE)) <= set(targets)
    assert set(re.findall(r"nextday (run|data|list)", README)) == {"run", "data", "list"}
