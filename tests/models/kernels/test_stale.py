import os

from nextday.models.kernels import _forget


def test_what_was_compiled_before_any_source_changed_is_forgotten(tmp_path):
    (tmp_path / "__pycache__").mkdir()
    files = {"tiles.py": 20, "lstm.py": 10, "__pycache__/lstm.old.nbi": 15, "__pycache__/lstm.new.nbi": 25}
    for name, age in files.items():
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (age, age))
    _forget(tmp_path)
    assert [one.name for one in tmp_path.glob("__pycache__/*")] == ["lstm.new.nbi"]
