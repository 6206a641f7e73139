"""Snapshots: what was written comes back, and damage or a hostile manifest is named."""

import json
from datetime import UTC, date, datetime

import polars as pl
import pytest

from nextday.data.snapshot import LARGEST, older_snapshot, verify_snapshot, write_snapshot
from nextday.errors import DataError

FACTS = {
    "start": date(2024, 1, 1), "end": date(2024, 1, 3), "settings": {"twice": True, "accept": []}, "source": "yahoo",
    "version": "yfinance 1.7.0", "time": datetime(2024, 6, 3, 15, tzinfo=UTC), "notes": ["KO on 2024-01-02: no volume"],
}  # fmt: skip


@pytest.fixture
def bars():
    return pl.DataFrame({"date": [date(2024, 1, 2)] * 2, "ticker": ["SPY", "KO"], "close": [470.5, 60.25]})


@pytest.fixture
def path(tmp_path, bars):
    return write_snapshot(tmp_path / "some.bars.parquet", bars, FACTS)


def refusal(path):
    with pytest.raises(DataError) as caught:
        verify_snapshot(path)
    assert str(caught.value).isprintable()
    return str(caught.value)


def change(path, values):
    beside = path.with_suffix(".json")
    beside.write_text(json.dumps(json.loads(beside.read_text()) | values))


def test_what_was_written_comes_back(path, bars):
    manifest = verify_snapshot(path)
    assert pl.read_parquet(path).equals(bars)
    assert len(manifest.pop("sha256")) == 64
    assert manifest == {
        "tickers": ["KO", "SPY"], "start": "2024-01-01", "end": "2024-01-03", "rows": 2, "source": "yahoo",
        "settings": {"twice": True, "accept": []}, "version": "yfinance 1.7.0", "time": "2024-06-03T15:00:00Z",
        "notes": ["KO on 2024-01-02: no volume"],
    }  # fmt: skip
    assert sorted(file.name for file in path.parent.iterdir()) == ["some.bars.json", "some.bars.parquet"]


def test_the_manifest_names_no_path(path):
    assert str(path.parent) not in path.with_suffix(".json").read_text()
    assert "/" not in path.with_suffix(".json").read_text()


def test_a_file_without_a_manifest_is_not_a_snapshot(path):
    path.with_suffix(".json").unlink()
    assert verify_snapshot(path) is None


def test_only_parquet_files_are_snapshots(path):
    assert verify_snapshot(path.with_suffix(".csv")) is None


def test_a_flipped_byte_is_found(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert f"{path} has changed since it was fetched: sha256" in refusal(path)


def test_a_truncated_file_is_found(path):
    path.write_bytes(path.read_bytes()[:-1])
    assert f"{path} has changed since it was fetched" in refusal(path)


def test_a_manifest_without_its_file_is_found(path):
    path.unlink()
    assert f"{path} cannot be read: No such file" in refusal(path)


def test_a_manifest_that_is_a_folder_is_found(path):
    path.with_suffix(".json").unlink()
    path.with_suffix(".json").mkdir()
    assert "cannot be read" in refusal(path)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000, b"{}", b'"' + b"x" * (LARGEST + 5) + b'"',
        b"\x1b]0;owned\x07",
    ],
)  # fmt: skip
def test_a_manifest_that_is_none_is_found(path, content):
    path.with_suffix(".json").write_bytes(content)
    assert "is not the manifest of a snapshot: " in refusal(path)


@pytest.mark.parametrize(
    "values",
    [
        {"sha256": "0"}, {"sha256": 5}, {"sha256": None}, {"rows": "2"}, {"rows": 0}, {"rows": 2.5}, {"rows": True},
        {"tickers": "KO"}, {"tickers": []}, {"tickers": [1]}, {"tickers": {"KO": 1}}, {"notes": "x"}, {"notes": [["x"]]},
        {"notes": ["\x1b[2J"]}, {"notes": ["x" * 1001]}, {"notes": ["two\nlines"]}, {"source": ""}, {"source": None},
        {"version": 1.7}, {"time": "yesterday"}, {"time": "2024-06-03T15:00:00"}, {"start": 5}, {"end": "2024-13-01"},
        {"settings": []}, {"settings": {"x": {"y": 1}}}, {"path": "/etc/passwd"}, {"\x1b[2J": 1},
    ],
)  # fmt: skip
def test_a_manifest_of_wrong_types_is_found(path, values):
    change(path, values)
    assert f"{path.with_suffix('.json')} is not the manifest of a snapshot: " in refusal(path)


def test_a_new_snapshot_takes_the_place_of_the_old(path, bars):
    write_snapshot(path, bars.head(1), FACTS | {"notes": []})
    assert verify_snapshot(path)["tickers"] == ["SPY"]


def test_the_snapshot_before_is_the_latest_older_one_of_the_same_tickers(tmp_path, bars):
    first, second, third = (
        write_snapshot(tmp_path / f"{name}.parquet", bars, FACTS | {"time": datetime(2024, month, 3, tzinfo=UTC)})
        for name, month in (("c", 1), ("a", 2), ("b", 3))
    )
    write_snapshot(tmp_path / "other.parquet", bars.filter(ticker="KO"), FACTS)
    bars.write_parquet(tmp_path / "alone.parquet")
    assert older_snapshot(third) == second
    assert older_snapshot(second) == first
    assert older_snapshot(first) is None
    assert older_snapshot(tmp_path / "alone.parquet") is None
