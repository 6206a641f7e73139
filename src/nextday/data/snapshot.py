"""Snapshots: fetched bars in NAME.parquet, and beside it NAME.json, which says what they are and how to tell damage."""

import hashlib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import polars as pl
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from nextday.errors import DataError
from nextday.mistakes import expected
from nextday.storage.files import write_atomically, write_parquet

LARGEST = 1 << 20  # bytes of a manifest; ours have a few thousand


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has characters that cannot be printed")
    return text


Line = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_printable)]


class Manifest(BaseModel):
    """What a snapshot is. Nothing in it is ever used as a path, and all its texts can be printed as they are.

    Attributes
    ----------
    tickers
        Every ticker in the Parquet file, in alphabetical order.
    start, end
        The days that were asked for, both included.
    settings
        How it was asked for.
    source, version
        Who was asked, and through which version of which library.
    time
        When the snapshot was made, UTC.
    rows
        Bars in the Parquet file.
    notes
        What was odd, corrected or left out, one line each.
    sha256
        Of the Parquet file, in hexadecimal digits.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    tickers: list[Line] = Field(min_length=1)
    start: date
    end: date
    settings: dict[Line, bool | int | float | Line | list[Line]]
    source: Line
    version: Line
    time: AwareDatetime
    rows: int = Field(gt=0)
    notes: list[Line]
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


def write_snapshot(path: Path, frame: pl.DataFrame, facts: Mapping[str, Any]) -> Path:
    """Write bars and their manifest, each whole or not at all, the manifest last.

    Parameters
    ----------
    path
        The Parquet file, ``NAME.parquet``; the manifest is ``NAME.json`` beside it.
    frame
        Bars, with a column ``ticker``.
    facts
        Every field of ``Manifest`` but ``tickers``, ``rows`` and ``sha256``, which follow from the bars.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    write_parquet(path, frame)
    manifest = Manifest(
        **facts, tickers=frame["ticker"].unique().sort().to_list(), rows=len(frame), sha256=_sha256(path)
    )
    write_atomically(_beside(path), manifest.model_dump_json(indent=1).encode())
    return path


def verify_snapshot(path: Path) -> dict[str, Any] | None:
    """Compare a Parquet file with the manifest beside it.

    Returns
    -------
    dict or None
        The manifest as JSON has it, its fields those of ``Manifest``; None if there is none beside the file.

    Raises
    ------
    DataError
        If the manifest cannot be read or is not one, or the Parquet file is not the one that it describes.
    """
    beside = _beside(path)
    if path.suffix != ".parquet" or not beside.exists():
        return None
    try:
        with beside.open("rb") as file:
            content = file.read(LARGEST + 1)
        manifest = Manifest.model_validate_json(content[:LARGEST])
        found = _sha256(path)
    except ValidationError as error:
        raise DataError(
            f"{beside} is not the manifest of a snapshot: {_first_mistake(error)}; fetch the bars again, or move it "
            f"away to use {path.name} unverified"
        ) from None
    except OSError as error:
        raise DataError(
            f"{error.filename or path} cannot be read: {error.strerror or error}; fetch the bars again"
        ) from None
    if found != manifest.sha256:
        raise DataError(
            f"{path} has changed since it was fetched: sha256 {found[:12]}..., its manifest has "
            f"{manifest.sha256[:12]}...; fetch the bars again"
        )
    return manifest.model_dump(mode="json")


def _beside(path: Path) -> Path:
    return path.with_suffix(".json")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_mistake(error: ValidationError) -> str:
    """Describe pydantic's first finding, without what was found: that may be anything."""
    first = error.errors(include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"] if str(part).isprintable())[:60]
    return f"{where + ': ' if where else ''}{expected(first)[:200]}"


def older_snapshot(path: Path | str) -> Path | None:
    """Return the snapshot of the same request that was made before this one; None if there is none."""
    path = Path(path)
    own = _made(path)
    if own is None:
        return None
    others = [(made, other) for other in path.parent.glob("*.parquet") if other != path and (made := _made(other))]
    before = [(when, other) for (request, when), other in others if request == own[0] and when < own[1]]
    return max(before, default=(None, None))[1]


def _made(path: Path) -> tuple[tuple[str, ...], str] | None:
    """Return what a snapshot was asked for and when it was made; None if the file is none, or is damaged."""
    if path.suffix != ".parquet" or not _beside(path).is_file():
        return None
    try:
        facts = verify_snapshot(path)
    except DataError:
        return None
    return None if facts is None else ((*facts["tickers"], str(facts["source"])), str(facts["time"]))
