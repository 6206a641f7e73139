import datetime
import html
import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest

from nextday.evaluate import score
from nextday.evaluate.ask import Ask, Subject
from nextday.evaluate.breakdown import break_down, skill_by_ticker
from nextday.evaluate.inference import compare
from nextday.evaluate.parts import Parts
from nextday.evaluate.table import measure
from nextday.evaluate.verdict import CODES, Verdict, judge
from nextday.reporting import breakdown_plots as plots
from nextday.reporting.html import render_report
from reporting.browser import CHROMIUM, screenshot, visit

HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "A&B", "</script>")
HEADINGS = (
    "Asked contrasts", "Other pairs", "Power: what this study could detect", "Setup", "Skill of each variant", "Over time: cumulative loss difference", "By ticker",
    "By year", "Training curves", "Seed variance", "Passed checks", "Limits", "How to reproduce it",
)  # fmt: skip
TICKERS = ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF", "GGG", "HHH", "III")  # enough for a table to be sortable
SKILLS = {"LSTM-Raw": 0.0, "LSTM-OHLCV": 0.1, "LSTM-Feat": 0.2}
browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium")


def make_forecasts(tickers=TICKERS, skills=SKILLS, seeds=(1, 2, 3), days=300):
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


ASK = (Ask("LSTM-Feat", "LSTM-Raw"), Ask("LSTM-OHLCV", "LSTM-Raw"))
SUBJECTS = {
    "LSTM-Raw": Subject("lstm", "raw", "raw"), "LSTM-OHLCV": Subject("lstm", "ohlcv", "rich"),
    "LSTM-Feat": Subject("lstm", "engineered", "engineered"),
}  # fmt: skip


def compared(forecasts, ask=None):
    ask = ASK if ask is None and set(SUBJECTS) <= set(forecasts["variant"]) else ask
    return compare(measure(forecasts, folds=make_folds(forecasts)), ask=ask, replicates=200)


def judged(comparison):
    return judge(comparison, subjects=SUBJECTS)


@cache
def usual():
    """The forecasts that most tests look at, with what is found in them."""
    forecasts = make_forecasts()
    comparison = compared(forecasts)
    return forecasts, comparison, judged(comparison)


def said(code):
    return Verdict(code, "Said so.", (), ("In context.",), ("Remarked.",))


def render(forecasts, *, history=None, manifest=None, comparison=None, verdict=None):
    folds, comparison = make_folds(forecasts), comparison or compared(forecasts)
    return render_report(
        comparison=comparison, verdict=verdict or judged(comparison), scores=score(forecasts, folds),
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
    forecasts, comparison, verdict = usual()
    return render(forecasts, comparison=comparison, verdict=verdict)


@pytest.fixture
def of_contrasts(monkeypatch):
    """Pages with the pictures of contrasts alone."""
    for name in ("over_time", "by_ticker", "by_year", "by_seed"):
        monkeypatch.setattr(plots, name, lambda *_: None)
    monkeypatch.setattr("nextday.reporting.html.curves", lambda *_: None)


def test_report_has_every_section_the_question_and_the_verdict_in_text_that_needs_no_javascript(page):
    shown = Reader(page).shown
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert tuple(map(html.unescape, headings)) == HEADINGS
    *_, verdict = usual()
    assert verdict.code == "features_help"
    for text in (
        "Do features help?",
        verdict.sentence,
        *verdict.context,
        *verdict.remarks,
        CODES[verdict.code],
        "nextday run quick",
        "abc123",
        "torch 2.13.0",
    ):
        assert text in shown
    assert "no feature moved when the future was rewritten" in shown
    assert "No ticker is delisted before 2021-03-27: results are subject to survivorship bias." in shown
    assert "2020-06-01 to 2021-03-27" in shown


def tables_of(page):
    """The rows of each table by its caption: lists of the texts of their cells."""
    found = {}
    for table in re.findall(r"<table.*?</table>", page, re.DOTALL):
        texts = [
            re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)
            for row in re.findall(r"<tr>.*?</tr>", table, re.DOTALL)
        ]
        caption = re.search(r"<caption><span>(.*?)</span>", table, re.DOTALL)[1]
        found[html.unescape(caption)] = [[html.unescape(re.sub(r"<[^>]+>", "", text)) for text in row] for row in texts]
    return found


def table_of(page, start):
    (found,) = (rows for caption, rows in tables_of(page).items() if caption.startswith(start))
    return found


@pytest.mark.usefixtures("one_undrawn")
def test_the_question_is_the_title_and_the_answer_follows_line_by_line_before_any_table(page):
    forecasts, comparison, verdict = usual()
    assert "<title>Do features help?</title>" in page
    assert re.search(r"<h1[^>]*>Do features help\?</h1>", page)
    shown = Reader(page).shown
    order = [verdict.sentence, *(f"LSTM: {one.sentence}." for one in verdict.answers), "Asked contrasts"]
    places = [shown.index(text) for text in order]
    assert places == sorted(places)
    nameless = make_manifest("only a name", "")
    assert "<title>only a name</title>" in render(forecasts, comparison=comparison, verdict=verdict, manifest=nameless)


def test_each_contrast_stands_in_one_table_with_its_finding_beside_its_name_and_all_its_figures(page):
    _, comparison, _ = usual()
    families = {
        "Asked contrasts": comparison.asked, "Not asked: skill": comparison.against_benchmark, "Not asked: other": comparison.others
    }  # fmt: skip
    assert [len(family) for family in families.values()] == [2, 3, 1]
    for caption, family in families.items():
        header, *rows = table_of(page, caption)
        assert header[:2] == ["contrast", "finding"]
        assert [row[0] for row in rows] == [f"{one.first} - {one.second}" for one in family]
        for row, c in zip(rows, family, strict=True):
            ends = [f"{100 * value:+.3f}" for value in (c.estimate, c.low, c.high)]
            assert row[2:4] == [ends[0], f"{ends[1]} to {ends[2]}"]
            assert row[5] == f"{100 * c.detectable:.3f}"
    assert [row[1] for row in table_of(page, "Asked contrasts")[1:]] == ["help", "help"]
    assert {row[1] for row in table_of(page, "Not asked: skill")[1:]} <= {"better", "inconclusive", "equal", "withheld"}


@pytest.mark.usefixtures("of_contrasts")
def test_contrasts_with_the_benchmark_that_are_asked_are_not_repeated():
    forecasts, *_ = usual()
    page = render(forecasts, comparison=compared(forecasts, [Ask(name, None) for name in SKILLS]))
    captions = list(tables_of(page))
    assert not any(caption.startswith("Not asked: skill") for caption in captions)
    assert len(captions) == len(set(captions))
    assert len(re.findall(r">LSTM-Feat<", page.split("</svg>")[0])) == 2, "in the table and in the picture, once"


def test_what_could_be_seen_is_said_of_each_asked_contrast(page):
    _, comparison, _ = usual()
    rows = table_of(page, "Equivalence")[1:]
    for row, one in zip(rows, comparison.asked, strict=True):
        ends = [f"{100 * value:+.3f}" for value in (one.equal_low, one.equal_high)]
        assert row[:2] == [f"{one.first} - {one.second}", f"{ends[0]} to {ends[1]}"]
        assert row[3] == f"{100 * one.equality:.3f}"
    low, high = sorted(100 * one.detectable for one in comparison.asked)
    assert f"{low:.3f} to {high:.3f}" in Reader(page).shown


@pytest.mark.usefixtures("one_undrawn")
def test_penalty_and_signal_are_shown_where_they_are_known(page):
    forecasts, comparison, verdict = usual()
    parts = (Parts("LSTM-Feat", "LSTM-Raw", 0.011, 0.01, 0.012, -0.02, -0.05, 0.01),)
    found = render(forecasts, comparison=comparison, verdict=replace(verdict, parts=parts))
    assert table_of(found, "Penalty and signal")[1] == [
        "LSTM-Feat - LSTM-Raw", "+1.100", "+1.000 to +1.200", "-2.000", "-5.000 to +1.000"
    ]  # fmt: skip
    without = render(forecasts, comparison=comparison, verdict=replace(verdict, parts=()))
    assert "Penalty and signal" not in Reader(without).shown


@pytest.mark.usefixtures("one_undrawn")
def test_a_slow_swing_and_what_is_withheld_are_said_of_their_contrast():
    forecasts, comparison, _ = usual()
    first, second = comparison.asked
    changed = replace(comparison, asked=(replace(first, swing=True), replace(second, withheld="too few days: 3")))
    page = render(forecasts, comparison=changed)
    header, one, two = table_of(page, "Asked contrasts")
    assert header[-1] == "note"
    assert (one[1], one[-1]) == ("help", "a temporary advantage lasting months would also explain it")
    assert (two[1], two[-1]) == ("withheld", "too few days: 3")
    assert "LSTM-OHLCV - LSTM-Raw is withheld: too few days: 3." in Reader(page).shown


@pytest.mark.usefixtures("of_contrasts")
def test_many_exploratory_pairs_are_folded_limited_and_said_to_be():
    names = {f"V{at:02d}": 0.01 * at for at in range(15)}
    forecasts = make_forecasts(("AAA",), names, seeds=(None,), days=60)
    comparison = compared(forecasts, [Ask("V01", "V00")])
    page = render(forecasts, comparison=comparison)
    assert len(comparison.others) == 104
    rows = table_of(page, "Not asked: other pairs, the 100 of 104 with the smallest adjusted p")[1:]
    assert len(rows) == 100
    least = sorted(one.p_adjusted for one in comparison.others)[:100]
    assert (
        sorted(
            one.p_adjusted for one in comparison.others if [f"{one.first} - {one.second}"] in [row[:1] for row in rows]
        )
        == least
    )
    inside = page[
        page.index("<details><summary>Other pairs") : page.index("</details>", page.index("<details><summary>Other"))
    ]
    assert "Not asked: other pairs" in inside
    assert "Drawn: the 40 of 104 with the smallest adjusted p." in inside


@pytest.mark.usefixtures("one_undrawn")
def test_tickers_that_end_early_are_counted():
    forecasts, *_ = usual()
    gone = (pl.col("ticker") == "BBB") & (pl.col("origin") > datetime.date(2020, 12, 1))
    shown = Reader(render(forecasts, comparison=compared(forecasts.filter(~gone)))).shown
    assert "1 of 9 tickers ends more than 30 days before 2021-03-27." in shown


def test_tables_plots_and_notices_are_outside_of_scripts_and_nothing_is_loaded(page):
    reader = Reader(page)
    assert reader.tags.count("table") == reader.tags.count("caption") == 12
    assert reader.tags.count("svg") == reader.tags.count("figure") == 7
    assert "noscript" not in reader.tags, "pictures need no script"
    links = [value for name, value in reader.attributes if name in {"src", "href", "action", "data", "srcset"}]
    assert all(link.startswith(("#", "data:")) for link in links)
    assert "default-src 'none'" in page.split("<title>")[0]


def test_one_seed_is_shown_whole_with_the_reason_for_no_verdict_on_top():
    forecasts = make_forecasts(TICKERS[:3], seeds=(7,))
    comparison = compared(forecasts)
    page = render(forecasts, comparison=comparison)
    shown = Reader(page).shown
    reason = comparison.withheld
    assert reason
    assert shown.index(reason) < shown.index("Other pairs of variants")
    assert {row[1] for row in table_of(page, "Asked contrasts")[1:]} == {"withheld"}, "no finding without a verdict"
    assert Reader(page).tags.count("figure") == 7


@pytest.mark.parametrize("tickers", [("ONE",), tuple(f"T{at}" for at in range(60))])
def test_any_number_of_tickers_and_variants_without_seeds_or_history_can_be_shown(tickers):
    skills = {"Zero": 0.0, "Ridge": 0.01} if len(tickers) > 1 else {"Only": 0.05}
    forecasts = make_forecasts(tickers, skills, seeds=(None,), days=120)
    page = render(forecasts, history=make_history(forecasts).clear(), manifest={}, verdict=said("resolved"))
    shown = Reader(page).shown
    assert all(ticker in shown for ticker in tickers)
    assert "There is no training history" in shown
    assert not re.search(r"\b(nan|NaN|None|inf)\b", shown)


def test_a_page_of_many_tickers_and_notes_has_their_quantiles_and_is_small():
    """A row per ticker and a line per note make a page of 2,000 tickers unreadable."""
    forecasts = make_forecasts([f"T{at:03}" for at in range(300)], {"A": 0.0, "B": 0.1}, seeds=(None,), days=60)
    notes = [f"note {at} of the run" for at in range(2_000)]
    comparison = compared(forecasts)
    manifest, history = make_manifest() | {"notes": notes}, make_history(forecasts).clear()
    page = render(forecasts, comparison=comparison, history=history, manifest=manifest)
    head, *rows = table_of(page, "Skill over the tickers")
    quantiles = ["lowest", "5 %", "25 %", "median", "75 %", "95 %", "highest"]
    assert [name.replace("\u00a0", " ") for name in head] == ["variant", "tickers", *quantiles, "above zero"]
    for row, skills in zip(rows, skill_by_ticker(comparison.losses), strict=True):
        assert row[1] == "300"
        expected = 100 * np.quantile(skills, [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1])
        assert [float(cell) for cell in row[2:9]] == pytest.approx(expected, abs=6e-4)
        assert row[9] == f"{100 * (skills > 0).mean():.1f} %"
    shown = Reader(page).shown
    assert "The metrics of every ticker are in quick_results.csv" in shown
    assert "note 99 of the run" in shown
    assert "note 100 of the run" not in shown
    assert "2,000 notes of the run" in shown
    assert "1,900 more in manifest.json" in shown
    assert len(page.encode()) < 300_000


def test_what_is_undefined_is_a_dash():
    forecasts = make_forecasts(("FLAT", "MOVES"), seeds=(None,), days=60)
    comparison = compared(forecasts)
    forecasts = forecasts.with_columns(actual=pl.when(pl.col("ticker") == "FLAT").then(0.0).otherwise("actual"))
    shown = Reader(render(forecasts, comparison=comparison, history=make_history(forecasts).clear())).shown
    assert "–" in shown
    assert not re.search(r"\b(nan|NaN|None|inf)\b", shown)


@pytest.mark.usefixtures("one_undrawn")
@pytest.mark.parametrize("code", ["withheld", "inconclusive", "a code of tomorrow"])
def test_verdicts_of_any_code_are_shown(code):
    forecasts = make_forecasts(("A",), {"M": 0.1}, days=60)
    shown = Reader(render(forecasts, verdict=said(code))).shown
    assert all(text in shown for text in ("Said so.", "In context.", "Remarked."))


@pytest.fixture(scope="module")
def hostile():
    forecasts = make_forecasts(
        (*HOSTILE, "plain", "simple", "three", "four", "five"),
        dict(zip(HOSTILE, (0.0, 0.1, 0.2, 0.3), strict=True)),
        days=120,
    )
    manifest = make_manifest(HOSTILE[0], HOSTILE[1]) | {
        "notes": list(HOSTILE),
        "checks": dict.fromkeys(HOSTILE, HOSTILE[0]),
    }
    return render(forecasts, manifest=manifest)


def test_a_report_is_small_and_pictures_follow_the_page(page):
    assert len(page.encode()) < 1_000_000
    images = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert all("var(--ink)" in image and "var(--c0)" in image for image in images if "data-key" in image)
    assert not any("#000000" in image or "#ffffff" in image for image in images)
    found = re.findall(r'\bid="([^"]+)"', page)
    assert len(found) == len(set(found)), "no two things of a page have one name"


def test_no_deviation_between_seeds_stands_beside_a_mean(page):
    rows = table_of(page, "Point metrics")
    assert not any("±" in cell for row in rows for cell in row)


def test_hostile_names_are_text_and_nothing_else(hostile, page):
    assert "<script>alert" not in hostile
    assert "<img src=x" not in hostile
    assert all(name in Reader(hostile).shown for name in HOSTILE)
    assert Reader(hostile).tags.count("script") == Reader(page).tags.count("script")
    assert "img" not in Reader(hostile).tags


def test_parts_of_skill_agree_with_slow_and_obvious_sums():
    losses = measure(make_forecasts(TICKERS[:3]), loss="squared")
    numbers = break_down(comparison := compare(losses, replicates=50))
    grid, base = losses.grid, losses.base
    skill = lambda g, b: 1 - np.sqrt(g.mean() / b.mean())  # noqa: E731
    assert numbers.by_ticker[1, 2] == pytest.approx(skill(grid[1, 2], base[2]))
    later = losses.dates.astype("datetime64[Y]").astype(str) == "2021"
    assert numbers.years == (2020, 2021)
    assert numbers.days[1] == later.sum()
    assert numbers.by_year[2, 1] == pytest.approx(skill(grid[2][:, later], base[:, later]))
    assert numbers.left_out[3, 1] == pytest.approx(skill(grid[0, [0, 2]], base[[0, 2]]))
    at = {one.first: row for row, one in enumerate(numbers.contrasts) if one.second == losses.benchmark}
    first, second = (at[name] for name in (numbers.contrasts[0].first, numbers.contrasts[0].second))
    assert numbers.left_out[0, 1] == pytest.approx(numbers.left_out[first, 1] - numbers.left_out[second, 1])
    assert numbers.saved[2, -1] == pytest.approx(1 - grid[2].mean() / base.mean())
    assert numbers.by_seed[0].mean() == pytest.approx(skill(grid[0], base), abs=1e-5)
    assert numbers.agree[5] == 1
    assert numbers.contrasts == comparison.asked + comparison.against_benchmark


DO = """
const box = (one) => one.getBoundingClientRect();
const asked = document.querySelector("table"), cells = [...asked.tBodies[0].rows].map((row) => row.cells);
found.finding = cells.every((row) => box(row[1]).right <= 390 && box(row[0]).right <= box(row[1]).left + 1);
found.broken = [...document.querySelectorAll(".word")].filter((one) => one.getClientRects().length > 1).length;
found.plots = [...document.querySelectorAll(".plot svg")].filter((one) => one.closest("details:not([open])") || box(one).width > 300).length;
found.wide = document.documentElement.scrollWidth > innerWidth;
found.paper = getComputedStyle(document.body).backgroundColor;
found.ink = getComputedStyle(document.querySelector('[data-figure="saved"] text')).fill;
const table = [...document.querySelectorAll("table")].find((one) => one.caption.textContent.trim().startsWith("Skill by ticker"));
const names = () => [...table.tBodies[0].rows].map((row) => row.cells[0].textContent);
const values = () => [...table.tBodies[0].rows].map((row) => Number(row.cells[2].dataset.v));
const head = table.tHead.rows[0].cells[2], button = head.querySelector("button");
found.names = names();
button.click(); found.up = values(); found.sorted = [head.getAttribute("aria-sort")];
button.click(); found.down = values(); found.sorted.push(head.getAttribute("aria-sort"));
table.tHead.rows[0].cells[0].querySelector("button").click(); found.again = names(); found.sorted.push(head.getAttribute("aria-sort"));
const plot = document.querySelector('[data-figure="saved"]');
const shown = () => [...plot.querySelectorAll("[data-series]")].filter((one) => box(one).width > 0).length;
found.lines = [shown()];
const toggle = plot.querySelector('[role="button"]');
toggle.dispatchEvent(new MouseEvent("click", { bubbles: true })); found.lines.push(shown());
toggle.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter" })); found.lines.push(shown());
const tickers = document.querySelector('[data-figure="tickers"]'), svg = tickers.querySelector("svg");
const hit = JSON.parse(document.getElementById("points").textContent).tickers[0];
const scale = box(svg).width / svg.viewBox.baseVal.width;
const at = { clientX: box(svg).left + hit[1] * scale + 2, clientY: box(svg).top + hit[2] * scale + 2, bubbles: true };
tickers.dispatchEvent(new PointerEvent("pointermove", at));
const out = tickers.querySelector(".read-out");
found.hover = out.hidden ? "" : out.textContent; found.right = found.hover === hit[3];
found.inside = box(out).left >= box(tickers).left && box(out).right <= box(tickers).right + 1;
tickers.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" })); found.next = out.textContent !== found.hover;
tickers.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" })); found.closed = out.hidden;
"""


@browser
def test_page_opens_without_errors_and_sorting_legends_and_values_work_by_pointer_and_keyboard(page, tmp_path):
    found = visit(page, DO, tmp_path)
    assert found["problems"] == found["console"] == found["loaded"] == []
    assert found["plots"] == 7
    assert not found["wide"]
    assert found["up"] == sorted(found["up"])
    assert found["down"] == found["up"][::-1]
    assert found["again"] == found["names"]
    assert found["sorted"] == ["ascending", "descending", None]
    assert found["lines"] == [3, 2, 3]
    assert found["right"]
    assert found["inside"]
    assert found["next"]
    assert found["closed"]
    assert re.search(r"[A-I]{3}, LSTM-\w+: [-+−]\d", found["hover"])


@browser
def test_on_a_phone_the_finding_is_on_the_screen_and_names_are_whole(page, tmp_path):
    found = visit(page, DO, tmp_path, width=500)  # chromium knows none narrower; all columns are of their least width
    assert found["finding"]
    assert found["broken"] == 0
    assert not found["wide"]


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
