"""The set Alpha101 of Kakushadze: formulas that mostly rank the tickers of a day against each other.

qweave computes them, from adjusted prices. A value depends on which tickers a study forecasts.
"""

from functools import partial

from nextday.features.catalog import Feature, FeatureSet, Together
from nextday.features.with_qweave import PACKAGE, compute

PAPER = "Kakushadze (2016), 101 Formulaic Alphas, arXiv:1601.00991"
INDUSTRY = (48, 58, 59, 63, 67, 69, 70, 76, 79, 80, 82, 87, 89, 90, 91, 93, 97, 100)
CAPITALISATION = (56,)
VWAP = (
    5, 11, 25, 27, 32, 36, 41, 42, 47, 50, 57, 61, 62, 64, 65, 66, 71, 72, 73, 74, 75, 77, 78, 81, 83, 84, 86, 94,
    96, 98,
)  # fmt: skip
ALONE = (6, 7, 9, 12, 21, 23, 24, 26, 35, 43, 46, 49, 51, 53, 54, 101)  # rank nothing across tickers
NOT_FINITE = (3, 15, 26, 44, 45, 53, 55, 68, 85, 88, 92)
UNIT_OF_PRICES = (
    1, 4, 8, 10, 13, 16, 17, 18, 20, 22, 28, 29, 31, 34, 37, 39, 40, 46, 49, 51, 95, 101,
)  # fmt: skip
UNIT_OF_VOLUME = (60,)
FAILING = {
    **dict.fromkeys(NOT_FINITE, "is 0 / 0 or infinite on ordinary days"),
    **dict.fromkeys(UNIT_OF_PRICES, "depends on the unit of adjusted prices, which later splits and dividends change"),
    **dict.fromkeys(UNIT_OF_VOLUME, "depends on the unit of volume, which later splits change"),
}
# rows before the first value, from the windows within each formula
WARMUPS = {
    1: 24, 2: 7, 3: 9, 4: 8, 6: 9, 7: 66, 8: 15, 9: 5, 10: 4, 12: 1, 13: 4, 14: 9, 15: 4, 16: 4, 17: 23, 18: 9,
    19: 250, 20: 1, 21: 19, 22: 19, 23: 19, 24: 199, 26: 10, 28: 23, 29: 11, 30: 19, 31: 30, 33: 0, 34: 5, 35: 32,
    37: 200, 38: 9, 39: 250, 40: 9, 43: 38, 44: 4, 45: 24, 46: 20, 49: 20, 51: 20, 52: 240, 53: 9, 54: 0, 55: 16,
    60: 9, 68: 33, 85: 37, 88: 91, 92: 45, 95: 78, 99: 84, 101: 0,
}  # fmt: skip
# correlations of what does not move, and of 54 a day with one price: 0 / 0, and here 0
ZERO_FROM = {f"alpha{number}": WARMUPS[number] for number in (2, 6, 14, 54, 99)}
COMPUTABLE = tuple(WARMUPS)  # without industries, capitalisation and vwap


def _name(number: int) -> str:
    return f"alpha{number}"


def _build() -> dict[str, Feature]:
    engine = partial(compute, library="worldquant_alpha101", zero_from=ZERO_FROM)
    across, alone = Together(partial(engine, across=True), across=True), Together(partial(engine, across=False))

    def feature(number: int) -> Feature:
        formula = f"Alpha#{number} of Kakushadze (2016)"
        return Feature(alone if number in ALONE else across, WARMUPS[number], formula, paper=PAPER)

    return {_name(number): feature(number) for number in COMPUTABLE}


REFUSED = {
    _name(number): reason
    for number, reason in sorted(
        {
            **dict.fromkeys(INDUSTRY, "needs the industries of tickers"),
            **dict.fromkeys(CAPITALISATION, "needs the capitalisation of tickers"),
            **dict.fromkeys(VWAP, "needs the average price of trades (vwap)"),
            **FAILING,
        }.items()
    )
}
GROUPS = {
    "across": tuple(_name(number) for number in COMPUTABLE if number not in {*FAILING, *ALONE}),
    "alone": tuple(_name(number) for number in COMPUTABLE if number in ALONE and number not in FAILING),
}
LONGEST = max(rows for number, rows in WARMUPS.items() if number not in FAILING)
ALPHA101 = FeatureSet(GROUPS, _build, LONGEST, PAPER, PACKAGE, REFUSED)
