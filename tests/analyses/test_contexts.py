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
    assert [ax.get_title() for ax in figure.axes] == ["A", "B"]
    each, mean, dot = figure.axes[0].lines
    assert each.get_xydata().tolist() == pytest.approx(np.array([[64, 200], [256, 0], [1024, 100]]))
    np.testing.assert_allclose(mean.get_xydata(), each.get_xydata())
    assert dot.get_xydata().tolist() == [[256, 0]]
    assert [text.get_text() for text in figure.axes[0].texts] == ["1"]
