"""The report of a study: one HTML file that holds its text, tables, plots and scripts, and loads nothing."""

import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from nextday.evaluate import Beside
from nextday.evaluate.breakdown import Breakdown, break_down
from nextday.evaluate.contrasts import Comparison
from nextday.evaluate.control import Control
from nextday.evaluate.losses import LOSSES, the
from nextday.evaluate.metrics import has_directions
from nextday.evaluate.verdict import CODES, Verdict
from nextday.reporting import breakdown_plots as plots
from nextday.reporting.findings import lines_of, unit
from nextday.reporting.glossary import glossary
from nextday.reporting.html_tables import NAMES, NOTHING, lay_out, number, share
from nextday.reporting.plates import Exhibit, Printed
from nextday.reporting.static import curves
from nextday.reporting.style import COLOURS, MOST_TICKERS, MOST_VARIANTS, STYLE, looks, plain
from nextday.reporting.svg import Picture, picture
from nextday.reporting.verdict_plot import draw_contrasts, draw_others
from nextday.storage.folder import REPORT, StudyFolder
from nextday.storage.trail import RUN
from nextday.words import plural, stage_label

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup
    from matplotlib.figure import Figure

DARK = ("#4BA6E3", "#FF8A4C", "#2CC295", "#E39BC4", "#F2B632", "#8CCDF2")  # the palette of style.py, lighter
MOST_NOTES = 100  # of a run; thousands of units may have one each


def render_report(
    *, comparison: Comparison, verdict: Verdict, scores: pl.DataFrame, history: pl.DataFrame, folds: pl.DataFrame,
    manifest: dict[str, Any], aside: Beside | None = None, control: Control | None = None,
    exhibits: Sequence[Exhibit] = (),
    plates: Sequence[Printed] = (),
) -> str:  # fmt: skip
    """Render the whole report.

    Parameters
    ----------
    comparison, verdict
        The contrasts, and the verdict on them.
    scores, history, folds
        Tables of the study; history may be empty.
    aside
        Supplementary tests.
    control
        What the positive control of the same folder says.
    manifest
        The manifest of the run; optional ``checks`` maps the name of a passed check to its description.
    exhibits, plates
        Tables and figures of analyses.
    """
    numbers = break_down(comparison)
    drawn = _pictures(comparison, verdict, numbers, history)
    study = manifest.get("study", {})
    return environment().get_template("report.html").render(
        comparison=comparison, losses=comparison.losses, verdict=verdict, control=control,
        badge=CODES.get(verdict.code, verdict.code), benchmark=the(comparison.losses.benchmark),
        title=study.get("question") or study.get("name") or "study", answers=_answers(comparison, verdict),
        notes=[line for line in lines_of(comparison.asked, comparison, verdict) if line.note],
        remarks=[remark for remark in verdict.remarks if not any(one.sentence in remark for one in verdict.findings)],
        label=stage_label, study=study, manifest=manifest, nothing=NOTHING, colours=COLOURS, dark=DARK,
        unit=unit(comparison), text=_texts(comparison, scores, folds), pictures=drawn,
        tables=lay_out(
            comparison, verdict, numbers, scores=scores, history=history, folds=folds, manifest=manifest, aside=aside
        ),
        exhibits=exhibits, plates=[(one.title, b64encode(one.content).decode()) for one in plates],
        version=manifest.get("versions", {}).get("nextday", ""), points=points_of(drawn),
        most={"tickers": MOST_TICKERS, "notes": MOST_NOTES}, ran=ran(manifest),
    )  # fmt: skip


def ran(manifest: Mapping[str, Any]) -> "Markup":
    """Return the line of a report that says when a study was run; all else is the same if it is run again."""
    from markupsafe import Markup

    units = manifest.get("units", {})
    given = (manifest.get("started"), manifest.get("seconds"), manifest.get("device"), manifest.get("machine"),
        units.get("fitted"), units.get("reused"),
    )  # fmt: skip
    line = "<dt>Run</dt><dd>started {}, {} s, device {}, {}; {} units fitted, {} taken from earlier runs</dd>"
    return Markup(line).format(*(NOTHING if one in (None, "") else one for one in given))


def date_report(place: StudyFolder) -> None:
    """Bring a report up to date with a manifest that says the same of a later run."""
    page = (place.path / REPORT).read_bytes()
    line = str(ran(place.manifest())).encode()
    dated = RUN.sub(lambda _: line, page)
    if dated != page:
        place.put(REPORT, dated)


@cache  # compiling the templates takes a fifth of a second
def environment() -> "Environment":
    """Return the environment of the templates: every value is escaped, and none may be missing."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("nextday.reporting"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    made.globals["glossary"] = glossary()
    return made


def points_of(pictures: Mapping[str, Picture]) -> "Markup":
    """Return what a pointer may hit in each picture, as JSON that can neither end nor begin a script."""
    from markupsafe import Markup

    values = {key: one.points for key, one in pictures.items()}
    text = json.dumps(values, allow_nan=False, separators=(",", ":"))  # other than ASCII is escaped
    return Markup(text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e"))


def _answers(comparison: Comparison, verdict: Verdict) -> list[tuple[str, str]]:
    """Return one line per answer with its finding, in the order of the table; none where the headline says it all."""
    known = {(one.first, one.second): one for one in verdict.answers}
    lines = [
        known.get((line.contrast.first, line.contrast.second))
        for line in lines_of(comparison.asked, comparison, verdict)
    ]
    said = [one for one in lines if one is not None]
    texts = [f"{one.model}: {one.sentence}" if one.model else one.sentence for one in said]
    found = [
        (one.finding.replace(" ", "-"), f"{text[0].upper()}{text[1:]}.") for one, text in zip(said, texts, strict=True)
    ]
    return found if len(found) > 1 else []


def _pictures(
    comparison: Comparison, verdict: Verdict, numbers: Breakdown, history: pl.DataFrame
) -> dict[str, Picture]:
    """Draw every figure of the report; each is made and released in turn."""
    losses, axis = comparison.losses, f"skill ({plain(unit(comparison))})"
    draw: dict[str, Callable[[], Figure | None]] = {
        "contrasts": lambda: draw_contrasts(comparison, verdict),
        "others": lambda: draw_others(comparison, verdict),
        "saved": lambda: plots.over_time(losses, numbers),
        "tickers": lambda: plots.by_ticker(comparison),
        "years": lambda: plots.by_year(losses, numbers, axis),
        "curves": lambda: None if history.is_empty() else curves(history, looks(losses.variants)),
        "seeds": lambda: plots.by_seed(losses, numbers, axis),
    }
    if len(losses.variants) > MOST_VARIANTS:
        draw = {key: draw[key] for key in ("contrasts", "others")}
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        figures = ((key, one()) for key, one in draw.items())
        return {key: picture(key, figure) for key, figure in figures if figure is not None}


def _texts(comparison: Comparison, scores: pl.DataFrame, folds: pl.DataFrame) -> dict[str, str]:
    """Return the numbers that the template's sentences name."""
    first, last = (str(date) for date in comparison.losses.dates[[0, -1]].astype("datetime64[D]"))
    seeds = sorted({seed for seeds in comparison.losses.seeds for seed in seeds})
    change, loss = comparison.sensitivity, LOSSES.get(comparison.losses.loss)
    return {
        "margin": f"{100 * comparison.margin:g}",
        "detectable": _seen(comparison, "detectable"), "equality": _seen(comparison, "equality"),
        "confidence": f"{100 * (1 - comparison.alpha):g} %",
        "equivalence": f"{100 * (1 - 2 * comparison.alpha):g} %",
        "first": first, "last": last,
        "trained": f"{min(folds['train_from'])}" if len(folds) and "train_from" in folds.columns else NOTHING,
        "days": f"{len(comparison.losses.dates):,}",
        "tickers": plural(len(comparison.losses.tickers), "ticker"),
        "samples": f"{int((~np.isnan(comparison.losses.base)).sum()):,}",
        "seeds": ", ".join(map(str, seeds)) or "none (all models are deterministic)",
        "directions": "yes" if has_directions(scores) else "",  # targets have a sign
        "up": share(scores["AlwaysUp"].mean()),
        "zero_days": f"{int(scores['ZeroDays'].max() or 0):,}",  # type: ignore[arg-type]
        "block": f"{comparison.block:.1f}",
        "half": f"{change[0]:.2f}", "twice": f"{change[1]:.2f}",
        "survivors": survivors(comparison),
        "loss": NAMES.get(comparison.losses.loss, comparison.losses.loss),
        "scaled": (loss.scale or "").replace("_", " ") if loss else "",
    }  # fmt: skip


def _seen(comparison: Comparison, what: str) -> str:
    """Write the range of a value over the asked contrasts that are judged; nothing if none is."""
    known = [getattr(one, what) for one in comparison.asked if not (one.withheld or one.identical)]
    if not known:
        return NOTHING
    low, high = (number(100 * value, comparison, signed=False) for value in (min(known), max(known)))
    return low if low == high else f"{low} to {high}"


def survivors(comparison: Comparison) -> str:
    """Describe survivorship in the data: tickers whose samples end early."""
    losses = comparison.losses
    end, known = losses.dates[-1], [np.flatnonzero(~np.isnan(row)) for row in losses.base]
    last = losses.dates[[days[-1] for days in known if len(days)]]
    gone, day = int((last < end - np.timedelta64(30, "D")).sum()), str(end.astype("datetime64[D]"))
    if gone:
        ends = f"end{'s' if gone == 1 else ''} more than 30 days before {day}"
        return f"{gone} of {plural(len(losses.tickers), 'ticker')} {ends}."
    return f"No ticker is delisted before {day}: results are subject to survivorship bias."
