"""Names of columns: those of vendors brought to ours, each the one that its holder means."""

import re
from collections.abc import Sequence

from nextday.errors import DataError
from nextday.settings import COLUMNS

KNOWN = {
    "date": ("datetime", "timestamp", "time", "trade_date", "日期", "交易日期", ""),  # the index of pandas has no name
    "ticker": ("symbol", "ts_code", "act_symbol", "instrument", "股票代码", "证券代码", "code", "name"),
    "open": ("开盘", "开盘价", "open_price"),
    "high": ("最高", "最高价", "high_price"),
    "low": ("最低", "最低价", "low_price"),
    "close": ("收盘", "收盘价", "close_price", "close_last"),
    "adj_close": (
        "adjclose", "adjusted_close", "adjustedclose", "adjusted", "closeadj", "close_adj", "adj", "adj_close_price",
    ),
    "volume": ("vol", "成交量"),
}  # fmt: skip
LETTERS = {"t": "date", "o": "open", "h": "high", "l": "low", "c": "close", "v": "volume"}  # where all are there
ADJUSTED = (
    "if close is adjusted for splits and dividends already, say so: --adjusted (adjusted: true in a study); if another "
    "column is, --columns adj_close=NAME"
)


def plain(name: str) -> str:
    """Return a name in small letters and underscores, without brackets or a number in front: ``1. open``, ``<VOL>``."""
    words = re.sub(r"[^\w]+", "_", name.lower()).strip("_")
    return re.sub(r"^\d+_+", "", words)


def rename(names: Sequence[str], where: str, columns: dict[str, str]) -> dict[str, str]:
    """Find the required columns among those of a table.

    Parameters
    ----------
    names
        Columns as they stand in the source.
    where
        The source, for messages.
    columns
        What the user says, our name to that of the source; it goes before any name that is known.

    Returns
    -------
    dict
        Required columns that were found, the source's name to ours.

    Raises
    ------
    DataError
        If a column that the user names is not there, or two could be meant.
    """
    found = {ours: find_named(names, ours, theirs, where) for ours, theirs in columns.items()}
    shapes = {name: plain(name) for name in names if name not in found.values()}
    letters = {"o", "h", "l", "c"} <= set(shapes.values())
    for ours in COLUMNS:
        exact = [name for name, shape in shapes.items() if shape == ours]
        usual = [name for name, shape in shapes.items() if shape in KNOWN[ours]]
        short = [name for name, shape in shapes.items() if letters and LETTERS.get(shape) == ours]
        meant = _first_known(exact or usual or short, shapes, ours)
        if ours not in found and len(meant) > 1:
            raise DataError(
                f"{where}: columns {meant[0]!r} and {meant[1]!r} both read as {ours}; say which is meant: "
                f"--columns {ours}={meant[0]!r}"
            )
        if ours not in found and meant:
            found[ours] = meant[0]
    return {theirs: ours for ours, theirs in found.items()}


def find_named(names: Sequence[str], ours: str, theirs: str, where: str) -> str:
    """Return the column that a user names, exactly or but for its case.

    Raises
    ------
    DataError
        If it is not there.
    """
    match = [name for name in names if name.strip() == theirs] or [n for n in names if n.lower() == theirs.lower()]
    if not match:
        raise DataError(f"{where}: there is no column {theirs!r} to take as {ours}; the file has {', '.join(names)}")
    return match[0]


def _first_known(names: list[str], shapes: dict[str, str], ours: str) -> list[str]:
    """Keep the names that are known best: a ticker is rather a symbol than a name."""
    names = [name for name in names if name.strip()] or names
    ranks = [KNOWN[ours].index(shapes[name]) if shapes[name] in KNOWN[ours] else -1 for name in names]
    weak = ours == "ticker" and len(names) > 1
    return [name for name, rank in zip(names, ranks, strict=True) if not weak or rank == min(ranks)]


def refuse_missing(missing: Sequence[str], names: Sequence[str], where: str) -> None:
    """Raise the line that says which required columns are not there, and every way out."""
    if not missing:
        return
    if list(missing) == ["adj_close"]:
        raise DataError(f"{where}: no column adj_close; {ADJUSTED}")
    named = f"{where}: no column {', '.join(missing)}; the file has {', '.join(map(str, names))}"
    if len(missing) >= len(COLUMNS) - 2 and "date" not in missing:
        if "Price" in names:
            raise DataError(f"{named}; hand over the frame as yf.download returned it, without stack()")
        raise DataError(f"{named}; nextday takes one row per ticker and date, with all of these columns")
    first = next(name for name in missing if name != "adj_close")
    also = f"; {ADJUSTED}" if "adj_close" in missing else ""
    raise DataError(f"{named}; name yours: --columns {first}=NAME{also}")
