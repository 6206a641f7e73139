"""Measure the audit of columns: false alarms, what of planted leaks it catches, power and seconds.

``python benchmarks/audit.py --panels 60``; with ``--bars FILE`` real panels are drawn from a file of bars with SPY, too,
and an audit of all its tickers is timed. ``--only a,c`` prints some of the tables:

a. alarms, questions and notes on columns that use nothing later than their day;
b. the share of panels on which each leak is found, as loudly as it should be;
c. the share of columns found that are tomorrow's return and noise, by the R2 of the return on them, on 4 tickers and 1,200 days;
d. seconds.

Panels are drawn by number, from ``--seed`` on, and are the same whenever they are drawn again.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))


from leaks import AHEAD, CLEAN, LEAKS, any_simulated, audited, forecast_with, missed, real, simulated, with_columns
from nextday.auditing.columns import audit_columns
from nextday.data import Panel, align, load_bars, random_walk

SHARES = (0.005, 0.01, 0.02, 0.03, 0.05, 0.10)  # R2 of power
COLUMNS = 5  # columns of each R2 per panel


@dataclass
class Tally:
    """What audits of clean columns said.

    Attributes
    ----------
    audits, columns
        How many were made, and of how many columns in all.
    loud
        Audits with an alarm.
    said
        Findings by level, column and rule.
    alarms
        A line for each alarm.
    """

    audits: int = 0
    columns: int = 0
    loud: int = 0
    said: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    alarms: list[str] = field(default_factory=list)

    @property
    def false_columns(self) -> int:
        """Columns of all audits with an alarm."""
        return len({line.split(": ")[0] for line in self.alarms})


def panels_of(kind: str, count: int, seed: int, bars: Path | None = None) -> Iterator[Panel]:
    """Draw panels of a kind: ``real``, ``file``, ``simulated`` or ``walk``."""
    for number in range(seed, seed + count):
        if kind == "walk":
            names = ("AAA", "BBB", "CCC", "DDD", "MKT")
            yield align(random_walk(tickers=names, sessions=1200, seed=number), market="MKT")
        elif kind == "simulated":
            yield any_simulated(number)
        else:
            yield real(number, bars if kind == "file" and bars else "sample")


def listen(panels: Iterable[Panel]) -> Tally:
    """Audit clean columns on panels."""
    tally = Tally()
    for panel in panels:
        found = {(one.level, one.name, one.code): one for one in audited(panel, CLEAN) if one.code != "T0"}
        wrong = [one for one in found.values() if one.is_open]
        tally.audits, tally.columns, tally.loud = tally.audits + 1, tally.columns + len(CLEAN), tally.loud + bool(wrong)
        tally.said.update(list(found))
        size = f"{panel.source}, {len(panel.tickers)} tickers, {len(panel.dates)} days, market {panel.market or 'none'}"
        for one in wrong:
            numbers = ", ".join(f"{name} {value:.3g}" for name, value in one.numbers.items()) or one.sentence
            tally.alarms.append(f"{one.name} on {size}: {one.code}, {numbers}")
    return tally


def catch(panels: Iterable[Panel], *, lifelike: bool) -> tuple[Counter[str], int]:
    """Audit leaks on panels, and count how often each is found; return also the number of panels."""
    leaks = {name: leak for name, leak in LEAKS.items() if lifelike or not leak.lifelike}
    found: Counter[str] = Counter()
    count = 0
    for panel in panels:
        found.update(set(leaks) - set(missed(panel, leaks)))
        count += 1
    return found, count


def power(panels: Iterable[Panel]) -> dict[float, list[bool]]:
    """Audit tomorrow's return with noise, and say by R2 of every column whether it was found."""
    names = {f"{r2}-{salt}": (r2, salt) for r2 in SHARES for salt in range(COLUMNS)}
    makers = {name: forecast_with(r2, 100 + salt) for name, (r2, salt) in names.items()}
    found: dict[float, list[bool]] = {r2: [] for r2 in SHARES}
    for panel in panels:
        alarms = {one.name for one in audited(panel, makers) if one.is_open}
        for name, (r2, _) in names.items():
            found[r2].append(name in alarms)
    return found


def print_false_alarms(kinds: list[str], count: int, seed: int, bars: Path | None) -> None:
    """Print how many audits and columns have an alarm, and which."""
    tallies = {kind: listen(panels_of(kind, count, seed, bars)) for kind in kinds}
    print("| panels | audits | with an alarm, % | columns | with an alarm, % | questions | notes |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for kind, one in tallies.items():
        levels = Counter(level for level, *_ in one.said.elements())
        print(
            f"| {kind} | {one.audits} | {100 * one.loud / one.audits:.1f} | {one.columns} | "
            f"{100 * one.false_columns / one.columns:.3f} | {levels['question']} | {levels['note']} |"
        )
    print("\n| panels | level | column | rule | audits |\n| --- | --- | --- | --- | --- |")
    for kind, one in tallies.items():
        for (level, name, code), times in sorted(one.said.items(), key=lambda item: (item[0][0], -item[1])):
            print(f"| {kind} | {level} | {name or 'the panel'} | {code} | {times} |")
    for one in tallies.values():
        print("".join(f"\n- {line}" for line in one.alarms))
    ahead = [any(one.is_open for one in audited(simulated(number, reports=True), AHEAD)) for number in range(count)]
    print(
        f"\nDays of reports that are announced, before which prices move more: alarm on {sum(ahead)} of {count} panels.\n"
    )


def print_catches(kinds: list[str], count: int, seed: int, bars: Path | None) -> None:
    """Print how often each leak is found."""
    rates = {kind: catch(panels_of(kind, count, seed, bars), lifelike=kind != "walk") for kind in kinds}
    print(f"| leak | rule | {' | '.join(f'{kind}, %' for kind in kinds)} |\n| --- | --- |{' --- |' * len(kinds)}")
    for name, leak in sorted(LEAKS.items(), key=lambda item: (not item[1].detectable, item[1].rule)):
        shown = [
            "-" if leak.lifelike and kind == "walk" else f"{100 * found[name] / many:.0f}"
            for kind, (found, many) in rates.items()
        ]
        print(f"| {name} | {leak.rule or 'none'} | {' | '.join(shown)} |")
    print()


def print_power(count: int, seed: int) -> None:
    """Print power by R2."""
    kinds = {
        "simulated": power(simulated(number) for number in range(seed, seed + count)),
        "walk": power(panels_of("walk", count, seed)),
    }
    print(f"| panels | {' | '.join(f'R2 {100 * r2:g} %' for r2 in SHARES)} |\n| --- |{' --- |' * len(SHARES)}")
    for kind, found in kinds.items():
        print(f"| {kind} | {' | '.join(f'{100 * sum(one) / len(one):.0f} %' for one in found.values())} |")
    print()


def print_seconds(bars: Path | None) -> None:
    """Print how long audits take."""
    panels = {"embedded": (align(load_bars("sample")), 40)}
    if bars:
        frame = load_bars(bars, accept=("*",), drop_bad=True, market="SPY")
        panels[bars.stem] = (align(frame, balance="each"), 5)
    print("| panel | tickers | days | columns | seconds | of CPU |\n| --- | --- | --- | --- | --- | --- |")
    for name, (panel, columns) in panels.items():
        chosen = dict(list(CLEAN.items())[:columns])
        ready = with_columns(panel, chosen)
        start, used = time.perf_counter(), time.process_time()
        audit_columns(ready, list(chosen))
        seconds, used = time.perf_counter() - start, time.process_time() - used
        print(f"| {name} | {len(panel.tickers)} | {len(panel.dates)} | {columns} | {seconds:.1f} | {used:.1f} |")
    print()


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--panels", type=int, default=60, help="of each kind")
    parser.add_argument("--bars", type=Path, help="a file of bars with SPY")
    parser.add_argument("--only", default="a,b,c,d")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    kinds = ["simulated", "real", *(["file"] if given.bars else [])]
    tables = {
        "a": lambda: print_false_alarms(kinds, given.panels, given.seed, given.bars),
        "b": lambda: print_catches(["walk", *kinds], given.panels, given.seed, given.bars),
        "c": lambda: print_power(given.panels, given.seed),
        "d": lambda: print_seconds(given.bars),
    }
    for table in given.only.split(","):
        tables[table]()
        sys.stdout.flush()


if __name__ == "__main__":
    main()
