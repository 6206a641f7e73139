"""Losses across tickers against scipy and pandas, and the verdict on them."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import pearsonr, spearmanr

import nextday
from nextday.errors import VerdictError
from nextday.evaluate import compare, measure
from nextday.evaluate.across import information, spread, turnover_of, weights_of


def panel(seed=0, *, seeds=2, tickers=30, days=40, missing=0.2):
    """Returns, and forecasts that know a little of them, with samples missing; some values are tied."""
    rng = np.random.default_rng(seed)
    actual = 0.01 * rng.standard_normal((tickers, days))
    actual[rng.random(actual.shape) < missing] = np.nan
    predicted = np.round(0.2 * actual + 0.01 * rng.standard_normal((seeds, tickers, days)), 3)
    return actual, np.where(np.isnan(actual), np.nan, predicted)


def table(tickers=12, days=150, seed=0, variants=("a", "b"), strength=(0.3, 0.1), seeds=(1, 2, 3)):
    rng = np.random.default_rng(seed)
    actual = 0.01 * rng.standard_normal((tickers, days))
    rows = []
    origins = pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 1, 1) + pl.duration(days=days - 1), eager=True)
    for name, share in zip(variants, strength, strict=True):
        common = rng.standard_normal((tickers, days))
        for one in seeds or (None,):
            noise = np.sqrt(0.8) * common + np.sqrt(0.2) * rng.standard_normal((tickers, days))
            predicted = 0.001 * (share * actual / 0.01 + np.sqrt(1 - share**2) * noise)
            own = {"variant": pl.lit(name), "seed": pl.lit(one, pl.Int64)}
            rows += [
                pl.DataFrame({"origin": origins, "actual": actual[at], "predicted": predicted[at]}).with_columns(
                    ticker=pl.lit(f"T{at:02}"), **own
                )
                for at in range(tickers)
            ]
    return pl.concat(rows)


@pytest.mark.parametrize(("ranks", "oracle"), [(False, pearsonr), (True, spearmanr)])
def test_information_coefficients_are_scipys(ranks, oracle):
    actual, predicted = panel()
    found = np.nanmean(information(actual, predicted, ranks=ranks), axis=1)
    for seed, day in np.ndindex(found.shape):
        known = ~np.isnan(actual[:, day])
        expected = oracle(predicted[seed, known, day], actual[known, day]).statistic
        assert found[seed, day] == pytest.approx(expected, abs=1e-12)


def test_a_spread_is_that_of_pandas_quantiles_where_no_forecast_is_tied():
    rng = np.random.default_rng(1)
    actual, predicted = rng.standard_normal((2, 50, 20))
    found = np.nanmean(spread(actual, predicted[None]), axis=1)[0]
    for day in range(20):
        order = np.argsort(predicted[:, day])
        assert found[day] == pytest.approx(actual[order[-10:], day].mean() - actual[order[:10], day].mean(), abs=1e-12)


def test_tied_forecasts_share_what_is_left_of_a_leg():
    predicted = np.array([[[3.0], [2.0], [2.0], [2.0], *([[1.0]] * 6), [0.0]]])  # 11 tickers: legs of 2
    weights = weights_of(predicted)[0, :, 0]
    np.testing.assert_allclose(weights[:4], [1 / 2, 1 / 6, 1 / 6, 1 / 6])
    np.testing.assert_allclose(weights[4:], [-1 / 12] * 6 + [-1 / 2])


def test_equal_forecasts_order_nothing_and_hold_nothing():
    actual = np.random.default_rng(0).standard_normal((12, 5))
    constant = np.full((1, 12, 5), 0.3)
    assert not information(actual, constant, ranks=True).any()
    assert not information(actual, constant, ranks=False).any()
    assert not spread(actual, constant, cost=0.001).any()


def test_scores_are_those_of_skfolio():
    """Values of skfolio 1.12.2: ``cs_pearson_correlation``, ``cs_spearman_correlation``, and the quantile spread of its
    alpha evaluation at 0.2, whose legs are ours where five divide the number of tickers and no forecasts are equal.
    """
    ticker, day = np.arange(15)[:, None], np.arange(4)
    predicted = np.sin(1.7 * ticker + 0.9 * day + 0.3 * ticker * day)
    actual = np.cos(2.3 * ticker - 0.4 * day) + 0.3 * predicted
    tied = np.round(predicted, 1)
    for found, expected in (
        (
            information(actual, predicted[None], ranks=False),
            [0.08993953496523387, 0.0008150852738313615, 0.6893052451616294, 0.2797119779985262],
        ),
        (
            information(actual, predicted[None], ranks=True),
            [0.02857142857142857, 0.07142857142857142, 0.6392857142857142, 0.19642857142857142],
        ),
        (
            information(actual, tied[None], ranks=True),
            [0.051924985844114736, 0.08221629735166396, 0.6810079585960213, 0.19856919071775497],
        ),
        (
            spread(actual, predicted[None]),
            [0.05839840584556582, 0.385207526771428, 1.347200398297154, 0.37201980820811004],
        ),
    ):
        np.testing.assert_allclose(found[0].mean(axis=0), expected, rtol=0, atol=1e-12)


def test_weights_sum_to_one_in_each_leg_and_turnover_counts_both():
    _, predicted = panel(missing=0.3)
    weights = weights_of(predicted)
    np.testing.assert_allclose(np.where(weights > 0, weights, 0).sum(axis=1), 1)
    np.testing.assert_allclose(weights.sum(axis=1), 0, atol=1e-12)
    turnover = turnover_of(weights)
    np.testing.assert_allclose(turnover[:, 0], 2)
    assert (turnover <= 4 + 1e-12).all()
    reversed_daily = np.where(np.arange(6) % 2, 1, -1) * np.arange(20.0)[:, None]
    np.testing.assert_allclose(turnover_of(weights_of(reversed_daily[None]))[0, 1:], 4)


def test_costs_are_turnover_times_cost():
    actual, predicted = panel()
    gross, net = (np.nanmean(spread(actual, predicted, cost=cost), axis=1) for cost in (0, 0.001))
    np.testing.assert_allclose(gross - net, 0.001 * turnover_of(weights_of(predicted)), atol=1e-12)


def test_order_and_units_of_forecasts_are_all_that_matters_to_ranks():
    actual, predicted = panel()
    for transformed in (np.exp(50 * predicted), 7 * predicted + 3):
        np.testing.assert_allclose(
            information(actual, transformed, ranks=True), information(actual, predicted, ranks=True), atol=1e-12
        )
        np.testing.assert_allclose(spread(actual, transformed), spread(actual, predicted), atol=1e-15)


def test_a_comparison_has_the_mean_coefficient_as_skill():
    rows = table()
    found = compare(measure(rows, loss="rank_ic"))
    by_day = rows.group_by("variant", "seed", "origin").agg(ic=pl.corr("predicted", "actual", method="spearman"))
    expected = dict(by_day.group_by("variant").agg(pl.col("ic").mean()).iter_rows())
    against = {one.first: one for one in found.against_benchmark}
    for name, value in expected.items():
        assert against[name].estimate == pytest.approx(value, abs=1e-12)
        assert not against[name].withheld
    assert found.asked[0].estimate == pytest.approx(expected["a"] - expected["b"], abs=1e-12)
    assert found.asked[0].low > 0
    assert found.losses.seeds == ((1, 2, 3), (1, 2, 3))


def test_the_seed_error_is_that_of_the_mean_over_time():
    rows = table(days=400)
    losses = measure(rows, loss="ic")
    found = compare(losses)
    (one,) = (each for each in found.against_benchmark if each.first == "a")
    by_seed = losses.by_seed[losses.variants.index("a")]
    assert by_seed.shape == (3, 1)
    assert 0 < one.seed_error <= np.sqrt(by_seed.var(ddof=1) / 3) * 1.0001


def test_the_verdict_answers_in_coefficients_and_basis_points():
    rows = table(days=400)
    judged = nextday.verdict(rows, loss="rank_ic", ask="a - b")
    assert "% rank IC" in judged.sentence
    assert judged.answers[0].finding == "better"
    judged = nextday.verdict(rows, loss="spread@10bp", ask="a - b")
    assert " bp" in judged.sentence
    assert judged.comparison.margin == 0.01
    gross = nextday.verdict(rows, loss="spread/10", ask="a - zero").contrasts[0].estimate
    net = nextday.verdict(rows, loss="spread/10@5bp", ask="a - zero").contrasts[0].estimate
    assert 0 < gross - net < 4 * 5 * 0.01


def test_no_gain_in_squared_error_is_not_the_last_word():
    rows = table(days=400, strength=(0.3, 0.3)).with_columns(predicted=10 * pl.col("predicted"))
    judged = nextday.verdict(rows)
    assert judged.code == "inconclusive" or "lose" in judged.sentence or "no variant beats" in judged.sentence
    assert "; across tickers " in judged.sentence
    assert " has a rank IC of +0." in judged.sentence
    noise = table(days=400, strength=(0.0, 0.0))
    assert "across tickers" not in nextday.verdict(noise).sentence


def test_days_with_few_tickers_are_left_out_and_counted():
    rows = table(tickers=12, days=60)
    thin = rows.filter(~((pl.col("origin") < pl.date(2020, 1, 6)) & (pl.col("ticker") > "T05")))
    judged = nextday.verdict(thin, loss="rank_ic", ask="a - b")
    assert any(remark.startswith("5 days with fewer than 10 tickers left out") for remark in judged.remarks)
    full = nextday.verdict(rows.filter(pl.col("origin") >= pl.date(2020, 1, 6)), loss="rank_ic", ask="a - b")
    assert judged.contrasts[0].estimate == pytest.approx(full.contrasts[0].estimate, abs=1e-15)


def test_too_few_tickers_are_refused_in_one_line():
    with pytest.raises(
        VerdictError, match="loss rank_ic compares the tickers of a day and needs 10 of them; the table has at most 6"
    ):
        nextday.verdict(table(tickers=6), loss="rank_ic")


def test_a_ticker_with_days_of_its_own_is_compared_on_these():
    rows = table(tickers=12, days=80)
    late = rows.filter((pl.col("ticker") != "T03") | (pl.col("origin") >= pl.date(2020, 2, 10)))
    found = measure(late, loss="ic")
    by_day = late.group_by("variant", "seed", "origin").agg(ic=pl.corr("predicted", "actual"))
    mean = by_day.filter(variant="a")["ic"].mean()
    assert compare(found).against_benchmark[0].estimate == pytest.approx(mean, abs=1e-12)


def world(kind, seed, *, names=40, days=600, seeds=3, difference=0.0):
    """Two variants that order returns equally well, but for ``difference`` in the coefficient of the first."""
    rng = np.random.default_rng([["plain", "factor", "persistent", "seeds"].index(kind), seed])
    actual = rng.standard_normal((names, days))
    signals = rng.standard_normal((3, names, days))
    if kind in ("persistent", "factor"):
        for day in range(1, days):
            signals[..., day] = 0.97 * signals[..., day - 1] + np.sqrt(1 - 0.97**2) * signals[..., day]
    if kind == "factor":  # returns of stocks that the signals tell apart move together
        volatility = np.exp(0.5 * signals[0, 0])
        exposed = signals.mean(axis=0)
        actual += volatility * rng.standard_normal(days) * exposed + 0.7 * rng.standard_normal(days)
    shared, own = signals[0], signals[1:]
    noise = 1.0 if kind == "seeds" else 0.3
    forecasts = {}
    for at, name in enumerate("ab"):
        luck = noise * rng.standard_normal((seeds, names, 1)) + 0.2 * rng.standard_normal((seeds, names, days))
        made = np.sqrt(0.7) * shared + np.sqrt(0.3) * own[at] + luck
        made /= made.std()
        forecasts[name] = (
            made + (1.047 * difference if name == "a" else 0) * actual / actual.std()
        )  # of ranks, 0.955 of it
    return actual, forecasts


def judged(actual, forecasts, **options):
    """Compare forecasts [seed, ticker, date] by their rank coefficients."""
    days = actual.shape[1]
    origins = pl.date_range(pl.date(2010, 1, 1), pl.date(2010, 1, 1) + pl.duration(days=days - 1), eager=True)
    grid = pl.DataFrame({
        "ticker": np.repeat([f"T{at:03}" for at in range(len(actual))], days),
        "origin": origins.to_list() * len(actual), "actual": actual.ravel(),
    })  # fmt: skip
    rows = [
        grid.with_columns(variant=pl.lit(name), seed=pl.lit(seed), predicted=pl.Series(one.ravel()))
        for name, made in forecasts.items()
        for seed, one in enumerate(made)
    ]
    return compare(measure(pl.concat(rows), loss="rank_ic"), replicates=1000, other_blocks=(), **options)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("kind", ["plain", "factor", "persistent", "seeds"])
def test_equal_variants_are_told_apart_in_5_percent(kind, capsys):
    draws, found = 300, {"pair": 0, "zero": 0, "withheld": 0}
    for seed in range(draws):
        comparison = judged(*world(kind, seed))
        pair, against = comparison.asked[0], comparison.against_benchmark
        found["withheld"] += bool(pair.withheld)
        found["pair"] += not (pair.low <= 0 <= pair.high)
        found["zero"] += any(not (one.low <= 0 <= one.high) for one in against)
    with capsys.disabled():
        print(f"\n{kind}: rejected {found} of {draws}")
    assert 0.02 <= found["pair"] / draws <= 0.08


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_difference_of_two_hundredths_is_found_in_80_percent(capsys):
    draws = 100
    found = [judged(*world("plain", seed, difference=0.02)).asked[0] for seed in range(draws)]
    with capsys.disabled():
        print(
            f"\nfound {sum(one.low > 0 for one in found)} of {draws}, mean {np.mean([one.estimate for one in found]):.4f}"
        )
    assert sum(one.low > 0 for one in found) >= 80
