"""The pages: they build without a warning and load nothing, what they show runs, what is made from code is up to date."""

import itertools
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

import nextday
from nextday.cli.main import app

ROOT = Path(__file__).parents[1]
DOCS, BOOKS = ROOT / "docs", sorted((ROOT / "examples").glob("*.ipynb"))
PAGES = sorted([*DOCS.glob("*.md"), *DOCS.glob("reference/*.md")])
RUN = [page for page in PAGES if "```sh" in page.read_text("utf-8") or "```python" in page.read_text("utf-8")]
SLOW = [pytest.param(page, marks=pytest.mark.slow, id=page.stem) for page in RUN]
LOADED = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*?\bsrc="([^"]+)|<link\b[^>]*?\bhref="([^"]+)|url\(["']?([^)"']+)"""
)

sys.path.insert(0, str(DOCS))
import pages  # noqa: E402 - a script beside the pages


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("sphinx", reason="the extra docs is not installed")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "-d", f"{out}/.doctrees"]
    done = subprocess.run([*command, str(DOCS), str(out)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(site):
    files = [*site.glob("*.html"), *site.glob("reference/*.html"), *site.glob("_static/**/*.css")]
    assert {"index.html", "tutorial.html", "api.html", "glossary.html"} <= {file.name for file in files}
    for file in files:
        found = ["".join(groups) for groups in LOADED.findall(file.read_text("utf-8"))]
        assert not [one for one in found if re.match(r"(https?:)?//", one)], file


def test_every_page_says_what_it_is_of_and_has_a_word_for_the_search(site):
    index = (site / "searchindex.js").read_text("utf-8")
    for page in PAGES:
        title = re.search(r"^# (.+)$", page.read_text("utf-8"), re.MULTILINE)
        assert title, page
        assert json.dumps(title[1]) in index, page


def test_the_python_page_has_every_public_name(site):
    text = (site / "reference" / "api.html").read_text("utf-8")
    for name in set(nextday.__all__) - {"__version__"}:
        assert f'id="nextday.{name}"' in text, f"{name} is not on docs/reference/api.md"


def test_every_key_and_every_option_is_explained():
    study, cli = ((DOCS / "reference" / name).read_text("utf-8") for name in ("study.md", "cli.md"))
    rows = re.findall(r"^\| (`.+?`) \| (.*) \|$", study + cli, re.MULTILINE)
    assert len(rows) > 100
    assert [key for key, meaning in rows if not meaning.strip() or meaning.startswith(".")] == []


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.stem)
def test_commands_are_commands_with_these_options(page):
    for block in pages.blocks_of(page.read_text("utf-8")):
        lines = block.body.replace("\\\n", " ").splitlines() if block.language == "sh" else []
        for words in map(_words, lines):
            if "nextday" in words and words[0] not in {"docker", "pip"}:
                call = itertools.takewhile(
                    lambda word: not set(word) <= set("|>&;"), words[words.index("nextday") + 1 :]
                )
                _parse(list(call))


def _words(line):
    """Cut a line as a shell would; quotes keep what they hold, comments go."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    return list(lexer)


def _parse(words):
    """Parse as the command line would, without running anything."""
    command = get_command(app)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    command.make_context("nextday", words)


def test_a_wrong_option_would_be_noticed():
    with pytest.raises(Exception, match="ticker"):
        _parse(["run", "stage2", "--ticker", "KO"])


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.stem)
def test_studies_are_studies(page, tmp_path):
    for block in pages.blocks_of(page.read_text("utf-8")):
        if block.language == "yaml":
            (tmp_path / "study.yaml").write_text(block.body)
            assert nextday.Study.load(tmp_path / "study.yaml").variants


def test_links_of_the_readme_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)", (ROOT / "README.md").read_text("utf-8")):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_the_laboratory_on_its_page_is_the_one_in_the_examples():
    blocks = {block.value: block.body for block in pages.blocks_of((DOCS / "plugins.md").read_text("utf-8"))}
    for name in ("my_lab.py", "my_lab.yaml"):
        assert blocks[name] == (DOCS / "examples" / name).read_text("utf-8")


def test_the_tutorial_runs_up_to_its_study(tmp_path):
    page = DOCS / "tutorial.md"
    assert pages.run_page(page, tmp_path, slow=False) == page.read_text("utf-8")


@pytest.mark.parametrize("page", SLOW)
def test_all_of_a_page_runs_and_shows_what_comes_out(page, tmp_path):
    assert pages.run_page(page, tmp_path) == page.read_text("utf-8")


@pytest.mark.slow
def test_the_recipe_for_mlflow_runs(tmp_path):
    blocks = pages.blocks_of((DOCS / "recipes.md").read_text("utf-8"))
    (tmp_path / "mlflow.py").write_text(MLFLOW)
    pages.run_block(next(one for one in blocks if "mlflow" in one.body), tmp_path, pages.environment_of(tmp_path), "")


MLFLOW = '''"""As much of MLflow's interface as the recipe uses."""
from contextlib import nullcontext
from pathlib import Path

def start_run(*, run_name): return nullcontext()
def set_tag(key, value): assert isinstance(key, str)
def log_params(params): assert all(isinstance(key, str) for key in params)
def log_metrics(metrics): assert all(isinstance(value, float) for value in metrics.values())
def log_artifact(path): assert Path(path).is_file()
'''


def test_a_block_that_fails_and_output_that_is_old_are_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```sh\necho one\n```\n\n<!-- output: . -->\n```text\ntwo\n```\n")
    assert "```text\none\n" in pages.run_page(page, tmp_path)
    (tmp_path / "again").mkdir()
    page.write_text("```sh\nfalse\n```\n")
    with pytest.raises(RuntimeError, match="block 1 fails"):
        pages.run_page(page, tmp_path / "again")


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_notebooks_are_stored_as_run_and_small(book):
    text = book.read_text("utf-8")
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert len(text) < 300_000
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert not [one for cell in cells for one in cell["outputs"] if one["output_type"] == "error"]
    assert not re.search(r"/(?:home|root|tmp|Users)/", text), "names a folder of the machine"


@pytest.mark.slow
@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_notebooks_run(book):
    pytest.importorskip("nbclient", reason="the extra docs is not installed")
    command = [sys.executable, str(ROOT / "examples" / "execute.py"), "--check", str(book)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
