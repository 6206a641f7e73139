"""The contexts that pretrained models tried: which was chosen, and the figure of the losses."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from nextday.analyses.contexts import draw, keep, show
from nextday.models import Fitted

SWEEP = np.array([[64, 0.3], [256, 0.1], [1024, 0.2]])


def kept(**extras):
    return keep(SimpleNamespace(fitted=Fitted(np.zeros(3), extras=extras)))


def table(*variants):
    rows = kept(sweep=SWEEP)["sweep"].with_columns(pl.col("context").cast(pl.Int64), ticker=pl.lit("KO"), fold=0)
    return pl.concat([rows.with_columns(variant=pl.lit(name)) for name in variants])


def test_the_context_with_the_least_loss_is_marked():
    assert kept(sweep=SWEEP)["sweep"].filter("chosen").rows() == [(256, 0.1, True)]


def test_a_model_that_chose_nothing_keeps_and_shows_nothing():
    assert kept() == {}
    assert show(SimpleNamespace(tables={"sweep": table("A").clear()})).plates == ()


def test_losses_are_drawn_above_the_least_of_the_same_ticker():
    figure = draw(table("A", "B"))
    assert "Thin: each ticker" in figure.get_suptitle()
    assert [ax.get_title() for ax in figure.axes] == ["A", "B"]
    each, mean, dot = figure.axes[0].lines
    assert each.get_xydata().tolist() == pytest.approx(np.array([[64, 200], [256, 0], [1024, 100]]))
    np.testing.assert_allclose(mean.get_xydata(), each.get_xydata())
    assert dot.get_xydata().tolist() == [[256, 0]]
    assert [text.get_text() for text in figure.axes[0].texts] == ["1"]


def test_of_many_tickers_a_band_is_drawn_and_no_line_for_each():
    worse = [1 + 0.01 * at for at in range(60)]
    rows = [table("A").with_columns(ticker=pl.lit(f"T{at}"), valid_loss=pl.col("valid_loss") ** by)
            for at, by in enumerate(worse)]  # fmt: skip
    figure = draw(pl.concat(rows))
    (band,), (mean, dot) = figure.axes[0].collections, figure.axes[0].lines
    above = [100 * (3**by - 1) for by in worse]  # of the shortest context, whose loss is three times the least
    heights = band.get_paths()[0].vertices
    at_first = heights[heights[:, 0] == 64][:, 1]
    assert (at_first.min(), at_first.max()) == pytest.approx(tuple(np.quantile(above, [0.1, 0.9])))
    assert mean.get_ydata()[0] == pytest.approx(np.mean(above))
    assert "middle 80 % of 60 tickers" in figure.get_suptitle()
    assert dot.get_xydata().tolist() == [[256, 0]]
