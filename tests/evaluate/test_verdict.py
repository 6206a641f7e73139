import json
import re
from functools import cache, partial

import numpy as np
import pytest

import worlds
from nextday.evaluate import Ask, Subject, compare, judge, relation
from nextday.evaluate.export import as_dict
from nextday.evaluate.parts import split

STAGE_2 = ("LSTM-Raw", "LSTM-OHLCV", "LSTM-Feat")
SETS = (("raw", "raw"), ("ohlcv", "rich"), ("engineered", "engineered"))
SUBJECTS = {name: Subject("lstm", *inputs) for name, inputs in zip(STAGE_2, SETS, strict=True)}
ASKS = [Ask("LSTM-Feat", "LSTM-Raw"), Ask("LSTM-OHLCV", "LSTM-Raw"), Ask("LSTM-Feat", "LSTM-OHLCV")]
QUICK = {"replicates": 300, "other_blocks": ()}
STEADY = {"days": 1500, "tickers": 8, "seeds": 5, "bias": 0.01, "wiggle": 0.01, "signal": 0.1}
TRUTHS = {
    "equal_baseline": (0.0, 0.0, 0.0),
    "features_help": (0.2, 0.5, 1.0),
    "learns_its_own": (0.2, 1.0, 1.0),
    "features_add_noise": (1.0, 0.4, 0.3),
    "resolved": (0.5, 0.2, 0.5),
}


def world(strengths, **changes):
    return worlds.World(**{**STEADY, "strengths": dict(zip(STAGE_2, strengths, strict=True)), **changes})


def verdict(strengths, seed=0, **changes):
    losses = worlds.losses(world(strengths, **changes), seed)
    return judge(compare(losses, ask=ASKS, **QUICK), subjects=SUBJECTS)


@pytest.fixture(scope="module", autouse=True)
def few_replicates():
    """Penalty and signal from as many replicates as the contrasts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nextday.evaluate.verdict.split", partial(split, replicates=QUICK["replicates"]))
        yield


@cache
def sample(truth, *, seed):
    return worlds.sample(world(TRUTHS[truth]), seed)


@cache
def judged(truth, *, seed):
    losses = worlds.losses_of(*sample(truth, seed=seed))
    return judge(compare(losses, ask=ASKS, **QUICK), subjects=SUBJECTS)


def alone(seed=0, **changes):
    """Judge variants of which nothing is known but their names."""
    return judge(compare(worlds.losses(worlds.World(**{**STEADY, **changes}), seed), **QUICK))


def words(sentence):
    """Put F in the place of every estimate with its interval."""
    number = r"[+-]\d+\.\d\d"
    text = re.sub(rf"{number} % \({number} to {number} %\)", "F", sentence)
    return re.sub(rf"\({number} %, {number} to {number} %\)", "(F)", text)


@pytest.mark.parametrize("truth", TRUTHS)
def test_each_verdict_comes_out_where_it_is_true(truth):
    assert judged(truth, seed=0).code == truth


def test_the_sentence_answers_every_question_in_its_words():
    said = {truth: words(judged(truth, seed=0).sentence) for truth in TRUTHS}
    assert said["features_help"] == (
        "LSTM: engineered features help, F; OHLCV inputs help, F; engineered features help beyond OHLCV inputs, F; "
        "all variants beat the zero forecast."
    )
    assert said["learns_its_own"] == (
        "LSTM: engineered features help, F; OHLCV inputs help, F; engineered features and OHLCV inputs are equal within "
        "0.25 % (F); all variants beat the zero forecast."
    )
    assert said["features_add_noise"] == (
        "LSTM: engineered features hurt, F; OHLCV inputs hurt, F; engineered features hurt compared with OHLCV inputs, F; "
        "all variants beat the zero forecast."
    )
    assert said["resolved"] == (
        "LSTM: engineered features help beyond OHLCV inputs, F; OHLCV inputs hurt, F; engineered features make no "
        "difference within 0.25 % (F); all variants beat the zero forecast."
    )
    assert said["equal_baseline"] == (
        "LSTM: engineered features make no difference within 0.25 % (F); OHLCV inputs make no difference within 0.25 % "
        "(F); engineered features and OHLCV inputs are equal within 0.25 % (F); no variant beats the zero forecast."
    )


def test_the_sign_of_the_figures_is_that_of_the_question():
    found = judged("features_add_noise", seed=0)
    assert [answer.finding for answer in found.answers] == ["worse", "worse", "worse"]
    assert all("-" in re.findall(r"[+-]\d", answer.sentence)[0] for answer in found.answers)


def test_an_order_among_losers_is_answered_and_called_less_overfitting():
    noisy = verdict((0.0, 0.0, 0.0), biases={"LSTM-Raw": 0.4, "LSTM-OHLCV": 0.2})
    assert noisy.code == "features_help"
    assert noisy.sentence.endswith("; no variant beats the zero forecast.")
    assert noisy.context[0].startswith(
        "No variant beats the zero forecast by the margin of 0.25 %. LSTM-Raw, LSTM-OHLCV and LSTM-Feat lose to it."
    )
    assert "overfits less; that is not skill" in noisy.context[0]


def test_equal_variants_are_never_called_overfitting():
    assert not any("overfit" in line for line in judged("equal_baseline", seed=0).context)


def test_too_little_data_is_inconclusive_and_says_what_would_settle_it():
    found = verdict((0.3, 0.32, 0.34), days=200, bias=0.15)
    assert found.code == "inconclusive"
    assert found.sentence.startswith(
        "LSTM: it is inconclusive whether engineered features help, OHLCV inputs help or engineered features help"
    )
    assert any(
        remark.startswith("LSTM-Feat - LSTM-Raw: if the true difference equals the estimate")
        for remark in found.remarks
    )
    assert any(remark.startswith("Minimum detectable difference:") for remark in found.remarks)


def test_what_is_answered_is_not_hidden_by_what_is_not():
    found = verdict((0.3, 0.35, 0.4), days=300, bias=0.1)
    assert {answer.finding for answer in found.answers} == {"better", "cannot tell"}
    assert found.code == "features_help"
    assert words(found.sentence).startswith("LSTM: engineered features help, F;")
    assert "it is inconclusive whether OHLCV inputs help (F)" in words(found.sentence)


def test_too_few_seeds_withhold_what_they_carry():
    actual, forecasts = sample("features_help", seed=0)
    forecasts = forecasts | {"LSTM-OHLCV": forecasts["LSTM-OHLCV"][:2]}
    found = judge(compare(worlds.losses_of(actual, forecasts), ask=ASKS, **QUICK), subjects=SUBJECTS)
    assert [answer.finding for answer in found.answers] == ["better", "withheld", "withheld"]
    assert found.code == "features_help"
    assert (
        "withheld: whether OHLCV inputs help and whether engineered features help beyond OHLCV inputs" in found.sentence
    )
    nothing = judge(
        compare(worlds.losses_of(actual, {name: one[:2] for name, one in forecasts.items()}), ask=ASKS, replicates=100)
    )
    assert nothing.code == "withheld"


TURNED = ("LSTM-Feat", "LSTM-Raw", "LSTM-OHLCV")


@pytest.mark.parametrize(
    ("truth", "names"),
    [*((truth, TURNED) for truth in TRUTHS), ("features_help", ("x", "y", "z")), ("resolved", ("b - a", "a - b", "c"))],
)
def test_other_names_give_the_same_code(truth, names):
    new = dict(zip(STAGE_2, names, strict=True))
    actual, forecasts = sample(truth, seed=1)
    renamed = judge(
        compare(
            worlds.losses_of(actual, {new[name]: one for name, one in forecasts.items()}),
            ask=[Ask(new[one.first], new[one.second]) for one in ASKS], **QUICK,
        ),
        subjects={new[name]: subject for name, subject in SUBJECTS.items()},
    )  # fmt: skip
    plain = judged(truth, seed=1)
    assert renamed.code == plain.code
    assert renamed.sentence == plain.sentence  # questions about features name no variant


def test_without_roles_nothing_is_said_of_features():
    found = judge(compare(worlds.losses_of(*sample("features_help", seed=0)), **QUICK))
    assert found.code == "resolved"
    assert "features" not in found.sentence


def test_the_order_of_the_variants_changes_nothing():
    actual, forecasts = sample("learns_its_own", seed=1)
    losses = worlds.losses_of(actual, dict(reversed(forecasts.items())))
    one = judged("learns_its_own", seed=1)
    two = judge(compare(losses, ask=ASKS, **QUICK), subjects=SUBJECTS)
    assert one.code == two.code
    assert words(one.sentence) == words(two.sentence)


def test_any_number_and_names_of_variants_are_ordered():
    found = alone(strengths={"X": 0.1, "Y": 0.4, "Z": 1.0, "<w>": 0.7})
    assert words(found.sentence) == (
        "<w> is significantly better than X, F; <w> is significantly better than Y, F; Z is significantly better than <w>, F; "
        "3 more contrasts are resolved; all variants beat the zero forecast."
    )
    assert found.code == "resolved"


def test_one_variant_alone_is_held_against_the_benchmark():
    assert words(alone(strengths={"One": 1.0}).sentence) == "One beats the zero forecast, F."
    short = alone(strengths={"One": 0.1}, bias=0.1, days=200)
    assert words(short.sentence) == "It is inconclusive whether One beats the zero forecast (F)."


def test_two_models_are_answered_apart_and_one_code_needs_both():
    names = {f"{model}-{inputs}": (model, inputs) for model in ("lstm", "gru") for inputs in ("raw", "engineered")}
    roles = {name: Subject(model, inputs, inputs) for name, (model, inputs) in names.items()}
    asks = [Ask("lstm-engineered", "lstm-raw"), Ask("gru-engineered", "gru-raw")]

    def judged(*strengths):
        mixed = worlds.World(**{**STEADY, "strengths": dict(zip(names, strengths, strict=True))})
        return judge(compare(worlds.losses(mixed, 0), ask=asks, **QUICK), subjects=roles)

    agreed, torn = judged(0.2, 1.0, 0.2, 1.0), judged(0.2, 1.0, 1.0, 0.2)
    assert (agreed.code, torn.code) == ("features_help", "resolved")
    assert words(torn.sentence).startswith("LSTM: engineered features help, F. GRU: engineered features hurt, F")


def test_the_json_holds_everything_and_is_plain():
    comparison = compare(
        worlds.losses(worlds.World(**{**STEADY, "days": 200, "strengths": {"A": 0.0, "B": 0.5}}), 0), replicates=100
    )
    found = json.loads(json.dumps(as_dict(comparison, judge(comparison)), allow_nan=False))
    assert found["schema"] == "nextday/verdict/2"
    assert found["counts"] == {"variants": 2, "tickers": 8, "days": 200, "pairs": 1600, "seeds": {"A": 5, "B": 5}}
    wanted = {"first", "second", "estimate", "standard_error", "low", "high", "p_value", "relation", "withheld"}
    assert wanted <= set(found["asked"][0])
    assert [one["first"] for one in found["against_benchmark"]] == ["A", "B"]
    assert np.isfinite(found["minimum_detectable_difference"])


def wrong(found, comparison, true):
    """Whether any answer says what is not so."""
    lies = []
    for one in comparison.asked:
        gap = true[one.first] - true[one.second]
        lies.append({">": gap <= 0, "<": gap >= 0, "=": abs(gap) >= one.margin, "?": False}[relation(one)])
    return any(lies)


@pytest.mark.slow
@pytest.mark.parametrize("truth", TRUTHS)
def test_the_wrong_verdict_is_rare(truth, capsys):
    """Under each truth, with so few days that the answer is not obvious, at most 5 % of verdicts hold a wrong answer."""
    draws = 200
    short = world(TRUTHS[truth], days=350, bias=0.06, wiggle=0.05)
    true = {name: worlds.truth(short, name) for name in STAGE_2}
    codes, lies = [], 0
    for seed in range(draws):
        comparison = compare(worlds.losses(short, seed), ask=ASKS, replicates=600, other_blocks=())
        found = judge(comparison, subjects=SUBJECTS)
        codes.append(found.code)
        lies += wrong(found, comparison, true)
    with capsys.disabled():
        print(
            f"\n{truth}: a wrong answer {100 * lies / draws:.1f} %, the code {100 * codes.count(truth) / draws:.1f} %"
        )
    assert lies / draws <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / draws)
