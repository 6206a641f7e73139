"""Where bars come from: the embedded sample, files and folders of them, and frames."""

import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Unpack

import polars as pl
from polars import selectors as cs
from pydantic import ValidationError

from nextday.data.also import join_also
from nextday.data.bars import Bars, check_keys
from nextday.data.checks import check_bars
from nextday.data.columns import refuse_missing, rename
from nextday.data.dates import longest, read_dates
from nextday.data.files import each_ticker_once, read_folder, read_table
from nextday.data.frames import read_frame
from nextday.data.numbers import are_numbers, read_numbers
from nextday.data.rows import drop_what_is_no_bar, oldest_first, take_once
from nextday.data.snapshot import verify_snapshot
from nextday.errors import DataError
from nextday.mistakes import first_mistake
from nextday.settings import COLUMNS, VALUES, Also, BarsSettings, Form, FormOptions

if TYPE_CHECKING:
    import pandas as pd

SAMPLE = resources.files("nextday.data") / "sample_bars.parquet"
SAMPLE_SHA256 = "1aecb55489c5e7196613617979ffcc445456a2c5b64e376765bbb9957800a11d"
AS_IT_IS = Form()


def load_bars(
    source: "str | Path | pl.DataFrame | pd.DataFrame",
    *,
    accept: Sequence[str] = (),
    drop_bad: bool = False,
    market: str = "",
    **form: Unpack[FormOptions],
) -> Bars:
    """Read and check bars.

    Parameters
    ----------
    source
        ``"sample"``, a file (Parquet, CSV, Feather, Arrow, Excel, text also packed), a folder of such files, or a
        Polars or pandas frame. Columns are found by their usual names, whatever their case and spacing; a file without
        a ticker column is one ticker, named as the file. Numeric columns beyond the required ones are kept, to be named
        as features.
    accept
        Tickers whose jumps are real, ``*`` for all.
    drop_bad
        Leave out tickers with a fatal finding, and say so in the notes, instead of refusing the bars.
    market
        Ticker of which dates and adjusted closes are enough.
    **form
        How the source is written, where it does not say so itself, see ``Form``: ``columns``, ``adjusted``,
        ``date_format``, ``separator``, ``decimal``, ``timezone``.

    Returns
    -------
    The bars, in the order of ticker and date.

    Raises
    ------
    DataError
        If the source cannot be read, or the bars are not what ``Bars`` demands.

    Examples
    --------
    >>> load_bars("sample").tickers[:3]
    ['AAPL', 'GS', 'IBM']
    """
    frame, name, notes = read_bars(source, form_of(form), market=market)
    return checked(frame, name, notes, accept=accept, drop_bad=drop_bad, market=market)


def load(settings: BarsSettings, bars: Any = None) -> Bars:  # noqa: ANN401 - a frame of any kind
    """Read and check the bars that settings name, or those given in their place, with the columns of further files."""
    frame, name, notes, joined = read(settings, bars)
    return checked(
        frame, name, notes, accept=settings.accept, drop_bad=settings.drop_bad, market=settings.index, joined=joined
    )


def read(settings: BarsSettings, bars: Any = None) -> tuple[pl.DataFrame, str, list[str], dict[str, Also]]:  # noqa: ANN401
    """Read bars as ``load`` does, unchecked; return also their name, notes, and the file of each joined column."""
    source = settings.data if bars is None else bars
    frame, name, notes = read_bars(source, settings, market=settings.index)
    frame, joined, said = join_also(frame, settings.also)
    return frame, name, [*notes, *said], joined


def checked(
    frame: pl.DataFrame, name: str, notes: Sequence[str], *, accept: Sequence[str], drop_bad: bool, market: str = "",
    joined: Mapping[str, Also] = MappingProxyType({}),
) -> Bars:  # fmt: skip
    """Return bars that were read as checked ones, without bad tickers if so wanted."""
    if drop_bad:
        check_keys(frame, name)
        found = check_bars(frame, accept=accept, fatal_only=True, market=market)
        bad = {finding.ticker: str(finding) for finding in found if finding.fatal}
        frame = frame.filter(~pl.col("ticker").is_in(bad))
        notes = [*notes, *(f"left out {finding}" for finding in bad.values())]
        if bad and frame.is_empty():
            raise DataError(f"{name}: every ticker is bad; {next(iter(bad.values()))}")
    return Bars(frame, name, tuple(accept), tuple(notes), market, joined)


def read_bars(
    source: Any, form: Form = AS_IT_IS, *, market: str = ""  # noqa: ANN401 - a path, or a frame of any kind
) -> tuple[pl.DataFrame, str, list[str]]:  # fmt: skip
    """Read bars as they are, named and typed as in ``Bars``; return also where they come from, and notes on them."""
    frame, name, notes = _read(source, form, market)
    for tidy in (drop_what_is_no_bar, oldest_first, take_once):
        frame, said = tidy(frame, name)
        notes = [*notes, *said]
    return frame, name, notes


def form_of(options: FormOptions) -> Form:
    """Check options of reading.

    Raises
    ------
    DataError
        With the first mistake.
    """
    try:
        return Form(**options)
    except ValidationError as error:
        raise DataError(first_mistake(error, Form)) from None


def _read(source: Any, form: Form, market: str) -> tuple[pl.DataFrame, str, list[str]]:  # noqa: ANN401 - see above
    if not isinstance(source, str | Path):
        return _normalise(read_frame(source), "frame", form, market=market), "frame", []
    if str(source) == "sample":
        return _read_sample(), "sample", []
    path = Path(source)
    if not path.exists():
        raise DataError(f"{path} does not exist; --data takes sample, yahoo, a file of bars, or a folder of them")
    if path.is_dir():
        tables, notes = read_folder(path, form)
        frames = [(one.path, _normalise(one.frame, str(one.path), form, one.ticker, market)) for one in tables]
        return _stack(frames), str(path), notes
    manifest = verify_snapshot(path)
    table = read_table(path, form)
    notes = manifest["notes"] if manifest else []
    return _normalise(table.frame, str(path), form, table.ticker, market), str(path), notes


def _read_sample() -> pl.DataFrame:
    with resources.as_file(SAMPLE) as path:
        content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != SAMPLE_SHA256:
        raise DataError(f"the embedded sample is damaged (sha256 {found[:12]}...); install nextday again")
    return _normalise(pl.read_parquet(content), "sample", AS_IT_IS)


def _stack(frames: list[tuple[Path, pl.DataFrame]]) -> pl.DataFrame:
    each_ticker_once(frames)
    extras = {name for _, frame in frames for name in frame.columns if all(name in other for _, other in frames)}
    return pl.concat(
        [frame.select(name for name in frame.columns if name in extras) for _, frame in frames], how="diagonal_relaxed"
    )


def _normalise(frame: pl.DataFrame, where: str, form: Form, ticker: str = "", market: str = "") -> pl.DataFrame:
    """Bring names and types to the documented ones, required columns first."""
    names = frame.columns
    new = rename(names, where, form.columns)
    frame = frame.select(pl.col(name).alias(new.get(name, name)) for name in names if _is_kept(name, new))
    named = frame["ticker"].is_not_null() if "ticker" in frame.columns else pl.repeat(False, len(frame), eager=True)
    if "ticker" not in frame.columns and ticker:
        frame = frame.with_columns(ticker=pl.lit(ticker))
    if form.adjusted and "close" in frame.columns:
        if "adj_close" in frame.columns:
            raise DataError(f"{where}: there is a column adj_close, so close is not adjusted; leave --adjusted out")
        frame = frame.with_columns(adj_close="close")
    if market and ticker == market:  # dates and adjusted closes are enough
        frame = frame.with_columns(pl.lit(None, pl.Float64).alias(name) for name in VALUES if name not in frame.columns)
    refuse_missing([column for column in COLUMNS if column not in frame.columns], names, where)
    if frame.is_empty():
        raise DataError(f"{where}: no rows; expected one row per ticker and date")
    numbers = [read_numbers(frame[name], where, decimal=form.decimal) for name in VALUES]
    dates = frame["date"]
    if dates.dtype == pl.String and numbers[0].null_count():  # a footer, the commas behind the last row: no date is due
        empty = pl.select(pl.all_horizontal(one.is_null() for one in numbers)).to_series() & ~named
        dates = pl.select(pl.when(~empty).then(dates).alias("date")).to_series()
    read = read_dates(dates, where, date_format=form.date_format, timezone=form.timezone)
    _one_bar_a_day(frame, read, where)
    return pl.DataFrame([read, _tickers(frame["ticker"], where), *numbers, *_others(frame, where, form.decimal)])


def _is_kept(name: str, new: dict[str, str]) -> bool:
    """Return whether a column is kept: it has a name, which the user has not given to another."""
    return name in new or bool(name.strip() and name not in new.values())


def _others(frame: pl.DataFrame, where: str, decimal: str) -> list[pl.Series]:
    """Read the columns that a study may name as features; texts and dates are none, and are told so when named."""
    extras = [name for name in frame.columns if name not in COLUMNS and are_numbers(frame[name], decimal=decimal)]
    texts = frame.select(cs.boolean() | cs.string(include_categorical=True) | cs.date() | cs.datetime())
    texts = texts.drop(COLUMNS, *extras, strict=False)
    texts = texts.cast({cs.string(include_categorical=True): pl.String, cs.datetime(): pl.Date})
    return [*(read_numbers(frame[name], where, decimal=decimal or ".") for name in extras), *texts]


def _one_bar_a_day(frame: pl.DataFrame, dates: pl.Series, where: str) -> None:
    """Refuse bars of hours or minutes: time stamps that differ on one day of a ticker."""
    stamps = frame["date"]
    if stamps.dtype == pl.Date or (stamps.dtype == pl.String and longest(stamps) <= 10):
        return
    keys = pl.DataFrame({"ticker": frame["ticker"], "date": dates, "stamp": stamps}).drop_nulls()
    several = keys.unique().group_by("ticker", "date").agg(pl.len(), pl.col("stamp").sort()).filter(pl.col("len") > 1)
    if len(several):
        ticker, date, _, stamp = several.sort("ticker", "date").row(0)
        raise DataError(
            f"{where}: {ticker} has several bars on {date}, at {stamp[0]} and {stamp[1]}: hourly bars or the like; "
            "nextday reads daily ones, resample them first"
        )


def _tickers(column: pl.Series, where: str) -> pl.Series:
    """Read tickers as texts; numbers are those of an exchange that has numbers for tickers, such as 700."""
    if column.dtype.is_nested() or column.dtype.is_temporal():
        raise DataError(f"{where}: column {column.name} is of type {column.dtype}, not of tickers")
    if not column.dtype.is_float():
        text = column.cast(pl.String).str.strip_chars()
        return pl.select(pl.when(text != "").then(text).alias("ticker")).to_series()
    whole = column.cast(pl.Int64, strict=False)
    broken = (column.is_not_null() & column.is_not_nan() & (whole.cast(pl.Float64) != column)).arg_true()
    if len(broken):
        raise DataError(f"{where}: row {broken[0] + 1}: ticker {column[broken[0]]} is not a text or a whole number")
    return whole.cast(pl.String)
