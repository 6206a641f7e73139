"""Run the stages that ship with nextday one after the other, and compare them on the same days."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import polars as pl

from nextday.engine import Options
from nextday.errors import MissingError
from nextday.evaluate.wording import Lesson
from nextday.ladder.figures import draw_ladder, write_comparison
from nextday.ladder.leaderboard import rank
from nextday.ladder.lessons import learn
from nextday.ladder.page import render_ladder
from nextday.ladder.table import Ladder, load_ladder
from nextday.pipeline import run
from nextday.presets import CONTROL, LAST, stages
from nextday.results import Results
from nextday.storage.files import open_folder, write_atomically
from nextday.storage.memory import once
from nextday.study import Study
from nextday.words import plural

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Comparisons:
    """The comparison of all stages: the leaderboard, the lessons, and the folder of the files."""

    out: Path
    ladder: Ladder
    leaderboard: pl.DataFrame
    lessons: tuple[Lesson, ...]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        stages = ", ".join(stage.name for stage in self.ladder.stages)
        head = f"Comparison of {plural(len(self.leaderboard), 'model')} of {stages}; files: {self.out}"
        return "\n".join((head, *(f"{one.stage}: {one.sentence}" for one in self.lessons)))


def compare(out: Path | str = "results", *, notes: tuple[str, ...] = ()) -> Comparisons:
    """Compare all finished studies of a folder that share their samples, and write the comparison to ``out/stage7``.

    Parameters
    ----------
    out
        Folder of all studies' results.
    notes
        Further notes for readers.

    Returns
    -------
    The leaderboard, the lessons, and the folder of the files.

    Raises
    ------
    NextdayError
        If no two studies have the same samples.

    Examples
    --------
    >>> import nextday
    >>> nextday.compare("results").lessons[0].sentence  # doctest: +SKIP
    """
    return once("ladder", Path(out), lambda: _compare(out, notes), str(out), notes)


def _compare(out: Path | str, notes: tuple[str, ...]) -> Comparisons:
    ladder = load_ladder(Path(out))
    board, zero = rank(ladder)
    lessons, margin, confidence = learn(ladder), ladder.comparison.margin, 1 - ladder.comparison.alpha
    folder = open_folder(Path(out) / LAST)
    (folder / "report.html").unlink(missing_ok=True)  # it comes last: without it the folder is unfinished
    write_comparison(folder, board)
    draw_ladder(folder, board, margin=margin, confidence=confidence)
    write_atomically(folder / "lessons.json", json.dumps([asdict(one) for one in lessons], indent=1).encode())
    page = render_ladder(ladder, board, lessons, zero)
    write_atomically(folder / "report.html", page.encode())
    return Comparisons(folder, ladder, board, lessons, (*notes, *ladder.notes))


def run_all(
    changes: Mapping[str, object] | None = None, *, bars: "pl.DataFrame | pd.DataFrame | None" = None,
    out: Path | str = "results", show: Callable[[Results], None] = lambda _: None,
    **execution: Unpack[Options],
) -> Comparisons:  # fmt: skip
    """Run the positive control and every stage that ships with nextday, with the same changes, then compare them.

    A stage whose models need a package or weights that are not installed is skipped, with a note. Any other error ends
    the run; all studies are read before the first is run.

    Parameters
    ----------
    changes
        Dotted keys and new values, for all studies.
    bars, out, **execution
        As in ``nextday.run``.
    show
        Called with the results of each finished stage.

    Returns
    -------
    The leaderboard and the lessons, see ``compare``.

    Raises
    ------
    NextdayError
        For any error that a user can correct.

    Examples
    --------
    >>> import nextday
    >>> nextday.run_all({"data": "bars.parquet"}, workers=2).leaderboard  # doctest: +SKIP
    """
    studies = [Study.load(name, changes) for name in (CONTROL, *stages())]  # every report shows the control
    notes = []
    for study in studies:
        try:
            results = run(study, bars=bars, out=out, **execution)
        except MissingError as error:
            notes.append(f"{study.name} was skipped: {error}")
        else:
            show(results)
    return compare(out, notes=tuple(notes))
