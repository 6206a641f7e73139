"""What a new user starts from: the files of init, the YAML of a study, completion, the version."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import nextday
from nextday.cli.main import main
from nextday.presets import presets, stages
from nextday.study import Study

HERE = {"PATH": "", "PYTHONPATH": str(Path(nextday.__file__).parents[1])}  # of another process


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys):
    """Run a command in this process, in an empty folder; gives standard output."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments, status=0, says=""):
        monkeypatch.setattr(sys, "argv", ["nextday", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        assert ended.value.code == status, shown.err
        assert says in shown.err
        assert not status or shown.err.count("\n") == 1
        return shown.out

    return call


def uncommented(path):
    """Take the comment signs off what the files tell a user to take them off."""
    text = path.read_text("utf-8")
    if path.suffix == ".yaml":
        return re.sub(r"^  # (GRU-)", r"  \1", text, flags=re.M)
    head, _, model = text.partition("#\n# from torch")
    lines = ("# from torch" + model).splitlines()
    return head + "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines) + "\n"


@pytest.mark.usefixtures("one_undrawn")
def test_the_files_of_init_run_as_they_are(cli):
    out = cli("init", "mine")
    assert out.splitlines()[0] == "mine.yaml and mine.py written. Next:"
    assert "nextday run mine.yaml" in out
    assert "NAME" not in Path("mine.yaml").read_text() + Path("mine.py").read_text()
    assert cli("check", "mine.py") == "feature distance: passes\n"
    shown = cli("run", "mine.yaml", "--tickers", "AAPL,KO", "--workers", "0", "--quiet")
    assert "Ridge-Mine - Ridge-Raw" in shown
    assert Path("results/mine/report.html").is_file()


@pytest.mark.usefixtures("one_undrawn")
def test_the_model_of_init_runs_when_its_comment_signs_are_gone(cli, bars):
    bars.frame.write_parquet("bars.parquet")
    cli("init", "mine")
    for path in (Path("mine.py"), Path("mine.yaml")):
        path.write_text(uncommented(path))
    small = ["--set", "training.max_epochs=1", "--set", "lookback=5", "--set", "variants.GRU-Mine.options={hidden: 4}"]
    given = ["--data", "bars.parquet", "--market", "MKT", "--tickers", "AAA", "--seeds", "1-3"]
    cli("run", "mine.yaml", *small, *given, "--ask", "GRU-Mine - GRU-Raw", "--workers", "0", "-q")
    forecasts = nextday.report("results/mine").forecasts
    assert forecasts.filter(variant="GRU-Mine")["seed"].unique().sort().to_list() == [1, 2, 3]


@pytest.mark.parametrize("name", ["mine", "mine.yaml", "mine.py"])
def test_init_overwrites_nothing(cli, name):
    Path("mine.py").write_text("kept")
    cli("init", name, status=1, says="nextday: mine.py exists, and nothing is overwritten")
    assert Path("mine.py").read_text() == "kept"
    assert not Path("mine.yaml").exists()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("../mine", "letters, digits and . _ -"),
        ("-x", "No such option"),
        ("random", "random.py would hide the Python module random"),
        ("nextday", "nextday.py would hide"),
        ("stage2", "stage2 is a study that ships with nextday"),
        ("all", "all is a study"),
    ],
)
def test_init_refuses_names_that_would_be_in_the_way(cli, name, says):
    cli("init", name, status=2, says=says)
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("name", presets())
def test_what_show_prints_is_the_study(cli, name):
    Path("copy.yaml").write_text(cli("show", name))
    Path("full.yaml").write_text(cli("show", name, "--full"))
    assert Study.load("copy.yaml") == Study.load("full.yaml") == Study.load(name)


def test_show_prints_defaults_and_refuses_what_is_no_study(cli):
    full = cli("show", "stage2", "--full")
    assert full.startswith("name: stage2\nquestion: ")
    assert "max_epochs: 100" in full
    assert "max_epochs" not in cli("show", "stage2")
    cli("show", "stag2", status=1, says="did you mean stage2?")
    cli("show", "all", status=1, says="all runs or compares other studies")


def test_the_version_is_shown(cli):
    assert cli("--version") == f"nextday {nextday.__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(cli, shell):
    assert "_NEXTDAY_COMPLETE=complete_" + shell in cli("completion", shell)
    assert "complet" not in cli("run", "--help")


def test_help_has_a_table_of_exit_statuses_and_no_options_of_completion(cli):
    shown = cli("--help")
    for status in (
        "0    done",
        "1    a mistake",
        "2    wrong usage",
        "3    an expectation is refuted",
        "4    an",
        "130  stopped",
    ):
        assert status in shown
    assert "--install-completion" not in shown


def test_python_m_completes_what_is_typed(tmp_path):
    def complete(words):
        typed = {
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
            "_NEXTDAY_COMPLETE": "complete_bash",
        }
        command = [sys.executable, "-m", "nextday"]
        done = subprocess.run(command, env=HERE | typed, cwd=tmp_path, capture_output=True, text=True, check=True)  # fmt: skip
        return done.stdout.split()

    (tmp_path / "stars.yaml").write_text("")
    assert complete("nextday compl") == ["completion"]
    assert complete("nextday run sta") == [*stages(), "stage7", "stars.yaml"]
    assert complete("nextday run fam") == ["families"]
    assert "--quiet" in complete("nextday run stage2 --qu")


@pytest.mark.parametrize("words", [("--help",), ("--version",)])
def test_what_says_something_of_itself_loads_no_library(words):
    asked = f"import sys; from nextday.cli.main import main; sys.argv = {['nextday', *words]}; "
    loaded = "import atexit; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); main()"
    done = subprocess.run([sys.executable, "-c", asked + loaded], env=HERE, capture_output=True, text=True, check=True)
    heavy = {"arch", "matplotlib", "numpy", "pandas", "polars", "pydantic", "scipy", "sklearn", "torch", "yaml"}
    assert "typer" in done.stderr.split()
    assert heavy.isdisjoint(done.stderr.split())
