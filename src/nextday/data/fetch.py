"""Fetching bars ticker by ticker into a snapshot; what is finished stays on disk, so that a fetch can go on."""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

import numpy as np
import polars as pl

from nextday.data.snapshot import verify_snapshot, write_snapshot
from nextday.data.yahoo.bars import differences, to_bars
from nextday.data.yahoo.client import PriceSource, Unreachable
from nextday.errors import DataError
from nextday.progress import Watch
from nextday.storage.files import open_folder

if TYPE_CHECKING:
    import pandas as pd

SHORTEST, LONGEST = 2.0, 60.0  # seconds: the bound of the first pause, and of all
LONGEST_TICKER = 40


@dataclass(frozen=True, slots=True)
class Fetched:
    """A ticker that was done: fetched, there already, or failed."""

    unit: str
    failure: str = ""
    reused: bool = False


@dataclass(frozen=True, slots=True)
class _Request:
    """What to ask for, and how patiently."""

    source: PriceSource
    start: date
    end: date
    twice: bool
    attempts: int
    pause: Callable[[float], None]
    random: np.random.Generator
    now: Callable[[], datetime]
    started: datetime
    accept: frozenset[str]
    folder: Path

    def key(self, *more: str) -> str:
        """Name the request by all that decides an answer; while its end is not over, that is also the day."""
        day = min(self.end, self.started.astimezone(UTC).date())
        asked = (self.source.name, self.source.version, self.start, self.end, day, self.twice)
        return hashlib.sha256(json.dumps([str(part) for part in (*asked, *more)]).encode()).hexdigest()[:10]

    def parts(self) -> Path:
        """Name the folder of the parts; tickers do not matter, so that a fetch of some more or fewer can use them."""
        return self.folder / f".parts-{self.key()}"

    def part(self, ticker: str) -> Path:
        """Name a ticker's part: percent-encoded with its dots it is one plain name, whatever the ticker."""
        accepted = "+" if ticker in self.accept else ""  # a part that was let pass is not for a stricter request
        return self.parts() / f"{quote(ticker, safe='').replace('.', '%2E')}{accepted}.parquet"

    def is_done(self, ticker: str) -> bool:
        """Return whether a ticker was fetched; a damaged part is fetched again."""
        try:
            manifest = verify_snapshot(self.part(ticker))
        except DataError:
            return False
        return manifest is not None and manifest["tickers"] == [ticker]

    def facts(self, notes: Iterable[str]) -> dict[str, Any]:
        """Return what a manifest says beyond the bars."""
        return {
            "start": self.start, "end": self.end, "source": self.source.name, "version": self.source.version,
            "settings": {"twice": self.twice, "accept": sorted(self.accept)}, "notes": [*notes],
            "time": self.now().astimezone(UTC),
        }  # fmt: skip

    def download(self, ticker: str) -> tuple[pl.DataFrame, list[str]]:
        """Fetch a ticker, once or twice, and check it."""
        now = self.now()
        answers = [self._ask(ticker) for _ in range(2 if self.twice else 1)]
        (bars, reports), *again = [
            to_bars(answer, ticker, start=self.start, end=self.end, now=now, accept=ticker in self.accept)
            for answer in answers
        ]
        for other, _ in again:
            found = differences(bars, other)
            if found:
                raise DataError(f"{ticker}: two downloads differ: {found}")
        return bars, reports

    def _ask(self, ticker: str) -> "pd.DataFrame":
        """Ask until there is an answer, with pauses drawn from 0 to a bound that doubles each time."""
        for attempt in range(1, self.attempts):
            try:
                return self.source.history(ticker, self.start, self.end)
            except DataError:
                self.pause(float(self.random.uniform(0, min(SHORTEST * 2 ** (attempt - 1), LONGEST))))
        return self.source.history(ticker, self.start, self.end)


def fetch(  # noqa: PLR0913 - one parameter per setting, most of them for tests
    tickers: Sequence[str], *, start: date, end: date, source: PriceSource, folder: Path, twice: bool = True,
    attempts: int = 4, pause: Callable[[float], None] = time.sleep, random: np.random.Generator | int | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC), watch: Watch = lambda fetched, _: fetched,
    on_problem: Literal["refuse", "drop"] = "refuse", accept: Sequence[str] = (),
) -> Path:  # fmt: skip
    """Fetch bars into a snapshot in ``folder``; fetched tickers wait there in parts until all are complete.

    Parameters
    ----------
    tickers
        What to fetch, in upper or lower case.
    start, end
        First and last day, both included.
    source
        Whom to ask.
    folder
        Where the snapshot goes.
    twice
        Fetch every ticker twice, and refuse it if the answers differ.
    attempts
        How often to ask before a ticker counts as failed, or the network as missing.
    pause
        Waits for some seconds.
    random
        Draws the pauses: a generator or a seed.
    now
        Tells the time, with its timezone.
    watch
        Wraps the stream of finished tickers, to show progress; also gets their number.
    on_problem
        Refuse to make a snapshot if a ticker fails, or drop such tickers and say so in its manifest.
    accept
        Tickers whose jumps are real, however much they look like a split that was not applied.

    Returns
    -------
    pathlib.Path
        The Parquet file of the snapshot.

    Raises
    ------
    Unreachable
        Without a network.
    DataError
        If tickers fail; what was fetched stays.
    OutputError
        If the folder cannot be written to.
    """
    names = _names(tickers)
    if start > end:
        raise DataError(f"there is no day from {start} to {end}; swap the two")
    started = now()
    request = _Request(
        source, start, end, twice, attempts, pause, np.random.default_rng(random), now, started,
        frozenset(_names(accept, none=True)), open_folder(folder),
    )  # fmt: skip
    try:
        done = list(watch(_each(names, request), len(names)))
    except Unreachable as error:
        raise Unreachable(f"{error}; {_offline(names, request)}") from None
    failed = {fetched.unit: fetched.failure for fetched in done if fetched.failure}
    good = [name for name in names if name not in failed]
    if failed and (on_problem == "refuse" or not good):
        raise DataError(_failures(failed, good, request.parts()))
    path = folder / f"{source.name}_{start}_{end}_{request.key(*sorted(good))}.parquet"
    return _join(path, [request.part(name) for name in good], request, failed)


def _names(tickers: Sequence[str], *, none: bool = False) -> list[str]:
    names = list(dict.fromkeys(ticker.strip().upper() for ticker in tickers))
    if not names and not none:
        raise DataError("there is no ticker to fetch; name some, such as AAPL SPY")
    for name in names:
        if not name.isprintable() or not 0 < len(name) <= LONGEST_TICKER:
            raise DataError(
                f"{shorten(repr(name), 60)} is not a ticker; one has 1 to {LONGEST_TICKER} printable characters"
            )
    return names


def _each(names: Sequence[str], request: _Request) -> Iterator[Fetched]:
    """Fetch what is not there yet, and keep each ticker at once; without a network there is no point in going on."""
    for name in names:
        if request.is_done(name):
            yield Fetched(name, reused=True)
            continue
        try:
            bars, reports = request.download(name)
        except Unreachable:
            raise
        except DataError as error:
            yield Fetched(name, failure=_one_line(str(error).removeprefix(f"{name}: ")))
            continue
        write_snapshot(request.part(name), bars, request.facts(map(_one_line, reports)))
        yield Fetched(name)


def _join(path: Path, parts: Sequence[Path], request: _Request, failed: dict[str, str]) -> Path:
    """Make one snapshot of the parts, then remove them; if that is cut short, they are only there for nothing."""
    notes = [f"{ticker} was left out: {reason}" for ticker, reason in failed.items()]
    for part in parts:
        notes += (verify_snapshot(part) or {"notes": []})["notes"]
    bars = pl.concat([pl.read_parquet(part, hive_partitioning=False) for part in parts])
    write_snapshot(path, bars.sort("ticker", "date"), request.facts(notes))
    for part in parts:
        part.with_suffix(".json").unlink(missing_ok=True)
        part.unlink(missing_ok=True)
    with suppress(OSError):  # parts of other tickers stay
        request.parts().rmdir()
    return path


def _failures(failed: dict[str, str], good: Sequence[str], parts: Path) -> str:
    reasons = "; ".join(f"{ticker} ({shorten(reason, 200)})" for ticker, reason in failed.items())
    kept = f"the other {len(good)} are kept in {parts} and are not fetched again; " if good else ""
    return (
        f"{len(failed)} of {len(failed) + len(good)} tickers failed: {reasons}; {kept}"
        "try again, or leave such tickers out with --drop-bad"
    )


def _offline(names: Sequence[str], request: _Request) -> str:
    """Describe what there is without a network, and the way out."""
    cached = [name for name in names if request.is_done(name)]
    found = f"{len(cached)} of {len(names)} tickers are there already" + (f": {', '.join(cached)}" if cached else "")
    snapshots = [
        path for path in request.folder.glob(f"{request.source.name}_*.parquet") if path.with_suffix(".json").is_file()
    ]
    if snapshots:
        found += f"; --data {max(snapshots, key=lambda path: path.stat().st_mtime)} is an earlier snapshot"
    return f"{found}; go on where there is a network, or use --data sample or --data with a file of bars"


def _one_line(text: str) -> str:
    """Make a text that a manifest takes."""
    return shorten("".join(letter if letter.isprintable() else " " for letter in text), 500)
