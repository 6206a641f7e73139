"""The results of a study in Python: short to print, a card in a notebook, figures and pandas frames by name."""

import pickle

import matplotlib as mpl
import pandas as pd
import polars as pl
import pytest

import nextday
from finished import make_stage, write
from nextday.errors import MissingError, OutputError
from undrawn import undrawn

PNG = b"\x89PNG\r\n\x1a\n"
DRAWN = ("verdict", "ablation_heatmap")  # of the figures
VARIANTS = {"A": (0.3, 0.1, 1.0), "<B>": (0.0, 0.1, 1.0)}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "made"
    write(folder, make_stage(VARIANTS), question="Is <A> better?", verdict={"ask": ["A - <B>"]})
    with undrawn(*DRAWN):
        return nextday.report(folder)


def test_results_print_the_answer_in_a_few_lines(results):
    head, answer, size = repr(results).splitlines()
    assert head == "Results of made"
    assert answer == results.verdict.sentence
    assert size == f"2 variants: squared loss, against the zero forecast; 2 tickers, 250 days; files: {results.out}"


def test_verdict_and_comparison_print_in_two_lines(results):
    assert repr(results.verdict).splitlines() == ["Verdict: resolved", results.verdict.sentence]
    assert repr(results.comparison).splitlines() == [
        "Comparison of 2 variants: squared loss, against the zero forecast; 2 tickers, 250 days",
        "1 asked contrast: 1 better; 2 others, not asked",
    ]
    assert len(repr(results.comparison.losses)) < 100


def test_a_notebook_shows_the_answer_the_contrasts_and_the_report(results):
    made = results._repr_html_()
    asked = results.comparison.asked[0]
    assert "made: Is &lt;A&gt; better?" in made
    for text in ("A - &lt;B&gt;", "better", f"{100 * asked.estimate:+.2f}", f"{100 * asked.low:+.2f} to"):
        assert f">{text}" in made
    assert f"{results.out}/report.html" in made
    assert "<B>" not in made
    for one in (results.verdict, results.comparison):
        assert "A - &lt;B&gt;" in one._repr_html_() or one is results.verdict
        assert "<B>" not in one._repr_html_()


def test_every_figure_is_that_of_its_file_and_knows_its_frame(results):
    files = {path.name for path in results.out.glob("made_*.png")}
    assert {f"made_{name}.png" for name in results.figures} == files
    for name in DRAWN:
        assert results.figures[name]._repr_png_() == (results.out / f"made_{name}.png").read_bytes()
    for plate in results.figures.values():
        assert isinstance(plate.frame(), pl.DataFrame)
        assert len(plate.frame())
    assert list(results.figures["verdict"].frame()["first"]) == ["A"]


def test_a_plot_is_matplotlibs_without_pyplot_or_a_change_of_settings(results):
    before = dict(mpl.rcParams)
    figure = results.plot("ablation_heatmap")
    assert isinstance(figure, mpl.figure.Figure)
    assert figure._repr_png_() == (results.out / "made_ablation_heatmap.png").read_bytes()
    assert dict(mpl.rcParams) == before
    assert figure.canvas.manager is None  # pyplot knows nothing of it


def test_an_unknown_figure_or_table_is_named_with_the_known_ones(results):
    with pytest.raises(OutputError, match="no figure 'verdct' here; did you mean verdict\\? known: verdict, ablation"):
        results.plot("verdct")
    with pytest.raises(OutputError, match="no figure"):
        results.figures["curves"]
    assert results.figures.get("curves") is None
    with pytest.raises(OutputError, match="no table 'score' here; did you mean scores\\? known: summary, contrasts,"):
        results.to_pandas("score")


def test_figures_print_their_names_and_titles(results):
    assert repr(results.figures).splitlines()[0] == "verdict: Asked contrasts, their intervals and the margin"


def test_pandas_users_get_pandas_back(results):
    for table in ("summary", "contrasts", "forecasts", "scores", "history"):
        frame = results.to_pandas(table)
        assert isinstance(frame, pd.DataFrame)
        assert list(frame.columns) == getattr(results, table).columns
    assert results.to_pandas()["variant"].tolist() == ["A", "<B>"]
    assert results.to_pandas("forecasts")["date"].dtype.kind == "M"
    assert results.verdict.to_pandas()["finding"].tolist() == ["better"]
    assert results.comparison.to_pandas().shape == results.contrasts.shape


def test_without_pandas_the_way_out_is_named(results, monkeypatch):
    def missing(_):
        raise ModuleNotFoundError("pandas is required")

    monkeypatch.setattr(pl.DataFrame, "to_pandas", missing)
    with pytest.raises(MissingError, match="pandas is required; install both: pip install pandas pyarrow"):
        results.to_pandas()


def test_results_can_be_pickled(results):
    again = pickle.loads(pickle.dumps(results))
    assert again.verdict == results.verdict
    assert again.figures["verdict"].frame().equals(results.figures["verdict"].frame())
