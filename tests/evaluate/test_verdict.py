import numpy as np
import pytest

import worlds
from nextday.evaluate import as_dict, compare, judge, measure

STAGE_2 = ("LSTM-Raw", "LSTM-OHLCV", "LSTM-Feat")
STEADY = {"days": 1500, "tickers": 8, "seeds": 5, "bias": 0.01, "wiggle": 0.01, "signal": 0.1}
TRUTHS = {
    "equal_baseline": (0.0, 0.0, 0.0),
    "features_help": (0.2, 0.5, 1.0),
    "learns_its_own": (0.2, 1.0, 1.0),
    "features_add_noise": (1.0, 0.4, 0.3),
    "resolved": (0.5, 0.2, 1.0),
}


def verdict(strengths, seed=0, **changes):
    world = worlds.World(**{**STEADY, "strengths": dict(zip(STAGE_2, strengths, strict=True)), **changes})
    return judge(compare(measure(worlds.draw(world, seed)), replicates=600))


@pytest.mark.parametrize("truth", TRUTHS)
def test_each_verdict_comes_out_where_it_is_true(truth):
    assert verdict(TRUTHS[truth]).code == truth


def test_the_words_name_the_variants_in_their_order():
    assert verdict(TRUTHS["features_help"]).sentence == "Features help: LSTM-Feat > LSTM-OHLCV > LSTM-Raw."
    assert verdict(TRUTHS["learns_its_own"]).sentence == (
        "The network learns its own features from rich raw data: LSTM-OHLCV = LSTM-Feat > LSTM-Raw."
    )
    assert (
        verdict(TRUTHS["features_add_noise"]).sentence
        == "The engineered inputs add noise: LSTM-Raw > LSTM-OHLCV, LSTM-Feat."
    )
    assert verdict(TRUTHS["resolved"]).sentence == "Resolved: LSTM-Feat > LSTM-Raw > LSTM-OHLCV."


def test_an_order_among_losers_is_not_read_as_features_helping():
    noisy = verdict((0.0, 0.0, 0.0), biases={"LSTM-Raw": 0.4, "LSTM-OHLCV": 0.2})
    assert noisy.code == "equal_baseline"
    assert noisy.sentence.startswith(
        "No variant beats the zero forecast by the margin of 0.25 %; LSTM-Raw, LSTM-OHLCV and LSTM-Feat lose to it"
    )
    assert any("means less overfitting, not that inputs help" in remark for remark in noisy.remarks)


def test_too_little_data_is_inconclusive_and_says_what_would_settle_it():
    found = verdict((0.3, 0.35, 0.4), days=300, bias=0.1)
    assert found.code == "inconclusive"
    assert found.sentence.startswith("Inconclusive: the data cannot tell LSTM-Raw from LSTM-OHLCV")
    text = " ".join(found.remarks)
    assert "equivalence would hold at a margin of" in text
    assert "more seeds are needed first" in text or "days (now 300) would settle it" in text


def test_any_number_and_names_of_variants_are_ordered():
    world = worlds.World(**{**STEADY, "strengths": {"x": 0.1, "y": 0.4, "z": 1.0, "<w>": 0.7}, "days": 2500})
    assert judge(compare(measure(worlds.draw(world, 0)), replicates=600)).sentence == "Resolved: z > <w> > y > x."


def test_one_variant_alone_is_held_against_the_benchmark():
    world = worlds.World(**{**STEADY, "strengths": {"only": 1.0}})
    assert judge(compare(measure(worlds.draw(world, 0)), replicates=300)).sentence == "Resolved: only > zero forecast."
    short = worlds.World(**{**STEADY, "strengths": {"only": 0.1}, "bias": 0.1, "days": 200})
    assert (
        "cannot tell only from zero forecast" in judge(compare(measure(worlds.draw(short, 0)), replicates=300)).sentence
    )


def test_the_json_holds_everything_and_is_plain():
    import json

    world = worlds.World(**{**STEADY, "days": 200, "strengths": {"A": 0.0, "B": 0.5}})
    comparison = compare(measure(worlds.draw(world, 0)), replicates=100)
    found = json.loads(json.dumps(as_dict(comparison, judge(comparison))))
    assert found["counts"] == {"variants": 2, "tickers": 8, "days": 200, "pairs": 1600, "seeds": {"A": 5, "B": 5}}
    assert {"first", "second", "estimate", "standard_error", "low", "high", "p_value", "relation"} <= set(
        found["contrasts"][0]
    )
    assert np.isfinite(found["minimum_detectable_difference"])


WRONG = {
    "equal_baseline": {"features_help", "learns_its_own", "features_add_noise", "resolved"},
    "features_help": {"equal_baseline", "learns_its_own", "features_add_noise", "resolved"},
    "learns_its_own": {"equal_baseline", "features_help", "features_add_noise", "resolved"},
    "features_add_noise": {"equal_baseline", "features_help", "learns_its_own", "resolved"},
    "resolved": {"equal_baseline", "features_help", "learns_its_own", "features_add_noise"},
}


@pytest.mark.slow
@pytest.mark.parametrize("truth", TRUTHS)
def test_the_wrong_verdict_is_rare(truth, capsys):
    """Under each truth, with so few days that the answer is not obvious, at most 5 % of verdicts are wrong ones."""
    replications = 200
    found = [verdict(TRUTHS[truth], seed=seed, days=350, bias=0.06, wiggle=0.05).code for seed in range(replications)]
    wrong = sum(code in WRONG[truth] for code in found) / replications
    with capsys.disabled():
        print(
            f"\n{truth}: wrong {100 * wrong:.1f} %, right {100 * found.count(truth) / replications:.1f} %, else inconclusive"
        )
    assert wrong <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / replications)
