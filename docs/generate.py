"""Write what the pages take from results and code; ``--check`` fails when a page is stale.

``make readme`` copies the small result files of ``results/`` (of ``make study``) into ``docs/sample/`` and writes the
blocks between ``<!-- NAME -->`` and ``<!-- end -->`` from them: no figure there is typed by hand. The pages of
``docs/reference`` and the glossary are made whole, from the code.
"""

import argparse
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
from reference import MADE, cli_page, study_page

from nextday.evaluate.answers import MODELS
from nextday.features import SETS, find_feature
from nextday.features.alpha158 import DAY, OVER_WINDOWS
from nextday.reporting.glossary import glossary

DOCS = Path(__file__).parent
SAMPLE = DOCS / "sample"
ROOT = DOCS.parent
FILES = {  # of results, and their names in the sample
    "stage2/stage2_results.csv": "stage2_results.csv",
    "stage2/manifest.json": "manifest.json",
    "stage2/verdict.json": "verdict.json",
    "stage2/stage2_verdict.png": "stage2_verdict.png",
    "stage7/final_comparison.csv": "final_comparison.csv",
    "stage7/lessons.json": "lessons.json",
    "matched/matched_effects.csv": "matched_effects.csv",
    "control/verdict.json": "control_verdict.json",
}


def table() -> str:
    """Lay out the leaderboard of the stages."""
    lines = [
        "| stage | model | inputs | RMSE | R2 against zero, % | skill against zero, % | parameters |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: |",
    ]
    every = pl.read_csv(SAMPLE / "final_comparison.csv")
    shown = every.unique(["Method", "RMSE", "Skill"], keep="first", maintain_order=True)  # copies differ in quantiles
    for row in shown.iter_rows(named=True):
        skill = f"{100 * row['Skill']:+.2f} ({100 * row['SkillLow']:+.2f} to {100 * row['SkillHigh']:+.2f})"
        skill = skill.replace(" ", "\N{NO-BREAK SPACE}")
        cells = [
            row["Stage"].removeprefix("stage"), row["Model"], row["Features"], f"{row['RMSE']:.5f}",
            f"{100 * row['R2Zero']:+.1f}", skill if row["Method"] != "zero" else "0",
            f"{row['Parameters']:,}" if row["Parameters"] else "",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def lessons() -> str:
    """List what the comparison of the stages learned."""
    found = json.loads((SAMPLE / "lessons.json").read_text())
    told = [one for one in found if one["answer"] != "supplementary"]
    return "\n".join(f"- *{one['question']}* {one['sentence']}" for one in told)


def caption() -> str:
    """Say what the table is of."""
    manifest = json.loads((SAMPLE / "manifest.json").read_text())
    data, seeds = manifest["data"], ", ".join(map(str, manifest["study"]["seeds"]))
    results = pl.read_csv(SAMPLE / "stage2_results.csv")
    return (
        f"{len(data['tickers'])} tickers, {data['from']} to {data['to']}, {results['Days'].max()} test days each, "
        f"mean over tickers; networks: seeds {seeds}. Skill is the gain in RMSE; "
        "its intervals hold for all models at once; parameters are those trained here. "
        f"Base rate of positive returns: {100 * results['AlwaysUp'].mean():.1f} %."
    )


def verdict() -> str:
    """Say the verdict of Stage 2, and its context."""
    found = json.loads((SAMPLE / "verdict.json").read_text())["verdict"]
    return "\n>\n".join([f"> **{found['sentence']}**", *(f"> {line}" for line in found["context"])])


def glossary_page() -> str:
    """Lay out the words of the verdict and the reports."""
    entries = [f"{term}\n: {meaning}\n" for term, meaning in glossary().items()]
    head = "# Glossary\n\nThe words of the verdict and of the reports. Every report has this list at its end.\n"
    return "\n".join([MADE.format("src/nextday/reporting/glossary.yaml"), head, *entries])


def feature_sets() -> str:
    """Lay out the feature sets: groups, number of features, warm-up, extra, paper."""
    lines = ["| set | groups | features | warm-up | extra | paper |", "| --- | --- | ---: | ---: | --- | --- |"]
    for name, one in SETS.items():
        groups = ", ".join(f"{group} ({len(features)})" for group, features in one.groups.items())
        extra = "`features`" if one.package else ""
        lines.append(f"| `{name}` | {groups} | {len(one.names)} | {one.warmup} | {extra} | {one.paper} |")
    return "\n".join(lines)


def refused_features() -> str:
    """List the features that are refused, by reason."""
    lines = ["| set | refused | because it |", "| --- | --- | --- |"]
    for name, one in SETS.items():
        reasons: dict[str, list[str]] = {}
        for feature, reason in one.refused.items():
            reasons.setdefault(reason, []).append(feature)
        for reason, features in reasons.items():
            shown = f"VWAP1 to {features[-1]}" if features[-1] == "VWAP59" else ", ".join(features)
            lines.append(f"| `{name}` | {shown} | {reason} |")
    return "\n".join(lines)


def formulas() -> str:
    """Lay out the formulas of the sets, with their papers where a set has several."""
    parts = ["| feature | formula | paper |", "| --- | --- | --- |"]
    for name in ("har", "ranges", "tsmom", "gkx_price"):
        found = {feature: find_feature(feature, {}) for feature in SETS[name].names}
        parts += [f"| {feature} | {one.formula} | {one.paper} |" for feature, one in found.items()]
    parts += ["\n| Alpha158 | of the day; `d` is 5, 10, 20, 30 or 60 days |", "| --- | --- |"]
    for formulas in (DAY, *OVER_WINDOWS.values()):
        parts += [
            f"| {feature}{'' if formulas is DAY else 'd'} | {said.format(d='d')} |"
            for feature, said in formulas.items()
        ]
    parts += ["\n| TA-Lib | indicator |", "| --- | --- |"]
    parts += [f"| {feature} | {find_feature(feature, {}).formula} |" for feature in SETS["talib"].names]
    return "\n".join(parts)


def matched() -> str:
    """Lay out what information and what its form are worth, for each family of models."""
    effects = pl.read_csv(SAMPLE / "matched_effects.csv").filter(kind="effect")
    models = effects["model"].unique(maintain_order=True).to_list()
    lines = [f"| effect, % of RMSE | {' | '.join(MODELS[name] for name in models)} |"]
    lines.append(f"| --- |{' ---: |' * len(models)}")
    for group in effects["group"].unique(maintain_order=True):
        rows = {row["model"]: row for row in effects.filter(group=group).iter_rows(named=True)}
        lines.append(f"| {group} | {' | '.join(_effect(rows[name]) for name in models)} |")
    return "\n".join(lines)


def _effect(row: dict[str, Any]) -> str:
    estimate, low, high = (f"{round(100 * row[name], 2) + 0.0:+.2f}" for name in ("effect", "low", "high"))
    return f"{estimate} ({low} to {high})".replace(" ", "\N{NO-BREAK SPACE}")


def control() -> str:
    """Lay out what the positive control finds: the skill of each variant, and what inputs are worth."""
    found = json.loads((SAMPLE / "control_verdict.json").read_text())
    lines = [f"| next day's log range | % of the RMSE of {found['benchmark']} |", "| --- | ---: |"]
    pairs = [one for one in found["asked"] if one["second"] != found["benchmark"]]
    for one in found["against_benchmark"] + pairs:
        name = one["first"] if one["second"] == found["benchmark"] else f"{one['first']} - {one['second']}"
        lines.append(f"| {name} | {_effect(one | {'effect': one['estimate']})} |")
    return "\n".join(lines)


BLOCKS = {
    "README.md": {"verdict": verdict, "matched": matched, "control": control},
    "docs/control.md": {"control": control},
    "docs/ablation.md": {"matched": matched},
    "docs/index.md": {"verdict": verdict},
    "docs/features.md": {"sets": feature_sets, "refused": refused_features, "formulas": formulas},
    "docs/results.md": {"table": table, "caption": caption, "lessons": lessons},
}
PAGES = {"docs/reference/study.md": study_page, "docs/reference/cli.md": cli_page, "docs/glossary.md": glossary_page}


def rendered() -> dict[Path, str]:
    """Return every page that has something made, with it made anew."""
    filled = {ROOT / name: fill(ROOT / name, blocks) for name, blocks in BLOCKS.items()}
    return filled | {ROOT / name: make() for name, make in PAGES.items()}


def fill(page: Path, blocks: dict[str, Callable[[], str]]) -> str:
    """Return a page with its blocks made anew."""
    text = page.read_text("utf-8")
    for name, make in blocks.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        if not re.search(pattern, text, re.DOTALL):
            sys.exit(f"{page} has no block <!-- {name} -->")
        content = make()
        text = re.sub(pattern, lambda found, content=content: f"{found[1]}{content}\n{found[2]}", text, flags=re.DOTALL)
    return text


def main() -> None:
    """Copy, write or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="results", type=Path, help="folder of results to copy from")
    parser.add_argument("--check", action="store_true", help="fail when a page is stale")
    args = parser.parse_args()
    if args.results:
        SAMPLE.mkdir(exist_ok=True)
        for file, name in FILES.items():
            if (args.results / file).parent.is_dir():
                shutil.copyfile(args.results / file, SAMPLE / name)
            else:
                print(f"{file} is not there; docs/sample/{name} stays as it is")
    pages = rendered()
    if args.check:
        stale = [page for page, text in pages.items() if not page.exists() or page.read_text("utf-8") != text]
        names = ", ".join(str(page.relative_to(ROOT)) for page in stale)
        sys.exit(f"stale: {names}; run python docs/generate.py" if stale else 0)
    for page, text in pages.items():
        page.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
