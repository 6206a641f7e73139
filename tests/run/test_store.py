import errno
import json

import numpy as np
import pytest

from nextday.errors import OutputError
from nextday.files import open_folder, write_atomically
from nextday.models import Fitted
from nextday.run import Store

FITTED = Fitted(
    np.array([0.1, -0.2]), np.array([1.0]), np.array([2.0]), {"w": np.ones((2, 3), np.float32)}, 1, ("a note",)
)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    store.save("key", FITTED, label="LSTM-Raw KO seed 1", seconds=1.5)
    return store


def test_a_unit_comes_back_as_it_was_saved(store):
    found = store.load("key")
    for name in ("predicted", "train_loss", "valid_loss"):
        np.testing.assert_array_equal(getattr(found, name), getattr(FITTED, name))
    np.testing.assert_array_equal(found.weights["w"], FITTED.weights["w"])
    assert (found.best_epoch, found.notes) == (1, ("a note",))
    assert store.load("other") is None


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "not json", "no key", "wrong type"])
def test_a_damaged_unit_is_set_aside_and_not_used(store, damage):
    numbers, facts = store.folder / "key.safetensors", store.folder / "key.json"
    content = bytearray(numbers.read_bytes())
    if damage == "flip":
        content[-3] ^= 1
        numbers.write_bytes(content)
    elif damage == "truncate":
        numbers.write_bytes(content[:-8])
    elif damage == "remove":
        numbers.unlink()
    elif damage == "not json":
        facts.write_text("{")
    elif damage == "no key":
        facts.write_text("{}")
    else:
        facts.write_text(json.dumps([1]))
    assert store.load("key") is None
    assert (store.folder / "key.json.damaged").exists()
    store.save("key", FITTED, label="again", seconds=0)
    assert store.load("key") is not None


def test_numbers_without_their_facts_are_not_a_unit(store):
    (store.folder / "key.json").unlink()
    assert store.load("key") is None


def test_a_full_disk_leaves_the_old_file_and_nothing_half_written(tmp_path, monkeypatch):
    path = tmp_path / "table.csv"
    write_atomically(path, b"old")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(
        OutputError, match=r"table.csv cannot be written: No space left on device; name another folder with --out"
    ):
        write_atomically(path, b"new")
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]
    assert path.read_bytes() == b"old"


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_fitted(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written: Not a directory"):
        open_folder(tmp_path / "file" / "stage2")
    assert list(open_folder(tmp_path / "new").iterdir()) == []
