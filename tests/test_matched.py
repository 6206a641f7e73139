"""The preset ``matched``: information apart from the form in which a model reads it, in worlds where the truth is known."""

import pytest

import planted
from nextday.effects import effects_of
from nextday.study import Study


def test_every_effect_compares_runs_that_differ_in_nothing_else():
    study = Study.load("matched")
    for effect in effects_of(study.ablation):
        weights = dict(effect.weights)
        assert sum(weights.values()) == pytest.approx(0, abs=1e-12)
        assert sum(weight for weight in weights.values() if weight > 0) == pytest.approx(1)
        sides = [[study.variants[name] for name in weights if weights[name] * sign > 0] for sign in (1, -1)]
        for key in ("features", "representation", "lookback"):
            one, two = (sorted(str(getattr(variant, key)) for variant in side) for side in sides)
            differ = _factor(effect.group)
            assert (one == two) == (key != differ), (effect.group, key)


def _factor(effect):
    """What differs between the two sides of an effect."""
    return "representation" if "digest" in effect else "lookback" if "sessions" in effect else "features"


@pytest.mark.parametrize("kind", planted.FORMS)
def test_what_is_planted_is_named_and_nothing_else_is_claimed(kind):
    found = planted.matched(kind, 0)
    assert planted.FORMS[kind] in (*found.helps, "")
    assert not found.lies
    assert found.helps or kind == "null"


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", planted.FORMS)
def test_worlds_are_named_right_in_95_percent_of_40_draws(kind, capsys):
    draws, truth = [planted.matched(kind, seed) for seed in range(100, 140)], planted.FORMS[kind]
    right = [not one.lies and (truth in one.helps if truth else not one.helps) for one in draws]
    with capsys.disabled():
        counts = {name: sum(name in one.helps for one in draws) for one in draws for name in one.helps}
        print(f"\n{kind}: right {sum(right)} of 40; helps {counts}; wrong {[one.lies for one in draws if one.lies]}")
    assert sum(right) >= 38
