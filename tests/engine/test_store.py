import errno
import os
import time
from dataclasses import replace

import numpy as np
import pytest

from nextday.engine import Store
from nextday.errors import OutputError
from nextday.models import Fitted
from nextday.storage.files import open_folder, sweep, write_atomically

FITTED = Fitted(
    np.array([0.1, -0.2]), np.array([1.0]), np.array([2.0]), {"w": np.ones((2, 3), np.float32)}, 1, ("a note",)
)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    store.save("key", FITTED, label="LSTM-Raw KO seed 1")
    return store


def test_arrays_of_any_layout_in_memory_come_back(store):
    """safetensors writes memory as it lies: of a column-major or strided array that is another one."""
    values = np.arange(12.0).reshape(3, 4)
    store.save("layout", Fitted(values[:, 1], quantiles=np.asfortranarray(values), weights={"w": values.T}), label="x")
    found = store.load("layout")
    np.testing.assert_array_equal(found.predicted, [1, 5, 9])
    np.testing.assert_array_equal(found.quantiles, values)
    np.testing.assert_array_equal(found.weights["w"], values.T)


def test_a_unit_comes_back_as_it_was_saved(store):
    found = store.load("key")
    for name in ("predicted", "train_loss", "valid_loss"):
        np.testing.assert_array_equal(getattr(found, name), getattr(FITTED, name))
    np.testing.assert_array_equal(found.weights["w"], FITTED.weights["w"])
    assert (found.best_epoch, found.notes) == (1, ("a note",))
    assert store.load("other") == ""


def test_what_a_model_has_to_show_comes_back_whatever_its_name(store):
    extras = {"attention": np.ones((2, 1, 1, 3)), "a name.that nobody knows": np.arange(3)}
    store.save("shown", replace(FITTED, extras=extras), label="x")
    found = store.load("shown")
    assert set(found.extras) == set(extras)
    for name, value in extras.items():
        np.testing.assert_array_equal(found.extras[name], value)
    assert list(found.weights) == ["w"]


def test_a_unit_with_fields_of_another_version_is_set_aside_and_not_misread(store):
    own = {name: getattr(FITTED, name) for name in ("predicted", "train_loss", "valid_loss")}
    empty = {name: np.empty((0, 0)) for name in ("quantiles", "valid_quantiles", "attention", "latent")}
    store.save_arrays("old", own | empty | {"weights.w": np.ones(2)}, label="x", seconds=1)
    assert "damaged" in store.load("old")


FACTS = {
    "empty": b"", "not json": b"{", "not text": b"\xff", "deep": b"[" * 100_000, "no key": b"{}", "a list": b"[1]",
    "another epoch": (b'"best_epoch": 1', b'"best_epoch": 3'), "no number": (b'"best_epoch": 1', b'"best_epoch": "1"'),
    "infinite": (b'"best_epoch": 1', b'"best_epoch": Infinity'), "another note": (b"a note", b"a mote"),
    "notes of a text": (b'[\n  "a note"\n ]', b'"a note"'), "another name": (b'"unit"', b'"unif"'),
}  # fmt: skip


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty numbers", "remove", *FACTS])
def test_a_damaged_unit_is_set_aside_and_not_used(store, damage):
    numbers, facts = store.folder / "key.safetensors", store.folder / "key.json"
    content = bytearray(numbers.read_bytes())
    if damage == "flip":
        content[-3] ^= 1
        numbers.write_bytes(content)
    elif damage == "truncate":
        numbers.write_bytes(content[:-8])
    elif damage == "empty numbers":
        numbers.write_bytes(b"")
    elif damage == "remove":
        numbers.unlink()
    else:
        change, before = FACTS[damage], facts.read_bytes()
        facts.write_bytes(change if isinstance(change, bytes) else before.replace(*change))
        assert facts.read_bytes() != before
    assert store.load("key") == "its stored unit was damaged; renamed to key*.damaged and refitted"
    assert (store.folder / "key.json.damaged").exists()
    assert store.load("key") == ""
    store.save("key", FITTED, label="again")
    assert isinstance(store.load("key"), Fitted)


def test_a_flipped_bit_in_any_byte_of_the_facts_is_seen_or_means_nothing(store):
    facts = store.folder / "key.json"
    content = facts.read_bytes()
    for at in range(len(content)):
        flipped = bytearray(content)
        flipped[at] ^= 1 << at % 7
        facts.write_bytes(flipped)
        found = store.load("key")
        assert isinstance(found, str) or (found.best_epoch, found.notes) == (1, ("a note",)), flipped
        store.save("key", FITTED, label="LSTM-Raw KO seed 1")


def test_a_unit_that_two_runs_find_damaged_is_set_aside_once(store):
    (store.folder / "key.json").write_text("{")
    store._set_aside("key")
    store._set_aside("key")
    assert sorted(path.name for path in store.folder.iterdir()) == ["key.json.damaged", "key.safetensors.damaged"]


def test_a_damaged_unit_that_cannot_be_set_aside_is_one_line(store):
    (store.folder / "key.json").write_text("{")
    (store.folder / "key.safetensors.damaged").mkdir()
    with pytest.raises(
        OutputError, match=r"key.safetensors is damaged and cannot be renamed: Is a directory; remove it"
    ):
        store.load("key")


def test_numbers_without_their_facts_are_not_a_unit(store):
    (store.folder / "key.json").unlink()
    assert store.load("key") == ""


def test_what_a_killed_run_left_half_written_is_no_unit_and_goes_in_the_end(store):
    old, new = store.folder / ".other.json.abc", store.folder / ".other.safetensors.def"
    for path in (old, new):
        path.write_text("half")
    os.utime(old, (time.time() - 7200,) * 2)
    assert store.load("other") == ""
    sweep(store.folder)
    assert sorted(path.name for path in store.folder.iterdir()) == [new.name, "key.json", "key.safetensors"]


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


def test_no_unit_waits_for_the_disk_but_every_other_file_does(tmp_path, monkeypatch):
    """Units are checked when they are read; tables are not."""
    waited = []
    monkeypatch.setattr("os.fsync", waited.append)
    Store(tmp_path).save("key", FITTED, label="x")
    assert not waited
    write_atomically(tmp_path / "table.csv", b"")
    assert len(waited) == 1


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_fitted(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written: Not a directory"):
        open_folder(tmp_path / "file" / "stage2")
    assert list(open_folder(tmp_path / "new").iterdir()) == []


def test_a_probe_that_another_run_has_removed_is_no_mistake(tmp_path, monkeypatch):
    monkeypatch.setattr("nextday.storage.files.write_atomically", lambda *_, **__: None)
    assert open_folder(tmp_path) == tmp_path
