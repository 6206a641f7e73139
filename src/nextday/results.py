"""The results of a study, as Python has them: tables, figures, and the answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from nextday.cards import card, link
from nextday.errors import OutputError
from nextday.evaluate import Comparison, Verdict, summarise
from nextday.evaluate.losses import size_of
from nextday.names import known
from nextday.reporting import Exhibit, Figures
from nextday.storage.folder import REPORT
from nextday.storage.tables import to_pandas
from nextday.study import Study
from nextday.words import plural

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MOST_NOTES = 3  # of a card


@dataclass(frozen=True, slots=True)
class Results:
    """Results of a study: its tables as Polars frames, the verdict, the figures, and the folder of all its files.

    A notebook shows the answer with its contrasts. ``findings`` are the frames of its analyses by name, such as
    ``uncertainty`` of quantile forecasts; ``exhibits`` their tables for readers; ``figures`` the figures by name, each
    with ``frame()`` and ``plot()``.

    Examples
    --------
    >>> import nextday
    >>> results = nextday.report("results/stage2")  # doctest: +SKIP
    >>> results.figures["ablation_curves"].frame()  # doctest: +SKIP
    """

    study: Study
    out: Path
    forecasts: pl.DataFrame
    history: pl.DataFrame
    scores: pl.DataFrame
    comparison: Comparison
    verdict: Verdict
    notes: tuple[str, ...]
    findings: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    exhibits: tuple[Exhibit, ...] = ()
    figures: Figures = field(default_factory=Figures)

    @property
    def summary(self) -> pl.DataFrame:
        """One row per variant: metrics averaged over tickers and seeds, and their standard deviations between seeds."""
        return summarise(self.scores, by=["variant"])

    @property
    def contrasts(self) -> pl.DataFrame:
        """One row per contrast, see ``Comparison.frame``."""
        return self.comparison.frame()

    def plot(self, figure: str = "verdict") -> "Figure":
        """Draw a figure as in the study's folder; a notebook shows it.

        Parameters
        ----------
        figure
            A name of ``figures``.

        Returns
        -------
        A figure of matplotlib, without pyplot.

        Raises
        ------
        OutputError
            If there is no such figure; the known ones are named.

        Examples
        --------
        >>> import nextday
        >>> nextday.report("results/stage2").plot("ablation_curves")  # doctest: +SKIP
        """
        return self.figures[figure].plot()

    def to_pandas(self, table: str = "summary") -> "pd.DataFrame":
        """Return a table as a pandas frame.

        Parameters
        ----------
        table
            ``summary``, ``contrasts``, ``forecasts``, ``scores``, ``history``, or a name of ``findings``.

        Raises
        ------
        OutputError
            If there is no such table; the known ones are named.
        MissingError
            If pandas or pyarrow is not installed.

        Examples
        --------
        >>> import nextday
        >>> nextday.report("results/stage2").to_pandas("forecasts")  # doctest: +SKIP
        """
        own = ("summary", "contrasts", "forecasts", "scores", "history")
        if table in own:
            return to_pandas(getattr(self, table))
        if table not in self.findings:
            raise OutputError(f"no table {table!r} here; {known(table, (*own, *self.findings))}")
        return to_pandas(self.findings[table])

    def __repr__(self) -> str:
        size = f"{size_of(self.comparison.losses)}; files: {self.out}"
        return f"Results of {self.study.name}\n{self.verdict.sentence}\n{size}"

    def _repr_html_(self) -> str:
        title = f"{self.study.name}: {self.study.question}" if self.study.question else self.study.name
        notes = [f"Note: {note}" for note in self.notes[:MOST_NOTES]]
        more = len(self.notes) - len(notes)
        notes += [f"{plural(more, 'more note')} in .notes"] if more > 0 else []
        lines = [*self.verdict.context, *notes, f"{size_of(self.comparison.losses)}."]
        files = link(self.out / REPORT, "Report")
        return card(title, self.verdict.sentence, self.comparison.grid(), lines, files=files)
