import datetime
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import adjusted_rand_score

from nextday.analyses.regimes import clusters
from nextday.analyses.regimes.clusters import find_regimes
from nextday.analyses.regimes.effects import differences
from nextday.errors import VerdictError
from worlds import autoregression

FEATURES = ("log_return", "roll_vol", "range_norm", "vol_zscore", "mkt_return")
MOST = 4  # regimes that are tried where three are planted
CENTRES = np.array([[0.0, 0.0, 0, 0], [1.5, 1.0, 0, 0], [0.0, 2.5, 1.0, 0]])


@dataclass(frozen=True)
class Planted:
    """Regimes of the market that some tickers leave for a while, and returns whose volatility they set."""

    volatility: tuple[float, ...] = (1.0, 2.0, 4.0)
    tickers: int = 5
    days: int = 1200
    seeds: int = 2
    sojourn: float = 30
    factor: float = 0.5  # share of variance that the market explains
    persistence: float = 0.0  # of volatility that no regime explains
    networks: int = 2
    mistakes: float = 0.0  # share of labels that a seed draws at random


def dates_of(days):
    return pl.date_range(datetime.date(2000, 1, 3), datetime.date(2030, 1, 1), "1d", eager=True)[: days + 1]


def states_of(world, rng):
    """Regime of each ticker and day, from 0; every ticker goes its own way in a third of its stretches."""

    def chain():
        moves = rng.random(world.days) < 1 / world.sojourn
        drawn = rng.integers(0, len(world.volatility), world.days)
        return drawn[np.maximum.accumulate(np.where(moves, np.arange(world.days), 0))]

    market, own = chain(), [chain() for _ in range(world.tickers)]
    apart = [chain() == 0 for _ in range(world.tickers)]
    return np.stack([np.where(away, mine, market) for away, mine in zip(apart, own, strict=True)])


def parts_of(days):
    return np.repeat(
        ["train", "valid", "test"], [int(0.6 * days), int(0.1 * days), days - int(0.6 * days) - int(0.1 * days)]
    )


def returns_of(world, states, rng):
    shocks = np.sqrt(world.factor) * rng.standard_normal((1, world.days))
    shocks = shocks + np.sqrt(1 - world.factor) * rng.standard_normal(states.shape)
    more = np.exp(0.5 * autoregression(rng, (1, world.days), world.persistence)) if world.persistence else 1.0
    own = 1 + np.arange(len(states))[:, None]  # tickers differ in volatility
    return 0.01 * own * np.array(world.volatility)[states] * more * shocks


def frames(world, z, actual, states):
    """Latents from vectors [seed, ticker, day, dimension]; a profile; forecasts, the second better in the wild."""
    dates, parts = dates_of(world.days), parts_of(world.days)
    latents, profile, forecasts = [], [], []
    for at in range(world.tickers):
        when = {"origin": dates[:-1], "date": dates[1:], "actual": actual[at]}
        ticker = pl.lit(f"T{at}").alias("ticker")
        for seed in range(world.seeds):
            keys = pl.lit("VAE").alias("variant"), ticker, pl.lit(0).alias("fold"), pl.lit(seed).alias("seed")
            latents.append(pl.DataFrame({"part": parts, **when, "z": z[seed, at].tolist()}).select(*keys, pl.all()))
        for number, feature in enumerate(FEATURES):
            values = {"origin": dates[:-1], "value": states[at] * float(number)}
            profile.append(pl.DataFrame(values).select(ticker, "origin", pl.lit(feature).alias("feature"), "value"))
        for number, variant in enumerate(("A", "B")):
            for network in range(world.networks):
                bias = 0.003 * np.random.default_rng([at, number, network]).standard_normal()
                rows = pl.DataFrame(when).with_columns(predicted=bias + number * 0.3 * actual[at] * (states[at] > 1))
                keys = pl.lit(variant).alias("variant"), ticker, pl.lit(0).alias("fold"), pl.lit(network).alias("seed")
                forecasts.append(rows.select(*keys, pl.all()).filter(parts == "test"))
    cast = pl.col("fold", "seed").cast(pl.Int64)
    return pl.concat(latents).with_columns(cast), pl.concat(profile), pl.concat(forecasts).with_columns(cast)


def make_world(seed=0, centres=CENTRES, **settings):
    """Latents about the centre of each regime, rotated by the VAE's seed; with the planted states."""
    world, rng = Planted(**settings), np.random.default_rng(seed)
    states = states_of(world, rng)
    actual = returns_of(world, states, rng)
    z = np.empty((world.seeds, *states.shape, centres.shape[1]))
    for at in range(world.seeds):
        turn = np.linalg.qr(np.random.default_rng([seed, at]).standard_normal((centres.shape[1],) * 2))[0]
        noise = autoregression(rng, (*states.shape, centres.shape[1])[::-1], 0.0)
        z[at] = (centres[states] + 0.35 * noise.T.swapaxes(0, 1).reshape(*states.shape, -1)) @ turn
    return (*frames(world, z, actual, states), states)


@pytest.fixture(scope="module")
def world():
    return make_world()


@pytest.fixture(scope="module")
def regimes(world):
    return find_regimes(*world[:3], most=MOST, replicates=300)


@pytest.fixture
def halved_once(monkeypatch):
    """A test that does not look at the agreement between halves."""
    monkeypatch.setattr(clusters, "HALVES", 1)


def truth(world, labels):
    """The planted state of each label row."""
    states = pl.DataFrame(
        {"ticker": f"T{at}", "origin": dates_of(len(row))[:-1], "state": row} for at, row in enumerate(world[3])
    )
    return labels.join(states.explode("origin", "state"), on=["ticker", "origin"])


def test_three_planted_regimes_are_found_in_every_seed_and_ordered_by_volatility(world, regimes):
    assert regimes.number == 3
    both = truth(world, regimes.labels)
    for (seed,), own in both.partition_by("seed", as_dict=True).items():
        assert (own["regime"] == own["state"] + 1).mean() > 0.97, seed
    assert regimes.stability["ari"].to_numpy().min() > 0.9
    assert set(regimes.stability["kind"]) == {"seeds", "halves"}


def windowed(seed, *, tickers=5, days=1200, lookback=20):
    """One Gaussian cloud, seen through windows that overlap: no regimes."""
    rng = np.random.default_rng(seed)
    shocks = rng.standard_normal((1, days + lookback - 1, 4)) + rng.standard_normal((tickers, days + lookback - 1, 4))
    total = np.cumsum(np.concatenate([np.zeros((tickers, 1, 4)), shocks], axis=1), axis=1)
    return (total[:, lookback:] - total[:, :-lookback]) / np.sqrt(2 * lookback)


def gaussian(seed=0, **settings):
    world = Planted(volatility=(1.0,), **settings)
    rng, states = np.random.default_rng(seed), np.zeros((world.tickers, world.days), dtype=int)
    z = np.stack([windowed([seed, at], tickers=world.tickers, days=world.days) for at in range(world.seeds)])
    return frames(world, z, returns_of(world, states, rng), states)


def test_one_gaussian_has_one_regime_and_nothing_to_compare():
    found = find_regimes(*gaussian(), most=MOST, replicates=100)
    assert found.number == 1
    assert set(found.labels["regime"]) == {1}
    assert found.stability.is_empty()
    assert found.transitions["share"].to_list() == [1.0, 1.0]
    assert found.transitions["sojourn"].null_count() == 2
    volatility = found.differences.filter(measure="volatility")
    assert volatility.select("value", "low", "high", "p_equal").rows() == [(1, 1, 1, None)]
    assert found.differences.filter(measure="loss")["low"].null_count() == 0


@pytest.mark.usefixtures("halved_once")
def test_days_that_share_windows_are_not_counted_as_points_of_their_own():
    """With ``lookback=1`` all days count, and the criterion takes one cloud apart."""
    table, profile, _ = gaussian(seed=3, seeds=1)
    assert find_regimes(table, profile, lookback=1, most=2, replicates=50).number > 1
    assert find_regimes(table, profile, lookback=20, most=4, replicates=50).number == 1


def test_tickers_that_are_copies_count_once_in_the_cautious_criterion():
    table, profile, _ = gaussian(seeds=1, tickers=1, days=3000)
    copies = pl.concat([table.with_columns(ticker=pl.lit(f"T{at}")) for at in range(4)])
    alone, together = (find_regimes(rows, profile, most=1, replicates=50).criterion for rows in (table, copies))
    assert alone["cautious"].to_list() == pytest.approx(alone["bic"].to_list())
    assert together["bic"][0] > 3 * together["cautious"][0] > 0
    assert together["cautious"].item() == pytest.approx(alone["cautious"].item(), rel=0.1)


def changed(latents):
    """The same with other vectors and returns outside train."""
    outside = pl.col("part") != "train"
    return latents.with_columns(
        z=pl.when(outside).then(pl.col("z").list.reverse()).otherwise("z"),
        actual=pl.when(outside).then(pl.col("actual") * 7 + 0.01).otherwise("actual"),
    )


@pytest.mark.usefixtures("halved_once")
def test_rewriting_valid_and_test_changes_no_train_label_and_no_criterion(world, regimes):
    latents, profile, forecasts, _ = world
    other = find_regimes(changed(latents), profile, forecasts, most=MOST, replicates=50)
    assert other.criterion.equals(regimes.criterion)
    train = [found.labels.filter(part="train") for found in (regimes, other)]
    assert train[0].equals(train[1])
    assert not other.labels.equals(regimes.labels)
    assert other.profile.filter(part="train").equals(regimes.profile.filter(part="train"))


@pytest.mark.usefixtures("halved_once")
def test_the_number_for_all_folds_is_chosen_on_the_first_train_range(world):
    latents, profile, forecasts, _ = world
    later = latents.with_columns(fold=pl.lit(1, pl.Int64), z=pl.col("z").list.eval(pl.element().rank() * 0.01))
    folds = pl.concat([later, latents.filter(pl.col("part") != "test")])
    alone, both = (find_regimes(rows, profile, forecasts, most=MOST, replicates=50) for rows in (later, folds))
    assert (alone.number, both.number) == (1, 3)
    assert both.criterion.filter("chosen")["fold"].to_list() == [0, 0, 1, 1]


def test_the_same_rows_in_any_order_give_the_same_regimes(world, regimes):
    shuffled = [table.sample(fraction=1, shuffle=True, seed=1) for table in world[:3]]
    shuffled[1:] = [shuffled[1].sort(pl.col("feature").replace_strict(FEATURES, range(5))), shuffled[2].sort("variant")]
    again = find_regimes(*shuffled, most=MOST, replicates=300)
    for name in ("labels", "criterion", "stability", "transitions"):
        assert getattr(again, name).equals(getattr(regimes, name)), name
    for name in ("profile", "differences"):
        one, other = getattr(again, name), getattr(regimes, name)
        assert one.select(pl.exclude(pl.Float64)).equals(other.select(pl.exclude(pl.Float64))), name
        assert one.select(pl.col(pl.Float64)).to_numpy() == pytest.approx(
            other.select(pl.col(pl.Float64)).to_numpy(), nan_ok=True
        )


def test_stability_compares_labels_on_all_rows_and_on_the_test_range(regimes):
    labels = {
        key: own.sort("ticker", "origin") for (key,), own in regimes.labels.partition_by("seed", as_dict=True).items()
    }
    between = regimes.stability.filter(kind="seeds")
    assert between.select("seed", "other", "part").rows() == [(0, 1, "all"), (0, 1, "test")]
    for part, index in between.select("part", "ari").rows():
        one, other = (own if part == "all" else own.filter(part="test") for own in labels.values())
        assert index == adjusted_rand_score(one["regime"], other["regime"])
    halves = regimes.stability.filter(kind="halves")
    assert halves.group_by("seed", "part").len()["len"].to_list() == [10] * 4
    assert halves["ari"].n_unique() > 10


def test_transitions_count_consecutive_sessions_of_a_ticker(regimes):
    own = regimes.labels.filter(seed=1).sort("ticker", "origin")
    counts = np.zeros((3, 3), dtype=int)
    for mine in own.partition_by("ticker"):
        path = mine["regime"].to_numpy() - 1
        np.add.at(counts, (path[:-1], path[1:]), 1)
    found = regimes.transitions.filter(seed=1)
    assert found["days"].to_numpy().reshape(3, 3).tolist() == counts.tolist()
    assert found["share"].to_numpy().reshape(3, 3) == pytest.approx(counts / counts.sum(axis=1, keepdims=True))
    stays = counts.sum(axis=1) / (counts.sum(axis=1) - counts.diagonal())
    assert found["sojourn"].to_numpy().reshape(3, 3)[:, 0] == pytest.approx(stays)


def test_a_session_that_a_ticker_lacks_makes_no_transition(world):
    latents, profile, _, _ = world
    gone = dates_of(1200)[100]
    whole, holed = (
        find_regimes(table.filter(seed=0), profile, most=1, replicates=50).transitions["days"].sum()
        for table in (latents, latents.filter((pl.col("ticker") != "T0") | (pl.col("origin") != gone)))
    )
    assert whole - holed == 2


def test_the_profile_is_the_mean_of_each_feature(regimes, world):
    both = regimes.labels.join(world[1], on=["ticker", "origin"]).filter(seed=1, part="test", regime=2)
    means = dict(both.group_by("feature").agg(pl.col("value").mean()).rows())
    found = regimes.profile.filter(seed=1, part="test", regime=2)
    assert found["feature"].to_list() == list(FEATURES)
    assert found["mean"].to_list() == pytest.approx([means[name] for name in FEATURES])
    assert found["days"].to_list() == [both.height // 5] * 5


def by_hand(regimes, world, regime):
    """Mean squares of the test rows by seed, in units of the ticker's own on train."""
    latents, _, forecasts, _ = world
    scale = latents.filter(part="train").group_by("ticker").agg(scale=(pl.col("actual") ** 2).mean())
    rows = (
        regimes.labels.filter(part="test", regime=regime)
        .join(latents, on=["ticker", "seed", "origin"])
        .join(scale, on="ticker")
    )
    squares = rows.group_by("seed").agg((pl.col("actual") ** 2 / pl.col("scale")).mean()).sort("seed")["actual"]
    variant = (
        forecasts.filter(variant="B")
        .group_by("ticker", "origin")
        .agg(error=((pl.col("actual") - pl.col("predicted")) ** 2).mean())
    )
    errors = (
        rows.join(variant, on=["ticker", "origin"]).group_by("seed").agg((pl.col("error") / pl.col("scale")).mean())
    )
    return squares.to_numpy(), errors.sort("seed")["error"].to_numpy()


def test_ratios_are_means_over_seeds_of_those_by_hand(regimes, world):
    (calm, _), (wild, errors) = by_hand(regimes, world, 1), by_hand(regimes, world, 3)
    found = regimes.differences.filter(regime=3)
    (volatility,) = found.filter(measure="volatility").iter_rows(named=True)
    assert volatility["value"] == pytest.approx(np.exp(np.mean(0.5 * np.log(wild / calm))))
    assert volatility["low"] < 4 < volatility["high"]
    (loss,) = found.filter(measure="loss", variant="B").iter_rows(named=True)
    assert loss["value"] == pytest.approx(np.mean(errors / wild))
    assert volatility["p_equal"] < 0.05
    assert regimes.differences.filter(measure="volatility")["share"].sum() == pytest.approx(1)
    apart = regimes.differences.filter(measure="loss difference", variant="B")["value"].to_list()
    losses = regimes.differences.filter(measure="loss", variant="B")["value"].to_list()
    assert apart == pytest.approx([value - losses[0] for value in losses])


def test_a_variant_that_is_better_in_the_wild_is_seen_to_be(regimes):
    found = regimes.differences.filter(measure="loss difference", regime=3)
    assert found.filter(variant="B")["high"].item() < -0.2
    assert found.filter(variant="A")["high"].item() > -0.2


def labelled(world, mistakes=0.0, seeds=1, seed=0):
    """The planted states as labels, without a mixture; ``scale`` as ``find_regimes`` has it."""
    latents, _, _, states = world
    rows = latents.drop("z", "variant").sort("seed", "ticker", "origin")
    rng = np.random.default_rng([seed, 5])
    true = np.tile(states.ravel(), rows["seed"].n_unique())
    drawn = np.where(rng.random(len(true)) < mistakes, rng.integers(0, states.max() + 1, len(true)), true)
    own = (pl.col("actual") ** 2).filter(pl.col("part") == "train").mean().over("seed", "ticker")
    return rows.with_columns(regime=pl.Series(drawn + 1), scale=own)


def test_networks_that_differ_widen_the_interval_of_their_loss(world):
    """Both tables have the same errors on every day; in one a network has all the large ones, in one they take turns."""
    one = world[2].filter(variant="A", seed=0)
    poor = one.with_columns(seed=pl.lit(1, pl.Int64), predicted=pl.col("predicted") + 0.02)
    differ = pl.concat([one, poor])
    turns = differ.with_columns(seed=(pl.col("seed") + pl.col("date").dt.ordinal_day()) % 2)
    widths = [
        differences(labelled(world), table, replicates=300)
        .filter(measure="loss")
        .select(pl.col("high") - pl.col("low"))
        for table in (turns, differ)
    ]
    near, far = (width.to_series().to_numpy() for width in widths)
    assert (far > 2 * near).all()


def test_seeds_that_disagree_widen_the_interval_of_volatility(world):
    rows = labelled(world)
    turned = rows.with_columns(regime=pl.when(seed=1).then(4 - pl.col("regime")).otherwise("regime"))
    near, far = (differences(table, replicates=300).filter(regime=2).row(0, named=True) for table in (rows, turned))
    assert np.log(far["high"] / far["low"]) > 2 * np.log(near["high"] / near["low"])


def test_a_regime_with_few_dates_has_a_value_and_no_bounds_and_one_without_has_nothing(world):
    rows = labelled(world)
    late = sorted(rows.filter(part="test")["date"].unique())
    for kept in (19, 20, 0):
        rare = rows.with_columns(
            regime=pl.when((pl.col("part") == "test") & (pl.col("regime") == 3)).then(2).otherwise("regime")
        ).with_columns(regime=pl.when(pl.col("date").is_in(late[:kept])).then(3).otherwise("regime"))
        row = differences(rare, replicates=100).filter(regime=3).row(0, named=True)
        assert row["dates"] == kept
        assert (row["low"] is None, row["value"] is None) == (kept < 20, kept == 0)


def test_the_p_value_is_the_share_of_moved_labels_that_tell_as_much(world):
    """By hand, one move after the other; the first ticker lacks some days."""
    rows = labelled(world, mistakes=0.6).filter((pl.col("ticker") != "T0") | (pl.col("date").dt.day() != 7))
    test = rows.filter(part="test").with_columns(square=pl.col("actual") ** 2 / pl.col("scale"))
    of_returns = test.filter(seed=0).pivot("ticker", index="date", values="square").sort("date").drop("date").to_numpy()
    labels = [
        test.filter(seed=seed).pivot("ticker", index="date", values="regime").sort("date").drop("date").cast(pl.Float64)
        for seed in (0, 1)
    ]
    spreads = []
    for move in range(len(of_returns)):
        of_seeds = []
        for label in labels:
            moved, known = np.roll(label.to_numpy(), move, axis=0), ~np.isnan(of_returns)
            parts = [of_returns[(moved == number) & known] for number in (1, 2, 3)]
            weights = np.array([len(part) for part in parts]) / sum(map(len, parts))
            level = np.log([part.mean() for part in parts])
            of_seeds.append(weights @ (level - weights @ level) ** 2)
        spreads.append(np.mean(of_seeds))
    expected = np.mean(np.array(spreads) >= spreads[0])
    assert differences(rows, replicates=50)["p_equal"][0] == pytest.approx(expected)
    assert 1 / len(spreads) <= expected < 0.2


def test_without_the_calmest_the_next_is_the_reference(world):
    rows = labelled(world)
    gone = rows.with_columns(
        regime=pl.when((pl.col("part") == "test") & (pl.col("regime") == 1)).then(2).otherwise("regime")
    )
    found = differences(gone, replicates=100)
    assert found["value"].is_null().to_list() == [True, False, False]
    assert found.row(1, named=True)["value"] == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: pl.concat([rows, rows.with_columns(variant=pl.lit("AE"))]), "regimes need the latent space of one variant; the table has ['AE', 'VAE']"),
        (lambda rows: pl.concat([rows, rows.head(1)]), "latents: 2 rows share fold, seed, ticker, origin; first: (0, 0, 'T0',"),
        (lambda rows: rows.filter(pl.col("part") != "train"), "latents: no training rows to fit regimes on; first such: (0, 0, 'T0'"),
        (lambda rows: rows.with_columns(z=pl.when(ticker="T1").then(pl.lit([0.0, float("nan"), 0, 0])).otherwise("z")), "latents: no numeric vector in 2,400 rows; first: (0, 0, 'T1'"),
        (lambda rows: rows.with_columns(z=pl.when(ticker="T1").then(pl.lit([0.0])).otherwise("z")), "latents: no numeric vector in 2,400 rows"),
        (lambda rows: rows.with_columns(actual=pl.when(ticker="T1").then(None).otherwise("actual")), "latents: no numeric vector in 2,400 rows"),
        (lambda rows: rows.filter((pl.col("seed") == 0) | (pl.col("part") != "test") | (pl.col("ticker") != "T1")), "latents: seeds differ in their test rows"),
    ],
    ids=["two variants", "twice", "no train", "not a number", "short", "no return", "seeds differ"],
)  # fmt: skip
def test_latents_that_cannot_be_clustered_are_refused(world, change, message):
    with pytest.raises(VerdictError) as caught:
        find_regimes(change(world[0]), world[1], most=1, replicates=50)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_forecasts_of_other_days_are_refused(world):
    strangers = world[2].with_columns(ticker=pl.lit("X"))
    with pytest.raises(VerdictError, match="A: the forecasts share no ticker and origin with the test rows"):
        find_regimes(*world[:2], strangers, most=1, replicates=50)


WORLDS = {
    "differ": Planted(tickers=6, days=2000, seeds=3, persistence=0.0, mistakes=0.1),
    "differ, persistent": Planted(tickers=6, days=2000, seeds=3, persistence=0.98, mistakes=0.1),
    "same": Planted(volatility=(1.0, 1.0, 1.0), tickers=6, days=2000, seeds=3, mistakes=0.1),
    "same, persistent": Planted(volatility=(1.0, 1.0, 1.0), tickers=6, days=2000, seeds=3, persistence=0.98, mistakes=0.1),
}  # fmt: skip
DRAWS = 300


def simulate(world, seed):
    """Intervals of one draw, and the sums that make the truth: of squares, errors and rows by regime."""
    rng = np.random.default_rng(seed)
    states = states_of(world, rng)
    actual = returns_of(world, states, rng)
    latents, _, forecasts = frames(world, np.zeros((world.seeds, *states.shape, 1)), actual, states)
    networks = pl.DataFrame({"seed": range(world.networks), "bias": 0.002 * rng.standard_normal(world.networks)})
    forecasts = (
        forecasts.filter(variant="B").join(networks, on="seed").with_columns(pl.col("predicted") + pl.col("bias"))
    )
    rows = labelled((latents, None, None, states), world.mistakes, seed=seed)
    found = differences(rows, forecasts, replicates=400, seed=seed)
    errors = forecasts.group_by("ticker", "origin").agg(error=((pl.col("actual") - pl.col("predicted")) ** 2).mean())
    sums = rows.filter(part="test").join(errors, on=["ticker", "origin"]).group_by("regime").agg(
        (pl.col("actual") ** 2 / pl.col("scale")).sum(), (pl.col("error") / pl.col("scale")).sum(), pl.len()
    )  # fmt: skip
    return found, sums.sort("regime").drop("regime").to_numpy()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", WORLDS)
def test_intervals_hold_the_truth_in_95_percent_and_the_same_is_rejected_in_5(name, capsys):
    draws = [simulate(WORLDS[name], seed) for seed in range(DRAWS)]
    squares, errors, rows = sum(sums for _, sums in draws).T
    true = {"volatility": np.sqrt((squares / rows) / (squares / rows)[0]), "loss": errors / squares}
    if name.startswith("same"):
        true["volatility"] = np.ones(3)
    true["loss difference"] = true["loss"] - true["loss"][0]
    found = {}
    for measure, values in true.items():
        own = [table.filter(measure=measure) for table, _ in draws]
        inside = [
            [low <= value <= high for low, high, value in zip(one["low"], one["high"], values, strict=True)]
            for one in own
        ]
        found[measure] = np.mean(inside, axis=0)[1 if measure != "loss" else 0 :]
        found[f"{measure}, rejected"] = np.mean([one["p_equal"][0] < 0.05 for one in own])
    with capsys.disabled():
        print(f"\n{name}: truth {true}; held {found}")
    for measure in true:
        assert found[measure].min() > (0.82 if name == "same, persistent" else 0.88), measure
    if name.startswith("same"):
        assert 0.02 <= found["volatility, rejected"] <= 0.08
    else:
        assert found["volatility, rejected"] > 0.9


@pytest.mark.slow
def test_no_regimes_are_found_in_one_gaussian_and_three_where_three_are_planted(capsys):
    none = [find_regimes(*gaussian(seed, seeds=1), replicates=20).number for seed in range(20)]
    all_days = [find_regimes(*gaussian(seed, seeds=1), lookback=1, most=4, replicates=20).number for seed in range(10)]
    three = [
        find_regimes(*make_world(seed, seeds=1, tickers=8, days=2000)[:3], replicates=20).number for seed in range(20)
    ]
    with capsys.disabled():
        print(f"\none Gaussian: {none}; with all days: {all_days}; three planted: {three}")
    assert np.mean(np.array(none) == 1) >= 0.9
    assert np.mean(np.array(three) == 3) >= 0.9
