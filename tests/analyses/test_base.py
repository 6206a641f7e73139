"""Analyses are guests: adding one touches its own file and one line, and nobody else knows it by name."""

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import nextday
from nextday import pipeline
from nextday.analyses import ANALYSES
from nextday.analyses.base import Analysis, Shown, settings_of
from nextday.errors import OutputError, StudyError
from nextday.reporting.html_tables import Cell, Table
from nextday.reporting.plates import Exhibit, Plate
from nextday.reporting.style import new_figure
from nextday.settings import Names
from nextday.storage.tables import KEYS
from nextday.study import Settings, Study
from undrawn import undrawn

HOUSE = Path(nextday.__file__).parent


# The file of a new analysis: how large forecasts are.


class Asked(Settings):
    factor: float = 1.0
    studies: Names = ()


def check(study, panel, out):
    if settings_of(study, "sizes", Asked).factor <= 0:
        raise StudyError("analyses.sizes.factor must be positive")


def keep(done):
    return {"sizes": pl.DataFrame({"size": [float(np.abs(done.fitted.predicted).max())]})}


def fit(study, panel, out, store, workers, *, watch, fresh):
    return {"jobs": pl.DataFrame({"job": [study.name]})} if "sizes" in study.analyses else {}


def show(finished):
    sizes, jobs = finished.tables["sizes"], finished.tables["jobs"]
    if jobs.is_empty():
        return Shown()
    table = Table(
        "Sizes of forecasts", ("variant", "size"), tuple((Cell(v), Cell(f"{s:.3f}", s)) for v, *_, s in sizes.rows())
    )
    return Shown(
        plates=(Plate("sizes", "How large forecasts are", lambda: new_figure(3, 2, "Sizes", "None."), sizes),),
        said={"sizes": sizes["size"].to_list()}, exhibits=(Exhibit("Sizes", "Large is large.", "all", table),),
        findings={"sizes": sizes}, files={"sizes.csv": sizes.write_csv().encode()},
    )  # fmt: skip


TABLES = {"sizes": KEYS | {"size": pl.Float64}, "jobs": {"job": pl.String}}
SIZES = Analysis("sizes", TABLES, Asked, check=check, keep=keep, fit=fit, show=show)


@pytest.fixture
def welcomed(monkeypatch):
    monkeypatch.setattr(pipeline, "ANALYSES", (*ANALYSES, SIZES))  # the one line


def study(quick, **changes):
    variants = {name: quick["variants"][name] for name in ("Zero", "HistoricalMean", "LSTM-Raw")}
    return Study.from_values({**quick, "name": "mine", "variants": variants, "conformal": {}, "levels": (), **changes})


@pytest.mark.usefixtures("welcomed")
def test_a_new_diagnostic_is_one_file_and_one_line(bars, quick, tmp_path, capsys):
    from nextday.cli.terminal import show_study

    asked = study(quick, analyses={"sizes": {"factor": 2}})
    with undrawn("sizes"):
        results = nextday.run(asked, bars=bars.frame, out=tmp_path, workers=0)
    folder = tmp_path / "mine"
    table = pl.read_parquet(folder / "sizes.parquet")
    assert table.columns == [*KEYS, "size"]
    assert table.select("variant", "ticker", "seed").rows() == [
        (name, ticker, seed)
        for ticker in ("AAA", "BBB")
        for name, seed in (("Zero", None), ("HistoricalMean", None), ("LSTM-Raw", 1))
    ]
    assert pl.read_parquet(folder / "jobs.parquet")["job"].to_list() == ["mine"]
    assert json.loads((folder / "verdict.json").read_text())["sizes"] == table["size"].to_list()
    assert results.findings["sizes"].equals(table)
    assert (folder / "mine_sizes.png").read_bytes().startswith(b"\x89PNG")
    assert pl.read_csv(folder / "mine_sizes.csv")["size"].to_list() == pytest.approx(table["size"].to_list())
    page = (folder / "report.html").read_text()
    for text in ('<h2 id="stage">Sizes</h2>', "Large is large.", "Sizes of forecasts", 'alt="How large forecasts are"'):
        assert text in page
    show_study(results)
    assert "sizes of forecasts" in capsys.readouterr().out


@pytest.mark.usefixtures("welcomed", "one_undrawn")
def test_a_diagnostic_that_a_study_does_not_ask_for_shows_nothing(bars, quick, tmp_path):
    results = nextday.run(study(quick), bars=bars.frame, out=tmp_path, workers=0)
    assert results.exhibits == ()
    assert not (tmp_path / "mine" / "jobs.parquet").exists()
    assert "This stage" not in (tmp_path / "mine" / "report.html").read_text()


@pytest.mark.usefixtures("welcomed")
@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (
            {"size": {}},
            "unknown analysis 'size'; did you mean sizes\\? known: effects, attention, contexts, uncertainty, regimes, probing, across, sizes",
        ),
        (
            {"sizes": {"facto": 1}},
            "analyses.sizes: unknown key 'facto'; did you mean factor\\? known here: factor, studies",
        ),
        ({"sizes": {"factor": "x"}}, "analyses.sizes: factor: expected a number, got 'x'"),
        ({"sizes": {"factor": -1}}, "analyses.sizes.factor must be positive"),
        ({"sizes": {"studies": "a, b, a"}}, "analyses.sizes: studies: names a more than once"),
        ({"attention": {"heads": 1}}, "analyses.attention: unknown key 'heads'"),
        (
            {"probing": {"study": "x"}},
            "analyses.probing: unknown key 'study'; did you mean studies\\? known here: studies",
        ),
    ],
)
def test_what_cannot_be_asked_of_an_analysis_is_refused_before_anything_is_fitted(bars, quick, tmp_path, asked, says):
    with pytest.raises(StudyError, match=says):
        nextday.run(study(quick, analyses=asked), bars=bars.frame, out=tmp_path, workers=0)
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize("name", ["forecasts", "cka"])
def test_a_table_that_is_there_already_is_refused_before_anything_is_fitted(bars, quick, tmp_path, monkeypatch, name):
    monkeypatch.setattr(pipeline, "ANALYSES", (*ANALYSES, Analysis("mine", {name: KEYS})))
    with pytest.raises(StudyError, match=f"analysis mine: a table '{name}' already exists"):
        nextday.run(study(quick), bars=bars.frame, out=tmp_path, workers=0)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_studies_are_named_in_a_list_or_with_commas(quick):
    for written in ("first, second", ["first", "second"]):
        asked = study(quick, analyses={"sizes": {"studies": written}})
        assert settings_of(asked, "sizes", Asked).studies == ("first", "second")


WORDS = {
    "prob(e|es|ed|ing)": ("analyses/probing/",),
    "(latent|regime)s?": ("analyses/regimes/", "models/networks/vae"),
    "attention": ("analyses/attention.py", "models/networks/transformer.py", "models/networks/forecasters.py"),
    "(contexts|context sweep)": (
        "analyses/contexts.py",
        "models/foundation.py",
        "models/fracast.py",
        "models/compiled",
    ),
}
EVERYWHERE = ("analyses/__init__.py", "models/kernels/encoder.py", "bench.py")  # the list; what computes; what is left


@pytest.mark.parametrize("word", WORDS)
def test_no_file_outside_its_room_mentions_an_analysis_by_name(word):
    """A study's YAML may: it is what asks."""
    allowed = (*WORDS[word], *EVERYWHERE)
    found = [
        f"{path.relative_to(HOUSE)}:{number}: {line.strip()}"
        for path in sorted(HOUSE.rglob("*"))
        if path.suffix in {".py", ".html", ".js", ".css"} and not str(path.relative_to(HOUSE)).startswith(allowed)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if re.search(rf"(?i)(?<![a-z]){word}(?![a-z])", line.replace("_", " "))
    ]
    assert found == []


def test_a_folder_of_before_is_reported_without_what_it_does_not_hold(bars, quick, tmp_path, monkeypatch):
    """Then every table was written, losses of a latent space stood in the history, and studies were probed by a key."""
    monkeypatch.setattr("nextday.analyses.regimes.latent_map._umap", lambda *_: None)  # compiles for ten seconds
    latent = study(quick, variants={"VAE": quick["variants"]["VAE"]})
    nextday.forecast(latent, bars=bars.frame, out=tmp_path, workers=0)
    folder = tmp_path / "mine"
    parts = pl.read_parquet(folder / "loss_parts.parquet").drop("best")
    history = pl.read_parquet(folder / "history.parquet")
    history.join(parts, on=[*KEYS, "epoch"], nulls_equal=True).write_parquet(folder / "history.parquet")
    (folder / "loss_parts.parquet").unlink()
    for name, schema in {"probes": {"variant": pl.String}, "cka": {"ticker": pl.String}}.items():
        pl.DataFrame(schema=schema).write_parquet(folder / f"{name}.parquet")
    with pytest.raises(
        OutputError, match=r"mine does not contain a finished study: (probes|cka)\.parquet: .*; run the study"
    ):
        nextday.pipeline.report(folder)
    for name in ("probes", "cka"):
        schema = nextday.analyses.base.tables_of(ANALYSES)[name]
        pl.DataFrame(schema=schema).write_parquet(folder / f"{name}.parquet")
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["study"]["analyses"]
    manifest["study"]["probes"] = []
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with undrawn("latent_map"):
        nextday.pipeline.report(folder)
    assert (folder / "mine_latent_map.png").stat().st_size > 0
    assert not (folder / "mine_training.png").exists()
