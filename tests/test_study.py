import pytest

from nextday.data import align
from nextday.engine import make_plan
from nextday.errors import StudyError
from nextday.presets import presets
from nextday.questions import parse_contrast
from nextday.study import Study

MINIMAL = "name: mine\nvariants:\n  A: {model: zero, features: raw}\n"


def load(text, tmp_path, **changes):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return Study.load(path, changes)


def test_every_preset_loads_under_its_own_name():
    assert [Study.load(name).name for name in presets()] == presets()


def test_stage_2_is_the_documented_study():
    study = Study.load("stage2")
    assert study.seeds == (42, 43, 44)
    assert study.training.model_dump() == {
        "max_epochs": 100, "patience": 10, "batch_size": 64, "learning_rate": 1e-3, "clip": 1.0,
        "precision": "float32",
    }  # fmt: skip
    assert {name: variant.features for name, variant in study.variants.items()} == {
        "LSTM-Raw": "raw", "LSTM-OHLCV": "ohlcv", "LSTM-Feat": "engineered",
    }  # fmt: skip


def test_tickers_in_yaml_stay_text(tmp_path):
    study = load(MINIMAL + "tickers: [NO, ON, TRUE, NA, 007, null]\n", tmp_path)
    assert study.tickers == ("NO", "ON", "TRUE", "NA", "007", "null")


def test_a_key_that_has_moved_is_read_as_if_written_where_it_is_today(tmp_path):
    today = {"probing": {"studies": ["stage2", "stage3"]}}
    assert load(MINIMAL + "probes: [stage2, stage3]\n", tmp_path).analyses == today
    assert Study.from_values({"name": "x", "variants": Study.load("stage1").variants, "probes": []}).analyses == {}
    assert load(MINIMAL, tmp_path, probes="stage2").analyses == {"probing": {"studies": "stage2"}}
    with pytest.raises(StudyError, match=r"probes is analyses.probing.studies now, and analyses is given, too"):
        load(MINIMAL + "probes: [stage2]\nanalyses: {probing: {studies: [stage3]}}\n", tmp_path)


def test_changes_are_dotted_keys(tmp_path):
    study = load(MINIMAL, tmp_path, **{"training.max_epochs": "3", "seeds": "1, 2", "variants.A.model": "arima"})
    assert study.training.max_epochs == 3
    assert study.seeds == (1, 2)
    assert study.variants["A"].model == "arima"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("lookbak: 5", "unknown key 'lookbak'; did you mean lookback\\?$"),
        (
            "training: {epochs: 5}",
            r"unknown key 'training.epochs'; did you mean max_epochs\? known here: max_epochs, patience",
        ),
        ("seeds: [1, a]", r"seeds.1: expected a whole number, got 'a'"),
        ("seeds: [1, 1]", "seeds names 1 more than once"),
        ("seeds: [-1]", "seeds must not be negative"),
        ("tickers: [KO, KO]", "tickers names KO more than once"),
        ("tickers: ['']", "tickers holds an empty ticker"),
        ("lookback: 0", "lookback: expected at least 1, got 0"),
        ("split: {train: 0.9, valid: 0.2}", r"split: train 0.9 \+ valid 0.2 leave nothing for the test set"),
        ("split: {scheme: random}", "split.scheme: .*holdout"),
        ("lookback: 5\nlookback: 6", "'lookback' is given twice"),
        ("lookback: [", "is not YAML"),
        ("variants: {}", "variants"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(tmp_path, more, says):
    text = (MINIMAL if "variants" not in more else "name: mine\n") + more + "\n"
    with pytest.raises(StudyError, match=says) as error:
        load(text, tmp_path)
    assert "\n" not in str(error.value)


def test_an_unknown_study_lists_the_known_ones(tmp_path):
    with pytest.raises(
        StudyError,
        match=r"unknown study 'stage9'; known: stage1, stage2, stage3, stage4, stage5, stage6, control, families, matched, stage7, all, or a file ending in \.yaml",
    ):
        Study.load("stage9")
    with pytest.raises(StudyError, match=r"nowhere.yaml does not exist"):
        Study.load(tmp_path / "nowhere.yaml")
    with pytest.raises(StudyError, match="must hold keys and values"):
        load("just text\n", tmp_path)


def test_a_name_cannot_lead_out_of_the_results_folder(tmp_path):
    with pytest.raises(StudyError, match="name"):
        load(MINIMAL, tmp_path, name="../elsewhere")


@pytest.mark.parametrize(
    ("variant", "says"),
    [
        ({"model": "lstn", "features": "raw"}, r"variants\.A: unknown model 'lstn'; did you mean lstm\?"),
        (
            {"model": "lstm", "features": "row"},
            r"variants\.A: unknown feature set 'row'; did you mean raw\?",
        ),
        (
            {"model": "lstm", "features": "raw", "options": {"hiden": 3}},
            r"model lstm has no option 'hiden'; did you mean hidden\? known: head, loss, pooled, hidden, layers, dropout",
        ),
        (
            {"model": "lstm", "features": "raw", "options": {"hidden": "x"}},
            r"model lstm: hidden: expected a whole number, got 'x'",
        ),
        ({"model": "lstm", "features": "raw", "options": {"dropout": 1}}, r"dropout: expected less than 1, got 1"),
        ({"model": "zero", "features": "raw", "options": {"a": 1}}, r"model zero has no option 'a'; known: none"),
        ({"model": "persistence", "features": "lags"}, r"model persistence needs log_return, which lags does not"),
        ({"model": "lstm", "features": "mine"}, r"unknown feature 'momentum'; known: log_return"),
    ],
)
def test_a_variant_that_cannot_be_made_is_refused_before_anything_is_fitted(bars, variant, says):
    study = Study.from_values({
        "name": "x", "market": "MKT", "lookback": 5, "variants": {"A": variant}, "feature_sets": {"mine": ["momentum"]} if variant["features"] == "mine" else {},
    })  # fmt: skip
    with pytest.raises(StudyError, match=says):
        make_plan(study, align(bars, market="MKT"))


def test_a_feature_set_of_the_users_own_is_used(bars):
    study = Study.from_values({
        "name": "x", "market": "MKT", "variants": {"A": {"model": "lstm", "features": "mine"}},
        "feature_sets": {"mine": ["log_return", "vol_change"]},
    })  # fmt: skip
    plan = make_plan(study, align(bars, market="MKT"))
    assert plan.job(plan.units[0]).test.names == ("log_return", "vol_change")


@pytest.mark.parametrize(("name", "why"), [("", "an empty name"), ("zero forecast", "stands for the benchmark")])
def test_a_variant_has_a_name_of_its_own(name, why):
    with pytest.raises(StudyError, match=why):
        Study.from_values({"name": "s", "variants": {name: {"model": "zero", "features": "raw"}}})


def test_a_study_asks_contrasts_of_its_variants():
    variants = {name: {"model": "lstm", "features": name} for name in ("raw", "engineered")}
    asked = {"ask": ["engineered - raw", {"contrast": "raw - zero", "margin": "0.01"}]}
    study = Study.from_values({"name": "s", "variants": variants, "verdict": asked})
    assert [(one.contrast, one.margin) for one in study.verdict.ask] == [
        ("engineered - raw", None),
        ("raw - zero", 0.01),
    ]
    for wrong, why in (("ohlcv - raw", "'ohlcv' is no variant"), ("raw", "expected 'A - B'")):
        with pytest.raises(StudyError, match=why):
            Study.from_values({"name": "s", "variants": variants, "verdict": {"ask": wrong}})
    with pytest.raises(StudyError, match="more than once"):
        Study.from_values({"name": "s", "variants": variants, "verdict": {"ask": ["raw - zero", "raw - zero"]}})
    with pytest.raises(StudyError, match="scale predicted divides squared errors"):
        Study.from_values({"name": "s", "variants": variants, "verdict": {"loss": "absolute", "scale": "predicted"}})


def test_names_that_hold_the_sign_are_cut_where_both_sides_are_known():
    names = ["a - b", "a", "b - c", "c"]
    assert parse_contrast("a - b - c", ["a - b", "c"]) == ("a - b", "-", "c")
    assert parse_contrast("a-b", ["a", "b"]) == ("a", "-", "b")
    assert parse_contrast("c - zero", names) == ("c", "-", None)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seeds": [2**63]}, r"seeds are below 2\^63, got 9223372036854775808"),
        ({"variants": {"bad\ud800": {"model": "zero", "features": "raw"}}}, "cannot be written as UTF-8"),
        ({"training": {"learning_rate": "inf"}}, "training.learning_rate: .*finite"),
        ({"training": {"clip": "inf"}}, "training.clip: .*finite"),
        ({"split": {"scheme": "purged"}}, "purged needs gap"),
        ({"split": {"gap": 3}}, "holdout leaves no gap; set scheme to purged"),
        ({"split": {"scheme": "mine"}}, "split.scheme: unknown 'mine'; known: holdout, walk_forward, rolling, purged"),
        ({"verdict": {"loss": "mine"}}, "verdict.loss: unknown 'mine'; known: squared, absolute"),
    ],
)
def test_what_no_study_can_have_is_refused_before_anything_is_trained(changes, says):
    values = {"name": "x", "variants": {"A": {"model": "zero", "features": "raw"}}}
    with pytest.raises(StudyError, match=says):
        Study.from_values(values | changes)


def test_a_plugin_is_found_beside_the_file_that_names_it(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "name: x\nplugins: [lab.py, some_package]\nvariants: {A: {model: m, features: raw}}\n"
    )
    assert Study.load(tmp_path / "mine.yaml").plugins == (str(tmp_path / "lab.py"), "some_package")


def test_seeds_may_be_ranges(tmp_path):
    assert load(MINIMAL + "seeds: 42-46\n", tmp_path).seeds == (42, 43, 44, 45, 46)
    assert load(MINIMAL + "seeds: [42 - 44, 50]\n", tmp_path).seeds == (42, 43, 44, 50)
    assert load(MINIMAL, tmp_path, seeds="7,1-3, 5-5").seeds == (7, 1, 2, 3, 5)
    assert Study.from_values({"name": "x", "variants": {"A": {"model": "zero", "features": "raw"}}, "seeds": ["1-2", 9]}).seeds == (1, 2, 9)  # fmt: skip
    for wrong, says in (
        ("46-42", "seeds: the range 46-42 must go from low to high"),
        ("1-99999999999", "over at most 10,000 numbers"),
        ("1-3,2", "seeds names 2 more than once"),
        ("1-", "seeds.0: expected a whole number, got '1-'"),
        ("-3", "seeds must not be negative"),
    ):
        with pytest.raises(StudyError, match=says):
            load(MINIMAL, tmp_path, seeds=wrong)


def test_a_study_that_is_not_there_may_be_a_file_that_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(MINIMAL)
    with pytest.raises(StudyError, match=r"unknown study 'mine'; did you mean the file mine.yaml\?"):
        Study.load("mine")
    with pytest.raises(StudyError, match=r"unknown study 'stag2'; did you mean stage2\? known: stage1"):
        Study.load("stag2")


def test_an_unknown_variant_of_a_contrast_is_answered_by_the_nearest():
    with pytest.raises(
        StudyError, match=r"'LSTM-raw' is no variant; did you mean LSTM-Raw\? expected 'A - B', of LSTM-Raw"
    ):
        parse_contrast("LSTM-raw - LSTM-Feat", ["LSTM-Raw", "LSTM-Feat"])
