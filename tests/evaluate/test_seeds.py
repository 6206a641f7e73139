from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import worlds
from nextday.evaluate import compare
from nextday.evaluate.bootstrap import resample
from nextday.evaluate.seeds import (
    FEW_DRAWS,
    GRID,
    Pivot,
    columns_of,
    pivots,
    reason_of_seeds,
    seed_covariance,
    seed_errors,
)

WORLD = worlds.World(days=300, tickers=4, bias=0.3, seeds=6)
SHARES = resample(300, block=20.0, replicates=500, seed=0) / 300


def columns(world=WORLD, seed=0, **forecasts):
    actual, known = worlds.sample(world, seed)
    return columns_of(worlds.losses_of(actual, known | forecasts, pooled=world.names))


def test_seed_variance_is_that_between_seeds_of_each_ticker():
    """The formula of the docstring, written out ticker by ticker."""
    found = columns()
    _, gross = seed_covariance(found, SHARES)
    s2 = [np.var([found.by_seed[0][seed, ticker] for seed in range(6)], ddof=1) for ticker in range(4)]
    assert gross[0, 0] == pytest.approx(sum(s2) / (6 * 4**2))
    difference = found.by_seed[0] - found.by_seed[1]
    paired = difference.var(axis=0, ddof=1).sum() / (6 * 4**2)
    assert gross[0, 0] + gross[1, 1] - 2 * gross[0, 1] == pytest.approx(paired)
    assert not gross[2].any()  # the benchmark has no seeds


def test_of_one_network_for_all_tickers_it_is_that_between_the_means():
    found = columns(replace(WORLD, pooled=True))
    _, gross = seed_covariance(found, SHARES)
    assert gross[0, 0] == pytest.approx(found.by_seed[0].mean(axis=1).var(ddof=1) / 6)


@pytest.mark.parametrize("pooled", [(), ("B",)])
def test_the_covariance_of_all_columns_is_that_of_each_pair(pooled):
    """The slow and obvious way: pair by pair, a product over calendars for each."""
    actual, known = worlds.sample(WORLD, 0)
    more = {"C": known["A"][:4] + 0.5 * known["B"][:4], "D": 0.3 * known["B"][:4], "E": known["A"][:1]}
    found = columns_of(worlds.losses_of(actual, known | more, pooled=pooled))
    net, gross = seed_covariance(found, SHARES)
    for v, first in enumerate(found.by_seed):
        for w, second in enumerate(found.by_seed):
            count, tickers = first.shape
            if count < 2 or found.seeds[v] != found.seeds[w]:
                assert net[v, w] == gross[v, w] == 0
                continue
            one, two = (by_seed - by_seed.mean(axis=0) for by_seed in (first, second))
            if found.pooled[v] or found.pooled[w]:
                one, two, tickers = one.mean(axis=1), two.mean(axis=1), 1
            days = [SHARES @ (found.daily_by_seed[at] - found.daily_by_seed[at].mean(axis=0)).T for at in (v, w)]
            of_days = ((days[0] - days[0].mean(axis=0)) * (days[1] - days[1].mean(axis=0))).sum() / len(SHARES)
            assert gross[v, w] == pytest.approx((one * two).sum() / (count - 1) / (count * tickers**2), rel=1e-12)
            assert net[v, w] == pytest.approx(gross[v, w] - of_days / (count - 1) / count, rel=1e-9, abs=1e-15)


def test_draws_are_interpolated_as_numpy_does():
    normal = np.concatenate([np.random.default_rng(0).standard_normal(10_000), GRID, [-9, 9]])
    for shape in (Pivot(3, 4, 0), Pivot(3, 4, -1)):
        values = shape.of_normal(GRID)
        assert shape.of_normal(normal) == pytest.approx(np.interp(normal, GRID, values), rel=1e-12, abs=1e-13)
    assert np.array_equal(values, shape.of_normal(GRID[:, None]).ravel())


def test_what_single_days_hold_of_it_is_not_counted_twice():
    found = columns(replace(WORLD, bias=0.0, wiggle=0.3))  # seeds differ from day to day, and in nothing else
    net, gross = seed_covariance(found, SHARES)
    assert abs(net[0, 0]) < 0.5 * gross[0, 0]
    lasting = columns(replace(WORLD, wiggle=0.0))
    net, gross = seed_covariance(lasting, SHARES)
    assert net[0, 0] > 0.7 * gross[0, 0]


def test_columns_of_other_seeds_are_not_paired():
    actual, known = worlds.sample(WORLD, 0)
    found = columns_of(worlds.losses_of(actual, {"A": known["A"], "B": known["B"][:4]}))
    net, gross = seed_covariance(found, SHARES)
    assert net[0, 1] == gross[0, 1] == 0
    assert net[1, 1] > 0


def test_a_contrast_with_the_benchmark_is_skewed_and_a_pair_is_not():
    shapes = pivots(columns(), np.array([[-0.5, 0.5, 0.0], [-0.5, 0.0, 0.5], [0.5, 0.0, -0.5]]))
    assert [shape.skew for shape in shapes] == [0, -1, 1]
    assert [shape.trainings for shape in shapes] == [20, 20, 20]
    assert all(5 <= shape.freedom <= 20 for shape in shapes)


def test_one_ticker_that_owns_the_variance_leaves_its_own_degrees_of_freedom():
    actual, known = worlds.sample(replace(WORLD, bias=0.02, wiggle=0.3), 0)
    known["A"][:, 0] += 0.05 * np.arange(6)[:, None]
    found = columns_of(worlds.losses_of(actual, known))
    shape, other = pivots(found, np.array([[-0.5, 0.0, 0.5], [0.0, -0.5, 0.5]]))
    assert shape.freedom == 5
    assert other.freedom > 5  # each contrast has its own


def test_equal_tickers_are_worth_their_number_however_few_seeds_estimate_their_variance():
    rng, weights = np.random.default_rng(0), np.array([[-0.5, 0.0, 0.5]])
    shapes = []
    for _ in range(60):
        actual = 0.01 * rng.standard_normal((8, 100))
        drawn = actual + 0.01 * np.sqrt(1 + 0.1 * rng.standard_normal((3, 8, 1))) * np.ones((3, 8, 100))
        shapes += pivots(columns_of(worlds.losses_of(actual, {"A": drawn})), weights[:, 1:] - [[0.5, 0.0]])
    assert 6 <= np.mean([shape.tickers for shape in shapes]) <= 8  # Satterthwaite's ratio as it stands: 4.5


def test_models_without_seeds_need_no_pivot():
    actual, known = worlds.sample(replace(WORLD, seeds=1), 0)
    found = columns_of(worlds.losses_of(actual, known))
    weights = np.array([[-0.5, 0.5, 0.0]])
    assert seed_errors(weights, seed_covariance(found, SHARES), pivots(found, weights)) == 0


@pytest.mark.parametrize(("seeds", "tickers"), [(5, 1), (10, 1), (3, 10)])
def test_the_pivot_of_skewed_losses_covers_them(seeds, tickers):
    """Losses like a chi-square: the error of the mean in estimated standard errors lies below each quantile as often as said."""
    draws = np.random.default_rng(1).chisquare(1, (20_000, seeds, tickers))
    error = np.sqrt(draws.var(axis=1, ddof=1).sum(axis=1) / seeds) / tickers
    found = (draws.mean(axis=(1, 2)) - 1) / error
    shape = Pivot(seeds, min(tickers, 60 // seeds), 1)
    for level in (0.0125, 0.05, 0.5, 0.95, 0.9875):
        end = shape.of_normal(np.array([stats.norm.ppf(level)]))[0]
        assert np.mean(found < end) == pytest.approx(level, abs=0.01)
    normal = np.array([-2.0, 0.0, 2.0])
    np.testing.assert_allclose(replace(shape, skew=-1).of_normal(-normal), -shape.of_normal(normal))


def test_a_pivot_without_skew_is_a_t_distribution():
    shape, normal = Pivot(4, 2, 0), np.linspace(-3, 3, 7)
    np.testing.assert_allclose(shape.of_normal(normal), stats.t.ppf(stats.norm.cdf(normal), 6), rtol=1e-6)


def test_where_few_trainings_were_lucky_the_seeds_error_is_not_explained_away():
    """Ten seeds of a pooled network whose biases all came out small: net of single days next to nothing is left."""
    found = columns(replace(WORLD, bias=0.03, pooled=True, seeds=10))
    weights = np.array([[-0.5, 0.0, 0.5], [-0.5, 0.5, 0.0]])
    net, gross = seed_covariance(found, SHARES)
    errors = seed_errors(weights, (net, gross), pivots(found, weights))
    assert errors[0] == pytest.approx(0.5 * np.sqrt(gross[0, 0]))  # against the benchmark: gross
    paired = weights[1] @ net @ weights[1]
    assert errors[1] == pytest.approx(np.sqrt(max(paired, 0)))  # a pair, where luck cancels: net


@pytest.mark.parametrize(
    ("used", "shape", "errors", "said"),
    [
        ([("A", 1)], Pivot(2, 1, 0, 1), (1, 1), "seed variance unknown: A has 1 seed, at least 3 are needed"),
        ([("A", 2)], Pivot(2, 1, 0, 1), (1, 1), "seed variance poorly estimated: A has 2 seeds, at least 3 are needed"),
        (
            [("A", 3)],
            Pivot(3, 1, -1, 2),
            (1, 0),
            "too few trainings for a skewed seed variance: A has 3 seeds, 9 are needed",
        ),
        (
            [("A", 3)],
            Pivot(3, 2, -1, 4),
            (1, 0),
            "too few trainings for a skewed seed variance: A has 3 seeds, 5 are needed",
        ),
        ([("A", 3), ("B", 3)], Pivot(3, 1, 0, 2), (1, 1), ""),
        ([("A", 9)], Pivot(9, 1, -1, 8), (1, 9), ""),
        ([("A", 3)], Pivot(3, 1, -1, 20), (1, 2), "seed variance may dominate: A has 3 seeds, about 12 are needed"),
        ([("A", 3)], Pivot(3, 2, -1, 20), (1, 0.01), ""),
        ([], Pivot(2, 1000, 0), (1, 0), ""),
    ],
)
def test_a_contrast_is_withheld_with_the_number_of_seeds_that_it_needs(used, shape, errors, said):
    assert reason_of_seeds(used, shape, *errors) == said


def test_the_number_of_seeds_that_is_named_is_enough():
    world = worlds.World(days=200, tickers=1, seeds=3, bias=0.3, strengths={"A": 0.0})
    short = compare(worlds.losses(world, 0), replicates=50).asked[0].withheld
    needed = int(short.split()[-3])
    assert not compare(worlds.losses(replace(world, seeds=needed), 0), replicates=50).asked[0].withheld
    assert compare(worlds.losses(replace(world, seeds=needed - 1), 0), replicates=50).asked[0].withheld
    assert needed == FEW_DRAWS + 1
