import datetime
import importlib.util
from functools import cache
from itertools import combinations

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest
from matplotlib.colors import to_hex, to_rgba
from matplotlib.dates import date2num

from nextday.analyses.regimes import latent_map as latent
from nextday.analyses.regimes.clusters import Regimes
from nextday.analyses.regimes.figures import profile, ribbons, shades
from nextday.analyses.regimes.latent_map import latent_map, training
from nextday.reporting.style import COLOURS, STYLE, png
from reporting.test_plots import TICKERS, assert_apart, tick_labels

FEATURES = ("log_return", "roll_vol", "range_norm", "vol_zscore", "mkt_return")
HOSTILE = ("<b>$x_1^2$&", "_hidden", "x" * 60 + "a", "x" * 60 + "b", "two\nlines", "%s {0}", "$\\alpha_{$")


@pytest.fixture(scope="module", autouse=True)
def report_style():
    with mpl.rc_context(STYLE):
        yield


def make_latents(tickers=TICKERS[:3], seeds=(42, 43), days=150, start=datetime.date(2003, 10, 1)):
    dates = pl.date_range(start, datetime.date(2030, 1, 1), "1d", eager=True)[: days + 1]
    part = np.repeat(
        ["train", "valid", "test"], [int(0.7 * days), int(0.1 * days), days - int(0.7 * days) - int(0.1 * days)]
    )
    found = []
    for at, ticker in enumerate(tickers):
        for seed in seeds:
            z = np.random.default_rng([at, seed]).standard_normal((days, 4)) * [3, 2, 1, 0.1]
            rows = {"part": part, "origin": dates[:-1], "date": dates[1:], "actual": z[:, 0] / 100, "z": z.tolist()}
            keys = {"variant": "VAE", "ticker": ticker, "fold": 0, "seed": seed}
            found.append(pl.DataFrame(rows).select(*(pl.lit(v).alias(k) for k, v in keys.items()), pl.all()))
    return pl.concat(found).with_columns(pl.col("fold", "seed").cast(pl.Int64))


def make_regimes(latents, k=3, *, variants=("LSTM-Raw", "LSTM-Feat"), features=FEATURES, cautious=2):
    """Frames with numbers that mean nothing, but each its own."""
    rng, seeds = np.random.default_rng(0), sorted(latents["seed"].unique())
    labels = latents.select(
        "ticker", "fold", "seed", "part", "origin", regime=pl.Series(rng.integers(1, k + 1, len(latents)))
    )
    best = {number: 100.0 + abs(number - k) for number in range(1, 9)}
    criterion = [(0, seed, n, v, 100.0 + abs(n - cautious), 0.9, n == k) for seed in seeds for n, v in best.items()]
    pairs = [
        ("seeds", 0, one, other, part, rng.uniform(-0.1, 1))
        for one, other in combinations(seeds, 2)
        for part in ("all", "test")
    ]
    halves = [
        ("halves", 0, seed, draw, part, rng.random())
        for seed in seeds
        for draw in range(10)
        for part in ("all", "test")
    ]
    moves = [
        (0, seed, a, b, int(100 * share), float(share), float(1 / (1 - row[a - 1])) if k > 1 else None)
        for seed in seeds for a in range(1, k + 1)
        for row in [rng.dirichlet(np.ones(k) + 9 * (np.arange(k) == a - 1))] for b, share in enumerate(row, 1)
    ]  # fmt: skip
    means = [
        (0, seed, part, r, name, rng.normal(), 10)
        for seed in seeds
        for part in ("train", "test")
        for r in range(1, k + 1)
        for name in features
    ]
    effects = []
    for measure, variant in [
        ("volatility", None),
        *(("loss", name) for name in variants),
        *(("loss difference", name) for name in variants),
    ]:
        for r in range(1, k + 1):
            value = 1 + 0.3 * (r - 1) if measure == "volatility" else rng.normal(1, 0.05)
            reach = 0.0 if r == 1 and measure == "volatility" else rng.uniform(0.02, 0.1)
            few = r == k > 2
            ends = (None, None) if few else (value - reach, value + reach)
            effects.append((measure, variant, r, value, *ends, None if k == 1 else 0.0213, 1 / k, 10 if few else 200))
    frame = lambda rows, names: pl.DataFrame(rows, schema=names.split(), orient="row")  # noqa: E731
    return Regimes(
        labels, frame(criterion, "fold seed k bic cautious certainty chosen"),
        pl.DataFrame([*pairs, *halves] if k > 1 else [], orient="row", schema={
            "kind": pl.String, "fold": pl.Int64, "seed": pl.Int64, "other": pl.Int64, "part": pl.String, "ari": pl.Float64}),
        frame(moves, "fold seed regime next days share sojourn"), frame(means, "fold seed part regime feature mean days"),
        frame(effects, "measure variant regime value low high p_equal share dates"),
    )  # fmt: skip


def make_history(seeds=(42, 43), folds=(0,), epochs=12):
    rows = []
    for seed in seeds:
        for fold in folds:
            noise = np.random.default_rng([seed, fold]).random((2, epochs))
            columns = {"epoch": range(1, epochs + 1), "reconstruction": 9 + noise[0], "kl": 1 + noise[1]}
            keys = {"variant": "VAE", "ticker": "all", "fold": fold, "seed": seed}
            table = pl.DataFrame(columns).with_columns(best=pl.col("epoch") == 4 + seed % 3)
            rows.append(table.select(*(pl.lit(v).alias(k) for k, v in keys.items()), pl.all()))
    return pl.concat(rows)


@pytest.fixture(scope="module")
def latents():
    return make_latents()


@pytest.fixture(scope="module")
def regimes(latents):
    return make_regimes(latents)


@pytest.fixture
def without_umap(monkeypatch):
    monkeypatch.setattr(latent.importlib.util, "find_spec", lambda name: None)


def caption(figure):
    return figure.get_suptitle().replace("\n", " ")


def panel(figure, title):
    (found,) = (ax for ax in figure.axes if ax.get_title() == title)
    return found


@pytest.mark.usefixtures("without_umap")
def test_points_are_the_principal_components_of_train_in_the_colours_of_ticker_year_and_regime(latents, regimes):
    figure = latent_map(latents, regimes)
    own = latents.filter(seed=42).join(regimes.labels, on=["ticker", "seed", "origin", "part"]).sort("ticker", "origin")
    z = np.array(own["z"].to_list())
    train = z[(own["part"] == "train").to_numpy()]
    values, axes = np.linalg.eigh(np.cov(train.T))
    expected = (z - train.mean(axis=0)) @ axes[:, ::-1][:, :2]
    colours = {}
    for what in ("ticker", "year", "regime"):
        ax = panel(figure, f"principal components, by {what}")
        (points,) = ax.collections
        drawn = np.asarray(points.get_offsets())
        at = [np.abs(np.abs(drawn) - np.abs(row)).sum(axis=1).argmin() for row in expected]
        assert np.abs(drawn[at]) == pytest.approx(np.abs(expected))
        colours[what] = [to_hex(colour) for colour in points.get_facecolors()[at]]
        assert ax.get_xlabel() == f"first ({values[-1] / values.sum():.0%} of variance)"
    assert colours["regime"] == [to_hex(shades(3)[at - 1]) for at in own["regime"]]
    names = sorted(latents["ticker"].unique())
    assert colours["ticker"] == [to_hex(COLOURS[names.index(name)]) for name in own["ticker"]]
    assert len(set(zip(colours["year"], own["origin"].dt.year(), strict=True))) == 2
    assert "No UMAP: it needs the package umap-learn" in caption(figure)
    assert "all 450 windows. Seed 42." in caption(figure)


@pytest.mark.usefixtures("without_umap")
def test_test_rows_move_no_axis_of_the_map(latents, regimes):
    moved = latents.with_columns(z=pl.when(part="test").then(pl.col("z").list.reverse()).otherwise("z"))
    one, other = (panel(latent_map(rows, regimes), "principal components, by year") for rows in (latents, moved))
    drawn, again = (np.asarray(ax.collections[0].get_offsets()) for ax in (one, other))
    same = np.isclose(drawn, again).all(axis=1)
    assert same.sum() == latents.filter(pl.col("part") != "test", pl.col("seed") == 42).height


@pytest.mark.usefixtures("without_umap")
def test_of_many_points_some_are_drawn_the_same_each_time(monkeypatch, latents, regimes):
    monkeypatch.setattr(latent, "POINTS", 100)
    one, again, other = (latent_map(latents, regimes, seed=seed) for seed in (0, 0, 1))
    drawn = [
        np.asarray(panel(f, "principal components, by year").collections[0].get_offsets()) for f in (one, again, other)
    ]
    assert len(drawn[0]) == 100
    assert (drawn[0] == drawn[1]).all()
    assert not (drawn[0] == drawn[2]).all()
    assert "100 of 450 windows" in caption(one)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("umap") is None, reason="an extra package")
def test_umap_stands_above_and_is_the_same_each_time(latents, regimes):
    one, again = (latent_map(latents, regimes) for _ in range(2))
    drawn = [np.asarray(panel(figure, "UMAP, by regime").collections[0].get_offsets()) for figure in (one, again)]
    assert drawn[0].shape == (450, 2)
    assert (drawn[0] == drawn[1]).all()
    below = panel(one, "principal components, by regime").collections[0]
    assert (below.get_facecolors() == panel(one, "UMAP, by regime").collections[0].get_facecolors()).all()
    assert "UMAP preserves neighbourhoods" in caption(one)


def test_a_ribbon_is_the_regime_of_each_day_and_parts_are_marked(latents, regimes):
    figure = ribbons(regimes)
    left, right = figure.axes
    own = regimes.labels.filter(seed=42)
    mesh = left.collections[0]
    days = own["origin"].unique().sort()
    table = own.pivot("ticker", index="origin", values="regime").sort("origin").select(sorted(own["ticker"].unique()))
    assert (mesh.get_array() == table.to_numpy().T).all()
    assert [to_hex(colour) for colour in mesh.cmap.colors] == shades(3)
    starts = {part: own.filter(part=part)["origin"].min() for part in ("train", "valid", "test")}
    marked = {text.get_text(): text.xy[0] for text in left.texts}
    assert marked == starts
    edges = {c.get_segments()[0][0, 0] for c in left.collections[1:] if len(c.get_segments()) == 1}
    assert edges == {date2num(starts["valid"]), date2num(starts["test"])}
    assert date2num(days[0]) == mesh.get_coordinates()[0, 0, 0]
    moves = regimes.transitions.filter(seed=42)
    texts = [text.get_text() for text in right.texts]
    assert texts[:9] == ["<1" if 0 < s < 0.005 else f"{100 * s:.0f}" for s in moves["share"]]
    assert texts[9:12] == [f"{stay:.3g}" for stay in moves["sojourn"].to_list()[::3]]
    index = regimes.stability.filter(kind="halves", part="test")["ari"]
    assert f"halves of the training set {index.median():.2f} ({index.min():.2f} to {index.max():.2f})" in caption(
        figure
    )
    assert f"between seeds {regimes.stability.filter(kind='seeds', part='test')['ari'].item():.2f}," in caption(figure)


def test_of_many_tickers_the_share_in_each_regime_is_drawn():
    latents = make_latents([f"T{at}" for at in range(60)], seeds=(42,), days=40)
    found = make_regimes(latents)
    left, _ = ribbons(found).axes
    assert left.get_ylabel() == "share of 60 tickers (%)"
    labels = found.labels.sort("origin")
    heights = [area.get_paths()[0].vertices for area in left.collections]
    last = date2num(labels["origin"].max())
    on_last = labels.filter(origin=labels["origin"].max())["regime"]
    tops = [vertices[vertices[:, 0] == last][:, 1].max() for vertices in heights]
    assert tops == pytest.approx([100 * (on_last <= regime).mean() for regime in (1, 2, 3)])
    assert {text.get_text() for text in left.texts} == {"train", "valid", "test"}


def test_a_day_that_a_ticker_lacks_is_left_empty(latents):
    gone = make_regimes(latents.filter((pl.col("ticker") != "GS") | (pl.col("part") != "valid")))
    mesh = ribbons(gone).axes[0].collections[0]
    assert mesh.get_array().mask.sum(axis=1).tolist() == [0, 15, 0]


def test_the_profile_has_the_means_over_seeds_with_their_deviations(regimes):
    heat, shares, *_ = profile(regimes).axes
    train = regimes.profile.filter(part="train")
    mean = train.group_by("regime", "feature").agg(pl.col("mean").mean(), sd=pl.col("mean").std())
    order = {(regime, name): (value, sd) for regime, name, value, sd in mean.rows()}
    expected = [order[regime, name] for regime in (1, 2, 3) for name in FEATURES]
    assert heat.images[0].get_array().data.ravel() == pytest.approx(np.array([value for value, _ in expected]))
    texts = [text.get_text() for text in heat.texts]
    assert texts[::2] == [f"{value:+.2f}".replace("-", "−") for value, _ in expected]
    assert texts[1::2] == [f"±{sd:.2f}" for _, sd in expected]
    for part, bars in (("train", shares.patches[:3]), ("test", shares.patches[3:])):
        counts = regimes.labels.filter(part=part)["regime"].value_counts(normalize=True).sort("regime")
        assert [bar.get_width() for bar in bars] == pytest.approx((100 * counts["proportion"]).to_list())


def test_effects_are_drawn_with_their_intervals_and_without_are_open(regimes):
    figure = profile(regimes)
    for title, measure, variants in (
        ("volatility, test set", "volatility", [None]),
        ("loss, test set", "loss", ["LSTM-Raw", "LSTM-Feat"]),
    ):
        ax = panel(figure, title)
        own = pl.concat(
            regimes.differences.filter(pl.col("variant").eq_missing(name), measure=measure) for name in variants
        )
        points = [line for line in ax.lines if line.get_marker() not in {"None", None}]
        assert [line.get_xdata()[0] for line in points] == pytest.approx(own["value"].to_list())
        assert [line.get_markerfacecolor() == "white" for line in points] == own["low"].is_null().to_list()
        assert [round(line.get_ydata()[0]) + 1 for line in points] == own["regime"].to_list()
        ends = [tuple(drawn.get_segments()[0][:, 0]) for drawn in ax.collections]
        assert np.array(ends) == pytest.approx(own.drop_nulls("low").select("low", "high").to_numpy())
    assert (
        "3 regimes by BIC (2 by a conservative count). Next-day volatility differs between them on the test set (p = 0.021)"
        in caption(figure)
    )
    assert "fewer than 20 test dates" in caption(figure)


@pytest.mark.parametrize(
    ("p_value", "words"),
    [
        (0.0004, "differs between them on the test set (p < 0.001)"),
        (0.2, "does not differ significantly between them on the test set (p = 0.200)"),
    ],
)
def test_the_title_says_what_the_test_of_volatility_says(regimes, p_value, words):
    other = regimes.differences.with_columns(p_equal=pl.lit(p_value))
    assert words in caption(profile(Regimes(*(getattr(regimes, name) for name in regimes.__slots__[:-1]), other)))


def test_one_regime_is_called_none_and_eight_the_most(latents):
    one, eight = (make_regimes(latents, k, cautious=1) for k in (1, 8))
    for function in (ribbons, profile):
        none = caption(function(one))
        assert "No regimes: a single Gaussian describes the latent space best" in none
        assert "p =" not in none
        assert "8 regimes by BIC, the maximum allowed (none by a conservative count)" in caption(function(eight))


def test_training_is_a_line_per_seed_and_fold_with_the_best_epoch_marked():
    history = make_history(folds=(0, 1))
    figure = training(history.sample(fraction=1, shuffle=True, seed=0))
    for ax, column in zip(figure.axes, ("reconstruction", "kl"), strict=True):
        lines = [line for line in ax.lines if line.get_marker() == "None"]
        points = [line for line in ax.lines if line.get_marker() == "o"]
        units = [history.filter(seed=seed, fold=fold) for seed in (42, 43) for fold in (0, 1)]
        assert [line.get_color() for line in lines] == [COLOURS[0], COLOURS[0], COLOURS[1], COLOURS[1]]
        for line, point, own in zip(lines, points, units, strict=True):
            assert list(line.get_ydata()) == own[column].to_list()
            assert list(line.get_xdata()) == own["epoch"].to_list()
            assert (point.get_xdata()[0], point.get_ydata()[0]) == own.filter("best").select("epoch", column).row(0)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["seed 42", "seed 43"]


ALL = ("map", "regimes", "profile", "training")
CASES = {  # what is not drawn would look as in another case
    "eleven": {"tickers": TICKERS, "seeds": (42, 43, 44), "days": 200},
    "one of all": {"tickers": ("KO",), "seeds": (1,), "days": 200, "k": 1, "variants": ()},
    "eight": {"tickers": ("KO",), "seeds": (1, 2), "days": 3000, "k": 8, "variants": tuple("ABCDEFGH"), "drawn": ALL[:3]},
    "hostile": {
        "tickers": HOSTILE, "seeds": (1,), "days": 100, "variants": HOSTILE[:4], "features": HOSTILE[:6], "drawn": ALL[:3],
    },
    "thirty": {"tickers": tuple(f"T{at:02}" for at in range(30)), "seeds": (1,), "days": 40, "drawn": ALL[:2]},
}  # fmt: skip


@cache
def figures_of(case):
    """Lay out the figures of a case, once for all who look at them."""
    options = {"drawn": ALL} | CASES[case]
    tickers, seeds, days, drawn = (options.pop(name) for name in ("tickers", "seeds", "days", "drawn"))
    rows = make_latents(tickers, seeds, days)
    found = make_regimes(rows, **options)
    draw = {
        "map": lambda: latent_map(rows, found),
        "regimes": lambda: ribbons(found),
        "profile": lambda: profile(found),
        "training": lambda: training(make_history(seeds)),
    }
    figures = {name: draw[name]() for name in drawn}
    for figure in figures.values():
        figure.draw_without_rendering()
    return figures


@pytest.mark.usefixtures("without_umap")
@pytest.mark.parametrize("case", CASES)
def test_no_texts_overlap_or_leave_the_figure(case):
    for name, figure in figures_of(case).items():
        panels = [ax for ax in figure.axes if ax.axison]
        ticks = [box for ax in panels for axis in (ax.xaxis, ax.yaxis) for box in tick_labels(axis)]
        if name != "map":  # which has ticks at the years alone
            assert_apart(ticks)
        above = figure._suptitle.get_window_extent()
        titles = [ax.title.get_window_extent() for ax in panels if ax.get_title()]
        labels = [t.get_window_extent() for ax in panels for t in (ax.xaxis.label, ax.yaxis.label) if t.get_text()]
        for one, other in combinations([above, *titles, *labels], 2):
            assert not one.overlaps(other), name
        within = [text.get_window_extent() for ax in figure.axes for text in ax.texts if text.get_text()]
        legends = [legend.get_window_extent() for ax in figure.axes if (legend := ax.get_legend())]
        for box in (above, *titles, *labels, *ticks, *within, *legends):
            assert box.x0 >= -1, (name, box)
            assert box.x1 <= figure.bbox.x1 + 1, (name, box)
            assert box.y0 >= -1, (name, box)
            assert box.y1 <= figure.bbox.y1 + 1, (name, box)
        assert max(figure.get_size_inches()) < 16


@pytest.mark.usefixtures("without_umap")
def test_names_are_drawn_and_never_interpreted():
    for name, figure in figures_of("hostile").items():
        texts = [t for ax in figure.axes for t in (*ax.get_xticklabels(), *ax.get_yticklabels())]
        texts += [t for ax in figure.axes if ax.get_legend() for t in ax.get_legend().get_texts()]
        texts += [t for legend in figure.legends for t in legend.get_texts()]
        assert any("alpha" in t.get_text() or "x_1" in t.get_text() for t in texts), name
        assert not any(t._preprocess_math(t.get_text())[1] for t in [*texts, figure._suptitle]), name


@pytest.mark.usefixtures("without_umap")
def test_all_figures_are_written_as_png():
    for name, figure in figures_of("one of all").items():
        assert png(figure).startswith(b"\x89PNG"), name


@pytest.mark.parametrize("number", range(1, 9))
def test_each_regime_has_a_shade_of_its_own_that_darkens_towards_the_wildest(number):
    light = [np.dot(to_rgba(colour)[:3], (0.2126, 0.7152, 0.0722)) for colour in shades(number)]
    assert len(light) == number
    assert (np.diff(light) < -0.03).all()
