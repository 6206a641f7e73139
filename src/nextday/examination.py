"""An audit: whether columns, functions, forecasts or a newer file of bars contain data of days still to come."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from nextday.auditing.columns import audit_columns, own_columns
from nextday.auditing.findings import Finding, accept, by_level
from nextday.auditing.forecaster import run_forecaster
from nextday.auditing.functions import audit_function
from nextday.auditing.perturb import missed
from nextday.auditing.vintages import compare_vintages
from nextday.cards import Grid, card
from nextday.data import Panel, align, load
from nextday.data.snapshot import older_snapshot
from nextday.errors import DataError, VerdictError
from nextday.evaluate import examine, load_forecasts, prepare
from nextday.evaluate.credible import check_timing, count_variants
from nextday.evaluate.reading import Prepared
from nextday.names import known as meant
from nextday.settings import BarsSettings
from nextday.storage.tables import to_pandas
from nextday.words import plural

if TYPE_CHECKING:
    import pandas as pd

Function = Callable[[Any], Any]  # a frame of bars to a frame


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found; printed line by line, and shown by a notebook as a table.

    Attributes
    ----------
    source
        What was audited.
    findings
        Open alarms first, then accepted ones, questions and notes.
    seconds
        How long it took.
    """

    source: str
    findings: tuple[Finding, ...]
    seconds: float = 0.0

    @property
    def alarms(self) -> tuple[Finding, ...]:
        """Alarms that nobody has accepted."""
        return tuple(one for one in self.findings if one.is_open)

    @property
    def status(self) -> int:
        """Exit status of the command: 1 with an open alarm, else 0."""
        return int(bool(self.alarms))

    @property
    def sentence(self) -> str:
        """The outcome in one sentence."""
        questions = sum(one.level == "question" for one in self.findings)
        asked = f"{plural(questions, 'question')} to decide" if questions else "no question"
        found = plural(len(self.alarms), "alarm") if self.alarms else "no alarm"
        return f"{self.source}: {found}, {asked}."

    def frame(self) -> pl.DataFrame:
        """Return one row per finding: ``name, level, code, sentence, accepted``."""
        names = ("name", "level", "code", "sentence")
        rows = [{name: getattr(one, name) for name in names} | {"accepted": one.accepted} for one in self.findings]
        return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String) | {"accepted": pl.Boolean})

    def to_pandas(self) -> "pd.DataFrame":
        """Return ``frame`` as a pandas frame.

        Raises
        ------
        MissingError
            If pandas or pyarrow is not installed.
        """
        return to_pandas(self.frame())

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "schema": "nextday/audit/1", "source": self.source, "alarms": len(self.alarms),
            "seconds": round(self.seconds, 3), "findings": [one.as_dict() for one in self.findings],
        }  # fmt: skip

    def __str__(self) -> str:
        """Return the findings, then the outcome, line by line."""
        lines = [f"{one.status} {one.code}: {one.sentence}" for one in self.findings]
        return "\n".join((*lines, self.sentence))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = [(one.status, one.code, one.name, one.sentence) for one in self.findings]
        return card("Audit", self.sentence, Grid("Findings", ("", "rule", "name", "finding"), rows))


def audit(  # noqa: PLR0913
    source: "pl.DataFrame | pl.LazyFrame | pd.DataFrame | str | Path", *, columns: Sequence[str] | None = None,
    before: "pl.DataFrame | pd.DataFrame | str | Path | None" = None, features: Function | None = None,
    forecaster: Function | None = None, bars: "pl.DataFrame | pd.DataFrame | str | Path | None" = None,
    known: Mapping[str, str] | None = None, allow: Collection[str] = (), cuts: int = 24,
    settings: BarsSettings | None = None,
) -> Audit:  # fmt: skip
    """Look for data of the future in bars with columns of one's own, in functions of bars, or in forecasts.

    Parameters
    ----------
    source
        Bars, or a table of forecasts (it has a column ``predicted``): a frame, or the path of a file.
    columns
        Columns of the bars to audit; default: all numeric ones beyond prices and volume.
    before
        An older vintage of the bars: what was said then of the same days. A snapshot of ``nextday data fetch`` finds
        the one before it by itself.
    features
        A function from a frame of bars to a frame with ``date, ticker`` and columns; it is run on bars whose future was
        cut off or rewritten.
    forecaster
        A function from a frame of bars to a table of forecasts, run on bars whose future was rewritten.
    bars
        Bars to hold the actual values of a table of forecasts against.
    known
        When values of columns were public: so long after the end of their quarter or month, ``{"eps": "45d"}``, or a
        column of dates.
    allow
        Alarms to accept: ``NAME`` of a column or variant, or ``NAME:RULE``.
    cuts
        Days at which the future of a function is cut off and rewritten.
    settings
        How bars are read, and their market; default: the market is SPY where there is one.

    Returns
    -------
    The findings. A pass is no proof: see the page on audits for what no audit can find.

    Raises
    ------
    NextdayError
        If the bars or the table cannot be read, or a function fails.

    Examples
    --------
    >>> import polars as pl
    >>> from nextday.data import load_bars
    >>> frame = load_bars("sample").frame
    >>> move = (pl.col("adj_close") / pl.col("adj_close").shift(1)).log()
    >>> found = audit(frame.with_columns(peek=move.shift(-1).over("ticker")))
    >>> found.status, found.findings[0].code
    (1, 'T1')
    """
    started = time.perf_counter()
    table = _table(source)
    if table is not None:
        name, found = _of_table(source, table, bars, settings or BarsSettings())
    else:
        settings = settings or BarsSettings()
        panel = _panel(source, settings)
        chosen = _chosen(panel, columns)
        name, found = panel.source, list(audit_columns(panel, chosen, known=known or settings.known))
        older = older_snapshot(source) if before is None and isinstance(source, str | Path) else before
        if older is not None:
            found += compare_vintages(_frame(source, settings), _frame(older, settings))
        if not chosen and older is None and features is None and forecaster is None:
            said = (
                f"{name} has no numeric column beyond prices and volume; name a function with features or forecaster."
            )
            found.append(Finding("", "note", "T0", said))
        if features is not None:
            found += audit_function(panel.frame, features, cuts=cuts)
            said = f"Functions were run on {plural(cuts, 'other future')}: {missed(cuts)}."
            found.append(Finding("", "note", "F1", said, {"places": float(cuts)}))
        if forecaster is not None:
            perturbed, forecasts = run_forecaster(panel.frame, forecaster)
            found += [*perturbed, *_examined(prepare(forecasts), panel.frame)]
    accepted = accept(found, {*allow, *((settings and settings.allow) or ())})
    return Audit(name, by_level(accepted), time.perf_counter() - started)


def _table(source: Any) -> Prepared | None:  # noqa: ANN401 - a frame of any kind, or a path
    """Return the forecasts that a source holds; None if it holds bars."""
    if isinstance(source, str | Path):
        if not (Path(source).is_file() or str(source) == "-"):
            return None
        try:
            source = load_forecasts(Path(source))
        except VerdictError:
            return None  # a form of bars, such as a workbook
    names = source.collect_schema().names() if isinstance(source, pl.LazyFrame) else list(source.columns)
    return prepare(source) if "predicted" in [str(name).strip().casefold() for name in names] else None


def _of_table(source: object, table: Prepared, bars: Any, settings: BarsSettings) -> tuple[str, list[Finding]]:  # noqa: ANN401
    name = str(source) if isinstance(source, str | Path) else "the forecasts"
    return name, _examined(table, None if bars is None else _frame(bars, settings))


def _examined(table: Prepared, prices: pl.DataFrame | None) -> list[Finding]:
    """Apply the rules of forecasts, with bars also that of the day that actual values are of."""
    rows = table.at_hand().rows
    missing = [name for name in ("variant", "ticker", "origin", "actual") if name not in rows.collect_schema()]
    if missing:
        raise VerdictError(
            f"the forecasts table has no column {missing[0]!r}; it has {', '.join(rows.collect_schema())}"
        )
    found = list(examine(rows))
    found += [] if prices is None else check_timing(rows, prices)
    variants = rows.select(pl.col("variant").unique()).collect().to_series().to_list()
    return [*found, count_variants(variants)]


def _panel(source: Any, settings: BarsSettings) -> Panel:  # noqa: ANN401
    """Read bars and align them, each ticker on its own sessions; the usual market is taken where there is one."""
    loaded = load(_named(source, settings), None if isinstance(source, str | Path) else source)
    usual = BarsSettings.model_fields["market"].default
    market = settings.index if settings.index in loaded.tickers or settings.market != usual else ""
    return align(loaded, tickers=settings.tickers, market=market, balance="each")


def _frame(source: Any, settings: BarsSettings) -> pl.DataFrame:  # noqa: ANN401
    return load(_named(source, settings), None if isinstance(source, str | Path) else source).frame


def _named(source: Any, settings: BarsSettings) -> BarsSettings:  # noqa: ANN401
    return settings.model_copy(update={"data": str(source)}) if isinstance(source, str | Path) else settings


def _chosen(panel: Panel, columns: Sequence[str] | None) -> list[str]:
    own = own_columns(panel)
    for name in columns or ():
        if name not in own:
            raise DataError(f"{panel.source}: no numeric column {name!r} beyond prices and volume; {meant(name, own)}")
    return own if columns is None else list(columns)
