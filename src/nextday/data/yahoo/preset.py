"""The Yahoo preset: ``--data yahoo`` is a snapshot, fetched once; a study never depends on the live service."""

from pathlib import Path

from nextday.data.fetch import fetch
from nextday.data.snapshot import verify_snapshot
from nextday.data.yahoo.client import END, MARKET, START, UNIVERSE, PriceSource, Yahoo
from nextday.progress import Watch

FOLDER = Path("bars")
TICKERS = (*UNIVERSE, MARKET)


def latest_snapshot(folder: Path = FOLDER) -> Path | None:
    """Find the newest snapshot of the preset; None if there is none. A damaged one is an error."""
    found = [
        path
        for path in folder.glob(f"yahoo_{START}_{END}_*.parquet")
        if (verify_snapshot(path) or {}).get("tickers") == sorted(TICKERS)
    ]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def yahoo_snapshot(
    folder: Path = FOLDER, *, source: PriceSource | None = None, watch: Watch = lambda fetched, _: fetched
) -> Path:
    """Return the newest snapshot of the preset, fetched now if there is none.

    Raises
    ------
    DataError
        If there is none and it cannot be fetched.
    """
    return latest_snapshot(folder) or fetch(
        TICKERS, start=START, end=END, source=source or Yahoo(), folder=folder, watch=watch
    )
