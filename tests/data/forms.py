"""Bars in the forms of vendors and programs, each written by the tests themselves: seeded walks, nobody's data."""

import gzip
import zipfile

import polars as pl

from nextday.data import random_walk

VALUES = ("open", "high", "low", "close", "adj_close")


def walk(tickers=("KO", "SPY"), sessions=40):
    """Bars of two tickers with four decimals, whole volumes and an adjusted close that falls behind."""
    frame = random_walk(tickers=tickers, sessions=sessions, seed=3).frame
    share = 0.98 + 0.02 * (pl.int_range(pl.len()).over("ticker") + 1) / sessions
    frame = frame.with_columns(adj_close=pl.col("close") * share)
    return frame.with_columns(*(pl.col(name).round(4) for name in VALUES), pl.col("volume").round(0))


def text(frame, form="%Y-%m-%d"):
    """The same with whole volumes and dates of a form, as vendors write them."""
    return frame.with_columns(pl.col("volume").cast(pl.Int64), pl.col("date").dt.strftime(form))


def csv(path, frame, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_csv(path, **options)
    return path


def named(frame, **names):
    """The same, some columns renamed and the others as they are."""
    return frame.rename({ours: theirs for ours, theirs in names.items() if ours in frame.columns})


def dated(form):
    return lambda frame, folder: csv(folder / "bars.csv", text(frame, form))


def yahoo_levels(frame, folder):
    """What ``yf.download([...]).to_csv()`` writes: three rows of header."""
    wide = text(frame).pivot("ticker", index="date", values=[*VALUES, "volume"])
    tickers = frame["ticker"].unique(maintain_order=True).to_list()
    fields = {"adj_close": "Adj Close", **{name: name.title() for name in ("open", "high", "low", "close", "volume")}}
    pairs = [(name, ticker) for name in fields for ticker in tickers]
    rows = [",".join(["Price", *(fields[name] for name, _ in pairs)]), ",".join(["Ticker", *(one for _, one in pairs)])]
    rows += ["Date" + "," * len(pairs)]
    rows += [",".join(map(str, row)) for row in wide.select("date", *(f"{n}_{t}" for n, t in pairs)).iter_rows()]
    path = folder / "yf.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def alpha_vantage(frame, folder):
    names = {
        name: f"{at}. {name.replace('adj_close', 'adjusted close')}" for at, name in enumerate((*VALUES, "volume"), 1)
    }
    return csv(folder / "bars.csv", named(text(frame), date="timestamp", **names))


def stooq(frame, folder):
    for (ticker,), own in text(frame, "%Y%m%d").drop("adj_close").group_by("ticker"):
        own = own.with_columns(per=pl.lit("D"), time=pl.lit("000000"), openint=pl.lit(0))
        names = {name: f"<{name.upper()}>" for name in own.columns} | {"volume": "<VOL>"}
        csv(folder / "stooq" / f"{ticker.lower()}.us.txt", named(own, **names))
    return folder / "stooq"


def metatrader(frame, folder, encoding="utf-8"):
    own = text(frame, "%Y.%m.%d").drop("adj_close", "ticker")[: frame.height // 2]
    own = named(own, **{name: f"<{name.upper()}>" for name in own.columns} | {"volume": "<VOL>"})
    path = folder / "KO.csv"
    path.write_bytes(own.write_csv(separator="\t").encode(encoding))
    return path


def semicolons(frame, folder, *, comma):
    own = text(frame).with_columns(
        pl.col(name).map_elements(lambda value: f"{value:.4f}", pl.String) for name in VALUES
    )
    if comma:
        own = own.with_columns(pl.col(VALUES).str.replace(".", ",", literal=True))
    return csv(folder / "bars.csv", own, separator=";")


def thousands(frame, folder):
    shown = pl.col("volume").map_elements(lambda value: f"{value:,}", pl.String)
    return csv(folder / "bars.csv", text(frame).with_columns(shown))


def stamps(zone, hour):
    """Time stamps in UTC of the moment when it is some hour at the exchange."""

    def write(frame, folder):
        at = pl.col("date").cast(pl.Datetime).dt.offset_by(f"{hour}h").dt.replace_time_zone(zone)
        return csv(
            folder / "bars.csv", frame.with_columns(at.dt.convert_time_zone("UTC").dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
        )

    return write


def epoch(frame, folder, zone="UTC"):
    at = pl.col("date").cast(pl.Datetime("ms")).dt.replace_time_zone(zone).dt.epoch("ms")
    return csv(folder / "bars.csv", frame.with_columns(at.alias("date")))


def polygon(frame, folder):
    """One-letter names, milliseconds at New York's midnight."""
    at = pl.col("date").cast(pl.Datetime("ms")).dt.replace_time_zone("America/New_York").dt.epoch("ms")
    own = frame.drop("adj_close").with_columns(at.alias("date"), vw=pl.col("close"), n=pl.lit(100))
    return csv(folder / "bars.csv", named(own, date="t", open="o", high="h", low="l", close="c", volume="v"))


def nasdaq(frame, folder):
    """Dollars, month first, newest first; one ticker, no adjusted close."""
    own = text(frame, "%m/%d/%Y")[: frame.height // 2].drop("adj_close", "ticker").reverse()
    dollars = (pl.format("${}", pl.col(name)).alias(name) for name in ("open", "high", "low", "close"))
    return csv(folder / "KO.csv", named(own.with_columns(*dollars), close="Close/Last"))


def chinese(frame, folder):
    names = {
        "date": "日期",
        "ticker": "股票代码",
        "open": "开盘",
        "close": "收盘",
        "high": "最高",
        "low": "最低",
        "volume": "成交量",
    }
    return csv(folder / "bars.csv", named(text(frame).drop("adj_close"), **names))


def tushare(frame, folder):
    own = text(frame, "%Y%m%d").drop("adj_close").with_columns(amount=pl.lit(1.0)).reverse()
    return csv(folder / "bars.csv", named(own, date="trade_date", ticker="ts_code", volume="vol"))


def sharadar(frame, folder):
    own = text(frame).with_columns(closeunadj=pl.lit(1.0), lastupdated=pl.lit("2024-01-05"))
    return csv(folder / "bars.csv", named(own, adj_close="closeadj"))


def tiingo(frame, folder):
    own = text(frame, "%Y-%m-%dT00:00:00.000Z").with_columns(adjVolume=pl.col("volume"), divCash=pl.lit(0.0))
    return csv(folder / "bars.csv", named(own, adj_close="adjClose"))


def kaggle(frame, folder):
    return csv(folder / "bars.csv", named(text(frame).drop("adj_close"), ticker="Name"))


def with_offsets(frame, folder):
    """``Ticker.history().to_csv()``: stamps by New York's clock."""
    own = text(frame, "%Y-%m-%d 00:00:00-05:00").with_columns(Dividends=pl.lit(0.0))
    return csv(folder / "bars.csv", named(own, date="Date", adj_close="Adj Close", ticker="Ticker"))


def packed(frame, folder):
    (folder / "bars.csv.gz").write_bytes(gzip.compress(text(frame).write_csv().encode()))
    return folder / "bars.csv.gz"


def zipped(frame, folder):
    with zipfile.ZipFile(folder / "bars.zip", "w") as archive:
        archive.writestr("bars.csv", text(frame).write_csv())
        archive.writestr("__MACOSX/._bars.csv", "\0")
    return folder / "bars.zip"


def by_ticker(frame, write, name="{}.csv"):
    """One file per ticker, without a column for it."""

    def make(_, folder):
        for (ticker,), own in text(frame).group_by("ticker"):
            path = folder / "bars" / name.format(ticker)
            path.parent.mkdir(parents=True, exist_ok=True)
            write(own.drop("ticker"), path)
        return folder / "bars"

    return make


def of_folder(name, kind="csv"):
    def make(frame, folder):
        def write(own, path):
            if kind == "csv":
                own.write_csv(path)
            elif kind == "gz":
                path.write_bytes(gzip.compress(own.write_csv().encode()))
            else:
                own.with_columns(pl.col("date").str.to_date()).write_parquet(path)

        return by_ticker(frame, write, name)(frame, folder)

    return make


def spark(frame, folder):
    (folder / "bars").mkdir()
    (folder / "bars" / "_SUCCESS").touch()
    frame[:30].write_parquet(folder / "bars" / "part-00000.parquet")
    frame[30:].write_parquet(folder / "bars" / "part-00001.parquet")
    return folder / "bars"


def junk(frame, folder):
    of_folder("{}.csv")(frame, folder)
    for name, content in {".DS_Store": b"\0\1", "._KO.csv": b"\0\5\26\7", "notes.csv": b"", "etf.list": b"QQQ"}.items():
        (folder / "bars" / name).write_bytes(content)
    return folder / "bars"


def feather(frame, folder):
    frame.write_ipc(folder / "bars.feather")
    return folder / "bars.feather"


def appended(content):
    def make(frame, folder):
        path = csv(folder / "bars.csv", text(frame))
        with path.open("a") as file:
            file.write(content)
        return path

    return make


def edited(change):
    """A CSV of a frame that was changed before."""
    return lambda frame, folder: csv(folder / "bars.csv", change(text(frame)))
