"""What ``nextday data check`` sees: findings, columns of one's own, and what a run would say before it trains."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from nextday.auditing import findings as audits
from nextday.auditing.columns import audit_columns, own_columns
from nextday.data import (
    Calendar,
    Finding,
    Panel,
    check_bars,
    check_keys,
    checked,
    panel_of,
    read,
)
from nextday.data.gaps import describe_gaps
from nextday.data.jumps import REFUSED
from nextday.data.own import Own, describe_own
from nextday.errors import DataError, NextdayError
from nextday.names import listed
from nextday.settings import BarsSettings
from nextday.study import Study
from nextday.words import plural

if TYPE_CHECKING:
    import polars as pl

MOST_GROUPS = 6  # rows of a column in the table, each of the tickers of which the same can be said
MOST_TICKERS = 6  # named in a row
MOST_FINDINGS = 60  # rows of their table; of more, MOST_GROUPS of each rule are shown


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of bars.

    Attributes
    ----------
    source
        Where the bars come from.
    findings
        What is wrong with them.
    own
        Columns of one's own, ticker by ticker.
    audit
        What an audit of the columns of one's own found.
    remarks
        What a reader should know of the bars.
    used
        What a run would use, and what it would note.
    refused
        What a run would refuse, if anything.
    """

    source: str
    findings: Sequence[Finding]
    own: Sequence[Own]
    audit: Sequence[audits.Finding]
    remarks: Sequence[str]
    used: Sequence[str]
    refused: NextdayError | None

    def as_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return {
            "source": self.source,
            "findings": [finding.as_dict() for finding in self.findings],
            "columns": [one.as_dict() for one in self.own],
            "audit": [one.as_dict() for one in self.audit],
            "remarks": [*self.remarks, *self.used],
            "refused": str(self.refused or ""),
        }


def look(wanted: BarsSettings, exchange: str = "") -> Look:
    """Read bars and see what a run would make of them; of a study, also of its features.

    Parameters
    ----------
    wanted
        The settings of the bars, or the study that has them.
    exchange
        Whose sessions to compare with, if any.

    Raises
    ------
    DataError
        If the bars cannot be read.
    """
    frame, source, notes, joined = read(wanted)
    check_keys(frame, source)
    calendar = Calendar.parse(exchange) if exchange else None
    findings = check_bars(frame, accept=wanted.accept, calendar=calendar, market=wanted.index)
    used, audit = list[str](), tuple[audits.Finding, ...]()
    refused: NextdayError | None = None
    try:
        _refuse_bad(findings, source, wanted)
        whole = checked(
            frame, source, notes, accept=wanted.accept, drop_bad=wanted.drop_bad, market=wanted.index, joined=joined
        )
        panel = panel_of(whole, wanted)
        used += describe(panel, source)
        audit = audits.accept(audit_columns(panel, own_columns(panel), known=wanted.known), wanted.allow)
        if isinstance(wanted, Study):
            used += _rehearse(wanted, panel)  # its notes tell what gaps cost
        elif panel.gaps:
            used.append(f"{describe_gaps(panel.gaps)}: targets and windows that span gaps would be left out")
    except NextdayError as error:
        refused = error
    return Look(source, findings, describe_own(frame, _chosen(frame, wanted)), audit, notes, used, refused)


def _chosen(frame: "pl.DataFrame", wanted: BarsSettings) -> list[str]:
    """Name the tickers that a run would forecast: columns of one's own matter for them alone."""
    every = frame["ticker"].unique().sort().to_list()
    return list(wanted.tickers) or [ticker for ticker in every if ticker != wanted.index] or every


def _refuse_bad(findings: Sequence[Finding], source: str, wanted: BarsSettings) -> None:
    bad = sorted({finding.ticker for finding in findings if finding.fatal})
    if bad and not wanted.drop_bad:
        jumps = sorted({finding.ticker for finding in findings if finding.rule in REFUSED})
        real = f", or accept jumps as real with --accept {','.join(jumps[:10])}" if jumps else ""
        raise DataError(
            f"{source}: bars of {', '.join(bad[:10])}{' ...' if len(bad) > 10 else ''} cannot be used; fix them, or "
            f"exclude these tickers with --drop-bad{real}"
        )


def describe(panel: Panel, source: str) -> list[str]:
    """Describe which bars a run would use, and what it would leave out."""
    count = len(panel.tickers)
    who = plural(count, "ticker")
    market = f"and the market {panel.market}" if panel.market else "without a market"
    each = panel.balance == "each"
    common = "common sessions" if (count > 1 or panel.market) and not each else "sessions"
    own = ", each ticker on its own" if each else ""
    why = "not in the market's calendar" if each else "not common to all tickers"
    return [
        f"{source}: {who} {market} on {len(panel.dates)} {common}, {panel.dates[0]} to {panel.dates[-1]}{own}; "
        f"{'they' if count > 1 or panel.market else 'it'} can be used",
        *panel.costs,
        *(
            f"{ticker}: {plural(count, 'session')} would be excluded: {why}"
            for ticker, count in panel.dropped.items()
            if count and not panel.costs
        ),
    ]


def _rehearse(study: Study, panel: Panel) -> list[str]:
    """Go through a run up to its training: models and features by name, features computed, folds cut."""
    from nextday.auditing.causality import check_causality, leaks_first
    from nextday.engine import make_plan
    from nextday.plugins import catalogs_of

    catalogs = catalogs_of(study.plugins)
    with leaks_first(panel, catalog=catalogs.features):
        plan = make_plan(study, panel, catalogs=catalogs)
    first = panel.dates[plan.first_test].item()
    causal = check_causality(panel, plan.features, catalog=catalogs.features, first_test=first)
    fits = f"{plural(len(study.variants), 'variant')}, {plural(len(plan.units), 'unit')} to fit"
    return [f"{study.name}: {fits}; {causal}", *plan.notes]


def tables_of(seen: Look) -> list[Table]:
    """Lay out what there is to see in tables."""
    tables = [findings_table(seen.findings, seen.source)] if seen.findings else []
    return [*tables, own_table(seen.own, seen.source)] if seen.own else tables


def findings_table(findings: Sequence[Finding], title: str) -> Table:
    """Lay out what was found in bars, one row per ticker and rule; of very many the first of each rule."""
    table = Table(title=f"findings: {title}", title_justify="left")
    for header in ("", "ticker", "finding", "first on", "bars", "evidence"):
        table.add_column(header, justify="right" if header == "bars" else "left", no_wrap=header != "evidence")
    shown, more = _first_of_each(findings) if len(findings) > MOST_FINDINGS else (findings, {})
    for finding in shown:
        mark = Text("bad", style="bold red") if finding.fatal else Text("look", style="yellow")
        table.add_row(
            mark, Text(finding.ticker), finding.rule, str(finding.on), str(finding.bars), Text(finding.evidence)
        )
    for rule, count in more.items():
        table.add_row("", f"{count:,} more", rule, "", "", "--json lists them")
    return table


def _first_of_each(findings: Sequence[Finding]) -> tuple[list[Finding], dict[str, int]]:
    """Return the first tickers of each rule, and how many more there are."""
    shown, counts = [], Counter[str]()
    for finding in findings:
        counts[finding.rule] += 1
        if counts[finding.rule] <= MOST_GROUPS:
            shown.append(finding)
    return shown, {rule: count - MOST_GROUPS for rule, count in counts.items() if count > MOST_GROUPS}


def own_table(own: Sequence[Own], title: str) -> Table:
    """Lay out columns of one's own, a row for the tickers of which the same can be said, the most missing first."""
    table = Table(title=f"further columns: {title}", title_justify="left")
    for header in ("column", "tickers", "missing %", "first value", "remark"):
        table.add_column(header, justify="right" if header == "missing %" else "left", overflow="fold")
    for name, each in groupby(own, key=lambda one: one.column):
        rows = _alike(list(each))
        for (share, first, remark), tickers in rows[:MOST_GROUPS]:
            whose = listed(tickers, MOST_TICKERS) if any(tickers) else ""  # a column of text is no ticker's
            table.add_row(Text(name), Text(whose), share, first, Text(remark))
        rest = sum(len(tickers) for _, tickers in rows[MOST_GROUPS:])
        if rest:
            table.add_row(Text(name), f"{rest} more, with fewer missing", "", "", "--json lists them")
    return table


def _alike(own: Sequence[Own]) -> list[tuple[tuple[str, str, str], list[str]]]:
    """Put the tickers together of which the same can be said."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for one in sorted(own, key=lambda one: (-one.missing / max(one.bars, 1), one.ticker)):
        said = f"{100 * one.missing / max(one.bars, 1):.1f}", str(one.first or ""), one.remark
        found.setdefault(said, []).append(one.ticker)
    return list(found.items())
