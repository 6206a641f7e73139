"""A run in a notebook's kernel: models of its cells, more than once, and stopped."""

import pytest

CELLS = (
    """
import os, signal, time
import numpy as np, nextday
from nextday.data import random_walk

bars = random_walk(tickers=("AAA", "BBB", "MKT"), sessions=260, seed=0).frame
study = nextday.Study.from_values({
    "name": "mine", "market": "MKT", "accept": ["*"], "lookback": 10,
    "variants": {"Mine": {"model": "mine", "features": "raw"}, "Mean": {"model": "historical_mean", "features": "raw"}},
})

def run(model):
    return nextday.run(study, bars=bars, models={"mine": model}, workers=2)
""",
    """
class Mine(nextday.Forecaster):
    def fit_predict(self, train, valid, test, *, key):
        return nextday.Fitted(np.full(len(test), 0.001))

run(Mine)
""",
    "print(run(Mine).forecasts.filter(variant='Mine')['predicted'].unique().to_list())",
    """
class Mine(nextday.Forecaster):
    def fit_predict(self, train, valid, test, *, key):
        return nextday.Fitted(np.full(len(test), 0.002))

results = run(Mine)
print(results.forecasts.filter(variant='Mine')['predicted'].unique().to_list())
""",
    "results.plot()",
    """
class Mine(nextday.Forecaster):
    def fit_predict(self, train, valid, test, *, key):
        if len(test) > 24:  # not the rehearsal
            os.kill(os.getppid(), signal.SIGINT)
            time.sleep(60)
        return nextday.Fitted(np.full(len(test), 0.003))

run(Mine)
""",
    """
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print("no process is left")
""",
)


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """The outputs of each cell."""
    nbformat, nbclient = (pytest.importorskip(name, reason="the extra docs is not installed") for name in NEEDED)
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    place = {"metadata": {"path": str(tmp_path_factory.mktemp("book"))}}
    nbclient.NotebookClient(book, timeout=240, kernel_name="python3", allow_errors=True, resources=place).execute()
    return [cell.outputs for cell in book.cells]


NEEDED = ("nbformat", "nbclient")


@pytest.mark.slow
def test_a_model_of_a_cell_runs_in_workers_again_and_changed(cells):
    bar, card = cells[1]
    assert bar.data["text/plain"] == "mine: 4/4 units"
    assert card.data["text/plain"].startswith("Results of mine")
    assert "results/mine/report.html" in card.data["text/html"]
    assert cells[2][-1].text == "[0.001]\n"
    assert cells[3][-1].text == "[0.002]\n"


@pytest.mark.slow
def test_a_plot_is_shown_without_pyplot(cells):
    assert "image/png" in cells[4][0].data


@pytest.mark.slow
def test_a_stopped_cell_says_how_to_go_on_and_leaves_no_process(cells):
    error = cells[5][-1]
    assert (error.ename, error.evalue) == (
        "KeyboardInterrupt", "stopped; finished units are reused when you run the study again",
    )  # fmt: skip
    assert cells[6][0].text == "no process is left\n"
