"""Tables in files and folders: found, unpacked and read as they are, text columns as text."""

import gzip
import io
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import polars as pl

from nextday.data.texts import read_text
from nextday.errors import DataError, first_line
from nextday.names import listed
from nextday.settings import Form

TEXT = (".csv", ".txt", ".tsv")
ARROW = (".feather", ".arrow", ".ipc")
EXCEL = (".xlsx", ".xls", ".xlsb")
SUFFIXES = (".parquet", *TEXT, *ARROW, *EXCEL)
PACKED = (".gz", ".zip")
KINDS = "Parquet, CSV (also .txt, .tsv), Feather, Arrow or Excel, text also as .gz or .zip"
SHOWN = 5  # files in a note
NOT_TABLES = (".json", ".md", ".yaml", ".yml", ".pdf", ".html", ".py", ".ipynb", ".crc", ".log")


@dataclass(frozen=True, slots=True)
class Table:
    """A table as a file holds it, and the ticker that the file's place names, should it have no column of its own."""

    path: Path
    frame: pl.DataFrame
    ticker: str


def read_table(path: Path, form: Form) -> Table:
    """Read one file.

    Raises
    ------
    DataError
        If it is of no known kind, or cannot be read as what its name says.
    """
    stem, kind, packed = _parts_of(path)
    if kind not in SUFFIXES:
        raise DataError(f"{path} is not a supported file type; nextday reads {KINDS}")
    try:
        if kind in TEXT:
            frame = read_text(_unpacked(path, packed), str(path), form)
        else:
            frame = _binary(io.BytesIO(_unpacked(path, packed)) if packed else path, kind)
    except (pl.exceptions.PolarsError, OSError, EOFError, zipfile.BadZipFile, ValueError) as error:
        raise DataError(f"{path} cannot be read as {(kind + packed)[1:]}: {first_line(error)}") from None
    return Table(path, frame, _ticker(path, stem))


def read_folder(folder: Path, form: Form) -> tuple[list[Table], list[str]]:
    """Read all tables below a folder, and note what was left out; hidden files are not looked at."""
    files: list[Path] = []
    strange: list[Path] = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or any(part[0] in "._" for part in path.relative_to(folder).parts):
            continue
        (files if _parts_of(path)[1] in SUFFIXES else strange).append(path)
    empty = [path for path in files if not path.stat().st_size]
    tables = [read_table(path, form) for path in files if path not in empty]
    prose = [one.path for one in tables if one.path.suffix == ".txt" and one.frame.width == 1]
    strange += prose
    tables = [one for one in tables if one.path not in prose]
    if not tables:
        raise DataError(f"{folder} holds no table of bars; nextday reads {KINDS}")
    left = {"no table": [path for path in strange if path.suffix not in NOT_TABLES], "empty": empty}
    named = {why: listed((str(path.relative_to(folder)) for path in paths), SHOWN) for why, paths in left.items()}
    notes = [f"left out, as {why}: {named[why]}" for why, paths in left.items() if paths]
    return tables, notes


def _parts_of(path: Path) -> tuple[str, str, str]:
    """Return stem, kind and packing of a name: ``KO``, ``.csv`` and ``.gz``."""
    name, packed = path.name, path.suffix.lower() if path.suffix.lower() in PACKED else ""
    name = name[: len(name) - len(packed)]
    kind = Path(name).suffix.lower()
    if packed == ".zip" and kind not in SUFFIXES:
        return name, ".csv", packed
    return name[: len(name) - len(kind)], kind, packed


def _ticker(path: Path, stem: str) -> str:
    """Return the ticker that a place names: ``ticker=KO/part-0.parquet`` or ``KO.csv``."""
    for part in path.parts[:-1]:
        key, equals, value = part.partition("=")
        if equals and key.lower() in ("ticker", "symbol"):
            return unquote(value)
    return stem


def _unpacked(path: Path, packed: str) -> bytes:
    if not packed:
        return path.read_bytes()
    if packed == ".gz":
        return gzip.decompress(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        inside = [one for one in archive.namelist() if not one.endswith("/") and not _is_hidden(one)]
        if len(inside) != 1:
            raise DataError(f"{path} holds {len(inside)} files; unpack it, and name the folder")
        return archive.read(inside[0])


def _is_hidden(name: str) -> bool:
    return any(part[:1] in (".", "_") for part in name.split("/"))


def _binary(source: Path | io.BytesIO, kind: str) -> pl.DataFrame:
    if kind == ".parquet":
        return pl.read_parquet(source, hive_partitioning=False)
    if kind in ARROW:
        return pl.read_ipc(source)
    try:
        return pl.read_excel(source)
    except ModuleNotFoundError:
        raise DataError(f"{source}: Excel files need another package: pip install 'nextday[excel]'") from None
    except Exception as error:  # noqa: BLE001 - the reader of Excel has errors of its own
        raise DataError(f"{source} cannot be read as {kind[1:]}: {first_line(error)}") from None


def each_ticker_once(tables: Iterable[tuple[Path, pl.DataFrame]]) -> None:
    """Refuse two files with bars of one ticker on the same days; parts of a table may share a ticker."""
    seen: dict[str, list[tuple[Path, object, object]]] = {}
    for path, frame in tables:
        spans = frame.group_by("ticker").agg(first=pl.col("date").min(), last=pl.col("date").max()).sort("ticker")
        for ticker, first, last in spans.iter_rows():
            for other, begin, end in seen.get(ticker, ()):
                if first is not None and first <= end and last >= begin:
                    raise DataError(f"{ticker} is in both {other} and {path}, on the same days; keep one of them")
            seen.setdefault(ticker, []).append((path, first, last))
