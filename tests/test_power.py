"""Planted signals: what the copies of a panel keep, what is added to them, and how often a study finds it."""

import numpy as np
import polars as pl
import pytest

import nextday as nd
from nextday.data import align, load_bars, random_walk
from nextday.errors import StudyError
from nextday.features import FEATURES, compute_features
from nextday.ladder.stages import find_stages
from nextday.power.plants import mirror, plant
from nextday.power.rates import ANY_ASKED, ANY_BETTER, Found, rates_of, sentence_of
from nextday.power.run import study_of
from nextday.study import Study
from test_cli import nextday as command

NAMES = ("AAA", "BBB", "CCC", "MKT")


def study(**changes):
    values = {
        "name": "mine", "market": "MKT", "accept": ["*"], "lookback": 5,
        "variants": {
            "LSTM-Raw": {"model": "lstm", "features": "raw"}, "LSTM-Feat": {"model": "lstm", "features": "engineered"},
        },
    }  # fmt: skip
    return Study.from_values(values | changes)


@pytest.fixture(scope="module")
def frame():
    return random_walk(tickers=NAMES, sessions=700, seed=3).frame


@pytest.fixture(scope="module")
def panel(frame):
    return align(load_bars(frame, accept=("*",)), market="MKT")


def returns(panel, ticker):
    return np.diff(np.log(panel.of(ticker)["adj_close"].to_numpy()))


def test_a_mirrored_day_changes_the_sign_of_all_its_returns_and_nothing_else(panel):
    turned = mirror(panel, np.random.default_rng(0))
    signs = returns(turned, "AAA") / returns(panel, "AAA")
    assert np.allclose(np.abs(signs), 1, atol=1e-9)
    assert 0.4 < (signs > 0).mean() < 0.6
    for ticker in NAMES:
        before, after = panel.of(ticker), turned.of(ticker)
        assert np.allclose(returns(turned, ticker), signs * returns(panel, ticker), atol=1e-12)
        for one in (before, after):
            assert (one["high"] >= one[["open", "close"]].max_horizontal() - 1e-9).all()
            assert (one["low"] <= one[["open", "close"]].min_horizontal() + 1e-9).all()
        ranges = [(one["high"] / one["low"]).log() for one in (before, after)]
        assert np.allclose(*ranges, atol=1e-12)
        assert before["volume"].equals(after["volume"])


def test_all_is_as_it_was_where_no_sign_changes(panel):
    class Same:
        def choice(self, _, count):
            return np.ones(count)

    same = mirror(panel, Same())
    for name in ("open", "high", "low", "close", "adj_close"):
        assert np.allclose(same.frame[name], panel.frame[name], rtol=1e-12)


@pytest.mark.parametrize("signal", ["vol_zscore", "log_return", "roll_vol"])
@pytest.mark.parametrize("r2", [0.01, 0.2])
def test_the_next_return_is_forecast_by_the_feature_of_the_planted_bars_with_the_r2_that_was_asked(panel, signal, r2):
    still = mirror(panel, np.random.default_rng(1))
    planted, share = plant(still, signal, r2, catalog=FEATURES, warmup=20)
    assert abs(share - r2) < 0.25 * r2
    values = compute_features(planted, [signal]).values[..., 0]
    for ticker, own in zip(planted.tickers, values, strict=True):
        added = returns(planted, ticker) - returns(still, ticker)
        known = np.isfinite(own[:-1])
        assert abs(np.corrcoef(added[known], own[:-1][known])[0, 1]) > 0.9999
        assert np.allclose(added[~known], 0, atol=1e-12)
        assert np.isclose(added[known].std() / returns(still, ticker).std(), np.sqrt(r2 / (1 - r2)), rtol=0.05)
        ranges = [(one.of(ticker)["high"] / one.of(ticker)["low"]).log() for one in (still, planted)]
        assert np.allclose(*ranges, atol=1e-12)


def test_a_column_of_ones_own_is_planted_into_tickers_that_come_late(frame):
    start = frame["date"].unique().sort()[200]
    own = frame.with_columns(mine=pl.Series(np.random.default_rng(5).standard_normal(len(frame))))
    uneven = own.filter(~((pl.col("ticker") == "BBB") & (pl.col("date") < start)))
    panel = align(load_bars(uneven, accept=("*",)), market="MKT", balance="each")
    still = mirror(panel, np.random.default_rng(1))
    signs = [returns(still, name)[-100:] / returns(panel, name)[-100:] for name in ("AAA", "BBB")]
    assert np.allclose(*signs)  # of the same days
    planted, share = plant(still, "mine", 0.1, catalog=FEATURES, warmup=20)
    assert abs(share - 0.1) < 0.02
    for ticker in ("AAA", "BBB"):
        added = returns(planted, ticker) - returns(still, ticker)
        assert np.corrcoef(added, panel.of(ticker)["mine"].to_numpy()[:-1])[0, 1] > 1 - 1e-9


def test_nothing_is_planted_at_a_strength_of_zero(panel):
    same, share = plant(panel, "vol_zscore", 0.0, catalog=FEATURES, warmup=20)
    assert same.frame.equals(panel.frame)
    assert share == 0


def test_the_planted_signal_of_a_day_depends_on_no_later_day(frame):
    cut = frame["date"].unique().sort()[400]
    late = pl.col("date") > cut
    moved = frame.with_columns(volume=pl.when(late).then(pl.col("volume") * 3 + 5).otherwise("volume"))
    added = []
    for one in (frame, moved):
        panel = align(load_bars(one, accept=("*",)), market="MKT")
        planted, _ = plant(panel, "vol_zscore", 0.1, catalog=FEATURES, warmup=20)
        added.append((returns(planted, "AAA") - returns(panel, "AAA"))[:400])
    known = added[0] != 0
    assert np.array_equal(known, added[1] != 0)
    assert np.corrcoef(added[0][known], added[1][known])[0, 1] > 1 - 1e-9  # mean and scale alone are of all days


@pytest.fixture(scope="module")
def found(frame, tmp_path_factory):
    out = tmp_path_factory.mktemp("power")
    return nd.plant(study(), strengths=[0.3], plants=3, bars=frame, out=out, workers=0, watch=False)


def test_a_strong_signal_is_found_and_none_where_there_is_none(found):
    rates = {(row["strength"], row["contrast"]): row for row in found.frame().iter_rows(named=True)}
    assert rates[0.3, ANY_ASKED]["rate"] == rates[0.3, "LSTM-Feat - LSTM-Raw"]["rate"] == 1
    assert rates[0.3, "LSTM-Feat - zero forecast"]["rate"] == 1
    assert rates[0.3, "LSTM-Raw - zero forecast"]["rate"] == 0
    assert rates[0.0, ANY_ASKED]["rate"] <= 1 / 3
    assert rates[0.3, ANY_ASKED]["plants"] == 3
    assert "an asked contrast finds the signal in 100 % of copies at an R² of 30 %" in found.sentence
    assert found.plants().height == 2 * 3 * 3


def test_planted_signals_are_marked_and_lie_apart_from_results(found):
    assert found.out.name == "mine-planted"
    files = {path.name for path in found.out.iterdir()}
    assert {"power.csv", "plants.csv", "power.png", "report.html", "study.yaml"} <= files
    page = (found.out / "report.html").read_text()
    assert page.count("PLANTED SIGNALS: NOT A RESULT") >= 2
    assert any("PLANTED" in text.get_text() for text in found.plot().texts)
    assert find_stages(found.out.parent) == ([], [])  # no stage, and no note about one


def test_finished_copies_are_not_fitted_again(found, frame, monkeypatch):
    from nextday.power import run

    monkeypatch.setattr(run.Plant, "run", lambda _: pytest.fail("fitted again"))
    again = nd.plant(
        study(), strengths=[0.3], plants=3, bars=frame, out=found.out.parent, workers=0, watch=False
    )  # fmt: skip
    assert again.frame().equals(found.frame())


def test_the_rates_count_copies_and_have_wilsons_interval():
    def one(number, better, by_signal):
        numbers = {name: np.array([0.1, -0.1]) for name in ("estimate", "low", "high")}
        return Found(
            0.0, number, 0.0, ("A - B", "A - zero forecast"), 1,
            numbers | {
                "better": np.array([better, 0]), "found": np.array([better * by_signal, 0]),
                "withheld": np.array([0, int(number == 0)]),
            },
        )  # fmt: skip

    rates = rates_of([one(0, 1, 1), one(1, 1, 0), one(2, 0, 0), one(3, 0, 0)])
    row = rates.row(by_predicate=pl.col("contrast") == ANY_ASKED, named=True)
    assert (row["rate"], row["better"]) == (0.25, 0.5)
    assert np.allclose((row["low"], row["high"]), (0.0456, 0.6994), atol=1e-4)  # Wilson (1927), 1 of 4
    assert rates.row(by_predicate=pl.col("contrast") == ANY_BETTER, named=True)["rate"] == 0
    assert rates.row(by_predicate=pl.col("contrast") == ANY_BETTER, named=True)["withheld"] == 0.25
    more = rates.with_columns(strength=0.1)
    said = sentence_of(pl.concat([rates, more]), "x")
    assert said.startswith(
        "Signals planted in x, 4 copies of the bars per strength: an asked contrast finds the signal in"
    )
    assert (
        "in 0 % of copies at an R² of 10 %, and in 0 % without a signal (contrasts were withheld in up to 25 %)" in said
    )


def test_ridge_regressions_take_the_place_of_the_models_and_read_the_same_inputs():
    fitted = study_of(study(seeds=[1, 2, 3], verdict={"loss": "squared", "alpha": 0.1}), "ridge")
    assert {one.model for one in fitted.variants.values()} == {"ridge"}
    assert {name: one.features for name, one in fitted.variants.items()} == {
        "LSTM-Raw": "raw",
        "LSTM-Feat": "engineered",
    }
    assert fitted.verdict.alpha == 0.1
    own = study_of(study(), "own")
    assert own.variants == study().variants


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"target": "log_range"}, {}, "signals are planted in returns; the target of mine is log_range"),
        ({}, {"strengths": [1.5]}, "a planted R2 is a share of the variance, from 0 to below 1; got 1.5"),
        ({}, {"signal": "vol_zscor"}, "unknown feature 'vol_zscor'"),
        (
            {"variants": {"LSTM": {"model": "lstm", "features": "raw"}, "GRU": {"model": "gru", "features": "raw"}},
             "verdict": {"ask": "LSTM - GRU"}},
            {}, "mine compares the models of LSTM and GRU, not their inputs; plant with the models of the study: "
            "--plant-models own",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_planted_is_refused_in_one_line(changes, options, message, frame, tmp_path):
    with pytest.raises(nd.NextdayError) as error:
        nd.plant(study(**changes), bars=frame, out=tmp_path, plants=1, workers=0, watch=False, **options)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_the_command_prints_the_rates(frame, tmp_path):
    frame.write_parquet(tmp_path / "bars.parquet")
    (tmp_path / "mine.yaml").write_text(study(data="bars.parquet").written(tmp_path))
    done = command(
        *("run", "mine.yaml", "--plant", "0.2", "--plants", "1", "--workers", "0", "--plant-signal", "lag"),
        folder=tmp_path,
    )
    assert "Signals planted in log_return, 1 copy of the bars per strength" in " ".join(done.stdout.split())
    assert (tmp_path / "results" / "mine-planted" / "power.csv").is_file()
    wrong = command("run", "mine.yaml", "--plant", "much", folder=tmp_path, status=2)
    assert "--plant much: expected an R2 or several" in wrong.stderr
    assert "take --plant" in command("run", "mine.yaml", "--plants", "3", folder=tmp_path, status=2).stderr


def test_an_error_of_a_strength_is_of_the_study(frame):
    with pytest.raises(StudyError):
        nd.plant(study(), strengths=[-0.1], bars=frame, watch=False)
