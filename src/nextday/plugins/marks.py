"""Decorators of plugins. They only mark objects, without changing state; the loader collects the marks."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import polars as pl

from nextday.errors import PluginError
from nextday.features import Feature
from nextday.models import Forecaster
from nextday.models.estimator import Estimator

Kind = Literal["model", "feature", "loss", "split"]
Marked = TypeVar("Marked")
MARK = "__nextday__"


@dataclass(frozen=True, slots=True)
class Mark:
    """A registered object: its kind, its name in studies, and the object."""

    kind: Kind
    name: str
    value: Any


def model(name: str) -> Callable[[type[Marked]], type[Marked]]:
    """Register a model class under a name for variants.

    Parameters
    ----------
    name
        Value of ``model`` in a variant.

    Returns
    -------
    A decorator for a subclass of ``Forecaster`` or ``Network``. Annotated fields of the class become its options; the
    class becomes a frozen dataclass if it is not a dataclass.

    Raises
    ------
    PluginError
        If it is not a forecaster class.

    Examples
    --------
    >>> import numpy as np, nextday
    >>> @nextday.model("drift")
    ... class Drift(nextday.Forecaster):
    ...     share: float = 1.0
    ...     def fit_predict(self, train, valid, test, *, key):
    ...         return nextday.Fitted(np.full(len(test), self.share * train.y.mean()))
    >>> Drift(share=0.5)
    Drift(share=0.5)
    """

    def decorate(cls: type[Marked]) -> type[Marked]:
        if not (isinstance(cls, type) and issubclass(cls, Forecaster)):
            raise PluginError(
                f"model {name}: expected a subclass of nextday.Forecaster or nextday.Network, got {cls!r}"
            )
        made = cls if "__dataclass_fields__" in vars(cls) else dataclass(frozen=True)(cls)
        return _mark(made, "model", name, made)

    return decorate


def estimator(name: str, regressor: Any, *, window: Literal["last", "flat"] = "last") -> Mark:  # noqa: ANN401 - duck-typed
    """Register a scikit-learn regressor, in one line of a plugin.

    Parameters
    ----------
    name
        Value of ``model`` in a variant.
    regressor
        Any object with ``fit(x, y)`` and ``predict(x)`` that ``sklearn.base.clone`` can copy; each unit fits a copy.
    window
        ``last``: the features of the origin; ``flat``: those of the whole window, concatenated.

    Returns
    -------
    A mark; assign it to a variable of the plugin, where the loader finds it.

    Raises
    ------
    PluginError
        When a study that names it is run, if the name is already used.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> flat_ridge = estimator("flat_ridge", Ridge(alpha=10.0), window="flat")
    >>> flat_ridge.value
    Estimator(Ridge(alpha=10.0), window='flat')
    """
    return Mark("model", name, Estimator(regressor, window=window))


def feature(name: str, *, warmup: int, formula: str = "") -> Callable[[Any], Any]:
    """Register a feature: a Polars expression, or a function from the bars of one ticker to a column.

    Parameters
    ----------
    name
        Its name in feature sets.
    warmup
        Rows before its first value.
    formula
        Formula for readers; default: the first line of the function's docstring.

    Returns
    -------
    A decorator for a function without arguments that returns an expression, or for one that receives the bars of a
    ticker (``date, ticker, open, high, low, close, adj_close, volume, market_adj_close``) and returns a column. It also
    accepts an expression.

    Raises
    ------
    PluginError
        If it is neither an expression nor a function.

    Examples
    --------
    >>> import polars as pl
    >>> gap = feature("gap", warmup=1)((pl.col("open") / pl.col("close").shift(1)).log())
    >>> gap.name, gap.value.warmup
    ('gap', 1)
    """

    def decorate(found: Any) -> Any:  # noqa: ANN401 - an expression or a function, and the same back
        if isinstance(found, pl.Expr):
            return Mark("feature", name, Feature(found, warmup, formula or name))
        if not callable(found):
            raise PluginError(f"feature {name}: expected a Polars expression or a function, got {type(found).__name__}")
        expression = found if inspect.signature(found).parameters else found()
        said = formula or next(iter((found.__doc__ or name).splitlines()), name)
        return _mark(found, "feature", name, Feature(expression, warmup, said))

    return decorate


def loss(name: str) -> Callable[[Marked], Marked]:
    """Register a loss that ``verdict.loss`` can name.

    Losses are compared relative to that of the study's ``verdict.benchmark``, which must be a variant.

    Parameters
    ----------
    name
        Value of ``verdict.loss``.

    Returns
    -------
    A decorator for a function ``f(actual, predicted)`` of two arrays that returns one finite number per row.

    Raises
    ------
    PluginError
        When a study that names it is run, if the name is already used or it returns anything else.

    Examples
    --------
    >>> import numpy as np
    >>> @loss("bounded")
    ... def bounded(actual, predicted):
    ...     return np.minimum(np.abs(actual - predicted), 0.05)
    >>> mark_of(bounded).kind
    'loss'
    """
    return lambda function: _mark(function, "loss", name, function)


def split(name: str) -> Callable[[Marked], Marked]:
    """Register a split that ``split.scheme`` can name.

    Parameters
    ----------
    name
        Value of ``split.scheme``.

    Returns
    -------
    A decorator for a function ``f(samples, settings)`` of the number of samples and the study's ``split``; it returns a
    list of ``Split``, training before validation before test set, with consecutive test sets.

    Raises
    ------
    StudyError
        When a study that names it is run, if a set overlaps a later one.

    Examples
    --------
    >>> from nextday.samples import Split
    >>> @split("halves")
    ... def halves(samples, settings):
    ...     half = samples // 2
    ...     return [Split(0, slice(0, half - 20), slice(half - 20, half), slice(half, samples))]
    >>> mark_of(halves).name
    'halves'
    """
    return lambda function: _mark(function, "split", name, function)


def _mark(target: Marked, kind: Kind, name: str, value: Any) -> Marked:  # noqa: ANN401
    setattr(target, MARK, Mark(kind, name, value))
    return target


def mark_of(thing: object) -> Mark | None:
    """Return the mark of a value, unless it is inherited."""
    if isinstance(thing, Mark):
        return thing
    own = vars(thing).get(MARK) if hasattr(thing, "__dict__") else None
    return own if isinstance(own, Mark) else None
