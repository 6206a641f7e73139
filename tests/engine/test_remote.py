import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from nextday.engine import open_store
from nextday.errors import OutputError
from nextday.ladder.run import run_all
from nextday.models import Fitted
from nextday.pipeline import forecast
from nextday.storage.remote import locate
from nextday.study import Study

FITTED = Fitted(np.array([0.1, -0.2]), weights={"w": np.ones((2, 3), np.float32)}, best_epoch=1, notes=("a note",))


@pytest.fixture
def url(tmp_path):
    """A folder of an object storage in memory, which is one for the whole process."""
    yield f"memory:/{tmp_path}/units"
    MemoryFileSystem().rm(str(tmp_path), recursive=True)


@pytest.fixture
def store(url):
    store = open_store(url)
    store.save("key", FITTED, label="LSTM-Raw KO seed 1")
    return store


def names(store):
    return sorted(path.name for path in store.folder.glob("*"))


def test_a_unit_behind_a_url_comes_back_as_it_was_saved(url, store):
    assert not store.is_empty()
    found = open_store(url).load("key")
    np.testing.assert_array_equal(found.predicted, FITTED.predicted)
    np.testing.assert_array_equal(found.weights["w"], FITTED.weights["w"])
    assert (found.best_epoch, found.notes) == (1, ("a note",))
    assert store.load("other") == ""
    assert names(store) == ["key.json", "key.safetensors"]


def test_a_folder_behind_a_url_is_empty_before_the_first_unit(url, tmp_path):
    MemoryFileSystem().mkdirs(str(tmp_path))
    store = open_store(url)
    assert store.is_empty()
    assert store.load("key") == ""


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_a_damaged_unit_behind_a_url_is_set_aside_and_not_used(store, damage):
    numbers = store.folder / "key.safetensors"
    content = bytearray(numbers.read_bytes())
    if damage == "flip":
        content[-3] ^= 1
    if damage == "remove":
        numbers.unlink()
    else:
        numbers.write_bytes(bytes(content[:-8] if damage == "truncate" else content))
    assert store.load("key") == "its stored unit was damaged; renamed to key*.damaged and refitted"
    assert "key.json.damaged" in names(store)
    assert store.load("key") == ""
    store.save("key", FITTED, label="again")
    assert isinstance(store.load("key"), Fitted)


def test_a_service_that_does_not_answer_is_one_line_and_no_damage(store, monkeypatch):
    before = names(store)

    def fail(*_, **__):
        raise TimeoutError("no answer\nfrom there")

    for method, does, says in (
        ("cat_file", lambda: store.load("key"), "read"),
        ("info", lambda: store.load("key"), "read"),
        ("ls", store.is_empty, "read"),
        ("pipe_file", lambda: store.save("other", FITTED, label="x"), "written"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(MemoryFileSystem, method, fail)
            with pytest.raises(OutputError, match=rf"{says}: no answer; name another place with --store$"):
                does()
    assert names(store) == before


def test_a_file_url_is_a_path(tmp_path):
    assert locate(f"file://{tmp_path}/units") == locate(str(tmp_path / "units")) == tmp_path / "units"


def test_a_place_that_cannot_be_opened_or_written_is_one_line_before_anything_is_fitted(tmp_path):
    fsspec.register_implementation("absent", "absent.System", errtxt="Install absent for it", clobber=True)
    (tmp_path / "file").write_text("")
    for where, says in (
        (
            "absent://user:password@host",
            "^--store absent://: Install absent for it; pip install the package, or name a folder$",
        ),
        ("unknown://x", "^--store unknown://: Protocol not known: unknown; name a folder or a URL such as s3://"),
        (tmp_path / "file" / "units", "cannot be written: Not a directory; name another folder with --store$"),
    ):
        with pytest.raises(OutputError, match=says):
            open_store(where)
    with pytest.raises(OutputError, match="^--store unknown://: "):
        run_all(out=tmp_path, store="unknown://x")


def outcomes_of(study, bars, out, **options):
    seen = []
    folder = forecast(
        Study.from_values(study), bars=bars.frame, out=out, workers=0,
        watch=lambda stream, _: (seen.append(outcome) or outcome for outcome in stream), **options,
    )  # fmt: skip
    return folder, [getattr(outcome, "reused", None) for outcome in seen]


def test_a_study_goes_on_from_the_units_behind_a_url_and_another_shares_them(bars, quick, url, tmp_path):
    variants = {name: quick["variants"][name] for name in ("LSTM-Raw", "Zero")}
    study = {**quick, "variants": variants, "conformal": {}}
    first, fitted = outcomes_of(study, bars, tmp_path / "first", store=url)
    assert fitted == [False] * 4
    assert not (first / "units").exists()
    second, reused = outcomes_of({**study, "name": "twin"}, bars, tmp_path / "second", store=url)
    assert reused == [True] * 4
    assert (first / "forecasts.parquet").read_bytes() == (second / "forecasts.parquet").read_bytes()


def test_networks_are_probed_where_their_study_was_told_to_keep_them(bars, quick, url, tmp_path):
    study = {**quick, "variants": {"LSTM-Raw": quick["variants"]["LSTM-Raw"]}, "conformal": {}}
    outcomes_of(study, bars, tmp_path, store=url)
    probing = {
        **study,
        "name": "probing",
        "variants": {"Zero": quick["variants"]["Zero"]},
        "analyses": {"probing": {"studies": ["quick"]}},
    }
    with pytest.raises(OutputError, match="2 of 2 networks missing"):
        outcomes_of(probing, bars, tmp_path)
    outcomes_of(probing, bars, tmp_path, store=url)
