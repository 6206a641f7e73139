"""Plant splits that were not applied, and news, into random and real bars, and count how each is judged.

``python benchmarks/jumps.py --draws 1000``; with ``--bars FILE`` into bars of one's own, too, and every jump that these
have is listed with what was decided and why.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import polars as pl

import jump_worlds
from nextday.data import read_bars
from nextday.data.jumps import judge_jumps

SHOWN = (
    "ticker", "date", "verdict", "ratio", "odd", "size", "off_gap", "off_move", "odd_range", "odd_trade", "same", "returns",
)  # fmt: skip


def main() -> None:
    """Print a line per kind and kind of bars."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--bars", type=Path)
    given = parser.parse_args()
    sources = {"random walks": jump_worlds.walks, "embedded panel": jump_worlds.sample()}
    if given.bars:
        frame = read_bars(given.bars)[0].sort("ticker", "date")
        factor = (pl.col("adj_close") / pl.col("adj_before")).alias("factor")
        with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=200, float_precision=2):
            print(judge_jumps(frame).sort("verdict", "ticker", "date").select(factor, *SHOWN))
        sources[given.bars.stem] = jump_worlds.real(frame)
    for source, draw in sources.items():
        total: dict[str, Counter[str]] = {}
        for kind, plant in jump_worlds.kinds().items():
            found = jump_worlds.rates(draw, plant, given.draws)
            shares = ", ".join(
                f"{said} {100 * found[said] / given.draws:.1f} %" for said in ("refused", "asked", "news")
            )
            print(f"{source:16} {kind:38} {shares}", flush=True)
            total.setdefault(kind.split()[0], Counter()).update(found)
        for kind, found in total.items():
            shares = ", ".join(f"{said} {100 * n / found.total():.1f} %" for said, n in found.most_common())
            print(f"{source:16} all {kind:34} {shares}", flush=True)


if __name__ == "__main__":
    main()
