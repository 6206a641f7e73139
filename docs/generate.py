"""Bring the figures of finished studies into README.md; ``--check`` fails when they are stale.

``make readme`` copies the small result files of ``results/`` (of ``make study`` and ``make walk``) into
``docs/sample/`` and writes the blocks of README.md between ``<!-- NAME -->`` and ``<!-- end -->`` from them. No figure
there is typed by hand.
"""

import argparse
import json
import re
import shutil
import sys
from pathlib import Path

import polars as pl

DOCS = Path(__file__).parent
SAMPLE = DOCS / "sample"
README = DOCS.parent / "README.md"
FILES = {
    "stage1": ("stage1_results.csv", "stage1_results_by_seed.csv"),
    "stage2": ("stage2_results.csv", "stage2_results_by_seed.csv", "stage2_full_comparison.png", "manifest.json"),
}
SHOWN = {"RMSE": (1, 5), "DirAcc": (100, 1), "R2Zero": (100, 1)}  # factor and digits


def table() -> str:
    """Lay out the mean over tickers of every model, with its spread between seeds."""
    lines = ["| model | RMSE | DirAcc % | R2 against zero % | seeds |", "| --- | --- | --- | --- | --- |"]
    for stage in FILES:
        by_seed = pl.read_csv(SAMPLE / f"{stage}_results_by_seed.csv")
        per_seed = by_seed.group_by("Model", "Seed", maintain_order=True).agg(pl.col("RMSE", "DirAcc", "R2Zero").mean())
        for (model,), group in per_seed.group_by(["Model"], maintain_order=True):
            cells = [_cell(group[name], *shown) for name, shown in SHOWN.items()]
            lines.append(f"| {model} | {' | '.join(cells)} | {len(group)} |")
    return "\n".join(lines)


def _cell(values: pl.Series, factor: float, digits: int) -> str:
    mean, deviation = factor * values.mean(), values.std()
    return f"{mean:.{digits}f}" + (f" ± {factor * deviation:.{digits}f}" if deviation is not None else "")


def caption() -> str:
    """Say what the table is of."""
    manifest = json.loads((SAMPLE / "manifest.json").read_text())
    data, seeds = manifest["data"], ", ".join(map(str, manifest["study"]["seeds"]))
    results = pl.read_csv(SAMPLE / "stage2_results.csv")
    return (
        f"{len(data['tickers'])} tickers, {data['from']} to {data['to']}, {results['Days'].max()} test days each, "
        f"mean over tickers; networks: seeds {seeds}, ± standard deviation between seeds. "
        f"Share of days that went up: {100 * results['AlwaysUp'].mean():.1f} %."
    )


def verdict() -> str:
    """Say the verdict of the walk-forward study, and lay out its contrasts."""
    found = json.loads((SAMPLE / "verdict.json").read_text())
    counts, seeds = found["counts"], max(found["counts"]["seeds"].values())
    lines = [
        f"> {found['verdict']['sentence']}", "",
        *(f"- {remark}" for remark in found["verdict"]["remarks"]), "",
        f"Skill in % of the benchmark's RMSE; {counts['tickers']} tickers, {counts['days']} days, {seeds} seeds, "
        f"simultaneous intervals at {100 * (1 - found['alpha']):.0f} %:", "",
        "| contrast | skill | interval | standard error from days | from seeds | p of all |",
        "| --- | --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    for row in found["contrasts"]:
        skill, low, high, days, luck = (
            100 * row[name] for name in ("estimate", "low", "high", "date_error", "seed_error")
        )
        numbers = f"{skill:+.2f} | {low:+.2f} to {high:+.2f} | {days:.2f} | {luck:.2f} | {row['p_adjusted']:.3f}"
        lines.append(f"| {row['first']} - {row['second']} | {numbers} |")
    return "\n".join(lines)


def rendered() -> str:
    """Give README.md with every block made anew."""
    text = README.read_text("utf-8")
    for name, content in (("table", table()), ("caption", caption()), ("verdict", verdict())):
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        if not re.search(pattern, text, re.DOTALL):
            sys.exit(f"README.md has no block <!-- {name} -->")
        text = re.sub(pattern, lambda found, content=content: f"{found[1]}{content}\n{found[2]}", text, flags=re.DOTALL)
    return text


def main() -> None:
    """Copy, write or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="results", type=Path, help="folder of results to copy from")
    parser.add_argument("--check", action="store_true", help="fail when README.md is stale")
    args = parser.parse_args()
    if args.results:
        SAMPLE.mkdir(exist_ok=True)
        for stage, names in FILES.items():
            for name in names:
                shutil.copyfile(args.results / stage / name, SAMPLE / name)
        shutil.copyfile(args.results / "walk_forward" / "stage2" / "verdict.json", SAMPLE / "verdict.json")
    if args.check:
        sys.exit(0 if rendered() == README.read_text("utf-8") else "README.md is stale: run make readme")
    README.write_text(rendered(), "utf-8")


if __name__ == "__main__":
    main()
