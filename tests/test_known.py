"""A name that nobody has is answered by the nearest ones, and by the list where it is short."""

import pytest

from nextday.names import known, listed, meant, nearest

MODELS = ["zero", "historical_mean", "lstm", "transformer"]


@pytest.mark.parametrize(
    ("name", "names", "found"),
    [
        ("lstn", MODELS, ["lstm"]),
        ("Transfomer", MODELS, ["transformer"]),
        ("aapl", ["KO", "AAPL"], ["AAPL"]),
        ("lstm-raw", ["LSTM-Raw", "LSTM-OHLCV", "LSTM-Feat"], ["LSTM-Raw"]),
        ("raw", ["RAW", "Raw"], ["RAW", "Raw"]),
        ("gru", MODELS, []),
        ("", MODELS, []),
        ("stage9", [f"stage{number}" for number in range(1, 8)], []),  # all are equally near
    ],
)
def test_the_nearest_names(name, names, found):
    assert nearest(name, names) == found


def test_a_short_list_is_shown_and_a_long_one_only_where_nothing_is_near():
    many = [f"feature_{one}" for one in "abcdefghijklmnop"] + ["momentum"]
    assert known("lstn", MODELS) == "did you mean lstm? known: zero, historical_mean, lstm, transformer"
    assert known("gru", MODELS, head="models:") == "models: zero, historical_mean, lstm, transformer"
    assert known("momentun", many) == "did you mean momentum?"
    assert known("x", many).endswith("feature_l and 5 more")
    assert known("x", []) == "known: none"
    assert (meant("gru", MODELS), listed(["a", "b"])) == ("", "a, b")
