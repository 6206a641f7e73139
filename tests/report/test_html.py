import datetime
import html
import re
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest

from nextday.evaluate import score
from nextday.evaluate.breakdown import break_down
from nextday.evaluate.contrasts import compare
from nextday.evaluate.losses import measure
from nextday.evaluate.verdict import Verdict, judge
from nextday.report.html import render_report
from report.browser import CHROMIUM, screenshot, visit

HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "A&B", "</script>")
HEADINGS = (
    "The answer in one picture", "What was run", "Skill of each variant", "Over time: cumulative loss difference", "By ticker",
    "By year", "Training curves", "Seed spread", "Minimum detectable difference", "Checks that passed", "Limits", "How to repeat it",
)  # fmt: skip
SKILLS = {"LSTM-Raw": 0.0, "LSTM-OHLCV": 0.1, "LSTM-Feat": 0.2}
browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium")


def make_forecasts(tickers=("AAA", "BBB", "CCC"), skills=SKILLS, seeds=(1, 2, 3), days=300):
    dates = pl.date_range(datetime.date(2020, 6, 1), datetime.date(2020, 6, 1) + datetime.timedelta(days), eager=True)
    parts = []
    for at, ticker in enumerate(tickers):
        actual = np.random.default_rng(at).normal(0.001, 0.01 * (1 + at % 5), days)
        for number, (variant, skill) in enumerate(skills.items()):
            for seed in seeds:
                noise = np.random.default_rng([at, number, seed or 0]).normal(0, 0.0003, days)
                keys = {"variant": variant, "ticker": ticker, "fold": 0, "seed": seed}
                columns = {
                    "origin": dates[:-1],
                    "date": dates[1:],
                    "actual": actual,
                    "predicted": skill * actual + noise,
                }
                parts.append(pl.DataFrame(columns).select(*(pl.lit(v).alias(k) for k, v in keys.items()), pl.all()))
    return pl.concat(parts).with_columns(pl.col("seed").cast(pl.Int64), pl.col("fold").cast(pl.Int64))


def make_folds(forecasts):
    day = datetime.date
    ranges = {
        "train_from": day(2015, 1, 1), "train_to": day(2019, 1, 1), "valid_from": day(2019, 1, 2),
        "valid_to": day(2020, 5, 1), "test_from": day(2020, 6, 1), "test_to": day(2021, 6, 1),
    }  # fmt: skip
    counts = {
        "train": 900,
        "valid": 100,
        "test": 300,
        "historical_mean": 5e-4,
        "train_variance": 4e-4,
        "train_deviation": 0.01,
    }
    keys = forecasts.select("ticker", "fold").unique(maintain_order=True)
    return keys.with_columns(**{name: pl.lit(value) for name, value in {**ranges, **counts}.items()})


def make_history(forecasts, epochs=8):
    units = forecasts.select("variant", "ticker", "fold", "seed").unique(maintain_order=True)
    losses = {
        "epoch": range(1, epochs + 1),
        "train_loss": np.linspace(2, 1, epochs),
        "valid_loss": np.linspace(1, 2, epochs),
    }
    return units.join(pl.DataFrame(losses).with_columns(best=pl.col("epoch") == 1), how="cross")


def make_manifest(name="quick", question="Do features help?"):
    return {
        "study": {"name": name, "question": question, "lookback": 20, "training": {"max_epochs": 8}},
        "data": {"source": "sample", "fingerprint": "abc123", "market": "SPY", "from": "2015-01-01", "to": "2021-01-01"},
        "versions": {"nextday": "0.1.0", "torch": "2.13.0"}, "python": "3.11.7",
        "checks": {"causality of features": "no feature moved when the future was rewritten"}, "notes": ["a note"],
    }  # fmt: skip


def compared(forecasts):
    return compare(measure(forecasts, folds=make_folds(forecasts)), replicates=200)


def render(forecasts, *, history=None, manifest=None, comparison=None, verdict=None):
    folds, comparison = make_folds(forecasts), comparison or compared(forecasts)
    return render_report(
        comparison=comparison, verdict=verdict or judge(comparison), scores=score(forecasts, folds),
        history=make_history(forecasts) if history is None else history, folds=folds, manifest=make_manifest() if manifest is None else manifest,
    )  # fmt: skip


class Reader(HTMLParser):
    """Reads what a browser without JavaScript shows, and collects tags, attributes and tables."""

    def __init__(self, page):
        super().__init__()
        self.text, self.tags, self.attributes, self.hidden, self.stack = [], [], [], 0, []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.hidden += tag in {"script", "style"}

    def handle_endtag(self, tag):
        self.hidden -= tag in {"script", "style"}

    def handle_data(self, data):
        if not self.hidden:
            self.text.append(data)

    @property
    def shown(self):
        return re.sub(r"\s+", " ", " ".join(self.text))


@pytest.fixture(scope="module")
def page():
    return render(make_forecasts())


def test_report_has_every_section_the_question_and_the_verdict_in_text_that_needs_no_javascript(page):
    shown = Reader(page).shown
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert tuple(map(html.unescape, headings)) == HEADINGS
    verdict = judge(compared(make_forecasts()))
    assert verdict.code == "features_help"
    for text in (
        "Do features help?",
        verdict.sentence,
        *verdict.remarks,
        "nextday run quick",
        "abc123",
        "torch 2.13.0",
    ):
        assert text in shown
    assert "no feature moved when the future was rewritten" in shown
    assert "Survivorship" in shown
    assert "2020-06-01 to 2021-03-27" in shown


def test_every_contrast_is_in_a_table_with_its_estimate_and_intervals(page):
    rows = [re.sub(r"<[^>]+>", " ", row) for row in re.findall(r"<tr>.*?</tr>", page, re.DOTALL)]
    comparison = compared(make_forecasts())
    assert len(comparison.contrasts) == 6
    for c in comparison.contrasts:
        numbers = [f"{100 * value:+.3f}" for value in (c.estimate, c.low, c.high, c.equal_low, c.equal_high)]
        mine = [row for row in rows if f"{c.first} - {c.second}" in row]
        assert any(all(number in row for number in numbers) for row in mine), (c, mine)


def test_tables_plots_and_notices_are_outside_of_scripts_and_nothing_is_loaded(page):
    reader = Reader(page)
    assert reader.tags.count("table") == 11
    assert reader.tags.count("caption") == 11
    assert reader.tags.count("noscript") == reader.tags.count("figure") == 6
    links = [value for name, value in reader.attributes if name in {"src", "href", "action", "data", "srcset"}]
    assert all(link.startswith(("#", "data:")) for link in links)
    assert "default-src 'none'" in page.split("<title>")[0]


def test_one_seed_is_shown_whole_with_the_reason_for_no_verdict_on_top():
    forecasts = make_forecasts(seeds=(7,))
    page = render(forecasts)
    shown = Reader(page).shown
    reason = compared(forecasts).withheld
    assert reason
    assert shown.index(f"Withheld: {reason}") < shown.index("The answer in one picture")
    assert "LSTM-Raw is better" not in shown, "no finding without a verdict"
    assert "the zero forecast is better" not in shown
    assert Reader(page).tags.count("figure") == 6


@pytest.mark.parametrize("tickers", [("ONE",), tuple(f"T{at}" for at in range(60))])
def test_any_number_of_tickers_and_variants_without_seeds_or_history_can_be_shown(tickers):
    skills = {"Zero": 0.0, "Ridge": 0.01} if len(tickers) > 1 else {"Only": 0.05}
    forecasts = make_forecasts(tickers, skills, seeds=(None,), days=120)
    verdict = Verdict("resolved", "Said so.", ())
    page = render(forecasts, history=make_history(forecasts).clear(), manifest={}, verdict=verdict)
    shown = Reader(page).shown
    assert all(ticker in shown for ticker in tickers)
    assert "There is no training history" in shown
    assert not re.search(r"\b(nan|NaN|None|inf)\b", shown)


def test_what_is_undefined_is_a_dash():
    forecasts = make_forecasts(("FLAT", "MOVES"), seeds=(None,), days=60)
    comparison = compared(forecasts)
    forecasts = forecasts.with_columns(actual=pl.when(pl.col("ticker") == "FLAT").then(0.0).otherwise("actual"))
    shown = Reader(render(forecasts, comparison=comparison, history=make_history(forecasts).clear())).shown
    assert "–" in shown
    assert not re.search(r"\b(nan|NaN|None|inf)\b", shown)


@pytest.mark.parametrize("code", ["withheld", "inconclusive", "a code of tomorrow"])
def test_verdicts_of_any_code_are_shown(code):
    forecasts = make_forecasts(("A",), {"M": 0.1}, days=60)
    assert "Said so." in Reader(render(forecasts, verdict=Verdict(code, "Said so.", ()))).shown


@pytest.fixture(scope="module")
def hostile():
    forecasts = make_forecasts(HOSTILE, dict(zip(HOSTILE, (0.0, 0.1, 0.2, 0.3), strict=True)), days=120)
    manifest = make_manifest(HOSTILE[0], HOSTILE[1]) | {
        "notes": list(HOSTILE),
        "checks": dict.fromkeys(HOSTILE, HOSTILE[0]),
    }
    return render(forecasts, manifest=manifest)


def test_hostile_names_are_text_and_nothing_else(hostile, page):
    assert "<script>alert" not in hostile
    assert "<img src=x" not in hostile
    assert all(name in Reader(hostile).shown for name in HOSTILE)
    assert Reader(hostile).tags.count("script") == Reader(page).tags.count("script")
    assert "img" not in Reader(hostile).tags


def test_parts_of_skill_agree_with_slow_and_obvious_sums():
    losses = measure(make_forecasts(), loss="squared")
    numbers = break_down(compare(losses, replicates=50))
    grid, base = losses.grid, losses.base
    skill = lambda g, b: 1 - np.sqrt(g.mean() / b.mean())  # noqa: E731
    assert numbers.by_ticker[1, 2] == pytest.approx(skill(grid[1, 2], base[2]))
    later = losses.dates.astype("datetime64[Y]").astype(str) == "2021"
    assert numbers.years == (2020, 2021)
    assert numbers.days[1] == later.sum()
    assert numbers.by_year[2, 1] == pytest.approx(skill(grid[2][:, later], base[:, later]))
    assert numbers.left_out[0, 1] == pytest.approx(skill(grid[0, [0, 2]], base[[0, 2]]))
    assert numbers.left_out[3, 1] == pytest.approx(numbers.left_out[0, 1] - numbers.left_out[1, 1])
    assert numbers.saved[2, -1] == pytest.approx(1 - grid[2].mean() / base.mean())
    assert numbers.by_seed[0].mean() == pytest.approx(skill(grid[0], base), abs=1e-5)
    assert numbers.agree[2] == 1


DO = """
found.plots = document.querySelectorAll(".plot .main-svg").length;
found.share = [...document.querySelectorAll(".modebar-btn")].map((one) => one.dataset.title).filter((t) => /share|cloud/i.test(t));
found.wide = document.documentElement.scrollWidth > innerWidth;
found.paper = getComputedStyle(document.body).backgroundColor;
found.ink = document.querySelector(".plot text").style.fill;
const table = [...document.querySelectorAll("table")].find((one) => one.caption.textContent.trim().startsWith("Skill by ticker"));
const names = () => [...table.tBodies[0].rows].map((row) => row.cells[0].textContent);
const values = () => [...table.tBodies[0].rows].map((row) => Number(row.cells[2].dataset.v));
const head = table.tHead.rows[0].cells[2], button = head.querySelector("button");
found.names = names();
button.click(); found.up = values(); found.sorted = [head.getAttribute("aria-sort")];
button.click(); found.down = values(); found.sorted.push(head.getAttribute("aria-sort"));
table.tHead.rows[0].cells[0].querySelector("button").click(); found.again = names(); found.sorted.push(head.getAttribute("aria-sort"));
const plot = document.querySelector('[data-figure="saved"]');
const shown = () => plot.querySelectorAll(".scatterlayer .trace").length;
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
found.lines = [shown()];
const toggle = plot.querySelector(".legendtoggle");
for (const kind of ["mousedown", "mouseup"]) toggle.dispatchEvent(new MouseEvent(kind, { bubbles: true }));
await wait(1000); found.lines.push(shown());
await Plotly.relayout(plot, { "xaxis.range": ["2020-07-01", "2020-08-01"] }); found.zoomed = plot.layout.xaxis.range[0].slice(0, 10);
const box = document.querySelector('[data-figure="tickers"]');
Plotly.Fx.hover(box, [{ curveNumber: 0, pointNumber: 0 }]); await wait(300);
found.hover = [...box.querySelectorAll(".hoverlayer text")].map((one) => one.textContent).join(" ");
"""


@browser
def test_page_opens_without_errors_and_sorting_legends_zoom_and_hover_work(page, tmp_path):
    found = visit(page, DO, tmp_path)
    assert found["problems"] == found["console"] == found["loaded"] == []
    assert found["plots"] >= 6
    assert found["share"] == [], "plotly.js offers to upload the chart"
    assert not found["wide"]
    assert found["up"] == sorted(found["up"])
    assert found["down"] == found["up"][::-1]
    assert found["again"] == found["names"]
    assert found["sorted"] == ["ascending", "descending", None]
    assert found["lines"] == [3, 2]
    assert found["zoomed"] == "2020-07-01"
    assert re.search(r"(AAA|BBB|CCC): [-+−]\d", found["hover"])


@browser
def test_hostile_names_do_nothing_in_a_browser_in_the_dark_on_a_narrow_screen(hostile, tmp_path):
    found = visit(hostile, DO, tmp_path, width=500, flags=("--blink-settings=preferredColorScheme=0",))
    assert found["problems"] == found["console"] == found["loaded"] == []
    assert not found["wide"], "the page scrolls sideways"
    assert found["paper"] == "rgb(20, 23, 27)"
    assert found["ink"] == "rgb(232, 234, 237)", "plots do not follow the dark scheme"
    assert any(name in found["hover"] for name in HOSTILE)


@browser
def test_a_picture_of_the_page_is_more_than_its_paper(page, tmp_path):
    assert len(screenshot(page, tmp_path)) > 50_000
