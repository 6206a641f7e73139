"""Exit statuses: wrong usage is 2, a mistake in bars, a study or files is 1; each in one line."""

import sys
from pathlib import Path

import pytest

from nextday.cli.main import main
from nextday.cli.options import changes_of, load_study
from nextday.errors import OptionError, StudyError

STUDY = "name: mine\nvariants:\n  A: {model: zero, features: raw}\n"


@pytest.fixture
def end(tmp_path, monkeypatch, capsys):
    """Run a command in this process, in a folder with two studies and a forecasts table; gives its status and line."""
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(STUDY)
    Path("wrong.yaml").write_text(STUDY + "lookback: 0\n")
    days = "".join(
        f"{v},T,2020-01-{d:02},{0.01 * (d % 3)},{p}\n" for v, p in (("A", 0.001), ("B", 0.002)) for d in range(1, 29)
    )
    Path("table.csv").write_text("variant,ticker,origin,actual,predicted\n" + days)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["nextday", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert error.startswith("nextday: ")
        return ended.value.code, error

    return call


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("run", "Missing argument 'study'"),
        ("report", "Missing argument 'folder'"),
        ("verdict", "Missing argument 'file'"),
        ("plan", "Missing argument 'study'"),
        ("check", "Missing argument"),
        ("init", "Missing argument 'name'"),
        ("show", "Missing argument 'study'"),
        ("completion", "Missing argument"),
        ("runn", "No such command 'runn'. Did you mean 'run'"),
        ("data shw", "No such command 'shw'"),
        ("run mine.yaml --sedes 1", "No such option: --sedes"),
        ("run mine.yaml extra", "unexpected extra argument"),
        ("run mine.yaml --workers -1", "--workers"),
        ("run mine.yaml --workers two", "--workers"),
        ("run mine.yaml --folds 0", "--folds"),
        ("plan mine.yaml --folds 0", "--folds"),
        ("bench --epochs 0", "--epochs"),
        ("completion tcsh", "Invalid value for 'shell': 'tcsh' is not one of 'bash', 'zsh', 'fish'"),
        ("run mine.yaml --device tpu", "'tpu' is not one of"),
        ("run mine.yaml --seeds 42,x", "mine.yaml: seeds.1: expected a whole number, got 'x'"),
        ("run mine.yaml --seeds 46-42", "seeds: the range 46-42 must go from low to high"),
        ("run mine.yaml --tickers AAPL,,KO", "tickers holds an empty ticker"),
        ("run mine.yaml --decimal ;", "decimal: expected '', '.' or ',', got ';'"),
        ("run mine.yaml --set lookback", "--set lookback: expected KEY=VALUE"),
        ("run mine.yaml --set lookbak=5", "unknown key 'lookbak'; did you mean lookback?"),
        ("run mine.yaml --set variants.A={model:", "--set variants.A: '{model:' is not YAML"),
        ("plan mine.yaml --set lookback=0", "lookback: expected at least 1, got 0"),
        ("run all --set lookback=0", "lookback: expected at least 1, got 0"),
        ("run mine.yaml --ask A", "expected 'A - B'"),
        ("run mine.yaml --expect A>C", "'C' is no variant"),
        ("run mine.yaml --ask @nowhere", "--ask @nowhere cannot be read"),
        ("plan mine.yaml --ask A-C", "'C' is no variant"),
        ("verdict table.csv --ask A-C", "'C' is no variant; expected 'A - B', of A, B"),
        ("verdict table.csv --margin 0", "--margin"),
        ("run stage7 --store x", "takes no other option"),
        ("run all --ask A-B", "--ask, --expect and --plant need a single study"),
        ("run mine.yaml --cluster auto --workers 2", "give only one of them"),
        ("data show --decimal ;", "decimal: expected '', '.' or ',', got ';'"),
        ("data fetch --start 2020-13-01", "--start"),
    ],
)
def test_wrong_usage_exits_with_2(end, arguments, says):
    status, error = end(*arguments.split())
    assert says in error
    assert status == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("run nowhere", "unknown study 'nowhere'"),
        ("run nowhere.yaml", "nowhere.yaml does not exist"),
        ("run wrong.yaml", "wrong.yaml: lookback: expected at least 1, got 0"),
        ("run wrong.yaml --seeds 1", "wrong.yaml: lookback: expected at least 1, got 0"),
        ("run mine", "did you mean the file mine.yaml?"),
        ("run mine.yaml --data nowhere.csv", "nowhere.csv does not exist"),
        ("run mine.yaml --tickers APPL --workers 0", "unknown ticker 'APPL'; did you mean AAPL?"),
        ("run mine.yaml --set variants.A.model=zeero --workers 0", "unknown model 'zeero'; did you mean zero?"),
        ("report nowhere", "nowhere does not contain a finished study"),
        ("verdict nowhere.csv", "nowhere.csv"),
        ("verdict table.csv --benchmark C", "benchmark 'C' is not in the table; it has A, B"),
        ("check nowhere.py", "nowhere.py does not exist"),
        ("show wrong.yaml", "lookback: expected at least 1, got 0"),
    ],
)
def test_a_mistake_in_what_a_command_reads_exits_with_1(end, arguments, says):
    status, error = end(*arguments.split())
    assert says in error
    assert status == 1


def test_values_of_set_in_brackets_and_braces_are_yaml():
    given = ["variants.A.options={hidden: 16, sizes: [1, NO]}", "tickers=[KO, ON]", "seeds=1-3", "question=a=b {c}"]
    assert changes_of(given, bars={}, data=None) == {
        "variants.A.options": {"hidden": "16", "sizes": ["1", "NO"]}, "tickers": ["KO", "ON"], "seeds": "1-3",
        "question": "a=b {c}",
    }  # fmt: skip


def test_only_a_study_that_is_right_by_itself_makes_an_option_wrong(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(STUDY)
    assert load_study(str(path), {"tickers": "AAPL,KO", "seeds": "1-2"}).seeds == (1, 2)
    with pytest.raises(OptionError):
        load_study(str(path), {"lookback": "0"})
    path.write_text(STUDY + "warmup: -1\n")
    for changes in ({}, {"lookback": "0"}):
        with pytest.raises(StudyError) as error:
            load_study(str(path), changes)
        assert not isinstance(error.value, OptionError)
