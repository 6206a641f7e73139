"""The verdict on a table of forecasts from any source."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from nextday.auditing.findings import accept
from nextday.cards import card
from nextday.evaluate import (
    Answer,
    Comparison,
    Contrast,
    Losses,
    Verdict,
    compare,
    examine,
    judge,
    load_forecasts,
    measure,
    prepare,
)
from nextday.evaluate.cross_section import clause_of, compare_across, line_of
from nextday.evaluate.export import as_dict
from nextday.evaluate.guards import is_size
from nextday.evaluate.signals import any_signal, signal, timing
from nextday.expectations import Outcome, hold, join_questions, read_expectations, read_questions, status_of
from nextday.threads import limit_threads

if TYPE_CHECKING:
    import pandas as pd

MOMENTS = {"squared": ("mean squared return", "variance")}  # in the table, and in the training window of a study
NEVER_NEGATIVE = (
    "Actual values are never negative, so any level beats the zero forecast; name a benchmark, such as a variant that "
    "forecasts their historical mean."
)
OTHER_MOMENTS = ("mean absolute return", "mean absolute deviation")


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on a table of forecasts; printed as the answer, and shown by a notebook with its contrasts.

    Attributes
    ----------
    comparison
        All contrasts and the losses they are computed from.
    verdict
        The answers in words.
    outcomes
        The outcome of each expectation.
    """

    comparison: Comparison
    verdict: Verdict
    outcomes: tuple[Outcome, ...] = ()

    @property
    def sentence(self) -> str:
        """The answers in one sentence."""
        return self.verdict.sentence

    @property
    def code(self) -> str:
        """The outcome in one word, see ``Verdict``."""
        return self.verdict.code

    @property
    def answers(self) -> tuple[Answer, ...]:
        """One answer for each asked contrast."""
        return self.verdict.answers

    @property
    def contrasts(self) -> tuple[Contrast, ...]:
        """All contrasts with their intervals: the asked ones, those with the benchmark, all other pairs."""
        return self.comparison.contrasts

    @property
    def remarks(self) -> tuple[str, ...]:
        """Remarks on the answer."""
        return self.verdict.remarks

    @property
    def status(self) -> int:
        """Exit status of the command: 0 if every expectation holds, 3 if one is refuted, 4 if one is undecided."""
        return status_of(self.outcomes)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, as described by ``verdict.schema.json``."""
        said = as_dict(self.comparison, self.verdict)
        return said | ({"expectations": [asdict(one) for one in self.outcomes]} if self.outcomes else {})

    def frame(self) -> pl.DataFrame:
        """Return one row per contrast, see ``Comparison.frame``.

        Examples
        --------
        >>> import nextday
        >>> nextday.verdict("forecasts.parquet").frame()  # doctest: +SKIP
        """
        return self.comparison.frame()

    def to_pandas(self) -> "pd.DataFrame":
        """Return ``frame`` as a pandas frame.

        Raises
        ------
        MissingError
            If pandas or pyarrow is not installed.
        """
        return self.comparison.to_pandas()

    def __str__(self) -> str:
        """Return the answer, its context, and what became of expectations, line by line."""
        return "\n".join((str(self.verdict), *map(str, self.outcomes)))

    def __repr__(self) -> str:
        return "\n".join((repr(self.verdict), *map(str, self.outcomes)))

    def _repr_html_(self) -> str:
        lines = (*map(str, self.outcomes), *self.verdict.context)
        return card(f"Verdict: {self.verdict.badge}", self.sentence, self.comparison.grid(), lines)


def verdict(
    frame: "pl.DataFrame | pl.LazyFrame | pd.DataFrame | str | Path", *, benchmark: str | None = None,
    loss: str = "squared", margin: float | None = None, alpha: float = 0.05, pooled: Iterable[str] | str = (),
    ask: Iterable[str] | str = (), expect: Iterable[str] | str = (),
    scale: Literal["training", "predicted"] = "training", allow: Iterable[str] | str = (),
) -> Judgement:  # fmt: skip
    """Compare forecasts that were made anywhere, and answer what is asked of them.

    Parameters
    ----------
    frame
        A Polars or pandas frame, or the path of a Parquet or CSV file (``-`` is standard input), with the columns
        ``variant, ticker, origin, actual, predicted`` and optionally ``seed``.
    benchmark
        The variant against which skill is measured; default: the zero forecast.
    loss
        ``squared``, ``absolute``, ``miss``, ``pinball``; across tickers ``ic``, ``rank_ic``, ``spread`` (the return of
        the highest fifth less that of the lowest; ``spread/10`` of tenths, ``spread@10bp`` after costs); or a numeric
        column that holds a loss.
    margin
        Margin of equivalence: smaller differences of skill are negligible; 0.01 is 1 %.
    alpha
        Error rate of each family of intervals.
    pooled
        Variants in which one network forecasts all tickers.
    ask
        Contrasts ``A - B`` to answer, where B may be ``zero``; default: every pair.
    expect
        Expectations ``A > B``, ``A < B``, ``A = B``, which are asked too; see ``Judgement.outcomes``.
    scale
        ``predicted`` divides squared errors by the predicted variance of the day.
    allow
        Variants whose alarms are accepted: forecasts that seem to know the future, but do not.

    Returns
    -------
    The answers and their contrasts; printed as the answer.

    Raises
    ------
    NextdayError
        If the table cannot be read or compared, or a name is unknown.

    Examples
    --------
    >>> import numpy as np, polars as pl
    >>> rng, days = np.random.default_rng(0), np.datetime64("2020-01-01") + np.arange(600)
    >>> signal, noise = rng.normal(size=(2, 600))
    >>> rows = [
    ...     pl.DataFrame({"variant": name, "ticker": "A", "origin": days, "actual": signal + 5 * noise, "predicted": p})
    ...     for name, p in {"mine": signal, "other": 0 * signal}.items()
    ... ]
    >>> judged = verdict(pl.concat(rows), expect="mine > other")
    >>> judged.code, judged.outcomes[0].outcome
    ('resolved', 'holds')
    """
    allow = _listed(allow, ",")
    table = prepare(load_forecasts(Path(frame)) if isinstance(frame, str | Path) else frame).at_hand()
    sizes = is_size(table.rows)
    losses = measure(
        table, loss=loss, benchmark=benchmark, pooled=_listed(pooled, ","), scale=scale,
        parts=loss == "squared" and not sizes,
    )  # fmt: skip
    names = [*losses.variants, *([benchmark] if benchmark else [])]
    expected = read_expectations(_listed(expect), names, benchmark or "")
    asks = join_questions(read_questions(_listed(ask), names, benchmark or ""), expected)
    with limit_threads():  # their number moves the last bits, and on a busy machine one waits for the other
        comparison = compare(losses, ask=asks or None, margin=margin, alpha=alpha)
        block, names = comparison.block, list(losses.variants)
        rows = table.rows.collect()
        varies = timing(rows, names, block=block)
        found = signal(varies if sizes else any_signal(rows, names, block=block), varies, alpha=alpha)
        level = [NEVER_NEGATIVE] if sizes and benchmark is None else []
        notes = (*level, *losses.notes, *_other_scale(losses))
        across = compare_across(rows, comparison)
        beside = tuple(filter(None, (line_of(across, comparison),)))
        judged = judge(
            comparison,
            signal=found,
            beside=beside,
            notes=notes,
            across=clause_of(across, comparison),
            findings=accept(examine(table.rows), allow),
        )
    return Judgement(comparison, judged, tuple(hold(one, comparison) for one in expected))


def _other_scale(losses: Losses) -> list[str]:
    """Note that losses are scaled by the table, not by training windows as in a study."""
    if losses.scale != "table":
        return []
    here, there = MOMENTS.get(losses.loss, OTHER_MOMENTS)
    return [
        f"Losses are scaled by each ticker's {here} in this table; a study scales by the {there} of the training set, "
        "so figures differ slightly."
    ]


def _listed(texts: Iterable[str] | str, separator: str = "") -> list[str]:
    """Convert one text to a list, or split it; spaces around names are ignored."""
    if isinstance(texts, str):
        texts = texts.split(separator) if separator else [texts]
    return [text.strip() for text in texts if text.strip()]
