"""The interactive forest plots of the HTML report: contrasts as intervals beside the margin."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from nextday.evaluate.answers import FINDINGS
from nextday.evaluate.contrasts import Comparison
from nextday.evaluate.verdict import Verdict
from nextday.reporting.findings import SHADES, Line, exploratory, figures, lines_of, reach, unit
from nextday.reporting.interactive import Picture, _band, _clip, _height, _labels, _rows_layout, _safe
from nextday.reporting.style import Limits

KEYS = {
    "better": "first better, features help", "worse": "first worse, features hurt", "equal": "equal within the margin",
    "cannot tell": "inconclusive", "withheld": "withheld",
}  # fmt: skip
MOST_OTHERS = 40  # exploratory pairs that are drawn
ARROWS = ("triangle-left", "triangle-right")


def draw_contrasts(comparison: Comparison, verdict: Verdict) -> Picture:
    """Draw what is asked, then the other contrasts with the benchmark, as intervals beside the margin."""
    asked = lines_of(comparison.asked, comparison, verdict)
    rest = [
        replace(line, group=f"{line.group}, not asked", beside=True)
        for line in lines_of(comparison.unasked, comparison)
    ]
    equal, margin = 100 * (1 - 2 * comparison.alpha), 100 * comparison.margin
    reading = (
        f"Thin line: simultaneous {100 * (1 - comparison.alpha):g} % CI of a family; if it excludes zero, the "
        f"difference is significant. Thick line: {equal:g} % CI for equivalence; if it lies inside the shaded margin "
        f"of ±{margin:g}, the two are equal. Right of zero the first is better, or its inputs help. Triangles: beyond "
        "the axis."
    )
    return _forest(
        "contrasts", "Asked contrasts, then all others with the benchmark", reading, [*asked, *rest], comparison
    )


def draw_others(comparison: Comparison, verdict: Verdict) -> Picture | None:
    """Draw the pairs that were not asked, at most ``MOST_OTHERS``; None if there are none."""
    lines = lines_of(exploratory(comparison, MOST_OTHERS), comparison, verdict)
    if not lines:
        return None
    few = f"the {len(lines)} of {len(comparison.others)} with the smallest adjusted p"
    reading = "Lines as above. This family is exploratory; the verdict does not depend on it."
    drawn = f" Drawn: {few}." if len(lines) < len(comparison.others) else ""
    return _forest("others", "Other pairs of variants", reading + drawn, lines, comparison)


def _forest(key: str, title: str, reading: str, lines: Sequence[Line], comparison: Comparison) -> Picture:
    """Draw contrasts as intervals, each below its name and finding, with a head above each group."""
    names = [*comparison.losses.variants, comparison.losses.benchmark]
    label = dict(zip(names, _labels([_clip(name) for name in names]), strict=True))
    texts, rows = [], {}
    for at, line in enumerate(lines):
        if at == 0 or line.group != lines[at - 1].group:
            texts.append(f"<b>{_safe(line.group)}</b>")
        rows[at] = len(texts)
        contrast = line.contrast
        pair = [contrast.first] if line.alone else [contrast.first, contrast.second]
        name = " - ".join(label[one] for one in pair) if contrast.kind == "pair" else _safe(_clip(line.name))
        texts.append(f"{name}: {line.word}, {figures(contrast.estimate)}")
    limits, data = _limits(lines), []
    for finding in FINDINGS:
        mine = [at for at, line in enumerate(lines) if line.finding == finding]
        data += (
            _intervals([lines[at] for at in mine], [(rows[at], texts[rows[at]]) for at in mine], limits) if mine else []
        )
    layout = _rows_layout(texts, f"skill ({unit(comparison)})")
    layout["shapes"] += [_band(100 * comparison.margin)]
    layout["xaxis"] |= {"range": list(limits)}
    return Picture(key, title, reading, _height(texts), data, layout)


def _limits(lines: Sequence[Line]) -> Limits:
    """Choose the limits by the first group of contrasts; the others may double them."""
    first = [line.contrast for line in lines if not line.beside]
    low, high = reach(first or [line.contrast for line in lines])
    if len(first) in {0, len(lines)}:
        return low, high
    most, (least, largest) = 2 * max(-low, high), reach([line.contrast for line in lines if line.beside])
    return min(low, max(least, -most)), max(high, min(largest, most))


def _intervals(lines: Sequence[Line], rows: Sequence[tuple[int, str]], limits: Limits) -> list[dict[str, Any]]:
    """Make thick and thin lines, a dot, and triangles at the edge, for some contrasts of one finding."""
    finding = lines[0].finding
    shade, name = f"@{SHADES[finding]}" if finding in SHADES else "@muted", KEYS[finding]
    chosen, y = [line.contrast for line in lines], [row for row, _ in rows]
    hover = [
        f"<b>{text}</b><br>{100 * c.estimate:+.3f}<br>simultaneous: {100 * c.low:+.3f} to {100 * c.high:+.3f}<br>"
        f"equivalence: {100 * c.equal_low:+.3f} to {100 * c.equal_high:+.3f}"
        for c, (_, text) in zip(chosen, rows, strict=True)
    ]
    spans: dict[str, dict[str, list[float | None]]] = {}
    for kind, low, high in (("thick", "equal_low", "equal_high"), ("thin", "low", "high")):
        spans[kind] = {"x": [], "y": []}
        for contrast, row in zip(chosen, y, strict=True):
            ends = [min(max(100 * getattr(contrast, end), limits[0]), limits[1]) for end in (low, high)]
            spans[kind]["x"] += [*ends, None]
            spans[kind]["y"] += [row, row, None]
    common = {"name": name, "legendgroup": name}
    line = common | {"mode": "lines", "hoverinfo": "skip", "showlegend": False}
    thin = {"color": shade, "width": 1.5, "dash": "dot" if finding == "withheld" else "solid"}
    dots = common | {"mode": "markers", "hovertemplate": "%{text}<extra></extra>", "cliponaxis": False}
    inside = [at for at, c in enumerate(chosen) if limits[0] <= 100 * c.estimate <= limits[1]]
    beyond = [(at, end) for at, c in enumerate(chosen)
              for end, off in ((0, 100 * c.low < limits[0]), (1, 100 * c.high > limits[1])) if off]  # fmt: skip
    hollow = "circle-open" if finding in {"cannot tell", "withheld"} else "circle"
    return [
        line | {"line": {"color": f"{shade}/0.45", "width": 8}} | spans["thick"],
        line | {"line": thin} | spans["thin"],
        dots | {
            "x": [100 * chosen[at].estimate for at in inside], "y": [y[at] for at in inside],
            "text": [hover[at] for at in inside],
            "marker": {"color": shade, "size": 9, "symbol": hollow, "line": {"width": 2, "color": shade}},
        },
        *([dots | {
            "x": [limits[end] for _, end in beyond], "y": [y[at] for at, _ in beyond], "showlegend": not inside,
            "text": [hover[at] for at, _ in beyond],
            "marker": {"color": shade, "size": 11, "symbol": [ARROWS[end] for _, end in beyond]},
        }] if beyond else []),
    ]  # fmt: skip
